"""The demo model's architecture and processor: a small Idefics3 (the class behind SmolVLM), weights untrained.

Nothing here is a new class: the folder that comes out loads with the Auto classes alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)

from core.demo.questions import WEIGHTS, sample_questions
from core.demo.scenes import IMAGE_SIZE, sample_scene

PATCH, SCALE = 8, 2
IMAGE_TOKENS = (IMAGE_SIZE // PATCH // SCALE) ** 2
VISION_WIDTH, VISION_LAYERS, VISION_HEADS = 128, 5, 4
TEXT_WIDTH, TEXT_MLP, TEXT_LAYERS, TEXT_HEADS = 160, 448, 4, 5
MAX_POSITIONS = 512
VOCABULARY_LIMIT = 896

START, END, PAD = "<|im_start|>", "<end_of_utterance>", "<pad>"
IMAGE, AROUND_IMAGE, GLOBAL_IMAGE = "<image>", "<fake_token_around_image>", "<global-img>"
SPECIAL = (PAD, START, END, IMAGE, AROUND_IMAGE, GLOBAL_IMAGE)

# SmolVLM's template with the markers that assistant-only loss needs; content may also be a plain string.
CHAT_TEMPLATE = (
    START + "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}Assistant:{% generation %} "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}{% endif %}{% endfor %}"
    "{% endif %}" + END + "\n{% endgeneration %}"
    "{% else %}{{ message['role'] | capitalize }}:"
    "{% if message['content'] is string %} {{ message['content'] }}{% else %}"
    "{% if message['content'][0]['type'] != 'image' %} {% endif %}"
    "{% for line in message['content'] %}"
    "{% if line['type'] == 'text' %}{{ line['text'] }}{% elif line['type'] == 'image' %}" + IMAGE + "{% endif %}"
    "{% endfor %}{% endif %}" + END + "\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)

# Words of the demo data sets that no scene says; a word left in letters is not learned in a short LoRA run.
DATA_SET_LINES: tuple[str, ...] = (
    "What kind of picture is this? What kind of emoji is this? What is this? What is in the picture?",
    "face animal food flag plant vehicle building clock heart hand tool person sport fruit symbol weather",
    "Write the label. Fill in the form. Name the picture. Answer in the house format.",
    "shape: star | colour: red | shape: moon | colour: blue shape=circle; colour=green; size=big; STAR / RED",
    "star, red; circle, blue; none; unknown; true; false; The answer is. It is a. This is an.",
)


def train_tokenizer(seed: int, scenes: int = 3000) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which every word of the scenes and of the demo data sets is one piece."""
    lines = _corpus(seed, scenes)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_LIMIT,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        padding_side="left",
        model_max_length=MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
        extra_special_tokens={
            "image_token": IMAGE,
            "fake_image_token": AROUND_IMAGE,
            "end_of_utterance_token": END,
            "global_image_token": GLOBAL_IMAGE,
        },
    )


def _corpus(seed: int, scenes: int) -> list[str]:
    rng = np.random.default_rng([seed, 3])
    lines = ["User: Assistant:"] + [line for line in DATA_SET_LINES for _ in range(20)]
    lines += [f" {word}" for line in DATA_SET_LINES for word in line.split() for _ in range(20)]
    for _ in range(scenes):
        for question in sample_questions(sample_scene(rng), rng, 8, WEIGHTS):
            lines += [question.text, f" {question.answer}"]
    return lines


def make_processor(tokenizer: PreTrainedTokenizerFast) -> Idefics3Processor:
    """Pictures of any size become one 48x48 tile; no splitting, nine image tokens."""
    edge = {"longest_edge": IMAGE_SIZE}
    image_processor = Idefics3ImageProcessor(
        do_image_splitting=False,
        size=edge,
        max_image_size=edge,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    return Idefics3Processor(image_processor, tokenizer, image_seq_len=IMAGE_TOKENS, chat_template=CHAT_TEMPLATE)


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> Idefics3ForConditionalGeneration:
    """The untrained model, the same for the same seed."""
    torch.manual_seed(seed)
    ids = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    config = Idefics3Config(
        vision_config=_vision_config(),
        text_config={**_text_config(len(tokenizer)), **ids},
        scale_factor=SCALE,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        tie_word_embeddings=True,
        **ids,
    )
    model = Idefics3ForConditionalGeneration(config)
    model.generation_config.update(**ids, do_sample=False, max_new_tokens=64)
    return model


def _vision_config() -> dict[str, object]:
    return {
        "hidden_size": VISION_WIDTH,
        "intermediate_size": 4 * VISION_WIDTH,
        "num_hidden_layers": VISION_LAYERS,
        "num_attention_heads": VISION_HEADS,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH,
    }


def _text_config(vocabulary: int) -> dict[str, object]:
    return {
        "model_type": "llama",
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": TEXT_MLP,
        "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": TEXT_HEADS,
        "num_key_value_heads": TEXT_HEADS,
        "vocab_size": vocabulary,
        "max_position_embeddings": MAX_POSITIONS,
        "rms_norm_eps": 1e-5,
        "initializer_range": 0.06,
        "tie_word_embeddings": True,
    }


def save_folder(model: Idefics3ForConditionalGeneration, processor: Idefics3Processor, folder: Path) -> None:
    """Write the folder that the Auto classes load: safetensors, config, tokenizer, processor."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors makes its file readable for the owner only
