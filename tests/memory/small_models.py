"""Models of many families, real classes of transformers, large enough for their memory to mean something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.models.source import Resolved, resolve
from core.spec import Source
from tests.models.families import write_config

SIDE = 112
"""Pixels of a picture's side."""
TOWER = {
    "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 6, "num_attention_heads": 4, "image_size": SIDE,
}  # fmt: skip
VIT = {**TOWER, "patch_size": 14}
GRID = {"depth": 6, "num_heads": 4, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
TEXT = {
    "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 2000, "max_position_embeddings": 2048,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LLAMA = {**TEXT, "model_type": "llama"}
MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 4, 4]}}
CLIP = {**VIT, "model_type": "clip_vision_model", "projection_dim": 64}
SIGLIP = {**VIT, "model_type": "siglip_vision_model"}
IDS = {"image_token_id": 1990, "video_token_id": 1991, "vision_start_token_id": 1992, "vision_end_token_id": 1993}

CONFIGS: dict[str, dict[str, Any]] = {
    "llava": {
        "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava",
        "vision_config": CLIP, "text_config": LLAMA, "image_token_index": 1990, "image_token_id": 1990,
    },
    "llava_next": {
        "architectures": ["LlavaNextForConditionalGeneration"], "model_type": "llava_next",
        "vision_config": CLIP, "text_config": LLAMA, "image_token_index": 1990, "image_token_id": 1990,
        "image_grid_pinpoints": [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]],
    },
    "llava_onevision": {
        "architectures": ["LlavaOnevisionForConditionalGeneration"], "model_type": "llava_onevision",
        "vision_config": {**SIGLIP, "vision_use_head": False}, "text_config": {**TEXT, "model_type": "qwen2"},
        "image_token_index": 1990, "image_token_id": 1990, "video_token_id": 1991,
        "image_grid_pinpoints": [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]],
    },
    "qwen2_vl": {
        "architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl",
        "vision_config": {**GRID, "embed_dim": 128, "hidden_size": 192},
        "text_config": {**TEXT, **MROPE, "model_type": "qwen2_vl_text"}, **IDS, "tie_word_embeddings": True,
    },
    "qwen2_5_vl": {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl",
        "vision_config": {
            **GRID, "hidden_size": 128, "intermediate_size": 384, "out_hidden_size": 192, "window_size": 56,
            "fullatt_block_indexes": [2, 5],
        },
        "text_config": {**TEXT, **MROPE, "model_type": "qwen2_5_vl_text"}, **IDS,
    },
    "qwen3_vl": {
        "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl",
        "vision_config": {
            **GRID, "hidden_size": 128, "intermediate_size": 384, "out_hidden_size": 192,
            "num_position_embeddings": 64, "deepstack_visual_indexes": [1, 3],
        },
        "text_config": {**TEXT, **MROPE, "model_type": "qwen3_vl_text"}, **IDS,
    },
    "qwen3_vl_moe": {
        "architectures": ["Qwen3VLMoeForConditionalGeneration"], "model_type": "qwen3_vl_moe",
        "vision_config": {
            **GRID, "hidden_size": 128, "intermediate_size": 384, "out_hidden_size": 192,
            "num_position_embeddings": 64, "deepstack_visual_indexes": [1, 3],
        },
        "text_config": {
            **TEXT, **MROPE, "model_type": "qwen3_vl_moe_text", "num_experts": 8, "num_experts_per_tok": 2,
            "moe_intermediate_size": 128,
        }, **IDS,
    },
    "smolvlm": {
        "architectures": ["SmolVLMForConditionalGeneration"], "model_type": "smolvlm",
        "vision_config": VIT, "text_config": LLAMA, "image_token_id": 1990, "scale_factor": 2,
    },
    "idefics3": {
        "architectures": ["Idefics3ForConditionalGeneration"], "model_type": "idefics3",
        "vision_config": VIT, "text_config": {**LLAMA, "tie_word_embeddings": True}, "image_token_id": 1990,
        "scale_factor": 2, "tie_word_embeddings": True,
    },
    "paligemma": {
        "architectures": ["PaliGemmaForConditionalGeneration"], "model_type": "paligemma",
        "vision_config": {**SIGLIP, "vision_use_head": False}, "text_config": {**TEXT, "model_type": "gemma2"},
        "projection_dim": 192, "hidden_size": 192, "image_token_index": 1990, "image_token_id": 1990,
    },
    "gemma3": {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
        "vision_config": SIGLIP, "text_config": {**TEXT, "model_type": "gemma3_text"}, "mm_tokens_per_image": 16,
        "image_token_id": 1990, "image_token_index": 1990,
    },
    "gemma4": {  # its layers with full attention have wider heads, so that `head_dim` is a field of each layer
        "architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4", "audio_config": None,
        "vision_config": {
            **TOWER, "model_type": "gemma4_vision", "num_key_value_heads": 4, "head_dim": 32, "patch_size": 14,
            "pooling_kernel_size": 2, "default_output_length": 16, "position_embedding_size": 64,
        },
        "text_config": {
            **TEXT, "model_type": "gemma4_text", "global_head_dim": 64, "hidden_size_per_layer_input": 16,
            "vocab_size_per_layer_input": 2000, "sliding_window": 64,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
        },
        "image_token_id": 1990, "video_token_id": 1991, "audio_token_id": 1989,
    },
    "internvl": {
        "architectures": ["InternVLForConditionalGeneration"], "model_type": "internvl",
        "vision_config": {
            **TOWER, "image_size": [SIDE, SIDE], "patch_size": [14, 14], "model_type": "internvl_vision",
        },
        "text_config": {**TEXT, "model_type": "qwen2"}, "image_token_id": 1990,
    },
    "mllama": {
        "architectures": ["MllamaForConditionalGeneration"], "model_type": "mllama",
        "vision_config": {
            **VIT, "attention_heads": 4, "num_global_layers": 2, "vision_output_dim": 384,
            "intermediate_layers_indices": [1, 3], "max_num_tiles": 2, "supported_aspect_ratios": [[1, 1], [1, 2]],
        },
        "text_config": {**TEXT, "num_hidden_layers": 8, "cross_attention_layers": [2, 5]},
        "image_token_index": 1990, "image_token_id": 1990,
    },
    "glm4v": {
        "architectures": ["Glm4vForConditionalGeneration"], "model_type": "glm4v",
        "vision_config": {
            **GRID, "hidden_size": 128, "intermediate_size": 384, "out_hidden_size": 192, "image_size": SIDE,
        },
        "text_config": {
            **TEXT, "model_type": "glm4v_text", "rope_parameters": {
                "rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2], "partial_rotary_factor": 0.5,
            },
        }, **IDS, "image_start_token_id": 1994, "image_end_token_id": 1995,
    },
    "blip": {
        "architectures": ["BlipForConditionalGeneration"], "model_type": "blip",
        "vision_config": {**VIT, "model_type": "blip_vision_model"},
        "text_config": {
            **{key: TEXT[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size")},
            "num_attention_heads": 6, "encoder_hidden_size": 128, "max_position_embeddings": 512,
            "model_type": "blip_text_model", "pad_token_id": 0, "bos_token_id": 1999, "eos_token_id": 2,
            "sep_token_id": 102,
        },
    },
    "florence2": {
        "architectures": ["Florence2ForConditionalGeneration"], "model_type": "florence2",
        "vision_config": {
            "depths": [1, 1, 5, 1], "embed_dim": [32, 64, 128, 256], "num_heads": [2, 4, 8, 8],
            "num_groups": [2, 4, 8, 8], "projection_dim": 192, "window_size": 7,
        },
        "text_config": {
            "model_type": "bart", "d_model": 192, "encoder_layers": 5, "decoder_layers": 5, "vocab_size": 2000,
            "encoder_attention_heads": 6, "decoder_attention_heads": 6, "encoder_ffn_dim": 512, "decoder_ffn_dim": 512,
            "max_position_embeddings": 1024, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
        },
        "image_token_id": 1990,
    },
}  # fmt: skip
FAMILIES = tuple(CONFIGS)


def small_source(family: str, folder: Path) -> Resolved:
    """A folder with the family's config.json."""
    return resolve(Source("folder", str(write_config(folder / family, CONFIGS[family]))))


def small_model(family: str) -> Any:
    """The family's model with random weights on the CPU."""
    import torch
    import transformers

    config = transformers.CONFIG_MAPPING[CONFIGS[family]["model_type"]].from_dict(dict(CONFIGS[family]))
    torch.manual_seed(0)
    return getattr(transformers, CONFIGS[family]["architectures"][0])(config)
