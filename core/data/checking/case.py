"""The rows under judgement: which are still in, what was found about them, and what the reading drops.

What it does not do: look for trouble; the steps in checks do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from core.data import trouble
from core.data.checking.findings import KINDS, SHOWN, Places, can_drop, errors_first, finding
from core.data.checking.survey import Survey
from core.spec import Finding, Place, Reading

Numbers = np.ndarray[Any, Any]


class Case:
    """What was read, and what is left of it.

    Args:
        found: every row in numbers.
        reading: says what is dropped.
    """

    def __init__(self, found: Survey, reading: Reading) -> None:
        self.found, self.reading = found, reading
        self._places: dict[str, Places] = {}
        self._titles: dict[str, str] = {}
        self._changes: dict[str, dict[str, object]] = {}
        chosen = np.zeros(len(found), bool)
        chosen[[row for row in reading.drop_rows if 0 <= row < len(found)]] = True
        self.alive = ~chosen
        """Rows that are still in, as booleans [rows]."""
        self.find(trouble.CHOSEN, chosen)
        for kind, met in found.troubles.items():
            rows = np.zeros(len(found), bool)
            rows[np.frombuffer(met.rows, np.int64)] = True
            if kind == trouble.ENCODING:
                self._find_once_a_file(kind, rows)
            else:
                self.find(kind, rows & ~chosen, partial(_told, met.details))
        without = self.column("answer") < 0
        self.remarks = without & ~np.isin(np.arange(len(found)), self._broken())
        """What was said of a whole file and is no row, as booleans [rows]."""
        self.alive &= ~without

    def _find_once_a_file(self, kind: str, rows: Numbers) -> None:
        """A trouble that is the whole file's: named at the file's first row that has it, with how many have it."""
        places = np.flatnonzero(rows)
        _, first, counts = np.unique(self.column("file")[places], return_index=True, return_counts=True)
        several = dict(zip(places[first].tolist(), counts.tolist(), strict=True))
        once = np.zeros(len(rows), bool)
        once[places[first]] = True
        self.find(kind, once, lambda row: "" if several[row] == 1 else f"and {several[row] - 1:,} further places in it")

    def _broken(self) -> list[int]:
        """Rows that an error stands against."""
        found = self.found.troubles.items()
        return [row for kind, trouble in found if not _is_warning(kind) for row in trouble.rows]

    def column(self, name: str) -> Numbers:
        """One column of the survey [rows]."""
        values = getattr(self.found, name)
        return np.frombuffer(values, values.typecode) if len(values) else np.zeros(0, values.typecode)

    def find(self, kind: str, rows: Numbers, detail: Callable[[int], str] = lambda _: "", title: str = "") -> None:
        """Rows [rows] that have a kind of trouble; errors, and what is dropped, are out from now on."""
        places = np.flatnonzero(rows)
        if not len(places):
            return
        known = self._places.setdefault(kind, Places())
        for row in places[: max(0, SHOWN - len(known.first))].tolist():
            known.first.append(self.found.place(row, detail(row)))
        known.count += len(places)
        if title:
            self._titles[kind] = title
        if self._drops(kind) or not _is_warning(kind):
            self.alive &= ~rows

    def note(
        self, kind: str, file: str = "", detail: str = "", title: str = "", change: dict[str, object] | None = None
    ) -> None:
        """A trouble that belongs to no row; `change` is what its button sets, where that hangs on the reading."""
        if change:
            self._changes[kind] = change
        if title:
            self._titles[kind] = title
        self._places.setdefault(kind, Places()).add(Place(file, None, detail))

    def findings(self) -> tuple[Finding, ...]:
        """All of them, errors first."""
        order = list(KINDS)
        kinds = sorted(self._places, key=lambda kind: order.index(kind) if kind in KINDS else 0)
        return errors_first(
            [
                finding(
                    kind, self._places[kind], self._drops(kind), self._titles.get(kind, ""), self._changes.get(kind)
                )
                for kind in kinds
            ]
        )

    def said(self, row: int) -> str:
        """A row's answer, to be shown."""
        text = self.found.spoken[self.found.answer[int(row)]]
        return f"“{text[:60]}{'…' if len(text) > 60 else ''}”"

    def where(self, row: int) -> str:
        """A row's file and number, to be shown."""
        place = self.found.place(int(row))
        return place.file if place.row is None else f"{place.file}, row {place.row:,}"

    def like(self, first: Numbers) -> Callable[[int], str]:
        """Says of a row which one [rows] it is like."""
        return lambda row: f"as {self.where(int(first[row]))}"

    def pictures_of(self, row: int) -> list[int]:
        """Numbers of a row's pictures."""
        return list(self.found.pictures[self.found.starts[row] : self.found.starts[row + 1]])

    def picture_name(self, number: int) -> str:
        """A picture's name by its number."""
        return self.found.looks.name(number)

    def size_of(self, odd: Numbers, row: int) -> str:
        """Name and size of a row's first picture among those [pictures]."""
        number = next(number for number in self.pictures_of(row) if odd[number])
        look = self.found.looks.table[number]
        return f"{self.picture_name(number)}, {look['width']:,} × {look['height']:,}"

    def with_picture(self, odd: Numbers) -> Numbers:
        """Rows that have one of those pictures, as booleans [rows]."""
        return counts_of(odd[self.column("pictures")], self.column("starts")) > 0

    def numbers_of(self, rows: Numbers) -> Numbers:
        """Numbers of all pictures of those rows."""
        return self.column("pictures")[np.repeat(rows, np.diff(self.column("starts")))]

    def _drops(self, kind: str) -> bool:
        return kind in self.reading.drop and can_drop(kind)


def _is_warning(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].severity == "warning"


def _told(details: dict[int, str], row: int) -> str:
    return details.get(row, "")


def counts_of(flags: Numbers, starts: Numbers) -> Numbers:
    """How many flags are set between each two starts."""
    sums = np.concatenate([[0], np.cumsum(flags, dtype=np.int64)])
    return sums[starts[1:]] - sums[starts[:-1]]
