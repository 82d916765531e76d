"""About how many rows data have, told by the first megabyte of each table: what a progress bar needs.

What it does not do: count. Rows of several captions, cells of several lines and conversations make it differ.
"""

from __future__ import annotations

from core.data.files.entries import Entry
from core.data.files.tree import Tree
from core.data.formats.finder import is_picture_file
from core.errors import StudioError
from core.spec import Reading

START = 1_000_000
"""Bytes that are looked at."""


def expected_rows(tree: Tree, reading: Reading) -> int | None:
    """About how many rows will be read; None where only reading tells."""
    if not reading.tables:
        found: int | None = sum(map(is_picture_file, tree.entries))
    else:
        parts = [_rows_in(tree.entries[name], reading) for name in reading.tables if name in tree.entries]
        found = None if None in parts else sum(part for part in parts if part is not None)
    if found is None or reading.limit is None:
        return found
    return min(found, reading.limit)


def _rows_in(entry: Entry, reading: Reading) -> int | None:
    """About how many rows a table has; None for none in sight."""
    try:
        if entry.name.lower().endswith(".parquet"):
            return _rows_in_parquet(entry)
        with entry.open() as file:
            start = file.read(START)
    except (StudioError, OSError, ValueError):  # reading it will say what is wrong
        return None
    key = reading.columns.get("image") or reading.columns.get("messages") or ""
    is_json = entry.name.lower().endswith(".json")
    count = start.count(f'"{key}"'.encode()) if is_json and key else 0 if is_json else start.count(b"\n")
    return round(count * max(1.0, entry.size / max(1, len(start)))) or None


def _rows_in_parquet(entry: Entry) -> int:
    """What the file's end says. Raises OSError, ValueError: it is damaged."""
    from pyarrow.parquet import ParquetFile

    with entry.open() as file:
        return int(ParquetFile(file).metadata.num_rows)
