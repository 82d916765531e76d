"""Configs of models of billions of parameters, in the shapes of published ones; no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.models.source import Resolved, resolve
from core.spec import Source
from tests.models.families import write_config

_MROPE = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
_IDS = {
    "image_token_id": 151655,
    "video_token_id": 151656,
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "LLaVA-1.5 7B": {  # llava-hf/llava-1.5-7b-hf
        "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava",
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
            "num_attention_heads": 16, "image_size": 336, "patch_size": 14, "projection_dim": 768,
        },
        "text_config": {"model_type": "llama", "vocab_size": 32064}, "image_token_id": 32000,
    },
    "Qwen2.5-VL 7B": {  # Qwen/Qwen2.5-VL-7B-Instruct
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl",
        "vision_config": {
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
        },
        "text_config": {
            "model_type": "qwen2_5_vl_text", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "rope_parameters": _MROPE,
        },
        **_IDS,
    },
    "Llama 3.2 Vision 11B": {  # transformers' default has these shapes
        "architectures": ["MllamaForConditionalGeneration"], "model_type": "mllama",
    },
    "Qwen3-VL 30B-A3B": {  # Qwen/Qwen3-VL-30B-A3B-Instruct
        "architectures": ["Qwen3VLMoeForConditionalGeneration"], "model_type": "qwen3_vl_moe",
        "vision_config": {
            "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "out_hidden_size": 2048,
            "deepstack_visual_indexes": [8, 16, 24],
        },
        "text_config": {
            "model_type": "qwen3_vl_moe_text", "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 48,
            "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
            "num_experts_per_tok": 8, "moe_intermediate_size": 768, "vocab_size": 151936,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20]},
        },
        **_IDS,
    },
}  # fmt: skip


def big_source(name: str, folder: Path) -> Resolved:
    """A folder with nothing but this model's config.json."""
    return resolve(Source("folder", str(write_config(folder / name.replace(" ", "-"), CONFIGS[name]))))
