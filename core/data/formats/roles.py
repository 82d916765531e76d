"""Which column is for what: judged by what it holds, and among several by what it is called.

What it does not do: look at values (see `core.data.formats.columns`), or choose a format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from core.data.formats.columns import Column
from core.data.formats.values import choices_of
from core.spec.data import Format, Part


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CALLED: dict[Part, tuple[str, ...]] = {
    "image": _names(
        "image images img imgs picture pictures photo file_name filename image_path image_file image_name img_path "
        "img_name file filepath filepaths file_path path jpg png jpeg image_id img_id imageid id name"
    ),
    "question": _names("question questions query queries q qa qa_pairs problem"),
    "answer": _names(
        "answer answers multiple_choice_answer correct_answer gt_answer direct_answers a response correct_choice_idx "
        "label labels target ground_truth"
    ),
    "prompt": _names("prompt instruction problem query question input user human"),
    "completion": _names("completion response output chosen assistant solution target answer"),
    "messages": _names("messages conversations conversation chat dialogue dialog texts"),
    "text": _names(
        "caption captions text texts positive description descriptions sentence sentences transcription transcript ocr"
        " ground_truth gt alt_text alt title name comment txt label"
    ),
    "label": _names(
        "class_name label_name category_name label_text label labels class classes category categories species breed "
        "diagnosis target tag tags name"
    ),
    "system": _names("system system_prompt system_message"),
    "language": _names("language lang locale language_code"),
    "split": _names("split data_split subset set set_name data_set dataset partition usage phase fold"),
    "group": _names("group writer writer_id patient patient_id subject subject_id author user_id speaker scene_id"),
    "choices": _names("choices options multiple_choices candidates"),
}
"""Names that columns have in data sets, the plainest first; judged after what they hold."""
READ_OFF = frozenset(
    _names("transcription transcript ocr ocr_text ground_truth gt latex formula plate markup html words")
)
"""Names of columns that hold what is written in a picture."""
SAID_ABOUT = frozenset(
    _names("caption captions description descriptions sentence sentences alt alt_text comment title summary")
)
"""Names of columns that hold what is said about a picture."""
NEEDED: dict[Format, tuple[Part, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("messages",),
    "prompt_completion": ("prompt", "completion"),
    "vqa": ("image", "question", "answer"),
    "captions": ("image", "text"),
    "coco": ("image", "text"),
    "classes": ("image", "label"),
    "ocr": ("image", "text"),
    "pairs": ("image", "text"),
}
"""The parts without which a format is nothing."""
BESIDE: tuple[Part, ...] = ("image", "system", "language", "split", "group", "choices")
"""Parts that any format may have."""
OWN: dict[Format, tuple[Part, ...]] = {"pairs": ("verdict",)}
"""Parts that a format may have and others have not."""
_MAY_BE_TOPICS = frozenset(("group", "subject"))
"""Names of columns of groups, if their values are numbered; `subject: biology` says what a row is about."""
_NO_TEXT = frozenset(
    _names(
        "id index idx url width height source md5 sha256 hash licence license score similarity nsfw bbox bboxes boxes "
        "keypoints"
    )
)
_NO_PICTURE = frozenset(
    _names("negative negatives mask masks segmentation annotation annotations depth thumbnail label labels seg")
)


def parts_of(format: Format) -> tuple[Part, ...]:
    """The parts that rows of a format can have, those first without which it is nothing."""
    return tuple(dict.fromkeys((*NEEDED[format], *OWN.get(format, ()), *BESIDE)))


def plain(name: str) -> str:
    """A column's name as names are compared: `Image Path` is `image_path`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip()).lower()).strip("_")


def rank(column: Column, names: Sequence[str]) -> int | None:
    """How well a column is called for a part: its place among the names; later if it only holds one of the words.

    >>> rank(Column("en_caption", "text", 1, 1), ("text", "caption")), rank(Column("x", "text", 1, 1), ("text",))
    (101, None)
    """
    name = plain(column.name)
    if name in names:
        return names.index(name)
    words = [re.sub(r"\d+$", "", word) for word in name.split("_")]
    return next((100 + place for place, one in enumerate(names) if one in words and len(one) > 1), None)


def best(columns: Iterable[Column], part: Part) -> Column | None:
    """The column that is called best for a part, one that is mostly empty last; None when none is."""
    called = [(place, column) for column in columns if (place := rank(column, CALLED[part])) is not None]
    ranked = [((column.filled * 2 < column.rows, place), column) for place, column in called]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def picture_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that name or hold a row's pictures: the best one, and its siblings such as `image_2`."""
    chosen = [column for column in columns if column.shows_pictures and not _is_beside(column) and _may_name(column)]
    if not chosen:
        return ()
    first = min(chosen, key=lambda column: (-_found(column), _place(column), columns.index(column)))
    return tuple(column for column in chosen if column is first or _siblings(first, column, columns))


def _is_beside(column: Column) -> bool:
    return bool(_NO_PICTURE & set(plain(column.name).split("_"))) and column.kind != "name"


def _may_name(column: Column) -> bool:
    """Whether it has pictures by its form, or is called so or different in each row, as numbers of files are."""
    formed = column.kind in ("picture", "pictures", "name")
    called = plain(column.name) in CALLED["image"]
    return formed or called or (column.different == column.filled and best([column], "label") is None)


def _found(column: Column) -> int:
    """Bytes are as good as files that are there; numbers and half found are better than missing ones."""
    if column.kind == "picture" or (column.kind in ("name", "pictures") and 0 < column.looked_up == column.found):
        return 2
    return int(column.names_files or (column.kind == "pictures" and not column.looked_up))


def _place(column: Column) -> int:
    place = rank(column, CALLED["image"])
    return 999 if place is None else place


def _siblings(one: Column, other: Column, columns: Sequence[Column]) -> bool:
    """Whether two columns are of one series: `image_1` and `image_2`, `left_image` and `right_image`."""
    if one.kind != other.kind or _is_beside(other):
        return False
    first, second = (re.sub(r"_?\d+$", "", plain(column.name)) for column in (one, other))
    if first == second:
        return True
    sides = ({"left", "right"}, {"before", "after"}, {"first", "second"}, {"a", "b"})
    words = set(first.split("_")) ^ set(second.split("_"))
    return any(words == pair for pair in sides)


def text_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Columns that may hold what is asked or answered: texts that are no picture, number, address, side or language."""
    taken = {column.name for column in picture_columns(columns)}
    beside = {
        column.name for part in ("system", "language", "split", "group", "choices") for column in _sure(columns, part)
    }
    return tuple(
        column
        for column in columns
        if column.is_text
        and column.name not in taken | beside
        and not (set(plain(column.name).split("_")) & _NO_TEXT)
        and not all(example.startswith(("http://", "https://")) for example in column.examples)
    )


def _sure(columns: Sequence[Column], part: Part) -> list[Column]:
    """Columns that are called for a part beside the row's own, and hold what it needs."""
    found = [column for column in columns if plain(column.name) in CALLED[part]]
    return [column for column in found if _fits(column, part)]


def _fits(column: Column, part: Part) -> bool:
    from core.data.formats.sides import side_of_value

    if part == "choices":
        return column.kind == "texts" or (column.kind == "text" and _are_lists(column))
    if part == "split":
        return column.kind == "text" and all(side_of_value(example) for example in column.examples)
    if part == "language":
        return column.kind == "text" and column.words[2] <= 2
    if part == "group" and plain(column.name) in _MAY_BE_TOPICS:
        return all(re.search(r"\d", example) for example in column.examples)
    return column.kind in ("text", "number", "name")


def _are_lists(column: Column) -> bool:
    """Whether its first texts are lists of numbers."""
    return bool(column.examples) and all(len(choices_of(example)) > 1 for example in column.examples)


def split_names(joined: str, columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns that a part names: one, or several that are joined by commas."""
    return (joined,) if any(column.name == joined for column in columns) else tuple(joined.split(", "))


def beside(columns: Sequence[Column]) -> dict[Part, str]:
    """The parts that any format may have, where columns are called so and hold what is needed."""
    found: dict[Part, str] = {}
    pictures = picture_columns(columns)
    if pictures:
        found["image"] = ", ".join(column.name for column in pictures)
    for part in BESIDE[1:]:
        sure = _sure(columns, part)
        if sure:
            found[part] = (best(sure, part) or sure[0]).name
    return found
