"""The literature's priorities as named choices on a model: which parts commonly repay learning first.

The order (last attention layers and what joins the two sides high, middle layers and MLPs medium, early encoder layers
and embeddings low) is a convention.
What it does not do: choose rank or alpha, or say that an order is best for a set of data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.lora.presets import usual_cells
from core.lora.selection import USUAL_ROLES, available_cells, layers_of
from core.spec import Component, Inspection, LayerRange, Selection

SHARE = 3
"""One part in so many counts as the first, or the last, layers of a component."""
TOWERS: tuple[Component, ...] = ("vision", "language", "cross_attention")
"""Components that are stacks of layers."""


@dataclass(frozen=True)
class Priority:
    """A named order of what learns first, on a model."""

    name: str
    title: str
    why: str
    selection: Selection
    """Empty where the model has nothing of what is meant."""


def priorities(inspection: Inspection) -> tuple[Priority, ...]:
    """The choices as they fall on this model."""
    return (_last_layers(inspection), _cross_modal(inspection), _late_layers(inspection))


def _last_layers(inspection: Inspection) -> Priority:
    layers = {component: (-max(1, count // SHARE), None) for component, count in _stacks(inspection).items()}
    return Priority(
        "last_layers_first",
        "Last layers first",
        f"The last third of each tower ({_said(inspection, layers)}): what is closest to the answer commonly changes "
        "most for a new task, and the layers before it keep what they know.",
        _narrowed(inspection, layers),
    )


def _late_layers(inspection: Inspection) -> Priority:
    layers = {component: (count // SHARE, None) for component, count in _stacks(inspection).items()}
    return Priority(
        "early_layers_left_alone",
        "Early layers left alone",
        f"All but the first third of each tower ({_said(inspection, layers)}): edges, textures and word forms are "
        "commonly the same in every task.",
        _narrowed(inspection, layers),
    )


def _cross_modal(inspection: Inspection) -> Priority:
    """The projector and cross-attention; where there is no cross-attention, pictures and words meet in language's."""
    available = available_cells(inspection)
    joins = [name for name in available if name.partition(".")[0] == "cross_attention" and _usual(name)]
    meets = joins or [name for name in available if name == "language.attention"]
    cells = tuple(name for name in available if name in meets or (name.startswith("projector.") and _usual(name)))
    where = "in its cross-attention" if joins else "in the language model's own attention"
    return Priority(
        "cross_modal_first",
        "What joins picture and words first",
        f"The projector, and the attention in which pictures and words meet, here {where}: commonly the first place "
        "to look when both sides are good and do not fit together.",
        Selection(cells=cells),
    )


def _usual(name: str) -> bool:
    return name.partition(".")[2] in USUAL_ROLES


def _stacks(inspection: Inspection) -> dict[Component, int]:
    """Number of layers of each tower that is a stack of them."""
    found: dict[Component, int] = {component: len(layers_of(inspection, component)) for component in TOWERS}
    return {component: count for component, count in found.items() if count > 1}


def _narrowed(inspection: Inspection, layers: Mapping[Component, LayerRange]) -> Selection:
    """The usual cells of the towers, in these layers only."""
    cells = tuple(name for name in usual_cells(inspection) if name.partition(".")[0] in layers)
    return Selection(cells=cells, layers=dict(layers) if cells else {})


def _said(inspection: Inspection, layers: Mapping[Component, LayerRange]) -> str:
    """Such as `the last 4 of 12 of vision`."""
    parts = []
    for component, (start, stop) in layers.items():
        all_layers = layers_of(inspection, component)
        parts.append(f"{component.replace('_', '-')} {len(all_layers[start:stop])} of {len(all_layers)}")
    return ", ".join(parts) or "this model has no stack of layers"
