"""What may stand in a batch for the pixels of pictures whose features are known: glimpses.

What it does not do: compute features (see `core.training.levers.vision_cache`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from core.data.rows import Row

GLIMPSES = "glimpses"
"""Where a batch has one for each row with pictures, in their order, instead of the inputs that `Eyes.inputs` names."""


@dataclass(frozen=True)
class Glimpse:
    """The pictures of one row."""

    row: Row
    inputs: dict[str, Any] | None
    """As the vision tower takes them, or None where its output is known already."""


class Eyes(Protocol):
    """Who knows what the vision tower says of pictures."""

    @property
    def inputs(self) -> frozenset[str]:
        """Inputs of the model that only the tower reads."""
        ...

    def known(self, row: Row) -> bool:
        """Whether the tower's output for this row's pictures is at hand."""
        ...

    def seen(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with the tower's output in the place of its glimpses, on the model's device."""
        ...

    def spent(self) -> float:
        """Seconds that computing and reading features have taken so far."""
        ...
