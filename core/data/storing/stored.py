"""Data sets on disk, named by their hash: Arrow for the rows, one file for the pictures, read as they are needed.

    sets/HASH/dataset.json       what it is made of and what was left out (`Imported`)
    sets/HASH/train.arrow        rows to learn from: turns of text and numbers of pictures
    sets/HASH/heldout.arrow      rows that are only looked at
    sets/HASH/pictures.arrow     where each picture lies in pictures.bin: digest, offset, size, width, height, kind
    sets/HASH/pictures.bin       the pictures' files, each once, one after the other

Opening a set of a million rows takes milliseconds and no memory; a row is made when it is asked for.
What it does not do: decide which rows belong into a set (importing), or change one that is there.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

from core.data.files.pictures import open_picture
from core.data.rows import Dataset, Row, Speaker, Turn
from core.errors import DataError, SourceNotFound, SpecError
from core.spec import Imported, read

if TYPE_CHECKING:
    from PIL.Image import Image

ABOUT, TRAIN, HELDOUT = "dataset.json", "train.arrow", "heldout.arrow"
INDEX, PICTURES = "pictures.arrow", "pictures.bin"
SETS = "sets"
"""Folder of an owner's stored sets."""
FILES = (ABOUT, TRAIN, HELDOUT, INDEX, PICTURES)
BATCH = 256
"""Rows of one Arrow batch; all but the last have so many, so that a row's batch is known by its number."""
_HASH = re.compile(r"[0-9a-f]{64}")
_PICTURE = re.compile(r"([0-9]{7,9})\.[a-z]{3,4}")


class ArrowFile:
    """A file of equal batches, mapped into memory when it is first read; may be sent to another process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: tuple[int, Any] = (-1, None)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_last": (-1, None)}

    @cached_property
    def _reader(self) -> Any:
        import pyarrow as pa

        try:
            return pa.ipc.open_file(pa.memory_map(str(self.path)))
        except (OSError, pa.ArrowInvalid):
            raise _damaged(self.path.parent.name) from None

    @cached_property
    def rows(self) -> int:
        """How many there are."""
        last = self._reader.num_record_batches - 1
        return 0 if last < 0 else last * BATCH + self.batch(last).num_rows

    def batch(self, number: int) -> Any:
        """One batch; the last one asked for is kept. Raises DataError: the file is damaged."""
        kept, batch = self._last
        if kept != number:
            import pyarrow as pa

            try:
                batch = self._reader.get_batch(number)
            except (OSError, pa.ArrowInvalid):
                raise _damaged(self.path.parent.name) from None
            self._last = (number, batch)
        return batch

    def value(self, column: str, row: int) -> Any:
        """One cell as a plain value."""
        return self.batch(row // BATCH).column(column)[row % BATCH].as_py()


@dataclass(frozen=True)
class StoredPicture:
    """A picture of a stored set. Two are equal when they have the same number in the same set."""

    file: Pictures = field(compare=False, repr=False)
    number: int
    name: str
    of: str
    """The set's hash."""

    def open(self) -> Image:
        """As RGB, turned the way its EXIF data says. Raises DataError: see `open_picture`."""
        return open_picture(self.read(), self.name)

    def read(self) -> bytes:
        """The file's bytes. Raises DataError: the set is gone or cut off."""
        return self.file.content(self.number)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, without opening it."""
        return self.file.size_of(self.number)


class Pictures(Mapping[str, StoredPicture]):
    """All pictures of a stored set by their names, such as `0000012.jpg`."""

    def __init__(self, folder: Path, of: str) -> None:
        self._folder, self._of = folder, of
        self._index = ArrowFile(folder / INDEX)

    def __len__(self) -> int:
        return self._index.rows

    def __iter__(self) -> Iterator[str]:
        return (self.at(number).name for number in range(len(self)))

    def __getitem__(self, name: str) -> StoredPicture:
        found = _PICTURE.fullmatch(name)
        if found is None or (number := int(found[1])) >= len(self) or (picture := self.at(number)).name != name:
            raise KeyError(name)
        return picture

    def at(self, number: int) -> StoredPicture:
        """The picture of this number, counted from 0."""
        return StoredPicture(self, number, picture_name(number, self._index.value("kind", number)), self._of)

    def content(self, number: int) -> bytes:
        """A picture's file. Raises DataError: it is gone or cut off."""
        offset, size = self._index.value("offset", number), self._index.value("size", number)
        try:
            with (self._folder / PICTURES).open("rb") as file:
                file.seek(offset)
                content = file.read(size)
        except OSError:
            raise _damaged(self._of) from None
        if len(content) != size:
            raise _damaged(self._of)
        return content

    def check_end(self) -> None:
        """Raises DataError: the file is gone, or ends before its last picture does."""
        if len(self):
            self.content(len(self) - 1)

    def size_of(self, number: int) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._index.value("width", number), self._index.value("height", number)

    def digests(self) -> Iterator[bytes]:
        """SHA-256 of every picture's file, in their order."""
        return (self._index.value("digest", number) for number in range(len(self)))


class Rows(Sequence[Row]):
    """Rows of one side, made when they are asked for; a slice is as cheap as the whole."""

    def __init__(self, file: ArrowFile, pictures: Pictures, chosen: range | None = None) -> None:
        self._file, self._pictures = file, pictures
        self._chosen = range(file.rows) if chosen is None else chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows):
            return NotImplemented
        return (self._file.path, self._chosen) == (other._file.path, other._chosen)

    def __hash__(self) -> int:
        return hash((self._file.path, self._chosen))

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Rows: ...
    def __getitem__(self, place: int | slice) -> Row | Rows:
        if isinstance(place, slice):
            return Rows(self._file, self._pictures, self._chosen[place])
        return self._row(self._chosen[place])

    def __iter__(self) -> Iterator[Row]:
        return (self._row(number) for number in self._chosen)

    def _row(self, number: int) -> Row:
        turns = self._file.value("turns", number)
        language, origin = self._file.value("language", number), self._file.value("origin", number)
        return Row(tuple(map(self._turn, turns)), language, origin)

    def _turn(self, turn: dict[str, Any]) -> Turn:
        parts = (
            part["text"] if part["picture"] is None else self._pictures.at(part["picture"]) for part in turn["parts"]
        )
        return Turn(cast(Speaker, turn["speaker"]), tuple(parts))


@dataclass(frozen=True)
class StoredDataset(Dataset):
    """A data set on disk, with what it says of itself."""

    imported: Imported

    @cached_property
    def majority(self) -> float:
        """Share (0 to 1) of the most common held-out answer, as counted when it was stored."""
        return self.imported.report.majority


def stored(sets: Path, name: str) -> StoredDataset:
    """The data set of this hash, lazily.

    Raises:
        SourceNotFound: there is none.
        DataError: it is there and damaged.
    """
    about = read_about(sets, name)
    folder = sets / about.name
    pictures = Pictures(folder, name)
    return StoredDataset(
        name=name,
        title=about.title,
        story=f"{about.origin}, {about.train:,} rows to learn from and {about.heldout:,} held out",
        licence=about.licence,
        attribution=about.attribution,
        train=Rows(ArrowFile(folder / TRAIN), pictures),
        heldout=Rows(ArrowFile(folder / HELDOUT), pictures),
        pictures=pictures,
        imported=about,
        format=about.reading.format,
    )


def read_about(sets: Path, name: str) -> Imported:
    """What a stored set says of itself; raises like `stored`."""
    if not _HASH.fullmatch(name) or not (sets / name).is_dir():
        raise SourceNotFound("A stored data set was asked for", "there is none of this name", "Bring the data again")
    try:
        return read(Imported, sets / name / ABOUT)
    except SpecError:
        raise _damaged(name) from None


def list_sets(sets: Path) -> tuple[Imported, ...]:
    """All stored sets, the newest first; a damaged one is not among them."""
    found = []
    for folder in sets.glob("*") if sets.is_dir() else ():
        try:
            found.append(read_about(sets, folder.name))
        except (SourceNotFound, DataError):
            continue
    return tuple(sorted(found, key=lambda about: (-about.created, about.name)))


def delete_set(sets: Path, name: str) -> None:
    """Removes a stored set. Jobs that use it have links of their own and go on.

    Raises:
        SourceNotFound: there is none.
    """
    if not _HASH.fullmatch(name) or not (sets / name).is_dir():
        raise SourceNotFound("Removing a data set was asked for", "there is none of this name", "Reload the page")
    doomed = sets / f".removed-{secrets.token_hex(8)}"
    (sets / name).rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def link_set(sets: Path, name: str, into: Path) -> None:
    """Puts a set into another `sets` folder: as links to the same files, as copies where links cannot be made.

    Raises:
        SourceNotFound, DataError: it is not there, or damaged.
        OSError: the other folder cannot be written.
    """
    read_about(sets, name)
    (into / name).mkdir(parents=True, mode=0o700)
    for file in FILES:
        link_file(sets / name / file, into / name / file)


def link_file(file: Path, to: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    try:
        os.link(file, to)
    except OSError:
        shutil.copyfile(file, to)


def picture_name(number: int, kind: str) -> str:
    """A picture's name in its set.

    >>> picture_name(12, "jpg")
    '0000012.jpg'
    """
    return f"{number:07}.{kind}"


def _damaged(name: str) -> DataError:
    return DataError(
        f"The stored data set {name[:12]} was read", "its files are gone or cut off", "Bring the data again"
    )
