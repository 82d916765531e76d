"""Pictures of several rows through the tower at once, and what it says of them as one part a row.

A tower's output goes by row, by picture or by tile, as the model's code has it: the way is found on rows whose parts
are known one by one. Worth it on a GPU alone, where a tower costs about the same for one picture as for several.
What it does not do: keep anything (see `vision_cache`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from core.data.batches.collate import Batch, Encoder
from core.data.rows import Row
from core.training.levers.features import BY_LAYER, Features, taken_apart, tensors

Way = Literal["rows", "pictures", "tiles"]
WAYS: tuple[Way, ...] = ("pictures", "rows", "tiles")


def apart(features: Features, counts: Sequence[int]) -> list[Features] | None:
    """The features of a batch as one part a row, each with so many entries; None where they have another number."""
    fields = {name: _cut(value, counts, name in BY_LAYER) for name, value in features.items()}
    if any(parts is None for parts in fields.values()):
        return None
    return [{name: parts[at] for name, parts in fields.items() if parts is not None} for at in range(len(counts))]


def counted(way: Way, rows: Sequence[Row], inputs: Sequence[Batch]) -> list[int]:
    """How many entries each row has."""
    if way == "rows":
        return [1] * len(rows)
    if way == "pictures":
        return [len(row.pictures) for row in rows]
    return [len(given["pixel_values"]) if "pixel_values" in given else 0 for given in inputs]


def joined_inputs(encoder: Encoder, rows: Sequence[Row], inputs: Sequence[Batch]) -> Batch | None:
    """The inputs of rows as those of one batch; None where not all rows have the same."""
    if len({frozenset(given) for given in inputs}) != 1:
        return None
    return encoder.pictures_together(rows, inputs)


def find_way(
    rows: Sequence[Row], inputs: Sequence[Batch], output: Any, alone: Sequence[Features], within: float
) -> Way | None:
    """How the output for all rows falls into those of the rows by themselves, if it does.

    Args:
        rows: two or more, with pictures.
        inputs: of each.
        output: for all of them at once.
        alone: the features of each.
        within: how far they may differ, for rounding.
    """
    without = frozenset(vars(output)) - alone[0].keys()
    whole = taken_apart(output, without)
    for way in WAYS:
        parts = apart(whole, counted(way, rows, inputs))
        if parts is not None and all(_same(one, other, within) for one, other in zip(parts, alone, strict=True)):
            return way
    return None


def _cut(value: Any, counts: Sequence[int], by_layer: bool) -> list[Any] | None:
    """A field as one part a row; None where it has another number of entries."""
    if isinstance(value, torch.Tensor) and value.ndim:
        return [part.clone() for part in value.split(list(counts))] if len(value) == sum(counts) else None
    if not isinstance(value, list):
        return [value] * len(counts)
    if by_layer or not all(isinstance(item, (torch.Tensor, list)) for item in value):
        layers = [_cut(item, counts, False) for item in value]
        if any(layer is None for layer in layers):
            return None
        return [[layer[at] for layer in layers if layer is not None] for at in range(len(counts))]
    if len(value) != sum(counts):
        return None
    ends = [sum(counts[: at + 1]) for at in range(len(counts))]
    return [value[end - count : end] for end, count in zip(ends, counts, strict=True)]


def _same(one: Features, other: Features, within: float) -> bool:
    """Whether two are alike in form, and in numbers up to rounding."""
    pairs = list(zip(tensors(one), tensors(other), strict=False))
    return (
        len(tensors(one)) == len(tensors(other)) == len(pairs)
        and all(a.shape == b.shape for a, b in pairs)
        and all(torch.allclose(a.float(), b.float(), rtol=within, atol=within) for a, b in pairs)
    )
