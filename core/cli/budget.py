"""`budget`: what a choice costs, exactly in parameters and bytes, and as far as it can be known in memory.

What it does not do: train, or load weights.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from core.cli.choice import Chosen, add_choice_flags, chosen, say
from core.cli.memory import add_memory_flags, memory_of
from core.lora.advice import Advice, advise
from core.lora.budget import budget
from core.lora.presets import rank_use
from core.lora.unused import feature_layer
from core.spec import Budget, to_dict
from core.spec.text import plural


def add_commands(commands: Any) -> None:
    """Adds `budget` to the parsers of the command line."""
    parser = commands.add_parser("budget", help="what a choice of targets and rank costs, exactly")
    add_choice_flags(parser)
    add_memory_flags(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=run_budget)


def run_budget(options: argparse.Namespace) -> int:
    """One JSON object, or a few lines for reading."""
    choice = chosen(options)
    cost = budget(choice.labelled, choice.plan)
    advice = advice_on(choice, cost, options.preset)
    memory, reason = memory_of(choice, options)
    notes = (*choice.notes, *reason)
    if options.json:
        print(json.dumps(_plain(choice, cost, advice, memory, notes)))
        return 0
    print("\n".join(_lines(choice, cost, memory)))
    say(notes)
    for each in advice:
        say((f"{each.title}. {each.reason}. {each.remedy}.",))
    return 0


def advice_on(choice: Chosen, cost: Budget, preset: str | None) -> tuple[Advice, ...]:
    """What is worth saying of the choice; how many rows there are is not known here."""
    return advise(
        choice.inspection,
        choice.selection,
        choice.recipe,
        choice.plan,
        choice.settings,
        None,
        preset=preset,
        data=choice.data,
        trainable=cost.trainable,
        feature_layer=feature_layer(choice.inspection.source),
    )


def _plain(
    choice: Chosen, cost: Budget, advice: tuple[Advice, ...], memory: dict[str, Any] | None, notes: tuple[str, ...]
) -> dict[str, Any]:
    plan = choice.plan
    return {
        **to_dict(cost),
        "target_modules": list(plan.target_modules),
        "target_parameters": list(plan.target_parameters),
        "full_modules": list(plan.full_modules),
        "memory": memory,
        "advice": [asdict(each) for each in advice],
        "notes": list(notes),
    }


def _lines(choice: Chosen, cost: Budget, memory: dict[str, Any] | None) -> list[str]:
    plan = choice.plan
    parts = (
        (len(plan.target_modules), "module", ""),
        (len(plan.target_parameters), "parameter", " by name"),
        (len(plan.full_modules), "module", " in full"),
    )
    counts = ", ".join(plural(count, noun) + how for count, noun, how in parts if count)
    lines = [
        f"{cost.trainable:,} of {cost.total:,} parameters learn ({cost.percent:.3f}%)",
        f"adapter {cost.adapter_bytes:,} bytes, {counts}, rank {plan.rank} ({rank_use(plan.rank)})",
    ]
    lines += [f"  {name:16}{count:>16,}" for name, count in cost.by_component.items()]
    if memory is not None:
        lines.append(
            f"memory {_size(memory['peak_bytes'])} at the peak of a step in {memory['precision']}, {memory['when']}"
        )
        lines += [f"  {name:24}{_size(size):>16}" for name, size in memory["terms"].items()]
        lines.append(memory["words"])
        lines.append("a job would choose, unless it is told:")
        lines += [
            f"  {each['name'].replace('_', ' '):16}{each['value']!s:10}{each['reason']}" for each in memory["choices"]
        ]
    return lines


def _size(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / 2**30:,.2f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
