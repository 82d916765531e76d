"""Which rows hold the same: the same pictures by their bytes, or pictures that look alike, and the same words.

Rows are compared by 64-bit hashes; among a million rows two different ones meet with a chance of 1 in 30 million.
What it does not do: decide what becomes of them (checks).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.data.checking.case import counts_of
from core.data.checking.near import near_groups
from core.data.checking.splits import Groups
from core.data.checking.survey import Survey

Numbers = np.ndarray[Any, Any]
BY_NATURE = 0.05
"""Share of the pictures that may look alike; a larger group is alike by its nature (forms, plain icons), not copied."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Splits apart what would otherwise add up to the same; 2^64 over the golden ratio."""


class Sameness:
    """What is the same in the rows of a survey.

    Args:
        found: every row in numbers.
        alive: rows that count, as booleans [rows].
    """

    def __init__(self, found: Survey, alive: Numbers) -> None:
        table = found.looks.table
        self._pictures = _column(found.pictures)
        self._starts = _column(found.starts)
        self._prompt = _column(found.prompt)
        digests = table["digest"].copy().view("u8").reshape(len(table), 4) if len(table) else np.zeros((0, 4), "u8")
        self.exact_pictures: Numbers = digests[:, 0]
        """A number for each picture, the same for the same bytes."""
        used = np.unique(self._pictures[np.repeat(alive, np.diff(self._starts))])
        self.alike_pictures: Numbers = _alike(self.exact_pictures, table, used)
        """A number for each picture, the same for pictures that look alike."""
        self.exact, self.alike = self._joined(self.exact_pictures), self._joined(self.alike_pictures)
        self.without_pictures: Numbers = np.diff(self._starts) == 0

    def key(self, pictures: Numbers, *more: Numbers) -> Numbers:
        """A number for each row, the same for rows with the same pictures, prompt and what else is given."""
        key = self._prompt * _ODD + pictures
        for values in more:
            key = (key ^ (key >> np.uint64(29))) * _ODD + values
        return key

    def first_of(self, keys: Numbers, alive: Numbers) -> Numbers:
        """For each row that counts, the first one with the same key; for others themselves."""
        rows = np.flatnonzero(alive)
        _, first, member = np.unique(keys[rows], return_index=True, return_inverse=True)
        found = np.arange(len(keys))
        found[rows] = rows[first[member]]
        return found

    def shared(self, pictures: Numbers, others: Numbers) -> Numbers:
        """Rows with a picture that one of the other rows has too, as booleans [rows]."""
        held = pictures[self._pictures[np.repeat(others, np.diff(self._starts))]]
        return counts_of(np.isin(pictures[self._pictures], held), self._starts) > 0

    def groups(self, rows: Numbers, writers: Numbers | None) -> Numbers:
        """Labels [rows given] of what belongs on one side: the same or alike pictures, one writer, the same words.

        Args:
            rows: numbers of those that count.
            writers: the group of each, -1 for none; None where groups do not matter.
        """
        joined = Groups(len(rows))
        counts = np.diff(self._starts)[rows]
        owner = np.repeat(np.arange(len(rows)), counts)
        chosen = np.zeros(len(self._prompt), bool)
        chosen[rows] = True
        pictures = self._pictures[np.repeat(chosen, np.diff(self._starts))]
        joined.join_equal(zip(self.alike_pictures[pictures].tolist(), owner.tolist(), strict=True))
        if writers is not None:
            some = np.flatnonzero(writers >= 0)
            joined.join_equal(zip(writers[some].tolist(), some.tolist(), strict=True))
        bare = np.flatnonzero(counts == 0)
        joined.join_equal(zip(self._prompt[rows[bare]].tolist(), bare.tolist(), strict=True))
        return joined.labels()

    def _joined(self, pictures: Numbers) -> Numbers:
        """One number a row for its pictures in their order."""
        place = (np.arange(len(self._pictures)) - np.repeat(self._starts[:-1], np.diff(self._starts))).astype(np.uint64)
        mixed = (pictures[self._pictures] ^ (pictures[self._pictures] >> np.uint64(31))) * (place * _ODD | np.uint64(1))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
        return sums[self._starts[1:]] - sums[self._starts[:-1]]


def _alike(exact: Numbers, table: Numbers, used: Numbers) -> Numbers:
    """The pictures' numbers, those of pictures that look alike made equal."""
    readable = used[table["readable"][used]]
    _, first, member = np.unique(exact[readable], return_index=True, return_inverse=True)
    single = readable[first]
    labels = near_groups(table["dhash"][single], table["thumb"][single])
    sizes = np.bincount(labels, minlength=len(labels))
    too_many = sizes[labels] > max(20, BY_NATURE * len(single))
    labels = np.where(too_many, np.arange(len(labels)), labels)
    found = exact.copy()
    found[readable] = exact[single[labels[member]]]
    return found


def _column(values: Any) -> Numbers:
    return np.frombuffer(values, values.typecode) if len(values) else np.zeros(0, values.typecode)
