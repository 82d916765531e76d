"""`inspect`: what models are made of, from their configs, without weights.

What it does not do: choose anything.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from core.cli.choice import SOURCE_HELP
from core.errors import StudioError
from core.lora.selection import available_cells
from core.models.defaults import defaults_note
from core.models.inspection import inspect_source
from core.models.repository import clip
from core.models.source import parse_source
from core.spec import Inspection, to_dict

KEYS = ("model_class", "total_params", "modules")


def add_commands(commands: Any) -> None:
    """Adds `inspect` to the parsers of the command line."""
    parser = commands.add_parser("inspect", help="what a model is made of, from its config, without weights")
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument("--jsonl", action="store_true", help="one JSON object a source and line")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep inspections here")
    parser.set_defaults(run=run_inspect)


def run_inspect(options: argparse.Namespace) -> int:
    """Each failure has its sentence; the status is 1 when all of them failed."""
    inspected = 0
    for text in options.sources:
        try:
            made = inspect_source(parse_source(text), options.cache)
        except StudioError as error:
            print(json.dumps({"source": text, "error": str(error)}) if options.jsonl else error, flush=True)
            continue
        inspected += 1
        print(_line(text, made) if options.jsonl else _table(made), flush=True)
    return 0 if inspected else 1


def _line(text: str, made: Inspection) -> str:
    plain = to_dict(made)
    return json.dumps({"source": text} | {key: plain[key] for key in KEYS})


def _table(made: Inspection) -> str:
    """Parameters by component, what of it is no more than a guess, and what can be chosen."""
    lines = [f"{clip(str(made.source))}: {made.model_class}, {made.total_params:,} parameters"]
    for component in dict.fromkeys(module.component for module in made.modules):
        inside = [module for module in made.modules if module.component == component]
        lines.append(f"  {component:16}{sum(module.params for module in inside):>16,}  in {len(inside)} modules")
    lines += _guesses(made)
    lines += [f"  note: {note}" for note in [defaults_note(made)] if note]
    cells = ", ".join(f"{name} ({count})" for name, count in available_cells(made).items())
    return "\n".join([*lines, f"  targets: {cells}"])


def _guesses(made: Inspection) -> list[str]:
    """The subtrees whose component is a guess."""
    low = [module for module in made.modules if module.confidence == "low"]
    roots = Counter((module.root or module.name, module.component) for module in low)
    said = [f"{clip(root)} as {component} ({count} modules)" for (root, component), count in roots.items()]
    return [f"  guessed: {', '.join(said)}; --relabel NAME=COMPONENT puts them right"] if said else []
