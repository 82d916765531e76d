"""A row as it stands in its file, or the trouble with it.

What it does not do: read a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from core.spec.data import Place

MAX_ROW = 8 * 2**20
"""Characters of a row of text: several pictures as base64 fit, and a hostile one does not fill the memory."""
TOO_LONG = f"it has more than {MAX_ROW // 2**20} MB; put pictures into files of their own"
ODD_SIGNS = "it is not UTF-8 and was read as Latin-1; look whether its letters are right"
Kind = Literal["", "broken_line", "long_line", "duplicate_key", "encoding", "form", "empty"]


@dataclass(frozen=True)
class Record:
    """A row as it stands in its file."""

    place: Place
    """`row` is None where the trouble is that of the whole file."""
    values: dict[str, Any] | None
    """By column; None where the row (or the file) cannot be used."""
    trouble: str = ""
    """What is wrong, in words; with values a warning."""
    kind: Kind = ""
    """Of the trouble. Without values: `broken_line`, `long_line`, `duplicate_key`, `empty` (the whole file).
    Warnings: `encoding`, `form` (read, though in another form than usual)."""
