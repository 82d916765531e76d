"""Pictures that are told by where they lie: one folder a class, a text beside each, a class in each file's name.

What it does not do: read a table (`first_look`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any

from core.data.files.tree import Tree
from core.data.formats import folders
from core.data.formats.columns import looked_at
from core.data.formats.finder import Finder
from core.data.formats.judging import judge
from core.spec.data import Format, Part

LOOKED_AT = 200
"""Texts beside pictures that are read."""
_LAYERS = frozenset(("mask", "masks", "depth", "segmentation", "segmentations", "edges", "thumbnails", "annotations"))
_HEAPS = frozenset(
    (
        "batch",
        "part",
        "chunk",
        "folder",
        "dir",
        "group",
        "set",
        "volume",
        "vol",
        "page",
        "session",
        "day",
        "camera",
        "cam",
    )
)


@dataclass(frozen=True)
class Layout:
    """One way in which files say what is learned."""

    format: Format
    columns: dict[Part, str]
    reason: str
    sure: int
    others: tuple[tuple[Format, str], ...] = ()
    names: tuple[str, ...] = ()
    """Of all columns that there are."""
    pictures: tuple[str, ...] = ()
    """Those that it tells something of."""


def found(tree: Tree, finder: Finder, format: Format | None = None) -> list[Layout]:
    """The layouts that the files allow, or those of one format."""
    layouts = [*_sidecars(tree, finder, format), *_class_folders(finder), *_class_names(finder)]
    return [layout for layout in layouts if format is None or layout.format == format]


def _class_folders(finder: Finder) -> list[Layout]:
    """One folder a class: at least two folders, and nearly all pictures in one."""
    classes = Counter(folders.class_of(name) for name in finder.pictures)
    without = classes.pop("", 0)
    if len(classes) < 2 or without * 5 > len(finder.pictures) or _are_no_classes(classes):
        return []
    sure = 70 if len(classes) * 1.5 <= len(finder.pictures) else 45
    shown = ", ".join(f"“{name}”" for name in list(classes)[:3])
    reason = f"{len(classes)} folders hold pictures, such as {shown}; each folder is a class"
    told = tuple(name for name in finder.pictures if folders.class_of(name))
    return [_classes(folders.LABEL, reason, sure, told)]


def _are_no_classes(names: Iterable[str]) -> bool:
    """Whether folders are of masks beside pictures, or parts of one heap such as `batch 1` and `batch 2`."""
    words = {name: re.sub(r"[\W\d]+", " ", name.lower()).split() for name in names}
    masks = any(set(found) & _LAYERS for found in words.values())
    return masks or all(len(found) == 1 and found[0] in _HEAPS for found in words.values())


def _class_names(finder: Finder) -> list[Layout]:
    """A class at the start of each file's name, such as `cat.12.jpg`; only where classes repeat."""
    classes = Counter(folders.name_class(name) for name in finder.pictures)
    if len(classes) < 2 or "" in classes or min(classes.values()) < 2 or set(classes) & folders.NO_CLASS:
        return []
    shown = ", ".join(f"“{name}”" for name in list(classes)[:3])
    reason = f"the pictures' names begin with {len(classes)} different words, such as {shown}; each is a class"
    return [_classes(folders.NAME, reason, 35, finder.pictures)]


def _classes(label: str, reason: str, sure: int, pictures: tuple[str, ...]) -> Layout:
    columns: dict[Part, str] = {"image": folders.IMAGE, "label": label}
    names = (folders.IMAGE, folders.LABEL, folders.NAME)
    return Layout("classes", columns, reason, sure, names=names, pictures=pictures)


def _sidecars(tree: Tree, finder: Finder, format: Format | None) -> list[Layout]:
    """A text beside at least half of the pictures, that is more than numbers (which would be boxes)."""
    sample = finder.pictures[:: max(1, len(finder.pictures) // LOOKED_AT)]
    with_text = [name for name in sample if folders.sidecar_of(tree, name)]
    if not with_text or len(with_text) * 2 < len(sample):
        return []
    rows = [record.values for record in islice(folders.sidecar_records(tree), LOOKED_AT) if record.values]
    texts = [row[folders.TEXT] for row in rows if row[folders.TEXT]]
    if not texts or median(_numbers(text) for text in texts) > 0.8:
        return []
    return _told(rows, folders.sidecar_of(tree, with_text[0]), finder, format)


def _told(rows: Sequence[dict[str, Any]], example: str, finder: Finder, format: Format | None) -> list[Layout]:
    picture, column = looked_at(rows, finder)
    judged = judge(column, picture.wide)
    read = 90 if example.endswith(".gt.txt") else judged.ocr
    columns: dict[Part, str] = {"image": folders.IMAGE, "text": folders.TEXT}
    why = f"; {judged.why}" if judged.why else ""
    reason = f"text files lie beside the pictures, such as “{example}”; each {column.said()}{why}"
    kinds: tuple[tuple[Format, int], ...] = (("captions", judged.captions), ("ocr", read), ("pairs", 10))
    ranked = sorted(kinds, key=lambda pair: -pair[1])
    chosen = format if format in ("captions", "ocr", "pairs") else ranked[0][0]
    others = tuple((kind, reason) for kind, _ in ranked if kind != chosen)
    return [Layout(chosen, columns, reason, 90, others, (folders.IMAGE, folders.TEXT), finder.pictures)]


def _numbers(text: str) -> float:
    """Share of a text's words that are numbers."""
    words = text.split()
    return sum(word.replace(".", "").replace("-", "").isdecimal() for word in words) / max(1, len(words))
