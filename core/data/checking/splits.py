"""Which rows are held out: a seeded share of them, or those that a column, a file or a folder names.

Rows that belong together (the same or almost the same picture, the same writer) are one group, and a group is on one
side. Which groups are held out depends on what they hold and on the seed, not on their order: after a few rows were
taken out, almost all others stay on their side.
What it does not do: look for what belongs together in pictures (near), or move a row whose side was given.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, Any]


class Groups:
    """Joins things that belong together; a forest of numbers whose roots are the lowest ones."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def join(self, left: int, right: int) -> None:
        """From now on both are in one group."""
        left, right = self._root(left), self._root(right)
        self._above[max(left, right)] = min(left, right)

    def join_equal(self, pairs: Iterable[tuple[Hashable, int]]) -> None:
        """Joins all numbers that come with the same key: pairs of key and number."""
        first: dict[Hashable, int] = {}
        for key, number in pairs:
            self.join(first.setdefault(key, number), number)

    def labels(self) -> Numbers:
        """For every number the lowest one of its group."""
        import numpy as np

        return np.fromiter(map(self._root, range(len(self._above))), np.int64, len(self._above))

    def _root(self, number: int) -> int:
        above = self._above
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number


def hold_out(labels: Numbers, keys: Numbers, share: float, seed: int, answers: Numbers | None = None) -> Numbers:
    """Which rows are held out, as booleans [N]: whole groups, about a share of the rows, never all of them.

    Args:
        labels: of the rows' groups, int64 [N].
        keys: what the rows hold, as uint64 hashes [N].
        share: of the rows, 0 to 1.
        seed: another one holds out other groups.
        answers: of the rows, as numbers [N]; where they are known, each is held out about as often as it occurs.
    """
    import numpy as np

    groups, member, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if len(groups) < 2:
        return np.zeros(len(labels), bool)
    lowest = np.full(len(groups), np.iinfo(np.uint64).max)
    np.minimum.at(lowest, member, keys)
    places = _scrambled(lowest, seed)
    if answers is not None:
        places = _spread(places, _strata(labels, keys, groups, answers, share))
    order = np.lexsort((lowest, places))
    wanted = min(len(labels) - 1, max(1, round(share * len(labels))))
    chosen = np.zeros(len(groups), bool)
    taken = 0
    for group in order.tolist():
        if taken + sizes[group] <= wanted:
            chosen[group] = True
            taken += int(sizes[group])
            if taken == wanted:
                break
    if not taken:  # every group is larger than the share
        chosen[min(order.tolist(), key=lambda group: sizes[group])] = True
    return chosen[member]


def _strata(labels: Numbers, keys: Numbers, groups: Numbers, answers: Numbers, share: float) -> Numbers:
    """The answer of each group as a number from 0 on; answers too rare for a share of their own are one."""
    import numpy as np

    first = np.lexsort((keys, labels))  # rows by group; the lowest of each stands for it
    own = answers[first[np.searchsorted(labels[first], groups)]]
    _, kind, size = np.unique(own, return_inverse=True, return_counts=True)
    return np.where(size[kind] * share < 1, len(size), kind)


def _spread(chance: Numbers, kind: Numbers) -> Numbers:
    """Places in the queue that spread each kind evenly over it: stratified sampling.

    The n groups of one kind draw their places one from each n-th of the queue, so that any share of the queue holds
    about that share of every kind.
    """
    import numpy as np

    order = np.lexsort((chance, kind))
    _, start, size = np.unique(kind[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(start, size)
    places = np.empty(len(order))
    places[order] = (rank + chance[order] / 2.0**64) / np.repeat(size, size)
    return places


def _scrambled(keys: Numbers, seed: int) -> Numbers:
    """Numbers that look random, the same ones for the same keys and seed.

    The finalizer of SplitMix64 (Steele, Lea & Flood 2014, as in java.util.SplittableRandom).
    """
    import numpy as np

    with np.errstate(over="ignore"):
        mixed = keys + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))
