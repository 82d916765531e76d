"""Processors and random models of other families, made here: a byte-level tokenizer without merges knows every text."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from core.models.loading import load_model, load_processor
from core.models.source import DEMO_MODEL
from tests.data.templates import (
    GEMMA_TEMPLATE,
    INTERNVL_TEMPLATE,
    LLAVA_TEMPLATE,
    MLLAMA_TEMPLATE,
    PALIGEMMA_TEMPLATE,
    QWEN_TEMPLATE,
)


@dataclass(frozen=True)
class Family:
    """A processor and a model that fit each other."""

    processor: Any
    model: Any


def bytes_tokenizer(specials: list[str], bos: bool = False, **names: str) -> PreTrainedTokenizerFast:
    """One token a byte, and the special ones; with `bos`, the tokenizer puts one in front by itself."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*specials, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    if bos:
        pair = [(names["bos_token"], vocabulary[names["bos_token"]])]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{names['bos_token']} $A", special_tokens=pair)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def demo() -> Family:
    """The demo model, an Idefics3: pictures go by row."""
    return Family(load_processor(DEMO_MODEL), load_model(DEMO_MODEL, "cpu", torch.float32))


def demo_in_tiles() -> Family:
    """The demo model with pictures cut into tiles: their number differs from row to row."""
    made = demo()
    pictures = made.processor.image_processor
    pictures.do_image_splitting, pictures.size = True, {"longest_edge": 96}
    return made


def llava() -> Family:
    """LLaVA 1.5 in small: 2 x 2 patches of a 28 x 28 picture, BOS from the tokenizer, a turn that nothing ends."""
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = bytes_tokenizer(
        ["<unk>", "<s>", "</s>", "<pad>", "<image>"],
        bos=True, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
    )  # fmt: skip
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=LLAVA_TEMPLATE,
        num_additional_image_tokens=1,
    )
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, bos_token_id=1, eos_token_id=2, pad_token_id=3, initializer_range=0.3,
    )  # fmt: skip
    torch.manual_seed(0)
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=4, image_seq_length=4)
    return Family(processor, LlavaForConditionalGeneration(config).eval())


def qwen2_vl(template: str = QWEN_TEMPLATE) -> Family:
    """Qwen2-VL in small: pictures of any size become flat rows of patches, positions have three axes."""
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
    tokenizer = bytes_tokenizer(
        [*specials, "<|image_pad|>", "<|video_pad|>"], eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=28 * 28 * 8),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=template,
    )
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
    }  # fmt: skip
    vision = {"depth": 2, "embed_dim": 16, "num_heads": 2, "hidden_size": 16, "mlp_ratio": 2}
    config = Qwen2VLConfig(
        text_config=text, vision_config=vision, image_token_id=5, video_token_id=6,
        vision_start_token_id=3, vision_end_token_id=4,
    )  # fmt: skip
    torch.manual_seed(0)
    return Family(processor, Qwen2VLForConditionalGeneration(config).eval())


def qwen2_5_vl() -> Family:
    """Qwen2.5-VL in small: its tower looks through windows."""
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

    return _qwen("qwen2_5_vl", Qwen2_5_VLProcessor, Qwen2_5_VLForConditionalGeneration)


def qwen3_vl() -> Family:
    """Qwen3-VL in small: layers of its tower speak to layers of the language model."""
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor

    return _qwen("qwen3_vl", Qwen3VLProcessor, Qwen3VLForConditionalGeneration)


def _qwen(name: str, processor_class: Any, model_class: Any) -> Family:
    from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    from tests.models.families import CONFIGS

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
    tokenizer = bytes_tokenizer(
        [*specials, "<|image_pad|>", "<|video_pad|>"], eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    vision = CONFIGS[name]["vision_config"]
    patch, merge = vision["patch_size"], vision["spatial_merge_size"]
    sizes = {"patch_size": patch, "merge_size": merge, "temporal_patch_size": vision["temporal_patch_size"]}
    unit = (patch * merge) ** 2
    processor = processor_class(
        image_processor=Qwen2VLImageProcessor(min_pixels=unit, max_pixels=unit * 8, **sizes),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**sizes),
        chat_template=QWEN_TEMPLATE,
    )
    ids = {"image_token_id": 5, "video_token_id": 6, "vision_start_token_id": 3, "vision_end_token_id": 4}
    return Family(processor, _model(name, model_class, tokenizer, **ids))


def internvl() -> Family:
    """InternVL in small: a picture becomes squares, as many as its shape asks for."""
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    from tests.models.families import CONFIGS

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]
    tokenizer = bytes_tokenizer(
        specials, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>", video_token="<video>",
    )  # fmt: skip
    side = CONFIGS["internvl"]["vision_config"]["image_size"][0]
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size={"height": side, "width": side}, max_patches=4),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(),
        image_seq_length=4,
        chat_template=INTERNVL_TEMPLATE,
    )
    return Family(processor, _model("internvl", InternVLForConditionalGeneration, tokenizer, image_token_id=5))


def gemma3() -> Family:
    """Gemma 3 in small: inputs say which tokens are a picture's, and those see each other both ways."""
    from transformers import Gemma3ForConditionalGeneration, Gemma3ImageProcessor, Gemma3Processor

    from tests.models.families import CONFIGS

    specials = ["<pad>", "<eos>", "<bos>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    tokenizer = bytes_tokenizer(
        [*specials, "<start_of_turn>", "<end_of_turn>"], bos=True,
        pad_token="<pad>", eos_token="<eos>", bos_token="<bos>",
        boi_token="<start_of_image>", eoi_token="<end_of_image>", image_token="<image_soft_token>",
    )  # fmt: skip
    side = CONFIGS["gemma3"]["vision_config"]["image_size"]
    pictures = Gemma3ImageProcessor(size={"height": side, "width": side})
    processor = Gemma3Processor(pictures, tokenizer, chat_template=GEMMA_TEMPLATE, image_seq_length=4)
    made = _model(
        "gemma3", Gemma3ForConditionalGeneration, tokenizer,
        boi_token_index=3, eoi_token_index=4, image_token_index=5, eos_token_id=[1, 7],
    )  # fmt: skip
    made.generation_config.eos_token_id = [1, 7]
    return Family(processor, made)


def paligemma() -> Family:
    """PaliGemma in small: the prompt sees itself both ways, the answer only what stands before."""
    from transformers import PaliGemmaForConditionalGeneration, PaliGemmaProcessor, SiglipImageProcessor

    from tests.models.families import CONFIGS

    tokenizer = bytes_tokenizer(
        ["<pad>", "<eos>", "<bos>", "<image>"], pad_token="<pad>", eos_token="<eos>", bos_token="<bos>"
    )
    vision = CONFIGS["paligemma"]["vision_config"]
    pictures = SiglipImageProcessor(size={"height": vision["image_size"], "width": vision["image_size"]})
    pictures.image_seq_length = (vision["image_size"] // vision["patch_size"]) ** 2
    processor = PaliGemmaProcessor(pictures, tokenizer, chat_template=PALIGEMMA_TEMPLATE)
    ids = {"image_token_index": tokenizer.convert_tokens_to_ids("<image>"), "eos_token_id": 1}
    return Family(processor, _model("paligemma", PaliGemmaForConditionalGeneration, tokenizer, **ids))


def mllama() -> Family:
    """Llama 3.2 Vision in small: the text looks at the picture through a mask with one entry a token."""
    from transformers import MllamaForConditionalGeneration, MllamaImageProcessor, MllamaProcessor

    from tests.models.families import CONFIGS

    specials = ["<pad>", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    tokenizer = bytes_tokenizer(
        [*specials, "<|python_tag|>", "<|image|>"], bos=True,
        pad_token="<pad>", bos_token="<|begin_of_text|>", eos_token="<|eot_id|>",
    )  # fmt: skip
    side = CONFIGS["mllama"]["vision_config"]["image_size"]
    pictures = MllamaImageProcessor(size={"height": side, "width": side}, max_image_tiles=1)
    processor = MllamaProcessor(pictures, tokenizer, chat_template=MLLAMA_TEMPLATE)
    return Family(processor, _model("mllama", MllamaForConditionalGeneration, tokenizer, image_token_index=6))


def _model(name: str, model_class: Any, tokenizer: PreTrainedTokenizerFast, **settings: Any) -> Any:
    """The family's tiny model with the tokenizer's size; its gates are opened, so that it really sees."""
    import transformers

    from tests.models.families import CONFIGS

    given = copy.deepcopy(CONFIGS[name])
    ids = {"bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id}
    given["text_config"] |= {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, **ids}
    given["text_config"]["max_position_embeddings"] = 4096  # a byte is a token here
    if name in {"mllama", "qwen2_5_vl"}:  # their rotation takes the head's size from these two
        given["text_config"]["hidden_size"] = given["text_config"]["num_attention_heads"] * 8
        given["vision_config"] |= {"out_hidden_size": 32} if name == "qwen2_5_vl" else {}
    config = transformers.CONFIG_MAPPING[given["model_type"]].from_dict(given | settings)
    torch.manual_seed(0)
    model = model_class(config).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "gate" in parameter_name and parameter.numel() == 1:
                parameter.fill_(1.0)
    return model
