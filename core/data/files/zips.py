"""The files of a zip, read in place: each by its own packed bytes, also from several threads.

What it does not do: unpack a file to disk, decide which names are safe (`archives.py`), or ask for a password.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from core.data.files import packing
from core.data.files.entries import Entry, is_noise, plain_name, shown, unreadable
from core.data.files.packing import Found

MAX_DIRECTORY = 64 * 2**20
"""Bytes of a zip's list of files."""
_LOCAL_HEADER = 30
"""Bytes of a file's own header before its name; APPNOTE 4.3.7."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of packing. Of bzip2 and LZMA `zipfile` unpacks all that it has read at once, whatever size a file should have."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


@dataclass(frozen=True)
class ZipEntry(Entry):
    """A file in a zip. Each reader opens the archive anew, so that threads do not wait for each other."""

    archive: Path = field(repr=False)
    info: zipfile.ZipInfo = field(repr=False)

    def open(self) -> BinaryIO:
        """A reader from the start; it raises DataError, also later, where the file is damaged."""
        try:
            file = self.archive.open("rb")
        except OSError:
            raise packing.damaged_inside(self.name) from None
        try:
            file.seek(self.info.header_offset)
            header = file.read(_LOCAL_HEADER)
            if header[:4] != b"PK\3\4":
                raise zipfile.BadZipFile
            file.seek(sum(struct.unpack("<HH", header[26:])), os.SEEK_CUR)  # its name and its extra fields
            member = zipfile.ZipExtFile(cast("Any", file), "r", self.info, close_fileobj=True)
        except (*_DAMAGE, struct.error):
            file.close()
            raise packing.damaged_inside(self.name) from None
        return cast("BinaryIO", io.BufferedReader(_Checked(member, self.name)))


class _Checked(io.RawIOBase):
    """A reader of a packed file whose troubles are said in words."""

    def __init__(self, member: zipfile.ZipExtFile, name: str) -> None:
        super().__init__()
        self._member, self.name = member, name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            found = self._member.read(len(buffer))
        except _DAMAGE:
            raise packing.damaged_inside(self.name) from None
        buffer[: len(found)] = found
        return len(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._member.seek(offset, whence)
        except _DAMAGE:
            raise packing.damaged_inside(self.name) from None

    def tell(self) -> int:
        return self._member.tell()

    def close(self) -> None:
        self._member.close()
        super().close()


class _TooMany(Exception):
    """A zip's list of files is too long to be read."""


class _Listing(io.FileIO):
    """A zip while its list of files is read: `zipfile` takes the whole list at once, however long it is."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise _TooMany
        found = super().read(size)
        if found.count(b"PK\1\2") > packing.MAX_ENTRIES:
            raise _TooMany
        return found


def zipped(path: Path, name: str) -> Iterator[Found]:
    """The files of a zip, in the order of its list.

    Args:
        path: where it lies.
        name: what it is called in sentences.

    Raises:
        DataError: it is no zip, is cut off, encrypted, lists too many files, or would grow too much.
    """
    infos = _infos(path, name)
    _refuse_traps(infos, path.stat().st_size, name)
    for info in infos:
        raw = _name_of(info)
        if not raw.endswith("/") and not is_noise(raw):
            entry = ZipEntry(plain_name(raw), info.file_size, path, info)
            yield Found(raw, entry, _why_not(info), (info.CRC, info.file_size))


def _infos(path: Path, name: str) -> list[zipfile.ZipInfo]:
    """A zip's list of files. Raises DataError: it is no zip, is cut off, encrypted, or lists too many."""
    try:
        with _Listing(path, "rb") as file, zipfile.ZipFile(cast("BinaryIO", file)) as archive:
            infos = archive.infolist()
    except _TooMany:
        raise packing.too_many(name) from None
    except _DAMAGE:
        with path.open("rb") as start:
            begun = start.read(4)
        if begun == b"PK\3\4":
            raise packing.damaged(name) from None
        raise unreadable(name, "it is no zip archive", "Pack the files again as a zip") from None
    if len(infos) > packing.MAX_ENTRIES:
        raise packing.too_many(name)
    locked = next((info for info in infos if info.flag_bits & 1), None)
    if locked is not None:
        reason = f"“{shown(_name_of(locked))}” in it is locked with a password"
        raise unreadable(name, reason, "Pack the files again without a password")
    return infos


def _refuse_traps(infos: list[zipfile.ZipInfo], packed: int, name: str) -> None:
    """Raises DataError when the files of a zip are far larger than the zip, or share their packed bytes."""
    for info in infos:
        if info.file_size > max(packing.SMALL, packing.MAX_RATIO * info.compress_size):
            grown = f"would unpack from {packing.in_words(info.compress_size)} to {packing.in_words(info.file_size)}"
            raise unreadable(name, f"“{shown(_name_of(info))}” in it {grown}", packing.FEWER)
    total = sum(info.file_size for info in infos)
    if total > min(packing.MAX_TOTAL, max(2**30, packing.MAX_RATIO * packed)):
        raise packing.would_grow(name, packed, total)
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise unreadable(name, "files in it share the same bytes, as only a trap would", packing.FEWER)
        end = info.header_offset + _LOCAL_HEADER + info.compress_size


def _why_not(info: zipfile.ZipInfo) -> str:
    """Why a file is not used, by its kind; nothing when it can be."""
    kind = stat.S_IFMT(info.external_attr >> 16)  # of a Unix file; nothing elsewhere
    if kind == stat.S_IFLNK:
        return packing.LINK
    if kind not in (0, stat.S_IFREG):
        return packing.NOT_PLAIN
    return "" if info.compress_type in _METHODS else "it is packed by a method that is not known here"


def _name_of(info: zipfile.ZipInfo) -> str:
    """The name as it was packed: with what stands behind a NUL, and in UTF-8 where that was not said but is so."""
    raw = info.orig_filename
    if not info.flag_bits & 0x800 and not raw.isascii():
        try:
            return raw.encode("cp437").decode("utf-8")
        except UnicodeError:
            return raw
    return raw
