"""What the page sends of a choice, as values of core: the model in hand, what learns, and how.

What it does not do: start anything, or say what is good.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from core.errors import PlanError
from core.lora.plan import make_plan
from core.models.relabel import relabelled
from core.spec import Inspection, Module, Plan, Recipe, Selection, from_dict
from ui.studio import Studio


@dataclass(frozen=True)
class Chosen:
    """A choice on a model that this server has opened."""

    inspection: Inspection
    """With the labels as they were made."""
    selection: Selection
    recipe: Recipe

    @cached_property
    def labelled(self) -> Inspection:
        """The inspection with the person's own labels."""
        return relabelled(self.inspection, self.selection.relabels)

    @cached_property
    def plan(self) -> Plan:
        """Raises PlanError for what cannot be."""
        return make_plan(self.inspection, self.selection, self.recipe)

    def guessed(self) -> list[Module]:
        """The modules that would be trained and whose labels are guesses."""
        plan = self.plan
        named = {
            *plan.target_modules,
            *plan.full_modules,
            *(name.rpartition(".")[0] for name in plan.target_parameters),
        }
        return [module for module in self.labelled.modules if module.confidence == "low" and module.name in named]


def read_choice(studio: Studio, data: Any) -> Chosen:
    """The choice out of what the page sends: `model_key`, `selection`, `recipe`.

    Raises:
        SourceNotFound: this server has not opened the model.
        SpecError, PlanError: a value is missing, unknown or out of range.
    """
    return Chosen(
        studio.inspection(data["model_key"]),
        from_dict(Selection, data["selection"]),
        from_dict(Recipe, data["recipe"]),
    )


def refuse_unconfirmed(chosen: Chosen, confirmed: object) -> None:
    """Raises PlanError when guessed parts would be trained and the person has not said that it is meant."""
    guessed = chosen.guessed()
    if not guessed or confirmed is True:
        return
    roots = list(dict.fromkeys(module.root or module.name for module in guessed))
    more = f" and {len(roots) - 3} more" if len(roots) > 3 else ""
    raise PlanError(
        "Training was asked for",
        f"it is a guess what {', '.join(root[:80] for root in roots[:3])}{more} does in this model",
        "Put the label right on the page, or confirm beside Start that it shall be trained",
    )
