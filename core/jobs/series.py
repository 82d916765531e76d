"""Files that grow while a worker writes them, read from a byte offset: points and words.

What it does not do: write. A torn last line, and a torn last letter, are left for the next read.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

MAX_BYTES = 4 * 1024 * 1024
"""The most that one call reads; the caller asks again with the offset it got."""

_PATH = re.compile(r"(?<![\w.:/…])/(?:[^\s/'\":,;()\[\]<>|]+/)+")
"""The folders of an absolute path; the path of a web address does not count."""
_LONGEST_PATH = 4096
_LAST_WORD = re.compile(rb"(?<!\S)\S*/\S*\Z")
"""An unfinished line's last word, where it holds a slash."""
_EXCEPTION = re.compile(r"((?:\w+\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Killed))(?::|$)")


def read_points(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Whole lines after the offset as dicts, and where the next read begins. A damaged whole line is left out."""
    chunk, offset = _read(path, offset)
    end = chunk.rfind(b"\n") + 1
    if end == 0 and len(chunk) == MAX_BYTES:  # no line of ours is that long: damage, step over it
        return [], offset + len(chunk)
    points = [point for line in chunk[:end].splitlines() if (point := _point(line)) is not None]
    return points, offset + end


def read_words(path: Path, offset: int) -> tuple[str, int]:
    """Text after the offset without this machine's folders, and where the next read begins."""
    chunk, offset = _read(path, offset)
    word = _LAST_WORD.search(chunk[-_LONGEST_PATH:])
    if word:  # a path that may go on: for the next read
        chunk = chunk[: len(chunk) - len(word[0])]
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(chunk)
    return without_paths(text), offset + len(chunk) - len(decoder.getstate()[0])


def without_paths(text: str) -> str:
    """The text with every absolute path cut to its last name, for those who need not know where things lie here.

    >>> without_paths('File "/home/anna/studio/core/spec.py", line 7; see https://example.org/a/b')
    'File "…/spec.py", line 7; see https://example.org/a/b'
    """
    return _PATH.sub("…/", text)


def last_error(path: Path) -> str:
    """The class of the exception with which a log ends, or nothing; its message may hold anything."""
    length = path.stat().st_size if path.exists() else 0
    lines = read_words(path, max(0, length - 4096))[0].splitlines()
    found = [match[1] for line in lines if (match := _EXCEPTION.match(line))]
    return found[-1].rpartition(".")[2] if found else ""


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
