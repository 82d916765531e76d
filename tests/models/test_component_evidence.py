"""Labels of parts that no table could know: each kind of evidence alone, and against another."""

from __future__ import annotations

import pytest
from torch import nn

from core.models.inspection import inspect_model
from core.models.labels.components import Label, component_labels
from core.spec import Source
from tests.models.made_up import Layer, Model, eye, model, mouth


def labels(of: Model) -> dict[str, Label]:
    return component_labels(of)


def test_the_keys_of_configs_are_enough_where_names_say_nothing():
    found = labels(model())
    assert (found["a"].component, found["a"].confidence) == ("vision", "high")
    assert found["a"].why == "its config is the model's vision_config"
    assert (found["b"].component, found["b"].confidence) == ("language", "high")
    inside = [label for name, label in found.items() if name.startswith("a.")]
    assert {(label.component, label.root) for label in inside} == {("vision", "a")}


def test_where_a_name_contradicts_the_config_the_label_is_a_guess_that_says_so():
    found = labels(model(eye_name="text_encoder"))["text_encoder"]
    assert (found.component, found.confidence) == ("vision", "low")
    assert "though its name speaks of language" in found.reason("text_encoder")
    assert "(a guess)" in found.reason("text_encoder")


def test_a_config_under_an_unknown_key_counts_by_what_it_holds():
    found = labels(model(eye_key="first_config"))["a"]
    assert (found.component, found.confidence) == ("vision", "high")
    assert "patch size" in found.why


def test_two_configs_of_one_class_are_told_apart_by_what_is_in_them():
    sees, speaks, acts = eye(), mouth(), mouth(num_hidden_layers=1)
    configs = {"vision_config": sees.config, "text_config": speaks.config, "action_config": acts.config}
    found = labels(Model(configs, {"a": sees, "b": speaks, "c": acts}, speaks.embed_tokens))
    assert [found[name].component for name in "abc"] == ["vision", "language", "other"]


def test_one_class_with_the_same_contents_under_two_keys_is_told_apart_by_which_it_is():
    sees, speaks, acts = eye(), mouth(), mouth()
    configs = {"vision_config": sees.config, "text_config": speaks.config, "action_config": acts.config}
    found = labels(Model(configs, {"a": sees, "b": speaks, "c": acts}, speaks.embed_tokens))
    assert [found[name].component for name in "abc"] == ["vision", "language", "other"]


@pytest.mark.parametrize("name", ["connector", "vision_resampler", "mm_projector", "image_adapter", "qformer"])
def test_words_for_a_projector(name):
    found = labels(model(**{name: nn.Linear(32, 40)}))[name]
    assert (found.component, found.confidence) == ("projector", "medium")


def test_a_layer_that_takes_what_the_tower_gives_out_is_a_projector_by_its_widths():
    found = labels(model(visual_bridge=nn.Linear(32, 40), visual_thing=nn.Linear(7, 9)))
    assert found["visual_bridge"].component == "projector"
    assert found["visual_thing"].component == "vision"


def test_a_layer_behind_the_language_model_is_no_projector():
    found = labels(model(final_proj=nn.Linear(40, 12), visual_proj=nn.Linear(40, 12)))
    assert found["final_proj"].component == "language"
    assert found["visual_proj"].component == "projector"


def test_a_stack_beside_both_towers_is_other_and_a_guess():
    found = labels(model(deep=nn.ModuleList([Layer(), Layer()])))
    assert (found["deep.1.mlp.0"].component, found["deep.1.mlp.0"].confidence) == ("other", "low")


def test_layers_that_follow_on_the_token_embedding_are_language():
    words = nn.Embedding(60, 40)
    of = Model({"vision_config": (sees := eye()).config}, {"a": sees, "words": words, "deep": nn.ModuleList([Layer()])})
    of.table_of_words = [words]
    found = labels(of)
    assert (found["words"].component, found["words"].confidence) == ("language", "high")
    assert (found["deep.0.mixing.q"].component, found["deep.0.mixing.q"].confidence) == ("language", "medium")


def test_every_part_of_a_made_up_model_has_a_role():
    made = inspect_model(model(connector=nn.Linear(32, 40), deep=nn.ModuleList([Layer()])), Source("folder", "m"))
    roles = {module.name: module.role for module in made.modules}
    assert roles["connector"] == roles["deep.0.mlp.2"] == "mlp"
    assert roles["deep.0.mixing.o"] == "attention"
