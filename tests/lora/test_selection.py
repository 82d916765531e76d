"""A selection means exactly the modules of its cells, and what matches nothing says so."""

from __future__ import annotations

import re

import pytest

from core.errors import PlanError
from core.lora.plan import make_plan, peft_config, target_regex
from core.lora.presets import PRESETS, preset_cells
from core.lora.selection import available_cells, cell, parse_targets, selected, trained_in_full
from core.models.inspection import inspect_model
from core.spec import Inspection, Module, Recipe, Selection, Source
from tests.models.families import FAMILIES, tiny_model


def inspection(family: str) -> Inspection:
    return inspect_model(tiny_model(family), Source("folder", family))


@pytest.mark.parametrize("family", FAMILIES)
def test_cells_add_up_to_what_is_adaptable(family):
    made = inspection(family)
    available = available_cells(made)
    assert sum(available.values()) == sum(module.adaptable for module in made.modules)
    for name, number in available.items():
        found = selected(made, Selection(cells=(name,)))
        assert len(found) == number
        assert {cell(module) for module in found} == {name}


@pytest.mark.parametrize("family", FAMILIES)
def test_regex_matches_the_chosen_names_and_no_other_module(family):
    model, made = tiny_model(family), inspection(family)
    for name in available_cells(made):
        plan = make_plan(made, Selection(cells=(name,)), Recipe(4, 8.0))
        regex = re.compile(target_regex(plan.target_modules) if plan.target_modules else "(?!)")
        assert [n for n, _ in model.named_modules() if regex.fullmatch(n)] == list(plan.target_modules)
        parameters = {n for n, _ in model.named_parameters()}
        assert set(plan.target_parameters) <= parameters


def test_regex_of_names_that_begin_alike():
    names = ["a", "a.b", "a.b.c", "ab", "a.c", "x.0.q", "x.1.q", "x.10.q", "y+z.0"]
    regex = re.compile(target_regex(names))
    assert all(regex.fullmatch(name) for name in names)
    for other in ("b", "a.b.c.d", "abc", "x.2.q", "x.0", "yyz.0", "", "x.0.q.r", "0.q"):
        assert not regex.fullmatch(other), other


def test_peft_gets_one_regex_and_no_path():
    plan = make_plan(inspection("llava"), Selection(cells=("language.attention",)), Recipe(4, 8.0, 0.1))
    config = peft_config(plan)
    assert isinstance(config.target_modules, str)
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 8.0, 0.1)
    assert config.base_model_name_or_path is None


def test_modules_can_be_taken_in_and_left_out():
    made = inspection("llava")
    first, second = (m.name for m in made.modules if cell(m) == "language.mlp" and m.layer == 0 and "up" not in m.name)
    only = selected(made, Selection(include=(first, second)))
    assert [module.name for module in only] == [first, second]
    less = selected(made, Selection(cells=("language.mlp",), exclude=(first,)))
    assert len(less) == available_cells(made)["language.mlp"] - 1


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        (Selection(), "nothing is selected"),
        (
            Selection(cells=("cross_attention.attention",)),
            r"cross_attention\.attention.*matches nothing.*This model has",
        ),
        (Selection(include=("model.no.such",)), r"model\.no\.such.*no such module"),
        (Selection(cells=("vision.mlp",), exclude=("nowhere",)), "nowhere"),
        (Selection(cells=("vision.mlp",), layers={"vision": (3, 1)}), "layers 3:1 of vision.*has the layers 0 to 2"),
        (Selection(cells=("vision.mlp",), layers={"vision": (0, 0)}), "layers 0:0 of vision.*none of them"),
        (
            Selection(cells=("projector.mlp",), layers={"projector": (0, 1)}),
            r"layers 0:1 of projector.*no numbered layers there\. Take it without a range",
        ),
        (Selection(cells=("vision.mlp",), layers={"cross_attention": (0, 1)}), "of cross-attention.*no numbered"),
    ],
)
def test_what_matches_nothing_says_so(selection, sentence):
    with pytest.raises(PlanError, match=sentence):
        selected(inspection("llava"), selection)


def test_a_head_that_is_the_token_table_too_is_refused_with_the_reason():
    with pytest.raises(PlanError, match=r"reaches none of the 1 modules.*shares its weight"):
        selected(inspection("idefics3"), Selection(cells=("language.head",)))
    with pytest.raises(PlanError, match="LoRA cannot reach it"):
        selected(inspection("idefics3"), Selection(include=("lm_head",)))


def test_leaving_out_everything_is_refused():
    made = inspection("llava")
    names = tuple(module.name for module in made.modules if cell(module) == "projector.mlp")
    with pytest.raises(PlanError, match="also left out"):
        selected(made, Selection(cells=("projector.mlp",), exclude=names))


def test_targets_as_text():
    made = inspection("mllama")
    assert parse_targets("vision.attention, language.mlp", made) == ("vision.attention", "language.mlp")
    assert parse_targets("vision,vision.mlp", made) == ("vision.attention", "vision.mlp")
    usual = {name for name in available_cells(made) if name.endswith((".attention", ".mlp"))}
    assert set(parse_targets("all", made)) == usual


@pytest.mark.parametrize("text", ["", " , ", "visoin", "vision.atention", "audio", "audio.mlp", "vision.attention.x"])
def test_targets_that_mean_nothing_are_refused(text):
    with pytest.raises(PlanError):
        parse_targets(text, inspection("llava"))


@pytest.mark.parametrize("rank", [0, -1, 1_000_000])
def test_senseless_ranks_are_refused(rank):
    with pytest.raises(PlanError, match="rank"):
        make_plan(inspection("llava"), Selection(cells=("vision.mlp",)), Recipe(rank, 8.0))


@pytest.mark.parametrize("family", FAMILIES)
def test_presets_name_only_what_the_model_has(family):
    made = inspection(family)
    for preset in PRESETS:
        cells = preset_cells(made, preset)
        assert cells
        assert set(cells) <= set(available_cells(made))


def test_presets_mean_what_they_say():
    made = inspection("mllama")
    cells = {preset.name: set(preset_cells(made, preset)) for preset in PRESETS}
    assert cells["language"] == {"language.attention", "language.mlp"}
    assert cells["vision"] == {"vision.attention", "vision.mlp"}
    both = cells["language"] | cells["vision"]
    assert cells["vision_language"] == both | {"projector.mlp", "cross_attention.attention", "cross_attention.mlp"}
    assert {name.split(".")[1] for name in cells["attention"]} == {"attention"}
    assert cells["everything"] == cells["vision_language"]


def test_a_component_in_full_is_all_of_it_also_where_a_module_is_called_the_same():
    parts = {"projector": "projector", "projector.fc": "projector", "vision.merger": "projector", "head": "language"}
    modules = tuple(Module(name, "Linear", (2, 2), part, "mlp", None, 4, True, "") for name, part in parts.items())
    made = Inspection(Source("folder", "made up"), "MadeUp", "made_up", 16, modules, "")
    assert list(trained_in_full(made, Selection(full=("projector",)))) == ["projector", "projector.fc", "vision.merger"]
    assert list(trained_in_full(made, Selection(full=("projector.fc",)))) == ["projector.fc"]
