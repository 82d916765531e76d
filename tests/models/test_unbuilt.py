"""A config that cannot be built names the field or the package, whatever transformers raises."""

from __future__ import annotations

import pytest

from core.errors import InspectionError
from core.models import build
from core.models.inspection import inspect_source
from core.models.source import parse_source
from core.models.unbuilt import missing_package, why_unbuilt
from core.models.zoo import FIELDS, architectures, as_source
from tests.models.families import CONFIGS, LLAMA, VIT, write_config

EMPTY = {
    "chameleon": "its config leaves vocabulary_map empty",
    "cohere_compass": "text_config.rope_parameters has no entry “full_attention”",
    "deepseek_ocr2": "its config leaves text_config.mlp_layer_types empty",
    "diffusion_gemma": "its config leaves text_config.num_experts empty",
    "gemma4": "its config leaves vision_config empty, so that nothing in it sees pictures",
    "granite4_vision": "its config leaves deepstack_layer_map empty",
    "hunyuan_vl": "its config leaves text_config.head_dim empty",
    "perception_lm": "its config leaves vision_config.model_args empty",
    "qwen4_exp": "its config leaves text_config.indexer_budget empty",
}
"""What the default configs of transformers 5.23 leave out, read in their modeling files."""


def refusal(config, tmp_path) -> InspectionError:
    with pytest.raises(InspectionError) as caught:
        inspect_source(parse_source(str(write_config(tmp_path / "model", config))))
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("kind", EMPTY)
def test_what_a_default_config_leaves_empty_is_named(kind, tmp_path):
    assert kind in FIELDS
    name = next(a.model_class for a in architectures() if a.name == kind)
    assert EMPTY[kind] in refusal({"model_type": kind, "architectures": [name]}, tmp_path).reason


def test_a_field_that_transformers_reads_too_late_is_named_with_its_place(tmp_path):
    config = {**CONFIGS["llava"], "vision_config": {**VIT, "model_type": "clip_vision_model", "patch_size": None}}
    assert refusal(config, tmp_path).reason == "its config leaves vision_config.patch_size empty"


def test_a_field_of_the_wrong_type_is_named_with_its_place(tmp_path):
    config = {**CONFIGS["llava"], "text_config": {**LLAMA, "hidden_size": None}}
    assert refusal(config, tmp_path).reason == "its config leaves text_config.hidden_size empty"


def test_a_field_with_a_word_for_a_number_is_to_be_corrected(tmp_path):
    config = {**CONFIGS["llava"], "text_config": {**LLAMA, "num_hidden_layers": "many"}}
    found = refusal(config, tmp_path)
    assert found.reason == "its config's text_config.num_hidden_layers is not of the type int, but str"
    assert found.remedy.startswith("Correct the field")


def test_a_full_stop_of_transformers_does_not_end_a_sentence_within_brackets(tmp_path):
    config = {**CONFIGS["llava"], "text_config": {**LLAMA, "hidden_size": 10, "num_attention_heads": 3}}
    assert refusal(config, tmp_path).reason.endswith("attention heads (3))")


def test_what_no_field_explains_is_told_as_transformers_says_it(tmp_path):
    config = {**CONFIGS["llava"], "text_config": {**LLAMA, "num_attention_heads": 0}}
    reason = refusal(config, tmp_path).reason
    assert reason.startswith("its config cannot be built (integer modulo by zero")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    def needs_more(*_):
        raise ImportError("\nTimmWrapperModel requires the timm library but it was not found in your environment.")

    monkeypatch.setattr(build, "named_class", needs_more)
    found = refusal(CONFIGS["llava"], tmp_path)
    assert found.reason == "it needs the package timm, which is not installed"
    assert found.remedy.startswith("Install timm")


@pytest.mark.parametrize(
    ("error", "package"),
    [
        (ModuleNotFoundError("No module named 'detectron2'", name="detectron2"), "detectron2"),
        (ImportError("This needs sentencepiece: pip install sentencepiece"), "sentencepiece"),
    ],
)
def test_packages_by_what_python_says(error, package):
    assert missing_package(error) == package


def test_no_path_of_the_machine_stands_in_a_reason():
    reason = why_unbuilt(ValueError("cannot read /home/somebody/models/x/config.json at all"), {}).reason
    assert "somebody" not in reason


def test_a_model_that_does_not_see_says_what_it_is(tmp_path):
    sizes = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 60}
    small = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "pad_token_id": 0}
    config = {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], **sizes, **small}
    assert "an audio model" in refusal(config, tmp_path).reason
    assert "a text-only model" in refusal({**LLAMA, "architectures": ["LlamaForCausalLM"]}, tmp_path).reason


def test_a_config_without_architectures_is_of_the_usual_class_of_its_type():
    with as_source("clip", {"model_type": "clip"}) as resolved:
        assert type(build.build_on_meta(resolved)).__name__ == "CLIPModel"
