"""What a job makes of its machine: rows and tokens a second, and memory.

Of a GPU the memory is what torch has reserved at its peak: that, and not what tensors hold of it, is gone for others.
What it does not do: guess; a device that does not say how much of it is used has None.
"""

from __future__ import annotations

from typing import Any

import psutil
import torch

from core.data.batches.collate import Batch

FADING = 0.9
"""How much each earlier step counts of the next one in the smoothed figures."""


class Machine:
    """Throughput and memory of one job.

    Args:
        device: `cpu` or `cuda`.
    """

    def __init__(self, device: str) -> None:
        self._device, self._process = device, psutil.Process()
        self._rows = 0
        self._tokens: Any = 0
        self._smooth = [0.0, 0.0, 0.0]
        """Rows, tokens and seconds, those of earlier steps faded."""

    def batch(self, inputs: Batch) -> None:
        """A batch goes through the model; its tokens are those of pictures and text, without padding."""
        labels = inputs["labels"]  # [B, T]
        seen = inputs.get("attention_mask")
        self._rows += len(labels)
        self._tokens += labels.numel() if seen is None else seen.sum()  # read later: a GPU is not waited for here

    def step(self, seconds: float | None) -> dict[str, float | int | None]:
        """The fields of the step's point.

        Args:
            seconds: that the step took; None for the first one, which warms up.
        """
        done = self._rows, int(self._tokens), seconds
        self._rows, self._tokens = 0, 0
        if seconds is not None:
            self._smooth = [FADING * old + float(new or 0) for old, new in zip(self._smooth, done, strict=True)]
        rows, tokens, time = self._smooth
        return {
            "rows_per_second": rows / time if time else None,
            "tokens_per_second": tokens / time if time else None,
            "device_memory": torch.cuda.max_memory_reserved() if self._device == "cuda" else None,
            "host_memory": self._process.memory_info().rss,
        }
