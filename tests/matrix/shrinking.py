"""Architectures of the zoo made small: their default configs with few layers, and every width divided alike.

Widths that belong together stay together when all are divided by one number, and heads with them, so that a head stays
as wide as it is; where a model does not take the first number, the next is tried.
What it does not do: know one architecture from another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core.models.zoo import Architecture

DIVISORS = (8, 4, 16, 2)
LAYERS = 2
EXPERTS = 4
VOCABULARY = 4096
MOST_PARAMETERS = 60_000_000
_TOKEN = re.compile(r"_token(_id|_index|_ids|_idx)?$|_patch_id$|_start_id$|_end_id$")
_FEATURE = re.compile(r"feature_layers?$|select_layer$")
_WIDTH = re.compile(
    r"(hidden_size|hidden_dim|intermediate_size|_width|^width|d_model|d_ff|ffn_dim|ffn_hidden|embed_dim|projection_dim|"
    r"projector_dim|output_dim|_dim$|^dim$|channels|_hidden$|lora_rank|proj_dim|embedding_size|per_layer_input|"
    r"fpn_hidden|inner_size|inner_dim|output_size|adapter_input_size)"
)
_NO_WIDTH = re.compile(
    r"head_dim|_rank$|d_kv|key_dim|value_dim|in_channels|num_channels|num_|in_chans|window|vocab|channels_last|"
    r"temporal_dim|rotary_dim|patch_embed|base_channels|latent_channels|z_channels|pos_emb"
)
_DEPTH = re.compile(r"(layers|depth|n_layer|num_blocks)$")
_INDICES = re.compile(r"(layers|indexes|indices|layer_idx)$")
_HEADS = re.compile(
    r"(num_attention_heads|num_key_value_heads|num_heads|attention_heads|n_heads?|kv_heads|num_kv_heads)$"
)
_EXPERTS = re.compile(r"^(num_experts|n_routed_experts|num_local_experts|moe_num_experts|num_routed_experts)$")
_CHOSEN = re.compile(r"(experts_per_tok|top_k_experts|moe_topk|moe_k|experts_per_token|router_top_k|expert_top_k)$")


_GLM_ROPE = {
    "rope_type": "default",
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.5,
    "mrope_section": [8, 12, 12],
}
_CODES = {f"IMGIMG{''.join(chr(65 + int(digit)) for digit in str(code))}Z": 4 + code for code in range(256)}
_VISUAL = {f"<|visual token {code:06d}|>": 4 + code for code in range(256)}
_FASTVIT = {
    "model_type": "timm_wrapper",
    "architecture": "fastvit_mci3",
    "do_pooling": True,
    "global_pool": "avg",
    "hidden_size": 3072,
    "model_args": {"inference_mode": True, "layers": [1, 1, 1, 1, 1], "embed_dims": [96, 192, 384, 768, 1536]},
}
FIELDS: dict[str, dict[str, Any]] = {
    "aria": {"vision_config": {"image_size": 490, "patch_size": 14}},
    "aya_vision": {"vision_config": {"image_size": 364}},
    "blip-2": {"image_token_index": 50265},
    "chameleon": {
        "vocabulary_map": {**_CODES, "<image>": 300},
        "image_token_id": 300,
        "vq_config": {"num_embeddings": 256, "base_channels": 32},
    },
    "deepseek_ocr2": {
        "text_config": {"num_experts_per_tok": 6, "moe_intermediate_size": 896},
        "vision_config": {
            "sam_config": {"image_size": 256},
            "encoder_config": {
                "hidden_size": 896,
                "intermediate_size": 4864,
                "num_attention_heads": 16,
                "num_key_value_heads": 16,
            },
        },
    },
    "emu3": {
        "vocabulary_map": {**_VISUAL, "<image>": 300, "<|extra_200|>": 301},
        "vq_config": {"codebook_size": 256, "base_channels": 32},
    },
    "fast_vlm": {"vision_config": _FASTVIT},
    "gemma3n": {
        "text_config": {"num_kv_shared_layers": 0},
        "vision_config": {"hidden_size": 8 * 2048, "model_args": {"channel_multiplier": 0.125}},  # it gives 2048 always
    },
    "glm46v": {"text_config": {"head_dim": 128, "rope_parameters": _GLM_ROPE}},
    "glm4v_moe": {"text_config": {"head_dim": 128, "num_attention_heads": 32, "rope_parameters": _GLM_ROPE}},
    "glmga": {"text_config": {"rope_parameters": _GLM_ROPE}},
    "hunyuan_vl": {
        "text_config": {
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [16, 16, 16, 16]}
        }
    },
    "instructblip": {"image_token_index": 32000},
    "granite4_vision": {
        "vision_config": {"image_size": 384, "patch_size": 16},
        "deepstack_layer_map": [[-2, 0], [-1, 1]],
        "image_grid_pinpoints": [[384, 768], [768, 384], [768, 768]],
    },
    "janus": {
        "vision_config": {"projection_dim": 4096},
        "vq_config": {"num_embeddings": 256, "base_channels": 32},
    },
    "llama4": {
        "vision_config": {"hidden_size": 1408, "vision_output_dim": 4096, "projector_input_dim": 4096},
    },
    "molmo2": {"adapter_config": {"text_hidden_size": 4096}},
    "nemotron_h_omni": {"image_token_id": 18},
    "ovis2": {"hidden_size": 4096},
    "perception_lm": {"vision_config": {"model_args": {"depth": 23, "num_heads": 16, "img_size": [112, 112]}}},
    "qwen2_5_omni_thinker": {
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
        "text_config": {
            "hidden_size": 4096,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]},
        },
    },
    "qwen3_omni_moe_thinker": {
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
        "text_config": {"vocab_size": 151936},
    },
    "t5gemma2": {"encoder": {"mm_tokens_per_image": 16, "vision_config": {"patch_size": 14}}},
    "shieldgemma2": {"mm_tokens_per_image": 16, "vision_config": {"patch_size": 14}},
    "step3p7": {"text_config": {"sliding_window": 512}},
}
"""What default configs that build cannot be run without: as the published ones have it, codebooks shorter."""


def small_configs(architecture: Architecture) -> Iterator[dict[str, Any]]:
    """Configs to try, the smallest that is likely to work first.

    Raises:
        Exception: the default config itself cannot be made.
    """
    import transformers

    kind = transformers.CONFIG_MAPPING[architecture.model_type]
    given = _merged(dict(architecture.config), FIELDS.get(architecture.model_type, {}))
    whole = kind.from_dict(given).to_dict()
    for divisor in DIVISORS:
        yield {**Shrinker(divisor).config(whole), "architectures": [architecture.model_class]}


class Shrinker:
    """Makes one config small; the same special token gets the same new id wherever it is named."""

    def __init__(self, divisor: int) -> None:
        self._divisor = divisor
        self._tokens: dict[int, int] = {}

    def config(self, config: dict[str, Any]) -> dict[str, Any]:
        """The config or a part of it."""
        stages = isinstance(config.get("depths") or config.get("hidden_sizes"), list)
        before = next((v for k, v in config.items() if _DEPTH.search(str(k)) and type(v) is int), None)
        kinds = config.get("layer_types") or config.get("layers_block_type")
        types = list(dict.fromkeys(kinds)) if isinstance(kinds, list) else []
        layers = max(LAYERS, len(types))
        made = {key: self._small(str(key), value, before, layers, stages) for key, value in config.items()}
        for key in ("layer_types", "layers_block_type"):
            if isinstance(config.get(key), list):
                made[key] = (types * layers)[:layers]
        _hand_over(made)
        if isinstance(made.get("per_layer_config"), dict):
            firsts = [kinds.index(kind) for kind in (types * layers)[:layers]] if types else list(range(layers))
            old = {int(at): part for at, part in config["per_layer_config"].items()}
            kept = {at: old.get(first) for at, first in enumerate(firsts)}
            made["per_layer_config"] = {at: self.config(part) for at, part in kept.items() if part}
        return made

    def _small(self, key: str, value: Any, before: int | None, layers: int, stages: bool) -> Any:
        if isinstance(value, dict):
            return self.config(value)
        if key in ("out_features", "out_indices"):
            return None
        if isinstance(value, list):
            return self._list(key, value, before, layers)
        if type(value) is not int or value <= 0:
            return value
        if key == "vocab_size":
            return min(value, VOCABULARY)
        if _TOKEN.search(key):
            return self._token(value)
        return self._number(key, value, layers, stages)

    def _number(self, key: str, value: int, layers: int, stages: bool) -> int:
        if _FEATURE.search(key):
            return min(value, layers - 1)
        if _DEPTH.search(key) and not stages:
            return min(value, layers)
        if _EXPERTS.search(key):
            return min(value, EXPERTS)
        if _CHOSEN.search(key):
            return min(value, 2)
        if _HEADS.search(key):
            return max(1, value // self._divisor) if value % self._divisor == 0 or "k" in key else value
        if _WIDTH.search(key) and not _NO_WIDTH.search(key) and value >= self._divisor:
            return max(value // self._divisor, 4)
        return value

    def _list(self, key: str, value: list[Any], before: int | None, layers: int) -> list[Any]:
        if key == "depths":
            return [1] * len(value)
        if _HEADS.search(key):
            return [max(1, item // self._divisor) for item in value]
        numbers = bool(value) and all(type(item) is int for item in value)
        if numbers and _TOKEN.search(key):
            return [self._token(item) for item in value]
        if numbers and (_INDICES.search(key) or _FEATURE.search(key)):
            inside = [item for item in value if -layers <= item < layers]
            return inside or [layers - 1]
        if before is not None and len(value) == before > 4:
            value = value[:layers]
        if numbers and _WIDTH.search(key) and not _NO_WIDTH.search(key):
            return [max(item // self._divisor, 1) for item in value]
        return value

    def _token(self, token: int) -> int:
        """Ids that the small vocabulary does not have are moved to its end."""
        if token < VOCABULARY - 200:
            return token
        return self._tokens.setdefault(token, VOCABULARY - 1 - len(self._tokens))


def _hand_over(config: dict[str, Any]) -> None:
    """Default configs of two towers need not fit each other: what one hands to the next gets the width of that."""
    vision, text = config.get("vision_config"), config.get("text_config")
    width = text.get("hidden_size") if isinstance(text, dict) else None
    if isinstance(vision, dict) and type(width) is int and type(vision.get("out_hidden_size")) is int:
        vision["out_hidden_size"] = width


def _merged(config: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """The fields of both, those of inner configs too."""
    inner = {k: _merged(dict(config.get(k) or {}), v) if isinstance(v, dict) else v for k, v in more.items()}
    return {**config, **inner}
