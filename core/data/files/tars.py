"""The files of a tar, read in place; a compressed one is decompressed as a whole first.

What it does not do: write a file by the name it has in the archive, or follow a link.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from core.data.files import packing
from core.data.files.entries import Entry, is_noise, plain_name, unreadable
from core.data.files.packing import Found
from core.files import taking_the_place_of

PACKED_TARS = (".tar.gz", ".tgz")
"""Endings of compressed tars."""
RESERVE = 2**30
"""Bytes of the disk that stay free when a tar is decompressed."""
ZIP = "Pack the files as a zip, which is not unpacked"
_CHUNK = 2**20


@dataclass(frozen=True)
class TarEntry(Entry):
    """A file in a tar that is not compressed: a stretch of its bytes."""

    archive: Path = field(repr=False)
    start: int = field(repr=False)

    def open(self) -> BinaryIO:
        """A reader from the start. Raises DataError: the archive is gone."""
        try:
            return cast("BinaryIO", io.BufferedReader(_Stretch(self.archive, self.start, self.size)))
        except OSError:
            raise packing.damaged_inside(self.name) from None


class _Stretch(io.RawIOBase):
    """Some bytes of a file as a file."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._at = path.open("rb", buffering=0), start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self._size - self._at))
        found = os.pread(self._file.fileno(), wanted, self._start + self._at)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._file.close()
        super().close()


class _Headers(io.FileIO):
    """A tar while its headers are read: `tarfile` takes a name as long as the header says."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _CHUNK:
            raise tarfile.HeaderError("a header is too long")
        return super().read(size)


def tarred(path: Path, name: str) -> Iterator[Found]:
    """The files of a tar that is not compressed, in their order.

    Args:
        path: where it lies.
        name: what it is called in sentences.

    Raises:
        DataError: it is no tar, is cut off, or holds too many files.
    """
    for count, member in enumerate(_members(path, name), start=1):
        if count > packing.MAX_ENTRIES:
            raise packing.too_many(name)
        if not member.isdir() and not is_noise(member.name):
            entry = TarEntry(plain_name(member.name), member.size, path, member.offset_data)
            yield Found(member.name, entry, _why_not(member))


def _members(path: Path, name: str) -> Iterator[tarfile.TarInfo]:
    """The files of a tar, one by one. Raises DataError: it is no tar, or is cut off."""
    size = path.stat().st_size
    try:
        with _Headers(path, "rb") as file, tarfile.open(fileobj=cast("BinaryIO", file), mode="r:") as archive:
            while (member := archive.next()) is not None:
                if not member.issparse() and member.offset_data + member.size > size:
                    raise tarfile.ReadError
                yield member
                archive.members.clear()  # type: ignore[attr-defined] # it would keep them all
            file.seek(archive.offset)
            if file.read(1) != b"\0":  # tarfile takes damage in the middle for the end
                raise tarfile.ReadError
    except (tarfile.TarError, OSError, ValueError, EOFError):
        raise packing.damaged(name) from None


def _why_not(member: tarfile.TarInfo) -> str:
    """Why a file is not used, by its kind; nothing when it can be."""
    if member.issym() or member.islnk():
        return packing.LINK
    return "" if member.isreg() and not member.issparse() else packing.NOT_PLAIN


def decompressed(path: Path, name: str, staging: Path) -> Path:
    """The tar in a compressed one, made once.

    Args:
        path: where the compressed one lies.
        name: what it is called in sentences.
        staging: the folder for it; made where it is missing.

    Raises:
        DataError: it is damaged or cut off, would grow too much, or the disk is full.
    """
    target = staging / f"{path.name}.tar"
    if not target.is_file():
        staging.mkdir(parents=True, exist_ok=True)
        try:
            with gzip.open(path, "rb") as source, taking_the_place_of(target) as staged, staged.open("xb") as file:
                _copy(cast("BinaryIO", source), file, path.stat().st_size, name)
        except (EOFError, zlib.error):
            raise packing.damaged(name) from None
        except OSError as error:
            if error.errno:  # the disk's; a bad stream has no number
                raise unreadable(name, f"it could not be unpacked ({os.strerror(error.errno)})", ZIP) from None
            raise packing.damaged(name) from None
    return target


def _copy(source: BinaryIO, target: BinaryIO, packed: int, name: str) -> None:
    """Decompresses within the limits. Raises DataError: too large, or the disk is full."""
    limit = min(packing.MAX_TOTAL, max(packing.SMALL, packing.MAX_RATIO * packed))
    written = 0
    while chunk := source.read(_CHUNK):
        written += len(chunk)
        if written > limit:
            raise packing.would_grow(name, packed, limit, more=True)
        if shutil.disk_usage(os.path.dirname(target.name)).free < RESERVE:
            raise unreadable(name, "the disk is full", ZIP)
        target.write(chunk)
