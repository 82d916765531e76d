"""What a step will take of a device's memory, whether it fits, and the cheapest change that would make it fit.

What it does not do: measure; `core.memory` runs the step without data, and is imported where that is asked for, since
torch comes with it.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from core.errors import DataError, InspectionError, SourceError, SourceNotFound, SpecError
from core.memory.cards import CARDS, Card, found
from core.memory.workload import Workload
from core.models.libraries import import_what_is_slow
from core.models.source import resolve
from core.spec import Knobs, Plan, Recipe, Settings, to_dict
from ui.choice import Chosen, read_choice
from ui.datasets import dataset_of
from ui.panels.settings import form_of
from ui.questions.counsel import rows_of, settings_so_far
from ui.studio import Studio

if TYPE_CHECKING:
    from core.memory.verdict import Change

KINDS = frozenset({"optimizer", "checkpointing", "batch", "8bit", "4bit", "rank"})
"""The changes that a person can make on the page; of pictures there is no setting."""
USUAL_SIDE = 448
"""Pixels, where no data are chosen."""
LOOKED_AT = 20
"""Rows among which one with a picture is looked for."""


@cache
def own_card() -> Card:
    """The device of this machine, asked once."""
    return found()


def memory(studio: Studio, asked: dict[str, Any], owner: str) -> dict[str, Any]:
    """Whether a step fits, with its terms; where there can be no estimate, `unknown` says why.

    With `change` the cheapest change that makes it fit comes too, if there is one: it takes several estimates.
    """
    chosen, settings = read_choice(studio, asked), settings_so_far(asked.get("form"))
    card, (tokens, side) = _card(asked.get("card")), _row(studio, asked, owner)
    import_what_is_slow()
    from core.memory.estimate import estimate
    from core.memory.kinds import left_open
    from core.memory.verdict import Setup, answer_of, cheapest
    from core.training.choices import choose_on_card
    from core.training.shapes import RowShape

    try:
        model = resolve(chosen.inspection.source, offline=True)
        rows = rows_of(studio, asked.get("dataset"), owner)
        learned = max(1, min(settings.max_new_tokens, tokens))
        shape = RowShape(image_size=(side, side), text_tokens=tokens, supervised_tokens=learned)
        choices = choose_on_card(model, chosen.labelled, chosen.plan, settings, card, shape, rows)
        setup = Setup(chosen.plan, choices.work)
        seen = estimate(model, setup.plan, setup.work)
        better = cheapest(model, setup, seen, card, left_open(KINDS, settings)) if asked.get("change") else None
    except (InspectionError, SourceError) as error:
        return {"unknown": str(error), "card": asdict(card)}
    return {
        "choices": [choice.point() for choice in choices.all()],
        "answer": answer_of(seen.peak_bytes, card),
        "card": asdict(card),
        "peak": seen.peak_bytes,
        "terms": [asdict(term) for term in seen.terms if term.bytes],
        "how": f"{seen.how} The peak is {seen.when}.",
        "image_tokens": seen.image_tokens,
        "side": side,
        "change": _change(better, chosen, settings) if better else None,
    }


def _card(name: Any) -> Card:
    """By its name; this machine's own where none is given.

    Raises:
        SpecError: there is none of this name.
    """
    if not name:
        return own_card()
    for card in CARDS:
        if card.name == name:
            return card
    raise SpecError("A memory estimate was asked for", "there is no such card in the list", "Reload the page")


def _row(studio: Studio, asked: dict[str, Any], owner: str) -> tuple[int, int]:
    """Tokens of a row's text, and pixels of a picture's side.

    Raises:
        SpecError: one of them is out of range.
    """
    tokens, side = _whole(asked, "text_tokens"), _whole(asked, "image_side")
    tokens = Workload.text_tokens if tokens is None else tokens
    side = _side(studio, asked.get("dataset"), owner) if side is None else side
    Workload(image_size=(side, side), text_tokens=tokens, supervised_tokens=min(1, tokens))
    return tokens, side


def _whole(asked: dict[str, Any], name: str) -> int | None:
    value = asked.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise SpecError("A memory estimate was asked for", f"{name.replace('_', ' ')} is no whole number", "Correct it")


def _side(studio: Studio, dataset: Any, owner: str) -> int:
    """Pixels of the longer side of the first picture to learn from."""
    try:
        rows = dataset_of(studio, dataset, owner).train if dataset else ()
        picture = next((row.picture for row in islice(rows, LOOKED_AT) if row.picture), None)
        return max(picture.open().size) if picture else USUAL_SIDE
    except (DataError, SourceNotFound):
        return USUAL_SIDE


def _change(change: Change, chosen: Chosen, settings: Settings) -> dict[str, Any]:
    """The change as one of the form and of the recipe."""
    work = change.setup.work
    values = {
        "at_once": None if settings.at_once is None else work.batch,
        "checkpointing": None if settings.checkpointing is None else work.checkpointing,
        "quantization": work.quantization,
        "optimizer": work.optimizer,
    }
    now = to_dict(settings)
    form = form_of({name: value for name, value in values.items() if value != now[name]})
    recipe = _with_ranks(chosen.recipe, change.setup.plan)
    other = {} if recipe == chosen.recipe else {name: to_dict(recipe)[name] for name in ("rank", "alpha", "components")}
    return {"what": change.what, "cost": change.cost, "peak": change.memory.peak_bytes, "form": form, "recipe": other}


def _with_ranks(recipe: Recipe, plan: Plan) -> Recipe:
    """The recipe with the plan's ranks; alpha / rank stays."""
    own = {override.component: override for override in plan.overrides}

    def scaled(name: Any, knobs: Knobs) -> Knobs:
        if name not in own or knobs.rank is None:
            return knobs
        return replace(knobs, rank=own[name].rank, alpha=None if knobs.alpha is None else own[name].alpha)

    components = {name: scaled(name, knobs) for name, knobs in recipe.components.items()}
    return replace(recipe, rank=plan.rank, alpha=plan.alpha, components=components)
