"""SHA-256 of every frozen tensor, taken before and after training: equal means not one bit has changed.

What it does not do: read what the adapter holds, or keep a copy of anything.
"""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from core.lora.parts import base_tensors

PIECE = 32 * 1024 * 1024
"""Bytes that are brought to the CPU at a time."""
THREADS = 4
"""Hashing leaves Python's lock alone, and more threads than these only wait for the memory."""


@dataclass(frozen=True)
class Frozen:
    """The frozen tensors of one moment."""

    digests: dict[str, bytes]
    """By the names of the base model."""
    size: int
    """Bytes of all of them."""
    seconds: float
    """What it took."""

    @property
    def digest(self) -> str:
        """One for all of them, in hex."""
        lines = (f"{name} {digest.hex()}\n" for name, digest in sorted(self.digests.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def hash_frozen(model: Any) -> Frozen:
    """The frozen tensors of the base model inside of a wrapped one, as they are now; tied ones once."""
    started = time.monotonic()
    tensors = dict(base_tensors(model))
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        digests = dict(zip(tensors, pool.map(digest, tensors.values()), strict=True))
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return Frozen(digests, size, time.monotonic() - started)


def changed(before: Frozen, after: Frozen) -> list[str]:
    """Names of tensors that are not what they were, or are there only once."""
    names = dict.fromkeys([*before.digests, *after.digests])
    return [name for name in names if before.digests.get(name) != after.digests.get(name)]


def digest(tensor: torch.Tensor) -> bytes:
    """SHA-256 of type, shape and bytes, wherever the tensor lies."""
    found = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    for at in range(0, len(flat), PIECE):
        found.update(flat[at : at + PIECE].cpu().numpy().data)
    return found.digest()
