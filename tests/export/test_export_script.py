"""The exported script, run as a person would run it, learns what the worker learns: the same losses, step by step."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from core.data.source import load_dataset
from core.export.plan_export import Context, export
from core.export.script_parts import ROWS
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.source import ASSETS, DEMO_MODEL
from core.spec import Knobs, Recipe, Selection, Settings, Source, Spec, Status, read, write
from tests.data.made_data import line, picture
from tests.training.short_jobs import demo_inspection

DIGITS = Source("demo", "digits")
BOTH = ("vision.attention", "projector.mlp", "language.attention", "language.mlp")
QUICK = {
    "steps": 4,
    "batch_size": 4,
    "eval_every": 100,
    "eval_rows": 2,
    "final_rows": 2,
    "sample_count": 0,
    "keep": "last",
}
PLANS: dict[str, tuple[Selection, Recipe, dict]] = {
    "plain": (Selection(cells=BOTH), Recipe(8, 16, 0.1), {"weight_decay": 0.01}),
    "dora_by_component": (
        Selection(cells=BOTH, layers={"vision": (-2, None)}),
        Recipe(8, 16, 0.0, "dora", components={"vision": Knobs(rank=4, alpha=4, dropout=0.2, learning_rate=1e-3)}),
        {"accumulation": 2, "schedule": "linear"},
    ),
    "twenty_steps_of_everything": (
        Selection(cells=BOTH),
        Recipe(8, 16, 0.1, components={"vision": Knobs(learning_rate=1e-3)}),
        {
            "steps": 20,
            "lora_plus": 16.0,
            "learning_rate": 3e-4,
            "weight_decay": 0.01,
            "neftune": 5.0,
            "label_smoothing": 0.1,
            "schedule": "constant",
            "warmup_steps": 3,
            "checkpointing": True,
            "order": "pictures",
            "max_grad_norm": 0.5,
        },
    ),
    "eight_bits": (
        Selection(cells=("language.attention",), full=("projector",)),
        Recipe(8, 16, method="dora"),
        {
            "optimizer": "adamw_8bit",
            "lora_plus": 4.0,
            "schedule": "linear",
            "at_once": 3,
            "batch_size": 6,
            "workers": 1,
        },
    ),
    "full_projector": (
        Selection(cells=("language.attention",), full=("projector",)),
        Recipe(4, 8, method="rslora", lora_bias=True, full_learning_rate=1e-4),
        {"schedule": "constant", "checkpointing": True},
    ),
    "changed_pictures": (
        Selection(cells=BOTH),
        Recipe(4, 8, start="eva"),
        {"augment": ("jpeg", "colour", "rotation", "crop", "blur"), "max_tokens": 64, "epochs": 0.02, "steps": None},
    ),
    "adalora": (Selection(cells=("language.mlp",)), Recipe(4, 8, method="adalora"), {"steps": 10}),
    "pissa": (Selection(cells=("language.attention",)), Recipe(4, 8, start="pissa"), {"seed": 3}),
    "eva": (Selection(cells=("language.attention",)), Recipe(4, 8, start="eva"), {"epochs": 0.02, "steps": None}),
}


def losses_of_worker(folder: Path, spec: Spec) -> list[float]:
    folder.mkdir()
    write(spec, folder / "spec.json")
    from core.training.worker import run

    assert run(folder) == 0, read(Status, folder / "status.json").error
    points = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [point["loss"] for point in points if point["kind"] == "train"]


def losses_of_script(folder: Path, text: str) -> list[float]:
    folder.mkdir()
    (folder / "train.py").write_text(text)
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=folder, capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [point["loss"] for point in json.loads((folder / "adapter" / "log.json").read_text()) if "loss" in point]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A worker that runs inside the tests leaves their SIGTERM as it was."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_the_script_learns_what_the_worker_learns(name: str, tmp_path: Path):
    selection, recipe, more = PLANS[name]
    made, settings = demo_inspection(), Settings(**QUICK | more)
    plan = make_plan(made, selection, recipe)
    spec = Spec(name, DEMO_MODEL, DIGITS, selection, plan, settings, budget(made, plan).trainable)
    rows = len((ASSETS / "data" / "digits" / "train" / "metadata.jsonl").read_text().splitlines())
    context = Context(
        str(ASSETS / "model"), selection, recipe, settings, data=str(ASSETS / "data" / "digits"), rows=rows
    )
    text = export(plan, made, context, "script").text
    assert not [line for line in text.splitlines() if line.lstrip().startswith(("from core", "import core"))]
    of_script = losses_of_script(tmp_path / "script", text)
    of_worker = losses_of_worker(tmp_path / "worker", spec)
    assert len(of_worker) >= 4
    assert of_script == pytest.approx(of_worker, abs=1e-4)
    assert read(Spec, tmp_path / "worker" / "spec.json") == spec
    saved = json.loads((tmp_path / "script" / "adapter" / "adapter_config.json").read_text())
    of_job = json.loads((tmp_path / "worker" / "adapter" / "adapter_config.json").read_text())
    assert saved["target_modules"] == of_job["target_modules"]
    assert saved["r"] == of_job["r"]
    mine, theirs = (load_file(tmp_path / at / "adapter" / "adapter_model.safetensors") for at in ("script", "worker"))
    assert mine.keys() == theirs.keys()
    furthest = max(float((mine[key] - theirs[key]).abs().max()) for key in mine)
    assert furthest < 1e-3, "what was learned, not only what was lost"


@pytest.mark.parametrize("several", [1, 3])
def test_the_script_holds_out_the_rows_that_the_studio_holds_out(several: int, tmp_path: Path):
    lines = []
    for number in range(40):
        picture(number).save(tmp_path / f"{number}.png")
        lines += [line(number, question=f"Question {n}?") for n in range(1 if number else several * 10)]
    plain = [{"file_name": each["image"], "question": each["question"], "answer": each["answer"]} for each in lines]
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(each) + "\n" for each in plain))
    script: dict[str, Any] = {"json": json, "hashlib": hashlib}
    exec(ROWS, script)  # noqa: S102 -- what a person would run
    of_script = [(path.name, *said) for path, *said in script["read_rows"](tmp_path)]
    data = load_dataset(Source("folder", str(tmp_path)))
    assert of_script == [(row.picture_name, row.question, row.answer) for row in data.train]
    assert 0 < len(data.heldout) == len(lines) - len(of_script)


@pytest.mark.slow
def test_the_script_refuses_another_model(tmp_path: Path):
    selection, recipe = Selection(cells=("language.attention",)), Recipe(4, 8)
    plan = make_plan(demo_inspection(), selection, recipe)
    context = Context(str(ASSETS / "model"), selection, recipe, data=str(ASSETS / "data" / "digits"))
    text = export(plan, demo_inspection(), context, "script").text
    (tmp_path / "train.py").write_text(text.replace("TRAINABLE = ", "TRAINABLE = 1"))
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert "is it another model?" in done.stderr
