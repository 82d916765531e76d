"""Advice on numbers: ranks, alphas, learning rates and lengths that do not fit the data, the model or each other.

What it does not do: look at which parts learn (`targets.py`).
"""

from __future__ import annotations

from math import sqrt
from typing import Any

from core.lora.advice.case import Advice, Case, Group, rounded
from core.lora.advice.rates import FAR_HIGH, FAR_LOW, USUAL_SCALE, odd_rate
from core.lora.conventions import CONVENTIONS
from core.lora.presets import rank_use, usual_rate
from core.spec.text import plural

FEW_ROWS = 32
"""As many count as few examples."""
MANY_PASSES = 20
"""Times that each row is seen, above which rows are commonly learned by heart."""
USUAL_PASSES = 10
SHORT = 100
"""Steps that are never too many: so many are commonly taken for few examples."""
PARAMETERS_A_ROW = 100_000
"""Trainable parameters a row above which there is more to learn with than to learn from."""
ADALORA_STEPS = 200
"""Steps below which AdaLoRA has little time to move ranks around."""
HIGHEST_USUAL = 64
"""The highest rank that is commonly taken, for new domains; what lies between it and 128 is nobody's advice."""


def rate_out_of_range(case: Case) -> Advice | None:
    """The learning rate times the update's scale, against what is common for models of this size."""
    found = odd_rate(case.inspection.total_params, case.groups)
    if found is None:
        return None
    group, better, low = found.group, found.better, found.low
    usual = usual_rate(case.inspection.total_params)
    return Advice(
        "rate_low" if low else "rate_high",
        "warning",
        f"The learning rate{group.said} is {'low' if low else 'high'} for this model",
        f"The rate times alpha over rank is {group.learning_rate * group.scale:.2g}; for models of this size it is "
        f"commonly from {usual.low:.0e} to {usual.high:.0e}. "
        + ("Too low a rate barely learns" if low else "Too high a rate makes the loss jump"),
        f"Take {better:g}",
        _with_rate(case, group, better),
    )


def alpha_far_from_rank(case: Case) -> Advice | None:
    """An alpha that makes the update far weaker or far stronger than usual."""
    for group in case.groups:
        if FAR_LOW <= group.scale <= FAR_HIGH:
            continue
        low, over = group.scale < FAR_LOW, "the root of the rank" if group.rslora else "the rank"
        base = sqrt(group.rank) if group.rslora else float(group.rank)
        better = float(max(1, round(base if low else USUAL_SCALE * base)))
        return Advice(
            "alpha_low" if low else "alpha_high",
            "warning",
            f"Alpha{group.said} is far {'below' if low else 'above'} {over}",
            f"Alpha {group.alpha:g} over {over} of {group.rank} scales the update by {group.scale:.2g}; 1 to 2 is "
            "usual. " + ("Too little limits what is learned" if low else "Too much makes training unsteady"),
            f"Take alpha {better:g}",
            {"recipe": case.with_numbers(group, alpha=better)},
        )
    return None


def rank_high(case: Case) -> Advice | None:
    """A rank higher than so few rows commonly fill, or than is needed at all."""
    limit = _rank_limit(case.rows)
    for group in case.groups:
        if group.rank <= limit:
            continue
        reason = f"Rank {group.rank} is {rank_use(group.rank)}"
        if case.rows is not None:
            reason = (
                f"{plural(case.rows, 'row')} commonly fill no more than rank {limit}; the rest learns them by heart"
            )
        rank = min(limit, HIGHEST_USUAL)
        better = {"rank": rank, "alpha": max(1.0, group.alpha * rank / group.rank)}
        if group.rslora:
            better["alpha"] = max(1.0, round(group.scale * sqrt(rank), 1))
        return Advice(
            "rank_high",
            "warning",
            f"The rank{group.said} is high" + (" for so few rows" if case.rows is not None else ""),
            reason,
            f"Take rank {rank}, with alpha in proportion",
            {"recipe": case.with_numbers(group, **better)},
        )
    return None


def many_parameters(case: Case) -> Advice | None:
    """Very many trainable parameters against the rows."""
    if not case.rows or not case.trainable or case.trainable <= PARAMETERS_A_ROW * case.rows or rank_high(case):
        return None
    fewer = [name for name in case.selection.cells if name.endswith(".attention") or name.startswith("projector.")]
    change: dict[str, Any] | None = {"selection": {"cells": fewer}}
    if not fewer or len(fewer) == len(case.selection.cells):
        group = case.groups[0] if case.groups else None
        half = {"rank": group.rank // 2, "alpha": group.alpha / 2} if group and group.rank > 1 else None
        change = {"recipe": case.with_numbers(group, **half)} if group and half else None
    return Advice(
        "many_parameters",
        "note",
        "There is far more to learn with than to learn from",
        f"{case.trainable:,} parameters learn from {plural(case.rows, 'row')}: commonly a sign that answers will be "
        "learned by heart",
        "Train attention only, or take a smaller rank, and watch the held-out rows",
        change,
    )


def dropout_with_few_rows(case: Case) -> Advice | None:
    """Dropout where every row counts."""
    if case.rows is None or case.rows > FEW_ROWS or not any(group.dropout for group in case.groups):
        return None
    components = {name: {"dropout": 0.0} for name, knobs in case.recipe.components.items() if knobs.dropout}
    recipe: dict[str, Any] = {"dropout": 0.0}
    if components:
        for group in case.groups:
            if group.component in components:
                recipe |= case.with_numbers(group, dropout=0.0)
    return Advice(
        "dropout_few_rows",
        "note",
        f"Dropout with {plural(case.rows, 'row')}",
        "With so few rows each step has little to go by, and dropout takes some of that away",
        "Train without dropout",
        {"recipe": recipe},
    )


def many_passes(case: Case) -> Advice | None:
    """So many passes over so few rows that they are learned by heart."""
    steps = case.steps()
    if not case.rows or steps is None or steps <= SHORT:
        return None
    passes = steps * case.rows_a_step / case.rows
    if passes <= MANY_PASSES:
        return None
    better = max(SHORT, round(USUAL_PASSES * case.rows / case.rows_a_step))
    return Advice(
        "many_passes",
        "warning",
        f"Each row would be seen {passes:.0f} times",
        f"With {plural(case.rows, 'row')}, more than about {MANY_PASSES} passes commonly teach the rows by heart: the "
        "loss goes on falling and held-out answers get worse",
        f"Take {plural(better, 'step')}, or more rows",
        {"settings": {"steps": better, "epochs": None}},
    )


def full_rate(case: Case) -> Advice | None:
    """Parameters trained in full at LoRA's rate."""
    rate, common = case.plan.full_learning_rate, case.settings.learning_rate
    if not case.full or (rate is not None and rate <= common / 2):
        return None
    better = rounded(common / 10)
    return Advice(
        "full_rate",
        "warning",
        "What is trained in full has LoRA's learning rate",
        "LoRA begins at nothing and takes a high rate; weights that are already good are commonly trained at a tenth "
        "of it",
        f"Take {better:g} for what is trained in full",
        {"recipe": {"full_learning_rate": better}},
    )


def quantized_vision(case: Case) -> Advice | None:
    """Vision learns on packed weights."""
    if case.settings.quantization == "none" or "vision" not in case.learns:
        return None
    return Advice(
        "quantized_vision",
        "note",
        f"Vision learns on weights of {case.settings.quantization.removesuffix('bit')} bits",
        "What packing loses in the vision encoder reaches every token of the picture; commonly the encoder stays as it "
        "is when weights are packed",
        "Where the memory allows, train without packing; else leave vision out",
        {"settings": {"quantization": "none"}},
    )


def dora_costs(case: Case) -> Advice | None:
    """DoRA's price."""
    if case.plan.method != "dora":
        return None
    return Advice(
        "dora_costs",
        "note",
        "DoRA takes longer for each step",
        "It computes the norm of each adapted weight at every step, which takes time and memory; its gain over LoRA is "
        "reported mostly at low ranks (arXiv:2402.09353)",
        "Take LoRA first, and DoRA if the held-out rows ask for more",
        {"recipe": {"method": "lora"}},
    )


def adalora_is_short(case: Case) -> Advice | None:
    """AdaLoRA without the time to do what it is for."""
    steps = case.steps()
    if case.plan.method != "adalora" or steps is None or steps >= ADALORA_STEPS:
        return None
    return Advice(
        "adalora_short",
        "note",
        f"{plural(steps, 'step')} are few for AdaLoRA",
        "It begins with more rank than it keeps and needs steps to find out where rank is worth most "
        "(arXiv:2303.10512)",
        f"Take at least {ADALORA_STEPS} steps, or LoRA",
        {"settings": {"steps": ADALORA_STEPS, "epochs": None}},
    )


def _with_rate(case: Case, group: Group, rate: float) -> dict[str, dict[str, Any]]:
    if group.own_rate:
        return {"recipe": case.with_numbers(group, learning_rate=rate)}
    return {"settings": {"learning_rate": rate}}


def _rank_limit(rows: int | None) -> int:
    """The highest rank that so many rows commonly fill."""
    limits = CONVENTIONS.rows
    return limits[-1].rank if rows is None else next(e.rank for e in limits if e.below is None or rows < e.below)
