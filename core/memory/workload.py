"""What one training step is made of, as far as memory goes.

What it does not do: estimate (see `estimate`), or know a model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from core.errors import SpecError
from core.spec import Quantization

Precision = Literal["fp32", "bf16"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "sgd"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Workload:
    """One step of the worker: a batch of rows, each with its pictures, a question and an answer."""

    batch: int = 16
    """Rows that go through the model at once."""
    images: int = 1
    """Pictures of one row."""
    image_size: tuple[int, int] = (448, 448)
    """Height and width of a picture in pixels, before the model's own resizing."""
    text_tokens: int = 128
    """Tokens of the longest row without those that stand for pictures, the answer included."""
    supervised_tokens: int = 32
    """Positions that the loss sees: the answer and the end of its turn."""
    precision: Precision = "fp32"
    """Of the frozen weights; with bf16, LoRA's weights are fp32 and autocast computes in bf16."""
    quantization: Quantization = "none"
    """Of the frozen Linears: 8-bit (LLM.int8) or 4-bit (NF4 with double quantization) by bitsandbytes."""
    quantize_vision: bool = True
    """Whether the vision tower and the projector are quantized too."""
    checkpointing: bool = False
    """Whether layers are computed again in the backward pass instead of being remembered."""
    optimizer: Optimizer = "adamw"
    attention: Attention = "sdpa"
    device: Device = "cpu"
    accumulation: int = 1
    """Batches of one optimizer step; from 2 on the gradients stay between them."""
    answers_only: bool = True
    """Whether only positions with something to learn go through the head, where the model allows it."""

    def __post_init__(self) -> None:
        counts = (
            ("Rows of a batch", self.batch, 1, 4096),
            ("Pictures of a row", self.images, 0, 64),
            ("Height of a picture", self.image_size[0], 1, 16_384),
            ("Width of a picture", self.image_size[1], 1, 16_384),
            ("Tokens of text", self.text_tokens, 1, 1_000_000),
            ("Supervised tokens", self.supervised_tokens, 1, self.text_tokens),
            ("Accumulation", self.accumulation, 1, 4096),
        )
        for label, value, low, high in counts:
            if not low <= value <= high:
                raise SpecError(
                    f"“{label}” is {value:,}", f"it must be from {low:,} to {high:,}", "Give another number"
                )

    def but(self, **changes: object) -> Workload:
        """The same workload with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]
