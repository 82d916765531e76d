"""Tables read row by row: CSV, TSV, JSON Lines, JSON lists, Parquet and plain text, whatever their encoding.

A row that cannot be read is numbered and said in words, and reading goes on; memory stays flat at any size.
What it does not do: know what a column means (`core.data.formats.columns`), or open a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import PurePosixPath

from core.data.files.entries import Entry, unreadable
from core.data.tables.delimited import delimited, delimiter_of
from core.data.tables.json_lines import json_lines, parsed
from core.data.tables.json_lists import json_list, lists_of
from core.data.tables.lines import is_binary, lines_of, text_of
from core.data.tables.parquet import parquet, parquet_columns
from core.data.tables.record import ODD_SIGNS, TOO_LONG, Record
from core.spec.data import Place

__all__ = ["TABLES", "Record", "columns_of", "is_table", "lists_of", "read_table"]

TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")
"""Endings of files that may hold rows."""
_HEAD = 2**20
"""Characters by which the form of JSON is told."""


def is_table(name: str) -> bool:
    """Whether a file of this name may hold rows."""
    return name.lower().endswith(TABLES)


def read_table(entry: Entry, limit: int | None = None, part: str = "") -> Iterator[Record]:
    """The rows of a file in their order.

    Args:
        entry: the file.
        limit: stop after so many.
        part: of a JSON object that holds several lists (COCO's `images` and `annotations`), the one to read; the
            longest unless told.

    Raises:
        DataError: the file cannot be read or is no table at all; troubles of single rows are records.
    """
    return islice(_rows(entry, part), limit)


def columns_of(entry: Entry, part: str = "") -> tuple[str, ...]:
    """The columns that the first rows have, in the order in which they appear. Raises DataError as `read_table`."""
    if _ending(entry) == ".parquet":
        return parquet_columns(entry)
    found: dict[str, None] = {}
    for record in read_table(entry, 100, part):
        found.update(dict.fromkeys(record.values or ()))
    return tuple(found)


def _rows(entry: Entry, part: str) -> Iterator[Record]:
    """All rows; where there is none, a record says so."""
    if entry.size == 0:
        yield Record(Place(entry.name), None, "the file is empty", "empty")
        return
    none = True
    for record in _read(entry, part):
        none = none and record.values is None and record.kind == "form"
        yield record
    if none:
        yield Record(Place(entry.name), None, "there is no row in it, at most a header", "empty")


def _read(entry: Entry, part: str) -> Iterator[Record]:
    ending = _ending(entry)
    if ending == ".parquet":
        return parquet(entry)
    with entry.open() as file:
        if is_binary(file):
            raise unreadable(entry.name, "it is called a table and holds no text", "Save it as CSV or JSON Lines")
    if ending in (".jsonl", ".ndjson", ".json"):
        return _json(entry, part, ending)
    delimiter = delimiter_of(entry)
    return delimited(entry, delimiter) if delimiter else _plain(entry)


def _json(entry: Entry, part: str, ending: str) -> Iterator[Record]:
    """JSON in the form that it has, which its name may not say."""
    with text_of(entry) as file:
        head = file.read(_HEAD)
    lines = head.split("\n")[: -1 if len(head) == _HEAD else None]
    if head.lstrip().startswith("[") or (ending == ".json" and not _is_json_lines(lines[:20])):
        return json_list(entry, part)
    return json_lines(entry)


def _is_json_lines(lines: list[str]) -> bool:
    """Whether most lines are objects by themselves, whatever the file is called."""
    whole = [line for line in lines if line.strip()]
    return len(whole) > 1 and 2 * sum(parsed(line, Place("")).values is not None for line in whole) >= len(whole)


def _plain(entry: Entry) -> Iterator[Record]:
    """Lines of text, in one column."""
    for line in lines_of(entry):
        place = Place(entry.name, line.number)
        if line.long:
            yield Record(place, None, TOO_LONG, "long_line")
        elif text := line.text.strip():
            yield Record(place, {"text": text}, ODD_SIGNS if line.odd else "", "encoding" if line.odd else "")


def _ending(entry: Entry) -> str:
    return PurePosixPath(entry.name).suffix.lower()
