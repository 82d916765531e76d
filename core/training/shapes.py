"""How large a job's rows are, and the step that they make, as far as memory goes.

What it does not do: estimate the step's memory (`core.memory.estimate`), or choose how many rows go through at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.data.batches.collate import Encoder
from core.data.batches.trial import sampled
from core.data.previewing.lengths import Ruler, size_of
from core.data.rows import Row
from core.memory.workload import Device, Precision, Workload
from core.spec import Settings

LOOKED_AT = 64
"""Rows whose sizes are looked at, a seeded sample."""
READ = 8
"""Rows of these, those with the most text, that are turned into tokens."""
TURN_END = 2
"""Tokens that an answer ends with, at most."""
MOST_IMAGES, MOST_SIDE, MOST_TOKENS = 64, 16_384, 1_000_000
"""What a workload takes."""


@dataclass(frozen=True)
class RowShape:
    """The largest of some rows, in each respect."""

    images: int = 1
    image_size: tuple[int, int] = (448, 448)
    """Height and width of the largest picture in pixels."""
    text_tokens: int = 128
    """All but those that stand for pictures."""
    supervised_tokens: int = 32
    image_tokens: int | None = None
    """Those that stand for pictures; None where no processor was asked."""


def shape_of_rows(encoder: Encoder, rows: Sequence[Row]) -> RowShape:
    """The largest row of a sample, taken together from all of them: no smaller than any that was looked at.

    Raises:
        DataError: a row cannot be read.
    """
    some = sampled(rows, LOOKED_AT)
    sizes = [size_of(picture) for row in some for picture in row.pictures]
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(1, 1))
    longest = sorted(some, key=lambda row: sum(len(turn.text) for turn in row.turns), reverse=True)[:READ]
    largest = sorted(some, key=_pixels, reverse=True)[:1]
    ruler = Ruler(encoder)
    measured = [ruler.measure(row) for row in longest]
    text = max((words for _, words in measured), default=1)
    learned = max((_learned(encoder, row) for row in longest), default=1)
    return RowShape(
        images=min(MOST_IMAGES, max((len(row.pictures) for row in some), default=0)),
        image_size=(min(MOST_SIDE, height), min(MOST_SIDE, width)),
        text_tokens=min(MOST_TOKENS, max(1, text)),
        supervised_tokens=max(1, min(MOST_TOKENS, text, learned)),
        image_tokens=max((ruler.measure(row)[0] for row in (*largest, *longest)), default=0),
    )


def _pixels(row: Row) -> int:
    return sum(width * height for width, height in map(size_of, row.pictures))


def _learned(encoder: Encoder, row: Row) -> int:
    """Tokens of a row's answers, the ends of their turns included; roughly, since earlier ones are not looked for."""
    tokenizer = encoder.processor.tokenizer
    answers = [turn.text for turn in row.turns if turn.speaker == "assistant"]
    return sum(len(tokenizer(answer, add_special_tokens=False)["input_ids"]) + TURN_END for answer in answers)


def step_of(settings: Settings, shape: RowShape, device: Device, precision: Precision) -> Workload:
    """The step of these settings, with all rows of a batch at a time, and as if no lever were pulled but the answers'.

    A cached tower and packed rows take less; the estimate is then on the safe side.
    """
    return Workload(
        batch=settings.batch_size,
        images=shape.images,
        image_size=shape.image_size,
        text_tokens=shape.text_tokens,
        supervised_tokens=shape.supervised_tokens,
        precision=precision,
        quantization=settings.quantization,
        quantize_vision=settings.quantized_part == "all",
        checkpointing=bool(settings.checkpointing),
        optimizer=settings.optimizer,
        attention="sdpa" if settings.attention == "auto" else settings.attention,
        device=device,
        accumulation=settings.accumulation,
        answers_only="answers_only" not in settings.without,
    )
