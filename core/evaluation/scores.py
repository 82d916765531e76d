"""How good answers are: the measures of the data, and the loss on the expected answer.

What it does not do: generate (see `answers`), or soften a wrong answer.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any, Literal

import torch

from core.data.batches.collate import IGNORED, Batch, Encoder, to_device
from core.data.rows import Row
from core.data.wording import majority_share
from core.evaluation.answers import answers_of_batch, batches, evaluating, in_parts
from core.evaluation.intervals import interval
from core.evaluation.measures import Measures
from core.evaluation.metrics import is_match, part
from core.spec import Score

_THREE_AXES = re.compile(r"logits\[\s*:\s*,\s*:\s*,")
"""A statement that reads or writes logits by row, position and token."""


@dataclass(frozen=True)
class Outcome:
    """What a model made of one row."""

    answer: str
    correct: bool
    nats: float
    """Cross entropy summed over the tokens of the expected answers and the ends of their turns."""
    tokens: int
    accepted: tuple[str, ...] = ()
    """The expected answer, then others that are as good."""


def look_at(
    model: Any,
    encoder: Encoder,
    rows: Sequence[Row],
    max_new_tokens: int,
    batch_size: int = 64,
    between: Callable[[int], None] | None = None,
    accepted: Sequence[tuple[str, ...]] | None = None,
) -> list[Outcome]:
    """Answers and losses on the rows, in their order, without training on them.

    `between` is told before every batch how many rows are done, and may raise to break off. `accepted` are the answers
    to each row, its own first; without them the row's own alone.
    """
    outcomes: list[Outcome] = []
    for some in batches(rows, batch_size):
        if between is not None:
            between(len(outcomes))
        answers = answers_of_batch(model, encoder, some, max_new_tokens)
        for row, answer, (nats, tokens) in zip(some, answers, row_losses(model, encoder, some), strict=True):
            good = (row.answer,) if accepted is None else accepted[len(outcomes)]
            outcomes.append(Outcome(answer, is_match(answer, row.answer), nats, tokens, good))
    return outcomes


def score(outcomes: Sequence[Outcome], measures: Measures | None = None) -> Score:
    """The outcomes in one line; the loss is the mean over all answer tokens (nats), None if it is no finite number.

    With `measures` also by these, and how sure the main one is.
    """
    correct = sum(outcome.correct for outcome in outcomes)
    tokens = sum(outcome.tokens for outcome in outcomes)
    nats = sum(outcome.nats for outcome in outcomes)
    return Score(
        exact_match=correct / len(outcomes) if outcomes else 0.0,
        correct=correct,
        rows=len(outcomes),
        loss=nats / tokens if tokens and math.isfinite(nats) else None,
        **(_measured(outcomes, measures) if measures and outcomes else {}),
    )


def _measured(outcomes: Sequence[Outcome], measures: Measures) -> dict[str, Any]:
    """The fields of a `Score` that depend on the data's kind."""
    parts = {name: [part(name, each.answer, each.accepted) for each in outcomes] for name in measures.names}
    sums = {name: (sum(above for above, _ in rows), sum(below for _, below in rows)) for name, rows in parts.items()}
    found: dict[str, float] = {name: above / below for name, (above, below) in sums.items() if below}
    if measures.kind == "classes":
        found["majority"] = majority_share(each.accepted[0] for each in outcomes)
    return {"metrics": found, "metric": measures.main, "interval": interval(parts[measures.main])}


def row_losses(model: Any, encoder: Encoder, rows: Sequence[Row]) -> list[tuple[float, int]]:
    """For each row the summed cross entropy (nats) of its answers, and the number of their tokens.

    The model computes as in `generate`, in its own precision, also where a trainer has put autocast around its forward.
    """
    return in_parts(encoder.apart(rows), rows, lambda part: _losses(model, encoder, part))


@torch.inference_mode()
def _losses(model: Any, encoder: Encoder, rows: Sequence[Row]) -> list[tuple[float, int]]:
    batch = encoder.seen(to_device(encoder.training(rows), model.device, model.dtype))
    with evaluating(model):
        losses, targets = token_losses(_base(model), batch)  # both [B, K]
    counts = (targets != IGNORED).sum(dim=1)
    return list(zip(losses.sum(dim=1).tolist(), counts.tolist(), strict=True))


def token_losses(
    model: Any, batch: Batch, smoothing: float = 0.0, everywhere: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy of each token to be learned, and those tokens; both [B, K], 0 and `IGNORED` elsewhere.

    K are the positions at which at least one row of the batch has such a token. Only what is learned goes through the
    head where the model allows it: the result is the same, and most positions are picture and question. `smoothing` is
    the share of the probability that each target gives to all tokens alike (arXiv:1512.00567, section 7); `everywhere`
    sends all positions through the head.
    """
    targets = batch["labels"][:, 1:]  # [B, T - 1]: position t predicts token t + 1
    learned = targets != IGNORED
    columns = learned.any(dim=0).nonzero().squeeze(1)  # [K]
    inputs = {key: value for key, value in batch.items() if key != "labels"} | {"use_cache": False}
    form = "all" if everywhere else head_form(model)
    if form == "positions":
        mask = torch.nn.functional.pad(learned, (0, 1))  # [B, T]: nothing is learned from the last token
        logits = model(**inputs, logits_to_keep=mask).logits  # [N, V]
    elif form == "columns":
        logits = model(**inputs, logits_to_keep=columns).logits.flatten(0, 1)  # [B * K, V]
    else:
        logits = model(**inputs).logits[:, columns].flatten(0, 1)
    targets = targets[:, columns].to(logits.device)
    chosen = targets != IGNORED if form == "positions" else torch.ones_like(targets, dtype=torch.bool)  # [B, K]
    flat = torch.nn.functional.cross_entropy(
        logits.float(), targets[chosen], ignore_index=IGNORED, reduction="none", label_smoothing=smoothing
    )
    return flat.new_zeros(targets.shape).masked_scatter(chosen, flat), targets


def head_form(model: Any) -> Literal["positions", "columns", "all"]:
    """What the model's forward can send through its head: single positions of each row, positions of all rows, or all.

    Single ones where it takes a mask [B, T], which transformers' own `slice_logits_to_keep` does, and where nothing
    is done afterwards to logits of three axes, which the mask makes two (Chameleon's, which forbids codes of pictures).
    """
    forward = _base(model).forward
    if "logits_to_keep" not in inspect.signature(forward).parameters:
        return "all"
    plain = inspect.unwrap(forward)
    code = getattr(plain, "__code__", None)
    if code is None or "slice_logits_to_keep" not in code.co_names:
        return "columns"
    return "columns" if _THREE_AXES.search(_source(code)) else "positions"


@cache
def _source(code: CodeType) -> str:
    """What a function says; nothing where its file cannot be read."""
    try:
        return inspect.getsource(code)
    except OSError:
        return ""


def _base(model: Any) -> Any:
    """The model inside of PEFT's, with the adapter's layers in it; what a trainer wraps is the outer one."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
