"""The proof of what changed: in a real job's folder, and on tiny models where something was touched on purpose."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import torch

from core.lora.budget import budget
from core.lora.plan import make_plan
from core.lora.updates import squares
from core.lora.wrap import wrap
from core.models.inspection import inspect_model
from core.models.loading import load_model
from core.models.source import DEMO_MODEL
from core.spec import Plan, Recipe, Selection, Settings, Source, Spec, write
from core.training.frozen_hash import Frozen, changed, digest, hash_frozen
from core.training.metrics import Metrics, read_metrics
from core.training.proof import prove, write_proof
from core.training.worker import run
from tests.lora.every_kind import every_kind, inspection
from tests.lora.training_steps import trained
from tests.models.families import FAMILIES, tiny_model
from tests.training.short_jobs import SHORT, demo_inspection, of_kind, status_of

PLAN = Plan(("image", "attention"), 3, 6.0, full_modules=("head",))


def proved(model, before: Frozen, plan: Plan = PLAN) -> dict:
    made = prove(model, before, inspection(every_kind()), plan)
    return json.loads(json.dumps(made, allow_nan=False))


def wrapped(plan: Plan = PLAN):
    return wrap(every_kind(), plan)


def test_what_was_not_chosen_is_bit_identical_and_said_to_be() -> None:
    before = hash_frozen(wrapped())
    model, _ = trained(every_kind(), PLAN)
    made = proved(model, before)
    assert made["frozen"]["same"]
    assert made["frozen"]["before"] == made["frozen"]["after"]
    assert made["frozen"]["changed"] == []
    assert made["frozen"]["tensors"] == len(list(every_kind().parameters())), "the original of the head is frozen too"
    parts = made["components"]
    assert {name: part["chosen"] for name, part in parts.items()} == {
        "vision": True,
        "projector": False,
        "language": True,
        "audio": False,
    }
    for part in parts.values():
        assert (part["update"] > 0) is part["chosen"]
        assert part["chosen"] or part["update"] == part["ratio"] == 0.0
        assert part["trained"] <= part["modules"]
    shares = [f"{100 * parts[name]['ratio']:.2g}%" for name in ("vision", "language")]
    size = f"{made['frozen']['tensors']:,} frozen tensors, {made['frozen']['bytes'] / 1e3:.3g} kB"
    assert made["words"] == (
        f"Vision and language changed (by {shares[0]} and {shares[1]} of their weights' norm); the projector and audio"
        f" did not: {size}, are bit-identical to what they were before."
    )


def test_components_add_up_to_the_whole_model() -> None:
    base = every_kind()
    before = hash_frozen(wrapped())
    model, _ = trained(base, PLAN)
    made = proved(model, before)
    whole = math.sqrt(sum(squares(value) for value in base.parameters()))
    assert math.hypot(*(part["weight"] for part in made["components"].values())) == pytest.approx(whole, rel=1e-9)
    moved = math.hypot(*(each["update"] for each in made["modules"]))
    assert math.hypot(*(part["update"] for part in made["components"].values())) == pytest.approx(moved, rel=1e-12)
    assert all(each["ratio"] == pytest.approx(each["update"] / each["weight"]) for each in made["modules"])


@pytest.mark.parametrize("kind", ["weight", "bias", "last bit", "under the adapter", "original of a copy"])
def test_a_frozen_tensor_that_was_touched_is_found_by_name(kind: str) -> None:
    model = wrapped()
    before = hash_frozen(model)
    base = model.get_base_model()
    touched = {
        "weight": ("back.weight", base.back.weight),
        "bias": ("gpt2.bias", base.gpt2.bias),
        "last bit": ("table.weight", base.table.weight),
        "under the adapter": ("image.weight", base.image.base_layer.weight),
        "original of a copy": ("head.weight", base.head.original_module.weight),
    }
    name, tensor = touched[kind]
    with torch.no_grad():
        if kind == "last bit":
            tensor.view(torch.int32)[0, 0] ^= 1
        else:
            tensor.view(-1)[-1] += 1
    made = proved(model, before)
    assert not made["frozen"]["same"]
    assert made["frozen"]["changed"] == [name]
    assert made["frozen"]["before"] != made["frozen"]["after"]
    assert made["words"].startswith("Warning: 1 of ")
    assert f"“{name}”" in made["words"]


def test_a_change_is_a_diagnosis_in_the_metrics_and_the_proof_is_written(tmp_path: Path) -> None:
    model = wrapped()
    before = hash_frozen(model)
    metrics = Metrics(tmp_path)
    made = write_proof(tmp_path, model, before, inspection(every_kind()), PLAN, metrics)
    assert json.loads((tmp_path / "proof.json").read_text()) == made
    assert not read_metrics(tmp_path)
    with torch.no_grad():
        model.get_base_model().back.weight.zero_()
    write_proof(tmp_path, model, before, inspection(every_kind()), PLAN, metrics)
    metrics.close()
    (point,) = read_metrics(tmp_path)
    assert point["kind"] == "diagnosis"
    assert "back.weight" in point["text"]
    assert point["remedy"]


def test_nothing_learned_is_said_as_well() -> None:
    model = wrapped()
    made = proved(model, hash_frozen(model))
    assert made["words"].startswith("Nothing changed")
    assert all(each["update"] == 0.0 for each in made["modules"])


def test_a_part_that_was_to_learn_and_did_not_is_named() -> None:
    model = wrapped()
    before = hash_frozen(model)
    with torch.no_grad():
        model.get_base_model().head.modules_to_save["default"].weight += 1
    assert "Vision was to learn and did not change" in proved(model, before)["words"]


def test_weights_that_came_apart_are_null_and_no_proof_fails() -> None:
    model = wrapped()
    before = hash_frozen(model)
    with torch.no_grad():
        model.get_base_model().image.lora_B["default"].weight.fill_(float("nan"))
    made = proved(model, before)
    assert next(each for each in made["modules"] if each["name"] == "image")["update"] is None
    assert made["components"]["vision"]["ratio"] is None
    assert made["frozen"]["same"]


def test_tied_tensors_are_hashed_once_and_averages_are_hashed_too() -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7, bias=False)
            self.head.weight = self.table.weight
            self.norm, self.only = torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 4)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.only(self.norm(self.table(ids))))

    model = wrap(Tied(), Plan(("only",), 2, 4.0))
    before = hash_frozen(model)
    assert set(before.digests) == {
        "table.weight",
        "only.weight",
        "only.bias",
        *(f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
    }
    model.train()(torch.arange(5))
    moved = changed(before, hash_frozen(model))
    assert moved == ["norm.running_mean", "norm.running_var", "norm.num_batches_tracked"]


def test_a_digest_is_of_type_shape_and_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    value = torch.randn(64, 33)
    whole = digest(value)
    monkeypatch.setattr("core.training.frozen_hash.PIECE", 1000)
    assert digest(value) == whole, "in pieces it is the same"
    assert digest(value.T.contiguous().T) == whole, "and however it lies in memory"
    others = [value.T, value.double(), value.reshape(33, 64), value.view(torch.int32), torch.zeros_like(value)]
    assert whole not in map(digest, others)
    flipped = value.clone()
    flipped.view(torch.uint8)[-1, -1] ^= 128
    assert digest(flipped) != whole
    assert digest(torch.tensor(1.0).bfloat16()) != digest(torch.tensor(1.0078125).bfloat16())
    assert digest(torch.zeros(0, 3)) == digest(torch.zeros(0, 3))


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_packed_weights_and_what_unpacks_them_are_hashed(quantization: str) -> None:
    model = load_model(DEMO_MODEL, "cpu", torch.float32, quantization=quantization)
    plan = make_plan(demo_inspection(), Selection(cells=("language.attention",)), Recipe(2, 4.0))
    model = wrap(model, plan)
    before = hash_frozen(model)
    assert not changed(before, hash_frozen(model))
    layer = model.get_base_model().get_submodule(plan.target_modules[0]).base_layer
    scales = layer.weight.quant_state.absmax if quantization == "4bit" else _scales(layer)
    layer.weight.data.view(torch.uint8)[0, 0] ^= 1
    assert changed(before, hash_frozen(model)) == [f"{plan.target_modules[0]}.weight"]
    layer.weight.data.view(torch.uint8)[0, 0] ^= 1
    scales.view(torch.uint8)[0] ^= 1
    (name,) = changed(before, hash_frozen(model))
    assert name.startswith(plan.target_modules[0])
    assert not name.endswith(".weight")


def _scales(layer):
    return layer.weight.SCB if getattr(layer.weight, "SCB", None) is not None else layer.state.SCB


def spec_of(data: Source, selection: Selection, recipe: Recipe, **settings: object) -> Spec:
    plan = make_plan(demo_inspection(), selection, recipe)
    trainable = budget(demo_inspection(), plan).trainable
    return Spec("colours", DEMO_MODEL, data, selection, plan, Settings(**SHORT | {"steps": 4} | settings), trainable)


JOBS = {
    "dora on language": (Selection(cells=("language.attention",)), Recipe(4, 8.0, method="dora"), {}),
    "pissa on vision": (Selection(cells=("vision.attention",)), Recipe(4, 8.0, start="pissa"), {}),
    "language in 4 bits": (Selection(cells=("language.mlp",)), Recipe(4, 8.0), {"quantization": "4bit"}),
    "adalora on both": (
        Selection(cells=("vision.attention", "language.attention")),
        Recipe(4, 8.0, method="adalora"),
        {"steps": 8},
    ),
    "projector in full": (Selection(full=("projector",)), Recipe(4, 8.0), {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_a_job_proves_what_it_changed(name: str, colours: Source, tmp_path: Path) -> None:
    selection, recipe, settings = JOBS[name]
    write(spec_of(colours, selection, recipe, **settings), tmp_path / "spec.json")
    assert run(tmp_path) == 0, status_of(tmp_path).error
    made = json.loads((tmp_path / "proof.json").read_text())
    assert made["frozen"]["same"], made["words"]
    chosen = {cell.partition(".")[0] for cell in selection.cells} | set(selection.full)
    assert {part for part, each in made["components"].items() if each["update"] != 0} == chosen
    assert {part for part, each in made["components"].items() if each["chosen"]} == chosen
    names = {module.name: module for module in demo_inspection().modules}
    for each in made["modules"]:
        module = names[each["name"]]
        assert (each["component"], each["role"], each["layer"]) == (module.component, module.role, module.layer)
        assert each["weight"] > 0
    assert not of_kind(tmp_path, "diagnosis")
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert made["words"] in card
    assert ("where AdaLoRA's rank went" in card) == (recipe.method == "adalora")


def test_a_proof_of_an_earlier_attempt_does_not_stay(colours: Source, tmp_path: Path) -> None:
    from core.training.proof import hash_before

    (tmp_path / "proof.json").write_text("{}")
    metrics = Metrics(tmp_path)
    hash_before(copy.deepcopy(wrapped()), tmp_path, metrics)
    metrics.close()
    assert not (tmp_path / "proof.json").exists()


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_told_apart_by_its_components(name: str) -> None:
    """Vision alone is chosen and moved; every weight of the model is counted once, under its component."""
    base = tiny_model(name)
    made = inspect_model(base, Source("folder", name))
    plan = make_plan(made, Selection(cells=("vision.attention", "vision.mlp")), Recipe(2, 4.0))
    model = wrap(copy.deepcopy(base), plan)
    before = hash_frozen(model)
    for key, value in model.named_parameters():
        if "lora_B" in key or "lora_embedding_B" in key:
            torch.nn.init.normal_(value)
    proof = prove(model, before, made, plan)
    assert proof["frozen"]["same"]
    assert {part for part, each in proof["components"].items() if each["update"]} == {"vision"}
    assert {each["component"] for each in proof["modules"]} == {"vision"}
    assert set(before.digests) >= {key for key, _ in base.named_parameters()}
    weights: dict[str, float] = {}
    modules = {module.name: module.component for module in made.modules}
    for key, value in base.named_parameters():
        component = modules[key.rpartition(".")[0]]
        weights[component] = weights.get(component, 0.0) + squares(value)
    found = {part: each["weight"] ** 2 for part, each in proof["components"].items() if each["weight"]}
    assert found == pytest.approx({part: total for part, total in weights.items() if total}, rel=1e-6)
