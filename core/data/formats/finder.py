"""The picture that a row means: by its name, by a name without its suffix, by a number, or with its bytes in the row.

What it does not do: open a picture, or decide which names are safe; that is `Tree.find`'s.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from core.data import trouble
from core.data.files.entries import is_rooted, plain_name, shown, trouble_with
from core.data.files.pictures import PICTURES, open_picture
from core.data.files.tree import Entry, Tree
from core.data.formats.turns import Unusable
from core.data.formats.values import embedded, is_picture_bytes, text_of, without_number
from core.data.rows import Picture
from core.errors import DataError, SourceRefused
from core.spec.data import Place

if TYPE_CHECKING:
    from PIL.Image import Image

_NAME_KEYS = ("path", "file_name", "filename", "image", "url", "name")


@dataclass(frozen=True)
class TreePicture:
    """A picture that is a file of a tree."""

    name: str
    entry: Entry = field(compare=False, hash=False, repr=False)

    def open(self) -> Image:
        """As RGB, turned the way its EXIF data says. Raises DataError: damaged, no picture, too large."""
        return open_picture(self.entry.read(), self.name)

    def read(self) -> bytes:
        """The file's bytes. Raises DataError: it is no longer there."""
        return self.entry.read()


@dataclass(frozen=True)
class PictureBytes:
    """A picture whose bytes stand in a table."""

    name: str
    """Of the table, the row and the picture."""
    data: bytes = field(compare=False, hash=False, repr=False)

    def open(self) -> Image:
        """As RGB, turned the way its EXIF data says. Raises DataError: damaged, no picture, too large."""
        return open_picture(self.data, self.name)

    def read(self) -> bytes:
        """The bytes as they stand in the table."""
        return self.data


def is_picture_file(name: str) -> bool:
    """Whether a file's name is one of a picture."""
    return name.lower().endswith(PICTURES)


class Finder:
    """Finds the pictures of one tree; names without a suffix are looked up in an index made once.

    Args:
        tree: the files.
        foreign_paths: whether a path from the root of another machine is looked for by its end.
    """

    def __init__(self, tree: Tree, foreign_paths: bool = False) -> None:
        self._tree, self._foreign_paths = tree, foreign_paths

    def find(self, value: Any, place: Place, number: int = 1) -> Picture:
        """The picture that a value names or holds.

        Args:
            value: a name, a number, bytes, base64, or an object of these.
            place: of the row; names are looked up beside its table first.
            number: of the picture in its row, from 1; makes the name of bytes unique.

        Raises:
            Unusable: it is not there, its name leads out of the data, or the value is no picture.
        """
        data, name = _taken_apart(value)
        if data is not None:
            shown = f"{place.file}/{place.row or 0}/{number}-{PurePosixPath(name).name or 'picture'}"
            return PictureBytes(shown, data)
        if not name:
            raise Unusable(trouble.BAD_VALUE, f"{text_of(value)[:60] or 'nothing'} is no picture")
        return self._by_name(name, place.file)

    def has(self, value: Any, beside: str = "") -> bool:
        """Whether a value finds a picture."""
        try:
            self.find(value, Place(beside))
        except Unusable:
            return False
        return True

    def _by_name(self, name: str, beside: str) -> TreePicture:
        reason = trouble_with(name, climbing=True)
        if reason:
            known = self._by_end(name)
            if known is None:
                raise Unusable(trouble.UNSAFE_PATH, f"{shown(name)}: {reason}")
            if not self._foreign_paths:
                raise Unusable(trouble.FOREIGN_PATH, f"{shown(name)}: “{known}” would be taken")
            return TreePicture(known, self._tree.entries[known])
        for one in dict.fromkeys((name, without_number(name))):
            try:
                entry = self._tree.find(one, beside)
            except SourceRefused as error:
                raise Unusable(trouble.UNSAFE_PATH, f"{shown(name)}: {error.reason}") from None
            except DataError:
                continue  # it may still be a name without its suffix
            if is_picture_file(entry.name):
                return TreePicture(entry.name, entry)
        known = None if is_picture_file(name) else self._without_suffix(name, beside)
        if known is None:
            raise Unusable(trouble.MISSING_IMAGE, shown(name))
        return TreePicture(known, self._tree.entries[known])

    def _by_end(self, name: str) -> str | None:
        """The picture whose own path is the longest end of a path of another machine, if there is only one such."""
        parts = plain_name(name).split("/")
        if not is_rooted(name) or name.startswith(("//", "\\\\")) or ".." in parts:
            return None
        ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
        return next((found for end in ends if (found := self._ends(end))), None)

    def _ends(self, end: str) -> str | None:
        """The one picture whose path is this, or ends like this."""
        found = [name for name in self._last.get(end.rpartition("/")[2], ()) if f"/{name}".endswith(f"/{end}")]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _last(self) -> dict[str, list[str]]:
        """Picture files by their names without folder."""
        found: dict[str, list[str]] = {}
        for name in self.pictures:
            found.setdefault(name.rpartition("/")[2], []).append(name)
        return found

    def _without_suffix(self, name: str, beside: str) -> str | None:
        """The picture that a name without its suffix, or a number, means; a folder that is there has to be its own."""
        folder, last = posixpath.split(posixpath.normpath(name.replace("\\", "/")))
        places = [posixpath.normpath(posixpath.join(home, folder)) for home in (posixpath.dirname(beside), "")]
        for place in places:
            if found := self._paths.get(posixpath.join(place, last).removeprefix("./")):
                return found
        if folder and any(place in self._folders for place in places):
            return None
        return self._stems.get(last) or self._numbers.get(name)

    @cached_property
    def pictures(self) -> tuple[str, ...]:
        """Names of all picture files, in their order."""
        return tuple(name for name in self._tree.entries if is_picture_file(name))

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Folders in which pictures lie."""
        return frozenset(name.rpartition("/")[0] for name in self.pictures)

    @cached_property
    def _paths(self) -> dict[str, str]:
        """Picture files by their names with folder and without suffix; only those that are unique."""
        return _unique((name.rpartition(".")[0], name) for name in self.pictures)

    @cached_property
    def _stems(self) -> dict[str, str]:
        """Picture files by their names without folder and suffix; only those that are unique."""
        return _unique((_stem(name), name) for name in self.pictures)

    @cached_property
    def _numbers(self) -> dict[str, str]:
        """Picture files by the number that their names end with: COCO_val2014_000000262148.jpg is 262148."""
        numbered = ((_stem(name).rpartition("_")[2], name) for name in self.pictures)
        return _unique((str(int(number)), name) for number, name in numbered if number.isdecimal())


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str | None] = {}
    for key, name in pairs:
        found[key] = None if key in found else name
    return {key: name for key, name in found.items() if name is not None}


def _taken_apart(value: Any) -> tuple[bytes | None, str]:
    """The bytes that a value holds, if any, and the name that it gives."""
    if isinstance(value, (bytes, bytearray)):
        return (bytes(value), "") if is_picture_bytes(bytes(value)) else (None, "")
    if isinstance(value, dict):
        name = next((text_of(value[key]) for key in _NAME_KEYS if isinstance(value.get(key), str)), "")
        data = value.get("bytes")
        return (bytes(data), name) if isinstance(data, (bytes, bytearray)) and data else (None, name)
    text = text_of(value)
    data = embedded(text)
    return (data, "") if data is not None else (None, text)
