"""Accuracy per question type on scenes that training never sees: quickly during training, and at the end through
the saved folder with the Auto classes, the chat template and greedy `generate`, as anyone else would use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, Idefics3ForConditionalGeneration

from core.demo.questions import TYPES, WEIGHTS, Question, ask
from core.demo.scenes import DIGIT, Scene, Sprites, find_fonts, render, sample_scene
from core.demo.stages import Scaffold, World, answer_logits, cell_labels, image_tokens, sample_scenes

# Added to the seed: scenes, and the painted variants of shapes and digits, that training cannot meet.
HELDOUT_SEED = 10_000_000
CLAIMED_FROM = 0.80


@dataclass(frozen=True)
class Example:
    """One held-out question with its picture."""

    picture: Image.Image
    question: Question


@dataclass(frozen=True)
class Score:
    """How many of the questions of one type were answered exactly."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        """Right answers, 0 to 1."""
        return self.right / max(self.asked, 1)


def heldout_examples(seed: int, per_type: int, variants: int = 40) -> list[Example]:
    """`per_type` questions of every type, each about a picture of its own."""
    rng = np.random.default_rng([HELDOUT_SEED + seed, 1])
    sprites = Sprites(HELDOUT_SEED + seed, variants, find_fonts())
    return [_example(type_, rng, sprites) for type_ in TYPES for _ in range(per_type)]


def _example(type_: str, rng: np.random.Generator, sprites: Sprites) -> Example:
    while True:
        scene = sample_scene(rng)
        question = ask(type_, scene, rng)
        if question is not None:
            return Example(Image.fromarray(render(scene, sprites, rng)), question)


def evaluate_folder(folder: Path, examples: list[Example], batch: int = 64) -> dict[str, Score]:
    """Exact match per question type of the saved model, loaded offline with the Auto classes."""
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    model = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True).eval()
    answers: list[str] = []
    for start in range(0, len(examples), batch):
        answers += generate_answers(model, processor, examples[start : start + batch])
    right = [a == e.question.answer for a, e in zip(answers, examples, strict=True)]
    return _tally([e.question.type for e in examples], right)


def generate_answers(model: torch.nn.Module, processor: object, examples: list[Example]) -> list[str]:
    """Greedy answers to a batch of questions."""
    inputs = processor.apply_chat_template(  # type: ignore[attr-defined]
        [_chat(e) for e in examples], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        processor_kwargs={"padding": True},
    )  # fmt: skip
    with torch.no_grad():
        tokens = model.generate(**inputs, do_sample=False, max_new_tokens=64)  # type: ignore[operator]
    new = tokens[:, inputs["input_ids"].shape[1] :]
    texts: list[str] = processor.batch_decode(new, skip_special_tokens=True)  # type: ignore[attr-defined]
    return [text.strip() for text in texts]


def _chat(example: Example) -> list[dict[str, Any]]:
    picture = {"type": "image", "image": example.picture}
    return [{"role": "user", "content": [picture, {"type": "text", "text": example.question.text}]}]


def _tally(types: list[str], right: list[bool]) -> dict[str, Score]:
    return {
        t: Score(sum(r for u, r in zip(types, right, strict=True) if u == t), types.count(t))
        for t in TYPES
        if t in types
    }


class Probe:
    """Held-out questions asked during training, in one pass and without generating.

    An answer counts when every one of its tokens is the most likely one after the right tokens before it; that is
    the case exactly when greedy generation gives this answer.
    """

    def __init__(self, world: World, seed: int, scenes: int = 200) -> None:
        rng = np.random.default_rng([HELDOUT_SEED + seed, 2])
        drawn = sample_scenes(rng, scenes)
        self._packed = world.questions(rng, drawn, 5, dict.fromkeys(WEIGHTS, 1.0))
        self._scenes: list[Scene] = [drawn[i] for i in self._packed.pictures]
        self._pictures = world.pictures(rng, self._scenes)

    @torch.no_grad()
    def answers(self, model: Idefics3ForConditionalGeneration, scaffold: Scaffold | None) -> dict[str, Score]:
        """Score per question type, from pictures, or with a scaffold from perfect image tokens."""
        tokens = image_tokens(model, self._pictures) if scaffold is None else scaffold.perfect(*self._labels())
        logits, labels = answer_logits(model, self._packed, tokens)
        blocks = self._packed.blocks[self._packed.labels >= 0]
        wrong = set(blocks[logits.argmax(-1) != labels].tolist())
        questions = self._packed.questions
        return _tally([q.type for q in questions], [i not in wrong for i in range(len(questions))])

    @torch.no_grad()
    def cells(self, model: Idefics3ForConditionalGeneration, scaffold: Scaffold) -> dict[str, Score]:
        """How many filled cells the heads name rightly: what is there, and its colour."""
        what, colour = self._labels()
        tokens = image_tokens(model, self._pictures)
        filled = what > 0
        digits = what >= DIGIT
        right = scaffold.what_head(tokens).argmax(-1) == what
        hue = scaffold.colour_head(tokens).argmax(-1) == colour
        groups = {"shapes": (right, filled & ~digits), "digits": (right, digits), "colours": (hue, filled)}
        return {k: Score(int(r[at].sum()), int(at.sum())) for k, (r, at) in groups.items()}

    def _labels(self) -> tuple[torch.Tensor, torch.Tensor]:
        return cell_labels(self._scenes)
