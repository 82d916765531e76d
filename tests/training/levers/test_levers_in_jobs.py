"""Whole jobs with and without the levers learn the same, and say what became of each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.spec import LEVERS, Source, Spec, read, write
from core.training.levers import vision_proof
from core.training.worker import run
from tests.training.short_jobs import of_kind, status_of


def losses(folder: Path) -> list[float]:
    assert run(folder) == 0, status_of(folder).error
    return [point["loss"] for point in of_kind(folder, "train")]


def looks(folder: Path) -> list[float]:
    return [point["loss"] for point in of_kind(folder, "eval")]


def levers(folder: Path) -> dict[str, bool]:
    return {point["name"]: point["on"] for point in of_kind(folder, "lever")}


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "again"])
def test_a_job_learns_the_same_with_and_without_them(checkpointing: bool, new_job: Callable[..., Path]) -> None:
    fast = new_job("fast", checkpointing=checkpointing, epochs=2.0, steps=None)
    slow = new_job("slow", checkpointing=checkpointing, epochs=2.0, steps=None, without=LEVERS)
    assert losses(fast) == pytest.approx(losses(slow), abs=1e-5)
    assert looks(fast) == pytest.approx(looks(slow), abs=1e-5)
    on, off = levers(fast), levers(slow)
    assert on["answers_only"]
    assert on["frozen_first"]
    assert on["vision_cache"]
    assert set(on) == set(off)
    assert not any(off.values())
    reasons = [point["reason"] for point in of_kind(fast, "lever")]
    assert all(reason.endswith(".") for reason in reasons)


@pytest.mark.parametrize("order", ["rows", "pictures"])
def test_rows_that_share_a_picture_learn_the_same_from_kept_features(
    order: str, colours: Source, new_job: Callable[..., Path], tmp_path: Path
) -> None:
    data = shutil.copytree(Path(colours.name), tmp_path / "shared")
    for split in ("train", "heldout"):
        lines = (data / split / "metadata.jsonl").read_text().splitlines()
        asked = [json.loads(line) for line in lines[:8] for _ in range(2)]
        for number, row in enumerate(asked):
            row["question"] += " Please." * (number % 2)
        (data / split / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    found = []
    for name, without in (("fast", ()), ("slow", LEVERS)):
        folder = new_job(name, order=order, without=without)
        spec = read(Spec, folder / "spec.json")
        write(replace(spec, data=Source("folder", str(data))), folder / "spec.json")
        found.append(losses(folder))
    assert found[0] == pytest.approx(found[1], abs=1e-5)
    assert levers(tmp_path / "fast")["vision_cache"]


def test_jobs_of_one_data_folder_share_what_the_tower_said(
    new_job: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "jobs").mkdir(parents=True)
    made = []
    original = vision_proof.VisionCache

    class Watched(original):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(vision_proof, "VisionCache", Watched)
    first, second = (new_job(name).rename(home / "jobs" / name) for name in ("first", "second"))
    assert losses(first) == losses(second)
    assert made[0].computed > 0
    assert made[1].computed == 0
    assert list((home / "cache" / "vision").rglob("*.safetensors"))
