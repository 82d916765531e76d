"""The zoo: every architecture of transformers that joins pictures with text, and the config each is built from.

The two mappings of transformers for pictures with text and for zero-shot classification are taken as they are, with
what is new in them; those that other mappings or none hold are listed here. A default config builds nearly all; where
it does not, or leaves a tower out, `FIELDS` says which fields are set instead.

What it does not do: say anything about labels. No architecture is treated in its own way beyond its config.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.models.classes import MAPPINGS
from core.models.source import Resolved
from core.spec import Source

MORE = (
    ("aimv2", "Aimv2Model"),
    ("blip", "BlipForImageTextRetrieval"),
    ("bridgetower", "BridgeTowerForImageAndTextRetrieval"),
    ("colmodernvbert", "ColModernVBertForRetrieval"),
    ("colpali", "ColPaliForRetrieval"),
    ("colqwen2", "ColQwen2ForRetrieval"),
    ("embedding_gemma2", "EmbeddingGemma2Model"),
    ("flava", "FlavaModel"),
    ("glm_image", "GlmImageForConditionalGeneration"),
    ("groupvit", "GroupViTModel"),
    ("layoutlmv3", "LayoutLMv3ForQuestionAnswering"),
    ("modernvbert", "ModernVBertForMaskedLM"),
    ("neomme", "NeoMMEForMaskedLM"),
    ("phi4_multimodal", "Phi4MultimodalForCausalLM"),
    ("qwen2_5_omni", "Qwen2_5OmniForConditionalGeneration"),
    ("qwen3_omni_moe", "Qwen3OmniMoeForConditionalGeneration"),
    ("sam3", "Sam3Model"),
    ("tvp", "TvpForVideoGrounding"),
    ("ultravbert", "UltraVBertForMaskedLM"),
    ("vilt", "ViltForImageAndTextRetrieval"),
    ("vision-text-dual-encoder", "VisionTextDualEncoderModel"),
    ("xclip", "XCLIPModel"),
)
"""Type and class of what the mappings leave out."""
_PLAIN_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
FIELDS: dict[str, dict[str, Any]] = {
    # its default has 14 heads, which do not divide its width of 1152; these are SigLIP's own
    "aya_vision": {
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "patch_size": 14,
            "image_size": 384,
            "num_hidden_layers": 26,
            "num_attention_heads": 16,
            "vision_use_head": False,
        }
    },
    "chameleon": {"vocabulary_map": {"<image>": 8711}},
    "cohere_compass": {"text_config": {"rope_parameters": {"full_attention": _PLAIN_ROPE}}},
    "deepseek_ocr2": {"text_config": {"mlp_layer_types": ["dense"] + ["sparse"] * 31}},
    "diffusion_gemma": {"text_config": {"num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704}},
    "embedding_gemma2": {
        "vision_config": {"model_type": "gemma4_vision"},
        "audio_config": {"model_type": "gemma4_audio"},
    },
    "emu3": {"vocabulary_map": {"<image>": 151851, "<|extra_200|>": 151847}},
    "gemma4": {"vision_config": {"model_type": "gemma4_vision"}, "audio_config": {"model_type": "gemma4_audio"}},
    "gemma4_unified": {
        "vision_config": {"model_type": "gemma4_unified_vision"},
        "audio_config": {"model_type": "gemma4_unified_audio"},
    },
    "granite4_vision": {"downsample_rate": "4/8", "deepstack_layer_map": [[-19, 9], [-13, 6], [-7, 3], [-1, 0]]},
    "hunyuan_vl": {"text_config": {"head_dim": 128}},
    "nemotron_h_omni": {
        "audio_config": {"model_type": "parakeet_encoder", "projection_hidden_size": 4096, "projection_bias": False}
    },
    # its default tower is a ResNet, whose width is not said
    "perception_lm": {
        "vision_config": {
            "model_type": "timm_wrapper",
            "architecture": "vit_pe_lang_large_patch14_448",
            "model_args": {"embed_dim": 1024},
        }
    },
    "qwen3_omni_moe": {
        "talker_config": {"spatial_merge_size": 2, "text_config": {"shared_expert_intermediate_size": 768}}
    },
    "qwen4_exp": {
        "text_config": {
            "indexer_n_heads": 4,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 256,
            "indexer_budget": 2048,
            "indexer_compress_ratio": 64,
        }
    },
}
"""Fields set over the default config, by type: what the default leaves empty, and towers that it leaves out."""


@dataclass(frozen=True)
class Architecture:
    """One class of the zoo and the config that it is built from."""

    name: str
    """The type of model; for a second class of a type `type:Class`."""
    model_type: str
    model_class: str
    fields: dict[str, Any] = field(default_factory=dict)
    """Set over the default config."""

    @property
    def config(self) -> dict[str, Any]:
        """What its config.json would hold."""
        return {"model_type": self.model_type, "architectures": [self.model_class], **self.fields}


def architectures() -> tuple[Architecture, ...]:
    """The whole zoo by name, those that cannot be built or see no pictures included."""
    from transformers.models.auto import modeling_auto

    pairs = [pair for name in MAPPINGS for pair in getattr(modeling_auto, name).items()]
    found: dict[str, Architecture] = {}
    for kind, model_class in dict.fromkeys((*pairs, *MORE)):
        name = f"{kind}:{model_class}" if kind in found else kind
        found[name] = Architecture(name, kind, model_class, FIELDS.get(kind, {}))
    return tuple(found[name] for name in sorted(found))


@contextmanager
def as_source(name: str, config: dict[str, Any]) -> Iterator[Resolved]:
    """The config as a folder of its own, as a person would bring it; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="studio-zoo-") as folder:
        raw = json.dumps(config).encode()
        (Path(folder) / "config.json").write_bytes(raw)
        yield Resolved(Source("folder", name), Path(folder), config, raw)
