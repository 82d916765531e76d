"""What is wrong with data, before an hour of training is spent on them: every row read, every picture looked at.

    survey (read once) -> steps, each finds one kind of trouble and takes out what the reading drops -> report

The order of the steps is the order in which rows are taken out: broken ones, repetitions, then the split, then what
depends on it.
What it does not do: change the data, or say which model they suit (`core.data.previewing.preview` looks at lengths).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from core.data import trouble
from core.data.checking.case import Case, Numbers
from core.data.checking.kinds.quality import LONG_SIDE, SHORT_SIDE, THIN
from core.data.checking.looks import Looks
from core.data.checking.sameness import Sameness
from core.data.checking.splits import hold_out
from core.data.checking.survey import Progress, Survey, quietly, survey
from core.data.files.tree import Tree
from core.data.formats.templates import DEFAULT_TEMPLATES, asks_nothing
from core.spec import Histogram, Place, Reading, Report

COMMON = 20
"""Most common answers that are shown."""
CLASSES = 0.2
"""Answers are taken for classes when there are fewer different ones than this share of the rows."""
FEW = 20
"""Rows to learn from below which a warning is given."""
RARE = 0.05
"""Share of the rows below which a script is called odd."""
SIDES = (0, 28, 56, 112, 168, 224, 336, 448, 672, 896, 1344, 2048, 4096, 8192, 65536)
LENGTHS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 10_000_000)
_WORDS_LEAK = (
    "1 row to learn from says the same as a held-out one",
    "{count} rows to learn from say the same as held-out ones",
)
"""Titles of leaks where no row has a picture."""
ONE_ANSWER = ("vqa", "classes", "ocr", "prompt_completion")
"""Forms in which two answers to one question about one picture contradict each other."""


@dataclass(frozen=True)
class Verdict:
    """What becomes of every row, with the reasons."""

    report: Report
    train: Numbers
    """Rows to learn from, as booleans [rows]."""
    heldout: Numbers
    """Rows that are only looked at, as booleans [rows]."""


def check(
    tree: Tree,
    reading: Reading,
    progress: Progress = quietly,
    cancelled: Callable[[], bool] = lambda: False,
    looks: Looks | None = None,
) -> Report:
    """Everything that can be found out about data without a model.

    Args:
        tree: the files.
        reading: how they are read, and what is left out.
        progress: told how many rows are done, of about how many where that can be told.
        cancelled: asked between rows.
        looks: what is known of the pictures from before; new ones are added.

    Raises:
        Cancelled: it was asked to stop.
        DataError: a table cannot be read at all.
    """
    return judge(survey(tree, reading, progress, cancelled, looks), reading, tree.refused).report


def judge(found: Survey, reading: Reading, refused: tuple[tuple[Place, str], ...] = ()) -> Verdict:
    """The findings of what was read, and which rows are left for which side."""
    case = Case(found, reading)
    same = Sameness(found, case.alive)
    _find_refused(case, refused)
    if reading.split.group and not reading.columns.get("group"):
        case.note(trouble.NO_GROUP)
    if asks_nothing(reading):
        case.note(trouble.NO_QUESTION, change={"template": DEFAULT_TEMPLATES[reading.format]})
    _find_repetitions(case, same)
    heldout = _split(case, same)
    _find_leaks(case, same, heldout)
    _find_shared_groups(case, heldout)
    _find_imbalance(case, heldout)
    _find_odd_words(case)
    _find_odd_pictures(case)
    train, heldout = case.alive & ~heldout, case.alive & heldout
    _find_too_few(case, same, train, heldout)
    return Verdict(_report(case, same, train, heldout), train, heldout)


def _find_refused(case: Case, refused: tuple[tuple[Place, str], ...]) -> None:
    for place, reason in refused:
        case.note(trouble.REFUSED_FILE, place.file, reason)


def _find_repetitions(case: Case, same: Sameness) -> None:
    """Rows that repeat an earlier one of their side, or contradict it."""
    side = case.column("side").astype(np.uint64)
    answer = case.column("answer").astype(np.uint64)
    rows = np.arange(len(answer))
    first = same.first_of(same.key(same.exact, answer, side), case.alive)
    repeated = first != rows
    case.find(trouble.DUPLICATE_ROW, repeated, case.like(first))
    if case.reading.format in ONE_ANSWER:
        first = same.first_of(same.key(same.exact, side), case.alive)
        conflict = case.alive & (answer != answer[first])
        case.find(trouble.CONFLICT, conflict, lambda row: f"{case.said(first[row])} in {case.where(first[row])}")
    first = same.first_of(same.key(same.alike, answer, side), case.alive)
    case.find(trouble.NEAR_DUPLICATE, (first != rows) & ~repeated, case.like(first))
    first = same.first_of(same.key(same.alike, side), case.alive)
    other = case.alive & (same.exact != same.exact[first]) & (answer != answer[first])
    case.find(
        trouble.NEAR_OTHER,
        other,
        lambda row: f"{case.said(row)}, and {case.said(first[row])} in {case.where(first[row])}",
    )


def _split(case: Case, same: Sameness) -> Numbers:
    """Which rows are held out, as booleans [rows]."""
    split = case.reading.split
    if split.by != "share":
        return case.column("side") == 1
    rows = np.flatnonzero(case.alive)
    labels = same.groups(rows, case.column("group")[rows] if split.group else None)
    heldout = np.zeros(len(case.alive), bool)
    heldout[rows] = hold_out(labels, same.key(same.exact)[rows], split.share, split.seed, case.column("answer")[rows])
    return heldout


def _find_leaks(case: Case, same: Sameness, heldout: Numbers) -> None:
    """Rows to learn from whose picture, or group, is held out as well; a split by share has none."""
    if case.reading.split.by == "share":
        return
    told, kept = case.alive & ~heldout, case.alive & heldout
    exact = told & same.shared(same.exact_pictures, kept)
    words = told & same.without_pictures & np.isin(whole := same.key(same.exact), whole[kept & same.without_pictures])
    near = told & same.shared(same.alike_pictures, kept) & ~exact
    title = "" if exact.any() else _WORDS_LEAK[int(words.sum() > 1)].format(count=f"{int(words.sum()):,}")
    groups, names = case.column("group"), list(case.found.groups)
    grouped = told & (groups >= 0) & np.isin(groups, groups[kept]) & case.reading.split.group & ~exact & ~words
    case.find(trouble.LEAK, exact | words, partial(_twin, case, same.exact_pictures, kept), title)
    case.find(trouble.GROUP_LEAK, grouped, lambda row: f"“{names[groups[row]][:60]}” is on both sides")
    case.find(trouble.NEAR_LEAK, near & ~grouped, partial(_twin, case, same.alike_pictures, kept))


def _find_shared_groups(case: Case, heldout: Numbers) -> None:
    """Rows to learn from of a group that is held out as well, where groups are not kept together."""
    if case.reading.split.group:
        return
    groups, names = case.column("group"), list(case.found.groups)
    shared = case.alive & ~heldout & (groups >= 0) & np.isin(groups, groups[case.alive & heldout])
    case.find(trouble.SHARED_GROUP, shared, lambda row: f"“{names[groups[row]][:60]}” is on both sides")


def _twin(case: Case, pictures: Numbers, others: Numbers, row: int) -> str:
    """The first picture of a row that one of the other rows has too, and where; nothing for a row without one."""
    for number in case.pictures_of(row):
        shared = np.flatnonzero(others & case.with_picture(pictures == pictures[number]))
        if len(shared):
            return f"{case.picture_name(number)}, as in {case.where(int(shared[0]))}"
    return ""


def _find_imbalance(case: Case, heldout: Numbers) -> None:
    """Answers that are far more common than others, and such as are only held out; where answers are classes."""
    answer, told = case.column("answer"), case.alive & ~heldout
    counts = np.bincount(answer[told], minlength=1)
    classes = np.flatnonzero(counts)
    if not 2 <= len(classes) <= max(2, CLASSES * told.sum()):
        return
    top = int(counts.argmax())
    others = counts[classes[classes != top]]
    most = max(10, int(3 * np.median(others)))
    if counts[top] > most and counts[top] > 0.5 * told.sum():
        rows = np.flatnonzero(told & (answer == top))
        beyond = np.zeros(len(told), bool)
        beyond[np.random.default_rng(case.reading.split.seed).permutation(rows)[most:]] = True
        share = counts[top] / told.sum()
        title = f"The answer {case.said(rows[0])} makes up {share:.0%} of the rows to learn from"
        case.find(trouble.IMBALANCE, beyond, title=title)
    unseen = case.alive & heldout & ~np.isin(answer, classes)
    case.find(trouble.UNSEEN_ANSWER, unseen, case.said)


def _find_odd_words(case: Case) -> None:
    """Scripts and languages that hardly any other row has."""
    scripts, languages = list(case.found.scripts), list(case.found.languages)
    script, language = case.column("script"), case.column("language")
    several_languages = len(np.unique(language[case.alive])) > 1
    if not several_languages:
        case.find(trouble.MIXED_SCRIPT, _rare(script, case.alive, scripts), lambda row: scripts[script[row]])
        return
    rare = _rare(language, case.alive, None)
    case.find(trouble.ODD_LANGUAGE, rare, lambda row: f"“{languages[language[row]][:40]}”")


def _rare(value: Numbers, alive: Numbers, names: list[str] | None) -> Numbers:
    """Rows with a value that few have, as booleans [rows]; the empty one is no value where names are given."""
    counts = np.bincount(value[alive], minlength=1)
    few = (counts > 0) & (counts < max(2, min(RARE * alive.sum(), 20)))
    if names is not None and "" in names[: len(few)]:
        few[names.index("")] = False
    return alive & np.isin(value, np.flatnonzero(few)) if counts.max(initial=0) >= FEW else np.zeros(len(alive), bool)


def _find_odd_pictures(case: Case) -> None:
    """Pictures whose size is far from what models see, or that hold more than one."""
    table = case.found.looks.table
    longer, shorter = np.maximum(table["width"], table["height"]), np.minimum(table["width"], table["height"])
    most = case.reading.max_side or LONG_SIDE
    large = (longer > LONG_SIDE) & (most >= LONG_SIDE)
    for kind, odd in (
        (trouble.LARGE_IMAGE, large),
        (trouble.SMALL_IMAGE, (shorter < SHORT_SIDE) & table["readable"]),
        (trouble.THIN_IMAGE, (longer > THIN * shorter) & (shorter >= SHORT_SIDE)),
        (trouble.SEVERAL_FRAMES, table["frames"]),
    ):
        if odd.any():
            case.find(kind, case.alive & case.with_picture(odd), partial(case.size_of, odd))


def _why_none_is_held_out(case: Case, same: Sameness) -> str:
    """The kind of finding."""
    split = case.reading.split
    if split.by != "share":
        return trouble.NOTHING_HELD_OUT
    if not split.group:
        return trouble.ONE_GROUP
    apart = same.groups(np.flatnonzero(case.alive), None)  # as they would be without the column for groups
    return trouble.GROUPS_JOINED if len(np.unique(apart)) > 1 else trouble.ONE_GROUP


def _find_too_few(case: Case, same: Sameness, train: Numbers, heldout: Numbers) -> None:
    """Hardly any row, or none, on a side."""
    told = int(train.sum())
    if not told:
        case.note(trouble.NOTHING_TO_TRAIN)
    elif told < FEW:
        case.note(trouble.FEW_ROWS, title=f"There are only {told} rows to learn from" if told > 1 else "")
    if told and not heldout.any():
        case.note(_why_none_is_held_out(case, same))


def _report(case: Case, same: Sameness, train: Numbers, heldout: Numbers) -> Report:
    kept = train | heldout
    answers = np.bincount(case.column("answer")[kept], minlength=1)
    common = np.argsort(-answers, kind="stable")[:COMMON]
    held = np.bincount(case.column("answer")[heldout], minlength=1)
    table = case.found.looks.table
    used = np.unique(case.numbers_of(kept))
    return Report(
        rows=int((~case.remarks).sum()),
        usable=int(kept.sum()),
        train=int(train.sum()),
        heldout=int(heldout.sum()),
        pictures=len(np.unique(same.exact_pictures[used])),
        findings=case.findings(),
        answers=tuple((case.found.spoken[place], int(answers[place])) for place in common if answers[place]),
        majority=float(held.max() / held.sum()) if held.any() else 0.0,
        sides=_histogram(np.maximum(table["width"], table["height"])[used], SIDES, "pixels"),
        lengths=_histogram(case.column("length")[kept], LENGTHS, "characters"),
        languages=_languages(case, kept),
    )


def _histogram(values: Numbers, edges: tuple[int, ...], unit: str) -> Histogram | None:
    """Counts between the edges that are needed; nothing of nothing."""
    if not len(values):
        return None
    counts = np.histogram(values, edges)[0]
    some = np.flatnonzero(counts)
    low, high = int(some[0]), int(some[-1]) + 1
    # the outer two are what the values reach, else one answer of 10,001 characters would be drawn as up to 100,000
    inner = edges[low + 1 : high]
    ends = (int(values.min()), *inner, int(values.max()) + 1)
    return Histogram(tuple(map(float, ends)), tuple(map(int, counts[low:high])), unit)


def _languages(case: Case, kept: Numbers) -> tuple[tuple[str, int], ...]:
    names = list(case.found.languages)
    counts = np.bincount(case.column("language")[kept], minlength=len(names))
    found = [(name, int(count)) for name, count in zip(names, counts, strict=True) if name and count]
    return tuple(sorted(found, key=lambda pair: -pair[1])[:COMMON])
