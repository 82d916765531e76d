"""Tensors of single rows as those of a batch, filled up where they are shorter.

What it does not do: know what an input means, or what fills it up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch


def missing(like: torch.Tensor, ids: torch.Tensor, fill: int) -> torch.Tensor:
    """What stands for an input [1, T, ...] that only other rows have, for tokens [1, T]."""
    return like.new_full((1, ids.shape[1], *like.shape[2:]), fill)


def stacked(values: Sequence[torch.Tensor], longest: int, fill: int, left: bool) -> torch.Tensor:
    """[1, T, ...] tensors as one [B, longest, ...]; further axes (pictures of a row) are as the largest."""
    sizes = [max(value.shape[axis] for value in values) for axis in range(2, values[0].ndim)]
    grown = [_grown(value, sizes, fill) for value in values]
    return torch.cat([_padded(value, longest, fill, left) for value in grown])


def _grown(value: torch.Tensor, sizes: Sequence[int], fill: int) -> torch.Tensor:
    """The tensor [1, T, ...] with its further axes filled up to these sizes."""
    if list(value.shape[2:]) == list(sizes):
        return value
    grown = value.new_full((*value.shape[:2], *sizes), fill)
    grown[tuple(slice(0, size) for size in value.shape)] = value
    return grown


def _padded(value: torch.Tensor, length: int, fill: int, left: bool) -> torch.Tensor:
    """A [1, T, ...] tensor filled up to `length` on its second axis."""
    missing = value.new_full((1, length - value.shape[1], *value.shape[2:]), fill)
    return torch.cat((missing, value) if left else (value, missing), dim=1)


def differ_at_most_in(values: Sequence[Any], axes: int) -> bool:
    """Whether these are tensors of one kind whose shapes differ in the first so many axes at most."""
    if not all(isinstance(value, torch.Tensor) and value.ndim >= axes for value in values):
        return False
    return len({(value.ndim, value.shape[axes:], value.dtype) for value in values}) == 1


def filled(columns: Mapping[str, Sequence[torch.Tensor]]) -> dict[str, Any]:
    """Tensors [1, N, ...] joined, those with a smaller N filled up with zeros."""
    batch: dict[str, Any] = {}
    for key, values in columns.items():
        longest = max(value.shape[1] for value in values)
        batch[key] = torch.cat([_padded(value, longest, 0, left=False) for value in values])
    return batch


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two batches hold the same tensors."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
