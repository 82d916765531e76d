"""The levers that need nothing but the model and real rows, tried before a job's first look.

What it does not do: put rows together (see `packing`), or take other kernels (see `kernels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.data.batches.collate import Encoder, to_device
from core.data.rows import Row
from core.spec import Settings
from core.training.levers.answers import answers_only
from core.training.levers.applied import Applied
from core.training.levers.frozen import frozen_first
from core.training.levers.fused_lora import fuse_lora
from core.training.levers.last_layer import narrow_last_layer
from core.training.levers.vision_proof import open_vision_cache, telling


def pull(
    model: Any, encoder: Encoder, rows: Sequence[Row], settings: Settings, source: str, job: Path
) -> tuple[Applied, ...]:
    """What became of each; the encoder has eyes afterwards where the vision cache is exact.

    Args:
        model: PEFT model, as it will be trained, on its device.
        encoder: of the job.
        rows: to learn from.
        settings: of the job.
        source: where the model is from, with its revision.
        job: its folder.
    """
    few = telling(rows)
    batch = to_device(encoder.training(few[:1] or [rows[0]]), model.device, model.dtype)
    frozen = frozen_first(model, batch, settings)
    fused = fuse_lora(model, settings)
    last = narrow_last_layer(model, batch, settings)
    kept = open_vision_cache(model, encoder, few, settings, source, features_folder(job))
    return answers_only(model, settings), frozen, fused, last, kept


def features_folder(job: Path) -> Path | None:
    """Where jobs of one data folder keep features: beside its jobs; None for a job that lies elsewhere."""
    home = job.resolve().parent.parent
    return home / "cache" / "vision" if job.resolve().parent.name == "jobs" else None
