"""How well labels agree with the hand-made truth of `truth/*.json`, module by module.

An entry of the truth has rules for components and for roles: regular expressions on a module's full name, of those
that match the last decides, and a list means that any of its values is right.

    python -m tests.zoo.score seen unseen_a unseen_b
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.spec import Inspection, Module

TRUTH = Path(__file__).parent / "truth"
TRUTHS = ("seen", "unseen_a", "unseen_b")
Rules = list[tuple[str, Any]]


@dataclass(frozen=True)
class Miss:
    """A module whose label is not that of the truth."""

    module: Module
    what: str
    """`component` or `role`."""
    wanted: tuple[str, ...]

    def __str__(self) -> str:
        got = getattr(self.module, self.what)
        return f"{self.module.name} ({self.module.kind}): {got}, not {'/'.join(self.wanted)} [{self.module.reason}]"


@dataclass(frozen=True)
class Score:
    """What was compared and what was wrong."""

    modules: tuple[Module, ...]
    misses: tuple[Miss, ...]

    def right(self, what: str) -> int:
        return len(self.modules) - sum(miss.what == what for miss in self.misses)


def truths(name: str) -> dict[str, dict[str, Any]]:
    """The entries of one file, without those that cannot be built."""
    entries = json.loads((TRUTH / f"{name}.json").read_text())
    return {key: entry for key, entry in entries.items() if "cannot" not in entry}


def score(model: Any, made: Inspection, entry: dict[str, Any]) -> Score:
    """The labels of an inspection beside an entry of the truth."""
    modules = tuple(covered(model, made))
    return Score(modules, tuple(miss for module in modules for miss in _misses(module, entry)))


def covered(model: Any, made: Inspection) -> Iterator[Module]:
    """What the truth speaks of: layers with weights, tables, and what LoRA reaches by a parameter's name."""
    import torch
    from transformers.pytorch_utils import Conv1D

    nn = torch.nn
    kinds = (nn.Linear, Conv1D, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding, nn.MultiheadAttention)
    for module in made.modules:
        named = any(parameter.adaptable for parameter in module.parameters)
        if named or isinstance(model.get_submodule(module.name), kinds):
            yield module


def _misses(module: Module, entry: dict[str, Any]) -> Iterator[Miss]:
    for what, rules in (("component", entry["components"]), ("role", entry["roles"])):
        wanted = _decided(module.name, rules)
        if getattr(module, what) not in wanted:
            yield Miss(module, what, wanted)


def _decided(name: str, rules: Rules) -> tuple[str, ...]:
    """The values that the last matching rule allows; none where no rule speaks of the name."""
    found = next((value for pattern, value in reversed(rules) if re.search(pattern, name)), ())
    return (found,) if isinstance(found, str) else tuple(found)


def built(name: str, entry: dict[str, Any]) -> Any:
    """The model that an entry speaks of, without weights."""
    from core.models.inspection import build_on_meta
    from core.models.zoo import as_source

    config = {"model_type": name.partition(":")[0], "architectures": [entry["class"]], **entry["config"]}
    with as_source(name, config) as resolved:
        return build_on_meta(resolved)


def report(files: list[str]) -> Iterator[str]:
    """The score of these files as lines: each architecture with a miss, then the totals."""
    from core.models.inspection import inspect_model
    from core.spec import Source

    scores = []
    for name, entry in [pair for file in files for pair in truths(file).items()]:
        model = built(name, entry)
        found = score(model, inspect_model(model, Source("folder", name)), entry)
        scores.append(found)
        if found.misses:
            yield f"{name}: component {found.right('component')}, role {found.right('role')} of {len(found.modules)}"
        yield from _grouped(found.misses)
    total = sum(len(found.modules) for found in scores)
    for what in ("component", "role"):
        whole = sum(not any(miss.what == what for miss in found.misses) for found in scores)
        yield f"{what}: {sum(found.right(what) for found in scores)} of {total} modules, {whole} of {len(scores)} whole"
    yield f"both: {sum(not found.misses for found in scores)} of {len(scores)} architectures completely right"


def _grouped(misses: tuple[Miss, ...]) -> Iterator[str]:
    """Misses that differ in their numbers only, as one line."""
    groups: dict[str, list[Miss]] = {}
    for miss in misses:
        groups.setdefault(f"{miss.what} {re.sub(r'[0-9]+', '#', miss.module.name)}", []).append(miss)
    return (f"    {len(group)} x {group[0]}" for group in groups.values())


if __name__ == "__main__":
    print("\n".join(report(sys.argv[1:] or list(TRUTHS))))
