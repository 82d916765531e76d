"""What is measured of each step is exact, for every method, and what remains of a job is known after twenty steps."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from core.lora.plan import make_plan
from core.lora.wrap import wrap
from core.models.loading import load_model
from core.models.source import DEMO_MODEL
from core.spec import Method, Recipe, Selection
from core.training import proof
from core.training.status import StatusFile
from core.training.watching import norms as measuring
from core.training.watching import seldom
from core.training.watching.flow import Flow
from core.training.watching.machine import Machine
from core.training.watching.norms import Norms
from core.training.watching.pace import Pace
from core.training.watching.parts import Part, flat, trained_parts, unflat
from core.training.watching.seldom import Seldom
from core.training.worker import run
from tests.training.short_jobs import demo_inspection, of_kind, status_of

CELLS = ("vision.attention", "projector.mlp", "language.attention")


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything beside the training is done in every step, whatever it costs."""
    monkeypatch.setattr(seldom, "SHARE", math.inf)


def parts_of(method: Method = "lora", full: tuple[str, ...] = (), quantization: str = "none") -> tuple[Part, ...]:
    cells = tuple(cell for cell in CELLS if cell.split(".")[0] not in full)
    plan = make_plan(demo_inspection(), Selection(cells=cells, full=full), Recipe(rank=4, method=method))
    model = load_model(DEMO_MODEL, "cpu", torch.float32, quantization=quantization, whole=plan.full_modules)
    return trained_parts(wrap(model, plan, total_steps=50), demo_inspection(), plan)


def norm_of(parts: tuple[Part, ...], component: str, values: dict[str, torch.Tensor]) -> float:
    chosen = [values[part.name].double().flatten() for part in parts if part.component == component]
    return float(torch.linalg.vector_norm(torch.cat(chosen)))


@pytest.mark.parametrize(
    ("method", "full", "quantization", "aside"),
    [
        ("lora", (), "none", False),
        ("lora", (), "none", True),
        ("dora", (), "none", False),
        ("adalora", (), "none", False),
        ("lora", ("projector",), "none", False),
        ("lora", (), "4bit", False),
    ],
)
def test_norms_are_those_of_the_tensors(
    method: Method, full: tuple[str, ...], quantization: str, aside: bool, monkeypatch: pytest.MonkeyPatch, often: None
) -> None:
    monkeypatch.setattr(measuring, "ASIDE", 0 if aside else 2**40)
    parts = parts_of(method, full, quantization)
    torch.manual_seed(0)
    for part in parts[1:]:
        part.parameter.grad = torch.randn_like(part.parameter)
    parts[0].parameter.grad = None  # nothing has reached it
    optimizer = torch.optim.AdamW([part.parameter for part in parts], lr=0.01)
    measured = Norms(parts)
    before = {part.name: part.parameter.detach().clone() for part in parts}
    measured.gradients()
    gradients = {
        part.name: torch.zeros_like(part.parameter) if part.parameter.grad is None else part.parameter.grad.clone()
        for part in parts
    }
    torch.nn.utils.clip_grad_norm_([part.parameter for part in parts], 0.1)
    measured.before_step()
    optimizer.step()
    measured.after_step()
    after = {part.name: part.parameter.detach() for part in parts}
    update = {name: after[name] - before[name] for name in after}
    found = {name: measured.by_component(values) for name, values in measured.read().items()}
    assert list(found["grad"]) == ["vision", "projector", "language"]
    for name, values in (("grad", gradients), ("weight", after), ("update", update)):
        for component, norm in found[name].items():
            assert norm == pytest.approx(norm_of(parts, component, values), rel=1e-5), (name, component)
    assert measured.read() == {}, "told once"


def test_the_flow_has_every_layer_once_and_adds_up_to_the_norms() -> None:
    parts = parts_of()
    for part in parts:
        part.parameter.grad = torch.randn_like(part.parameter)
    measured, flow = Norms(parts), Flow(parts)
    measured.gradients()
    values = measured.read()["grad"]
    layers = flow.norms(values)
    keys = [(entry["component"], entry["layer"], entry.get("role")) for entry in flow.layers]
    assert len(keys) == len(set(keys)) == len(layers)
    assert [entry["layer"] for entry in flow.layers if entry["component"] == "language"] == sorted(
        {part.layer for part in parts if part.component == "language"}
    )
    assert all(("role" in entry) is (entry["layer"] is None) for entry in flow.layers)
    for component, whole in measured.by_component(values).items():
        own = [norm for norm, entry in zip(layers, flow.layers, strict=True) if entry["component"] == component]
        assert math.sqrt(sum(norm**2 for norm in own)) == pytest.approx(whole, rel=1e-5)


def test_flat_tensors_become_what_they_were() -> None:
    parts = parts_of("dora")
    again = unflat(parts, flat(parts))
    assert all(torch.equal(again[part.name], part.parameter) for part in parts)


def test_what_costs_a_step_is_done_every_hundredth() -> None:
    now = [0.0]
    rare = Seldom(lambda: now[0])
    done = 0
    for _ in range(1000):
        now[0] += 1.0
        if rare.due():
            done += 1
            with rare.taking():
                now[0] += 0.6
            with rare.taking():
                now[0] += 0.4
    assert 9 <= done <= 11


def test_the_points_of_a_job(new_job: Callable[..., Path], often: None) -> None:
    folder = new_job(cells=CELLS, steps=11)
    assert run(folder) == 0, status_of(folder).error
    (layers,) = of_kind(folder, "layers")
    flow, norms = of_kind(folder, "flow"), of_kind(folder, "norms")
    assert [point["step"] for point in flow] == [1, 10]
    assert all(len(point["norms"]) == len(layers["layers"]) for point in flow)
    assert [point["step"] for point in norms] == list(range(1, 12))
    for point, train in zip(norms, of_kind(folder, "train"), strict=True):
        whole = math.sqrt(sum(norm**2 for norm in point["grad"].values()))
        assert whole == pytest.approx(train["grad_norm"], rel=1e-4), "unclipped, as the trainer says it"
        assert all(norm > 0 for norm in point["weight"].values())
    rate = [point["learning_rate"] for point in of_kind(folder, "train")]
    still = [max(point["update"].values()) == 0 for point in norms]
    assert still == [value == 0 for value in rate], "where the learning rate is zero nothing moves"
    (first, *rest) = of_kind(folder, "train")
    assert first["rows_per_second"] is None
    assert all(point["rows_per_second"] > 0 for point in rest)
    assert all(point["tokens_per_second"] > point["rows_per_second"] for point in rest)
    assert all(point["host_memory"] > 2**26 and point["device_memory"] is None for point in rest)


def test_watching_changes_nothing_that_is_learned(new_job: Callable[..., Path], often: None) -> None:
    def weights(name: str) -> bytes:
        folder = new_job(name, steps=3, eval_every=2)
        assert run(folder) == 0
        return (folder / "adapter" / "adapter_model.safetensors").read_bytes()

    watched = weights("watched")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("gradients", "before_step", "after_step"):
            patch.setattr(f"core.training.watching.watch.Watch.{name}", lambda *_: None)
        assert weights("alone") == watched


def test_throughput_counts_rows_and_tokens_without_padding() -> None:
    machine = Machine("cpu")
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    for _ in range(2):
        machine.batch({"labels": torch.zeros(2, 4), "attention_mask": mask})
    assert machine.step(None)["rows_per_second"] is None
    machine.batch({"labels": torch.zeros(2, 4), "attention_mask": mask})
    figures = machine.step(0.5)
    assert (figures["rows_per_second"], figures["tokens_per_second"]) == (4.0, 14.0)


class Job:
    """A job on a clock of its own: steps that differ, looks, caches that fill, and a look at the end."""

    def __init__(self, seed: int, steps: int, epoch: int, fill: float, every: int, look: float, stumble: bool) -> None:
        chance = random.Random(seed)
        self.steps, self.epoch, self.every, self.look = steps, epoch, every, look
        self.last, self.ending = 4 * look, 3.0
        self.took = [chance.gauss(1, 0.2) ** 2 + 0.3 for _ in range(steps)]
        self.took[0] += 8  # it warms up
        if stumble:
            self.took[9] += 12
        self.filled = [fill * chance.uniform(0.7, 1.3) if step < epoch else 0.0 for step in range(steps)]

    def remaining(self, step: int) -> float:
        """Seconds from the end of a step, its look included."""
        looks = (self.steps - 1) // self.every - step // self.every
        return sum(self.took[step:]) + sum(self.filled[step:]) + looks * self.look + self.last + self.ending

    def told(self, off: float) -> Iterator[tuple[int, float | None]]:
        """What the pace says after each step; `off`: how wrong the expected time of a look is."""
        now, spent = [0.0], [0.0]
        pace = Pace(off * self.look, off * self.last, self.ending, lambda: spent[0], lambda: now[0])
        for step in range(1, self.steps + 1):
            now[0] += self.took[step - 1] + self.filled[step - 1]
            spent[0] += self.filled[step - 1]
            pace.step()
            if step % self.every == 0 and step < self.steps:
                now[0] += self.look
                pace.look(self.look)
            looks = (self.steps - 1) // self.every - step // self.every
            yield step, pace.remaining(self.steps - step, looks, max(0, self.epoch - step))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("steps", "epoch", "fill", "every", "look", "stumble", "off"),
    [
        (200, 0, 0.0, 20, 10.0, False, 2.0),
        (300, 100, 3.0, 1000, 30.0, False, 1.0),
        (300, 100, 3.0, 20, 15.0, True, 3.0),
        (90, 30, 1.0, 10, 5.0, True, 0.5),
        (2000, 500, 1.5, 100, 20.0, False, 1.1),
    ],
)
def test_what_remains_is_known_within_fifteen_percent_after_twenty_steps(
    seed: int, steps: int, epoch: int, fill: float, every: int, look: float, stumble: bool, off: float
) -> None:
    job = Job(seed, steps, epoch, fill, every, look, stumble)
    for step, told in job.told(off):
        if step == 1:
            assert told is None
        if step >= 20:
            assert told == pytest.approx(job.remaining(step), rel=0.15), step


def test_what_remains_of_a_real_job_counts_all_that_it_still_does(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that only the job's own work moves: steps, looks, hashing, the proof, saving and the card."""
    now, said = [0.0], []
    shown = StatusFile.show

    def costs(place: str, seconds: float | Callable[..., float]) -> None:
        owner, name = place.rsplit(".", 1)
        work = getattr(_found(owner), name)

        def slower(*args: object, **kwargs: object) -> object:
            now[0] += seconds(*args) if callable(seconds) else seconds
            return work(*args, **kwargs)

        monkeypatch.setattr(place, slower)

    def show(self: StatusFile, **changes: object) -> None:
        shown(self, **changes)
        if changes.get("step") == 20 and changes.get("eta_seconds"):
            said.append((now[0], changes["eta_seconds"]))

    clock = SimpleNamespace(monotonic=lambda: now[0])
    for module in ("callbacks", "job"):
        monkeypatch.setattr(f"core.training.{module}.time", clock)
    monkeypatch.setattr(Pace.__init__, "__defaults__", (*Pace.__init__.__defaults__[:-1], clock.monotonic))
    hashed = proof.hash_frozen
    monkeypatch.setattr("core.training.proof.hash_frozen", lambda model: replace(hashed(model), seconds=5.0))
    costs("core.training.proof.hash_frozen", 5.0)
    costs("core.training.proof.updates", 5.0)
    costs("core.training.trainer.StudioTrainer.training_step", 1.0)
    costs("core.training.looks.look_at", lambda model, encoder, rows, *_: 0.5 * len(rows))
    costs("core.training.job.save_adapter", 0.3)
    costs("core.training.job.renew_card", 0.2)
    monkeypatch.setattr(StatusFile, "show", show)
    folder = new_job(steps=40, eval_every=15, without=("vision_cache",))
    assert run(folder) == 0, status_of(folder).error
    ((then, told),) = said
    assert told == pytest.approx(now[0] - then, rel=0.02)


def _found(name: str) -> object:
    """A module, or a class in one."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        module, _, inside = name.rpartition(".")
        return getattr(import_module(module), inside)
