"""Writes assets/docs/memory.md: `python -m tests.memory.table`, in about five minutes of one core."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.memory.estimate import CPU_PROCESS, estimate
from core.memory.workload import Workload
from tests.memory import card
from tests.memory.big_models import CONFIGS as BIG
from tests.memory.big_models import big_source
from tests.memory.measuring import measured_peak, plan_of
from tests.memory.small_models import FAMILIES, SIDE, small_model, small_source

FILE = Path(__file__).resolve().parents[2] / "assets" / "docs" / "memory.md"
SMALL = Workload(batch=3, image_size=(SIDE, SIDE), text_tokens=48, supervised_tokens=16)
SIDED = ("llava", "llava_next", "qwen2_5_vl", "qwen3_vl_moe", "smolvlm", "gemma3", "mllama", "florence2")
"""Families that are also trained on one side only."""
CASES = [
    *((family, "all", again) for family in FAMILIES for again in (False, True)),
    *((family, side, False) for family in SIDED for side in ("vision", "language")),
]
"""Family, what is trained, and whether layers are computed again."""
HEAD = """# The memory estimate beside what was measured

Made by `python -m tests.memory.table`; a test holds the estimates against the code.

## Real steps on the CPU

Small models of {count} families in 32-bit floats: {rows} rows of a picture of {side} x {side} pixels and {text} tokens
of text, LoRA of rank 8. Measured is the most that all tensors took at once in two steps of forward, loss, backward,
clipping and AdamW; both columns are MiB of tensors, without Python itself.

| model | trained | checkpointing | estimated | measured | error |
| --- | --- | --- | ---: | ---: | ---: |
"""
MIDDLE = """
## Models of billions of parameters

The step of the real class in bfloat16 without data: a few layers of each kind and arithmetic, against every layer.
{rows} rows, {text} tokens of text and a picture of 448 x 448 pixels, LoRA of rank 8 on everything, and on language with
checkpointing. GiB on a CUDA device, with what is assumed for CUDA itself.

| model | trained | checkpointing | a few layers | every layer | error |
| --- | --- | --- | ---: | ---: | ---: |
"""


class Row(NamedTuple):
    """One line of the first table."""

    family: str
    part: str
    checkpointing: bool
    estimated: float
    measured: float

    def line(self) -> str:
        again = "on" if self.checkpointing else "off"
        error = round(100 * (self.estimated / self.measured - 1), 2) + 0.0
        sizes = f"{self.estimated:.2f} | {self.measured:.2f}"
        return f"| {self.family} | {self.part} | {again} | {sizes} | {error:.2f}% |"


def estimated(family: str, part: str, checkpointing: bool, folder: Path) -> float:
    """MiB of tensors."""
    resolved = small_source(family, folder)
    memory = estimate(resolved, plan_of(resolved, part), SMALL.but(checkpointing=checkpointing))
    return (memory.peak_bytes - CPU_PROCESS) / 2**20


def read_rows(text: str) -> list[Row]:
    """The lines of the first table."""
    rows = []
    for line in text.partition("## Models of billions")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0] in FAMILIES:
            rows.append(Row(cells[0], cells[1], cells[2] == "on", float(cells[3]), float(cells[4])))
    return rows


def _small(folder: Path) -> Iterator[str]:
    for family, part, checkpointing in CASES:
        work = SMALL.but(checkpointing=checkpointing)
        plan = plan_of(small_source(family, folder), part)
        measured = measured_peak(small_model(family), plan, work) / 2**20
        yield Row(family, part, checkpointing, estimated(family, part, checkpointing, folder), measured).line()


def _large(folder: Path) -> Iterator[str]:
    for name in BIG:
        resolved = big_source(name, folder)
        for part, checkpointing in (("all", False), ("language", True)):
            plan, work = plan_of(resolved, part), card.WORK.but(checkpointing=checkpointing)
            short = estimate(resolved, plan, work).peak_bytes / 2**30
            full = estimate(resolved, plan, work, every_layer=True).peak_bytes / 2**30
            again, error = "on" if checkpointing else "off", round(100 * (short / full - 1), 2) + 0.0
            yield f"| {name} | {part} | {again} | {short:.2f} | {full:.2f} | {error:.2f}% |"


def main() -> int:
    """Writes the file."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="studio-memory-") as name:
        folder = Path(name)
        head = HEAD.format(count=len(FAMILIES), rows=SMALL.batch, side=SIDE, text=SMALL.text_tokens)
        middle = MIDDLE.format(rows=card.WORK.batch, text=card.WORK.text_tokens)
        text = head + "\n".join(_small(folder)) + "\n" + middle + "\n".join(_large(folder)) + "\n" + card.section()
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
