"""A frozen tower sees each picture once; loss, gradients and answers are those of one that sees it each time."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from core.data.batches.collate import Encoder
from core.data.batches.eyes import GLIMPSES
from core.data.rows import Row, ask
from core.evaluation.scores import look_at
from core.spec import Settings
from core.training.levers import vision_cache, vision_proof
from core.training.levers.applied import Applied
from core.training.levers.plain_pass import plain_pass
from core.training.levers.vision_proof import open_vision_cache, tried_rows
from tests.data.tiny_families import Family, internvl, mllama
from tests.training.levers.same_work import (
    EVERYTHING,
    FAMILIES,
    adapted,
    assert_alike,
    encoder_of,
    loss_and_gradients,
    picture,
    rows,
)

ONE, TWO, THREE = picture(1), picture(2, (60, 32)), picture(3, (32, 70))
MIXED = [
    ask(ONE, "What is it?", "one"),
    ask((), "What is 1 + 1?", "two"),
    ask((TWO, THREE), "Which is it?", "the first"),
    ask(TWO, "And this?", "it is a picture"),
    ask(ONE, "Again?", "yes"),
]
"""Rows with one picture, several and none, of different sizes, and a picture that comes twice."""


def opened(family: Family, folder: Path, targets: str = "", given: list[Row] | None = None, **settings: Any) -> Opened:
    model = adapted(family.model, targets) if targets else adapted(family.model)
    encoder = encoder_of(family)
    applied = tried(model, encoder, given or MIXED, folder, **settings)
    return Opened(model, encoder, applied)


def tried(model: Any, encoder: Encoder, given: list[Row], folder: Path, **settings: Any) -> Applied:
    """As a job tries it."""
    few = tried_rows(encoder, given)
    before = plain_pass(model, encoder.training(few)).losses
    return open_vision_cache(model, encoder, few, Settings(**settings), "here", folder, before)


class Opened:
    def __init__(self, model: Any, encoder: Encoder, applied: Applied) -> None:
        self.model, self.encoder, self.applied = model, encoder, applied

    def given(self, chosen: list[Row]) -> dict[str, Any]:
        return self.encoder.seen(self.encoder.training(chosen))


class Towers:
    """Counts pictures that go through a model's tower."""

    def __init__(self, model: Any) -> None:
        self.calls = 0
        base = model.get_base_model()
        inner = base.model
        original = inner.get_image_features

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return original(*args, **kwargs)

        inner.get_image_features = counted


@pytest.mark.parametrize("name", FAMILIES)
def test_loss_and_gradients_are_those_without_it(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]()
    job = opened(family, tmp_path)
    assert job.applied.on, job.applied.reason
    plain = encoder_of(family)
    for chosen in (MIXED, rows(), MIXED[1:2], MIXED[:1]):
        expected = loss_and_gradients(job.model, plain.training(chosen))
        for _ in range(2):  # forward may change what it is given
            assert_alike(loss_and_gradients(job.model, job.given(chosen)), expected)


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_and_losses_of_looks_are_those_without_it(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]()
    job = opened(family, tmp_path)
    expected = look_at(job.model, encoder_of(family), MIXED, 4, batch_size=3)
    for _ in range(2):
        found = look_at(job.model, job.encoder, MIXED, 4, batch_size=3)
        assert [outcome.answer for outcome in found] == [outcome.answer for outcome in expected]
        assert [outcome.nats for outcome in found] == pytest.approx([outcome.nats for outcome in expected], abs=1e-4)
    assert_alike(
        loss_and_gradients(job.model, job.given(MIXED)),
        loss_and_gradients(job.model, encoder_of(family).training(MIXED)),
    )  # what a look has computed can be trained with


def test_each_picture_goes_through_the_tower_once(tmp_path: Path) -> None:
    job = opened(FAMILIES["qwen3_vl"](), tmp_path)
    job.given(MIXED)
    towers = Towers(job.model)
    batch = job.encoder.training(MIXED)
    assert not batch.keys() & {"pixel_values"}
    assert all(glimpse.inputs is None for glimpse in batch[GLIMPSES])
    loss_and_gradients(job.model, job.encoder.seen(batch))
    assert towers.calls == 0


def test_another_job_finds_them_on_the_disk(tmp_path: Path) -> None:
    first = opened(FAMILIES["llava"](), tmp_path)
    expected = loss_and_gradients(first.model, first.given(MIXED))
    second = opened(FAMILIES["llava"](), tmp_path)
    towers = Towers(second.model)
    assert_alike(loss_and_gradients(second.model, second.given(MIXED)), expected)
    assert towers.calls == 0


def test_other_weights_and_other_settings_of_the_processor_are_other_entries(tmp_path: Path) -> None:
    opened(FAMILIES["llava"](), tmp_path).given(MIXED)
    files = len(list(tmp_path.rglob("*.safetensors")))
    other = FAMILIES["llava"]()
    with torch.no_grad():
        next(other.model.model.vision_tower.parameters()).mul_(1.5)
    opened(other, tmp_path).given(MIXED)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2 * files
    brighter = FAMILIES["llava"]()
    brighter.processor.image_processor.image_mean = [0.1, 0.1, 0.1]
    opened(brighter, tmp_path).given(MIXED)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 3 * files


def test_a_damaged_entry_is_computed_again(tmp_path: Path) -> None:
    first = opened(FAMILIES["llava"](), tmp_path)
    expected = loss_and_gradients(first.model, first.given(MIXED))
    for number, path in enumerate(sorted(tmp_path.rglob("*.safetensors"))):
        path.write_bytes(path.read_bytes()[:-20] if number % 2 else random.Random(0).randbytes(200))
    second = opened(FAMILIES["llava"](), tmp_path)
    assert second.applied.on
    assert_alike(loss_and_gradients(second.model, second.given(MIXED)), expected)


def test_what_is_thrown_out_meanwhile_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision_cache, "MEMORY_BYTES", 0)
    job = opened(FAMILIES["demo"](), tmp_path)
    expected = loss_and_gradients(job.model, job.given(MIXED))
    batch = job.encoder.training(MIXED)  # believes that all is there
    for path in tmp_path.rglob("*.safetensors"):
        path.unlink()
    assert_alike(loss_and_gradients(job.model, job.encoder.seen(batch)), expected)
    for path in tmp_path.rglob("*.safetensors"):
        path.unlink()
    assert_alike(loss_and_gradients(job.model, job.given(MIXED)), expected)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision_cache, "MEMORY_BYTES", 600)
    job = opened(FAMILIES["llava"](), tmp_path)
    job.given(MIXED)
    kept = job.encoder.eyes._memory
    assert 0 < sum(vision_cache.nbytes(features) for features in kept.values()) <= 600


@pytest.mark.parametrize(
    ("targets", "settings", "reason"),
    [
        (EVERYTHING, {}, "Something before the language model is trained."),
        (r".*multi_modal_projector.linear_1", {}, "Something before the language model is trained."),
        ("", {"without": ("vision_cache",)}, "The settings leave it off."),
        ("", {"augment": ("colour",)}, "Pictures are changed a little each time they are trained on."),
    ],
)
def test_it_stays_off_where_it_is_not_exact(targets: str, settings: dict, reason: str, tmp_path: Path) -> None:
    job = opened(FAMILIES["llava"](), tmp_path, targets, **settings)
    assert job.applied == Applied("vision_cache", False, reason)
    assert job.encoder.eyes is None
    assert not list(tmp_path.rglob("*.safetensors"))


def test_dropout_in_the_tower_keeps_it_off(tmp_path: Path) -> None:
    family = FAMILIES["llava"]()
    for layer in family.model.model.vision_tower.encoder.layers:
        layer.self_attn.dropout = 0.2
    model = adapted(family.model)
    before = torch.random.get_rng_state()
    applied = tried(model, encoder_of(family), MIXED, tmp_path)
    assert "dropout" in applied.reason
    assert model.training
    assert torch.equal(before, torch.random.get_rng_state())


def test_layers_that_learn_by_looking_keep_it_off(tmp_path: Path) -> None:
    family = FAMILIES["llava"]()
    family.model.model.vision_tower.norm = torch.nn.BatchNorm1d(4)
    job = opened(family, tmp_path)
    assert "batch normalization" in job.applied.reason


def test_a_model_that_takes_no_features_goes_without(tmp_path: Path) -> None:
    job = opened(mllama(), tmp_path, given=rows())
    assert not job.applied.on
    assert "takes no features" in job.applied.reason


def test_rows_without_pictures_go_without(tmp_path: Path) -> None:
    job = opened(FAMILIES["llava"](), tmp_path, given=MIXED[1:2])
    assert "has a picture" in job.applied.reason


def test_a_model_whose_features_are_not_what_it_uses_goes_without(tmp_path: Path) -> None:
    family = FAMILIES["llava"]()
    original, calls = family.model.model.get_image_features, []

    def unsteady(*args: Any, **kwargs: Any) -> Any:
        """A tower that also looks at how many rows there are."""
        output = original(*args, **kwargs)
        calls.append(1)
        output.pooler_output = [value * (1 + len(output.pooler_output)) for value in output.pooler_output]
        return output

    family.model.model.get_image_features = unsteady
    job = opened(family, tmp_path)
    assert not job.applied.on
    assert "differs by" in job.applied.reason


def test_processes_that_prepare_rows_get_no_model(tmp_path: Path) -> None:
    job = opened(FAMILIES["llava"](), tmp_path)
    job.given(MIXED)
    other = pickle.loads(pickle.dumps(job.encoder.eyes))  # noqa: S301
    assert other._base is None
    assert other.inputs == job.encoder.eyes.inputs
    assert all(other.known(row) for row in MIXED if row.pictures)


@pytest.mark.parametrize("name", [*FAMILIES, "internvl"])
def test_several_rows_go_through_the_tower_at_once_where_that_is_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision_proof, "AT_ONCE", {"cpu"})
    family = internvl() if name == "internvl" else FAMILIES[name]()
    job = opened(family, tmp_path)
    assert job.applied.on, job.applied.reason
    others = rows((90, 40), (40, 40), (40, 90))
    expected = loss_and_gradients(job.model, encoder_of(family).training(others))
    towers = Towers(job.model)
    assert_alike(loss_and_gradients(job.model, job.given(others)), expected)
    assert towers.calls == 1
    one = loss_and_gradients(job.model, encoder_of(family).training(others[1:2]))
    assert_alike(loss_and_gradients(job.model, job.given(others[1:2])), one)
    assert towers.calls == 2, "the second time without the cache"
