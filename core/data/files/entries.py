"""The files of an upload, whatever they lie in: each has a name inside of it, a size, and can be read.

Names are POSIX paths, relative to what was given, in Unicode's composed form (NFC), without `.` and `..`.
What it does not do: list a folder (`tree.py`) or an archive (`archives.py`), or follow a link.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from core.errors import DataError

MAX_READ = 128 * 2**20
"""Bytes of a file that is read as a whole, unless told otherwise; tables are read piece by piece."""
MAX_NAME = 1000
"""Characters of a name with its folders."""
_USUAL = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.() -]*/)*[A-Za-z0-9_][A-Za-z0-9_.() -]*")
"""Names that need no closer look, unless they are long."""
_NOISE = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini"))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|(file|data|ftp|http|https|javascript):", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that turn the direction of writing, and so make a name look like another."""


@dataclass(frozen=True)
class Entry(ABC):
    """A file by its name; opening it twice gives two readers, also from two threads."""

    name: str
    size: int
    """Bytes when unpacked."""

    @abstractmethod
    def open(self) -> BinaryIO:
        """A reader from the start. Raises DataError: it cannot be read."""

    def read(self, limit: int | None = None) -> bytes:
        """The whole file.

        Args:
            limit: most bytes that are taken; `MAX_READ` unless told.

        Raises:
            DataError: it is larger, damaged, or no longer there.
        """
        limit = MAX_READ if limit is None else limit
        if self.size <= limit:
            with self.open() as file:
                found = file.read(limit + 1)
            if len(found) <= limit:
                return found
        raise unreadable(self.name, f"it has more than {limit / 2**20:,.0f} MB", "Make the file smaller")


@dataclass(frozen=True)
class FileEntry(Entry):
    """A file of its own on disk."""

    path: Path = field(repr=False)

    def open(self) -> BinaryIO:
        """A reader from the start. Raises DataError: it is gone, became a link, or may not be read."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise unreadable(self.name, "it is no longer there", "Put it back") from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _became_a_link(self.name) from None
            raise unreadable(self.name, (error.strerror or "it cannot be read").lower(), "Check its rights") from None
        file = os.fdopen(handle, "rb")
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise unreadable(self.name, "it is no plain file", "Put a plain file there")
            if _opened_at(handle, self.path) != os.fspath(self.path):
                raise _became_a_link(self.name)
        except BaseException:
            file.close()
            raise
        return file


def _opened_at(handle: int, path: Path) -> str:
    """Where an open file really lies, also when a folder above it is changed at this moment (Linux)."""
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:  # other systems can only look again
        return os.path.realpath(path)


def _became_a_link(name: str) -> DataError:
    return unreadable(name, "it became a link, and links are not followed", "Put the file itself there")


def plain_name(raw: str) -> str:
    """The name as it stands in a tree: composed Unicode, `/` between folders, no `.` and no empty part.

    >>> plain_name("./images\\\\cats//1.png")
    'images/cats/1.png'
    """
    if _USUAL.fullmatch(raw):
        return raw
    if not raw.isascii():
        raw = unicodedata.normalize("NFC", raw)
    parts = raw.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def trouble_with(raw: str, climbing: bool = False) -> str:
    """Why a name cannot be that of a file inside; nothing when it can.

    Args:
        raw: as it was found, before `plain_name`.
        climbing: whether `..` may stand in it, because the caller looks where it leads.
    """
    if len(raw) <= 200 and _USUAL.fullmatch(raw):
        return ""
    if "\0" in raw:
        return "the name holds a NUL sign"
    if _SCHEME.match(raw):
        return "it is an address, and nothing is fetched or opened by an address"
    if raw.startswith(("//", "\\\\")):
        return "it is a path of the network"
    if is_rooted(raw):
        return "it is a path from the root of a machine"
    if not climbing and ".." in raw.replace("\\", "/").split("/"):
        return "it climbs out with “..”"
    if not raw.isprintable() and any(
        unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in _TURNING for sign in raw
    ):
        return "the name holds signs that cannot be shown"
    if len(raw) > MAX_NAME or any(len(part.encode()) > 255 for part in re.split(r"[\\/]", raw)):
        return "the name is too long"
    return "" if plain_name(raw) else "the name is empty"


def is_rooted(raw: str) -> bool:
    """Whether a name is a path from the root of a machine, of any system.

    >>> is_rooted("C:\\\\pictures\\\\1.png"), is_rooted("/home/me/1.png"), is_rooted("pictures/1.png")
    (True, True, False)
    """
    return raw.startswith(("/", "\\")) or _DRIVE.match(raw) is not None


def is_noise(name: str) -> bool:
    """Whether a name is that of a hidden file, or of one that an operating system leaves behind."""
    return any((part.startswith(".") and part not in (".", "..")) or part in _NOISE for part in name.split("/"))


def shown(raw: str) -> str:
    """The name as it can stand in a sentence: signs that cannot be shown are written out, and long ones are cut."""
    text = "".join(sign if sign.isprintable() and sign not in _TURNING else f"\\x{ord(sign):02x}" for sign in raw[:120])
    return text + ("…" if len(raw) > 120 else "")


def unreadable(name: str, reason: str, remedy: str) -> DataError:
    """The error of a file that cannot be read."""
    return DataError(f"The file “{shown(name)}” was read", reason, remedy)
