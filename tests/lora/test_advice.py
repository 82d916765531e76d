"""Every advice comes when it should, stays away when it should, and its one click takes its cause away."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.lora.advice import MOST, RULES, Advice, advise, changed, guessed
from core.lora.advice.case import Case
from core.lora.budget import budget
from core.lora.limits import problems
from core.lora.plan import make_plan
from core.lora.presets import PRESETS, TASKS, preset_choice
from core.lora.unused import feature_layer, unused_layers
from core.models.relabel import relabelled
from core.models.source import DEMO_MODEL
from core.spec import Inspection, Knobs, Module, Parameter, Plan, Recipe, Selection, Settings, Source
from tests.growth import times_as_long
from tests.models.families import CONFIGS, write_config

LARGE = 7_000_000_000
BOTH = ("vision.attention", "projector.mlp", "language.attention")
CALM = Settings(learning_rate=1e-4)


def linear(name: str, component: str, role: str = "attention", layer: int | None = 0, **more: object) -> Module:
    return Module(name, "Linear", (8, 8), component, role, layer, 64, True, "", **more)  # type: ignore[arg-type]


def model(*more: Module, layers: int = 6, total: int = LARGE) -> Inspection:
    """Six layers of vision and of language with attention and MLP, a projector between them."""
    towers = [
        linear(f"{tower}.layers.{layer}.{part}", tower, role, layer)
        for tower in ("vision", "language")
        for layer in range(layers)
        for part, role in (("q_proj", "attention"), ("v_proj", "attention"), ("fc1", "mlp"))
    ]
    joint = linear("joint.linear", "projector", "mlp", None)
    return Inspection(Source("folder", "made"), "Made", "made", total, (*towers, joint, *more), "")


NOTHING = {"rank": None, "alpha": None, "dropout": None, "learning_rate": None}
EMBEDDING = Module("words", "Embedding", (100, 8), "language", "embedding", None, 800, True, "")
EXPERTS = Module(
    "language.layers.0.experts", "Experts", (4, 8, 8), "language", "mlp", 0, LARGE // 2, True, "",
    parameters=(Parameter("up", (4, 8, 8), True),),
)  # fmt: skip


def advice_on(
    made: Inspection,
    selection: Selection,
    recipe: Recipe | None = None,
    settings: Settings = CALM,
    rows: int | None = 5000,
    **more: object,
) -> dict[str, Advice]:
    recipe = recipe or Recipe(16, 32)
    plan = make_plan(made, selection, recipe)
    return {advice.key: advice for advice in advise(made, selection, recipe, plan, settings, rows, **more)}  # type: ignore[arg-type]


def test_a_usual_choice_is_left_in_peace():
    assert advice_on(model(), Selection(cells=BOTH), trainable=1_000_000) == {}


@pytest.mark.parametrize(("rank", "rows", "better"), [(128, None, 64), (4096, 50_000, 64), (64, 200, 32)])
def test_a_rank_that_is_too_high_comes_down_to_one_that_is_taken(rank, rows, better):
    found = advice_on(model(), Selection(cells=BOTH), recipe=Recipe(rank, 2 * rank), rows=rows)["rank_high"]
    assert f"Take rank {better}," in found.remedy
    assert (found.change["recipe"]["rank"], found.change["recipe"]["alpha"]) == (better, 2 * better)


def guess() -> Module:
    return linear("tower.0.q", "vision", confidence="low", root="tower")


CASES: dict[str, tuple[dict, dict]] = {
    # key: the choice on which it comes, and what is different where it does not
    "rate_high": ({"settings": Settings(learning_rate=3e-3)}, {"settings": Settings(learning_rate=5e-4)}),
    "rate_low": ({"settings": Settings(learning_rate=1e-6)}, {"settings": Settings(learning_rate=1e-5)}),
    "alpha_low": ({"recipe": Recipe(64, 8)}, {"recipe": Recipe(64, 64)}),
    "alpha_high": ({"recipe": Recipe(8, 64)}, {"recipe": Recipe(8, 32)}),
    "rank_high": ({"recipe": Recipe(64, 64), "rows": 200}, {"recipe": Recipe(32, 32), "rows": 200}),
    "many_passes": (
        {"rows": 64, "settings": replace(CALM, steps=500)},
        {"rows": 64, "settings": replace(CALM, steps=100)},
    ),
    "dropout_few_rows": (
        {"rows": 20, "recipe": Recipe(8, 16, 0.1), "settings": replace(CALM, steps=20)},
        {"rows": 40, "recipe": Recipe(8, 16, 0.1), "settings": replace(CALM, steps=20)},
    ),
    "many_parameters": ({"rows": 100, "trainable": 20_000_000}, {"rows": 5000, "trainable": 20_000_000}),
    "vision_left_out": (
        {"selection": Selection(cells=("language.attention",)), "data": "digits"},
        {"selection": Selection(cells=("language.attention",)), "data": "house-format"},
    ),
    "language_left_out": (
        {"selection": Selection(cells=("vision.attention",)), "data": "house-format"},
        {"selection": Selection(cells=("vision.attention",)), "data": "digits"},
    ),
    "projector_left_out": (
        {"selection": Selection(cells=("vision.attention", "language.attention"))},
        {"selection": Selection(cells=("language.attention",))},
    ),
    "embeddings": (
        {"made": model(EMBEDDING), "selection": Selection(cells=("language.embedding", "language.mlp"))},
        {"made": model(EMBEDDING), "selection": Selection(cells=("language.mlp",))},
    ),
    "guessed": (
        {"made": model(guess()), "selection": Selection(cells=BOTH)},
        {"made": model(guess()), "selection": Selection(cells=("language.attention",))},
    ),
    "without_gradient": ({"feature_layer": -2}, {"feature_layer": -1}),
    "experts_left_out": ({"made": model(EXPERTS)}, {"selection": Selection(cells=("vision.mlp",))}),
    "one_sided_layers": (
        {"selection": Selection(cells=BOTH, layers={"vision": (-2, None)})},
        {"selection": Selection(cells=BOTH, layers={"vision": (-2, None), "language": (-2, None)})},
    ),
    "full_rate": (
        {"selection": Selection(cells=BOTH, full=("projector",))},
        {"selection": Selection(cells=BOTH, full=("projector",)), "recipe": Recipe(16, 32, full_learning_rate=1e-5)},
    ),
    "quantized_vision": (
        {"settings": replace(CALM, quantization="4bit")},
        {"settings": replace(CALM, quantization="4bit"), "selection": Selection(cells=("language.mlp",))},
    ),
    "dora_costs": ({"recipe": Recipe(16, 32, method="dora")}, {"recipe": Recipe(16, 32)}),
    "adalora_short": (
        {"recipe": Recipe(16, 32, method="adalora")},
        {"recipe": Recipe(16, 32, method="adalora"), "settings": replace(CALM, steps=300)},
    ),
}


def trainable(made: Inspection, plan: Plan) -> int:
    return budget(made, plan).trainable


def given(case: dict) -> dict:
    return {"made": model(), "selection": Selection(cells=BOTH)} | case


@pytest.mark.parametrize("key", CASES)
def test_an_advice_comes_when_it_should_and_not_otherwise(key: str):
    fires, stays_away = CASES[key]
    found = advice_on(**given(fires))
    assert set(found) == {key}
    advice = found[key]
    assert all(text and not text.endswith(".") for text in (advice.title, advice.reason, advice.remedy))
    assert key not in advice_on(**given(stays_away))


def test_every_rule_has_its_cases():
    assert len(RULES) == len(CASES) - 2, "two rules have a low and a high side"


@pytest.mark.parametrize("key", CASES)
def test_one_click_takes_the_cause_away(key: str):
    case = given(CASES[key][0])
    change = advice_on(**case)[key].change
    assert change is not None
    change = json.loads(json.dumps(change))
    choice = changed(change, case["selection"], case.get("recipe", Recipe(16, 32)), case.get("settings", CALM))
    if key == "many_parameters":
        before = make_plan(case["made"], case["selection"], Recipe(16, 32))
        assert trainable(case["made"], make_plan(case["made"], *choice[:2])) < trainable(case["made"], before)
    else:
        after = advice_on(**case | dict(zip(("selection", "recipe", "settings"), choice, strict=True)))
        assert key not in after


@pytest.mark.parametrize("key", CASES)
def test_one_click_leads_to_nothing_that_is_refused(key: str):
    case = given(CASES[key][0])
    made, selection, recipe = case["made"], case["selection"], case.get("recipe", Recipe(16, 32))
    assert list(problems(make_plan(made, selection, recipe), made)) == []
    change = advice_on(**case)[key].change or {}
    selection, recipe, settings = changed(change, selection, recipe, case.get("settings", CALM))
    labelled = relabelled(made, selection.relabels)
    assert list(problems(make_plan(made, selection, recipe), labelled, settings)) == []


def test_experts_that_join_a_choice_bring_plain_lora_with_them():
    made = model(EXPERTS)
    for recipe in (Recipe(16, 32, 0.1, "dora"), Recipe(16, 32, start="pissa"), Recipe(16, 32, lora_bias=True)):
        change = advice_on(made, Selection(cells=BOTH), recipe)["experts_left_out"].change or {}
        selection, after, _ = changed(change, Selection(cells=BOTH), recipe, CALM)
        plan = make_plan(made, selection, after)
        assert plan.target_parameters
        assert list(problems(plan, made)) == []


def test_parameters_are_cut_by_the_mlps_first_and_then_by_the_rank():
    case = {"made": model(), "rows": 100, "trainable": 20_000_000}
    towers = advice_on(**case, selection=Selection(cells=(*BOTH, "vision.mlp", "language.mlp")))
    assert towers["many_parameters"].change == {"selection": {"cells": list(BOTH)}}
    attention = advice_on(**case, selection=Selection(cells=BOTH))
    assert attention["many_parameters"].change == {"recipe": {"rank": 8, "alpha": 16.0}}


def test_numbers_of_one_component_are_changed_there():
    recipe = Recipe(8, 16, components={"vision": Knobs(rank=64, alpha=8.0, dropout=0.1)})
    found = advice_on(model(), Selection(cells=BOTH), recipe)
    assert "of vision" in found["alpha_low"].title
    _, after, _ = changed(found["alpha_low"].change or {}, Selection(), recipe, CALM)
    assert after == replace(recipe, components={"vision": Knobs(rank=64, alpha=64.0, dropout=0.1)})
    own_rate = Recipe(8, 16, components={"vision": Knobs(learning_rate=0.5)})
    found = advice_on(model(), Selection(cells=BOTH), own_rate)
    _, after, settings = changed(found["rate_high"].change or {}, Selection(), own_rate, CALM)
    assert after.components["vision"].learning_rate == 1e-4
    assert settings == CALM


def test_dropout_of_a_component_goes_with_the_rest():
    recipe = Recipe(8, 16, 0.1, components={"vision": Knobs(dropout=0.2, rank=4)})
    found = advice_on(model(), Selection(cells=BOTH), recipe, replace(CALM, steps=20), rows=16)
    _, after, _ = changed(found["dropout_few_rows"].change or {}, Selection(), recipe, CALM)
    assert after.dropout == after.components["vision"].dropout == 0
    assert after.components["vision"].rank == 4


def test_rslora_is_judged_by_its_own_scale():
    """alpha / sqrt(rank), arXiv:2312.03732: alpha 16 on rank 4 is 8, where LoRA's scale would be 4."""
    assert "alpha_high" in advice_on(model(), Selection(cells=BOTH), Recipe(4, 16, method="rslora"))
    assert "alpha_high" not in advice_on(model(), Selection(cells=BOTH), Recipe(4, 16))
    assert "alpha_low" not in advice_on(model(), Selection(cells=BOTH), Recipe(64, 16, method="rslora"))


def test_the_small_demo_takes_a_rate_that_a_large_model_does_not():
    demo = Settings()
    assert "rate_high" in advice_on(model(), Selection(cells=BOTH), settings=demo)
    assert advice_on(model(total=2_463_808), Selection(cells=BOTH), settings=demo) == {}


def test_an_alpha_to_blame_is_not_blamed_on_the_rate_as_well():
    found = advice_on(model(), Selection(cells=BOTH), Recipe(8, 512))
    assert set(found) == {"alpha_high"}


def test_only_a_handful_at_once_and_warnings_first():
    made = model(EMBEDDING, EXPERTS, guess())
    found = advice_on(
        made,
        Selection(cells=("vision.attention", "language.attention", "language.embedding"), full=("joint",)),
        Recipe(512, 2, 0.2, method="dora"),
        Settings(learning_rate=0.5, steps=5000, quantization="4bit"),
        rows=16,
        feature_layer=-2,
    )
    assert len(found) == MOST
    assert all(advice.severity == "warning" for advice in found.values())
    order = [advice.severity for advice in found.values()]
    assert order == sorted(order, reverse=True)


def test_guesses_are_named_until_the_person_says_that_they_are_right():
    made, selection = model(guess()), Selection(cells=BOTH)
    plan = make_plan(made, selection, Recipe())
    assert [module.name for module in guessed(made, plan)] == ["tower.0.q"]
    confirmed = relabelled(made, {"tower": "vision"})
    assert guessed(confirmed, plan) == ()
    assert make_plan(confirmed, selection, Recipe()) == plan
    fused = replace(EXPERTS, confidence="low")
    with_experts = make_plan(model(fused), Selection(cells=("language.experts",)), Recipe())
    assert guessed(model(fused), with_experts) == (fused,)


def test_confirming_a_guess_changes_no_other_label():
    odd = linear("tower.1.cross", "cross_attention", confidence="medium", root="tower.1")
    made = model(guess(), odd)
    change = advice_on(made, Selection(cells=BOTH))["guessed"].change
    assert change == {"selection": {"relabels": {"tower.0.q": "vision"}}}
    alone = advice_on(model(guess()), Selection(cells=BOTH))["guessed"].change
    assert alone == {"selection": {"relabels": {"tower": "vision"}}}


def test_the_projector_as_a_bare_parameter_asks_for_plain_lora():
    bare = replace(linear("joint", "projector", "other"), parameters=(Parameter("weight", (8, 8), True),))
    made = model(bare)
    made = replace(made, modules=tuple(m for m in made.modules if m.name != "joint.linear"))
    selection = Selection(cells=("vision.mlp", "language.mlp"))
    change = advice_on(made, selection, Recipe(16, 32, 0.1, method="dora"))["projector_left_out"].change
    assert change == {
        "selection": {"cells": ["vision.mlp", "language.mlp", "projector.other"]},
        "recipe": {"method": "lora", "components": {"projector": {**NOTHING, "dropout": 0.0}}},
    }


def test_a_preset_that_leaves_the_projector_out_means_it_so():
    both = Selection(cells=("vision.attention", "language.attention"))
    assert "projector_left_out" in advice_on(model(), both, preset="visual_reasoning")
    assert "projector_left_out" not in advice_on(model(), both, preset="vqa")


def test_layers_that_no_answer_depends_on():
    made = model()
    assert unused_layers(made, -1) == unused_layers(made, None) == unused_layers(made, 6) == frozenset()
    assert unused_layers(made, -2) == {5}
    assert unused_layers(made, (-3, 2)) == {4, 5}


def test_the_config_says_which_layer_pictures_are_read_from(tmp_path):
    said = {"vision_feature_layer": -2}
    assert feature_layer(Source("folder", str(write_config(tmp_path / "a", CONFIGS["llava"] | said)))) == -2
    assert feature_layer(Source("folder", str(write_config(tmp_path / "b", CONFIGS["qwen2_vl"])))) is None
    assert "vision_feature_layer" not in CONFIGS["llava"]
    assert feature_layer(Source("folder", str(write_config(tmp_path / "d", CONFIGS["llava"])))) == -2
    assert feature_layer(DEMO_MODEL) is None
    several = {"vision_feature_layer": [-2, 3]}
    assert feature_layer(Source("folder", str(write_config(tmp_path / "c", CONFIGS["llava"] | several)))) == (-2, 3)
    assert feature_layer(Source("folder", str(tmp_path / "none"))) is None


@pytest.mark.slow
def test_the_last_layer_of_llava_gets_no_gradient_as_the_advice_says():
    import torch

    from tests.models.families import tiny_model

    llava = tiny_model("llava")
    assert llava.config.vision_feature_layer == -2
    pixels = torch.rand(1, 3, 32, 32)
    tokens = torch.tensor([[1, *[llava.config.image_token_index % 160] * 16, 5]])
    llava.config.image_token_id = int(tokens[0, 1])
    llava(input_ids=tokens, pixel_values=pixels).logits.sum().backward()
    grads = {n: p.grad is not None for n, p in llava.named_parameters() if "vision" in n and "q_proj.weight" in n}
    llava.zero_grad(set_to_none=True)
    assert list(grads.values()) == [True, True, False]


@pytest.mark.parametrize("preset", [*PRESETS, *TASKS], ids=lambda preset: preset.name)
def test_a_preset_raises_no_warning_on_the_model_that_it_is_meant_for(preset):
    made = model()
    choice = preset_choice(made, preset)
    recipe = choice.recipe or Recipe(16, 32)
    rows = 16 if preset.name == "few_shot" else 5000
    _, _, settings = changed({"settings": choice.settings}, choice.selection, recipe, CALM)
    found = advice_on(made, choice.selection, recipe, settings, rows, preset=preset.name)
    assert not [advice for advice in found.values() if advice.severity == "warning"]


def test_ten_times_the_modules_take_about_ten_times_as_long():
    def advised(layers: int) -> Callable[[], object]:
        made = model(layers=layers)
        recipe, selection = Recipe(512, 2, 0.2), Selection(cells=(*BOTH, "vision.mlp", "language.mlp"))
        plan = make_plan(made, selection, recipe)
        case = (made, selection, recipe, plan, Settings(learning_rate=0.5, steps=5000), 16)
        counted = trainable(made, plan)
        more = {"preset": "medical", "data": "digits", "trainable": counted, "feature_layer": -2}
        assert len(advise(*case, **more)) == MOST
        return lambda: advise(*case, **more)

    assert times_as_long(advised(833), advised(83)) < 20


def test_thousands_of_guesses_take_no_longer_than_as_many_sure_labels():
    selection, recipe = Selection(cells=BOTH), Recipe(16, 32)

    def advised(made: Inspection) -> Callable[[], object]:
        plan = make_plan(made, selection, recipe)
        return lambda: advise(made, selection, recipe, plan, CALM, 5000)

    made = model(layers=833)
    for depth in (9, 1):
        guesses = [replace(m, confidence="low", root=".".join(m.name.split(".")[:depth])) for m in made.modules]
        unsure = replace(made, modules=tuple(guesses))
        assert times_as_long(advised(unsure), advised(made)) < 40  # a look at all for each would be thousands
        (advice,) = advised(unsure)()
    assert advice.change == {
        "selection": {"relabels": {each: each for each in ("vision", "language")} | {"joint": "projector"}}
    }


def test_a_rule_is_a_function_of_the_case_alone():
    made, selection, recipe = model(), Selection(cells=BOTH), Recipe(16, 32)
    plan = make_plan(made, selection, recipe)
    case = Case(made, selection, recipe, plan, CALM, None, None, None, None, None)
    assert [rule(case) for rule in RULES] == [None] * len(RULES)
