"""Rows of models that hold no conversation: where their answers stand, and how they are asked.

See `core.models.manner` for which they are.
What it does not do: anything for models with a chat template of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from core.models.manner import Manner

Batch = dict[str, Any]


def begun(prompt: Batch, manner: Manner) -> Batch:
    """The prompt [1, T] as the model begins it; BLIP's without the end that its tokenizer puts behind a question."""
    if manner.first is None:
        return prompt
    ids = prompt["input_ids"][:, :-1].clone()
    ids[:, 0] = manner.first
    return {**prompt, "input_ids": ids, "attention_mask": prompt["attention_mask"][:, :-1]}


def beside(prompt: Batch, answer: Sequence[int], manner: Manner, ignored: int) -> Batch:
    """The prompt with an answer [1, O + A] for a decoder of its own; position t predicts token t + 1."""
    ids = torch.tensor([[*manner.opening, *answer]])
    labels = ids.clone()
    labels[:, : len(manner.opening)] = ignored
    return {**prompt, "decoder_input_ids": ids, "labels": labels}


def opened(prompt: Batch, manner: Manner) -> Batch:
    """The prompt with the opening of the answer that is to come."""
    return {**prompt, "decoder_input_ids": torch.tensor([manner.opening])} if manner.opening else prompt


def of_one_length(lengths: Sequence[int]) -> list[list[int]]:
    """The places of rows in groups of one length: BLIP counts positions from the left, padding included."""
    groups: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        groups.setdefault(length, []).append(place)
    return list(groups.values())
