"""A packed batch is token for token, and logit for logit, what the chat template makes of each question alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from core.demo.architecture import make_model, make_processor, train_tokenizer
from core.demo.packing import Packer
from core.demo.questions import Question
from core.demo.scenes import pixel_values
from core.demo.stages import answer_logits, image_tokens

ASKED = [
    [Question("shape", "What shape is this?", "star"), Question("colour", "What colour is this?", "red")],
    [Question("count", "How many shapes are there?", "3")],
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(0, scenes=300)


@pytest.fixture(scope="module")
def model(tokenizer):
    return make_model(tokenizer, 0).eval()


def chat(question: Question, picture: Image.Image) -> list[dict]:
    content = [{"type": "image", "image": picture}, {"type": "text", "text": question.text}]
    answer = {"role": "assistant", "content": [{"type": "text", "text": question.answer}]}
    return [{"role": "user", "content": content}, answer]


def test_packed_logits_equal_those_of_single_conversations(tokenizer, model) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
    packed = Packer(tokenizer).pack(ASKED)
    processor = make_processor(tokenizer)
    with torch.no_grad():
        logits, labels = answer_logits(model, packed, image_tokens(model, torch.from_numpy(pixel_values(pictures))))
        alone = []
        for picture, questions in zip(pictures, ASKED, strict=True):
            for question in questions:
                inputs = processor.apply_chat_template(
                    chat(question, Image.fromarray(picture)), tokenize=True, return_dict=True, return_tensors="pt"
                )
                newline = 1
                length = len(tokenizer(f" {question.answer}").input_ids) + 1
                ids = inputs["input_ids"][0]
                end = len(ids) - newline
                assert tokenizer.decode(ids[end - length : end]) == f" {question.answer}<end_of_utterance>"
                alone.append(model(**inputs).logits[0, end - length - 1 : end - 1])
    torch.testing.assert_close(logits, torch.cat(alone), atol=2e-4, rtol=1e-3)
    assert len(labels) == len(logits)


def test_pixel_values_are_those_of_the_processor(tokenizer) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    made = make_processor(tokenizer).image_processor(Image.fromarray(picture), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(torch.from_numpy(pixel_values(picture[None])), made[0], atol=1e-5, rtol=0)


def test_too_many_questions_for_a_row_are_refused(tokenizer) -> None:
    with pytest.raises(ValueError, match="ask fewer"):
        Packer(tokenizer, row=40).pack([ASKED[0] * 3])


@pytest.mark.parametrize("word", ["star", "purple", "vehicle", "digit", "middle", "7", "weather"])
def test_every_word_of_the_demo_is_one_piece(tokenizer, word: str) -> None:
    assert len(tokenizer(f" {word}", add_special_tokens=False).input_ids) == 1


def test_text_of_any_language_survives_the_tokenizer(tokenizer) -> None:
    text = "Żółw – 亀 🐢"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
