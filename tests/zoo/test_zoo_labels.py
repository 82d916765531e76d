"""The labels of every architecture: they agree with the hand-made truth, add up, and each toggle means its own part."""

from __future__ import annotations

import pytest
import torch
from transformers.pytorch_utils import Conv1D

from core.errors import PlanError
from core.lora.selection import available_cells, cell, parse_targets, selected
from core.models.inspection import inspect_model
from core.spec import COMPONENTS, Selection, Source
from tests.zoo import score

pytestmark = pytest.mark.slow
NO_VLM = {"evolla": "a protein model", "mistral4": "a text-only model"}
"""What the mappings of transformers hold beside vision-language models."""
FLOOR = 0.995
"""Of the modules of the unseen truth; today all of them agree."""
WRAPPED = (torch.nn.Linear, Conv1D, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Embedding)
"""What PEFT 0.21 wraps as a layer (`dispatch_default` in peft/tuners/lora/layer.py), without PyTorch's attention."""


@pytest.fixture(scope="package")
def seeing(built_zoo):
    """The architectures that are vision-language models."""
    return {name: built for name, built in built_zoo.items() if built.made is not None}


def test_each_architecture_builds_or_says_why_not(built_zoo):
    assert len(built_zoo) >= 130
    refused = {name: built.refusal.reason for name, built in built_zoo.items() if built.refusal}
    assert refused.keys() == NO_VLM.keys()
    for name, reason in refused.items():
        assert NO_VLM[name] in reason


@pytest.fixture(scope="package")
def scores(seeing):
    """The score of each entry of the truth, by file and name."""
    by_config = {
        (built.architecture.model_type, built.architecture.model_class, str(built.architecture.fields)): built
        for built in seeing.values()
    }
    found = {}
    for file in score.TRUTHS:
        for name, entry in score.truths(file).items():
            built = by_config.get((name.partition(":")[0], entry["class"], str(entry["config"])))
            model = built.model if built else score.built(name, entry)
            made = built.made if built else inspect_model(model, Source("folder", name))
            found[file, name] = score.score(model, made, entry)
    return found


def test_labels_agree_with_the_truth_that_they_were_tuned_on(scores):
    seen = {name: score for (file, name), score in scores.items() if file == "seen"}
    assert len(seen) >= 40
    assert {name: [str(miss) for miss in score.misses[:3]] for name, score in seen.items() if score.misses} == {}


@pytest.mark.parametrize("what", ["component", "role"])
def test_labels_agree_with_the_truth_that_was_held_out(scores, what):
    unseen = [score for (file, _), score in scores.items() if file != "seen"]
    assert len(unseen) >= 70
    right, total = sum(score.right(what) for score in unseen), sum(len(score.modules) for score in unseen)
    assert right >= FLOOR * total


def test_parameters_of_the_modules_add_up(seeing):
    for name, built in seeing.items():
        total = sum(parameter.numel() for parameter in built.model.parameters())
        assert sum(module.params for module in built.made.modules) == built.made.total_params == total, name


def test_every_toggle_means_modules_of_its_own_component_and_no_other(seeing):
    for name, built in seeing.items():
        for component in COMPONENTS:
            inside = [cell for cell in available_cells(built.made) if cell.startswith(f"{component}.")]
            for one in inside:
                found = selected(built.made, Selection(cells=(one,)))
                assert found, (name, one)
                assert {cell(module) for module in found} == {one}, (name, one)
                assert {module.component for module in found} == {component}, (name, one)
            if not inside:
                with pytest.raises(PlanError, match=component):
                    parse_targets(component, built.made)


def test_every_model_has_something_to_train_in_language_or_vision(seeing):
    for name, built in seeing.items():
        assert any(found.split(".")[0] in ("language", "vision") for found in available_cells(built.made)), name


def test_what_is_called_a_layer_that_lora_reaches_is_one_that_peft_wraps(seeing):
    for name, built in seeing.items():
        for module in built.made.modules:
            if not module.adaptable:
                assert "Not adaptable: " in module.reason, (name, module)
                continue
            live = built.model.get_submodule(module.name)
            reached = [parameter for parameter in module.parameters if parameter.adaptable]
            assert isinstance(live, WRAPPED) != bool(reached), (name, module)
            assert all(len(parameter.shape) in (2, 3) for parameter in reached), (name, module)


def test_routers_and_second_twins_are_never_reached(seeing):
    for name, built in seeing.items():
        held: set[int] = set()
        for module in built.made.modules:
            live = built.model.get_submodule(module.name)
            weights = {id(parameter) for parameter in live.parameters(recurse=False)}
            if module.adaptable:
                assert not held & weights, (name, module)
                assert "router" not in type(live).__name__.lower(), (name, module)
            held |= weights


def test_each_label_says_why_and_how_sure_it_is(seeing):
    for name, built in seeing.items():
        for module in built.made.modules:
            assert module.reason.startswith(module.component.replace("_", "-")), (name, module)
            assert f". {module.role}: " in module.reason, (name, module)
            assert ("(a guess)" in module.reason) == (module.confidence == "low"), (name, module)
            assert module.name == module.root or module.name.startswith(f"{module.root}.") or not module.root


def test_what_configs_say_is_sure_and_guesses_are_few(seeing):
    reached = [module for built in seeing.values() for module in built.made.modules if module.adaptable]
    assert sum(module.confidence == "high" for module in reached) > 0.85 * len(reached)
    assert sum(module.confidence == "low" for module in reached) < 0.03 * len(reached)


def test_layers_count_from_nought_without_a_gap(seeing):
    """Language and cross-attention stand in the same stacks."""
    for name, built in seeing.items():
        for components in (("vision",), ("language", "cross_attention"), ("audio",)):
            found = {module.layer for module in built.made.modules if module.component in components} - {None}
            assert found == set(range(len(found))), (name, components, sorted(found))
