"""Tiny models of the mainstream families: real classes and configs of transformers, small enough to build at once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 32}
VIT = {**TOWER, "patch_size": 8}
QWEN_VIT = {"depth": 3, "num_heads": 4, "patch_size": 8, "spatial_merge_size": 2, "temporal_patch_size": 2}
TEXT = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 160,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA = {**TEXT, "model_type": "llama"}
MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}}

CONFIGS: dict[str, dict[str, Any]] = {
    "llava": {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "vision_config": {**VIT, "model_type": "clip_vision_model", "projection_dim": 16},
        "text_config": LLAMA,
    },
    "qwen2_vl": {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "vision_config": {**QWEN_VIT, "embed_dim": 32, "hidden_size": 24},
        "text_config": {**TEXT, **MROPE, "model_type": "qwen2_vl_text"},
        "tie_word_embeddings": True,
    },
    "qwen2_5_vl": {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "vision_config": {**QWEN_VIT, "hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 24},
        "text_config": {**TEXT, **MROPE, "model_type": "qwen2_5_vl_text"},
    },
    "qwen3_vl": {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "vision_config": {
            **QWEN_VIT,
            "hidden_size": 32,
            "intermediate_size": 48,
            "out_hidden_size": 24,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1],
        },
        "text_config": {**TEXT, **MROPE, "model_type": "qwen3_vl_text"},
    },
    "smolvlm": {
        "architectures": ["SmolVLMForConditionalGeneration"],
        "model_type": "smolvlm",
        "vision_config": VIT,
        "text_config": LLAMA,
    },
    "idefics3": {
        "architectures": ["Idefics3ForConditionalGeneration"],
        "model_type": "idefics3",
        "vision_config": VIT,
        "text_config": {**LLAMA, "tie_word_embeddings": True},
        "tie_word_embeddings": True,
    },
    "paligemma": {
        "architectures": ["PaliGemmaForConditionalGeneration"],
        "model_type": "paligemma",
        "vision_config": {**VIT, "model_type": "siglip_vision_model", "vision_use_head": False},
        "text_config": {**TEXT, "model_type": "gemma2"},
        "projection_dim": 24,
        "hidden_size": 24,
    },
    "gemma3": {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "vision_config": {**VIT, "model_type": "siglip_vision_model"},
        "text_config": {**TEXT, "model_type": "gemma3_text"},
        "mm_tokens_per_image": 4,
    },
    "internvl": {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "vision_config": {**TOWER, "image_size": [32, 32], "patch_size": [8, 8], "model_type": "internvl_vision"},
        "text_config": {**TEXT, "model_type": "qwen2"},
    },
    "mllama": {
        "architectures": ["MllamaForConditionalGeneration"],
        "model_type": "mllama",
        "vision_config": {
            **VIT,
            "attention_heads": 4,
            "num_global_layers": 2,
            "vision_output_dim": 64,
            "intermediate_layers_indices": [1],
            "max_num_tiles": 1,
            "supported_aspect_ratios": [[1, 1]],
        },
        "text_config": {**TEXT, "num_hidden_layers": 4, "cross_attention_layers": [1, 3]},
    },
}
FAMILIES = tuple(CONFIGS)

VISION_ROOTS = ("model.visual", "model.vision_tower", "model.vision_model", "vision_model")
"""What the towers of these families are called: known here, so that the labelling need not know it."""


def write_config(folder: Path, config: dict[str, Any]) -> Path:
    """A folder with nothing but this config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@cache
def tiny_model(family: str) -> Any:
    """The family's tiny model with random weights on the CPU."""
    import torch
    import transformers

    config = transformers.CONFIG_MAPPING[CONFIGS[family]["model_type"]].from_dict(dict(CONFIGS[family]))
    torch.manual_seed(0)
    return getattr(transformers, CONFIGS[family]["architectures"][0])(config).eval()
