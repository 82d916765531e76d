"""The families of the matrix: real classes and processors of transformers, two or three layers deep, made here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.data import tiny_families as tiny
from tests.data.templates import QWEN_TEMPLATE
from tests.data.tiny_families import Family, bytes_tokenizer

SIDE, PATCH = 32, 8
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 4096, "initializer_range": 0.2,
}  # fmt: skip
TOWER = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "image_size": SIDE, "patch_size": PATCH,
}  # fmt: skip
TURNS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
"""How Qwen's template shows a picture; the others' turns are alike."""


def llava_onevision() -> Family:
    """LLaVA-OneVision in small: a picture becomes tiles by its shape, and a row of them ends with a learned vector."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    pinpoints = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [SIDE, SIDE]]
    tokenizer = bytes_tokenizer([*TURNS, "<image>", "<video>"], eos_token="<|im_end|>", pad_token="<|endoftext|>")
    size = {"height": SIDE, "width": SIDE}
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=pinpoints),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=(SIDE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=QWEN_TEMPLATE.replace(PICTURE, "<image>\n"),
    )
    config = LlavaOnevisionConfig(
        vision_config={**TOWER, "model_type": "siglip_vision_model", "vision_use_head": False},
        text_config={**_text(tokenizer), "model_type": "qwen2"},
        image_token_index=3, video_token_index=4, image_grid_pinpoints=pinpoints,
        vision_feature_select_strategy="full", vision_feature_layer=-1,
    )  # fmt: skip
    return Family(processor, _seeded(LlavaOnevisionForConditionalGeneration, config))


def smolvlm() -> Family:
    """SmolVLM in small: four neighbouring patches become one token by a shuffle, tiles have names."""
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    tokenizer = bytes_tokenizer(
        [*TURNS, "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>"],
        eos_token="<end_of_utterance>", pad_token="<|endoftext|>", bos_token="<|im_start|>",
    )  # fmt: skip
    edge = {"longest_edge": SIDE}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size=edge, max_image_size=edge, do_image_splitting=False),
        tokenizer,
        SmolVLMVideoProcessor(size=edge, max_image_size=edge),
        image_seq_len=(SIDE // PATCH // 2) ** 2,
        chat_template=QWEN_TEMPLATE.replace(PICTURE, "<image>").replace("<|im_end|>", "<end_of_utterance>"),
    )
    config = SmolVLMConfig(
        vision_config=TOWER, text_config={**_text(tokenizer), "model_type": "llama"}, image_token_id=3, scale_factor=2
    )
    return Family(processor, _seeded(SmolVLMForConditionalGeneration, config))


def glm4v() -> Family:
    """GLM-4V in small: gate and up are one matrix, and the tower ends in a convolution and a merger with an MLP."""
    from transformers import Glm4vConfig, Glm4vForConditionalGeneration

    return _glm(Glm4vConfig, Glm4vForConditionalGeneration)


def glm4v_moe() -> Family:
    """GLM-4.5V in small: after a plain layer the experts of a layer are one tensor, as PEFT rewrites adapters for."""
    from transformers import Glm4vMoeConfig, Glm4vMoeForConditionalGeneration

    experts = {
        "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_shared_experts": 1,
        "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1,
    }  # fmt: skip
    return _glm(Glm4vMoeConfig, Glm4vMoeForConditionalGeneration, **experts)


def qwen3_vl_moe() -> Family:
    """Qwen3-VL with experts in small: those of a layer are one tensor, which LoRA reaches by its name."""
    from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

    dense = tiny.qwen3_vl()
    config = dense.model.config.to_dict()
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "initializer_range": 0.2}
    text = {**config["text_config"], **experts, "model_type": "qwen3_vl_moe_text"}
    vision = {**config["vision_config"], "model_type": "qwen3_vl_moe_vision"}
    rest = {key: value for key, value in config.items() if key.endswith("_token_id")}
    made = Qwen3VLMoeConfig(text_config=text, vision_config=vision, **rest)
    return Family(dense.processor, _seeded(Qwen3VLMoeForConditionalGeneration, made))


def _glm(config_class: Any, model_class: Any, **text: Any) -> Family:
    from transformers import Glm4vImageProcessor, Glm4vProcessor, Glm4vVideoProcessor

    marks = [
        "<|begin_of_image|>",
        "<|image|>",
        "<|end_of_image|>",
        "<|begin_of_video|>",
        "<|video|>",
        "<|end_of_video|>",
    ]
    tokenizer = bytes_tokenizer([*TURNS, *marks], eos_token="<|im_end|>", pad_token="<|endoftext|>")
    unit = (PATCH * 2) ** 2
    sizes = {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": 2}
    # The limits count a picture twice, as the two moments that it stands for.
    edges = {"shortest_edge": 2 * unit, "longest_edge": 16 * unit}
    processor = Glm4vProcessor(
        Glm4vImageProcessor(size=edges, **sizes),
        tokenizer,
        Glm4vVideoProcessor(size=edges, **sizes),
        chat_template=QWEN_TEMPLATE.replace(PICTURE, "<|begin_of_image|><|image|><|end_of_image|>"),
    )
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 0], "partial_rotary_factor": 0.5}
    config = config_class(
        vision_config={
            "depth": 2, "hidden_size": 32, "num_heads": 4, "patch_size": PATCH, "image_size": SIDE,
            "out_hidden_size": 32, "intermediate_size": 48, "spatial_merge_size": 2, "temporal_patch_size": 2,
        },
        text_config={**_text(tokenizer), "rope_parameters": rope, **text},
        image_start_token_id=3, image_token_id=4, image_end_token_id=5,
        video_start_token_id=6, video_token_id=7, video_end_token_id=8,
    )  # fmt: skip
    return Family(processor, _seeded(model_class, config))


def gemma3() -> Family:
    """Gemma 3 as published: its tower has no head, and the projector's bare matrix is not zero."""
    from transformers import Gemma3ForConditionalGeneration

    family = tiny.gemma3()
    config = family.model.config
    config.vision_config.vision_use_head = False
    model = _seeded(Gemma3ForConditionalGeneration, config)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.3)
    model.generation_config.eos_token_id = family.model.generation_config.eos_token_id
    return Family(family.processor, model)


def florence2() -> Family:
    """Florence-2 in small: the tower attends over windows and channels, BART's encoder reads, its decoder writes."""
    from transformers import CLIPImageProcessor, Florence2Config, Florence2ForConditionalGeneration, Florence2Processor

    tokenizer = bytes_tokenizer(
        ["<s>", "<pad>", "</s>", "<unk>", "<image>"],
        bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>", image_token="<image>",
    )  # fmt: skip
    pictures = CLIPImageProcessor(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    pictures.image_seq_length = 4 * 4 + 1
    config = Florence2Config(
        vision_config={
            "depths": [1, 1], "embed_dim": [16, 32], "num_heads": [2, 4], "num_groups": [2, 4], "projection_dim": 32,
            "window_size": 2, "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1],
            "patch_prenorm": [False, True], "drop_path_rate": 0.0,
        },
        text_config={
            "model_type": "bart", "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "vocab_size": len(tokenizer),
            "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
            "max_position_embeddings": 256, "init_std": 0.2, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
        },
        image_token_id=4,
    )  # fmt: skip
    return Family(Florence2Processor(pictures, tokenizer), _seeded(Florence2ForConditionalGeneration, config))


def blip() -> Family:
    """BLIP in small: BERT as a decoder that looks across at the picture, with a first token that is no word."""
    from tokenizers import processors
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    tokenizer = bytes_tokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
    )  # fmt: skip
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    text = {key: TEXT[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")}
    config = BlipConfig(
        vision_config={**TOWER, "initializer_range": 0.2},  # of 1e-10 by default, for weights that come trained
        text_config={
            **text, "vocab_size": len(tokenizer) + 2, "encoder_hidden_size": TOWER["hidden_size"],
            "max_position_embeddings": 256, "initializer_range": 0.2, "bos_token_id": len(tokenizer),
            "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3,
        },
    )  # fmt: skip
    pictures = BlipImageProcessor(size={"height": SIDE, "width": SIDE})
    return Family(BlipProcessor(pictures, tokenizer), _seeded(BlipForConditionalGeneration, config))


def _text(tokenizer: Any) -> dict[str, Any]:
    return {
        **TEXT, "vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id,
    }  # fmt: skip


def _seeded(model_class: Any, config: Any) -> Any:
    torch.manual_seed(0)
    return model_class(config).eval()


FAMILIES: dict[str, Callable[[], Family]] = {
    "llava": tiny.llava,
    "llava_onevision": llava_onevision,
    "qwen2_vl": tiny.qwen2_vl,
    "qwen2_5_vl": tiny.qwen2_5_vl,
    "qwen3_vl": tiny.qwen3_vl,
    "smolvlm": smolvlm,
    "paligemma": tiny.paligemma,
    "gemma3": gemma3,
    "internvl": tiny.internvl,
    "mllama": tiny.mllama,
    "glm4v": glm4v,
    "florence2": florence2,
    "blip": blip,
}
EXPERTS: dict[str, Callable[[], Family]] = {"glm4v_moe": glm4v_moe, "qwen3_vl_moe": qwen3_vl_moe}
"""Families with fused experts."""
