"""Files that say something by where they lie: one folder a class, a text file beside its picture.

What it does not do: read a table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from core.data.files.tree import Entry, Tree
from core.data.formats.finder import is_picture_file
from core.data.formats.sides import side_of_folder, side_of_value
from core.data.tables import Record
from core.errors import DataError, StudioError
from core.spec.data import Place, Reading

IMAGE, LABEL, NAME, TEXT = "picture", "folder", "word in the file's name", "text file"
"""Names of the columns that stand for a picture's file, its folder and the text beside it."""
SIDECARS = (".txt", ".caption", ".gt.txt")
_TEXT_FOLDERS = ("labels", "captions", "texts", "text", "txt", "gt")
"""Folders of texts beside the folder of the pictures."""
NO_CLASS = frozenset(
    ("IMG", "img", "image", "Image", "DSC", "dsc", "photo", "picture", "scan", "frame", "page", "file", "PXL", "line")
)
"""Words that cameras and scanners begin names with."""
MOST_LOOKED_AT = 100_000
"""Pictures among which some of different classes are chosen to be shown."""
MAX_TEXT = 1_000_000
"""Bytes of a text beside a picture."""


def table(tree: Tree, name: str) -> Entry:
    """The file that holds rows. Raises DataError: it is no longer there."""
    entry = tree.entries.get(name)
    if entry is None:
        raise DataError(f"The rows of “{name}” were asked for", "the file is not there", "Bring the data again")
    return entry


def class_of(name: str) -> str:
    """The class that a picture's folder names, with blanks for underscores; nothing at the top or in `train/`.

    >>> class_of("train/golden_retriever/1.jpg"), class_of("train/1.jpg"), class_of("cats/images/1.jpg")
    ('golden retriever', '', 'cats')
    """
    return _class_of_path(name.rpartition("/")[0])


@lru_cache(maxsize=4096)
def _class_of_path(path: str) -> str:
    for folder in reversed(path.split("/")):
        if folder.lower() in ("images", "image", "imgs", "img", "jpegimages", "pictures", "photos"):
            continue
        return "" if side_of_value(folder) or side_of_folder(f"{folder}/") else folder.replace("_", " ").strip()
    return ""


def name_class(name: str) -> str:
    """The word that a picture's file name begins with.

    >>> name_class("train/cat.12.jpg"), name_class("golden_retriever_7.jpg"), name_class("0007.jpg")
    ('cat', 'golden retriever', '')
    """
    stem = name.rpartition("/")[2].rpartition(".")[0]
    found = re.match(r"[^\W\d]+(?:[ _-][^\W\d]+)*(?=[ ._-]*\(?\d+\)?$)", stem)
    return re.sub(r"[_-]+", " ", found[0]).strip() if found else ""


def sidecar_of(tree: Tree, name: str) -> str:
    """The name of the text file beside a picture, or in a folder beside the picture's; nothing when there is none."""
    folder, _, last = name.rpartition("/")
    stem = last.rpartition(".")[0]
    above = folder.rpartition("/")[0]
    folders = [folder, *(f"{above}/{other}".lstrip("/") for other in _TEXT_FOLDERS if folder)]
    names = (f"{place}/{stem}{suffix}".lstrip("/") for place in folders for suffix in SIDECARS)
    return next((one for one in (*names, f"{name}.txt") if one in tree.entries), "")


def class_records(tree: Tree) -> Iterator[Record]:
    """One record for each picture that lies in a folder of its class."""
    for name in tree.entries:
        if is_picture_file(name):
            yield Record(Place(name), {IMAGE: name, LABEL: class_of(name), NAME: name_class(name)}, "")


def of_each_class(tree: Tree, reading: Reading, count: int) -> list[int]:
    """Numbers of so many rows of class folders, in their order: the first of each class, then the second, and so on."""
    column = reading.columns.get("label", "")
    seen: Counter[str] = Counter()
    turns: list[tuple[int, int]] = []
    for number, record in enumerate(islice(class_records(tree), min(MOST_LOOKED_AT, reading.limit or MOST_LOOKED_AT))):
        name = str((record.values or {}).get(column, ""))
        if seen[name] < count:
            turns.append((seen[name], number))
        seen[name] += 1
    return sorted(number for _, number in sorted(turns)[:count])


def sidecar_records(tree: Tree) -> Iterator[Record]:
    """One record for each picture, with the text that stands beside it."""
    for name in tree.entries:
        if is_picture_file(name):
            yield _with_text(tree, name, sidecar_of(tree, name))


def _with_text(tree: Tree, name: str, text_file: str) -> Record:
    place = Place(text_file or name)
    if not text_file:
        return Record(place, {IMAGE: name, TEXT: ""}, "")
    try:
        data = tree.entries[text_file].read(MAX_TEXT + 1)
    except StudioError as error:
        return Record(place, None, error.reason)
    if len(data) > MAX_TEXT:
        return Record(place, None, f"it has more than {MAX_TEXT:,} bytes")
    try:
        return Record(place, {IMAGE: name, TEXT: data.decode("utf-8-sig").strip()}, "")
    except UnicodeDecodeError:
        return Record(place, {IMAGE: name, TEXT: data.decode("latin-1").strip()}, "it was read as Latin-1")
