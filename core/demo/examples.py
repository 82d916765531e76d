"""What is in each demo data set: its rows (picture, question, answer), its story, its licence. Writes no files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from core.demo.scenes import CELL, COLOURS, Scene, Thing, sample_scene
from core.demo.shapes import SHAPES, outline, placed

SIDE = 96
FINE = 4
PENCIL, PAPER = 90, 205


@dataclass(frozen=True)
class Row:
    """One example."""

    picture: Image.Image
    question: str
    answer: str


@dataclass(frozen=True)
class About:
    """What `dataset.json` and `LICENSE` say."""

    title: str
    story: str
    licence: str
    attribution: str
    question: str
    kind: str
    licence_text: str

    def as_json(self) -> dict[str, str]:
        """The part that goes into `dataset.json`."""
        keys = ("title", "story", "licence", "attribution", "question", "kind")
        return {key: getattr(self, key) for key in keys}


OWN_LICENCE = """\
Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0
SPDX-License-Identifier: Apache-2.0

The pictures and answers of this folder were drawn by core/demo/datasets.py of VLM LoRA Studio.
"""

DIGITS = About(
    title="Handwritten digits",
    story="Real handwriting: the model has only seen printed digits, and learns to read what people wrote.",
    licence="CC-BY-4.0",
    attribution="Alpaydin, E. & Kaynak, C. (1998). Optical Recognition of Handwritten Digits. UCI Machine Learning "
    "Repository. https://doi.org/10.24432/C50P49",
    question="What digit is this?",
    kind="new pictures",
    licence_text="""\
Creative Commons Attribution 4.0 International (CC BY 4.0), https://creativecommons.org/licenses/by/4.0/
SPDX-License-Identifier: CC-BY-4.0

Alpaydin, E. & Kaynak, C. (1998). Optical Recognition of Handwritten Digits. UCI Machine Learning Repository.
https://doi.org/10.24432/C50P49

Taken from scikit-learn's copy of the data's test part (sklearn/datasets/data/digits.csv.gz).
Changes: a part of the 1,797 digits was chosen, enlarged from 8x8 to 96x96 pixels with smoothing, coloured as
pencil on grey paper, and stored as PNG.
""",
)

EMOJI = About(
    title="Kinds of emoji",
    story="New pictures and new words: a face, an animal, food, a flag? The hardest of the four for so small a model.",
    licence="Apache-2.0",
    attribution="Noto Emoji, Google LLC, as packed by emoji-datasource-google 16 (Cal Henderson)",
    question="What kind of emoji is this?",
    kind="new pictures and new words",
    licence_text="""\
Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0
SPDX-License-Identifier: Apache-2.0

The pictures are from Noto Emoji, copyright Google LLC (https://github.com/googlefonts/noto-emoji), taken from the npm
package emoji-datasource-google 16 (https://github.com/iamcal/emoji-data; the package's own code is MIT).
Changes: a part of the emoji was chosen, put on a white background and stored as PNG with 32 colours. The kinds are
made from the package's categories.
""",
)

OUTLINE = About(
    title="Outline drawings",
    story="A new style: the model knows filled shapes, and learns to name the same shapes drawn as a thin line.",
    licence="Apache-2.0",
    attribution="VLM LoRA Studio",
    question="What shape is this?",
    kind="new pictures",
    licence_text=OWN_LICENCE,
)

HOUSE_FORMAT = About(
    title="House answer format",
    story="A new way to answer: the model sees well enough, and learns to fill in the house's form.",
    licence="Apache-2.0",
    attribution="VLM LoRA Studio",
    question="Describe the picture.",
    kind="new answers",
    licence_text=OWN_LICENCE,
)


def digits(seed: int, _emoji_package: Path | None = None) -> Iterator[Row]:
    """Handwritten digits in a seeded order, pencil on grey paper, enlarged smoothly."""
    packed = resources.files("sklearn.datasets.data").joinpath("digits.csv.gz").read_bytes()
    table = np.array([line.split(",") for line in gzip.decompress(packed).decode().split()], float).astype(int)
    for index in np.random.default_rng([seed, 11]).permutation(len(table)):
        ink = PAPER - table[index, :64].reshape(8, 8) * (PAPER - PENCIL) // 16
        picture = Image.fromarray(ink.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        yield Row(picture, DIGITS.question, str(table[index, 64]))


# Kind of emoji -> category or beginnings of subcategories in the package's table.
EMOJI_KINDS: dict[str, tuple[str, ...]] = {
    "face": ("face-",),
    "animal": ("animal-", "monkey-face", "cat-face"),
    "food": ("Food & Drink",),
    "flag": ("Flags",),
    "person": ("person",),
    "vehicle": ("transport-ground", "transport-air", "transport-water"),
    "weather": ("sky & weather",),
    "symbol": ("Symbols",),
}
MOST_OF_A_KIND = 100


def emoji(seed: int, emoji_package: Path | None = None) -> Iterator[Row]:
    """Emoji on white, at most 100 of a kind, in a seeded order.

    Raises:
        FileNotFoundError: no package folder was given.
    """
    if emoji_package is None:
        raise FileNotFoundError("the emoji come from the npm package: unpack it and pass --emoji-package DIR")
    table = json.loads((emoji_package / "emoji.json").read_text("utf-8"))
    rng = np.random.default_rng([seed, 14])
    chosen: dict[str, list[str]] = {kind: [] for kind in EMOJI_KINDS}
    for entry in (table[i] for i in rng.permutation(len(table))):
        kind = _emoji_kind(entry)
        if kind and entry["has_img_google"] and len(chosen[kind]) < MOST_OF_A_KIND:
            chosen[kind].append(entry["image"])
    rows = [(kind, image) for kind, images in chosen.items() for image in images]
    for kind, image in (rows[i] for i in rng.permutation(len(rows))):
        yield Row(_on_white(emoji_package / "img/google/64" / image), EMOJI.question, kind)


def _emoji_kind(entry: dict[str, str]) -> str | None:
    for kind, starts in EMOJI_KINDS.items():
        if entry["category"] in starts or any(entry["subcategory"].startswith(s) for s in starts):
            return kind
    return None


def _on_white(path: Path) -> Image.Image:
    drawn = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", drawn.size, "white")
    return Image.alpha_composite(white, drawn).convert("RGB")


def outline_shapes(seed: int, _emoji_package: Path | None = None) -> Iterator[Row]:
    """One big shape as a thin dark or coloured line on light paper."""
    rng = np.random.default_rng([seed, 12])
    dark = ("black", "blue", "red", "green", "purple")
    while True:
        shape = SHAPES[int(rng.integers(len(SHAPES)))]
        radius = rng.uniform(26, 42)
        room = SIDE / 2 - radius - 3
        centre = (SIDE / 2 + rng.uniform(-room, room), SIDE / 2 + rng.uniform(-room, room))
        points = placed(outline(shape), centre, radius, rng.uniform(-0.25, 0.25))
        paper = tuple(int(v) for v in rng.integers(225, 256, 3))
        ink = COLOURS[dark[int(rng.integers(len(dark)))]]
        yield Row(_stroked(points, paper, ink, width=rng.uniform(2.0, 4.0)), OUTLINE.question, shape)


def _stroked(
    points: list[tuple[float, float]], paper: tuple[int, ...], ink: tuple[int, ...], width: float
) -> Image.Image:
    canvas = Image.new("RGB", (SIDE * FINE, SIDE * FINE), paper)
    fine = [(x * FINE, y * FINE) for x, y in points]
    closed = [*fine, fine[0], fine[1]]
    ImageDraw.Draw(canvas).line(closed, fill=ink, width=round(width * FINE), joint="curve")
    return canvas.resize((SIDE, SIDE), Image.Resampling.BOX)


def house_format(seed: int, _emoji_package: Path | None = None) -> Iterator[Row]:
    """Pictures of the model's own world with one or two shapes, answered as a form."""
    rng = np.random.default_rng([seed, 13])
    while True:
        scene = sample_scene(rng, digit_share=0.0, big_share=0.0)
        if len(scene.things) == 1:
            yield Row(draw(scene, rng), HOUSE_FORMAT.question, house_answer(scene.things[0]))


def house_answer(thing: Thing) -> str:
    """The house's form.

    >>> house_answer(Thing("star", "red", 4))
    'shape: star | colour: red'
    """
    return f"shape: {thing.kind} | colour: {thing.colour}"


def draw(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """A grid scene at twice the model's size, without noise."""
    scale = SIDE / (3 * CELL)
    canvas = Image.new("RGB", (SIDE * FINE, SIDE * FINE), _paper(scene, rng))
    brush = ImageDraw.Draw(canvas)
    for thing in scene.things:
        row, column = divmod(thing.place or 0, 3)
        centre = ((column + 0.5) * CELL * scale, (row + 0.5) * CELL * scale)
        points = placed(outline(thing.kind), centre, rng.uniform(5.5, 7.2) * scale, rng.uniform(-0.15, 0.15))
        brush.polygon([(x * FINE, y * FINE) for x, y in points], fill=COLOURS[thing.colour])
    return canvas.resize((SIDE, SIDE), Image.Resampling.BOX)


def _paper(scene: Scene, rng: np.random.Generator) -> tuple[int, ...]:
    colours = {thing.colour for thing in scene.things}
    low, high = (30, 120) if "white" in colours else (170, 240)
    return tuple(int(v) for v in rng.integers(low, high) + rng.integers(-12, 13, 3))
