"""Running a step without data: what is real, what is pretended, which layers run, and what is refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from core.errors import InspectionError, SpecError
from core.lora.budget import budget
from core.memory.dry_run import simulation
from core.memory.dry_run.facts import PictureFacts
from core.memory.dry_run.ledger import Ledger, Place, When
from core.memory.dry_run.pretend import LARGE, Pretence
from core.memory.dry_run.repeats import Stack, find_stacks
from core.memory.dry_run.simulation import simulate
from core.memory.estimate import estimate
from core.memory.workload import Workload
from core.models.inspection import inspect_source
from core.models.source import resolve
from core.spec import Source
from tests.growth import times_as_long
from tests.memory.measuring import plan_of
from tests.memory.small_models import SIDE, small_model, small_source
from tests.models.families import write_config

WORK = Workload(batch=2, image_size=(SIDE, SIDE), text_tokens=32, supervised_tokens=8)


def test_the_ledger_counts_storages_once_and_forgets_the_dead() -> None:
    ledger = Ledger()
    with ledger:
        kept = torch.zeros(1000)
        view = kept[10:]
        passing = kept + 1
        del passing
        other = view * 2
    assert ledger.total == kept.nbytes + other.untyped_storage().nbytes()
    assert ledger.peak == 2 * kept.nbytes
    del kept, view, other
    assert ledger.total == 0


def test_the_ledger_knows_what_its_peak_consisted_of() -> None:
    ledger = Ledger(rounding=512)
    with ledger:
        ledger.place, ledger.when = Place(1, "vision"), When(False, 1)
        one = torch.zeros(10)
        ledger.place, ledger.when = Place(2, "language"), When(False, 2)
        two = torch.zeros(200)
        ledger.move(two, "gradient")
    last = ledger.moments()[-1]
    assert {place.part: size for place, size in last.live.items() if size} == {"vision": 512, "language": 1024}
    assert last.total == 512 + 1024
    assert one is not None


def test_whole_numbers_are_real_and_numbers_that_hang_on_weights_are_fake() -> None:
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    pretence = Pretence(mode)
    with mode, Ledger(pretence.run):
        ids = torch.arange(6)
        assert (ids * 2).tolist() == [0, 2, 4, 6, 8, 10]
        weight = torch.empty(300, 300)
        assert isinstance(weight, FakeTensor)
        assert weight[ids[ids > 2]].shape == (3, 300)
        assert weight[torch.tensor([[True, False], [True, True]]).flatten().nonzero()].shape == (3, 1, 300)
        assert pretence.guesses == 0
        assert bool((weight.sum() > 0).item()) is True
        assert weight[weight[:, 0] > 0].shape == (300, 300)
        assert pretence.guesses == 2
        large = torch.ones(2 * LARGE, dtype=torch.bool)
    assert isinstance(large, FakeTensor), "nothing large is made for real"


def test_few_layers_of_each_kind_run() -> None:
    model = small_model("gemma3")
    stacks = find_stacks(model, ())
    assert [len(stack.layers) for stack in stacks] == [6, 6]
    for stack in stacks:
        assert {0, 5} <= stack.kept()
        for index in range(1, 6):
            assert stack.reference(index) in stack.kept()
            assert stack.kinds[stack.reference(index)] == stack.kinds[index]


def test_layers_with_values_of_their_own_in_the_config_are_of_a_kind_of_their_own() -> None:
    model = small_model("llava")
    assert len({*_language(model).kinds}) == 1
    model.model.language_model.config.per_layer_config = {3: {"attention_dropout": 0.5}}
    kinds = _language(model).kinds
    assert [kind == kinds[0] for kind in kinds] == [True, True, True, False, True, True]


def _language(model: Any) -> Stack:
    return next(stack for stack in find_stacks(model, ()) if "language" in stack.name)


def test_a_field_with_a_value_for_each_layer_is_no_field_of_the_whole() -> None:
    config = small_model("gemma4").config
    with pytest.raises(RuntimeError, match="per-layer attribute"):
        _ = config.text_config.head_dim
    facts = PictureFacts(config)
    assert facts.find("head_dim") == 32, "the vision side's, which has one"
    assert PictureFacts(config.text_config).find("head_dim") is None


def test_layers_with_and_without_an_adapter_are_of_two_kinds() -> None:
    model = small_model("llava")
    targets = [name for name, _ in model.named_modules() if name.endswith(("layers.4.mlp.up_proj", "5.mlp.up_proj"))]
    language = next(stack for stack in find_stacks(model, targets) if "language" in stack.name)
    assert language.kinds[:4] == (language.kinds[0],) * 4
    assert len({language.kinds[3], language.kinds[4], language.kinds[5]}) == 3, "before, at and after the first adapter"


def test_adapters_on_the_last_layers_only_take_less_and_are_extrapolated(tmp_path: Path) -> None:
    resolved = small_source("llava", tmp_path)
    whole = plan_of(resolved, "language")
    last = type(whole)(target_modules=tuple(name for name in whole.target_modules if ".layers.5." in name), rank=8)
    short, full = (estimate(resolved, last, WORK, every) for every in (False, True))
    assert short.peak_bytes == pytest.approx(full.peak_bytes, rel=0.01)
    assert short.term("language activations") < estimate(resolved, whole, WORK).term("language activations") / 2


@pytest.mark.parametrize("family", ["llava", "qwen3_vl_moe"])
def test_what_is_trained_is_what_the_budget_counts(family: str, tmp_path: Path) -> None:
    resolved = small_source(family, tmp_path)
    plan = plan_of(resolved, "all")
    step = simulate(resolved, plan, WORK)
    counted = budget(inspect_source(resolved.source), plan).trainable
    assert sum(part.numbers * part.times for part in step.trained) == counted


def test_tiles_that_only_a_processor_knows_are_a_guess_that_is_said(tmp_path: Path) -> None:
    resolved = small_source("smolvlm", tmp_path)
    memory = estimate(resolved, plan_of(resolved, "language"), WORK.but(image_size=(3 * SIDE, 2 * SIDE)))
    assert memory.guesses >= 1
    assert "6 tiles of 112 x 112" in memory.how
    assert memory.image_tokens == 7 * 16


def test_a_model_that_writes_no_text_has_no_estimate(tmp_path: Path) -> None:
    config = {
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 32,
        "vision_config": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64},
        "text_config": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64},
    }  # fmt: skip
    resolved = resolve(Source("folder", str(write_config(tmp_path, config))))
    with pytest.raises(InspectionError, match="its class CLIPModel writes no text"):
        estimate(resolved, plan_of(resolved, "vision"), WORK)


def test_a_config_whose_parts_do_not_fit_has_no_estimate(tmp_path: Path) -> None:
    from tests.memory.small_models import CONFIGS

    broken = {**CONFIGS["qwen2_5_vl"], "vision_config": {**CONFIGS["qwen2_5_vl"]["vision_config"]}}
    broken["vision_config"]["out_hidden_size"] = 96
    resolved = resolve(Source("folder", str(write_config(tmp_path, broken))))
    for _ in range(2):  # the second time it is known which form of pictures it takes
        with pytest.raises(InspectionError, match=r"becomes 96 numbers, but its language side takes 192\.") as caught:
            estimate(resolved, plan_of(resolved, "language"), WORK)
        assert "widths in its config.json" in caught.value.remedy


def test_a_step_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "SECONDS", 0.0)
    resolved = small_source("llava", tmp_path)
    with pytest.raises(InspectionError, match="takes more than 0 seconds"):
        simulate(resolved, plan_of(resolved, "language"), WORK)


@pytest.mark.parametrize(
    ("field", "value"), [("batch", 0), ("images", -1), ("image_size", (0, 10)), ("supervised_tokens", 200)]
)
def test_a_workload_that_makes_no_sense_is_refused(field: str, value: object) -> None:
    with pytest.raises(SpecError):
        WORK.but(**{field: value})


def test_the_same_question_is_answered_from_memory(tmp_path: Path) -> None:
    resolved = small_source("llava", tmp_path)
    plan = plan_of(resolved, "language")
    first = estimate(resolved, plan, WORK)
    again = estimate(resolved, plan, WORK.but(optimizer="sgd"))
    assert again.peak_bytes < first.peak_bytes
    batches = iter(range(20, 40))
    anew = times_as_long(
        lambda: estimate(resolved, plan, WORK.but(batch=next(batches))),
        lambda: estimate(resolved, plan, WORK),
        rounds=2,
    )
    assert anew > 5
