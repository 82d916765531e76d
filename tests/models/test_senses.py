"""What is no vision-language model is refused, from its config alone where that can be told."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from core.errors import InspectionError
from core.models.defaults import unsized
from core.models.senses import refuse_text_only
from core.models.zoo import architectures, as_source
from tests.models.families import CONFIGS, LLAMA, write_config

TEXT_ONLY = {**LLAMA, "architectures": ["LlamaForCausalLM"]}


def is_refused(config: dict) -> bool:
    with as_source("made up", config) as resolved:
        try:
            refuse_text_only(resolved)
        except InspectionError:
            return True
    return False


def test_a_text_only_config_is_refused_without_an_import(tmp_path):
    folder = write_config(tmp_path / "llama", TEXT_ONLY)
    code = f"""
import sys
from core.errors import InspectionError
from core.models.inspection import inspect_source
from core.spec import Source
try:
    inspect_source(Source("folder", {str(folder)!r}))
except InspectionError as refusal:
    print(refusal.reason)
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "a text-only model (LlamaForCausalLM): nothing in it sees pictures" in done.stdout


@pytest.mark.parametrize(
    "more",
    [
        {"architectures": ["LlamaForConditionalGeneration"]},
        {"architectures": ["LlamaVisionForCausalLM"]},
        {"architectures": None},
        {"model_type": "llama_vision"},
        {"image_size": 30},
        {"img_processor": {"name": "clip"}},
        {"text_config": {}},
        {"rope": [{"mm_tokens": 3}]},
    ],
)
def test_what_leaves_a_doubt_is_built(more):
    assert is_refused(TEXT_ONLY)
    assert is_refused({**TEXT_ONLY, "quantization_config": {"bits": 4}})
    assert not is_refused({**TEXT_ONLY, **more})
    assert not is_refused({key: value for key, value in TEXT_ONLY.items() if key != "vocab_size"})


def test_a_whole_config_leaves_no_size_to_defaults():
    from transformers import CONFIG_MAPPING

    for each in (
        "fuyu",
        "llava",
        "qwen2_vl",
        "git",
        "vilt",
        "qwen2_5_omni",
        "pix2struct",
        "idefics3",
        "phi4_multimodal",
    ):
        written = json.loads(CONFIG_MAPPING[each]().to_json_string())
        assert unsized(written, {"vision", "language"}) == (), each
        assert unsized({"model_type": each}, {"vision", "projector", "language"}) == ("vision", "language")
    assert unsized({"vision_config": {"architecture": "vit_small", "model_type": "timm_wrapper"}}, {"vision"}) == ()
    assert unsized({"vision_config": {}, "text_config": {"hidden_size": 8}}, {"vision", "language"}) == ("vision",)
    assert unsized({"thinker_config": {"text_config": {"hidden_size": 8}}}, {"vision", "language"}) == ()


def test_nothing_that_sees_is_refused_by_its_config():
    from transformers import CONFIG_MAPPING

    assert not any(map(is_refused, CONFIGS.values()))
    refused = set()
    for each in architectures():
        try:
            written = json.loads(CONFIG_MAPPING[each.model_type]().to_json_string())
        except Exception:  # a default config that cannot be made; its fields are tried alone
            written = {}
        if is_refused({**written, **each.config}):
            refused.add(each.name)
    assert refused == {"mistral4"}
