"""Rows as batches of tensors, with the loss on the answers and the ends of their turns only.

Each row is processed once and kept, as long as all rows kept fit into `CACHE_BYTES`; small data sets are then never
processed again. Prompt and last answer are tokenized apart, so the prompt's tokens are those of `generate`; answers of
earlier turns are found in the prompt (`spans`). Rows with and without pictures may stand in one batch.
TRL's own collator (1.16) gives the same for single questions to most families, but also trains the line break that many
templates put behind the end of an answer, begins and ends no text of LLaVA 1.5, gives the answer no place in Mllama's
`cross_attention_mask`, fails on PaliGemma, leaves out what a "thinking" template asks with, and for conversations
learns every token, those of pictures included, unless the template holds `{% generation %}` marks.
What it does not do: cut a sequence, pack rows together, or change a picture (see `augmentation`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image

from core.data.batches.conversations import (
    answers_once,
    called,
    check_processor,
    check_row,
    completion_ids,
    encode_prompts,
)
from core.data.batches.eyes import GLIMPSES, Eyes, Glimpse
from core.data.batches.padding import differ_at_most_in, equal, filled, missing, stacked
from core.data.batches.single import begun, beside, of_one_length, opened
from core.data.batches.spans import Span, earlier_answers
from core.data.rows import PictureInMemory, Row, Turn, ask
from core.errors import DataError
from core.models.manner import manner_of

IGNORED = -100
"""Label of a token that the loss does not see."""
CACHE_BYTES = 1 << 29
"""Memory for processed rows."""
MAX_ANSWERS = 10_000
"""Tokenized answers that are kept."""
TOKEN_FILL = {"attention_mask": 0, "token_type_ids": 0, "mm_token_type_ids": 0, "cross_attention_mask": 0}
"""Inputs beside `input_ids` with one entry a token, [1, T, ...], and what stands where a row has none."""

Batch = dict[str, Any]


@dataclass(frozen=True)
class Encoded:
    """One row as its processor made it."""

    prompt: Batch
    """`input_ids` [1, T] and the pictures as the model takes them."""
    answers: tuple[Span, ...]
    """Where earlier answers stand among the prompt's tokens."""
    blind: bool = False
    """Whether what only a vision tower reads has been left out."""


class Encoder:
    """Turns rows into batches for one processor.

    Args:
        processor: with a chat template; see `check_processor`.
        stop_ids: the tokens at which generation stops; see `conversations.stop_ids`.
        limit: tokens of the longest row that is taken; None takes all. See `limits.token_limit`.

    Raises:
        DataError: the processor has no chat template; later, a row's picture or text cannot be used, or it is too long.
    """

    def __init__(self, processor: Any, stop_ids: frozenset[int], limit: int | None = None) -> None:
        check_processor(processor)
        self.processor, self.stop_ids, self.limit = processor, stop_ids, limit
        self.pad_id = processor.tokenizer.pad_token_id
        self.manner = manner_of(processor)
        self._answer_type = 1 if answers_once(processor) and not self.manner.single else None
        self._looks_across = "cross_attention_mask" in processor.model_input_names
        self._prompts: dict[Row, Encoded] = {}
        self._answers: dict[tuple[Any, str], list[int]] = {}
        self._free = CACHE_BYTES
        self._zeros_fill: bool | None = None
        self._by_row: frozenset[str] | None = None
        self.eyes: Eyes | None = None

    def prompts(self, rows: Sequence[Row]) -> Batch:
        """Prompts padded on the left, `input_ids` [B, T], for `generate`."""
        encoded = [self._encode(row, keep=True).prompt for row in rows]
        for row, prompt in zip(rows, encoded, strict=True):
            self.check_length(row, prompt["input_ids"].shape[1])
        # What an encoder reads has its places counted from the left.
        return self._join(rows, [opened(prompt, self.manner) for prompt in encoded], left=not self.manner.opening)

    def training(self, rows: Sequence[Row], keep: bool = True) -> Batch:
        """Prompts and answers padded on the right, `input_ids` and `labels` [B, T].

        `labels` are the tokens themselves on the answers and the ends of their turns, and `IGNORED` everywhere else.
        `keep` says whether the processed rows may be kept for another time.
        """
        return self.joined(rows, [self.whole(row, keep) for row in rows])

    def apart(self, rows: Sequence[Row]) -> list[list[int]]:
        """The rows by their places, in groups that the model can read together: one, but for Mllama.

        Its rows without a picture would look at the pictures of the others: transformers 5 leaves out the mask that
        Meta's own code puts on the result of that attention.
        """
        everything = list(range(len(rows)))
        if not self._looks_across:
            return [everything]
        groups = [[place for place in everything if bool(rows[place].pictures) is sees] for sees in (True, False)]
        return [group for group in groups if group]

    def asked_together(self, rows: Sequence[Row]) -> list[list[int]]:
        """The same for `prompts`: where padding on the left moves the text (BLIP's), rows of one length alone."""
        if self.manner.first is None:
            return self.apart(rows)
        return of_one_length([self._encode(row, keep=True).prompt["input_ids"].shape[1] for row in rows])

    def parts(self, row: Row, keep: bool = False) -> tuple[Encoded, Sequence[int]]:
        """The row's prompt and the tokens of its last answer, however long they are."""
        return self._encode(row, keep), self.answer(row)

    def whole(self, row: Row, keep: bool) -> Batch:
        """One row with its answers and their labels, `input_ids` and `labels` [1, T]."""
        encoded, answer = self.parts(row, keep)
        self.check_length(row, encoded.prompt["input_ids"].shape[1] + len(answer))
        if self.manner.opening:
            return beside(encoded.prompt, answer, self.manner, IGNORED)
        return _extended(encoded, answer, self._answer_type)

    def _encode(self, row: Row, keep: bool) -> Encoded:
        """The row's prompt, from the cache when it is there."""
        found = self._prompts.get(row)
        if found is not None and not (found.blind and self.eyes is not None and not self.eyes.known(row)):
            return found
        check_row(self.processor, row, self.stop_ids)
        prompt = begun(encode_prompts(self.processor, [row]), self.manner)
        ids = prompt["input_ids"][0].tolist()
        encoded = Encoded(prompt, tuple(earlier_answers(self.processor, row, ids, self.stop_ids)))
        kept = encoded if self.eyes is None else _blind(encoded, self.eyes.inputs)
        size = sum(value.nbytes for value in kept.prompt.values() if isinstance(value, torch.Tensor))
        if keep and found is None and size <= self._free:
            self._free -= size
            self._prompts[row] = kept
        return encoded

    def pictures(self, row: Row) -> Batch:
        """The inputs of one row that do not go by token, as the processor makes them."""
        made = encode_prompts(self.processor, [row])
        return {key: value for key, value in made.items() if key not in {"input_ids", *TOKEN_FILL}}

    def answer(self, row: Row) -> list[int]:
        """The last answer's tokens; most rows share question and answer with others."""
        key = (_without_pictures(row.prompt), row.answer)
        if key not in self._answers:
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.clear()
            self._answers[key] = completion_ids(self.processor, row, self.stop_ids)
        return self._answers[key]

    def check_length(self, row: Row, tokens: int) -> None:
        """Raises DataError when the row is too long; nothing is ever cut, since image tokens would be lost."""
        if self.limit is not None and tokens > self.limit:
            raise DataError(
                f"{called(row)} was read",
                f"it has {tokens:,} tokens and the limit is {self.limit:,}",
                "Raise the limit where the model allows it, make its pictures smaller, or take it out",
            )

    def joined(self, rows: Sequence[Row], encoded: Sequence[Batch], seeing: Sequence[int] | None = None) -> Batch:
        """Rows as `whole` made them, as one batch padded on the right.

        Only the rows at the places `seeing` give it their pictures, in this order; None: all of them.
        """
        if seeing is None:
            return self._join(rows, encoded, left=False)
        batch = self._tokens(encoded, left=False)
        return batch | self._pictures([rows[at] for at in seeing], [encoded[at] for at in seeing], batch.keys())

    def _join(self, rows: Sequence[Row], encoded: Sequence[Batch], left: bool) -> Batch:
        """One batch of rows."""
        batch = self._tokens(encoded, left)
        return batch | self._pictures(rows, encoded, batch.keys())

    def _tokens(self, encoded: Sequence[Batch], left: bool) -> Batch:
        """The inputs that go by token, [B, T, ...]."""
        fills = {"input_ids": self.pad_id, "decoder_input_ids": self.pad_id, "labels": IGNORED, **TOKEN_FILL}
        names = {name: row[name] for row in encoded for name in row}
        batch: Batch = {}
        for key, like in names.items():
            if key in fills:
                given = [row[key] if key in row else missing(like, row["input_ids"], fills[key]) for row in encoded]
                batch[key] = stacked(given, max(value.shape[1] for value in given), fills[key], left)
        return batch

    def pictures_together(self, rows: Sequence[Row], inputs: Sequence[Batch]) -> Batch:
        """What `pictures` gives for some rows that all have some, as one batch."""
        return self._joined(rows, {key: [given[key] for given in inputs] for key in inputs[0]})

    def _pictures(self, rows: Sequence[Row], encoded: Sequence[Batch], tokens: Collection[str]) -> Batch:
        """The inputs that do not go by token; with eyes, glimpses in the place of those that only a tower reads."""
        eyes = self.eyes
        if eyes is None:
            return self._inputs(rows, encoded, tokens)
        glimpses = [
            Glimpse(row, None if eyes.known(row) else _beside(given, tokens) if eyes.inputs & given.keys() else None)
            for row, given in zip(rows, encoded, strict=True)
            if row.pictures
        ]
        others = [{key: value for key, value in given.items() if key not in eyes.inputs} for given in encoded]
        return self._inputs(rows, others, tokens) | ({GLIMPSES: glimpses} if glimpses else {})

    def seen(self, batch: Batch) -> Batch:
        """The batch with features in the place of its glimpses, just before it goes through the model."""
        return batch if self.eyes is None else self.eyes.seen(batch)

    def _inputs(self, rows: Sequence[Row], encoded: Sequence[Batch], tokens: Collection[str]) -> Batch:
        """The inputs that do not go by token: joined if the rows' shapes allow it, else made for the batch anew.

        Only the processor knows how it fills up rows with fewer tiles. Most use zeros: where the first such batch
        shows that zeros give the same, they are used from then on, and no picture is processed twice.
        """
        seeing = [row for row, given in zip(rows, encoded, strict=True) if given.keys() - tokens]
        if not seeing:
            return {}
        given = [row for row in encoded if row.keys() - tokens]
        columns = {key: [row[key] for row in given] for key in given[0] if key not in tokens}
        made = self._joined(seeing, columns)
        if len(seeing) == len(rows):
            return made
        return self._among_blind(rows, [bool(row.keys() - tokens) for row in encoded], made)

    def _joined(self, rows: Sequence[Row], columns: Mapping[str, Sequence[Any]]) -> Batch:
        """The pictures of rows that all have some."""
        if all(differ_at_most_in(values, 1) for values in columns.values()):
            return {key: torch.cat(list(values)) for key, values in columns.items()}
        fillable = all(differ_at_most_in(values, 2) for values in columns.values())
        if fillable and self._zeros_fill:
            return filled(columns)
        together = encode_prompts(self.processor, rows)
        made = {key: together[key] for key in columns}
        if fillable and self._zeros_fill is None:
            self._zeros_fill = equal(made, filled(columns))
        return made

    def _among_blind(self, rows: Sequence[Row], sees: Sequence[bool], made: Batch) -> Batch:
        """The pictures of some rows in a batch with rows that have none.

        Most models take one list of all pictures, to which those rows add nothing; where every row has its own
        pictures (Idefics3's), theirs are zeros, as a row with fewer pictures is filled up.

        Raises:
            DataError: the model would have rows without a picture look at those of the others (Mllama's).
        """
        if self._looks_across:
            raise DataError(
                f"{called(rows[0])} was put into a batch with others",
                "some rows of the batch have pictures and some have none, which this model cannot read together",
                "Take a batch size of 1 with accumulation, or the rows without a picture out",
            )
        if self._by_row is None:
            self._by_row = keys_by_row(self.processor)
        batch = dict(made)
        for key in self._by_row & made.keys():
            value, filled = made[key], made[key].new_zeros((len(rows), *made[key].shape[1:]))
            filled[[index for index, has_some in enumerate(sees) if has_some]] = value
            batch[key] = filled
        return batch


def keys_by_row(processor: Any) -> frozenset[str]:
    """The inputs beside the tokens whose first axis is the row, not the picture: seen by a row of two pictures."""
    pictures = [PictureInMemory(Image.new("RGB", (32, 32), colour), colour) for colour in ("red", "blue")]
    made = encode_prompts(processor, [ask(pictures, "Which is red?")])
    return frozenset(
        key
        for key, value in made.items()
        if key not in {"input_ids", *TOKEN_FILL} and isinstance(value, torch.Tensor) and value.shape[0] == 1
    )


def _blind(encoded: Encoded, inputs: Collection[str]) -> Encoded:
    """The row without these inputs."""
    return replace(encoded, prompt={k: v for k, v in encoded.prompt.items() if k not in inputs}, blind=True)


def _beside(given: Batch, tokens: Collection[str]) -> Batch:
    """The inputs of a row that do not go by token."""
    return {key: value for key, value in given.items() if key not in tokens}


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


def _extended(encoded: Encoded, answer: Sequence[int], answer_type: int | None = None) -> Batch:
    """One prompt with its answer: every input that goes by token is longer by the answer's length.

    `answer_type` is the `token_type_ids` of an answer where it has one of its own (PaliGemma's, 1, as `generate` gives
    it): of the prompt's type it would see the tokens that it is to predict.
    """
    prompt, ids = encoded.prompt, torch.tensor([answer])  # [1, A]
    labels = torch.full_like(prompt["input_ids"], IGNORED)
    for start, end in encoded.answers:
        labels[:, start:end] = prompt["input_ids"][:, start:end]
    longer = dict(prompt)
    longer["input_ids"] = torch.cat((prompt["input_ids"], ids), dim=1)
    longer["labels"] = torch.cat((labels, ids), dim=1)
    for key in TOKEN_FILL.keys() & prompt.keys():
        # The answer is text like the prompt's last token, and sees what that token sees.
        last = prompt[key][:, -1:]
        if key == "token_type_ids" and answer_type is not None:
            last = torch.full_like(last, answer_type)
        longer[key] = torch.cat((prompt[key], last.expand(-1, len(answer), *last.shape[2:])), dim=1)
    return longer
