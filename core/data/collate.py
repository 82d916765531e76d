"""Rows as batches of tensors, with the loss on the answer and the end of its turn only.

Each row is processed once and kept, as long as all rows kept fit into `CACHE_BYTES`; small data sets are then never
processed again. Prompt and answer are tokenized apart, so the prompt's tokens are those of `generate`.
What it does not do: change a picture, cut a sequence, or pack rows together.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from core.data.conversations import check_processor, check_text, completion_ids, encode_prompts
from core.data.rows import Row, Turn

IGNORED = -100
"""Label of a token that the loss does not see."""
CACHE_BYTES = 1 << 29
"""Memory for processed rows."""
TOKEN_FILL = {"attention_mask": 0, "token_type_ids": 0, "mm_token_type_ids": 0, "cross_attention_mask": 0}
"""Inputs beside `input_ids` with one entry a token, [1, T, ...], and what stands where a row has none."""

Batch = dict[str, Any]


class Encoder:
    """Turns rows into batches for one processor.

    Args:
        processor: with a chat template; see `check_processor`.
        stop_ids: the tokens at which generation stops; see `conversations.stop_ids`.

    Raises:
        DataError: the processor has no chat template; later, a row's picture or text cannot be used.
    """

    def __init__(self, processor: Any, stop_ids: frozenset[int]) -> None:
        check_processor(processor)
        self.processor, self.stop_ids = processor, stop_ids
        self.pad_id = processor.tokenizer.pad_token_id
        self._answer_type = _answer_type(processor)
        self._prompts: dict[Row, Batch] = {}
        self._answers: dict[tuple[Any, str], list[int]] = {}
        self._free = CACHE_BYTES
        self._zeros_fill: bool | None = None

    def prompts(self, rows: Sequence[Row]) -> Batch:
        """Prompts padded on the left, `input_ids` [B, T], for `generate`."""
        encoded = self._encode(rows)
        return self._join(rows, encoded, [row["input_ids"].shape[1] for row in encoded], left=True)

    def training(self, rows: Sequence[Row]) -> Batch:
        """Prompts and answers padded on the right, `input_ids` and `labels` [B, T].

        `labels` are the tokens themselves on the answer and the end of its turn, and `IGNORED` everywhere else.
        """
        prompts = self._encode(rows)
        encoded = [
            _extended(prompt, self._answer(row), self._answer_type) for prompt, row in zip(prompts, rows, strict=True)
        ]
        return self._join(rows, encoded, [row["input_ids"].shape[1] for row in encoded], left=False)

    def _encode(self, rows: Sequence[Row]) -> list[Batch]:
        """Each row by itself, from the cache when it is there."""
        return [self._prompts.get(row) or self._encode_one(row) for row in rows]

    def _encode_one(self, row: Row) -> Batch:
        check_text(self.processor, row)
        encoded = encode_prompts(self.processor, [row])
        size = sum(value.nbytes for value in encoded.values() if isinstance(value, torch.Tensor))
        if size <= self._free:
            self._free -= size
            self._prompts[row] = encoded
        return encoded

    def _answer(self, row: Row) -> list[int]:
        """The answer's tokens; most rows share question and answer with others."""
        key = (_without_pictures(row.prompt), row.answer)
        if key not in self._answers:
            self._answers[key] = completion_ids(self.processor, row, self.stop_ids)
        return self._answers[key]

    def _join(self, rows: Sequence[Row], encoded: Sequence[Batch], lengths: Sequence[int], left: bool) -> Batch:
        """One batch of rows of `lengths` tokens."""
        fills = {"input_ids": self.pad_id, "labels": IGNORED, **TOKEN_FILL}
        longest = max(lengths)
        batch: Batch = {}
        for key in encoded[0]:
            if key in fills:
                batch[key] = torch.cat([_padded(row[key], longest, fills[key], left) for row in encoded])
        return batch | self._pictures(rows, encoded, batch.keys())

    def _pictures(self, rows: Sequence[Row], encoded: Sequence[Batch], tokens: Collection[str]) -> Batch:
        """The inputs that do not go by token: joined if the rows' shapes allow it, else made for the batch anew.

        Only the processor knows how it fills up rows with fewer tiles. Most use zeros: where the first such batch
        shows that zeros give the same, they are used from then on, and no picture is processed twice.
        """
        columns = {key: [row[key] for row in encoded] for key in encoded[0] if key not in tokens}
        if all(_differ_at_most_in(values, 1) for values in columns.values()):
            return {key: torch.cat(values) for key, values in columns.items()}
        fillable = all(_differ_at_most_in(values, 2) for values in columns.values())
        if fillable and self._zeros_fill:
            return _filled(columns)
        together = encode_prompts(self.processor, rows)
        made = {key: value for key, value in together.items() if key not in tokens}
        if fillable and self._zeros_fill is None:
            self._zeros_fill = _equal(made, _filled(columns))
        return made


def _without_pictures(turns: Sequence[Turn]) -> tuple[tuple[str | None, ...], ...]:
    """What a template makes of the turns depends on where pictures are, not on which."""
    return tuple((turn.speaker, *(part if isinstance(part, str) else None for part in turn.parts)) for turn in turns)


def to_device(batch: Mapping[str, Any], device: Any, dtype: torch.dtype) -> Batch:
    """The batch on a device; real numbers (pictures) in the model's precision, whole numbers as they are."""

    def moved(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(device, dtype) if value.is_floating_point() else value.to(device)

    return {key: moved(value) for key, value in batch.items()}


def _answer_type(processor: Any) -> int | None:
    """The `token_type_ids` of an answer where it has one of its own, else None.

    A processor that takes a `suffix` (PaliGemma's) gives it type 1, as `generate` does with what it writes: the prompt,
    type 0, sees itself both ways, and an answer of that type would see the tokens that it is to predict.
    """
    return 1 if "suffix" in inspect.signature(type(processor).__call__).parameters else None


def _extended(prompt: Batch, answer: Sequence[int], answer_type: int | None = None) -> Batch:
    """One prompt with its answer: every input that goes by token is longer by the answer's length."""
    ids = torch.tensor([answer])  # [1, A]
    longer = dict(prompt)
    longer["input_ids"] = torch.cat((prompt["input_ids"], ids), dim=1)
    longer["labels"] = torch.cat((torch.full_like(prompt["input_ids"], IGNORED), ids), dim=1)
    for key in TOKEN_FILL.keys() & prompt.keys():
        # The answer is text like the prompt's last token, and sees what that token sees.
        last = prompt[key][:, -1:]
        if key == "token_type_ids" and answer_type is not None:
            last = torch.full_like(last, answer_type)
        longer[key] = torch.cat((prompt[key], last.expand(-1, len(answer), *last.shape[2:])), dim=1)
    return longer


def _padded(value: torch.Tensor, length: int, fill: int, left: bool) -> torch.Tensor:
    """A [1, T, ...] tensor filled up to `length` on its second axis."""
    missing = value.new_full((1, length - value.shape[1], *value.shape[2:]), fill)
    return torch.cat((missing, value) if left else (value, missing), dim=1)


def _differ_at_most_in(values: Sequence[Any], axes: int) -> bool:
    """Whether these are tensors of one kind whose shapes differ in the first so many axes at most."""
    if not all(isinstance(value, torch.Tensor) and value.ndim >= axes for value in values):
        return False
    return len({(value.ndim, value.shape[axes:], value.dtype) for value in values}) == 1


def _filled(columns: Mapping[str, Sequence[torch.Tensor]]) -> Batch:
    """Tensors [1, N, ...] joined, those with a smaller N filled up with zeros."""
    batch: Batch = {}
    for key, values in columns.items():
        longest = max(value.shape[1] for value in values)
        batch[key] = torch.cat([_padded(value, longest, 0, left=False) for value in values])
    return batch


def _equal(one: Batch, other: Batch) -> bool:
    """Whether two batches hold the same tensors."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
