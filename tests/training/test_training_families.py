"""The same line, from folder to adapter, for models of other families."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.evaluation.measures import measures_for
from core.evaluation.scores import look_at, score
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.spec import Budget, Recipe, Selection, Settings, Source, Spec, write
from core.training.looks import choose_rows
from core.training.worker import run
from tests.data.tiny_families import Family, gemma3, llava, mllama, paligemma, qwen2_vl
from tests.training.short_jobs import SHORT, of_kind, same, status_of

FAMILIES = {"gemma3": gemma3, "llava": llava, "mllama": mllama, "paligemma": paligemma, "qwen2_vl": qwen2_vl}


def set_up(family: Family, base: Path, job: Path, data: Source, cells: tuple[str, ...], settings: Settings) -> Budget:
    """Writes the model and a job that trains these cells of it; gives what that costs."""
    family.model.save_pretrained(base)
    family.processor.save_pretrained(base)
    job.mkdir()
    source, selection = Source("folder", str(base)), Selection(cells)
    inspection = inspect_source(source)
    plan = make_plan(inspection, selection, Recipe(rank=2, alpha=4.0))
    cost = budget(inspection, plan)
    write(Spec(base.name, source, data, selection, plan, settings, cost.trainable), job / "spec.json")
    return cost


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_becomes_an_adapter_that_plain_peft_repeats(name: str, colours: Source, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from core.data.batches.collate import Encoder
    from core.data.batches.conversations import stop_ids
    from core.data.source import load_dataset

    base, job = tmp_path / "secret-place" / name, tmp_path / "job"
    settings = Settings(**SHORT | {"steps": 12, "eval_every": 6, "learning_rate": 3e-2})
    set_up(FAMILIES[name](), base, job, colours, ("language.attention", "vision.attention"), settings)

    assert run(job) == 0, status_of(job).error
    losses = [point["loss"] for point in of_kind(job, "train")]
    assert sum(losses[-3:]) < sum(losses[:3]), "a model of random weights learns little, but it learns"
    config = json.loads((job / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == name
    assert not any(b"secret-place" in path.read_bytes() for path in (job / "adapter").iterdir())

    model = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), job / "adapter").eval()
    processor = AutoProcessor.from_pretrained(base)
    encoder = Encoder(processor, stop_ids(model, processor))
    rows = choose_rows(load_dataset(colours).heldout, settings).rows
    outcomes = [outcome for part in (rows[:4], rows[4:]) for outcome in look_at(model, encoder, part, 4)]
    assert same(score(outcomes, measures_for(load_dataset(colours))), status_of(job).after)


def test_head_and_token_table_learn_where_they_are_not_one(colours: Source, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    job, settings = tmp_path / "job", Settings(**SHORT | {"steps": 4, "learning_rate": 1e-2})
    cost = set_up(llava(), tmp_path / "llava", job, colours, ("language.head", "language.embedding"), settings)
    assert run(job) == 0, status_of(job).error
    weights = job / "adapter" / "adapter_model.safetensors"
    assert weights.stat().st_size == cost.adapter_bytes
    began_at_zero = {
        name: value for name, value in load_file(weights).items() if "lora_B" in name or "embedding_A" in name
    }
    assert len(began_at_zero) == 2
    assert all(value.abs().sum() > 0 for value in began_at_zero.values())
