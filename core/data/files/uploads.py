"""Uploads: files that arrive in pieces and may be taken up again where they stopped.

    OWNER/uploads/ID/upload.json, 0, 1, ...      files as they arrive, named by their number

No path is made from what a browser sends: ids are looked up by their form, files lie under their number.
What it does not do: know who the owner is (`Home.data`), or look into a file (drafts).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import FileIO
from pathlib import Path

from pydantic.dataclasses import dataclass as checked

from core.errors import DataError, SourceNotFound, SpecError
from core.spec import read, write

LIMIT_VARIABLE = "STUDIO_MAX_UPLOAD"
"""Bytes of one upload."""
MAX_FILES = 100_000
MAX_NAME = 1024
MAX_UPLOADS = 20
"""That one owner may leave unfinished."""
SPARE_BYTES = 500 * 1024 * 1024
"""Left free on the disk after an upload."""
_ID = re.compile(r"[0-9a-f]{32}")
SENT = "upload.json"


class TooLarge(DataError):
    """More bytes or files than the server takes."""


@dataclass(frozen=True)
class Upload:
    """Files on their way."""

    id: str
    files: tuple[tuple[str, int], ...]
    """Names and sizes (bytes) as the browser said."""
    received: tuple[int, ...]
    """Bytes of each that are there."""


@checked(frozen=True)
class _Sent:
    """`upload.json`."""

    files: tuple[tuple[str, int], ...]


class Uploads:
    """Uploads of one owner; safe to use from many threads and processes.

    Args:
        root: the owner's folder, see `Home.data`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def create_upload(self, files: Sequence[tuple[str, int]]) -> str:
        """Makes room for files of these names and sizes (bytes) -> the upload's id.

        Raises:
            TooLarge: they are too many, too large together, or larger than the disk's free space.
            DataError: there is none, or a name or a size makes no sense.
        """
        _check_sent(files)
        if sum(bool(_ID.fullmatch(other.name)) for other in self._folder("uploads").iterdir()) >= MAX_UPLOADS:
            raise TooLarge(
                "An upload was begun", f"{MAX_UPLOADS} others are unfinished", "End them or throw them away first"
            )
        self._check_room(sum(size for _, size in files))
        new = secrets.token_hex(16)
        folder = self._folder("uploads") / new
        folder.mkdir(mode=0o700)
        try:
            write(_Sent(tuple((name, size) for name, size in files)), folder / SENT)
        except BaseException:
            discard(folder)
            raise
        return new

    def upload(self, id: str) -> Upload:
        """How far an upload is, to take it up again. Raises SourceNotFound: there is none."""
        folder = self._find("uploads", id)
        files = _sent(folder)
        return Upload(id, files, tuple(_size(folder / str(number)) for number in range(len(files))))

    def receive(self, id: str, number: int, offset: int, chunks: Iterable[bytes]) -> int:
        """Adds bytes to a file -> how many of it are there now.

        Raises:
            SourceNotFound: there is no such upload or file.
            DataError: the bytes do not follow what is there; ask `upload` how far it is.
            TooLarge: more came than was announced, or the disk is full.
        """
        folder = self._find("uploads", id)
        files = _sent(folder)
        if not 0 <= number < len(files):
            raise unknown("file")
        name, size = files[number]
        with _opened(folder / str(number)) as file:
            _take_hold(file)
            there = file.seek(0, os.SEEK_END)
            if offset != there:
                asked = f"Bytes from {offset:,} of “{name[:100]}” came"
                raise DataError(asked, f"{there:,} bytes are there", "Go on from where it stopped")
            return _append(file, there, size, chunks)

    def remove_upload(self, id: str) -> None:
        """Throws away what has arrived. Raises SourceNotFound: there is none."""
        discard(self._find("uploads", id))

    def _folder(self, kind: str) -> Path:
        folder = self.root / kind
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _find(self, kind: str, id: str) -> Path:
        folder = self.root / kind / id if _ID.fullmatch(id) else None
        if folder is None or not folder.is_dir():
            raise unknown(kind[:-1])
        return folder

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._folder("uploads")).free
        if needed > free - SPARE_BYTES:
            raise TooLarge(
                f"{needed / 1e6:,.0f} MB were to be sent",
                f"the server's disk has {max(0, free - SPARE_BYTES) / 1e6:,.0f} MB to spare",
                "Send less, or make room on the server",
            )


def max_upload() -> int:
    """Bytes that one upload may have: as STUDIO_MAX_UPLOAD says, 20 GiB otherwise, 2 GiB on a Space."""
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if text.isdigit():
        return int(text)
    return (2 if os.environ.get("SPACE_ID") else 20) << 30


@lru_cache(maxsize=64)
def _sent(folder: Path) -> tuple[tuple[str, int], ...]:
    """The files of an upload, which stay the same while it lives. Raises SourceNotFound: it does not."""
    try:
        return read(_Sent, folder / SENT).files
    except SpecError:
        raise unknown("upload") from None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # nothing of it has come
        return 0


def _check_sent(files: Sequence[tuple[str, int]]) -> None:
    """Raises DataError or TooLarge: nothing could be made of such files."""
    asked, total = f"{len(files):,} files were to be sent", sum(size for _, size in files)
    if not files:
        raise DataError("An upload was begun", "it names no file", "Choose a file")
    if len(files) > MAX_FILES:
        raise TooLarge(asked, f"at most {MAX_FILES:,} are taken at once", "Pack them into a zip")
    if any(size < 0 for _, size in files):
        raise DataError(asked, "a size below 0 was given", "Choose the files again")
    if any(not name.strip() or len(name) > MAX_NAME for name, _ in files):
        raise DataError(asked, f"a name is empty or longer than {MAX_NAME:,} signs", "Give the file a shorter name")
    if total > max_upload():
        reason = f"together they have {total / 1e6:,.0f} MB and this server takes {max_upload() / 1e6:,.0f} MB"
        raise TooLarge(asked, reason, "Send less, give a folder of the server, or set STUDIO_MAX_UPLOAD")


def _opened(path: Path) -> FileIO:
    """The file, to add to. Raises SourceNotFound: its upload was thrown away meanwhile."""
    try:
        return path.open("ab", buffering=0)
    except FileNotFoundError:
        raise unknown("upload") from None


def _take_hold(file: FileIO) -> None:
    """Keeps a second sender of the same file out. Raises DataError: there is one."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DataError("Bytes of a file came", "another part of it is arriving", "Wait a moment") from None


def _append(file: FileIO, there: int, size: int, chunks: Iterable[bytes]) -> int:
    """Writes what comes behind the bytes that are there; what came before a failure stays, to go on from."""
    for chunk in chunks:
        if there + len(chunk) > size:
            raise TooLarge("Bytes of a file came", f"more than the announced {size:,}", "Begin the upload again")
        if shutil.disk_usage(os.path.dirname(file.name)).free < SPARE_BYTES + len(chunk):  # several may come at once
            raise TooLarge("Bytes of a file came", "the server's disk is full", "Make room on the disk, then go on")
        rest = memoryview(chunk)
        while rest:
            try:
                written = file.write(rest)
            except OSError as error:
                reason = f"they cannot be written ({error.strerror})"
                raise TooLarge("Bytes of a file came", reason, "Make room on the disk, then go on") from None
            rest = rest[written:]
        there += len(chunk)
    return there


def discard(folder: Path) -> None:
    """Removes a folder at once for all who look, then from the disk."""
    doomed = folder.with_name(f".removed-{secrets.token_hex(8)}")
    with suppress(FileNotFoundError):  # somebody else removes it
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def unknown(what: str) -> SourceNotFound:
    """The error of an id that nobody has, or another one."""
    return SourceNotFound(
        f"A{'n' if what[0] in 'aeiou' else ''} {what} was asked for", "there is none of this name", "Begin again"
    )
