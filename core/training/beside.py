"""Rows that other processes prepare beside the training: what goes wrong there is said as if it had gone wrong here.

torch turns an error of another process into one that is made of a text alone, which a `StudioError` cannot be; it would
come out as an unexpected one. So it travels in the place of the batch.
What it does not do: start the processes; torch's loader does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.data.rows import Row
from core.errors import StudioError


@dataclass(frozen=True)
class Failed:
    """Stands where a batch would."""

    error: StudioError


class Beside:
    """Makes batches as another does, in whichever process; an error that a person can cause becomes a `Failed`."""

    def __init__(self, collate: Callable[[Sequence[Row]], Any]) -> None:
        self._collate = collate

    def __call__(self, rows: Sequence[Row]) -> Any:
        """The batch, or why there is none."""
        try:
            return self._collate(rows)
        except StudioError as error:
            return Failed(error)


def raise_failed(batches: Iterable[Any]) -> None:
    """Raises the error of the first batch that could not be made."""
    for batch in batches:
        if isinstance(batch, Failed):
            raise batch.error
