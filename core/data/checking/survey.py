"""All rows of data read once, with a look at each picture: numbers instead of rows, so that a million of them fit.

What it does not do: judge what was found (checks), or keep a row or a picture.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from core.data import trouble
from core.data.checking import findings
from core.data.checking.looks import Look, Looks, look_at
from core.data.files.tree import Tree
from core.data.formats.expectation import expected_rows
from core.data.formats.records import Item, records
from core.data.rows import Picture, Row
from core.data.wording import normal_form
from core.errors import DataError
from core.spec import Place, Reading

Progress = Callable[[int, int | None], None]
"""Told how many rows are done, of about how many where that can be told."""
THREADS = 2
"""That read and decode pictures; the libraries let go of Python's lock meanwhile."""
AHEAD = 64
"""Pictures under way at once, to bound the memory."""
DIFFERENT = 200_000
"""Answers that are told apart; beyond, each further one counts as different from all."""
_DAMAGED = re.compile("\ufffd|Ã[\u0080-\u00bf]|â€[\u0080-\u00bf™œ\u201c\u201d˜¦“”]|Â[\u0080-\u00bf]")
"""The replacement sign, and UTF-8 that was read as Latin-1 or Windows-1252."""
_SCRIPTS = (
    (0x370, 0x3FF, "Greek"),
    (0x400, 0x52F, "Cyrillic"),
    (0x530, 0x58F, "Armenian"),
    (0x590, 0x5FF, "Hebrew"),
    (0x600, 0x77F, "Arabic"),
    (0x900, 0x97F, "Devanagari"),
    (0x980, 0x9FF, "Bengali"),
    (0xB80, 0xBFF, "Tamil"),
    (0xE00, 0xE7F, "Thai"),
    (0x10A0, 0x10FF, "Georgian"),
    (0x3040, 0x30FF, "Chinese or Japanese"),
    (0x3400, 0x9FFF, "Chinese or Japanese"),
    (0xAC00, 0xD7AF, "Hangul"),
)


class Cancelled(DataError):
    """The person asked to stop; nothing was kept."""


class Waiting(NamedTuple):
    """A look that another thread is taking."""

    row: int
    """The first that has the picture."""
    picture: int
    coming: Future[Look]


@dataclass
class Trouble:
    """Rows with one kind of trouble: all their numbers, and what is special about the first ones."""

    rows: array[int] = field(default_factory=lambda: array("q"))
    details: dict[int, str] = field(default_factory=dict)

    def add(self, row: int, detail: str) -> None:
        """One more row."""
        self.rows.append(row)
        if len(self.details) < findings.SHOWN:
            self.details[row] = detail


@dataclass
class Survey:
    """What is known of all rows, column by column; row N is the N-th that was read."""

    looks: Looks
    files: dict[str, int] = field(default_factory=dict)
    file_names: list[str] = field(default_factory=list)
    """The same by their numbers."""
    file: array[int] = field(default_factory=lambda: array("i"))
    """Number of the row's file."""
    line: array[int] = field(default_factory=lambda: array("q"))
    """-1 where none is known."""
    side: array[int] = field(default_factory=lambda: array("b"))
    """1 held out, 0 to learn from, -1 not said."""
    groups: dict[str, int] = field(default_factory=dict)
    group: array[int] = field(default_factory=lambda: array("i"))
    """-1 for none."""
    prompt: array[int] = field(default_factory=lambda: array("Q"))
    """Hash of all that comes before the answer, without pictures."""
    answer: array[int] = field(default_factory=lambda: array("i"))
    """Number of the answer; -1 when there is none."""
    answers: dict[str, int] = field(default_factory=dict)
    """By their normal form."""
    spoken: list[str] = field(default_factory=list)
    """The same as they were first written."""
    length: array[int] = field(default_factory=lambda: array("i"))
    """Of the answer in characters."""
    scripts: dict[str, int] = field(default_factory=dict)
    script: array[int] = field(default_factory=lambda: array("b"))
    languages: dict[str, int] = field(default_factory=dict)
    language: array[int] = field(default_factory=lambda: array("i"))
    starts: array[int] = field(default_factory=lambda: array("q", [0]))
    """Where the row's pictures begin in `pictures`; one more than there are rows."""
    pictures: array[int] = field(default_factory=lambda: array("i"))
    """Numbers in `looks`."""
    troubles: dict[str, Trouble] = field(default_factory=dict)
    bare: int = 0
    """Troubles that belong to no row."""

    def __len__(self) -> int:
        return len(self.line)

    def place(self, row: int, detail: str = "") -> Place:
        """Where a row was found."""
        line = self.line[row]
        return Place(self.file_names[self.file[row]], None if line < 0 else line, detail[:200])

    def note(self, kind: str, row: int, detail: str = "") -> None:
        """A trouble of a row."""
        self.troubles.setdefault(kind, Trouble()).add(row, detail)

    def add(self, item: Item, pictures: list[int]) -> None:
        """One more row, its pictures by their numbers."""
        number, row = len(self), item.row
        for kind, detail in item.trouble:
            self.note(kind, number, detail)
        self.file.append(self._number_of_file(item.place.file))
        self.line.append(-1 if item.place.row is None else item.place.row)
        self.side.append({"heldout": 1, "train": 0}.get(item.side, -1))
        self.group.append(self.groups.setdefault(item.group, len(self.groups)) if item.group else -1)
        self.pictures.extend(pictures)
        self.starts.append(len(self.pictures))
        self._add_words(number, row)

    def _number_of_file(self, name: str) -> int:
        known = self.files.setdefault(name, len(self.files))
        if known == len(self.file_names):
            self.file_names.append(name)
        return known

    def _add_words(self, number: int, row: Row | None) -> None:
        said = row.answer if row else ""
        self.prompt.append(_hash_of_prompt(row) if row else 0)
        self.answer.append(self._number_of(said) if row else -1)
        self.length.append(len(said))
        self.script.append(self.scripts.setdefault(script_of(said), len(self.scripts)))
        self.language.append(self.languages.setdefault(row.language if row else "", len(self.languages)))
        if row and (found := next((found for turn in row.turns if (found := _DAMAGED.search(turn.text))), None)):
            self.note(trouble.BROKEN_TEXT, number, f"“{found.string[max(0, found.start() - 20) : found.end() + 20]}”")

    def _number_of(self, said: str) -> int:
        form = normal_form(said)
        known = self.answers.get(form)
        if known is None:
            known = len(self.spoken)
            self.spoken.append(said[:200] if known < DIFFERENT else "")
            if known < DIFFERENT:
                self.answers[form] = known
        return known


def quietly(_done: int, _total: int | None) -> None:
    """Progress that nobody looks at."""


def survey(
    tree: Tree,
    reading: Reading,
    progress: Progress = quietly,
    cancelled: Callable[[], bool] = lambda: False,
    looks: Looks | None = None,
) -> Survey:
    """Reads every row and looks at every picture once.

    Raises:
        Cancelled: it was asked to stop.
        DataError: a table cannot be read at all.
    """
    found, total = Survey(Looks() if looks is None else looks), expected_rows(tree, reading)
    waiting, seen = deque[Waiting](), dict[str, int]()

    def tell() -> None:
        """A row is done when its pictures are looked at, too; beyond the estimate nobody knows how many there are."""
        done = waiting[0].row if waiting else len(found)
        progress(done, total if total and done < total else None)

    pool = ThreadPoolExecutor(THREADS, "looks")
    try:
        for item in records(tree, reading):
            if cancelled():
                raise _stopped()
            found.add(item, list(_begun(item, len(found), found.looks, pool, waiting, seen)))
            while len(waiting) > AHEAD or (waiting and waiting[0].coming.done()):
                _settle(found.looks, waiting.popleft())
            tell()
        total = len(found)
        while waiting:
            if cancelled():
                raise _stopped()
            _settle(found.looks, waiting.popleft())
            tell()
        progress(total, total)
    finally:
        pool.shutdown(cancel_futures=True)
        found.looks.save()
    _note_unreadable(found)
    return found


def _begun(
    item: Item, row: int, looks: Looks, pool: ThreadPoolExecutor, waiting: deque[Waiting], seen: dict[str, int]
) -> Iterator[int]:
    """Numbers of the row's pictures; those that are new are looked at by another thread."""
    pictures: tuple[Picture, ...] = item.row.pictures if item.row else ()
    for picture in pictures:
        number = seen.get(picture.name)
        if number is None:
            number, new = looks.number_of(picture)
            seen[picture.name] = number
            if new:
                waiting.append(Waiting(row, number, pool.submit(look_at, picture)))
        yield number


def _settle(looks: Looks, look: Waiting) -> None:
    looks.put(look.picture, look.coming.result())


def _stopped() -> Cancelled:
    return Cancelled("The data were checked", "it was stopped", "Start again when you like")


def _note_unreadable(found: Survey) -> None:
    """Rows with a picture that cannot be opened."""
    if not found.looks.troubles:
        return
    names = {found.looks.numbers[name]: name for name in found.looks.numbers}
    for row in range(len(found)):
        for number in found.pictures[found.starts[row] : found.starts[row + 1]]:
            if number in found.looks.troubles:
                found.note(trouble.UNREADABLE_IMAGE, row, f"{names[number]}: {found.looks.troubles[number]}")
                break


def _hash_of_prompt(row: Row) -> int:
    """Of the texts and the places of the pictures before the answer, and of earlier answers."""
    parts = [
        f"{turn.speaker}\0" + "\0".join(p if isinstance(p, str) else "\1" for p in turn.parts) for turn in row.prompt
    ]
    return int.from_bytes(hashlib.blake2b("\2".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest())


def script_of(text: str) -> str:
    """The script that most letters of a text have; nothing where it has none.

    >>> script_of("hinge"), script_of("Шарнир 5"), script_of("42")
    ('Latin', 'Cyrillic', '')
    """
    counts: dict[str, int] = {}
    for sign in text[:200]:
        if sign.isalpha():
            name = "Latin" if sign < "\u0300" else _script(ord(sign))
            counts[name] = counts.get(name, 0) + 1
    return max(counts, key=lambda name: counts[name]) if counts else ""


def _script(code: int) -> str:
    return next((name for low, high, name in _SCRIPTS if low <= code <= high), "another")
