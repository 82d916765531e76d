"""The lines of a text file, numbered, whatever their encoding: UTF-8, UTF-16, UTF-32 or Latin-1, and any line ends.

What it does not do: hold more than one line, or know what a line says.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from core.data.files.entries import Entry
from core.data.tables.record import MAX_ROW

_HEAD = 65_536
_SKIPPED = 2**20
_RAW = re.compile("[\udc80-\udcff]+")
"""Bytes that are no UTF-8, as `surrogateescape` has them."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Line(NamedTuple):
    """A line with its end, which is always a single LF where there is one."""

    number: int
    """From 1."""
    text: str
    odd: bool = False
    """Whether some of it is not UTF-8, and was read as Latin-1."""
    long: bool = False
    """Whether it is longer than `MAX_ROW`; its text is not kept."""


def lines_of(entry: Entry) -> Iterator[Line]:
    """The lines of a text file. Raises DataError: it cannot be read."""
    with text_of(entry) as file:
        number = 0
        while text := file.readline(MAX_ROW + 1):
            number += 1
            if len(text) > MAX_ROW and not text.endswith("\n"):
                while text and not text.endswith("\n"):
                    text = file.readline(_SKIPPED)
                yield Line(number, "", long=True)
            elif is_odd(text):
                yield Line(number, as_latin(text), odd=True)
            else:
                yield Line(number, text)


def text_of(entry: Entry) -> io.TextIOWrapper:
    """The file as text; bytes that do not fit are kept as `surrogateescape` has them. Raises DataError: unreadable."""
    with entry.open() as file:
        encoding = _encoding(file.read(_HEAD))
    return io.TextIOWrapper(entry.open(), encoding, errors="surrogateescape" if "8" in encoding else "replace")


def _encoding(head: bytes) -> str:
    """What the first bytes say; UTF-8 unless they say something else."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    first, second, half = head[::2].count(0), head[1::2].count(0), len(head) // 2
    if max(first, second) > 0.5 * half > 10 * min(first, second):  # two bytes a sign, without the mark
        return "utf-16-le" if second > first else "utf-16-be"
    return "utf-8-sig"


def is_odd(text: str) -> bool:
    """Whether text holds bytes that are no UTF-8."""
    return not text.isascii() and _RAW.search(text) is not None


def as_latin(text: str) -> str:
    """Text with the bytes that are no UTF-8 read as Windows-1252, which is Latin-1 with more signs.

    >>> as_latin("caf\\udce9")
    'café'
    """

    def read(found: re.Match[str]) -> str:
        raw = found.group().encode("ascii", "surrogateescape")
        try:
            return raw.decode("cp1252")
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    return _RAW.sub(read, text)


def first_lines(entry: Entry, count: int) -> list[str]:
    """Some lines to tell a file's form by, not many of long ones; none of a file that begins with a huge one."""
    found: list[str] = []
    for line in lines_of(entry):
        if line.long or len(found) >= count:
            break
        found.append(line.text)
        if sum(map(len, found)) > _SKIPPED:
            break
    return found


def is_binary(file: BinaryIO) -> bool:
    """Whether bytes from the start hold what no text does."""
    head = file.read(_HEAD)
    return _encoding(head) == "utf-8-sig" and b"\0" in head
