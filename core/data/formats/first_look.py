"""The tables of a tree, each looked at by its first rows.

What it does not do: choose among them (`core.data.formats.recognition`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from core.data.files.tree import Entry, Tree
from core.data.formats import answers, coco, evidence, roles
from core.data.formats.columns import Column, looked_at
from core.data.formats.evidence import Candidate
from core.data.formats.finder import Finder
from core.data.formats.sides import Side, side_of_folder
from core.data.formats.turns import Unusable
from core.data.formats.values import kind_of, unfolded
from core.data.tables import Record, is_table, lists_of, read_table
from core.errors import StudioError
from core.spec.data import Place

LOOKED_AT = 200
"""Rows of a table that are looked at."""
MOST_TABLES = 40
"""Tables of different names that are looked at; files whose names differ in numbers only are of one kind."""
MOST_ALIKE = 8
"""JSON files whose names differ in numbers only that are looked into; there may be one for each picture."""
MAX_BYTES = 32 * 2**20
"""Of rows that are held at a time for a look."""
_NO_DATA = re.compile(
    r"(sample_?submission.*|readme.*|licen[sc]e.*|requirements|classes|dataset_infos?)\.\w+", re.IGNORECASE
)


@dataclass(frozen=True)
class Table:
    """A file with rows, as its first ones show it."""

    name: str
    size: int
    """Bytes, of all that are alike."""
    alike: tuple[str, ...]
    """Files whose names differ from it in numbers only, itself among them, and those that hold its answers."""
    columns: tuple[Column, ...]
    rows: int
    """About how many rows all of them have, by their size."""
    candidates: tuple[Candidate, ...]
    """Ways to read it, the surest first."""
    picture_sides: frozenset[Side] = frozenset()
    """What the folders of its first pictures say."""
    coco: bool = False
    heads: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the first values, by column."""


def survey(tree: Tree, finder: Finder) -> list[Table]:
    """The tables of a tree, in the order of their names; those that cannot be read are left out."""
    beside = {name.rpartition(".")[0] for name in finder.pictures}
    alike: dict[str, list[str]] = {}
    for name in tree.entries:
        path = PurePosixPath(name)
        if is_table(name) and not _NO_DATA.fullmatch(path.name) and not _is_sidecar(name, beside):
            alike.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    kinds = list(islice(alike.values(), MOST_TABLES))
    some = [name for names in kinds for name in names[:MOST_ALIKE] if name.lower().endswith(".json")]
    lists = {name: _lists(tree.entries[name]) for name in some}
    replies = [tree.entries[name] for name in lists if answers.is_answers(tree.entries[name], lists[name])]
    asked = [name for name in lists if replies and answers.is_questions(tree.entries[name], lists[name])]
    joined = {*asked, *(entry.name for entry in replies)} if asked else set()
    tables = [_look(tree, names, finder, lists.get(names[0], ())) for names in kinds if names[0] not in joined]
    tables += [_look(tree, [name], finder, lists[name], replies) for name in asked]
    return [table for table in tables if table is not None]


def _lists(entry: Entry) -> tuple[str, ...]:
    """The lists of a JSON object; none where it cannot be read."""
    try:
        return lists_of(entry)
    except StudioError:
        return ()


def _is_sidecar(name: str, pictures: set[str]) -> bool:
    """Whether a file belongs to one picture: `a/1.txt`, `a/1.gt.txt` or `a/1.png.txt` beside `a/1.png`."""
    stem = PurePosixPath(name).with_suffix("")
    return stem.as_posix() in pictures or stem.with_suffix("").as_posix() in pictures


def _look(
    tree: Tree, names: Sequence[str], finder: Finder, lists: Sequence[str], replies: Sequence[Entry] = ()
) -> Table | None:
    """The first of some files that are alike, with its columns; None when it has no rows."""
    entry = tree.entries[names[0]]
    try:
        is_coco = coco.is_coco(entry, lists)
        found = answers.joined(entry, replies) if replies else coco.joined(entry) if is_coco else read_table(entry)
        rows = _first(found)
    except StudioError:
        return None
    if not rows:
        return None
    columns = looked_at(rows, finder, entry.name)
    ways = [coco.candidate(columns)] if is_coco else evidence.candidates(columns)
    size = sum(tree.entries[name].size for name in names)
    sides = _picture_sides(rows, columns, finder, entry.name)
    names = (*names, *(reply.name for reply in replies))
    return Table(entry.name, size, names, columns, _count(rows, size), tuple(ways), sides, is_coco, _heads(rows))


def _first(found: Iterable[Record]) -> list[dict[str, Any]]:
    """The first rows that can be read; fewer where they hold large pictures."""
    rows: list[dict[str, Any]] = []
    size = 0
    for record in islice(found, LOOKED_AT):
        if isinstance(record.values, dict):
            rows.append(record.values)
            size += _size(record.values)
        if size > MAX_BYTES:
            break
    return rows


def _size(value: Any) -> int:
    """About how many bytes a value has in a file; a list or an object in it counts for what it takes in memory."""
    if isinstance(value, (str, bytes, bytearray)):
        return len(value)
    if not isinstance(value, (dict, list, tuple)):
        return 8
    parts = value.values() if isinstance(value, dict) else value
    return sum(_size(part) + (64 if isinstance(part, (dict, list, tuple)) else 0) for part in parts)


def _heads(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """A hash of what the first rows hold, by column."""
    names = dict.fromkeys(name for row in rows[:3] for name in row)
    return {name: sha256(repr([row.get(name) for row in rows[:3]]).encode()).hexdigest() for name in names}


def _count(rows: Sequence[dict[str, Any]], size: int) -> int:
    """About how many rows lie in some bytes: all of them if few, else by the size of the first."""
    read = sum(_size(row) for row in rows)
    if len(rows) < LOOKED_AT and read <= MAX_BYTES:
        return len(rows)
    return max(len(rows), size * len(rows) // max(1, read))


def _picture_sides(
    rows: Sequence[dict[str, Any]], columns: Sequence[Column], finder: Finder, beside: str
) -> frozenset[Side]:
    names = [column.name for column in roles.picture_columns(columns)]
    values = [unfolded(row.get(name)) for row in rows[:50] for name in names]
    single = [one for value in values for one in (value if isinstance(value, list) else [value])]
    found: set[Side] = set()
    for value in single:
        if kind_of(value) == "empty":
            continue
        try:
            found.add(side_of_folder(finder.find(value, Place(beside)).name))
        except Unusable:
            continue
    return frozenset(found)
