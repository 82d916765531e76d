"""A few telling rows tried on a processor before hours are spent on all: what cannot work is said at once.

Looks at a seeded sample, so that it takes as long for a million rows as for a thousand.
What it does not do: look whether every row fits (`core.data.previewing.fitting`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from core.data.batches.conversations import check_row, folds_system
from core.data.rows import Row
from core.errors import DataError

if TYPE_CHECKING:
    from core.data.batches.collate import Encoder

SAMPLE = 512
"""Rows whose texts are looked at, on each side."""
SHAPES = 8
"""Kinds of rows of which one is tried with its pictures."""
LONGEST = 4
"""Rows with the most text that are tried as well."""
SEED = 0

Item = TypeVar("Item")


def sampled(items: Sequence[Item], count: int, seed: int = SEED) -> list[Item]:
    """All of them in their order when they are few, else a seeded sample in their order."""
    if len(items) <= count:
        return [items[index] for index in range(len(items))]
    return [items[index] for index in sorted(random.Random(seed).sample(range(len(items)), count))]


def try_rows(
    encoder: Encoder, train: Sequence[Row], heldout: Sequence[Row], batch_size: int, check: Callable[[], None]
) -> tuple[str, ...]:
    """Tries one row of each kind and the longest ones -> what the person should know, in sentences.

    Args:
        encoder: of the model that is to learn.
        train: rows to learn from; may be any number.
        heldout: rows that are looked at.
        batch_size: of the training.
        check: called between rows; may raise to break off.

    Raises:
        DataError: the model cannot learn from a row, named in the sentence.
    """
    learned = sampled(train, SAMPLE)
    rows = [*learned, *sampled(heldout, SAMPLE)]
    shapes: dict[tuple[object, ...], Row] = {}
    for row in rows:
        check_row(encoder.processor, row, encoder.stop_ids)
        shapes.setdefault(shape_of(row), row)
    longest = sorted(rows, key=_letters, reverse=True)[:LONGEST]
    for row in dict.fromkeys([*list(shapes.values())[:SHAPES], *longest]):
        check()
        encoder.training([row])
    if batch_size > 1 and len(encoder.apart(learned)) > 1:
        raise DataError(
            "Training was asked for",
            "some rows have pictures and some have none, which this model cannot read in one batch",
            "Take a batch size of 1 with accumulation, or the rows without a picture out",
        )
    return _notes(encoder, shapes.values())


def shape_of(row: Row) -> tuple[object, ...]:
    """What a template or a processor may stumble over: who speaks, and where pictures stand."""
    return tuple((turn.speaker, tuple(isinstance(part, str) for part in turn.parts)) for turn in row.turns)


def _letters(row: Row) -> int:
    return sum(len(turn.text) for turn in row.turns)


def _notes(encoder: Encoder, rows: Iterable[Row]) -> tuple[str, ...]:
    if not any(folds_system(encoder.processor, row) for row in rows):
        return ()
    return ("This model's template has no place for the system prompt; it stands in front of the first question.",)
