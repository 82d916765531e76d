"""What each of the three training stages computes: a loss for one step. No loop, no files.

`read`  the language model learns to answer from perfect eyes: each image token is the sum of three vectors out of
        throw-away tables (what is in the cell, its colour, its place). No pictures, so it is cheap.
`see`   vision and connector learn to produce those sums from pictures, helped by throw-away classifier heads.
`speak` everything together, from pictures to answers; the heads go on helping the eyes a little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import Idefics3ForConditionalGeneration, PreTrainedTokenizerFast

from core.demo.architecture import TEXT_WIDTH
from core.demo.packing import Packed, Packer
from core.demo.questions import WEIGHTS, sample_questions
from core.demo.scenes import (
    CELL_CLASSES,
    CELL_COLOURS,
    COLOUR_NAMES,
    DIGITS,
    PLACES,
    Scene,
    Sprites,
    pixel_values,
    render,
    sample_scene,
)
from core.demo.shapes import SHAPES

STAGES: tuple[str, ...] = ("read", "see", "speak")
IMAGE_NOISE = 0.25
HEADS_HELP = 0.3

# To look something up in the picture is the hard part of reading, and among all the easy questions it is learned
# late: 49% (guessing) after 250 mixed steps, 82% after 100 steps of mostly this.
LOOK_UP_UNTIL = 0.25
LOOK_UP_FIRST = {
    **dict.fromkeys(WEIGHTS, 0.1),
    "colour of a named shape": 4.0,
    "where": 3.0,
    "what is at a place": 2.0,
    "shape of a named colour": 1.0,
    "is there": 1.0,
}


# When the eyes open, the short answers about perfect cells are at 100%; long answers and digits are left to learn.
SPEAK = {**dict.fromkeys(WEIGHTS, 1.0), "shape": 1.5, "digit": 4.0, "list": 3.0, "caption": 5.0}


class Scaffold(nn.Module):
    """The parts that are thrown away after training: the tables of perfect eyes and the classifier heads."""

    def __init__(self, words: Callable[[str], torch.Tensor]) -> None:
        """`words` gives the embedding that the language model has for a word: the tables start from those."""
        super().__init__()
        nothing = torch.zeros(TEXT_WIDTH)
        shapes = [words(s) for s in SHAPES]
        big = [s + words("big") for s in shapes]
        digits = [words(d) + words("digit") for d in DIGITS]
        self.what = nn.Embedding.from_pretrained(torch.stack([nothing, *shapes, *big, *digits]))
        self.colour = nn.Embedding.from_pretrained(torch.stack([nothing, *(words(c) for c in COLOUR_NAMES)]))
        self.place = nn.Embedding.from_pretrained(torch.stack([words(p) for p in PLACES]))
        self.what_head = nn.Linear(TEXT_WIDTH, CELL_CLASSES)
        self.colour_head = nn.Linear(TEXT_WIDTH, CELL_COLOURS)

    def perfect(self, what: torch.Tensor, colour: torch.Tensor) -> torch.Tensor:
        """Image tokens as perfect eyes would make them: [N, 9] classes and colours -> [N, 9, D]."""
        return self.what(what) + self.colour(colour) + self.place.weight

    def naming_loss(self, tokens: torch.Tensor, what: torch.Tensor, colour: torch.Tensor) -> torch.Tensor:
        """How badly the heads read the cells from image tokens [N, 9, D]; filled cells weigh more than empty ones."""
        weight = torch.where(what > 0, 1.0, 0.25).flatten()
        loss = _cross_entropy(self.what_head(tokens), what) + _cross_entropy(self.colour_head(tokens), colour)
        return (loss * weight).sum() / weight.sum()


def word_embeddings(
    model: Idefics3ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast
) -> Callable[[str], torch.Tensor]:
    """Looks up the sum of the embeddings of a text's pieces, as they stand now."""
    table = model.get_input_embeddings().weight.detach().clone()
    return lambda text: table[tokenizer(f" {text}", add_special_tokens=False).input_ids].sum(0)


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none")


@dataclass(frozen=True)
class World:
    """Where batches come from: scenes and questions from a seed, pictures from painted sprites."""

    packer: Packer
    sprites: Sprites

    def questions(self, rng: np.random.Generator, scenes: list[Scene], each: int, weights: dict[str, float]) -> Packed:
        """A packed batch of questions about the scenes; a digit has fewer different questions to ask."""
        return self.packer.pack([sample_questions(s, rng, each, weights) for s in scenes])

    def pictures(self, rng: np.random.Generator, scenes: list[Scene]) -> torch.Tensor:
        """The scenes' pictures as the processor would hand them over, [N, 3, 48, 48]."""
        return torch.from_numpy(pixel_values(np.stack([render(s, self.sprites, rng) for s in scenes])))


def sample_scenes(rng: np.random.Generator, count: int, digit_share: float = 0.22) -> list[Scene]:
    """Independent scenes."""
    return [sample_scene(rng, digit_share) for _ in range(count)]


def cell_labels(scenes: list[Scene]) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes and colours of the cells, [N, 9] each."""
    cells = [s.cells() for s in scenes]
    return torch.tensor([c[0] for c in cells]), torch.tensor([c[1] for c in cells])


def image_tokens(model: Idefics3ForConditionalGeneration, pictures: torch.Tensor) -> torch.Tensor:
    """Pictures [N, 3, 48, 48] -> what the language model sees of them, [N, 9, D]."""
    hidden = model.model.vision_model(pixel_values=pictures).last_hidden_state
    tokens: torch.Tensor = model.model.connector(hidden)
    return tokens


def answer_logits(
    model: Idefics3ForConditionalGeneration, packed: Packed, tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels at the answers' tokens only, [A, V] and [A]; `tokens` [N, 9, D] in packed order."""
    embeddings = model.get_input_embeddings()(packed.ids)
    at_image = (packed.ids == model.config.image_token_id).unsqueeze(-1)
    embeddings = embeddings.masked_scatter(at_image, tokens.to(embeddings.dtype))
    hidden = model.model.text_model(
        inputs_embeds=embeddings, attention_mask=packed.mask, position_ids=packed.positions, use_cache=False
    ).last_hidden_state
    answered = packed.labels >= 0
    return model.lm_head(hidden[answered]), packed.labels[answered]


@dataclass(frozen=True)
class Step:
    """What a step draws its batch from."""

    rng: np.random.Generator
    scenes: int
    progress: float
    """How far the stage has come, 0 to 1."""


def read_loss(model: Idefics3ForConditionalGeneration, scaffold: Scaffold, world: World, step: Step) -> torch.Tensor:
    """Questions answered from perfect image tokens, blurred a little so that real eyes will do."""
    rng, size = step.rng, step.scenes
    # A digit looks the same to the language model wherever it stands, so few of them are enough here.
    scenes = sample_scenes(rng, size, digit_share=0.1)
    packed = world.questions(rng, scenes, 7, LOOK_UP_FIRST if step.progress < LOOK_UP_UNTIL else WEIGHTS)
    what, colour = cell_labels([scenes[i] for i in packed.pictures])
    tokens = scaffold.perfect(what, colour)
    noise = torch.from_numpy(rng.standard_normal(tokens.shape, dtype=np.float32))
    tokens = tokens + noise * (IMAGE_NOISE * tokens.detach().std())
    logits, labels = answer_logits(model, packed, tokens)
    return F.cross_entropy(logits.float(), labels)


def see_loss(model: Idefics3ForConditionalGeneration, scaffold: Scaffold, world: World, step: Step) -> torch.Tensor:
    """Cells named by the heads, and image tokens close to the perfect ones (squared error over their variance)."""
    rng, size = step.rng, step.scenes
    scenes = sample_scenes(rng, size, digit_share=0.4)
    what, colour = cell_labels(scenes)
    tokens = image_tokens(model, world.pictures(rng, scenes))
    target = scaffold.perfect(what, colour).detach()
    weight = torch.where(what > 0, 1.0, 0.4).unsqueeze(-1)
    distance = (weight * (tokens.float() - target) ** 2).mean() / target.var()
    return scaffold.naming_loss(tokens, what, colour) + distance


def speak_loss(model: Idefics3ForConditionalGeneration, scaffold: Scaffold, world: World, step: Step) -> torch.Tensor:
    """Questions answered from pictures, with a little help from the heads."""
    rng, size = step.rng, step.scenes
    scenes = sample_scenes(rng, size, digit_share=0.3)
    packed = world.questions(rng, scenes, 6, SPEAK)
    scenes = [scenes[i] for i in packed.pictures]
    tokens = image_tokens(model, world.pictures(rng, scenes))
    logits, labels = answer_logits(model, packed, tokens)
    help_ = scaffold.naming_loss(tokens, *cell_labels(scenes))
    return F.cross_entropy(logits.float(), labels) + HEADS_HELP * help_


LOSSES = {"read": read_loss, "see": see_loss, "speak": speak_loss}


def trained_parts(stage: str, model: Idefics3ForConditionalGeneration, scaffold: Scaffold) -> list[nn.Module]:
    """The modules that learn in a stage; the others keep still."""
    eyes = [model.model.vision_model, model.model.connector]
    heads = [scaffold.what_head, scaffold.colour_head]
    return {
        "read": [model.model.text_model, scaffold.what, scaffold.colour, scaffold.place],
        "see": [*eyes, *heads],
        "speak": [*eyes, model.model.text_model, *heads],
    }[stage]
