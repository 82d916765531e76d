"""Tables read row by row: CSV, TSV, JSON Lines, JSON lists, Parquet and plain text, whatever their encoding.

A row that cannot be read is numbered and said in words, and reading goes on; memory stays flat.
What it does not do: know what a column means (`columns.py`), or open a picture.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from core.data.entries import Entry
from core.spec.data import Place

TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")
"""Endings of files that may hold rows."""


@dataclass(frozen=True)
class Record:
    """A row as it stands in its file."""

    place: Place
    """`row` is None where the trouble is that of the whole file."""
    values: dict[str, Any] | None
    """By column; None where the row (or the file) cannot be used."""
    trouble: str = ""
    """What is wrong, in words; with values a warning."""
    kind: str = ""
    """Of the trouble: `broken_line`, `long_line`, `duplicate_key`, `encoding`, `form` (another form than the name
    says, read all the same), `empty`."""


def is_table(name: str) -> bool:
    """Whether a file of this name may hold rows."""
    return name.lower().endswith(TABLES)


def read_table(entry: Entry, limit: int | None = None, part: str = "") -> Iterator[Record]:
    """The rows of a file in their order.

    Args:
        entry: the file.
        limit: stop after so many rows.
        part: of a JSON object that holds several lists (COCO's `images` and `annotations`), the one to read; the
            first list of objects unless told.

    Raises:
        DataError: the file cannot be opened or is no table at all; troubles of single rows are records.
    """
    return islice(_rows(entry), limit)


def columns_of(entry: Entry, part: str = "") -> tuple[str, ...]:
    """The columns that the first rows have, in the order in which they appear."""
    found: dict[str, None] = {}
    for record in read_table(entry, 100, part):
        found.update(dict.fromkeys(record.values or ()))
    return tuple(found)


def lists_of(entry: Entry) -> tuple[str, ...]:
    """The keys of a JSON object under which lists of objects stand; none for any other file."""
    if not entry.name.lower().endswith(".json"):
        return ()
    with entry.open() as file:
        data = json.load(file)
    return tuple(key for key, value in data.items() if isinstance(value, list)) if isinstance(data, dict) else ()


def _rows(entry: Entry) -> Iterator[Record]:
    lower = entry.name.lower()
    with entry.open() as file:
        if lower.endswith((".csv", ".tsv")):
            lines = (line.decode("utf-8-sig") for line in file)
            for number, values in enumerate(csv.DictReader(lines, delimiter="\t" if lower[-3:] == "tsv" else ","), 2):
                yield Record(Place(entry.name, number), dict(values))
        elif lower.endswith(".json"):
            for number, value in enumerate(json.load(file), 1):
                yield Record(Place(entry.name, number), value)
        elif lower.endswith(".parquet"):
            from pyarrow.parquet import ParquetFile

            number = 0
            for batch in ParquetFile(file).iter_batches(64):
                for values in batch.to_pylist():
                    number += 1
                    yield Record(Place(entry.name, number), values)
        else:
            for number, line in enumerate(file, 1):
                try:
                    value = json.loads(line) if not lower.endswith(".txt") else {"text": line.decode().strip()}
                    yield Record(Place(entry.name, number), value)
                except ValueError:
                    yield Record(Place(entry.name, number), None, "it is not JSON", "broken_line")
