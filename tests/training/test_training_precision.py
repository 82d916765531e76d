"""A look's losses are of one precision, before and after a trainer has wrapped the model."""

from __future__ import annotations

from pathlib import Path

import torch

from core.data.batches.collate import Encoder
from core.data.batches.conversations import stop_ids
from core.data.source import load_dataset
from core.evaluation.scores import row_losses
from core.models.loading import load_model, load_processor
from core.spec import Source
from core.training.preparing import wrap
from core.training.trainer import make_trainer
from tests.training.short_jobs import make_spec


def test_a_trainer_in_bfloat16_leaves_the_looks_losses_as_they_were(colours: Source, tmp_path: Path) -> None:
    spec = make_spec(colours, steps=1)
    processor = load_processor(spec.model)
    model = wrap(load_model(spec.model, "cpu", torch.float32), spec, rows=24)
    encoder, data = Encoder(processor, stop_ids(model, processor)), load_dataset(colours)
    before = row_losses(model, encoder, data.heldout)
    trainer = make_trainer(model, encoder, data.train, spec.settings, tmp_path, "cpu", bf16=True)
    trainer.accelerator.prepare(model)
    assert row_losses(model, encoder, data.heldout) == before
    with torch.no_grad():
        loss = trainer.compute_loss(model, encoder.training(data.train[:4]))
    assert torch.isfinite(loss), "training still goes through what the trainer has wrapped"
