"""What a model answers: greedy, in batches, the same way for training, comparing and serving.

What it does not do: judge an answer (see `scores`), or sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from core.data.batches.collate import Batch, Encoder, to_device
from core.data.batches.conversations import stop_ids
from core.data.rows import Row

Item = TypeVar("Item")


def generate_answers(
    model: Any, processor: Any, rows: Sequence[Row], max_new_tokens: int = 32, batch_size: int = 16
) -> list[str]:
    """One answer a row, in their order, without special tokens and outer spaces.

    Args:
        model: base model or PEFT model, on its device.
        processor: the model's, from `load_processor`.
        rows: pictures and questions; their answers are not looked at.
        max_new_tokens: where an answer that does not end is cut.
        batch_size: rows at a time. In rare cases another size rounds differently and flips a close call.
    """
    encoder = Encoder(processor, stop_ids(model, processor))
    found: list[str] = []
    for part in batches(rows, batch_size):
        found += answers_of_batch(model, encoder, part, max_new_tokens)
    return found


def answers_of_batch(model: Any, encoder: Encoder, rows: Sequence[Row], max_new_tokens: int) -> list[str]:
    """The answers to one batch; see `generate_answers`."""
    groups = encoder.asked_together(rows)
    return in_parts(groups, rows, lambda part: _answers(model, encoder, part, max_new_tokens))


def in_parts(
    groups: Sequence[Sequence[int]], rows: Sequence[Row], compute: Callable[[Sequence[Row]], Sequence[Item]]
) -> list[Item]:
    """What is computed of rows, in their order, where the model can only read these groups of them in one batch."""
    found: dict[int, Item] = {}
    for places in groups:
        found.update(zip(places, compute([rows[place] for place in places]), strict=True))
    return [found[place] for place in range(len(rows))]


@torch.inference_mode()
def _answers(model: Any, encoder: Encoder, rows: Sequence[Row], max_new_tokens: int) -> list[str]:
    prompts = encoder.seen(to_device(encoder.prompts(rows), model.device, model.dtype))
    begins = prompts["decoder_input_ids" if "decoder_input_ids" in prompts else "input_ids"]
    stops: dict[str, Any] = {"eos_token_id": sorted(encoder.stop_ids), "pad_token_id": encoder.pad_id}
    if encoder.manner.first is not None:  # BLIP's `generate` has its own stops, and takes the last token for one
        prompts, stops = {**prompts, **_ended(prompts, encoder.pad_id)}, {}
    with evaluating(model):
        tokens = model.generate(  # [B, T + new]
            **prompts,
            **stops,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            temperature=None,
            top_p=None,
            top_k=None,
        )
    new = tokens[:, begins.shape[1] :]
    texts: list[str] = encoder.processor.tokenizer.batch_decode(new, skip_special_tokens=True)
    return [text.strip() for text in texts]


def _ended(prompts: Batch, token: int) -> Batch:
    """Ids and mask [B, T] with one token more."""
    ids, mask = prompts["input_ids"], prompts["attention_mask"]
    more = torch.full_like(ids[:, :1], token)
    return {"input_ids": torch.cat((ids, more), 1), "attention_mask": torch.cat((mask, torch.ones_like(more)), 1)}


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode inside (no dropout), the mode from before afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in order, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
