"""Gradient flow: how large the gradient is in each layer of each component, for the strip of layers.

What it does not do: compute norms (see `norms`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.spec import COMPONENTS, ROLES, Role
from core.training.watching.norms import joined, rounded
from core.training.watching.parts import Part

EVERY = 10
"""Steps between two points."""


class Flow:
    """The layers that learn, in the model's order; what lies outside of a stack of layers stands by its role.

    Args:
        parts: what is trained.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        places: dict[tuple[int, int, int, Role | None], list[int]] = {}
        for place, part in enumerate(parts):
            role = part.role if part.layer is None else None
            layer = -1 if part.layer is None else part.layer
            key = (COMPONENTS.index(part.component), layer, ROLES.index(role) if role else -1, role)
            places.setdefault(key, []).append(place)
        self._places = [places[key] for key in sorted(places, key=lambda key: key[:3])]
        self.layers = [_entry(parts[members[0]]) for members in self._places]
        """Component, layer and, outside of layers, role of each."""

    def due(self, step: int) -> bool:
        """Whether this step's point is written."""
        return step == 1 or step % EVERY == 0

    def norms(self, values: Sequence[float]) -> list[float]:
        """Gradient norms of tensors as those of their layers, in the order of `layers`."""
        return [rounded(joined(values[place] for place in places)) for places in self._places]


def _entry(part: Part) -> dict[str, Any]:
    entry: dict[str, Any] = {"component": part.component, "layer": part.layer}
    return entry if part.layer is not None else entry | {"role": part.role}
