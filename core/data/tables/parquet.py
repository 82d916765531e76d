"""Parquet, a few rows at a time: pictures stay as bytes, class numbers get their names.

What it does not do: decode a picture, or read a whole row group into memory, unless its writer made one page of it
(a dictionary of all its pictures).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from core.data.files.entries import Entry, FileEntry, unreadable
from core.data.files.packing import MAX_RATIO, SMALL, would_grow
from core.data.tables.record import Record
from core.spec.data import Place

if TYPE_CHECKING:
    from pyarrow import Schema
    from pyarrow.parquet import FileMetaData

BATCH = 16
"""Rows that are held at once; each may have several pictures."""
_PAGE = 2**20
"""Bytes that are read at once."""


def parquet(entry: Entry) -> Iterator[Record]:
    """The rows of a Parquet file, counted from 1. Raises DataError: it is damaged."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with _seekable(entry) as file, ParquetFile(file, buffer_size=_PAGE, pre_buffer=False) as table:
            _refuse_a_bomb(entry, table.metadata)
            named = _names_of_classes(table.schema_arrow)
            for batch in table.iter_batches(BATCH, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    yield Record(Place(entry.name, number), {**values, **{key: of(values[key]) for key, of in named}})
    except (ArrowException, OSError, ValueError, OverflowError):
        reason = "it is no Parquet file, or it is damaged" + (f" behind row {number:,}" if number else "")
        raise unreadable(entry.name, reason, "Write it again, or give the rows as JSON Lines") from None


def _refuse_a_bomb(entry: Entry, about: FileMetaData) -> None:
    """Raises DataError: the rows are far larger than the file, as its own list of row groups says."""
    unpacked = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
    if unpacked > max(SMALL, MAX_RATIO * entry.size):
        raise would_grow(entry.name, entry.size, unpacked)


def parquet_columns(entry: Entry) -> tuple[str, ...]:
    """The columns of a Parquet file, without reading a row. Raises DataError: it is damaged."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with _seekable(entry) as file, ParquetFile(file) as table:
            return tuple(table.schema_arrow.names)
    except (ArrowException, OSError, ValueError, OverflowError):
        remedy = "Write it again, or give the rows as JSON Lines"
        raise unreadable(entry.name, "it is no Parquet file, or it is damaged", remedy) from None


def _seekable(entry: Entry) -> BinaryIO:
    """A reader that jumps: the file itself, or for a packed one a copy on disk that has no name."""
    if isinstance(entry, FileEntry):
        return entry.open()
    copy = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
    with entry.open() as file:
        shutil.copyfileobj(file, copy, _PAGE)
    return copy


def _names_of_classes(schema: Schema) -> list[tuple[str, Callable[[Any], Any]]]:
    """Columns of class numbers, as `datasets` writes their names beside the schema, each with what to make of one."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = {key: feature["names"] for key, feature in features.items() if feature.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError, AttributeError):
        return []
    return [(key, _namer(known)) for key, known in names.items() if key in schema.names and isinstance(known, list)]


def _namer(names: list[str]) -> Callable[[Any], Any]:
    return lambda value: names[value] if isinstance(value, int) and 0 <= value < len(names) else value
