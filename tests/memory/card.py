"""The memory estimate beside what steps took of a real card: one run of `python -m tests.benchmarks.cuda_memory`.

What it does not do: measure; it keeps what was measured, and tests hold its estimates against the code.
"""

from __future__ import annotations

from typing import NamedTuple

from core.memory.workload import Workload

WORK = Workload(batch=2, text_tokens=64, supervised_tokens=20, precision="bf16", device="cuda")
"""The step of every case: two rows with a picture of 448 x 448 pixels."""


class Case(NamedTuple):
    """One model, trained in one way."""

    model: str
    part: str
    checkpointing: bool
    estimated: float
    """GiB, when it was measured."""
    taken: float
    """GiB that CUDA and its allocator had taken of the card at the most."""

    @property
    def error(self) -> float:
        """Percent by which the estimate is too high."""
        return 100 * (self.estimated / self.taken - 1)

    def line(self) -> str:
        """Of the table in the documentation."""
        again = "on" if self.checkpointing else "off"
        sizes = f"{self.estimated:.2f} | {self.taken:.2f}"
        return f"| {self.model} | {self.part} | {again} | {sizes} | {self.error:.2f}% |"


CASES = (
    Case("LLaVA-1.5 7B", "all", False, 23.75, 24.47),
    Case("LLaVA-1.5 7B", "language", False, 22.39, 22.97),
    Case("LLaVA-1.5 7B", "language", True, 14.78, 15.09),
    Case("LLaVA-1.5 7B", "all", True, 14.89, 15.38),
    Case("Qwen2.5-VL 7B", "all", False, 24.86, 25.31),
    Case("Qwen2.5-VL 7B", "language", False, 20.71, 21.16),
    Case("Qwen2.5-VL 7B", "language", True, 16.74, 17.21),
    Case("Qwen2.5-VL 7B", "all", True, 16.98, 17.51),
    Case("Llama 3.2 Vision 11B", "all", False, 39.29, 40.59),
    Case("Llama 3.2 Vision 11B", "language", False, 23.10, 23.89),
    Case("Llama 3.2 Vision 11B", "language", True, 21.90, 23.89),
    Case("Llama 3.2 Vision 11B", "all", True, 37.14, 39.10),
)
TEXT = """
## On a real card

Measured once, on 2026-11-22 on one NVIDIA H100 with torch 2.11 and transformers 5.23, by
`python -m tests.benchmarks.cuda_memory`: models of random weights, {rows} rows, {text} tokens of text and a picture of
448 x 448 pixels, LoRA of rank 8. Taken is the most that PyTorch's allocator held in four steps, with what CUDA had
taken before the model (0.67 GiB, where the estimate assumes 0.68); GiB. Every estimate is too low, by {least:.1f} to
{most:.1f}%, ten of them by at most 3.4%; furthest off are those of Llama 3.2 Vision with checkpointing. No other card
was measured, no quantized model, and no lever but the loss on answers alone.

| model | trained | checkpointing | estimated | taken | error |
| --- | --- | --- | ---: | ---: | ---: |
"""


def section() -> str:
    """The part of the document."""
    low = sorted(-case.error for case in CASES)
    head = TEXT.format(rows=WORK.batch, text=WORK.text_tokens, least=low[0], most=low[-1])
    return head + "\n".join(case.line() for case in CASES) + "\n"
