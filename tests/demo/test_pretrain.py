"""The pretraining script at a minuscule scale: it runs through, goes on after a kill, and what it writes loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from core.demo import pretrain
from core.demo.pretrain import PLAN, Run, Settings, Stage, rate_factor, train
from core.demo.questions import TYPES


@pytest.fixture(autouse=True)
def tiny_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {name: Stage(p.steps, 4, p.matrix_rate, p.rate) for name, p in PLAN.items()}
    monkeypatch.setattr(pretrain, "PLAN", small)


def settings(out: Path, stop_after: int | None = None) -> Settings:
    out.mkdir(exist_ok=True)
    return Settings(out, seed=1, steps_scale=0.001, stop_after=stop_after)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoint" / "weights.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path, killed_after: int) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(Run(settings(whole)))
    train(Run(settings(killed, stop_after=killed_after)))
    again = Run(settings(killed))
    again.load()
    train(again)
    expected, found = weights(whole), weights(killed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.slow
def test_the_script_writes_a_folder_that_loads_and_a_card(tmp_path: Path) -> None:
    out = tmp_path / "run"
    pretrain.main(["--out", str(out), "--steps-scale", "0.001", "--questions", "2"])
    folder = out / "model"
    AutoProcessor.from_pretrained(folder, local_files_only=True)
    AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True)
    facts = json.loads((folder / "evaluation.json").read_text("utf-8"))
    assert set(facts["types"]) == set(TYPES)
    assert all(v["questions"] == 2 for v in facts["types"].values())
    assert (folder / "README.md").read_text("utf-8").startswith("---\nlicense: apache-2.0\n")
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text("utf-8").splitlines()]
    assert [line["stage"] for line in lines] == ["read", "see", "speak"]


@pytest.mark.slow
def test_a_checkpoint_of_another_seed_is_refused(tmp_path: Path) -> None:
    train(Run(settings(tmp_path, stop_after=1)))
    with pytest.raises(ValueError, match="new --out"):
        Run(Settings(tmp_path, seed=2, steps_scale=0.001)).load()


def test_the_learning_rate_warms_up_and_ends_low() -> None:
    factors = [rate_factor(step, 1000) for step in range(1000)]
    assert factors[0] < 0.05
    assert max(factors) > 0.95
    assert 0 < factors[-1] < 0.05
