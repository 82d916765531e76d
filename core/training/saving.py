"""The adapter on disk: written aside, made whole, then moved into place, so that `adapter/` is never half of one.

What it does not do: save the base model, or a checkpoint to go on from.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from core.adapters.bundle import write_card
from core.adapters.card_proof import read_proof
from core.job_files import ADAPTER, CONFIG, DATA, WEIGHTS
from core.lora.starts import as_plain_lora
from core.models.loading import public_name
from core.spec import Spec, Status
from core.training.metrics import read_metrics

STAGE = "adapter.tmp"


def save_adapter(
    folder: Path,
    model: Any,
    spec: Spec,
    status: Status,
    by_component: dict[str, int],
    start: dict[str, Any] | None = None,
) -> Path:
    """Writes weights, config, card and curves; returns `adapter/` in the job's folder.

    Args:
        folder: the job's.
        model: PEFT model.
        spec: for the card and the name of the base model.
        status: as it will be when all is done.
        by_component: trainable parameters of each component, for the card.
        start: what `remember_start` has kept.

    Raises:
        OSError: the disk is full. Nothing half-made is left in `adapter/`.
    """
    discard_stage(folder)
    stage = folder / STAGE
    staged = stage / ADAPTER
    staged.mkdir(parents=True)
    _name_base(model, spec)
    _write_weights(staged, model, start)
    _settle_config(staged / CONFIG)
    write_card(stage, spec, status, read_metrics(folder), by_component, folder / DATA, read_proof(folder))
    _sync(staged)
    target = folder / ADAPTER
    if target.exists():  # of an earlier attempt at the same job
        shutil.rmtree(target)
    os.replace(staged, target)
    discard_stage(folder)
    return target


def renew_card(folder: Path, spec: Spec, status: Status, by_component: dict[str, int]) -> None:
    """Writes card and curves of a saved adapter again, with what has been measured since."""
    discard_stage(folder)
    stage = folder / STAGE
    stage.mkdir()
    card = write_card(stage, spec, status, read_metrics(folder), by_component, folder / DATA, read_proof(folder))
    for path in card.parent.iterdir():
        os.replace(path, folder / ADAPTER / path.name)
    discard_stage(folder)


def discard_stage(folder: Path) -> None:
    """Takes away what an unfinished save has left, which also makes room on a full disk."""
    shutil.rmtree(folder / STAGE, ignore_errors=True)


def _write_weights(staged: Path, model: Any, start: dict[str, Any] | None) -> None:
    """Weights and config as plain PEFT loads them.

    Base weights never go along, not even embeddings that an adapter sits on: the budget promises the adapter's bytes
    alone. Nor are AdaLoRA's matrices cut to the ranks that were allotted, which nobody knows before: what was cut off
    would be zeros.
    """
    if start is not None:
        from safetensors.torch import save_file  # here, since it imports torch, for which the worker has to be ready

        tensors, config = as_plain_lora(model, start)
        config.inference_mode = True
        config.save_pretrained(staged)
        save_file({key: value.contiguous() for key, value in tensors.items()}, staged / WEIGHTS, {"format": "pt"})
        return
    config = model.peft_config["default"]
    if hasattr(config, "target_r"):
        config.rank_pattern = None
    model.save_pretrained(staged, save_embedding_layers=False)


def _name_base(model: Any, spec: Spec) -> None:
    """The base model's name as others know it, and its pinned revision."""
    config = model.peft_config["default"]
    config.base_model_name_or_path = public_name(spec.model)
    config.revision = spec.model.revision


def _settle_config(path: Path) -> None:
    """Sorts what PEFT holds as sets, so that the same training gives the same bytes."""
    config = json.loads(path.read_text())
    for key in ("target_modules", "target_parameters", "modules_to_save", "exclude_modules"):
        if isinstance(config.get(key), list):
            config[key].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _sync(folder: Path) -> None:
    """Makes the files outlive a power cut."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
