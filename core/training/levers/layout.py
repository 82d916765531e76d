"""Where the tokens of a batch stand when its rows share a prefix, or lie one behind the other in one packed row.

A piece is some rows that share their first `prefix` tokens (a single row shares none): the prefix once, then what each
row has of its own. Pieces lie one behind the other in packed rows. Of the ways to lay a batch out the one that costs
the model the least is taken; where nothing is saved, there is no layout and the batch stays as it is.
What it does not do: say which rows may share a prefix (`shared_pictures`), or make the model's inputs (`packed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.data.batches.collate import Batch

LINEAR = 6
"""A token costs a layer about 24 D^2 multiplications in its matrices and 4 T D in its attention over T tokens, where D
is the hidden size: T / (6 D) as much again. (Counted as in arXiv:2001.08361, section 2.1, forward pass.)"""
NONE = -1
"""Row and piece of padding."""
MOST_TRIED = 8
"""Lengths of a packed row that are tried."""


@dataclass(frozen=True)
class Piece:
    """Rows that share their first tokens, by their places in the batch."""

    rows: tuple[int, ...]
    prefix: int = 0

    def tokens(self, lengths: Sequence[int]) -> int:
        """How many there are, the prefix counted once."""
        return self.prefix + sum(lengths[row] - self.prefix for row in self.rows)


@dataclass(frozen=True)
class Group:
    """Rows that can share their first tokens, as many of them as one likes."""

    rows: tuple[int, ...]
    prefix: int


@dataclass(frozen=True)
class Layout:
    """Where each token of the packed rows comes from, all [B', T'], on the host."""

    rows: torch.Tensor
    """The row of the batch; of a prefix the first of its rows; `NONE` for padding."""
    places: torch.Tensor
    """The position in that row."""
    pieces: torch.Tensor
    """The number of the piece; `NONE` for padding."""
    shared: torch.Tensor
    """Whether the token is seen by all rows of its piece."""
    opens: torch.Tensor
    """Whether the token is the first of what a row has of its own: the one before it is another row's."""
    seeing: tuple[int, ...]
    """The rows of the batch whose pictures the model gets, in the order in which it meets them."""
    positions: Batch
    """Of all rows, what the model makes positions of beside the tokens, such as the sizes of the pictures."""
    pad_id: int
    """The token that stands for padding."""


def best_layout(
    lengths: Sequence[int], groups: Sequence[Group], pack: bool, hidden: int
) -> tuple[tuple[Piece, ...], ...] | None:
    """The packed rows that cost the least, or None where the batch costs no more as it is.

    Args:
        lengths: tokens of each row.
        groups: rows that can share a prefix; each row is in one group at most.
        pack: whether pieces that have nothing to do with one another may lie in one packed row.
        hidden: the hidden size of the language model.
    """
    longest = max(lengths)
    wholes = {Piece(group.rows, group.prefix).tokens(lengths) for group in groups}
    tried = sorted({longest} | {each for each in wholes if each > longest})[:MOST_TRIED]
    best, least = None, _cost(len(lengths), longest, hidden)
    for capacity in tried:
        packed = _filled(list(_pieces(lengths, groups, capacity)), lengths, capacity if pack else 0)
        width = max(sum(piece.tokens(lengths) for piece in row) for row in packed)
        if (cost := _cost(len(packed), width, hidden)) < least:
            best, least = packed, cost
    return best


def in_one_row(lengths: Sequence[int], groups: Sequence[Group]) -> tuple[tuple[Piece, ...], ...]:
    """Everything in one packed row, whatever it costs: what a proof looks at."""
    return (tuple(_pieces(lengths, groups, sum(lengths))),)


def laid_out(
    packed: Sequence[Sequence[Piece]], lengths: Sequence[int], sees: Sequence[bool], positions: Batch, pad_id: int
) -> Layout:
    """The layout that these packed rows have; `sees` says of each row whether it has pictures."""
    columns = [_columns(row, lengths) for row in packed]
    width = max(column.shape[1] for column in columns)
    filled = torch.stack([_grown(column, width) for column in columns], dim=1)  # [5, B', T']
    numbers = _numbered(filled[2], [len(row) for row in packed])
    firsts = (piece.rows[: 1 if piece.prefix else None] for row in packed for piece in row)
    seeing = tuple(at for rows in firsts for at in rows if sees[at])
    return Layout(filled[0], filled[1], numbers, filled[3] == 1, filled[4] == 1, seeing, positions, pad_id)


def _cost(rows: int, width: int, hidden: int) -> float:
    """What so many rows of so many tokens cost the language model, in tokens that look at nothing."""
    return rows * width * (1 + width / (LINEAR * hidden))


def _pieces(lengths: Sequence[int], groups: Sequence[Group], capacity: int) -> Iterator[Piece]:
    """The groups cut into pieces of at most so many tokens, and each row of none by itself, in the batch's order."""
    pieces = [piece for group in groups for piece in _cut(group, lengths, capacity)]
    grouped = {row for group in groups for row in group.rows}
    pieces += [Piece((row,)) for row in range(len(lengths)) if row not in grouped]
    yield from sorted(pieces, key=lambda piece: piece.rows[0])


def _cut(group: Group, lengths: Sequence[int], capacity: int) -> Iterator[Piece]:
    """One group's pieces, filled one after the other; a row that stands alone shares nothing."""
    taken: list[int] = []
    for row in group.rows:
        if taken and Piece((*taken, row), group.prefix).tokens(lengths) > capacity:
            yield _piece(taken, group.prefix)
            taken = []
        taken.append(row)
    yield _piece(taken, group.prefix)


def _piece(rows: Sequence[int], prefix: int) -> Piece:
    return Piece(tuple(rows), prefix if len(rows) > 1 else 0)


def _filled(pieces: Sequence[Piece], lengths: Sequence[int], capacity: int) -> tuple[tuple[Piece, ...], ...]:
    """The pieces in packed rows of at most so many tokens: the largest first, each where it fits first."""
    rows: list[list[Piece]] = []
    free: list[int] = []
    for piece in sorted(pieces, key=lambda piece: -piece.tokens(lengths)) if capacity else pieces:
        tokens = piece.tokens(lengths)
        at = next((at for at, room in enumerate(free) if tokens <= room), None)
        if at is None:
            rows.append([])
            free.append(capacity)
            at = len(rows) - 1
        rows[at].append(piece)
        free[at] -= tokens
    return tuple(tuple(row) for row in rows)


def _columns(row: Iterable[Piece], lengths: Sequence[int]) -> torch.Tensor:
    """Row, place, piece, shared and opens of each token of one packed row, [5, T]."""
    parts: list[torch.Tensor] = []
    for number, piece in enumerate(row):
        if piece.prefix:
            parts.append(_run(piece.rows[0], 0, piece.prefix, number, True))
        parts += [_run(each, piece.prefix, lengths[each], number, False) for each in piece.rows]
    return torch.cat(parts, dim=1)


def _run(row: int, start: int, end: int, piece: int, shared: bool) -> torch.Tensor:
    """The tokens [start, end) of a row, [5, end - start]."""
    run = torch.zeros((5, end - start), dtype=torch.long)
    run[0], run[1], run[2], run[3] = row, torch.arange(start, end), piece, int(shared)
    run[4, 0] = 1
    return run


def _grown(column: torch.Tensor, width: int) -> torch.Tensor:
    """A packed row filled up with padding."""
    padding = torch.zeros((5, width - column.shape[1]), dtype=torch.long)
    padding[0], padding[2] = NONE, NONE
    return torch.cat((column, padding), dim=1)


def _numbered(pieces: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """The numbers of the pieces [B', T'], which count on from one packed row to the next."""
    before = torch.tensor([sum(counts[:row]) for row in range(len(counts))])[:, None]
    return torch.where(pieces == NONE, pieces, pieces + before)


def lengths_of(encoded: Sequence[Any]) -> list[int]:
    """Tokens of each row as `Encoder.whole` made it."""
    return [row["input_ids"].shape[1] for row in encoded]
