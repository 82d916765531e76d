"""The demo model in `assets/`: loads offline with the Auto classes, is small, and is as good as its card says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from core.demo.card import card
from core.demo.heldout import evaluate_folder, heldout_examples
from core.demo.scenes import find_fonts, font_families

MODEL = Path(__file__).parents[2] / "assets" / "demo" / "model"
OTHER_SEED = 5
PER_TYPE = 20


@pytest.fixture(scope="module")
def facts() -> dict:
    return json.loads((MODEL / "evaluation.json").read_text("utf-8"))


def test_it_loads_offline_with_the_auto_classes(facts: dict) -> None:
    processor = AutoProcessor.from_pretrained(MODEL, local_files_only=True)
    model = AutoModelForImageTextToText.from_pretrained(MODEL, local_files_only=True)
    assert processor.tokenizer.convert_tokens_to_ids("<image>") == model.config.image_token_id
    assert sum(p.numel() for p in model.parameters()) == facts["parameters"]["total"]


def test_it_is_small_and_holds_no_pickles() -> None:
    assert (MODEL / "model.safetensors").stat().st_size <= 15_000_000
    assert {p.suffix for p in MODEL.iterdir()} <= {".safetensors", ".json", ".jinja", ".md"}
    assert all(t.isfinite().all() for t in load_file(MODEL / "model.safetensors").values())


def test_the_claims_hold_by_the_recorded_figures(facts: dict) -> None:
    claimed = [v for v in facts["types"].values() if v["claimed"]]
    assert facts["claimed"]["accuracy"] >= 0.92
    assert facts["claimed"]["questions"] == sum(v["questions"] for v in claimed) >= 1200
    assert all(v["accuracy"] >= 0.80 for v in claimed)
    assert len(claimed) >= 8


def test_the_card_says_what_was_recorded(facts: dict) -> None:
    assert (MODEL / "README.md").read_text("utf-8") == card(facts)


@pytest.mark.slow
def test_other_heldout_questions_agree_with_the_card(facts: dict) -> None:
    if font_families(find_fonts()) != facts["fonts"]:
        pytest.skip("digits are painted in fonts that are not installed here")
    scores = evaluate_folder(MODEL, heldout_examples(OTHER_SEED, PER_TYPE, variants=10))
    claimed = {t: s for t, s in scores.items() if facts["types"][t]["claimed"]}
    asked = sum(s.asked for s in claimed.values())
    share = sum(s.right for s in claimed.values()) / asked
    expected = facts["claimed"]["accuracy"]
    # Three standard errors of the difference between this sample's share and the recorded one.
    error = math.sqrt(expected * (1 - expected) * (1 / asked + 1 / facts["claimed"]["questions"]))
    assert abs(share - expected) <= max(3 * error, 0.01)


def test_assistant_tokens_are_marked_by_the_chat_template() -> None:
    processor = AutoProcessor.from_pretrained(MODEL, local_files_only=True)
    chat = [{"role": "user", "content": "What shape is this?"}, {"role": "assistant", "content": "star"}]
    inputs = processor.tokenizer.apply_chat_template(
        chat, chat_template=processor.chat_template, return_dict=True, return_assistant_tokens_mask=True
    )
    marked = [i for i, m in zip(inputs["input_ids"], inputs["assistant_masks"], strict=True) if m]
    assert processor.tokenizer.decode(marked) == " star<end_of_utterance>\n"
