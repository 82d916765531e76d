"""Presets, priorities, advice and exports on every architecture: what each gives is possible there."""

from __future__ import annotations

import pytest

from core.errors import PlanError
from core.export.plan_export import Context, export
from core.export.script import NO_CONVERSATION
from core.lora.advice import advise, changed
from core.lora.limits import problems
from core.lora.plan import make_plan
from core.lora.presets import PRESETS, TASKS, preset_choice, usual_rate
from core.lora.priorities import priorities
from core.models.relabel import relabelled
from core.spec import Inspection, Recipe, Selection, Settings

pytestmark = pytest.mark.slow
USUAL = Recipe(16, 32.0)


@pytest.fixture(scope="module")
def inspections(built_zoo) -> dict[str, Inspection]:
    return {name: built.made for name, built in built_zoo.items() if built.made is not None}


def is_empty(selection: Selection) -> bool:
    return not (selection.cells or selection.include)


@pytest.mark.parametrize("preset", [*PRESETS, *TASKS], ids=lambda preset: preset.name)
def test_a_preset_is_possible_on_every_model_that_has_its_parts(preset, inspections):
    empty = 0
    for name, made in inspections.items():
        choice = preset_choice(made, preset)
        if is_empty(choice.selection):
            empty += 1
            assert set(preset.components) <= {"vision", "language", "cross_attention"}, name
            assert choice.notes[0].startswith(("This model has no ", "Left out"))
            continue
        plan = make_plan(made, choice.selection, choice.recipe or USUAL)
        assert list(problems(plan, made)) == [], name
        if preset.name == "few_shot":
            assert not [note for note in choice.notes if "all of it is taken" in note], name
    assert empty < 0.1 * len(inspections)


def test_priorities_are_possible_on_every_model(inspections):
    for name, made in inspections.items():
        for priority in priorities(made):
            if not is_empty(priority.selection):
                assert list(problems(make_plan(made, priority.selection, USUAL), made)) == [], name


def test_every_advice_can_be_taken_on_every_model(inspections):
    seen = set()
    for name, made in inspections.items():
        selection = preset_choice(made, PRESETS[-1]).selection
        settings = Settings(learning_rate=usual_rate(made.total_params).rate, steps=5000)
        plan = make_plan(made, selection, USUAL)
        for advice in advise(made, selection, USUAL, plan, settings, 50, trainable=10**9):
            seen.add(advice.key)
            if advice.change is not None:
                after, recipe, _ = changed(advice.change, selection, USUAL, settings)
                labelled = relabelled(made, after.relabels)
                assert list(problems(make_plan(made, after, recipe), labelled)) == [], (name, advice.key)
    assert {"many_passes", "many_parameters", "experts_left_out", "guessed"} <= seen


def test_a_script_is_python_on_every_model_that_holds_a_conversation(inspections):
    for name, made in inspections.items():
        selection = preset_choice(made, PRESETS[-1]).selection
        if made.model_type in NO_CONVERSATION:
            with pytest.raises(PlanError, match="no conversation"):
                export(make_plan(made, selection, USUAL), made, Context("owner/name", selection, USUAL), "script")
            continue
        script = export(make_plan(made, selection, USUAL), made, Context("owner/name", selection, USUAL), "script")
        compile(script.text, f"{name}.py", "exec")
        assert (
            f"from transformers import AutoProcessor, {made.model_class}" in script.text
            or made.model_class in script.text
        )
