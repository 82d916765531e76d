"""Drafts: data that were given and are looked at, put right and stored.

    OWNER/drafts/ID/draft.json, files/, looks    what was given, how it is understood, what was found
    OWNER/uploads/ID/                            see `core.data.files.uploads`
    OWNER/sets/HASH/                             see `core.data.storing.stored`

What it does not do: know who the owner is (`Home.data`), run anything in the background, or understand a file.
"""

from __future__ import annotations

import math
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass as checked

from core.data.checking.checks import check
from core.data.checking.looks import Looks
from core.data.checking.survey import Progress, quietly
from core.data.files.tree import Tree, tree_of_folder, tree_of_upload
from core.data.files.uploads import SENT, SPARE_BYTES, TooLarge, Upload, Uploads, discard, max_upload, unknown
from core.data.formats.recognition import recognise
from core.data.hub import fetch_hub
from core.data.storing.importing import store
from core.data.storing.origins import allowed_folder, called, first_title
from core.data.storing.stored import SETS
from core.errors import DataError, SourceNotFound, SpecError
from core.spec import Guess, Imported, Reading, Report, read, write

__all__ = ["Draft", "Drafts", "TooLarge", "Upload", "max_upload"]

DAY = 24 * 3600.0
_DRAFT, _FILES, _LOOKS = "draft.json", "files", "looks.bin"


@checked(frozen=True)
class _Kept:
    """`draft.json`."""

    title: str
    origin: str
    kind: Literal["upload", "folder", "hub"]
    created: float
    guess: Guess
    reading: Reading
    files: tuple[str, ...] = ()
    """Names of the uploaded files, in the order of their numbers."""
    folder: str = ""
    """Of the server, where that is what was given."""
    report: Report | None = None
    stored: str | None = None


@dataclass(frozen=True)
class Draft:
    """Data that are being looked at. Change it by `replace` and `Drafts.save`."""

    id: str
    title: str
    origin: str
    guess: Guess
    reading: Reading
    report: Report | None
    """Of this very reading; None until it was checked."""
    stored: str | None
    """The hash, once it is stored."""
    place: Path = field(repr=False)
    kept: _Kept = field(repr=False)

    @cached_property
    def tree(self) -> Tree:
        """Its files, looked at when first asked for. Raises DataError: they are gone."""
        return _tree(self.place, self.kept)

    @cached_property
    def looks(self) -> Looks:
        """What is known of its pictures from earlier checks."""
        return Looks(self.place / _LOOKS)


class Drafts(Uploads):
    """Uploads, drafts and stored sets of one owner; safe to use from many threads.

    Args:
        root: the owner's folder, see `Home.data`.
        shared: other people use this server too.
    """

    def __init__(self, root: Path, shared: bool = False) -> None:
        super().__init__(root)
        self._shared = shared

    @property
    def sets(self) -> Path:
        """Where stored sets lie."""
        return self.root / SETS

    def finish(self, id: str) -> Draft:
        """Makes a draft of an upload that is complete; one that nothing can be made of is thrown away.

        Raises:
            SourceNotFound: there is no such upload.
            DataError: bytes are missing, or nothing can be recognised.
        """
        upload = self.upload(id)
        for (name, size), there in zip(upload.files, upload.received, strict=True):
            if there != size:
                reason = f"{there:,} of {size:,} bytes of “{name[:100]}” are there"
                raise DataError("Ending an upload was asked for", reason, "Send the rest first")
        place = self._new_draft()
        try:
            self._find("uploads", id).rename(place / _FILES)
        except (OSError, SourceNotFound):  # somebody else has ended it or thrown it away
            discard(place)
            raise unknown("upload") from None
        (place / _FILES / SENT).unlink()
        for number in range(len(upload.files)):  # empty ones have not been made yet
            (place / _FILES / str(number)).touch()
        names = tuple(name for name, _ in upload.files)
        return self._begin(place, "upload", *called(names), files=names)

    def from_folder(self, path: str) -> Draft:
        """A draft of a folder of the server, which is read where it lies.

        Raises:
            SourceRefused: folders of this server may not be read, or this one lies outside of its root.
            SourceNotFound: there is none.
            DataError: nothing can be recognised.
        """
        folder = allowed_folder(path, self._shared)
        return self._begin(self._new_draft(), "folder", folder.name, folder.name, folder=str(folder))

    def from_hub(
        self,
        name: str,
        revision: str | None = None,
        split: str | None = None,
        limit: int | None = None,
        token: str | bool | None = None,
        progress: Progress = quietly,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Draft:
        """A draft of a data set of the Hub, whose rows are fetched once; see `core.data.hub.fetch_hub`."""
        place = self._new_draft()
        try:
            (place / _FILES).mkdir(mode=0o700)
            room = min(max_upload(), max(0, shutil.disk_usage(place).free - SPARE_BYTES))
            found = fetch_hub(name, revision, split, token, place / _FILES, limit, room, progress, cancelled)
        except BaseException:
            discard(place)
            raise
        title = found.name.rpartition("/")[2]
        return self._begin(place, "hub", f"{found.name}@{found.commit[:12]}", title)

    def list(self) -> tuple[Draft, ...]:
        """All drafts, the newest first."""
        found = []
        for folder in (self.root / "drafts").glob("*"):
            try:
                found.append(self.open(folder.name))
            except SourceNotFound:
                continue
        return tuple(sorted(found, key=lambda draft: -draft.kept.created))

    def open(self, id: str) -> Draft:
        """The draft of this id. Raises SourceNotFound: there is none."""
        place = self._find("drafts", id)
        try:
            return _opened(place, read(_Kept, place / _DRAFT))
        except SpecError:
            raise unknown("draft") from None

    def save(self, draft: Draft) -> Draft:
        """Writes a changed draft back; a report of another reading is taken off it.

        Raises:
            SourceNotFound: it has been removed.
        """
        before = self.open(draft.id).kept
        stale = draft.reading != before.reading and draft.report == before.report
        kept = replace(
            draft.kept,
            title=draft.title.strip()[:200] or before.title,
            guess=draft.guess,
            reading=draft.reading,
            report=None if stale else draft.report,
            stored=draft.stored,
        )
        write(kept, draft.place / _DRAFT)
        return _opened(draft.place, kept)

    def remove(self, id: str) -> None:
        """Removes a draft with its files; sets stored from it stay. Raises SourceNotFound: there is none."""
        discard(self._find("drafts", id))

    def check(self, draft: Draft, progress: Progress = quietly, cancelled: Callable[[], bool] = lambda: False) -> Draft:
        """Checks a draft and keeps the report; see `core.data.checking.checks.check`."""
        report = check(draft.tree, draft.reading, progress, cancelled, draft.looks)
        return self.save(replace(draft, report=report))

    def store(
        self, draft: Draft, title: str, progress: Progress = quietly, cancelled: Callable[[], bool] = lambda: False
    ) -> Imported:
        """Stores a draft as a data set of its owner; see `core.data.storing.importing.store`.

        Raises:
            Blocked: errors stand against it.
            DataError: it was not checked, its files have changed, or the disk is too full.
            Cancelled: it was asked to stop.
        """
        if draft.report is None:
            raise DataError("Storing was asked for", "the data have not been checked", "Check them first")
        made = store(
            draft.tree,
            draft.reading,
            draft.report,
            self.sets,
            title or draft.title,
            draft.origin,
            progress,
            cancelled,
            draft.looks,
        )
        self.save(replace(draft, stored=made.name))
        return made

    def sweep(self, max_age: float = DAY, idle: float = 14 * DAY) -> None:
        """Removes what nobody will come back to; stored sets stay.

        Args:
            max_age: seconds without a change, of unfinished uploads, of drafts that were stored, and of what a
                killed server left half done.
            idle: the same, of other drafts.
        """
        for kind in ("uploads", "drafts", "sets"):
            for folder in (self.root / kind).glob("*"):
                if time.time() - _last_change(folder) > self._patience(kind, folder, max_age, idle):
                    shutil.rmtree(folder, ignore_errors=True)

    def _patience(self, kind: str, folder: Path, max_age: float, idle: float) -> float:
        """Seconds without a change that a folder may grow old."""
        if kind == "uploads" or folder.name.startswith("."):
            return max_age
        if kind == "sets":
            return math.inf
        try:
            return max_age if self.open(folder.name).stored else idle
        except SourceNotFound:
            return max_age

    def _begin(
        self,
        place: Path,
        kind: Literal["upload", "folder", "hub"],
        origin: str,
        title: str,
        files: tuple[str, ...] = (),
        folder: str = "",
    ) -> Draft:
        """Looks at what was given and writes the draft; leaves nothing when that fails."""
        nothing = Guess(Reading("captions"), "")
        kept = _Kept(first_title(title), origin, kind, time.time(), nothing, nothing.reading, files, folder)
        try:
            tree = _tree(place, kept)
            guess = recognise(tree)
            kept = replace(kept, guess=guess, reading=guess.reading)
            write(kept, place / _DRAFT)
        except BaseException:
            discard(place)
            raise
        draft = _opened(place, kept)
        vars(draft)["tree"] = tree  # known already: listing a large zip again would take as long as recognising it
        return draft

    def _new_draft(self) -> Path:
        place = self._folder("drafts") / secrets.token_hex(16)
        place.mkdir(mode=0o700)
        return place


def _tree(place: Path, kept: _Kept) -> Tree:
    if kept.kind == "folder":
        return tree_of_folder(allowed_folder(kept.folder))  # a link may have taken its place
    if kept.kind == "hub":
        return tree_of_folder(place / _FILES)
    return tree_of_upload(place / _FILES, names={str(number): name for number, name in enumerate(kept.files)})


def _opened(place: Path, kept: _Kept) -> Draft:
    return Draft(place.name, kept.title, kept.origin, kept.guess, kept.reading, kept.report, kept.stored, place, kept)


def _last_change(folder: Path) -> float:
    try:
        return max((path.stat().st_mtime for path in (folder, *folder.glob("*"))), default=0.0)
    except OSError:  # somebody removes it meanwhile
        return time.time()
