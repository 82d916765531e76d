"""The estimate beside measured peaks of real steps on the CPU, for every family, side and way of checkpointing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from core.memory.dry_run.ledger import Ledger
from core.memory.estimate import CPU_PROCESS, estimate
from core.memory.workload import Workload
from core.models.loading import load_model, load_processor
from core.models.source import DEMO_MODEL, resolve
from core.spec import Settings, Source
from tests.memory.measuring import measured_peak, plan_of
from tests.memory.small_models import SIDE, small_model, small_source
from tests.memory.table import CASES
from tests.memory.table import SMALL as WORK

WITHIN = 0.03
"""The aim is 10%; what was seen is below 1%."""


def held_together(family: str, part: str, work: Workload, folder: Path) -> tuple[int, int]:
    """Estimated and measured bytes of tensors."""
    resolved = small_source(family, folder)
    plan = plan_of(resolved, part)
    estimated = estimate(resolved, plan, work).peak_bytes - CPU_PROCESS
    return estimated, measured_peak(small_model(family), plan, work)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "part", "checkpointing"), CASES)
def test_the_estimate_is_what_real_steps_take(family: str, part: str, checkpointing: bool, tmp_path: Path) -> None:
    estimated, measured = held_together(family, part, WORK.but(checkpointing=checkpointing), tmp_path)
    assert estimated == pytest.approx(measured, rel=WITHIN)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attention": "eager"},
        {"accumulation": 3},
        {"batch": 1, "text_tokens": 300, "supervised_tokens": 300},
        {"images": 2},
        {"image_size": (2 * SIDE, SIDE)},
    ],
    ids=str,
)
def test_every_field_of_a_workload_means_what_a_real_step_does(changes: dict[str, object], tmp_path: Path) -> None:
    estimated, measured = held_together("qwen2_5_vl", "language", WORK.but(**changes), tmp_path)
    assert estimated == pytest.approx(measured, rel=WITHIN)


def test_the_estimate_is_what_the_workers_own_trainer_takes(tmp_path: Path) -> None:
    from core.data.batches.collate import IGNORED, Encoder
    from core.data.batches.conversations import stop_ids
    from core.data.source import load_dataset
    from core.lora.wrap import wrap
    from core.training.trainer import make_trainer

    resolved = resolve(DEMO_MODEL)
    plan = plan_of(resolved, "all")
    processor = load_processor(DEMO_MODEL)
    model = wrap(load_model(DEMO_MODEL, "cpu", torch.float32), plan)
    encoder, rows = Encoder(processor, stop_ids(model, processor)), load_dataset(Source("demo", "digits")).train[:4]
    batch = encoder.training(rows)  # kept by the encoder, so that it is not counted below
    labels = batch["labels"]
    pictures = int((batch["input_ids"] == model.config.image_token_id).sum(dim=1)[0])
    with Image.open(rows[0].picture.path) as picture:
        width, height = picture.size
    work = Workload(
        batch=len(rows),
        image_size=(height, width),
        text_tokens=labels.shape[1] - pictures,
        supervised_tokens=int((labels != IGNORED).any(dim=0).sum()),
    )
    memory = estimate(resolved, plan, work)
    assert memory.image_tokens == pictures

    settings = Settings(steps=3, batch_size=len(rows))
    trainer = make_trainer(model, encoder, rows, settings, tmp_path, "cpu", bf16=False)
    ledger = Ledger()
    for tensor in (*model.parameters(), *model.buffers()):
        ledger.add(tensor)
    with ledger:
        trainer.train()
    assert memory.peak_bytes - CPU_PROCESS == pytest.approx(ledger.peak, rel=WITHIN)
