"""The levers that need nothing but the model and real rows, tried before a job's first look.

They are tried on the same few rows, which go through the model as it is once.
What it does not do: put rows together (see `packing`), or take other kernels (see `kernels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from core.data.batches.collate import Encoder, to_device
from core.data.rows import Row
from core.spec import Settings
from core.training.levers.answers import answers_only
from core.training.levers.applied import Applied
from core.training.levers.frozen import frozen_first, no_input_hooks
from core.training.levers.fused_lora import fuse_lora
from core.training.levers.last_layer import narrow_last_layer
from core.training.levers.plain_pass import plain_pass, sight_learns
from core.training.levers.vision_proof import TRIED, open_vision_cache, tried_rows


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
    few = tried_rows(encoder, rows, 1 if sight_learns(model) else TRIED)
    batch = to_device(encoder.training(few), model.device, model.dtype)
    fused = fuse_lora(model, settings)
    with nullcontext() if "frozen_first" in settings.without else no_input_hooks(model):
        plain = plain_pass(model, batch)
    kept = open_vision_cache(model, encoder, few, settings, source, features_folder(job), plain.losses)
    before: torch.Tensor | None = plain.losses
    if encoder.eyes is not None:  # the pictures have been seen, one by one, which rounds otherwise in 16 bits
        batch = encoder.seen(to_device(encoder.training(few), model.device, model.dtype))
        before = before if model.dtype == torch.float32 else None
    last = narrow_last_layer(model, batch, settings, before)
    return answers_only(model, settings), frozen_first(plain.asking, settings), fused, last, kept


def features_folder(job: Path) -> Path | None:
    """Where jobs of one data folder keep features: beside its jobs; None for a job that lies elsewhere."""
    home = job.resolve().parent.parent
    return home / "cache" / "vision" if job.resolve().parent.name == "jobs" else None
