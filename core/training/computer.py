"""What a job can have of a computer: its device, its precision, its memory and its cores.

What it does not do: choose how to train on it (`core.training.choices`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.memory.cards import Card, free_bytes
from core.memory.estimate import CPU_PROCESS, CUDA_CONTEXT
from core.memory.verdict import ROOM
from core.memory.workload import Device, Precision
from core.models.device import cpu_takes_bf16
from core.spec.settings import Precision as AskedPrecision

ROWS_KEPT = 1 << 29
"""Bytes, `core.data.batches.collate.CACHE_BYTES`: processed rows are kept in the machine's memory up to so much."""


@dataclass(frozen=True)
class Computer:
    """A device as one job finds it."""

    device: Device
    name: str
    """Of its memory, in a sentence."""
    free: int
    """Bytes that a step can have; what a process takes before its first tensor is among them."""
    precision: Precision
    """Of the frozen weights."""
    why: str
    """Device and precision in words, with the reason."""
    cores: int
    flash: bool
    """Whether flash attention is installed and runs here."""

    @property
    def room(self) -> int:
        """Bytes up to which a step fits; the rest is left to what an estimate does not see."""
        return int(ROOM * self.free)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def this_computer(device: str, bf16: bool, why: str) -> Computer:
    """The machine as it is now, asked before a weight is loaded.

    Args:
        device: `cpu` or `cuda`.
        bf16: whether bfloat16 was chosen.
        why: that was.
    """
    precision: Precision = "bf16" if bf16 else "fp32"
    if device == "cuda":
        import torch
        from transformers.utils import is_flash_attn_2_available

        free, _ = torch.cuda.mem_get_info()
        flash = is_flash_attn_2_available()
        name = f"{torch.cuda.get_device_name()}’s free memory"
        return Computer("cuda", name, free + CUDA_CONTEXT, precision, why, cores(), flash)
    free = free_bytes() + _resident() - ROWS_KEPT
    return Computer("cpu", "this machine’s free memory", max(0, free), precision, why, cores(), False)


def computer_of(card: Card, precision: Precision, why: str) -> Computer:
    """A machine of which only the card is known; it is taken to be empty, and to have this one's cores and libraries.

    Args:
        card: of the list, or this machine's own.
        precision: as a worker would choose it there.
        why: it would.
    """
    flash = card.device == "cuda" and find_spec("flash_attn") is not None
    free = card.bytes - ROWS_KEPT if card.device == "cpu" else card.bytes
    return Computer(card.device, card.name, max(0, free), precision, why, cores(), flash)


def precision_on(card: Card, asked: AskedPrecision, parameters: int) -> tuple[Precision, str]:
    """The precision that a worker would choose on a card, and why.

    Args:
        card: of the list, or this machine's own.
        asked: by the person; “auto” leaves it open.
        parameters: of the model.
    """
    precision: Precision
    if card.device == "cpu":
        native, why_not = cpu_takes_bf16(parameters)
        precision, reason = ("bf16", "it computes that natively and faster") if native else ("fp32", why_not)
    else:
        native = card.bf16
        precision, reason = ("bf16", "it computes that natively") if native else ("fp32", "it has no native bfloat16")
    if asked != "auto":
        precision, reason = asked, "as the settings ask"
    words = "bfloat16" if precision == "bf16" else "32-bit floats"
    return precision, f"{'CPU' if card.device == 'cpu' else card.name} with {words}: {reason}"


def _resident() -> int:
    """Bytes that this process holds: libraries that are loaded, which the estimate counts as well."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no Linux
        return CPU_PROCESS
