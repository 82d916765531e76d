"""The rows of a tree, read one by one as a Reading says: tables, class folders, pictures with text files beside them.

What it does not do: guess what a column is for (`core.data.formats.recognition`), open a picture, judge a row
(`core.data.checking.checks`), or leave out what the reading drops: every row is there, usable or not, in a fixed order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any

from core.data import trouble
from core.data.files.tree import Entry, Tree
from core.data.formats import answers, coco, folders, templates
from core.data.formats.finder import Finder
from core.data.formats.sides import Side, side_of_folder, side_of_table, side_of_value
from core.data.formats.turns import Unusable, turns_of
from core.data.formats.values import kind_of, text_of, unfolded
from core.data.rows import Picture, Row
from core.data.tables import Record, lists_of, read_table
from core.spec.data import Part, Place, Reading

JOIN = ", "
"""Between the names of columns that hold a row's pictures together."""
_KINDS = {"encoding": trouble.ENCODING, "form": trouble.TABLE_FORM}
"""Kinds of trouble with a file that are no trouble of a row, by what tables call them."""
Trouble = tuple[str, str]
"""Its kind, one of `core.data.trouble`, and what is special here."""


@dataclass(frozen=True)
class Item:
    """One row as it was found."""

    place: Place
    row: Row | None
    """None when it cannot be used; the trouble says why."""
    side: Side = ""
    """By folder, file or column; empty when rows are held out by share."""
    group: str = ""
    trouble: tuple[Trouble, ...] = ()


def records(tree: Tree, reading: Reading, limit: int | None = None) -> Iterator[Item]:
    """All rows in their order, lazily; at most `limit`, and at most what the reading allows.

    Raises:
        DataError: a table that the reading names is not there, or cannot be read at all.
    """
    limits = [most for most in (limit, reading.limit) if most is not None]
    return islice(_items(tree, reading), min(limits) if limits else None)


def _items(tree: Tree, reading: Reading) -> Iterator[Item]:
    finder = Finder(tree, reading.foreign_paths)
    for record in found(tree, reading):
        yield from _of_record(record, reading, finder)


def records_at(tree: Tree, reading: Reading, numbers: Collection[int]) -> Iterator[tuple[int, Item]]:
    """Some rows of class folders, by their numbers: there each picture is one row, so that the others are passed by."""
    finder, last = Finder(tree, reading.foreign_paths), max(numbers, default=-1)
    for number, record in enumerate(islice(found(tree, reading), last + 1)):
        if number in numbers:
            yield from ((number, item) for item in _of_record(record, reading, finder))


def found(tree: Tree, reading: Reading, limit: int | None = None) -> Iterator[Record]:
    """The records behind the rows: those of the tables, or made of folders and files."""
    if not reading.tables:
        source = folders.class_records if reading.format == "classes" else folders.sidecar_records
        yield from source(tree)
    entries = [folders.table(tree, name) for name in reading.tables]
    replies = [entry for entry in entries if _is_apart(entry, reading)]
    for entry in entries:
        if reading.format == "coco":
            yield from coco.joined(entry)
        elif replies and entry not in replies:
            yield from answers.joined(entry, replies)
        elif not replies:
            yield from read_table(entry, limit)


def _is_apart(entry: Entry, reading: Reading) -> bool:
    """Whether a file holds the answers to another's questions."""
    several = reading.format == "vqa" and len(reading.tables) > 1
    return several and entry.name.lower().endswith(".json") and answers.is_answers(entry, lists_of(entry))


def _of_record(record: Record, reading: Reading, finder: Finder) -> Iterator[Item]:
    """The rows of one record: several where it holds several captions or questions."""
    if record.values is None:
        yield Item(record.place, None, trouble=((_KINDS.get(record.kind, trouble.BROKEN_ROW), record.trouble),))
        return
    values = record.values
    warnings = ((trouble.ENCODING, record.trouble),) if record.trouble else ()
    bare = Item(record.place, None, _side_of(record, reading), _cell(values, reading, "group"), warnings)
    try:
        if reading.split.by == "column" and not bare.side:
            raise Unusable(trouble.UNKNOWN_SPLIT, f"“{_cell(values, reading, 'split')[:40]}”")
        pictures = _pictures(record, reading, finder)
        side = bare.side or (side_of_folder(pictures[0].name) if pictures and reading.split.by == "folders" else "")
        numbers = count(len(pictures) + 1)
        conversations = templates.conversations(
            reading, values, lambda value: finder.find(value, record.place, next(numbers))
        )
    except Unusable as problem:
        yield replace(bare, trouble=(*warnings, (problem.kind, problem.detail)))
        return
    shape = ((trouble.STRUCTURE, ""),) if templates.is_structure(reading, values) else ()
    for said in conversations:
        yield _item(replace(bare, side=side, trouble=(*warnings, *shape)), reading, values, said, pictures)


def _item(
    bare: Item, reading: Reading, values: dict[str, Any], said: templates.Conversation, pictures: tuple[Picture, ...]
) -> Item:
    """One conversation with its pictures in place."""
    try:
        if not pictures and reading.format in templates.ABOUT_A_PICTURE:
            raise Unusable(trouble.NO_IMAGE, "")
        turns = turns_of(said, pictures, _cell(values, reading, "system") or reading.system)
    except Unusable as problem:
        return replace(bare, trouble=(*bare.trouble, (problem.kind, problem.detail)))
    row = Row(turns, _cell(values, reading, "language"), origin(bare.place))
    alone: tuple[Trouble, ...] = () if row.pictures else ((trouble.TEXT_ONLY, ""),)
    return replace(bare, row=row, trouble=(*bare.trouble, *alone))


def origin(place: Place) -> str:
    """Where a row stands, in words.

    >>> origin(Place("a.csv", 3)), origin(Place("a.json", 3)), origin(Place("cats/1.png"))
    ('a.csv, line 3', 'a.json, row 3', 'cats/1.png')
    """
    if place.row is None:
        return place.file
    counted = "row" if place.file.lower().endswith((".json", ".parquet")) else "line"
    return f"{place.file}, {counted} {place.row}"


def _cell(values: dict[str, Any], reading: Reading, part: Part) -> str:
    return text_of(values.get(reading.columns.get(part, "")))


def _side_of(record: Record, reading: Reading) -> Side:
    if reading.split.by == "column":
        return side_of_value(_cell(record.values or {}, reading, "split"))
    return side_of_table(record.place.file) if reading.split.by == "folders" else ""


def picture_columns(name: str, columns: Callable[[str], bool]) -> tuple[str, ...]:
    """The columns of a joined name, or the one; `columns` tells whether there is one of a name.

    >>> picture_columns("image_1, image_2", {"image_1", "image_2"}.__contains__)
    ('image_1', 'image_2')
    """
    return (name,) if columns(name) or JOIN not in name else tuple(name.split(JOIN))


def _pictures(record: Record, reading: Reading, finder: Finder) -> tuple[Picture, ...]:
    """The row's pictures, in their order. Raises Unusable: one is missing, or its name leads out."""
    values = record.values or {}
    name = reading.columns.get("image")
    if name is None:
        return ()
    pictures: list[Picture] = []
    for column in picture_columns(name, values.__contains__):
        value = unfolded(values.get(column))
        several = value if isinstance(value, (list, tuple)) else (value,)
        there = [one for one in several if kind_of(one) != "empty"]
        pictures += [finder.find(one, record.place, len(pictures) + n) for n, one in enumerate(there, 1)]
    return tuple(pictures)
