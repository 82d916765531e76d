"""Writes the files of a stored data set, row by row and picture by picture, and hashes what it writes.

What it does not do: read them (stored), choose rows, or give the set its place (importing).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core.data.rows import Picture, Row
from core.data.storing.stored import BATCH, INDEX, PICTURES


class ArrowWriter:
    """Rows into a file of equal batches."""

    def __init__(self, path: Path, schema: Any) -> None:
        import pyarrow as pa

        self._schema, self._waiting = schema, list[dict[str, Any]]()
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, schema)
        self.path, self.rows = path, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None and self._waiting:
            self._flush()
        self._writer.close()
        self._sink.close()
        if kind is None:
            sync(self.path)

    def add(self, row: dict[str, Any]) -> None:
        """One more row."""
        self._waiting.append(row)
        self.rows += 1
        if len(self._waiting) == BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_batch(pa.RecordBatch.from_pylist(self._waiting, schema=self._schema))
        self._waiting.clear()


class RowWriter:
    """Rows of one side, and their hash: the same rows give the same one, whatever library wrote the file."""

    def __init__(self, path: Path) -> None:
        self.file = ArrowWriter(path, _row_schema())
        self._hash = hashlib.sha256()

    def add(self, row: Row, numbers: dict[Picture, int]) -> None:
        """One more row, whose pictures have these numbers in the set. Where it came from is kept and not hashed."""
        parts = [[_part(part, numbers) for part in turn.parts] for turn in row.turns]
        turns = [{"speaker": turn.speaker, "parts": made} for turn, made in zip(row.turns, parts, strict=True)]
        self.file.add({"turns": turns, "language": row.language, "origin": row.origin})
        words = [[list(part.values()) for part in made] for made in parts]
        content = [row.language, [turn.speaker for turn in row.turns], words]
        self._hash.update(json.dumps(content).encode() + b"\n")

    def digest(self) -> bytes:
        """SHA-256 of all rows so far, in their order."""
        return self._hash.digest()


class PictureWriter:
    """Pictures one after the other, and their index."""

    def __init__(self, folder: Path, key: str) -> None:
        self._index = ArrowWriter(folder / INDEX, index_schema(key))
        self._path = folder / PICTURES
        self._file = self._path.open("wb")
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if kind is None:
            sync(self._path)
        self._index.__exit__(kind, error, at)

    def add(self, content: bytes, size: tuple[int, int], kind: str, digest: bytes | None = None) -> None:
        """One more picture, its SHA-256 if it is known; its number is how many came before."""
        digest = digest or hashlib.sha256(content).digest()
        self._hash.update(digest)
        place = {"offset": self._file.tell(), "size": len(content), "width": size[0], "height": size[1]}
        self._file.write(content)
        self._index.add({"digest": digest, "kind": kind, **place})

    def digest(self) -> bytes:
        """SHA-256 of the digests of all pictures so far, in their order."""
        return self._hash.digest()


def index_schema(key: str) -> Any:
    """Columns of the pictures' index; its metadata say by a key what the pictures were made of."""
    import pyarrow as pa

    whole, small = pa.int64(), pa.int32()
    columns = [("digest", pa.binary(32)), ("offset", whole), ("size", whole), ("width", small), ("height", small)]
    return pa.schema([*columns, ("kind", pa.string())], metadata={"key": key})


def key_of(folder: Path) -> str:
    """What the pictures of a set were made of, see `index_schema`; nothing where it cannot be read."""
    import pyarrow as pa

    try:
        with pa.OSFile(str(folder / INDEX), "rb") as file:
            return str((pa.ipc.open_file(file).schema.metadata or {}).get(b"key", b"").decode())
    except (OSError, pa.ArrowInvalid):
        return ""


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _row_schema() -> Any:
    import pyarrow as pa

    part = pa.struct([("text", pa.large_string()), ("picture", pa.int32())])
    turn = pa.struct([("speaker", pa.string()), ("parts", pa.list_(part))])
    return pa.schema([("turns", pa.list_(turn)), ("language", pa.string()), ("origin", pa.string())])


def _part(part: str | Picture, numbers: dict[Picture, int]) -> dict[str, Any]:
    return {"text": part, "picture": None} if isinstance(part, str) else {"text": None, "picture": numbers[part]}
