"""What a person should know of a choice before it is trained: a few sentences, the most important first.

Every threshold is a convention (`presets.toml`), not a measurement, and every advice can be passed over.
What it does not do: refuse anything (`core.lora.limits`), or import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.lora.advice import numbers, targets
from core.lora.advice.case import Advice, Case, Change, Severity
from core.lora.advice.targets import confirming, guessed
from core.lora.presets import find_preset, preset_of_data
from core.models.relabel import relabelled
from core.spec import Inspection, Plan, Recipe, Selection, Settings, from_dict, to_dict

__all__ = ["MOST", "RULES", "Advice", "Change", "Severity", "advise", "changed", "confirming", "guessed"]

MOST = 5
"""As many at once as a person reads."""
RULES: tuple[Callable[[Case], Advice | None], ...] = (
    targets.without_gradient,
    targets.vision_left_out,
    targets.language_left_out,
    targets.guessed_parts,
    numbers.rate_out_of_range,
    numbers.alpha_far_from_rank,
    numbers.full_rate,
    numbers.rank_high,
    numbers.many_passes,
    targets.embeddings,
    targets.projector_left_out,
    numbers.many_parameters,
    numbers.dropout_with_few_rows,
    numbers.quantized_vision,
    targets.experts_left_out,
    numbers.adalora_is_short,
    targets.one_sided_layers,
    numbers.dora_costs,
)
"""The most important first; warnings stand before notes."""


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
    case = Case(
        inspection=relabelled(inspection, selection.relabels),
        selection=selection,
        recipe=recipe,
        plan=plan,
        settings=settings,
        rows=rows,
        preset=find_preset(preset) if preset else None,
        suggested=preset_of_data(data) if data else None,
        trainable=trainable,
        feature_layer=feature_layer,
    )
    found = [advice for rule in RULES if (advice := rule(case)) is not None]
    return tuple(found[:MOST])


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
