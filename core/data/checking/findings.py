"""Every kind of trouble that data can have: what it is called, why it matters, and what a button does about it.

What it does not do: look for any of it (records, checks), or leave a row out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.spec import Finding, Place, Severity

SHOWN = 50
"""Places that a finding names; all are counted."""

BROKEN_ROW = "broken_row"
MISSING_IMAGE = "missing_image"
UNSAFE_PATH = "unsafe_path"
UNREADABLE_IMAGE = "unreadable_image"
IMAGE_COUNT = "image_count"
NO_IMAGE = "no_image"
EMPTY_QUESTION = "empty_question"
EMPTY_ANSWER = "empty_answer"
BAD_TURNS = "bad_turns"
BAD_VALUE = "bad_value"
STRUCTURE = "structure"
NO_QUESTION = "no_question"
FOREIGN_PATH = "foreign_path"
UNKNOWN_SPLIT = "unknown_split"
NOTHING_TO_TRAIN = "nothing_to_train"
NOTHING_HELD_OUT = "nothing_held_out"
ONE_GROUP = "one_group"
GROUPS_JOINED = "groups_joined"
NO_GROUP = "no_group"
SHARED_GROUP = "shared_group"
LEAK = "leak"
NEAR_LEAK = "near_leak"
GROUP_LEAK = "group_leak"
DUPLICATE_ROW = "duplicate_row"
NEAR_DUPLICATE = "near_duplicate"
NEAR_OTHER = "near_other"
CONFLICT = "conflict"
IMBALANCE = "imbalance"
UNSEEN_ANSWER = "unseen_answer"
FEW_ROWS = "few_rows"
ENCODING = "encoding"
TABLE_FORM = "table_form"
BROKEN_TEXT = "broken_text"
MIXED_SCRIPT = "mixed_script"
ODD_LANGUAGE = "odd_language"
LARGE_IMAGE = "large_image"
SMALL_IMAGE = "small_image"
THIN_IMAGE = "thin_image"
SEVERAL_FRAMES = "several_frames"
REFUSED_FILE = "refused_file"
TEXT_ONLY = "text_only"
CHOSEN = "chosen"

LONG_SIDE, SHORT_SIDE, THIN = 2048, 28, 10
"""Pixels from which a picture is called large or small, and how many times longer than wide one is called thin.
Processors of the field scale pictures to between 224 and about 1,536 pixels; a patch has 14 to 28."""


@dataclass(frozen=True)
class Kind:
    """One kind of trouble. Titles take the number of rows."""

    severity: Severity
    one: str
    many: str
    reason: str
    remedy: str
    action: str = "Leave them out"
    change: dict[str, object] | None = None
    """Fields of `Reading` that the button sets; None leaves the rows of this kind out, {} is no button."""
    can_drop: bool = False
    """Whether such rows can be left out though the button does something else."""


@dataclass
class Places:
    """Where one kind was found: all counted, the first kept."""

    count: int = 0
    first: list[Place] = field(default_factory=list)

    def add(self, place: Place) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(place)


_LOST = "Such a row cannot be used, and data with it are not what you think they are"
_FIX = "Correct the rows and bring the data again, or leave them out"
_NEW_SPLIT: dict[str, object] = {"split": {"by": "share", "share": 0.1}}

KINDS: dict[str, Kind] = {
    BROKEN_ROW: Kind("error", "1 row cannot be read", "{count} rows cannot be read", _LOST, _FIX),
    MISSING_IMAGE: Kind(
        "error",
        "1 row names a picture that is not there",
        "{count} rows name pictures that are not there",
        "The answer would be learned without what it is about",
        "Bring the pictures along under the names that the rows give, or leave these rows out",
    ),
    UNSAFE_PATH: Kind(
        "error",
        "1 row names a picture outside of the data",
        "{count} rows name pictures outside of the data",
        "Only pictures that came with the data are opened; no address is fetched and no other file is read",
        "Put the pictures beside the rows and name them there, or leave these rows out",
    ),
    FOREIGN_PATH: Kind(
        "error",
        "1 row names a picture by a path of another machine",
        "{count} rows name pictures by paths of another machine",
        "Such a path is never opened; a picture of the same name came with the data",
        "Look at the rows first: the pictures are looked for by the ends of their paths, among those that came along",
        "Look for them by their names",
        {"foreign_paths": True},
        can_drop=True,
    ),
    UNREADABLE_IMAGE: Kind(
        "error",
        "1 row has a picture that cannot be opened",
        "{count} rows have pictures that cannot be opened",
        "A damaged picture would stop the training when its turn comes",
        "Save these pictures again as PNG or JPEG, or leave their rows out",
    ),
    IMAGE_COUNT: Kind(
        "error",
        "1 row has another number of pictures than its text says",
        "{count} rows have another number of pictures than their text says",
        "Each <image> in the text stands for one picture; otherwise the model would see the wrong ones",
        _FIX,
    ),
    NO_IMAGE: Kind(
        "error",
        "1 row has no picture",
        "{count} rows have no picture",
        "Its question is about a picture, and the model would have to guess",
        "Name a picture in these rows, or leave them out",
    ),
    EMPTY_QUESTION: Kind(
        "error",
        "1 row asks nothing",
        "{count} rows ask nothing",
        "The model has to be told what is wanted",
        "Fill the questions in, give a question for all rows above, or leave these rows out",
    ),
    EMPTY_ANSWER: Kind(
        "error",
        "1 row has no answer",
        "{count} rows have no answer",
        "The model learns from answers; an empty one teaches it to say nothing",
        "Fill the answers in, or leave these rows out",
    ),
    BAD_TURNS: Kind(
        "error",
        "1 conversation has its turns in an order that cannot be trained",
        "{count} conversations have their turns in an order that cannot be trained",
        "User and assistant take turns, and the assistant has the last word, which is learned",
        _FIX,
    ),
    BAD_VALUE: Kind(
        "error",
        "1 row holds something else than its column should",
        "{count} rows hold something else than their column should",
        "It cannot be read as what the column is for",
        "Choose another column above, correct the rows, or leave them out",
    ),
    UNKNOWN_SPLIT: Kind(
        "error",
        "1 row is said to be on a side that is not known",
        "{count} rows are said to be on sides that are not known",
        "Known are train, and test, validation, val, dev or held-out for rows that are only looked at",
        "Correct the column, or hold out a share instead",
        "Hold out a tenth instead",
        _NEW_SPLIT,
        can_drop=True,
    ),
    STRUCTURE: Kind(
        "warning",
        "1 row has a list or an object as its answer",
        "{count} rows have lists or objects as their answers",
        "It is learned as it would be written in JSON, with all its braces and quotes",
        "Nothing has to be done where JSON is wanted; else choose another column above, or leave these rows out",
    ),
    NO_QUESTION: Kind(
        "warning",
        "Nothing is asked about the pictures",
        "Nothing is asked about the pictures",
        "The model learns to give these answers to a bare picture, and may give them to any other question, too",
        "Write above what is asked for all rows, unless a model that is never asked anything is to be trained",
        "Ask the usual question",
        {"template": "What is in the picture?"},  # or what is usual for the form, see `checks`
    ),
    NOTHING_TO_TRAIN: Kind(
        "error",
        "No row is left to learn from",
        "No row is left to learn from",
        "Everything that was read is broken, left out, or held out",
        "Bring more rows: at least two, about two pictures",
        action="",
        change={},
    ),
    NOTHING_HELD_OUT: Kind(
        "error",
        "No row is held out",
        "No row is held out",
        "Without rows that are only looked at, nobody can say what was learned",
        "Hold out a share of the rows, or bring rows about at least two pictures",
        "Hold out a tenth",
        _NEW_SPLIT,
    ),
    ONE_GROUP: Kind(
        "error",
        "No row can be held out, for all belong together",
        "No row can be held out, for all belong together",
        "Rows that share a picture, look alike or are of one group are never on both sides, and there is no other",
        "Bring rows about other pictures; at least two that do not look alike",
        action="",
        change={},
    ),
    GROUPS_JOINED: Kind(
        "error",
        "No row can be held out while groups are kept together",
        "No row can be held out while groups are kept together",
        "There is one group, or pictures that are alike join the groups, and a group is never on both sides",
        "Do without groups, choose another column for them, or leave out the rows that are alike",
        "Do without groups",
        {"split": {"group": False}},
    ),
    NO_GROUP: Kind(
        "error",
        "Groups are to be kept together, and no column says them",
        "Groups are to be kept together, and no column says them",
        "A writer or a patient could be on both sides, and the result would flatter",
        "Choose the column of the groups, or do without",
        "Do without groups",
        {"split": {"group": False}},
    ),
    SHARED_GROUP: Kind(
        "warning",
        "1 row to learn from is of a group that is also held out",
        "{count} rows to learn from are of groups that are also held out",
        "A column says which rows belong together, such as those of one writer; the result would flatter",
        "Split anew by share, with each group on one side, unless the column means something else",
        "Split anew and keep groups together",
        {"split": {"by": "share", "group": True}},
    ),
    LEAK: Kind(
        "error",
        "1 row to learn from has a picture that is also held out",
        "{count} rows to learn from have pictures that are also held out",
        "The model would be tested on what it has been told, and the result would flatter",
        "Leave these rows out of the training, or split anew by share, where a picture is never on both sides",
        "Leave them out of the training",
    ),
    GROUP_LEAK: Kind(
        "error",
        "1 row to learn from is of a group that is also held out",
        "{count} rows to learn from are of groups that are also held out",
        "A group is to be on one side only, such as all rows of one writer; otherwise the result would flatter",
        "Leave these rows out of the training, or split anew by share, where a group is never on both sides",
        "Leave them out of the training",
    ),
    NEAR_LEAK: Kind(
        "warning",
        "1 row to learn from has a picture that looks like a held-out one",
        "{count} rows to learn from have pictures that look like held-out ones",
        "Copies, crops or shots of a series on both sides make the result flatter",
        "Look at them; leave them out of the training where they are the same thing",
        "Leave them out of the training",
    ),
    DUPLICATE_ROW: Kind(
        "warning",
        "1 row says the same as an earlier one",
        "{count} rows say the same as earlier ones",
        "Same pictures, question and answer: it counts twice without teaching anything new",
        "Leave the repetitions out; the first of each stays",
        "Leave the repetitions out",
    ),
    NEAR_DUPLICATE: Kind(
        "warning",
        "1 row has a picture that looks like an earlier one",
        "{count} rows have pictures that look like earlier ones",
        "Almost the same picture with the same answer teaches little and counts twice",
        "Look at them; leave the later ones out where they are copies",
        "Leave the later ones out",
    ),
    NEAR_OTHER: Kind(
        "warning",
        "1 row has a picture that looks like an earlier one, and another answer",
        "{count} rows have pictures that look like earlier ones, and other answers",
        "Copies with different answers contradict each other; pictures that differ in small things look alike, too",
        "Look at them; leave the later ones out where they are copies",
        "Leave the later ones out",
    ),
    CONFLICT: Kind(
        "warning",
        "1 row answers the same question about the same picture in another way",
        "{count} rows answer the same question about the same picture in another way",
        "Where answers contradict each other the model learns to guess between them",
        "Correct the answers, or leave all but the first of each out",
        "Keep the first of each",
    ),
    IMBALANCE: Kind(
        "warning",
        "1 row too many has the most common answer",
        "{count} rows too many have the most common answers",
        "A model that always gives the most common answer scores well and has learned nothing",
        "Keep fewer of these rows, drawn at random; held-out rows stay as they are",
        "Keep fewer of them",
    ),
    UNSEEN_ANSWER: Kind(
        "warning",
        "1 held-out row has an answer that no row to learn from has",
        "{count} held-out rows have answers that no row to learn from has",
        "The model cannot give a class that it was never shown",
        "Bring more rows with these answers, or leave these rows out",
    ),
    FEW_ROWS: Kind(
        "warning",
        "There is only 1 row to learn from",
        "There are only {count} rows to learn from",
        "So few are learned by heart; what was learned seldom carries over to other pictures",
        "Bring more rows where you can; some tens are a start, some hundreds are usual",
        action="",
        change={},
    ),
    ENCODING: Kind(
        "warning",
        "1 file is not in UTF-8 and was read as Latin-1",
        "{count} files are not in UTF-8 and were read as Latin-1",
        "Signs beyond plain letters may be wrong",
        "Look at the preview; save the file again as UTF-8 where signs are wrong",
        action="",
        change={},
    ),
    TABLE_FORM: Kind(
        "warning",
        "1 table has two columns of one name",
        "{count} tables have two columns of one name",
        "The later one got a number behind its name, and one of them may be read for the other",
        "Look at which column is read as what; rename them in the file where that is wrong",
        action="",
        change={},
    ),
    BROKEN_TEXT: Kind(
        "warning",
        "1 row holds signs that were damaged on their way",
        "{count} rows hold signs that were damaged on their way",
        "Signs such as � or Ã© are left when text is saved in one encoding and read in another",
        "Save the text again as UTF-8, or leave these rows out",
    ),
    MIXED_SCRIPT: Kind(
        "warning",
        "1 answer is written in another script than the others",
        "{count} answers are written in another script than the others",
        "A few answers in another script are often a mistake, and too few to learn the script from",
        "Look at them; leave them out where they do not belong here",
    ),
    ODD_LANGUAGE: Kind(
        "warning",
        "1 row has a language that hardly any other has",
        "{count} rows have a language that hardly any other has",
        "So few rows of a language are a typing error or too few to learn from",
        "Correct the column, or leave these rows out",
    ),
    LARGE_IMAGE: Kind(
        "warning",
        "1 row has a picture that is larger than models see",
        "{count} rows have pictures that are larger than models see",
        f"Beyond {LONG_SIDE:,} pixels a picture only costs time and disk: the model's processor makes it smaller",
        "Make them smaller when the data are stored; shapes stay as they are",
        f"Make them {LONG_SIDE // 2:,} pixels at most",
        {"max_side": LONG_SIDE // 2},
    ),
    SMALL_IMAGE: Kind(
        "warning",
        "1 row has a picture that is very small",
        "{count} rows have pictures that are very small",
        f"With a side below {SHORT_SIDE} pixels hardly a patch of the model is filled, and some models refuse it",
        "Look at them; leave them out where there is nothing to see",
    ),
    THIN_IMAGE: Kind(
        "warning",
        "1 row has a picture that is far longer than wide",
        "{count} rows have pictures that are far longer than wide",
        f"More than {THIN} times longer than wide: models squeeze such pictures or refuse them",
        "Cut them into pieces, or leave these rows out",
    ),
    SEVERAL_FRAMES: Kind(
        "warning",
        "1 row has a picture of several frames or pages",
        "{count} rows have pictures of several frames or pages",
        "The model sees the first one only",
        "Save the other ones as pictures of their own where they matter",
        action="",
        change={},
    ),
    TEXT_ONLY: Kind(
        "warning",
        "1 row has no picture and is text alone",
        "{count} rows have no picture and are text alone",
        "They are learned like the others; a model that sees may answer them worse for it",
        "Nothing has to be done when they are meant to be there",
    ),
    CHOSEN: Kind(
        "warning",
        "1 row was left out by hand",
        "{count} rows were left out by hand",
        "They are in the files and not in the data set",
        "Nothing has to be done",
        action="",
        change={},
    ),
    REFUSED_FILE: Kind(
        "warning",
        "1 file was not taken in",
        "{count} files were not taken in",
        "Links, hidden files, and files with unsafe names or damage stay outside; each is named below",
        "Nothing has to be done when no row needs them",
        action="",
        change={},
    ),
}


_OF_ONE = {
    "Leave them out": "Leave it out",
    "Leave them out of the training": "Leave it out of the training",
    "Leave the repetitions out": "Leave the repetition out",
    "Leave the later ones out": "Leave the later one out",
}
"""What a button says of several rows -> what it says of one."""


def finding(
    kind: str, places: Places, dropped: bool, title: str = "", change: dict[str, object] | None = None
) -> Finding:
    """The finding in words. What the reading leaves out is only a warning, without a button.

    Args:
        kind: one of the constants above.
        places: where it was found.
        dropped: whether the reading leaves rows of this kind out.
        title: where one is known that says more of rows that are still there.
        change: what the button sets, where that hangs on the reading.

    >>> finding(EMPTY_ANSWER, Places(2), dropped=False).title
    '2 rows have no answer'
    """
    known = KINDS[kind]
    counted = known.one if places.count == 1 else known.many.format(count=f"{places.count:,}")
    change = change or ({"drop": [kind]} if known.change is None else known.change)
    single = places.count == 1
    left = "It is left out" if single else "They are left out"
    return Finding(
        kind=kind,
        severity="warning" if dropped else known.severity,
        title=f"Left out: {counted}" if dropped else title or counted,
        reason=known.reason,
        remedy=f"{left}, and the data set says so" if dropped else known.remedy,
        action="" if dropped else _OF_ONE.get(known.action, known.action) if single else known.action,
        change={} if dropped else change,
        count=places.count,
        left_out=places.count if dropped or kind == CHOSEN else 0,
        places=tuple(places.first),
    )


def title_of(kind: str) -> str:
    """What one row of this kind is told; the kind itself where it is not known."""
    return KINDS[kind].one if kind in KINDS else kind


def can_drop(kind: str) -> bool:
    """Whether rows of this kind can be left out."""
    return kind in KINDS and (KINDS[kind].change is None or KINDS[kind].can_drop)


def errors_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then what is left out; each in the order given."""
    return tuple(sorted(findings, key=lambda each: (each.severity != "error", each.left_out > 0)))
