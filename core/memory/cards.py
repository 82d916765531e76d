"""Devices that people train on and the bytes that they really offer, and the one of this machine.

What it does not do: import torch, or look at how much of a card is free at the moment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.memory.workload import Device

GIB = 2**30
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux says how much a container may use."""
_MEMORY = Path("/proc/meminfo")
_USED = (
    (_CGROUPS[0], "memory.current", "inactive_file"),
    (_CGROUPS[1], "memory.usage_in_bytes", "total_inactive_file"),
)
"""Beside each limit: what is used, and the field of `memory.stat` that says which part of it is cached files."""
_ASK = ("nvidia-smi", "--query-gpu=name,memory.total,memory.reserved", "--format=csv,noheader,nounits")
_ASK_SECONDS = 5.0


@dataclass(frozen=True)
class Card:
    """A device with memory of its own, or a machine without one."""

    name: str
    bytes: int
    """What a program can have of it."""
    device: Device = "cuda"
    bf16: bool = True
    """Whether it computes in bfloat16 natively."""


def _card(name: str, gib: float, bf16: bool = True) -> Card:
    return Card(name, int(gib * GIB), "cuda", bf16)


CARDS: tuple[Card, ...] = (
    _card("NVIDIA RTX 4060, 8 GB", 7.6),
    _card("NVIDIA RTX 3060, 12 GB", 11.7),
    _card("NVIDIA T4, 16 GB", 14.5, bf16=False),
    _card("NVIDIA V100, 16 GB", 15.7, bf16=False),
    _card("NVIDIA RTX 4080, 16 GB", 15.6),
    _card("NVIDIA L4, 24 GB", 22.0),
    _card("NVIDIA A10G, 24 GB", 22.0),
    _card("NVIDIA RTX 3090, 24 GB", 23.6),
    _card("NVIDIA RTX 4090, 24 GB", 23.5),
    _card("NVIDIA RTX 5090, 32 GB", 31.3),
    _card("NVIDIA A100, 40 GB", 39.3),
    _card("NVIDIA L40S, 48 GB", 44.3),
    _card("NVIDIA RTX A6000, 48 GB", 47.4),
    _card("NVIDIA A100, 80 GB", 79.1),
    _card("NVIDIA H100, 80 GB", 79.1),
    _card("NVIDIA H200, 141 GB", 139.7),
    _card("NVIDIA B200, 192 GB", 178.3),
)
"""Common cards, the smallest first, with the capacity that CUDA reports for them, rounded down: less than what stands
on the box, since the driver and error correction keep some."""


def found() -> Card:
    """The device of this machine: its first NVIDIA card, else its memory."""
    return _nvidia() or Card("this machine's memory", machine_bytes(), "cpu", bf16=False)


def machine_bytes() -> int:
    """Memory of this machine, or of the container that this runs in."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUPS:
        with suppress(OSError, ValueError):  # no such limit: the file is missing or says “max”
            return min(total, int(path.read_text()))
    return total


def _nvidia() -> Card | None:
    """The first card that the driver lists; None where there is none or the driver does not answer."""
    if shutil.which(_ASK[0]) is None:
        return None
    try:
        answer = subprocess.run(_ASK, capture_output=True, text=True, timeout=_ASK_SECONDS, check=True).stdout
        return parsed(answer)
    except (OSError, subprocess.SubprocessError):
        return None


def parsed(answer: str) -> Card | None:
    """The first card in what nvidia-smi prints: a name, MiB in all and MiB kept by the driver.

    >>> parsed("NVIDIA L4, 23034, 470").bytes // 2**20
    22564
    """
    lines = answer.strip().splitlines()
    if not lines or lines[0].count(",") < 2:
        return None
    name, total, reserved = (part.strip() for part in lines[0].rsplit(",", 2))
    if not total.isdigit():
        return None
    mib = int(total) - (int(reserved) if reserved.isdigit() else 0)
    return Card(name, mib * 2**20, "cuda", bf16=not any(old in name for old in ("T4", "V100", "P100", "GTX", "RTX 20")))


def free_bytes() -> int:
    """Memory of this machine, or of the container, that is free now or can be freed at once, such as cached files."""
    free = machine_bytes()
    with suppress(OSError, StopIteration):
        lines = (line.split() for line in _MEMORY.read_text().splitlines())
        free = min(free, 1024 * next(int(line[1]) for line in lines if line[0] == "MemAvailable:"))
    for limit, used, cached in _USED:
        with suppress(OSError, ValueError, StopIteration):
            lines = (line.split() for line in limit.with_name("memory.stat").read_text().splitlines())
            file = next(int(line[1]) for line in lines if line[0] == cached)
            free = min(free, int(limit.read_text()) - int(limit.with_name(used).read_text()) + file)
    return max(0, free)
