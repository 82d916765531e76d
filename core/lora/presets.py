"""Usual choices of what learns, as data.

What it does not do: promise which choice wins; only a run on held-out rows can say that.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.lora.selection import available_cells
from core.spec import COMPONENTS, Component, Inspection, Role


@dataclass(frozen=True)
class Preset:
    """A named choice of components and roles."""

    name: str
    title: str
    why: str
    components: tuple[Component, ...]
    roles: tuple[Role, ...]


_BOTH: tuple[Role, ...] = ("attention", "mlp")
_TOWERS: tuple[Component, ...] = ("vision", "projector", "language", "cross_attention")

PRESETS: tuple[Preset, ...] = (
    Preset(
        "language",
        "Language only",
        "Commonly used for style, format and terms. The fastest: the vision encoder stays as it is.",
        ("language",),
        _BOTH,
    ),
    Preset(
        "vision",
        "Vision only",
        "Commonly used for pictures that look new while the words stay known.",
        ("vision",),
        _BOTH,
    ),
    Preset(
        "vision_language",
        "Vision + language",
        "Commonly used for new kinds of pictures with new answers. The projector between the two learns too, and "
        "cross-attention where the model has it.",
        _TOWERS,
        _BOTH,
    ),
    Preset(
        "attention",
        "Attention only",
        "The fewest parameters that still touch every layer. Commonly used for small data sets.",
        COMPONENTS,
        ("attention",),
    ),
    Preset(
        "everything",
        "Everything",
        "Attention and MLP of every part, audio included. The most to learn with, and the most memory.",
        COMPONENTS,
        _BOTH,
    ),
)


USUAL = "vision_language"
"""The preset to begin with."""


def usual_cells(inspection: Inspection) -> tuple[str, ...]:
    """The cells of the preset to begin with, or every cell of a model that has none of them."""
    usual = next(preset for preset in PRESETS if preset.name == USUAL)
    return preset_cells(inspection, usual) or tuple(available_cells(inspection))


def preset_cells(inspection: Inspection, preset: Preset) -> tuple[str, ...]:
    """The preset's cells that this model has, in the order of the grid; empty where it has none."""
    return tuple(
        name
        for name in available_cells(inspection)
        if name.partition(".")[0] in preset.components and name.partition(".")[2] in preset.roles
    )
