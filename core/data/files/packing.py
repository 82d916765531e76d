"""What is the same for every archive: its limits, a file found in one, and the errors in words.

What it does not do: read an archive (`zips.py`, `tars.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.data.files.entries import Entry, unreadable
from core.errors import DataError

MAX_ENTRIES = 130_000
"""Files of one archive: each takes up to 1.4 kB of memory on its way, and COCO's largest part has 118,287."""
MAX_TOTAL = 64 * 2**30
"""Bytes of all files of an archive, unpacked."""
MAX_RATIO = 200
"""How many times larger than packed a file of more than `SMALL` bytes may be; text packs to a tenth."""
SMALL = 16 * 2**20
AGAIN = "Pack and bring it again"
FEWER = "Pack the files again, only those that are needed"
LINK = "it is a link, and links are not followed"
NOT_PLAIN = "it is no plain file"


@dataclass(frozen=True)
class Found:
    """A file of an archive before its name is looked at."""

    raw: str
    """Its name as it was packed."""
    entry: Entry
    reason: str = ""
    """Why it is not used."""
    sameness: object = field(default_factory=object)
    """Equal for files with equal contents, where the archive says so."""


def damaged(name: str) -> DataError:
    """The error of an archive that cannot be read to its end."""
    return unreadable(name, "the archive is damaged or its end is missing", AGAIN)


def damaged_inside(name: str) -> DataError:
    """The error of a file in an archive that cannot be unpacked."""
    return unreadable(name, "it is damaged in its archive", f"{AGAIN}, or take its rows out")


def too_many(name: str) -> DataError:
    """The error of an archive with too many files."""
    limit = f"it holds more than {MAX_ENTRIES:,} files"
    return unreadable(name, limit, "Make several archives of it, or put the rows and pictures into Parquet files")


def would_grow(name: str, packed: int, unpacked: int, more: bool = False) -> DataError:
    """The error of an archive that is far larger unpacked than packed."""
    reason = f"it would unpack from {in_words(packed)} to {'more than ' if more else ''}{in_words(unpacked)}"
    return unreadable(name, reason, FEWER)


def in_words(count: int) -> str:
    """Bytes in words.

    >>> in_words(194_000), in_words(200 * 2**20)
    ('189.5 kB', '200.0 MB')
    """
    for unit, name in ((2**30, "GB"), (2**20, "MB"), (2**10, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count} bytes"
