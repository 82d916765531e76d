"""Files that grow while a worker writes them, read from a byte offset: points and words.

What it does not do: write. A torn last line, and a torn last letter, are left for the next read.
"""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

MAX_BYTES = 4 * 1024 * 1024
"""The most that one call reads; the caller asks again with the offset it got."""


def read_points(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Whole lines after the offset as dicts, and where the next read begins. A damaged whole line is left out."""
    chunk, offset = _read(path, offset)
    end = chunk.rfind(b"\n") + 1
    if end == 0 and len(chunk) == MAX_BYTES:  # no line of ours is that long: damage, step over it
        return [], offset + len(chunk)
    points = [point for line in chunk[:end].splitlines() if (point := _point(line)) is not None]
    return points, offset + end


def read_words(path: Path, offset: int) -> tuple[str, int]:
    """Text after the offset, and where the next read begins."""
    chunk, offset = _read(path, offset)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(chunk)
    return text, offset + len(chunk) - len(decoder.getstate()[0])


def last_words(path: Path, size: int = 400) -> str:
    """The last line that says something, for a sentence about what went wrong."""
    length = path.stat().st_size if path.exists() else 0
    lines = [line.strip() for line in read_words(path, max(0, length - 4096))[0].splitlines() if line.strip()]
    return lines[-1][:size] if lines else ""


def _read(path: Path, offset: int) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            length = file.seek(0, 2)
            start = offset if 0 <= offset <= length else 0  # a file that got shorter is read anew
            file.seek(start)
            return file.read(MAX_BYTES), start
    except FileNotFoundError:
        return b"", 0


def _point(line: bytes) -> dict[str, Any] | None:
    try:
        point = json.loads(line)
    except ValueError:
        return None
    return point if isinstance(point, dict) else None
