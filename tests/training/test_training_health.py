"""A training that comes apart ends at its last good weights, with numbers; a hard batch does not end one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.lora.advice import Advice, advise
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.source import DEMO_MODEL
from core.spec import Recipe, Selection, Settings, Source, Spec, write
from core.training.trainer import StudioTrainer
from core.training.watching import seldom
from core.training.watching.good import LastGood
from core.training.watching.health import LEVEL_LOOKS, SEVERAL, Health, Step, standstill, worse_than_before
from core.training.watching.parts import Part
from core.training.worker import run
from tests.training.short_jobs import SHORT, demo_inspection, of_kind, status_of


def step(number: int, loss: float, gradient: float = 1.0) -> Step:
    return Step(number, loss, gradient, 0.01)


def part(name: str, value: float, component: str = "language", layer: int | None = 0, size: int = 3) -> Part:
    return Part(name, torch.nn.Parameter(torch.full((size,), value)), component, "attention", layer)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything beside the training is done in every step, whatever it costs."""
    monkeypatch.setattr(seldom, "SHARE", math.inf)


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_explosion(seed: int) -> None:
    """Losses of small batches differ by a factor of three, and fall over a thousandfold; gradients differ more."""
    noise, health = random.Random(seed), Health()
    for number in range(1, 600):
        loss = 8 * math.exp(-number / 80) * noise.lognormvariate(0, 0.5) + noise.choice((0, 0, 0, 1.5))
        gradient = noise.lognormvariate(0, 1) * (20 if noise.random() < 0.02 else 1)
        assert health.judge(step(number, loss, gradient)) is None, number


def test_single_bad_steps_end_nothing() -> None:
    health = Health()
    for number in range(1, 200):
        spike = number > 50 and number % 60 < SEVERAL - 1
        assert health.judge(step(number, 40.0 if spike else 0.5)) is None
        assert health.sound is not spike


@pytest.mark.parametrize(("loss", "gradient", "words"), [(9.0, 1.0, "the loss was 9"), (0.5, 500.0, "norm was 500")])
def test_an_explosion_is_told_after_several_steps_in_a_row(loss: float, gradient: float, words: str) -> None:
    health = Health(slower="Take a learning rate of 0.5")
    for number in range(1, 31):
        assert health.judge(step(number, 0.5)) is None
    told = [health.judge(step(31 + more, loss, gradient)) for more in range(SEVERAL)]
    assert told[:-1] == [None] * (SEVERAL - 1)
    assert words in told[-1].text
    assert "step 31 to step 35" in told[-1].text
    assert "0.01" in told[-1].text
    assert told[-1].remedy == "Take a learning rate of 0.5, or a longer warm-up"


def test_the_part_where_gradients_stopped_being_numbers_is_named() -> None:
    health = Health()
    health.judge(step(1, 0.5, 0.25))
    parts = [part("a", 1.0, "vision", 0), part("b", 1.0, "vision", 3), part("c", 1.0, "language", 2)]
    told = health.judge(step(2, 0.5, math.inf), list(zip(parts, [math.nan, math.inf, 1.0], strict=True)))
    assert "gradient is no longer a number" in told.title
    assert "vision part, layer 3" in told.text
    assert "gradient norm of 0.25" in told.text


def test_good_weights_are_those_that_a_sound_step_was_taken_from(tmp_path: Path, often: None) -> None:
    one = part("a", 0.0)
    good = LastGood([one], tmp_path)
    for number, sound in enumerate([True, True, False, False]):
        good.offer(number)
        with torch.no_grad():
            one.parameter.add_(1)
        good.told(sound)
    assert good.put_back() == 1
    assert one.parameter.tolist() == [1.0, 1.0, 1.0], "after one step"


def test_large_weights_are_kept_on_disk(tmp_path: Path, often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.watching.good.IN_MEMORY", 0)
    one = part("a", 0.0)
    good = LastGood([one], tmp_path)
    for number, sound in enumerate([True, True, False]):
        good.offer(number)
        with torch.no_grad():
            one.parameter.add_(1)
        good.told(sound)
    assert load_file(tmp_path / "good.safetensors")["a"].tolist() == [1.0, 1.0, 1.0]
    assert good.put_back() == 1
    assert one.parameter.tolist() == [1.0, 1.0, 1.0]


def test_nothing_good_is_said_before_the_first_sound_step(tmp_path: Path) -> None:
    one = part("a", 4.0)
    good = LastGood([one], tmp_path)
    good.offer(0)
    good.told(False)
    assert good.put_back() == 0
    assert one.parameter.tolist() == [4.0, 4.0, 4.0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_job_ends_at_its_last_good_weights(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, often: None, value: float
) -> None:
    compute = StudioTrainer.compute_loss

    def broken(self: StudioTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        return compute(self, *args, **kwargs) * (value if self.state.global_step == 3 else 1.0)

    whole = new_job("whole", steps=6)
    monkeypatch.setattr("core.training.callbacks.Progress.on_step_end", _stop_after(2))
    assert run(whole) == 0
    monkeypatch.undo()
    monkeypatch.setattr(seldom, "SHARE", math.inf)
    monkeypatch.setattr(StudioTrainer, "compute_loss", broken)
    folder = new_job("broken", steps=6)
    assert run(folder) == 1
    status = status_of(folder)
    assert (status.state, status.kept_step) == ("failed", 2)
    assert "At step 4 the loss was no number" in status.error
    (point,) = of_kind(folder, "diagnosis")
    assert point["text"] in status.error
    assert "ten times smaller" in point["remedy"]
    learned = [load_file(job / "adapter" / "adapter_model.safetensors") for job in (whole, folder)]
    assert learned[0].keys() == learned[1].keys()
    assert all(torch.equal(tensor, learned[1][key]) for key, tensor in learned[0].items()), "the weights of step 2"
    measured = [status_of(job).after for job in (whole, folder)]
    assert measured[0] == measured[1], "of the same weights"
    looks = [of_kind(job, "answers")[-1] for job in (whole, folder)]
    assert (looks[1]["step"], looks[1]["answers"]) == (2, looks[0]["answers"])
    assert [point["step"] for point in of_kind(folder, "eval")] == [0, 2], "known from the way: not asked again"
    card = (folder / "adapter" / "README.md").read_text()
    assert f"came apart after step {status.step} of 6" in card
    assert "| not measured" not in card
    assert not (folder / "kept").exists()


def _stop_after(last: int) -> Callable[..., None]:
    def on_step_end(self: object, args: object, state: object, control: object, **kwargs: object) -> None:
        self.steps_done = state.global_step
        control.should_training_stop = state.global_step == last

    return on_step_end


def test_a_standstill_is_told_once_and_only_when_it_is_one() -> None:
    falling = [(look, 1 / (look + 1)) for look in range(30)]
    assert all(standstill(falling[: many + 1], many, 100) is None for many in range(30))
    level = [*falling[:5], *((look, 0.21) for look in range(5, 20))]
    told = [standstill(level[: many + 1], many, 100) for many in range(20)]
    assert [place for place, one in enumerate(told) if one] == [4 + LEVEL_LOOKS]
    said = told[4 + LEVEL_LOOKS]
    assert "stands still" in said.title
    assert "step 4 (0.2)" in said.text
    rising = [*falling[:5], *((look, 0.2 * look) for look in range(5, 11))]
    assert "by heart" in standstill(rising[: 5 + LEVEL_LOOKS], 9, 100).text
    assert standstill(level[: 5 + LEVEL_LOOKS], 9, 9) is None, "there is nothing left to be advised"


def test_an_explosion_in_the_first_steps_is_measured_against_the_model_as_it_came() -> None:
    losses = [1.8, 6.0, *[12.0] * SEVERAL]
    health, unknown = Health(before=1.6), Health()
    told = [health.judge(step(number, loss)) for number, loss in enumerate(losses, start=1)]
    assert told[:-1] == [None] * (len(losses) - 1)
    assert "step 3 to step 7 the loss was 12, and 1.8 before anything was learned" in told[-1].text
    assert all(unknown.judge(step(number, loss)) is None for number, loss in enumerate(losses, start=1))


def test_a_first_step_that_is_far_above_the_held_out_rows_is_no_explosion() -> None:
    """Label smoothing, or rows that are harder than the held-out ones: the untouched model has that loss as well."""
    health = Health(before=0.3)
    assert all(health.judge(step(number, 4.0)) is None for number in range(1, 30))


def test_a_model_that_gets_worse_is_told_once_in_a_row_of_looks() -> None:
    losses = [(10, 1.5), (20, 2.9), (30, 2.2), (40, 2.1), (50, 1.4)]
    told = [worse_than_before(losses[:many], 1.6) for many in range(len(losses) + 1)]
    assert [place for place, one in enumerate(told) if one] == [3]
    assert "At step 30 the held-out loss is 2.2, and it was 1.6" in told[3].text
    assert all(worse_than_before(losses[:many], None) is None for many in range(6))
    assert worse_than_before([(1, 1.7), (2, 1.7)], 1.6) is None, "a little is chance"


def advised(spec: Spec) -> tuple[Advice, ...]:
    """What the page says of a job's choice."""
    return advise(demo_inspection(), spec.selection, Recipe(), spec.plan, spec.settings, None)


@pytest.mark.slow
def test_a_learning_rate_of_one_ends_a_real_job_at_weights_that_were_sound(tmp_path: Path, often: None) -> None:
    """The largest that the settings take, without a warm-up, on the demo model and its own data."""
    selection = Selection(cells=("language.attention", "language.mlp"))
    plan = make_plan(demo_inspection(), selection, Recipe(rank=4, alpha=8.0))
    settings = Settings(
        **SHORT
        | {"steps": 60, "learning_rate": 1.0, "eval_every": 2, "eval_rows": 16, "final_rows": 16}
        | {"schedule": "constant", "warmup_steps": 0}
    )
    trainable = budget(demo_inspection(), plan).trainable
    spec = Spec("apart", DEMO_MODEL, Source("demo", "digits"), selection, plan, settings, trainable)
    write(spec, tmp_path / "spec.json")
    assert run(tmp_path) == 1
    status = status_of(tmp_path)
    assert status.state == "failed"
    assert 0 < status.kept_step <= status.step < 60
    assert "it came apart" in status.error
    (advice,) = (each for each in advised(spec) if each.key == "rate_high")
    assert f"Take a learning rate of {advice.change['settings']['learning_rate']:g}, or a longer" in status.error
    titles = [point["title"] for point in of_kind(tmp_path, "diagnosis")]
    assert titles[:-1] == ["The model is worse than before the training"], "said long before it came apart"
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert f"holds the weights of step {status.kept_step}, the last that were sound" in card
    assert status.after.rows == 16
    assert "| not measured" not in card
