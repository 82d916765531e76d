"""All files of an upload or a folder as one tree of names, archives merged in, and the picture that a row names.

What it does not do: write into a folder, follow a link, fetch anything, or look into a file.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from core.data.entries import Entry, FileEntry, plain_name, shown, trouble_with
from core.errors import DataError, SourceNotFound
from core.spec.data import Place

__all__ = ["Entry", "Tree", "tree_of_folder", "tree_of_upload"]

MAX_FILES = 2_000_000
"""In a folder; each costs some hundred bytes of memory."""
_NOISE = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What operating systems leave in folders and archives."""
Refused = tuple[Place, str]
"""Where something lies that is not used, and the sentence that says why."""


@dataclass(frozen=True)
class Tree:
    """Files by their names, and what was left out."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    """In the order of their names."""
    refused: tuple[Refused, ...] = ()
    """Files that are not used, each with its sentence."""
    stream: Callable[[], Iterable[Mapping[str, Any]]] | None = None
    """Rows that lie in no file, such as those of a data set that is read from the Hub; from the start at each call."""

    def find(self, name: str, beside: str = "") -> Entry:
        """The file that a row names.

        Looked for beside its table, then from the root, then by what the two paths share at their end: a row may name
        folders that were not packed, or leave out those that were added. A name in a folder that is there and does
        not hold it is missing, also if another folder has a file of that name.

        Args:
            name: as it stands in the row.
            beside: the name of the table that the row is from.

        Raises:
            DataError: the name is an address, absolute or climbs out, leads to a link, to nothing, or to several files.
        """
        asked = f"The file “{shown(name)}” was looked for"
        reason = trouble_with(name, climbing=True)
        if reason:
            raise DataError(asked, reason, "Give names of files inside, such as images/1.png")
        path = plain_name(name)
        near = posixpath.normpath(posixpath.join(posixpath.dirname(beside), path))
        candidates = [posixpath.normpath(path), near] if ".." not in path.split("/") else [near]
        if near.split("/")[0] == "..":
            raise DataError(asked, "it climbs out with “..”", "Give names of files inside, such as images/1.png")
        for candidate in reversed(candidates):
            if candidate in self.entries:
                return self.entries[candidate]
        for candidate in candidates:
            if candidate in self._sentences:
                raise DataError(asked, self._sentences[candidate], "Put the file itself there")
        return self._elsewhere(candidates, asked)

    def _elsewhere(self, candidates: list[str], asked: str) -> Entry:
        """The one file whose path ends like the row's, when the row's folder is not there."""
        missing = DataError(asked, "it is not there", "Add the file or take its row out")
        folders = {posixpath.dirname(candidate) for candidate in candidates}
        if any(folder in self._folders for folder in folders if folder):
            raise missing
        wanted = candidates[0].split("/")
        found = self._by_last_part.get(wanted[-1], [])
        best = max((_shared(name, wanted) for name in found), default=0)
        closest = [name for name in found if _shared(name, wanted) == best]
        if not closest:
            raise missing
        if len(closest) > 1:
            reason = f"{len(closest)} files have this name, such as “{shown(closest[0])}” and “{shown(closest[1])}”"
            raise DataError(asked, reason, "Name it with its folder")
        return self.entries[closest[0]]

    @cached_property
    def _by_last_part(self) -> dict[str, list[str]]:
        """The names that end with a name without folders."""
        found: dict[str, list[str]] = {}
        for name in self.entries:
            found.setdefault(name.rpartition("/")[2], []).append(name)
        return found

    @cached_property
    def _folders(self) -> frozenset[str]:
        """All folders, with those that hold only folders."""
        found: set[str] = set()
        for name in self.entries:
            folder = posixpath.dirname(name)
            while folder and folder not in found:
                found.add(folder)
                folder = posixpath.dirname(folder)
        return frozenset(found)

    @cached_property
    def _sentences(self) -> dict[str, str]:
        """Why a name is not among the entries."""
        return {place.file: reason for place, reason in self.refused}


def _shared(name: str, wanted: list[str]) -> int:
    """How many parts two paths share at their end."""
    count = 0
    for mine, theirs in zip(reversed(name.split("/")), reversed(wanted), strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def tree_of_folder(root: Path) -> Tree:
    """The plain files of a folder and its folders; links, devices and hidden files are left out.

    Raises:
        SourceNotFound: there is no such folder.
        DataError: it holds more than `MAX_FILES`.
    """
    real = Path(os.path.realpath(root))
    if not real.is_dir():
        raise SourceNotFound(f"The folder “{root.name}” was read", "it is not there", "Check the path")
    entries: dict[str, Entry] = {}
    refused: list[Refused] = []
    for name, found in _walk(real):
        if isinstance(found, str):
            refused.append((Place(plain_name(name)), found))
            continue
        if len(entries) >= MAX_FILES:
            limit = f"it holds more than {MAX_FILES:,} files"
            raise DataError(f"The folder “{root.name}” was read", limit, "Put the rows and pictures into Parquet files")
        entries[found.name] = found
    return Tree(dict(sorted(entries.items())), tuple(refused))


def _walk(root: Path) -> Iterator[tuple[str, FileEntry | str]]:
    """Names below a folder, each with its entry or with why it is left out."""
    waiting = [("", os.fspath(root))]
    while waiting:
        inside, folder = waiting.pop()
        try:
            found = list(os.scandir(folder))
        except OSError as error:
            yield inside, f"the folder cannot be read ({error.strerror})"
            continue
        for item in found:
            if item.name.startswith(".") or item.name in _NOISE:
                continue
            name = f"{inside}{item.name}"
            reason = trouble_with(name.encode("utf-8", "replace").decode("utf-8"))
            if item.is_symlink():
                yield name, "it is a link, and links are not followed"
            elif reason:
                yield shown(name), reason
            elif item.is_dir(follow_symlinks=False):
                waiting.append((f"{name}/", item.path))
            elif item.is_file(follow_symlinks=False):
                yield name, FileEntry(plain_name(name), item.stat(follow_symlinks=False).st_size, Path(item.path))
            else:
                yield name, "it is no plain file"


def tree_of_upload(folder: Path) -> Tree:
    """The files that were uploaded into a folder."""
    return tree_of_folder(folder)
