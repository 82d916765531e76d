"""The trainer's losses against a loop written out here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup

from core.data.batches.collate import IGNORED, Encoder
from core.data.batches.conversations import stop_ids
from core.data.source import load_dataset
from core.models.loading import load_model, load_processor
from core.spec import Source, Spec
from core.training.preparing import wrap
from core.training.trainer import StudioTrainer, make_trainer
from tests.training.short_jobs import make_spec


def prepared(spec: Spec, folder: Path) -> StudioTrainer:
    processor = load_processor(spec.model)
    model = wrap(load_model(spec.model, "cpu", torch.float32), spec, rows=24)
    encoder = Encoder(processor, stop_ids(model, processor))
    return make_trainer(model, encoder, load_dataset(spec.data).train, spec.settings, folder, "cpu", bf16=False)


def trained_losses(trainer: StudioTrainer) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def plain_losses(spec: Spec, batches: list, accumulation: int) -> list[float]:
    """AdamW on the model's own loss, batch after batch."""
    settings = spec.settings
    model = wrap(load_model(spec.model, "cpu", torch.float32), spec, rows=24).train()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=settings.learning_rate, weight_decay=0.0)
    warmup = -(-settings.steps * settings.warmup_share // 1)
    schedule = get_cosine_schedule_with_warmup(optimizer, warmup, settings.steps)
    losses = []
    for start in range(0, settings.steps * accumulation, accumulation):
        group = batches[start : start + accumulation]
        tokens = sum(int((batch["labels"][:, 1:] != IGNORED).sum()) for batch in group)
        total = 0.0
        for batch in group:
            count = int((batch["labels"][:, 1:] != IGNORED).sum())
            loss = model(**batch).loss * count / tokens
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(learning, settings.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(total)
    return losses


@pytest.mark.parametrize("accumulation", [1, 2])
def test_losses_equal_those_of_a_plain_loop(colours: Source, tmp_path: Path, accumulation: int) -> None:
    spec = make_spec(colours, steps=3, accumulation=accumulation, warmup_share=0.3)
    trainer = prepared(spec, tmp_path)
    order = list(prepared(spec, tmp_path).get_train_dataloader())
    plain = plain_losses(spec, [dict(batch) for batch in order], accumulation)
    assert trained_losses(trainer) == pytest.approx(plain, rel=2e-5)


def test_accumulated_batches_count_as_one_large_batch(colours: Source, tmp_path: Path) -> None:
    large = trained_losses(prepared(make_spec(colours, steps=2, batch_size=8), tmp_path))
    small = trained_losses(prepared(make_spec(colours, steps=2, batch_size=4, accumulation=2), tmp_path))
    assert small == pytest.approx(large, rel=2e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 1.5, "accumulation": 4, "batch_size": 2},
        {"epochs": 3.0, "accumulation": 100},
        {"epochs": 2.3, "batch_size": 7, "accumulation": 2},
        {"epochs": 0.001},
    ],
    ids=str,
)
def test_epochs_are_as_many_steps_as_the_trainer_takes(settings: dict, colours: Source, tmp_path: Path) -> None:
    spec = make_spec(colours, steps=None, **settings)
    trainer = prepared(spec, tmp_path)
    rows = len(load_dataset(colours).train)
    *_, steps = trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())
    assert spec.settings.total_steps(rows) == steps


def test_the_schedule_is_the_one_asked_for(colours: Source, tmp_path: Path) -> None:
    def rates(**settings: object) -> list[float]:
        trainer = prepared(make_spec(colours, steps=4, learning_rate=1e-3, **settings), tmp_path)
        trainer.train()
        return [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]

    assert rates(schedule="constant", warmup_share=0.0) == pytest.approx([1e-3] * 4)
    assert rates(schedule="linear", warmup_share=0.0) == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    assert rates(schedule="cosine", warmup_share=1.0)[0] == 0.0
