"""The studio without its page: the same values, one small function a command.

    python -m core.cli inspect demo Qwen/Qwen2-VL-2B-Instruct ./folder --jsonl
    python -m core.cli budget demo --targets vision.attention,language.mlp --rank 16 --json

What it does not do: anything that the packages below it cannot do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core.cli_jobs import add_commands
from core.errors import StudioError
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.lora.selection import available_cells, parse_targets
from core.models.inspection import inspect_source
from core.models.repository import clip
from core.models.source import parse_source
from core.spec import Inspection, Recipe, Selection, to_dict

INTERRUPTED = 130
"""The exit status that a shell gives to what Ctrl-C ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrongly called."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except StudioError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before a job began; later ones are the job's to obey
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def run_inspect(options: argparse.Namespace) -> int:
    """`inspect`: what models are made of. Each failure has its sentence; the status is 1 when all of them failed."""
    inspected = 0
    for text in options.sources:
        try:
            made = inspect_source(parse_source(text), options.cache)
        except StudioError as error:
            print(json.dumps({"source": text, "error": str(error)}) if options.jsonl else error, flush=True)
            continue
        inspected += 1
        print(_inspection_line(text, made) if options.jsonl else _inspection_table(made), flush=True)
    return 0 if inspected else 1


def run_budget(options: argparse.Namespace) -> int:
    """`budget`: what a choice costs."""
    made = inspect_source(parse_source(options.source), options.cache)
    selection = Selection(cells=parse_targets(options.targets, made))
    alpha = float(2 * options.rank) if options.alpha is None else options.alpha
    plan = make_plan(made, selection, Recipe(options.rank, alpha))
    cost = budget(made, plan)
    if options.json:
        print(json.dumps({**to_dict(cost), "target_modules": list(plan.target_modules)}))
        return 0
    print(f"{cost.trainable:,} of {cost.total:,} parameters learn ({cost.percent:.3f}%)")
    print(f"adapter {cost.adapter_bytes:,} bytes, {len(plan.target_modules)} modules, rank {plan.rank}")
    for name, count in cost.by_component.items():
        print(f"  {name:16}{count:>16,}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core.cli", description="VLM LoRA Studio without its page.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_inspect(commands.add_parser("inspect", help="what a model is made of, from its config, without weights"))
    _add_budget(commands.add_parser("budget", help="what a choice of targets and rank costs, exactly"))
    add_commands(commands)
    return parser


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="demo, a folder, or a Hub id (owner/name@revision)"
    )
    parser.add_argument("--jsonl", action="store_true", help="one JSON object a source and line")
    _add_cache(parser)
    parser.set_defaults(run=run_inspect)


def _add_budget(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="demo, a folder, or a Hub id (owner/name@revision)")
    parser.add_argument(
        "--targets",
        required=True,
        help="component.role joined by commas; a component alone means its attention and MLP",
    )
    parser.add_argument("--rank", type=int, default=16, help="16 unless told")
    parser.add_argument("--alpha", type=float, help="twice the rank unless told; costs nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    _add_cache(parser)
    parser.set_defaults(run=run_budget)


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep inspections here")


def _inspection_line(text: str, made: Inspection) -> str:
    plain = to_dict(made)
    return json.dumps({"source": text} | {key: plain[key] for key in ("model_class", "total_params", "modules")})


def _inspection_table(made: Inspection) -> str:
    """Parameters by component, and what can be chosen."""
    lines = [f"{clip(str(made.source))}: {made.model_class}, {made.total_params:,} parameters"]
    for component in dict.fromkeys(module.component for module in made.modules):
        inside = [module for module in made.modules if module.component == component]
        lines.append(f"  {component:16}{sum(module.params for module in inside):>16,}  in {len(inside)} modules")
    cells = ", ".join(f"{name} ({count})" for name, count in available_cells(made).items())
    return "\n".join([*lines, f"  targets: {cells}"])


if __name__ == "__main__":
    sys.exit(main())
