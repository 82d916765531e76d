"""How good answers are: exact match, and the loss on the expected answer.

What it does not do: generate (see `answers`), or soften a wrong answer.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.data.batches.collate import IGNORED, Batch, Encoder, to_device
from core.data.rows import Row
from core.data.wording import normal_form
from core.evaluation.answers import answers_of_batch, batches, evaluating, in_parts
from core.spec import Score


@dataclass(frozen=True)
class Outcome:
    """What a model made of one row."""

    answer: str
    correct: bool
    nats: float
    """Cross entropy summed over the tokens of the expected answers and the ends of their turns."""
    tokens: int


def is_match(answer: str, expected: str) -> bool:
    """Whether they are equal but for outer spaces, case and a final full stop."""
    return normal_form(answer) == normal_form(expected)


def look_at(
    model: Any,
    encoder: Encoder,
    rows: Sequence[Row],
    max_new_tokens: int,
    batch_size: int = 64,
    between: Callable[[int], None] | None = None,
) -> list[Outcome]:
    """Answers and losses on the rows, in their order, without training on them.

    `between` is told before every batch how many rows are done, and may raise to break off.
    """
    outcomes: list[Outcome] = []
    for part in batches(rows, batch_size):
        if between is not None:
            between(len(outcomes))
        answers = answers_of_batch(model, encoder, part, max_new_tokens)
        for row, answer, (nats, tokens) in zip(part, answers, row_losses(model, encoder, part), strict=True):
            outcomes.append(Outcome(answer, is_match(answer, row.answer), nats, tokens))
    return outcomes


def score(outcomes: Sequence[Outcome]) -> Score:
    """The outcomes in one line; the loss is the mean over all answer tokens (nats), None if it is no finite number."""
    correct = sum(outcome.correct for outcome in outcomes)
    tokens = sum(outcome.tokens for outcome in outcomes)
    nats = sum(outcome.nats for outcome in outcomes)
    return Score(
        exact_match=correct / len(outcomes) if outcomes else 0.0,
        correct=correct,
        rows=len(outcomes),
        loss=nats / tokens if tokens and math.isfinite(nats) else None,
    )


def row_losses(model: Any, encoder: Encoder, rows: Sequence[Row]) -> list[tuple[float, int]]:
    """For each row the summed cross entropy (nats) of its answers, and the number of their tokens.

    The model computes as in `generate`, in its own precision, also where a trainer has put autocast around its forward.
    """
    return in_parts(encoder, rows, lambda part: _losses(model, encoder, part))


@torch.inference_mode()
def _losses(model: Any, encoder: Encoder, rows: Sequence[Row]) -> list[tuple[float, int]]:
    batch = to_device(encoder.training(rows), model.device, model.dtype)
    with evaluating(model):
        losses, targets = token_losses(_base(model), batch)  # both [B, K]
    counts = (targets != IGNORED).sum(dim=1)
    return list(zip(losses.sum(dim=1).tolist(), counts.tolist(), strict=True))


def token_losses(model: Any, batch: Batch, smoothing: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy of each token to be learned, and those tokens; both [B, K], 0 and `IGNORED` elsewhere.

    K are the positions at which at least one row of the batch has such a token. Only they go through the head where
    the model allows it: the result is the same, and most positions are picture and question. `smoothing` is the share of
    the probability that each target gives to all tokens alike (arXiv:1512.00567, section 7).
    """
    targets = batch["labels"][:, 1:]  # [B, T - 1]: position t predicts token t + 1
    columns = (targets != IGNORED).any(dim=0).nonzero().squeeze(1)  # [K]
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    if _slices_logits(model):
        logits = model(**inputs, use_cache=False, logits_to_keep=columns).logits  # [B, K, V]
    else:
        logits = model(**inputs, use_cache=False).logits[:, columns]
    targets = targets[:, columns].to(logits.device)
    losses = torch.nn.functional.cross_entropy(
        logits.float().transpose(1, 2), targets, ignore_index=IGNORED, reduction="none", label_smoothing=smoothing
    )
    return losses, targets


def _slices_logits(model: Any) -> bool:
    """Whether the model's forward takes `logits_to_keep`."""
    return "logits_to_keep" in inspect.signature(_base(model).forward).parameters


def _base(model: Any) -> Any:
    """The model inside of PEFT's, with the adapter's layers in it; what a trainer wraps is the outer one."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
