"""Exactly which modules get what, and how PEFT is told.

What it does not do: count (`budget.py`), or wrap a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from core.lora.selection import selected
from core.spec import Inspection, Plan, Selection


def make_plan(inspection: Inspection, selection: Selection, rank: int, alpha: float, dropout: float = 0.0) -> Plan:
    """The plan for what was chosen.

    Raises:
        PlanError: the selection matches nothing, or rank, alpha or dropout make no sense.
    """
    names = tuple(module.name for module in selected(inspection, selection))
    return Plan(target_modules=names, rank=rank, alpha=alpha, dropout=dropout)


def target_regex(names: Iterable[str]) -> str:
    r"""One regex that matches exactly these names.

    PEFT matches a list of names by suffix, which hits other towers as well, but a string as one regex on the whole
    name. Branches that go on alike are folded, so that 1,000 names make some hundred characters.

    >>> target_regex(["layers.0.q", "layers.1.q", "head"])
    '^(?:layers\\.(?:0|1)\\.q|head)$'
    """
    return f"^{_fold([tuple(name.split('.')) for name in dict.fromkeys(names)])}$"


def peft_config(plan: Plan) -> Any:
    """The `peft.LoraConfig` of a plan; it names no base model, so that no path leaks into an adapter."""
    from peft import LoraConfig

    return LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules=target_regex(plan.target_modules),
        task_type="CAUSAL_LM",
    )


def _fold(paths: list[tuple[str, ...]]) -> str:
    """A regex for paths: segments with the same continuations share one."""
    rests: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        rests.setdefault(path[0], []).append(path[1:])
    heads: dict[str, list[str]] = {}
    for segment, tails in rests.items():
        heads.setdefault(_tail(tails), []).append(re.escape(segment))
    branches = [_any(segments) + tail for tail, segments in heads.items()]
    return _any(branches)


def _tail(tails: list[tuple[str, ...]]) -> str:
    """What follows a segment: nothing, more segments, or either."""
    longer = [tail for tail in tails if tail]
    if not longer:
        return ""
    more = r"\." + _fold(longer)
    return more if len(longer) == len(tails) else f"(?:{more})?"


def _any(branches: list[str]) -> str:
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
