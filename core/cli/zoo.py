"""`zoo`: every architecture of transformers for pictures with text, and whether PEFT agrees with what is said of it.

    python -m core.cli zoo qwen3_vl gemma3

What it does not do: read a weight, or look at a model that somebody brings (`inspect` does).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from core.errors import InspectionError, StudioError
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.lora.selection import available_cells
from core.lora.wrap import wrap
from core.models.build import build_on_meta
from core.models.inspection import inspect_model
from core.models.repository import asked_for
from core.spec import COMPONENTS, Inspection, Recipe, Selection

if TYPE_CHECKING:
    from core.models.zoo import Architecture

RECIPE = Recipe(rank=16, alpha=32.0)
"""With which all that LoRA reaches is counted."""
_REMEDY = "Leave the names out to see all of them"


def add_commands(commands: Any) -> None:
    """Adds `zoo` to the parsers of the command line."""
    parser = commands.add_parser("zoo", help="each known architecture: its parts, its counts, whether PEFT agrees")
    parser.add_argument("names", nargs="*", metavar="TYPE", help="model types; all of them unless told")
    parser.add_argument("--jsonl", action="store_true", help="one JSON object an architecture and line")
    parser.set_defaults(run=run_zoo)


def run_zoo(options: argparse.Namespace) -> int:
    """One line an architecture; the status is 1 when PEFT counts anything else.

    Raises:
        InspectionError: one of the names is not known.
    """
    from transformers.utils import logging

    logging.set_verbosity_error()  # default configs have remarks about themselves
    _refuse_unknown(options.names)
    disagreeing = 0
    for row in rows(options.names):
        disagreeing += row.get("agrees") is False
        print(json.dumps(row) if options.jsonl else _line(row), flush=True)
    return 1 if disagreeing else 0


def _refuse_unknown(names: list[str]) -> None:
    """One wrong name among several would else be a line less that nobody misses."""
    from core.models.zoo import architectures

    known = {known for each in architectures() for known in (each.name, each.model_type)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InspectionError(
            asked_for(" ".join(unknown)), "transformers has no such type of model for pictures and text", _REMEDY
        )


def rows(names: list[str]) -> Iterator[dict[str, Any]]:
    """What is found for each architecture of these types, or for all."""
    from core.models.zoo import architectures

    for architecture in architectures():
        if not names or architecture.name in names or architecture.model_type in names:
            yield _row(architecture)


def _row(architecture: Architecture) -> dict[str, Any]:
    from core.models.zoo import as_source

    row: dict[str, Any] = {"name": architecture.name, "model_class": architecture.model_class}
    try:
        with as_source(architecture.name, architecture.config) as resolved:
            model = build_on_meta(resolved)
            made = inspect_model(model, resolved.source)
    except StudioError as error:
        return row | {"error": error.reason}
    return row | _found(made) | _counted(made, model)


def _found(made: Inspection) -> dict[str, Any]:
    present = Counter(module.component for module in made.modules)
    reached = Counter(module.component for module in made.modules if module.adaptable)
    return {
        "total_params": made.total_params,
        "modules": len(made.modules),
        "adaptable": sum(reached.values()),
        "guesses": sum(module.adaptable and module.confidence == "low" for module in made.modules),
        "components": {name: [reached[name], present[name]] for name in COMPONENTS if present[name]},
    }


def _counted(made: Inspection, model: Any) -> dict[str, Any]:
    """LoRA's parameters on all that it reaches, by us and by PEFT; the model is used up."""
    plan = make_plan(made, Selection(cells=tuple(available_cells(made))), RECIPE)
    trainable = budget(made, plan).trainable
    try:
        peft = int(wrap(model, plan).get_nb_trainable_parameters()[0])
    except StudioError as error:
        return {"trainable": trainable, "peft": None, "agrees": None, "reason": error.reason}
    return {"trainable": trainable, "peft": peft, "agrees": trainable == peft}


def _line(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{row['name']}: not for this studio: {row['error']}"
    parts = ", ".join(f"{name} {reached}/{present}" for name, (reached, present) in row["components"].items())
    verdict = {True: "PEFT agrees", False: f"PEFT counts {row['peft']}", None: row.get("reason")}[row["agrees"]]
    guesses = f", {row['guesses']} by guess" if row["guesses"] else ""
    return (
        f"{row['name']}: {row['total_params'] / 1e9:.2f} B, reached/all {parts} ({row['adaptable']}/{row['modules']}"
        f"{guesses}); {row['trainable']:,} at rank {RECIPE.rank}, {verdict}"
    )
