"""A choice in hand, as the rules of advice look at it.

What it does not do: judge it (`targets.py`, `numbers.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt
from typing import Any, Literal

from core.lora.conventions import Preset
from core.lora.selection import cell
from core.spec import CELL_ROLES, COMPONENTS, Component, Inspection, Module, Plan, Recipe, Selection, Settings, to_dict

Severity = Literal["note", "warning"]
Change = dict[str, dict[str, Any]]
"""`selection`, `recipe`, `settings`: those of their values that become others; see `core.lora.advice.changed`."""


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


@dataclass(frozen=True)
class Group:
    """Targets that share their numbers."""

    component: Component | None
    """None for those that have no numbers of their own."""
    rank: int
    alpha: float
    dropout: float
    learning_rate: float
    rslora: bool
    own_rate: bool
    """Whether the learning rate is the component's own, not the settings'."""

    @property
    def scale(self) -> float:
        """What the update is multiplied by: alpha / rank, or alpha / sqrt(rank) with rsLoRA (arXiv:2312.03732)."""
        return self.alpha / (sqrt(self.rank) if self.rslora else self.rank)

    @property
    def said(self) -> str:
        """As a part of a sentence."""
        return f" of {self.component.replace('_', '-')}" if self.component else ""


@dataclass(frozen=True)
class Case:
    """Everything that a rule may look at."""

    inspection: Inspection
    """With the labels as the person has put them right."""
    selection: Selection
    recipe: Recipe
    plan: Plan
    settings: Settings
    rows: int | None
    preset: Preset | None
    suggested: Preset | None
    """The preset that does well on the data in hand, where that is known."""
    trainable: int | None
    feature_layer: int | tuple[int, ...] | None

    @cached_property
    def adapted(self) -> list[Module]:
        """The modules that get LoRA, in the order of the model."""
        names = {*self.plan.target_modules, *(name.rpartition(".")[0] for name in self.plan.target_parameters)}
        return [module for module in self.inspection.modules if module.name in names]

    @cached_property
    def full(self) -> list[Module]:
        """The modules that are trained without LoRA."""
        names = set(self.plan.full_modules)
        return [module for module in self.inspection.modules if module.name in names] if names else []

    @cached_property
    def learns(self) -> frozenset[Component]:
        """Components of which something learns."""
        return frozenset(module.component for module in (*self.adapted, *self.full))

    @cached_property
    def places(self) -> dict[str, str]:
        """The cell of each adaptable module, by its name; looked up once, since there may be thousands."""
        return {module.name: cell(module) for module in self.inspection.modules if module.adaptable}

    @cached_property
    def cells(self) -> frozenset[str]:
        """Cells of which something gets LoRA."""
        return frozenset(self.places[module.name] for module in self.adapted)

    @cached_property
    def available(self) -> tuple[str, ...]:
        """Cells that have adaptable modules, in the order of the grid."""
        there = set(self.places.values())
        grid = (f"{component}.{role}" for component in COMPONENTS for role in CELL_ROLES)
        return tuple(name for name in grid if name in there)

    @cached_property
    def groups(self) -> list[Group]:
        """Targets by their numbers, those without numbers of their own first."""
        return groups_of(self.plan, self.settings)

    @property
    def rows_a_step(self) -> int:
        """Rows that one optimizer step sees."""
        return self.settings.batch_size * self.settings.accumulation

    def steps(self) -> int | None:
        """Optimizer steps; None where they follow from rows that are not known."""
        if self.settings.steps is not None or self.settings.epochs is None:
            return self.settings.steps
        return None if not self.rows else ceil(self.settings.epochs * self.rows / self.rows_a_step)

    def with_cells(self, *added: str) -> dict[str, Any]:
        """The selection's cells and these."""
        return {"cells": list(dict.fromkeys((*self.selection.cells, *added)))}

    def with_numbers(self, group: Group, **numbers: float) -> dict[str, Any]:
        """The recipe's values that give a group these numbers."""
        if group.component is None:
            return dict(numbers)
        components = to_dict(self.recipe)["components"]
        return {"components": {**components, group.component: {**components.get(group.component, {}), **numbers}}}


def groups_of(plan: Plan, settings: Settings) -> list[Group]:
    """A plan's targets by their numbers, those without numbers of their own first."""
    common, rslora = settings.learning_rate, plan.method == "rslora"
    special = sum(len(override.targets) for override in plan.overrides)
    rest = len(plan.target_modules) + len(plan.target_parameters) > special
    own = [Group(None, plan.rank, plan.alpha, plan.dropout, common, rslora, False)] if rest else []
    return own + [
        Group(o.component, o.rank, o.alpha, o.dropout, o.learning_rate or common, rslora, o.learning_rate is not None)
        for o in plan.overrides
    ]


def rounded(number: float) -> float:
    """To one significant digit, as learning rates are given.

    >>> rounded(0.000123)
    0.0001
    """
    return float(f"{number:.0e}")
