"""What a person should know of a choice before it is trained: a few sentences, the most important first.

Every threshold is a convention (`presets.toml`), not a measurement, and every advice can be passed over.
What it does not do: refuse anything (`limits.py`), or import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.spec import Inspection, Plan, Recipe, Selection, Settings, from_dict, to_dict

MOST = 5
"""As many at once as a person reads."""
Severity = Literal["note", "warning"]
Change = dict[str, dict[str, Any]]
"""`selection`, `recipe`, `settings`: those of their values that become others; see `changed`."""


@dataclass(frozen=True)
class Advice:
    """One thing to know of a choice."""

    key: str
    """What it is about; the same for the same advice on another choice."""
    severity: Severity
    title: str
    reason: str
    remedy: str
    change: Change | None = None
    """What the remedy does to the choice, as plain JSON; None where only the person can say."""


def advise(
    inspection: Inspection,
    selection: Selection,
    recipe: Recipe,
    plan: Plan,
    settings: Settings,
    rows: int | None,
    *,
    preset: str | None = None,
    data: str | None = None,
    trainable: int | None = None,
    feature_layer: int | tuple[int, ...] | None = None,
) -> tuple[Advice, ...]:
    """What is worth saying of a choice, at most `MOST`, warnings first.

    Args:
        inspection: with the labels as they were made.
        selection: what was chosen.
        recipe: and how it is adapted.
        plan: of both.
        settings: of the training.
        rows: to learn from; None while no data were chosen.
        preset: name of the preset in hand.
        data: name of the demo data set in hand.
        trainable: as counted by `budget`; without it nothing is said of the number of parameters.
        feature_layer: see `core.lora.unused.feature_layer`.
    """
    return ()


def changed(
    change: Mapping[str, Any], selection: Selection, recipe: Recipe, settings: Settings
) -> tuple[Selection, Recipe, Settings]:
    """The choice with an advice's change: each value that it names takes the place of the old one.

    Raises:
        SpecError: a name or a value does not belong there.
        PlanError: see `Selection` and `Recipe`.
    """
    return (
        from_dict(Selection, {**to_dict(selection), **change.get("selection", {})}),
        from_dict(Recipe, {**to_dict(recipe), **change.get("recipe", {})}),
        from_dict(Settings, {**to_dict(settings), **change.get("settings", {})}),
    )
