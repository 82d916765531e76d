"""What the page says of a choice: what cannot be, beside the control that makes it so, and what deserves a thought.

What it does not do: know a rule; those stand in `core.lora.limits` and `core.lora.advice`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from core.errors import DataError, PlanError, SourceNotFound, SpecError
from core.lora.advice import advise
from core.lora.budget import budget
from core.lora.limits import problems
from core.lora.unused import feature_layer
from core.spec import Knobs, Settings, to_dict
from ui.choice import Chosen, read_choice
from ui.datasets import dataset_of
from ui.panels.settings import form_of, settings_of
from ui.studio import Studio

MOST_REFUSALS = 3


def counsel(studio: Studio, asked: dict[str, Any], owner: str) -> dict[str, Any]:
    """`refused`: what cannot be; `advice`: what is worth saying, which is nothing while something is refused."""
    chosen = read_choice(studio, asked)
    settings = settings_so_far(asked.get("form"))
    try:
        refused = list(_refusals(chosen, settings))
    except PlanError as error:
        refused = [{"control": "selection", "sentence": str(error), "change": None}]
    advice = [] if refused else [_shown(each) for each in _advice(studio, chosen, settings, asked, owner)]
    return {"refused": refused[:MOST_REFUSALS], "advice": advice}


def settings_so_far(form: Any) -> Settings:
    """The form as it stands; what is half typed or wrong there is refused at Start, not here."""
    try:
        return settings_of(form)
    except (SpecError, KeyError, TypeError, ValueError, AttributeError):
        return Settings()


def _refusals(chosen: Chosen, settings: Settings) -> Iterator[dict[str, Any]]:
    """Each problem with the control by whose usual value it goes away."""
    ways = [(control, change, _sentences(other, settings)) for control, change, other in _ways_out(chosen)]
    for sentence in _sentences(chosen, settings):
        found = next(((control, change) for control, change, left in ways if sentence not in left), None)
        control, change = found or ("selection", None)
        yield {"control": control, "sentence": sentence, "change": change}


def _sentences(chosen: Chosen, settings: Settings) -> list[str]:
    return [str(problem) for problem in problems(chosen.plan, chosen.labelled, settings)]


def _ways_out(chosen: Chosen) -> Iterator[tuple[str, dict[str, Any], Chosen]]:
    """Each control that is not as usual, what puts it back, and the choice then."""
    recipe, selection = chosen.recipe, chosen.selection
    still = {name: replace(knobs, dropout=None) for name, knobs in recipe.components.items()}
    alike = {name: replace(knobs, rank=None, alpha=None) for name, knobs in recipe.components.items()}
    ways: dict[str, dict[str, Any]] = {
        "start": {"start": "default"},
        "lora_bias": {"lora_bias": False},
        "dropout": {"dropout": 0.0, "components": {name: each for name, each in still.items() if each != Knobs()}},
        "components": {"components": {name: each for name, each in alike.items() if each != Knobs()}},
        "method": {"method": "lora"},
    }
    for control, values in ways.items():
        other = replace(recipe, **values)
        if other != recipe:
            plain = {name: value for name, value in to_dict(other).items() if name in values}
            yield control, {"recipe": plain}, Chosen(chosen.inspection, selection, other)
    if selection.full and (selection.cells or selection.include):
        less = replace(selection, full=())
        yield "full", {"selection": {"full": []}}, Chosen(chosen.inspection, less, recipe)


def _advice(
    studio: Studio, chosen: Chosen, settings: Settings, asked: dict[str, Any], owner: str
) -> Iterator[dict[str, Any]]:
    dataset = asked.get("dataset")
    found = advise(
        chosen.inspection,
        chosen.selection,
        chosen.recipe,
        chosen.plan,
        settings,
        rows_of(studio, dataset, owner),
        preset=asked.get("task") or None,
        data=str(dataset) if dataset else None,
        trainable=budget(chosen.labelled, chosen.plan).trainable,
        feature_layer=feature_layer(chosen.inspection.source),
    )
    return (to_dict(each) for each in found if each.key != "guessed")  # the confirmation beside Start says that


def rows_of(studio: Studio, dataset: Any, owner: str) -> int | None:
    """Rows to learn from of a data set, by its key; None where none is chosen, or it is gone."""
    try:
        return len(dataset_of(studio, dataset, owner).train) if dataset else None
    except (DataError, SourceNotFound):
        return None


def _shown(advice: dict[str, Any]) -> dict[str, Any]:
    """An advice whose change of settings is one of the form."""
    change = advice["change"]
    if change is None or "settings" not in change:
        return advice
    rest = {name: value for name, value in change.items() if name != "settings"}
    return {**advice, "change": {**rest, "form": form_of(change["settings"])}}
