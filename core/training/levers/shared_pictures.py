"""Rows that share their pictures: which of a batch can share a prefix, and how many of a data set there are.

A prefix ends behind the rows' last picture, or further on as long as their words are the same, and always before the
first thing that is learned with one token between, so that no answer is predicted by a token of another row.
What it does not do: lay the rows out (`layout`), or prove that it is exact (`row_proof`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch

from core.data.batches.collate import IGNORED, Batch
from core.data.rows import Picture, Row
from core.training.levers.layout import Group

CHUNK = 4096
"""Row numbers that are plain integers at a time, and rows between two looks at whether to stop."""
EXAMPLES = 8
"""Pairs of rows that are kept to be tried, each of another picture."""


@dataclass(frozen=True)
class Sharing:
    """How rows share their pictures."""

    keys: torch.Tensor
    """For each row a number that stands for its pictures, [N]; rows without any have numbers of their own."""
    rows: int
    """With pictures."""
    pictures: int
    """Different ones, or sets of them."""
    pairs: tuple[tuple[int, int], ...]
    """Two rows that share theirs, by their places, for each of some pictures."""

    @property
    def mean(self) -> float:
        """Rows to a picture."""
        return self.rows / self.pictures if self.pictures else 0.0


def sharing(rows: Sequence[Row], most: int | None, between: Callable[[], None]) -> Sharing:
    """How the rows share their pictures, with eight bytes a row.

    Args:
        rows: are read once, one after the other.
        most: so many of the first rows are looked at; None: all.
        between: is called now and then, and may raise to break off.
    """
    count = len(rows) if most is None else min(most, len(rows))
    keys = torch.empty(count, dtype=torch.long)
    blind = 0
    for at in range(count):
        if at % CHUNK == 0:
            between()
        row = rows[at]
        names = [picture.name for picture in row.pictures] or [f"no picture\0{at}"]
        keys[at] = int.from_bytes(blake2b("\0".join(names).encode(), digest_size=8).digest(), "big", signed=True)
        blind += not row.pictures
    ordered, places = keys.sort(stable=True)
    again = (ordered[1:] == ordered[:-1]).nonzero().squeeze(1)  # [N - P], the same pictures as the one before
    first = torch.ones_like(again, dtype=torch.bool)  # of its picture
    first[1:] = again[1:] != again[:-1] + 1
    pairs = sorted((int(places[at]), int(places[at + 1])) for at in again[first][:EXAMPLES])
    return Sharing(keys, count - blind, count - blind - len(again), tuple(pairs))


class ShuffledPictures(torch.utils.data.Sampler[int]):
    """The numbers of the rows: pictures shuffled anew in each epoch, their rows together, in an order of chance too."""

    def __init__(self, keys: torch.Tensor, seed: int) -> None:
        self._pictures = torch.unique(keys, return_inverse=True)[1].to(torch.int32)  # [N]
        self._seed, self._epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next, counted from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._pictures)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        rows = torch.randperm(len(self), generator=generator)  # [N]
        places = torch.randperm(int(self._pictures.max()) + 1, generator=generator)  # of the pictures, [P]
        order = rows[torch.argsort(places[self._pictures[rows]], stable=True)]
        for start in range(0, len(order), CHUNK):
            yield from order[start : start + CHUNK].tolist()
        self._epoch += 1


def groups_of(rows: Sequence[Row], encoded: Sequence[Batch], signs: Sequence[int]) -> list[Group]:
    """The rows of a batch that can share a prefix with all their pictures in it.

    Args:
        rows: of the batch.
        encoded: the same, as `Encoder.whole` made them.
        signs: the tokens that stand for pictures.
    """
    found: dict[tuple[tuple[Picture, ...], tuple[int, ...]], list[int]] = {}
    for at, (row, given) in enumerate(zip(rows, encoded, strict=True)):
        end = _pictures_end(given["input_ids"][0], signs) if row.pictures else 0
        if 0 < end < _first_learned(given):
            found.setdefault((row.pictures, tuple(given["input_ids"][0, :end].tolist())), []).append(at)
    return [Group(tuple(places), _prefix(places, encoded)) for places in found.values() if len(places) > 1]


def _pictures_end(ids: torch.Tensor, signs: Sequence[int]) -> int:
    """The position behind the last token that stands for a picture; 0 where none does."""
    at = torch.isin(ids, torch.tensor(signs, dtype=ids.dtype)).nonzero()
    return int(at[-1]) + 1 if len(at) else 0


def _first_learned(given: Batch) -> int:
    """The position of the first token that is learned."""
    return int((given["labels"][0] != IGNORED).nonzero()[0])


def _prefix(places: Sequence[int], encoded: Sequence[Batch]) -> int:
    """How many first tokens the rows have in common, one less than stand before the first that any of them learns."""
    most = min(_first_learned(encoded[at]) for at in places) - 1
    ids = torch.stack([encoded[at]["input_ids"][0, :most] for at in places])  # [G, most]
    other = (ids != ids[:1]).any(dim=0).nonzero()
    return int(other[0]) if len(other) else most
