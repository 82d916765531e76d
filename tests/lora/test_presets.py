"""Presets are data with the field's values, and fall on a model without naming what it lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import PlanError, SpecError
from core.lora.conventions import FILE, read_conventions
from core.lora.limits import problems
from core.lora.plan import make_plan
from core.lora.presets import PRESETS, TASKS, USUAL, find_preset, preset_choice, preset_of_data, rank_use, usual_rate
from core.lora.priorities import priorities
from core.lora.selection import available_cells, layers_of
from core.models.inspection import inspect_model
from core.spec import Inspection, Module, Settings, Source, from_dict, to_dict
from tests.models.families import FAMILIES, tiny_model

ASKED_FOR = {
    "captioning", "document_ocr", "vqa", "visual_reasoning", "domain_low_shift", "domain_high_shift", "medical",
    "satellite", "driving", "few_shot", "classification", "multilingual",
}  # fmt: skip


def inspection(family: str) -> Inspection:
    return inspect_model(tiny_model(family), Source("folder", family))


def made_of(*names: str, total: int = 7_000_000_000) -> Inspection:
    """A model of Linears; the component is the first part of each name, attention unless the name says mlp."""
    modules = tuple(
        Module(name, "Linear", (8, 8), name.split(".")[0], "mlp" if "mlp" in name else "attention", 0, 64, True, "")  # type: ignore[arg-type]
        for name in names
    )
    return Inspection(Source("folder", "made"), "Made", "made", total, modules, "")


def test_the_tasks_are_those_that_were_asked_for():
    assert {preset.name for preset in TASKS} == ASKED_FOR
    assert all(preset.recipe and preset.why.endswith(".") for preset in TASKS)
    assert all(preset.recipe is None and not preset.settings for preset in PRESETS)
    assert find_preset(USUAL) in PRESETS


def test_few_examples_take_the_guides_values():
    """r 8, alpha 16, learning rate 1e-3, no dropout, about 100 steps, q and v only: the few-shot line of the guides."""
    choice = preset_choice(made_of("vision.0.q_proj", "vision.0.k_proj", "language.0.v_proj"), find_preset("few_shot"))
    recipe = choice.recipe
    assert recipe is not None
    assert (recipe.rank, recipe.alpha, recipe.dropout) == (8, 16, 0)
    assert choice.settings == {"learning_rate": 1e-3, "steps": 100, "epochs": None}
    assert choice.selection.include == ("vision.0.q_proj",)
    assert choice.selection.cells == ("language.attention",), "v is all that language has, so it is the cell"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("preset", TASKS, ids=lambda preset: preset.name)
def test_a_task_gives_a_plan_on_every_family(family: str, preset):
    made = inspection(family)
    choice = preset_choice(made, preset)
    plan = make_plan(made, choice.selection, choice.recipe)
    assert list(problems(plan, made)) == []
    by_name = {module.name: module for module in made.modules}
    assert {by_name[name].component for name in plan.target_modules} <= set(preset.components)
    from_dict(Settings, {**to_dict(Settings()), **choice.settings})
    if "vision" in choice.recipe.components and choice.recipe.components["vision"].rank:
        assert choice.recipe.components["vision"].rank < choice.recipe.rank, "smaller ranks for vision"


@pytest.mark.parametrize("family", FAMILIES)
def test_queries_and_values_are_found_by_their_names_in_every_family(family: str):
    made = inspection(family)
    choice = preset_choice(made, find_preset("few_shot"))
    assert not [note for note in choice.notes if "all of it is taken" in note]
    leaves = {name.rpartition(".")[2] for name in choice.selection.include}
    assert leaves <= {"q_proj", "v_proj", "qkv"}
    assert "vision" in {m.component for m in made.modules if m.name in choice.selection.include}


def test_what_a_model_calls_otherwise_is_taken_whole_and_said():
    choice = preset_choice(made_of("vision.0.alpha", "vision.0.beta", "language.0.q_proj"), find_preset("few_shot"))
    assert choice.selection.cells == ("vision.attention", "language.attention")
    assert any("vision.attention" in note and "all of it" in note for note in choice.notes)


def test_a_wrapped_linear_is_known_by_the_name_before_it():
    choice = preset_choice(made_of("vision.0.q_proj.linear", "vision.0.k_proj.linear"), find_preset("few_shot"))
    assert choice.selection.include == ("vision.0.q_proj.linear",)


def test_what_a_model_lacks_is_left_out_and_said():
    choice = preset_choice(made_of("language.0.q_proj", "language.0.mlp.fc1"), find_preset("medical"))
    assert choice.selection.cells == ("language.attention", "language.mlp")
    assert "This model has no vision or projector or cross-attention." in choice.notes
    assert not preset_choice(made_of("audio.0.q_proj"), find_preset("vqa")).selection.cells


def test_what_a_model_has_and_lora_does_not_reach_is_not_said_to_be_missing():
    made = made_of("language.0.q_proj", "projector.0.mlp.fc1")
    modules = tuple(replace(m, adaptable=m.component != "projector") for m in made.modules)
    notes = preset_choice(replace(made, modules=modules), find_preset("medical")).notes
    assert "Left out, since LoRA reaches none of it in this model: projector." in notes
    assert not any("no vision or projector" in note for note in notes)


def test_a_bare_projector_gets_no_dropout_and_that_is_said():
    choice = preset_choice(inspection("gemma3"), find_preset("medical"))
    assert choice.recipe is not None
    assert (choice.recipe.dropout, choice.recipe.components["projector"].dropout) == (0.1, 0)
    assert any("No dropout in projector" in note for note in choice.notes)
    assert "projector" not in preset_choice(inspection("llava"), find_preset("medical")).recipe.components


def test_a_small_model_gets_a_higher_rate_and_that_is_said():
    small, large = made_of("language.0.q_proj", total=2_000_000), made_of("language.0.q_proj")
    vqa = find_preset("vqa")
    assert preset_choice(large, vqa).settings["learning_rate"] == 1e-4
    assert preset_choice(small, vqa).settings["learning_rate"] == 3e-3
    assert any("0.003, not 0.0001" in note for note in preset_choice(small, vqa).notes)
    assert not any("rate" in note for note in preset_choice(large, vqa).notes)
    few = preset_choice(small, find_preset("few_shot")).settings["learning_rate"]
    assert few == usual_rate(2_000_000).most, "never above what is commonly the highest"


def test_every_task_lies_within_the_rates_that_are_common():
    for preset in TASKS:
        for total in (2_000_000, 300_000_000, 7_000_000_000):
            made = made_of("language.0.q_proj", "vision.0.q_proj", "language.0.mlp.fc1", total=total)
            usual, recipe = usual_rate(total), preset.recipe
            rate = preset_choice(made, preset).settings["learning_rate"] * recipe.alpha / recipe.rank
            assert usual.low <= rate <= usual.high, preset.name


def test_ranks_have_their_uses():
    assert [rank_use(rank) for rank in (1, 4, 8, 16, 32, 64)] == [
        "simple tasks, such as a few classes",
        "simple tasks, such as a few classes",
        "most tasks",
        "most tasks",
        "new domains",
        "new domains",
    ]
    assert "rarely" in rank_use(128)


def test_demo_data_have_their_preset():
    assert preset_of_data("digits") is find_preset(USUAL)
    assert preset_of_data("house-format") is find_preset("language")
    assert preset_of_data("/my/data") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "vqa"', 'name = "vqa"\nnonsense = 1', "nonsense"),
        ('name = "vqa"', 'name = "captioning"', "captioning"),
        ('projections = ["q", "v", "o"]', 'projections = ["x"]', "“x”"),
        ("learning_rate = 1e-3", "learning_rate = 5.0", "Learning rate"),
        ("learning_rate = 1e-3", "speed = 5.0", "speed"),
        ("rank = 4, alpha = 4", "rank = 0, alpha = 4", "rank"),
        ('components = ["vision"]', 'components = ["visoin"]', "components"),
        ('digits = "vision_language"', 'digits = "nothing"', "nothing"),
        ("[[parts]]", "[[parts", "not TOML"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_a_sentence(old: str, new: str, said: str, tmp_path: Path):
    text = FILE.read_text()
    assert old in text
    wrong = tmp_path / "presets.toml"
    wrong.write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError, match=r"presets\.toml") as caught:
        read_conventions(wrong)
    assert said in str(caught.value)
    assert "Correct the file" in str(caught.value)


def test_a_missing_file_and_an_unknown_name_are_refused(tmp_path: Path):
    with pytest.raises(SpecError, match="Check the path"):
        read_conventions(tmp_path / "none.toml")
    with pytest.raises(PlanError, match="There are: language, "):
        find_preset("magic")


@pytest.mark.parametrize("family", FAMILIES)
def test_priorities_narrow_the_model_and_leave_something(family: str):
    made = inspection(family)
    usual = make_plan(made, preset_choice(made, find_preset(USUAL)).selection, find_preset("vqa").recipe)
    for priority in priorities(made):
        plan = make_plan(made, priority.selection, find_preset("vqa").recipe)
        assert 0 < len(plan.target_modules) < len(usual.target_modules), priority.name


def test_priorities_say_which_layers():
    made = inspection("llava")
    last, cross, late = priorities(made)
    assert last.selection.layers == {"vision": (-1, None), "language": (-1, None)}
    assert "vision 1 of 3, language 1 of 3" in last.why
    assert late.selection.layers == {"vision": (1, None), "language": (1, None)}
    assert cross.selection.cells == ("projector.mlp", "language.attention")
    modules = {m.name: m for m in made.modules}
    plan = make_plan(made, last.selection, find_preset("vqa").recipe)
    assert {modules[name].layer for name in plan.target_modules} == {max(layers_of(made, "vision"))}


def test_cross_modal_means_cross_attention_where_there_is_some():
    made = inspection("mllama")
    cross = priorities(made)[1]
    assert set(cross.selection.cells) == {"projector.mlp", "cross_attention.attention", "cross_attention.mlp"}
    assert set(cross.selection.cells) <= set(available_cells(made))


def test_a_model_without_layers_has_no_last_ones():
    last, _, late = priorities(made_of("vision.q_proj", "language.q_proj"))
    assert last.selection.cells == late.selection.cells == ()
    assert "no stack" in last.why
