"""The model and the rows that the training engine is measured on.

A Qwen2.5-VL shape of 110 M parameters with random weights (25 M vision, 85 M language, a vocabulary of 49 k), pictures
of 130 tokens, one short answer a row, which is 3% of its tokens.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

VOCABULARY = 49_152
PICTURE = (364, 280)
"""Width and height: 13 x 10 tokens of 28 x 28 pixels."""
WORDS = ("amber", "beige", "coral", "denim", "ivory", "khaki", "lilac", "mauve")
QUESTIONS = ("Which colour is this?", "What is to be seen?", "Where is the light?", "Who drew this one?")
LAST = {"epochs": 3.0, "steps": None, "batch_size": 4}
"""How long each run is, and in how large steps."""


LARGE_TEXT = {
    "vocab_size": 151_936, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
    "num_attention_heads": 12, "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}  # fmt: skip
LARGE_VISION = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 1536}
"""The shapes of a model of 2.2 B parameters: Qwen2-VL 2B's language model, Qwen2.5-VL's vision tower."""


def save_model(folder: Path, large: bool = False, device: str = "cpu") -> None:
    """Writes the model with its processor; the large one in bfloat16."""
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessor

    from tests.data.templates import QWEN_TEMPLATE
    from tests.data.tiny_families import qwen2_5_vl

    processor = qwen2_5_vl().processor
    processor.chat_template = _without_last_break(QWEN_TEMPLATE)
    processor.image_processor = Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=28 * 28 * 160)
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2_5_VLForConditionalGeneration(_config(large))
    if large:
        model.to(torch.bfloat16)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _without_last_break(template: str) -> str:
    """The template with its line breaks before turns, not after them: TRL would also learn one after the last turn."""
    turns = "{% for message in messages %}"
    before = template.replace(turns, turns + "{{ '' if loop.first else '\\n' }}").replace("<|im_end|>\n", "<|im_end|>")
    return before.replace("{% if add_generation_prompt %}", "{% if add_generation_prompt %}{{ '\\n' }}")


def _config(large: bool) -> PreTrainedConfig:
    from transformers import Qwen2_5_VLConfig

    text = {
        "vocab_size": VOCABULARY, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 16,
        "num_attention_heads": 9, "num_key_value_heads": 3, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0,
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 12, 12]},
    }  # fmt: skip
    vision = {
        "depth": 6, "hidden_size": 512, "intermediate_size": 1365, "num_heads": 8, "out_hidden_size": 576,
        "fullatt_block_indexes": [2, 5],
    }  # fmt: skip
    if large:
        text, vision = text | LARGE_TEXT, LARGE_VISION
    return Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, image_token_id=5, video_token_id=6, vision_start_token_id=3,
        vision_end_token_id=4, tie_word_embeddings=True,
    )  # fmt: skip


def save_rows(folder: Path, rows: int, questions: int) -> None:
    """Writes so many rows to learn from, `questions` of them on each picture, and one held-out row."""
    for split, count in (("train", rows), ("heldout", 1)):
        (folder / split).mkdir(parents=True)
        lines = []
        for index in range(count):
            picture = index // questions
            name = f"{picture}.png"
            if not (folder / split / name).exists():
                _picture(f"{split}{picture}").save(folder / split / name)
            line = {"file_name": name, "question": QUESTIONS[index % questions], "answer": WORDS[index % len(WORDS)]}
            lines.append(json.dumps(line) + "\n")
        (folder / split / "metadata.jsonl").write_text("".join(lines))


def _picture(seed: str) -> Image.Image:
    """Noise, coarse enough that no two are near each other."""
    source = random.Random(seed)
    small = Image.frombytes("RGB", (13, 10), bytes(source.randrange(256) for _ in range(13 * 10 * 3)))
    return small.resize(PICTURE, Image.Resampling.NEAREST)
