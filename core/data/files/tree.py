"""All files of an upload or a folder as one tree of names, archives merged in, and the picture that a row names.

What it does not do: write into a folder, follow a link, fetch anything, or look into a file.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from core.data.files.archives import Refused, entries_of, is_any_archive, is_archive, stem
from core.data.files.entries import Entry, FileEntry, is_noise, plain_name, shown, trouble_with
from core.data.files.packing import LINK, NOT_PLAIN
from core.errors import DataError, SourceNotFound, SourceRefused
from core.spec.data import Place

__all__ = ["Entry", "Refused", "Tree", "tree_of_folder", "tree_of_upload"]

MAX_FILES = 1_000_000
"""In a folder; each costs some hundred bytes of memory."""


@dataclass(frozen=True)
class Tree:
    """Files by their names, and what was left out."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    """In the order of their names."""
    refused: tuple[Refused, ...] = ()
    """Files that are not used, each with its sentence."""

    def find(self, name: str, beside: str = "") -> Entry:
        """The file that a row names.

        Looked for beside its table, then from the root, then by what the two paths share at their end: a row may name
        folders that were not packed, or leave out those that were added. Where the folder that a row means is there
        and holds files of this kind, a name that it does not hold is missing, whatever other folders hold. Large and
        small letters are one where nothing else is found, as on Windows and macOS.

        Args:
            name: as it stands in the row.
            beside: the name of the table that the row is from.

        Raises:
            SourceRefused: the name is an address, absolute, climbs out of the tree, or is that of a refused file.
            DataError: nothing has this name, or several files have.
        """
        asked = f"The file “{shown(name)}” was looked for"
        reason = trouble_with(name, climbing=True)
        path = plain_name(name)
        near = posixpath.normpath(posixpath.join(posixpath.dirname(beside), path))
        if not reason and near.split("/")[0] == "..":
            reason = "it climbs out with “..”"
        if reason:
            raise SourceRefused(asked, reason, "Give names of files inside, such as images/1.png")
        places = (near,) if ".." in path.split("/") else (near, path)
        for place in places:
            if place in self.entries:
                return self.entries[place]
        for place in places:
            if place in self._sentences:
                raise SourceRefused(asked, self._sentences[place], "Put the file itself there")
        home = f"{posixpath.dirname(beside)}/".removeprefix("/")
        closest = self._names.closest(places, home) or self._in_other_case(places, home)
        if not closest:
            raise DataError(asked, "it is not there", "Add the file or take its row out")
        if len(closest) > 1:
            reason = f"{len(closest)} files have this name, such as “{shown(closest[0])}” and “{shown(closest[1])}”"
            raise DataError(asked, reason, "Name it with its folder and in its own letters")
        return self.entries[closest[0]]

    def _in_other_case(self, places: Sequence[str], home: str) -> list[str]:
        """The names that differ from the row's in large and small letters alone."""
        small = self._small_names.closest([place.casefold() for place in places], home.casefold())
        return [name for one in small for name in self._by_small_name[one]]

    @cached_property
    def _names(self) -> _Names:
        return _Names(self.entries)

    @cached_property
    def _small_names(self) -> _Names:
        return _Names(self._by_small_name)

    @cached_property
    def _by_small_name(self) -> dict[str, list[str]]:
        """The names by how they are written in small letters."""
        found: dict[str, list[str]] = {}
        for name in self.entries:
            found.setdefault(name.casefold(), []).append(name)
        return found

    @cached_property
    def _sentences(self) -> dict[str, str]:
        """Why a name is not among the entries."""
        return {place.file: reason for place, reason in self.refused}


class _Names:
    """Names of files, to be found by their ends."""

    def __init__(self, names: Collection[str]) -> None:
        self._all = names
        self._by_last_part: dict[str, list[str]] = {}
        for name in names:
            self._by_last_part.setdefault(name.rpartition("/")[2], []).append(name)
        self._kinds = frozenset(_kind(name) for name in names)
        """Folders with the endings of the files that lie in them."""

    def closest(self, places: Sequence[str], home: str) -> list[str]:
        """The names that a row means: one of its places, or those that end as it does when its folder is not there.

        Args:
            places: where the file may be, the last one as the row names it.
            home: the folder of the row's table, with `/` at its end.
        """
        there = next((place for place in places if place in self._all), None)
        if there is not None:
            return [there]
        wanted = places[-1].split("/")
        found = self._by_last_part.get(wanted[-1], [])
        if len(wanted) == 1 and any(name.startswith(home) for name in found):
            found = [name for name in found if name.startswith(home)]
        elif any(_kind(place) in self._kinds for place in places):
            found = []
        best = max((_shared(name, wanted) for name in found), default=0)
        return [name for name in found if _shared(name, wanted) == best]


def _kind(name: str) -> tuple[str, str]:
    """The folder of a file, and how its name ends."""
    folder, _, last = name.rpartition("/")
    return folder, posixpath.splitext(last)[1].lower()


def _shared(name: str, wanted: list[str]) -> int:
    """How many parts two paths share at their end."""
    count = 0
    for mine, theirs in zip(reversed(name.split("/")), reversed(wanted), strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def tree_of_folder(root: Path) -> Tree:
    """The plain files of a folder and its folders; links, devices, archives and hidden files are left out.

    Raises:
        SourceNotFound: there is no such folder.
        DataError: it holds more than `MAX_FILES`.
    """
    entries, refused = _listed(root)
    for name in [name for name in entries if is_any_archive(name)]:
        del entries[name]
        refused.append((Place(name), "archives in a folder are not opened; unpack it there"))
    return Tree(entries, tuple(refused))


def _listed(root: Path) -> tuple[dict[str, FileEntry], list[Refused]]:
    """Every plain file below a folder by its name, in the order of the names; and what is left out."""
    real = Path(os.path.realpath(root))
    if not real.is_dir():
        raise SourceNotFound(f"The folder “{shown(root.name)}” was read", "it is not there", "Check the path")
    entries: dict[str, FileEntry] = {}
    refused: list[Refused] = []
    for name, found in _walk(real):
        if isinstance(found, str):
            refused.append((Place(name), found))
            continue
        if len(entries) >= MAX_FILES:
            limit = f"it holds more than {MAX_FILES:,} files"
            remedy = "Put the rows and pictures into Parquet files"
            raise DataError(f"The folder “{shown(root.name)}” was read", limit, remedy)
        entries[found.name] = found
    return dict(sorted(entries.items())), refused


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
            if is_noise(item.name):
                continue
            name = f"{inside}{item.name}"
            if item.is_symlink():
                yield shown(name), LINK
            elif reason := trouble_with(name):
                yield shown(name), reason
            elif item.is_dir(follow_symlinks=False):
                waiting.append((f"{name}/", item.path))
            elif item.is_file(follow_symlinks=False):
                yield name, FileEntry(plain_name(name), item.stat(follow_symlinks=False).st_size, Path(item.path))
            else:
                yield name, NOT_PLAIN


def tree_of_upload(folder: Path, names: Mapping[str, str] | None = None) -> Tree:
    """The files that were uploaded into a folder, with those in archives in the archives' place.

    The files of one archive lie where it lay; of several archives each gets a folder of its own name, so that
    `train.zip` and `test.zip` stay apart. Nothing is unpacked but a compressed tar, into `.unpacked` in the folder.

    Args:
        folder: where they lie.
        names: what each file on disk is called; files that are not in it are none of the upload. Their own names
            unless given.

    Raises:
        SourceNotFound: there is no such folder.
        DataError: an archive is damaged, encrypted, or breaks a limit; see `core.data.files.archives`.
    """
    files, refused = _listed(folder)
    if names is not None:
        files, refused = _renamed(files, names)
    entries: dict[str, Entry] = {name: entry for name, entry in files.items() if not is_any_archive(name)}
    archives = [entry for name, entry in files.items() if is_archive(name)]
    for name in files:
        if is_any_archive(name) and not is_archive(name):
            refused.append((Place(name), "an archive of this kind is not opened; pack the files as a zip"))
    for archive in archives:
        home = stem(archive.name) if len(archives) > 1 else posixpath.dirname(archive.name)
        found, left_out = entries_of(archive.path, archive.name, folder / ".unpacked")
        refused += [(Place(posixpath.join(home, place.file), detail=place.detail), why) for place, why in left_out]
        for inside, entry in found.items():
            name = posixpath.join(home, inside)
            if name in files:
                refused.append((Place(name, detail=archive.name), "a file of this name came beside the archive"))
            else:
                entries[name] = replace(entry, name=name) if home else entry
    return Tree(dict(sorted(entries.items())), tuple(refused))


def _renamed(files: Mapping[str, FileEntry], names: Mapping[str, str]) -> tuple[dict[str, FileEntry], list[Refused]]:
    """Files under the names that they came with; those with names that cannot be are left out, and so are twins."""
    found: dict[str, FileEntry] = {}
    refused: list[Refused] = []
    for here, name in names.items():
        if here not in files or is_noise(plain_name(name)):
            continue
        reason = trouble_with(name)
        if not reason and plain_name(name) in found:
            reason = "a file of this name came more than once, and the first is used"
        if reason:
            refused.append((Place(shown(name)), reason))
        else:
            found[plain_name(name)] = replace(files[here], name=plain_name(name))
    return found, refused
