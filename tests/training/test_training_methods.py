"""Every method that a plan can name, from spec to adapter: the count, the file, and what plain PEFT makes of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from core.lora.budget import budget
from core.lora.limits import refuse_impossible
from core.lora.plan import make_plan
from core.models.loading import load_model, load_processor
from core.models.source import DEMO_MODEL
from core.spec import Knobs, Recipe, Selection, Settings, Source, Spec, write
from core.training.worker import run
from tests.training.short_jobs import SHORT, demo_inspection, of_kind, series, status_of

BOTH = Selection(cells=("vision.attention", "language.attention"))
PROJECTOR_IN_FULL = Selection(cells=("language.attention",), full=("projector",))
PLANS: dict[str, tuple[Selection, Recipe]] = {
    "rslora": (BOTH, Recipe(4, 8.0, method="rslora")),
    "dora": (BOTH, Recipe(4, 8.0, method="dora")),
    "adalora": (BOTH, Recipe(4, 8.0, method="adalora")),
    "pissa": (BOTH, Recipe(4, 8.0, start="pissa")),
    "olora": (BOTH, Recipe(4, 8.0, start="olora")),
    "eva": (BOTH, Recipe(4, 8.0, start="eva")),
    "lora bias": (BOTH, Recipe(4, 8.0, lora_bias=True)),
    "knobs per component": (
        BOTH,
        Recipe(8, 16.0, components={"vision": Knobs(rank=2, dropout=0.1, learning_rate=1e-3)}),
    ),
    "the projector in full": (
        PROJECTOR_IN_FULL,
        Recipe(4, 8.0, full_learning_rate=1e-3),
    ),
    "the last layers": (Selection(cells=BOTH.cells, layers={"language": (-2, None)}), Recipe(4, 8.0)),
}


def spec_of(data: Source, selection: Selection, recipe: Recipe, **settings: object) -> Spec:
    plan = make_plan(demo_inspection(), selection, recipe)
    trainable = budget(demo_inspection(), plan).trainable
    return Spec("colours", DEMO_MODEL, data, selection, plan, Settings(**SHORT | {"steps": 8} | settings), trainable)


def ran(folder: Path, spec: Spec) -> Path:
    folder.mkdir()
    write(spec, folder / "spec.json")
    assert run(folder) == 0, status_of(folder).error
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
def test_a_method_learns_and_plain_peft_repeats_it(name: str, colours: Source, tmp_path: Path) -> None:
    from peft import PeftModel

    from core.data.batches.collate import Encoder
    from core.data.batches.conversations import stop_ids
    from core.data.source import load_dataset
    from core.evaluation.scores import look_at, score
    from core.training.looks import choose_rows

    longer = {"steps": 32, "learning_rate": 3e-2} if name == "adalora" else {}  # it begins at nearly nothing
    spec = spec_of(colours, *PLANS[name], **longer)
    folder = ran(tmp_path / "job", spec)
    status = status_of(folder)
    losses = [point["loss"] for point in of_kind(folder, "train")]
    assert all(map(math.isfinite, losses))
    assert status.after.loss < 0.9 * status.before.loss
    weights = folder / "adapter" / "adapter_model.safetensors"
    assert weights.stat().st_size == budget(demo_inspection(), spec.plan).adapter_bytes
    model = PeftModel.from_pretrained(load_model(DEMO_MODEL, "cpu", torch.float32), folder / "adapter").eval()
    encoder = Encoder(processor := load_processor(DEMO_MODEL), stop_ids(model, processor))
    rows = choose_rows(load_dataset(colours).heldout, spec.settings).rows
    again = [outcome for part in (rows[:4], rows[4:]) for outcome in look_at(model, encoder, part, 4)]
    assert score(again).correct == status.after.correct
    assert score(again).loss == pytest.approx(status.after.loss, rel=1e-4)
    with model.disable_adapter():
        base = [outcome for part in (rows[:4], rows[4:]) for outcome in look_at(model, encoder, part, 4)]
    assert score(base).loss == pytest.approx(status.before.loss, rel=1e-4)


@pytest.mark.slow
def test_parts_learn_at_their_own_rate(colours: Source, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    def moved(rate: float, name: str) -> float:
        """How far B, which starts at zero, has come on vision."""
        recipe = Recipe(4, 8.0, components={"vision": Knobs(learning_rate=rate)})
        folder = ran(tmp_path / name, spec_of(colours, BOTH, recipe, steps=2))
        saved = load_file(folder / "adapter" / "adapter_model.safetensors")
        return sum(float(v.abs().sum()) for k, v in saved.items() if "vision" in k and "lora_B" in k)

    assert moved(1e-2, "fast") > 20 * moved(1e-4, "slow") > 0


@pytest.mark.slow
def test_checkpointing_changes_no_loss(colours: Source, tmp_path: Path) -> None:
    losses = [
        [point["loss"] for point in of_kind(ran(tmp_path / str(on), spec), "train")]
        for on in (False, True)
        for spec in [spec_of(colours, BOTH, Recipe(4, 8.0), checkpointing=on)]
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("selection", [BOTH, PROJECTOR_IN_FULL], ids=["lora", "the projector in full"])
@pytest.mark.parametrize(
    ("quantization", "part"), [("8bit", "all"), ("4bit", "all"), ("4bit", "language"), ("8bit", "language")]
)
def test_a_packed_model_learns_and_saves_the_same_adapter(
    quantization: str, part: str, selection: Selection, colours: Source, tmp_path: Path
) -> None:
    spec = spec_of(colours, selection, Recipe(4, 8.0), quantization=quantization, quantized_part=part)
    refuse_impossible(spec.plan, demo_inspection(), spec.settings)
    folder = ran(tmp_path / "job", spec)
    losses = [point["loss"] for point in of_kind(folder, "train")]
    assert sum(losses[-3:]) < sum(losses[:3])
    weights = folder / "adapter" / "adapter_model.safetensors"
    assert weights.stat().st_size == budget(demo_inspection(), spec.plan).adapter_bytes


def test_what_peft_cannot_do_on_a_cpu_is_said_before_anything_is_loaded(colours: Source, tmp_path: Path) -> None:
    spec = spec_of(colours, *PLANS["dora"], quantization="8bit")
    write(spec, tmp_path / "spec.json")
    assert run(tmp_path) == 1
    assert "DoRA on weights packed to 8 bits was asked for: on a CPU" in status_of(tmp_path).error


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adalora", "dora", "pissa", "the projector in full"])
def test_a_model_in_bfloat16_learns_as_well(
    name: str, colours: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.preparing.choose_device", lambda *_: ("cpu", torch.bfloat16, "CPU in bfloat16"))
    folder = ran(tmp_path / "job", spec_of(colours, *PLANS[name], steps=3))
    losses = [point["loss"] for point in of_kind(folder, "train")]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_the_curves_of_adalora_hold_the_cross_entropy_alone(colours: Source, tmp_path: Path) -> None:
    first = {}
    for method in ("lora", "adalora"):
        folder = ran(tmp_path / method, spec_of(colours, BOTH, Recipe(4, 8.0, method=method)))
        first[method] = of_kind(folder, "train")[0]["loss"]
        assert series(folder)
    assert first["adalora"] == pytest.approx(first["lora"], rel=1e-5)


@pytest.mark.slow
def test_accumulation_does_not_change_the_weight_of_adaloras_regularization(colours: Source, tmp_path: Path) -> None:
    def first_gradient(**settings: object) -> float:
        recipe = Recipe(4, 8.0, method="adalora")
        folder = ran(tmp_path / str(settings), spec_of(colours, BOTH, recipe, **settings))
        return of_kind(folder, "train")[0]["grad_norm"]

    # Singular values begin near zero, so that the gradient of the first step is mostly the regularization's.
    assert first_gradient(batch_size=2, accumulation=4) == pytest.approx(first_gradient(batch_size=8), rel=1e-3)
