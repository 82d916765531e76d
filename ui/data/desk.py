"""The drafts that are open on this server: as they are understood, their first rows, and what is being done with each.

A draft itself lies on disk (`core.data.storing.drafts`); what is here can be made again.
What it does not do: know who asks; the routes look up the owner first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import TYPE_CHECKING, Literal

from core.data.rows import Picture, Row
from core.errors import DataError, SourceNotFound
from core.spec import Guess, Reading
from ui.data.thumbnails import thumbnail
from ui.lanes import Lanes
from ui.plainly import sentence

if TYPE_CHECKING:
    from core.data.files.tree import Tree
    from core.data.formats.records import Item
    from core.data.storing.drafts import Draft, Drafts

FIRST_ROWS = 24
MOST_HELD = 16 * 2**20
"""Bytes of the first rows of a draft; there are fewer of them where they are larger."""
MOST_OPEN, MOST_FILES = 64, 1_000_000
"""Drafts that are kept open, and files of all of them; the longest unused are let go first."""
log = logging.getLogger("studio")

Doing = Literal["looking", "checking", "storing", "ready", "failed"]


@dataclass
class Work:
    """Something that is being done with a draft, or how it ended."""

    doing: Doing
    done: int = 0
    total: int | None = None
    error: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)

    def progress(self, done: int, total: int | None) -> None:
        """Told by the work itself."""
        self.done, self.total = done, total

    @property
    def goes_on(self) -> bool:
        """Whether it has not ended."""
        return self.doing in ("looking", "checking", "storing")


@dataclass
class Preview:
    """Some rows of a draft, and their pictures numbered over all of them."""

    numbers: tuple[int, ...]
    """Of the rows, counted from 0 over all that there are."""
    items: tuple[Item, ...]
    pictures: tuple[Picture, ...]
    drawn: dict[int, bytes] = field(default_factory=dict)

    def picture(self, number: int) -> bytes:
        """A picture, small. Raises SourceNotFound: there is none of this number; DataError: it cannot be opened."""
        if not 0 <= number < len(self.pictures):
            raise SourceNotFound("A picture was asked for", "the preview has no such picture", "Reload the page")
        if number not in self.drawn:
            self.drawn[number] = thumbnail(self.pictures[number])
        return self.drawn[number]


class Bench:
    """One open draft. Safe to use from many threads."""

    def __init__(self, drafts: Drafts, draft: Draft) -> None:
        self.drafts, self.draft = drafts, draft
        self.tree, self.looks = draft.tree, draft.looks
        self.preview = preview_of(self.tree, draft.reading)
        self.work = Work("ready")
        self.lock = threading.RLock()

    def read_as(self, reading: Reading, guess: Guess | None = None) -> None:
        """Takes another reading, with a guess where one was made for it.

        Raises:
            StudioError: no row can be read like that; the draft stays as it was.
        """
        preview = preview_of(self.tree, reading)
        with self.lock:
            self.refuse_while_storing()
            self.cancel()
            is_new = reading != self.draft.reading
            stored = None if is_new else self.draft.stored  # what was stored is what was read before
            guess = guess or self.draft.guess
            self.keep(replace(self.draft, reading=reading, guess=guess, report=None, stored=stored))
            self.preview = preview

    def keep(self, draft: Draft) -> None:
        """Writes the draft down as it is now."""
        self.draft = self.drafts.save(draft)

    def cancel(self) -> None:
        """Has what goes on end soon; nothing of it is kept."""
        with self.lock:
            self.work.cancelled.set()
            if self.work.goes_on:
                self.work = Work("ready")

    def refuse_while_storing(self) -> None:
        """Raises DataError while it is being stored."""
        if self.work.doing == "storing":
            asked = f"A change of “{self.draft.title}” was asked for"
            raise DataError(asked, "it is being stored right now", "Wait for it to end, or cancel it")

    def begin(self, lanes: Lanes, owner: str, doing: Doing, task: Callable[[Draft, Work], Draft]) -> None:
        """Has the task done in the background; the draft that it returns is kept, unless it was cancelled."""
        with self.lock:
            self.refuse_while_storing()
            self.work.cancelled.set()
            work = self.work = Work(doing)
            draft = self.draft
        lanes.submit(owner, lambda: self._do(work, draft, task))

    def _do(self, work: Work, draft: Draft, task: Callable[[Draft, Work], Draft]) -> None:
        if work.cancelled.is_set():
            return
        try:
            found = task(draft, work)
            with self.lock:
                if not work.cancelled.is_set():
                    self.keep(found)
                    work.doing = "ready"
        except Exception as error:
            with self.lock:
                if not work.cancelled.is_set():
                    work.error, work.doing = sentence(error), "failed"


def preview_of(tree: Tree, reading: Reading) -> Preview:
    """Reads the first rows, or some of different classes where each class has a folder.

    Raises:
        StudioError: see `core.data.formats.records.records`.
    """
    from core.data.formats.folders import of_each_class
    from core.data.formats.records import records, records_at

    in_folders = reading.format == "classes" and not reading.tables
    first = enumerate(records(tree, reading, limit=FIRST_ROWS))
    some = records_at(tree, reading, frozenset(of_each_class(tree, reading, FIRST_ROWS))) if in_folders else first
    items: dict[int, Item] = {}
    held = 0
    for number, item in some:
        items[number] = item
        held += bytes_held(item.row)
        if held > MOST_HELD:
            break
    pictures = (picture for item in items.values() if item.row for picture in item.row.pictures)
    return Preview(tuple(items), tuple(items.values()), tuple(pictures))


def bytes_held(row: Row | None) -> int:
    """About how much memory a row keeps: its texts, and pictures that stand in its table."""
    parts = [part for turn in row.turns for part in turn.parts] if row else []
    return sum(len(part if isinstance(part, str) else getattr(part, "data", b"")) for part in parts)


@dataclass
class Fetch:
    """Data that are on their way from the Hub, before there is a draft."""

    id: str
    title: str
    work: Work
    draft: str = ""
    """The draft's id, once there is one."""

    def cancel(self) -> None:
        """Has it end soon."""
        self.work.cancelled.set()
        if self.work.goes_on:
            self.work.doing, self.work.error = "failed", f"Fetching “{self.title}” was cancelled."


@dataclass
class Desk:
    """All open drafts of this server."""

    lanes: Lanes = field(default_factory=Lanes)
    _benches: dict[tuple[str, str], Bench] = field(default_factory=dict)
    _fetches: dict[tuple[str, str], Fetch] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, owner: str, drafts: Drafts, title: str, task: Callable[[Work], Draft]) -> Fetch:
        """Has data fetched in the background; the id that it has meanwhile leads to the draft afterwards."""
        fetch = Fetch(token_hex(16), title, Work("looking"))
        with self._lock:
            over = [key for key, other in self._fetches.items() if key[0] == owner and other.work.doing == "failed"]
            for key in over:  # nobody comes back to them once something else is asked for
                del self._fetches[key]
            self._fetches[owner, fetch.id] = fetch
        self.lanes.submit(owner, lambda: self._do_fetch(owner, drafts, fetch, task))
        return fetch

    def _do_fetch(self, owner: str, drafts: Drafts, fetch: Fetch, task: Callable[[Work], Draft]) -> None:
        work = fetch.work
        if work.cancelled.is_set():
            return
        try:
            draft = task(work)
            with self._lock:  # whoever gives it up does so before this, or finds the draft
                given_up = work.cancelled.is_set()
                if not given_up:
                    fetch.draft, work.doing = draft.id, "ready"
            if given_up:
                drafts.remove(draft.id)
            else:
                self.add(owner, drafts, draft)
        except Exception as error:
            if not work.cancelled.is_set():
                work.error = sentence(error)
                work.doing = "failed"

    def fetches(self, owner: str) -> list[Fetch]:
        """Those of an owner that are on their way; one that failed says so where it is open, and is no draft."""
        with self._lock:
            return [fetch for (whose, _), fetch in self._fetches.items() if whose == owner and fetch.work.goes_on]

    def fetched(self, owner: str, name: str) -> Fetch | None:
        """What is on its way under this id, or has not arrived."""
        with self._lock:
            fetch = self._fetches.get((owner, name))
        return fetch if fetch is not None and not fetch.draft else None

    def open(self, owner: str, drafts: Drafts, name: str) -> Bench:
        """The draft of this id; one that has never been checked is checked now.

        Raises:
            SourceNotFound: there is none.
            DataError: its data are on their way.
        """
        with self._lock:
            fetch = self._fetches.get((owner, name))
            if fetch is not None:
                if not fetch.draft:
                    asked = f"Something was asked of “{fetch.title}”"
                    raise DataError(asked, "its rows have not arrived", "Wait, or remove it")
                name = fetch.draft
            bench = self._benches.pop((owner, name), None)
            if bench is not None and bench.draft.place.is_dir():
                self._benches[owner, name] = bench  # behind those that were used longer ago
                return bench
        return self.add(owner, drafts, drafts.open(name))

    def add(self, owner: str, drafts: Drafts, draft: Draft) -> Bench:
        """Puts a draft on the desk and has it checked where that was not done yet."""
        bench = Bench(drafts, draft)
        with self._lock:
            bench = self._benches.setdefault((owner, draft.id), bench)
            idle = [key for key, other in self._benches.items() if not other.work.goes_on and other is not bench]
            while idle and (len(self._benches) > MOST_OPEN or self._files() > MOST_FILES):
                del self._benches[idle.pop(0)]
        if bench.draft.report is None and not bench.work.goes_on:
            self.check(owner, bench)
        return bench

    def _files(self) -> int:
        return sum(len(bench.tree.entries) for bench in self._benches.values())

    def check(self, owner: str, bench: Bench) -> None:
        """Has a draft checked in the background."""
        from core.data.checking.checks import check

        def checked(draft: Draft, work: Work) -> Draft:
            report = check(bench.tree, draft.reading, work.progress, work.cancelled.is_set, bench.looks)
            return replace(draft, report=report)

        bench.begin(self.lanes, owner, "checking", checked)

    def remove(self, owner: str, drafts: Drafts, name: str) -> None:
        """Takes a draft away, with its upload, or ends its way here. Raises SourceNotFound."""
        with self._lock:
            fetch = self._fetches.pop((owner, name), None)
            if fetch is not None:
                fetch.cancel()
        if fetch is not None:
            if not fetch.draft:
                return
            name = fetch.draft
        with self._lock:
            bench = self._benches.pop((owner, name), None)
        if bench is not None:
            bench.cancel()
        drafts.remove(name)
