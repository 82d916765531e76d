"""The little world of the demo model: a 3x3 grid with one to four coloured shapes, or one big shape or digit.

Makes scenes and their pictures from a seed. It knows no words beyond the names of things, and no questions.
Pictures are put together from alpha masks that are painted once per run: painting is slow, mixing colours is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.demo.shapes import SHAPES, outline, placed

IMAGE_SIZE = 48
CELL = 16
DIGITS: tuple[str, ...] = tuple("0123456789")
PLACES: tuple[str, ...] = (
    "top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right",
)  # fmt: skip
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 35, 35),
    "orange": (245, 135, 15),
    "yellow": (245, 225, 40),
    "green": (35, 160, 60),
    "blue": (40, 75, 220),
    "purple": (150, 45, 190),
    "black": (12, 12, 12),
    "white": (246, 246, 246),
}
COLOUR_NAMES: tuple[str, ...] = tuple(COLOURS)

# What a cell can hold, as one number: 0 nothing, then small shapes, big shapes, digits.
SMALL, BIG, DIGIT = 1, 1 + len(SHAPES), 1 + 2 * len(SHAPES)
CELL_CLASSES = DIGIT + len(DIGITS)
CELL_COLOURS = 1 + len(COLOURS)

FONT_FOLDERS = ("liberation", "dejavu", "open-sans", "roboto/unhinted/RobotoTTF")
FONT_ROOT = Path("/usr/share/fonts/truetype")


@dataclass(frozen=True)
class Thing:
    """One object: a shape in a cell, or (`place` is None) a shape or digit that fills the picture."""

    kind: str
    """A name from SHAPES or DIGITS."""
    colour: str
    """A name from COLOURS."""
    place: int | None
    """The cell, 0 to 8 in reading order."""

    @property
    def is_digit(self) -> bool:
        """Whether it is a digit; digits are always big."""
        return self.kind in DIGITS

    @property
    def cell_class(self) -> int:
        """What the cells that it covers hold, as one number."""
        if self.is_digit:
            return DIGIT + int(self.kind)
        return (BIG if self.place is None else SMALL) + SHAPES.index(self.kind)


@dataclass(frozen=True)
class Scene:
    """What is in one picture, in reading order."""

    things: tuple[Thing, ...]

    def cells(self) -> tuple[list[int], list[int]]:
        """Class and colour of each of the nine cells, 0 for nothing."""
        classes, colours = [0] * 9, [0] * 9
        for thing in self.things:
            covered = range(9) if thing.place is None else (thing.place,)
            for cell in covered:
                classes[cell] = thing.cell_class
                colours[cell] = 1 + COLOUR_NAMES.index(thing.colour)
        return classes, colours


def sample_scene(rng: np.random.Generator, digit_share: float = 0.22, big_share: float = 0.1) -> Scene:
    """One scene: a digit, a big shape, or one to four small shapes."""
    roll = rng.random()
    if roll < digit_share:
        return Scene((Thing(str(rng.choice(DIGITS)), _colour(rng, ()), None),))
    if roll < digit_share + big_share:
        return Scene((Thing(str(rng.choice(SHAPES)), _colour(rng, ()), None),))
    return _grid_scene(rng)


def _grid_scene(rng: np.random.Generator) -> Scene:
    count = int(rng.choice(4, p=[0.2, 0.25, 0.3, 0.25])) + 1
    cells = sorted(rng.choice(9, size=count, replace=False).tolist())
    # Different kinds make "the star" mean one thing; a fifth of the scenes may repeat, so that counting is counting.
    kinds = rng.choice(len(SHAPES), size=count, replace=bool(rng.random() < 0.2))
    colours: list[str] = []
    for _ in range(count):
        colours.append(_colour(rng, tuple(colours)))
    return Scene(tuple(Thing(SHAPES[k], c, p) for k, c, p in zip(kinds, colours, cells, strict=True)))


def _colour(rng: np.random.Generator, taken: tuple[str, ...]) -> str:
    """A colour; black and white never meet, because no background shows both."""
    banned = {"black": "white", "white": "black"}
    free = [c for c in COLOUR_NAMES if banned.get(c) not in taken]
    return free[int(rng.integers(len(free)))]


def find_fonts() -> list[Path]:
    """The upright fonts of the Debian packages fonts-liberation, -dejavu-core, -open-sans and -roboto-unhinted.

    An empty list where none is installed: digits are then painted in Pillow's own font, which is enough for tests.
    """
    paths = sorted(p for folder in FONT_FOLDERS for p in (FONT_ROOT / folder).glob("*.ttf"))
    return [p for p in paths if _is_plain(p.stem)]


def font_families(fonts: list[Path]) -> list[str]:
    """The families' names, for the record."""
    return sorted({f.stem.partition("-")[0] for f in fonts}) or ["Pillow's own"]


def _is_plain(stem: str) -> bool:
    family, _, style = stem.partition("-")
    return (style in ("Regular", "Bold", "Medium") or style == "") and "Math" not in family and "Cond" not in stem


class Sprites:
    """Painted alpha masks: small shapes 16x16, big shapes and digits 48x48, several variants of each."""

    def __init__(self, seed: int, variants: int, fonts: list[Path]) -> None:
        rng = np.random.default_rng([seed, 7])
        self.small = np.stack([[paint_small(rng, s) for _ in range(variants)] for s in SHAPES])
        self.big = np.stack([[paint_big(rng, s) for _ in range(variants)] for s in SHAPES])
        self.digits = np.stack([[paint_digit(rng, d, fonts) for _ in range(3 * variants)] for d in DIGITS])

    def mask(self, thing: Thing, rng: np.random.Generator) -> np.ndarray:
        """One variant of the thing's mask, uint8."""
        if thing.is_digit:
            bank = self.digits[int(thing.kind)]
        else:
            bank = (self.big if thing.place is None else self.small)[SHAPES.index(thing.kind)]
        chosen: np.ndarray = bank[rng.integers(len(bank))]
        return chosen


def paint_small(rng: np.random.Generator, shape: str) -> np.ndarray:
    """A shape for one cell: radius 5 to 7 pixels, never over the cell's edge."""
    radius = rng.uniform(5.0, 7.2)
    room = 7.8 - radius
    centre = (8 + rng.uniform(-room, room), 8 + rng.uniform(-room, room))
    return _paint(CELL, outline(shape), centre, radius, rng.uniform(-0.17, 0.17))


def paint_big(rng: np.random.Generator, shape: str) -> np.ndarray:
    """A shape that fills the picture: radius 13 to 22 pixels."""
    radius = rng.uniform(13.0, 22.0)
    room = 23.5 - radius
    centre = (24 + rng.uniform(-room, room), 24 + rng.uniform(-room, room))
    return _paint(IMAGE_SIZE, outline(shape), centre, radius, rng.uniform(-0.2, 0.2))


def _paint(
    size: int, points: list[tuple[float, float]], centre: tuple[float, float], radius: float, turn: float, fine: int = 6
) -> np.ndarray:
    canvas = Image.new("L", (size * fine, size * fine))
    moved = placed(points, centre, radius, turn)
    ImageDraw.Draw(canvas).polygon([(x * fine, y * fine) for x, y in moved], fill=255)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))


def paint_digit(rng: np.random.Generator, digit: str, fonts: list[Path]) -> np.ndarray:
    """A digit 22 to 44 pixels high in one of the fonts, turned, slanted and moved a little."""
    fine, size = 3, IMAGE_SIZE * 3
    font = _font(rng, fonts, fine)
    canvas = Image.new("L", (size, size))
    room = 3 * fine
    anchor = (size / 2 + rng.uniform(-room, room), size / 2 + rng.uniform(-room, room))
    ImageDraw.Draw(canvas).text(anchor, digit, font=font, fill=255, anchor="mm")
    turn, slant, width = rng.uniform(-0.22, 0.22), rng.uniform(-0.25, 0.25), rng.uniform(0.8, 1.15)
    canvas = canvas.transform((size, size), Image.Transform.AFFINE, _affine(size / 2, turn, slant, width))
    return np.asarray(canvas.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX))


def _font(rng: np.random.Generator, fonts: list[Path], fine: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if not fonts:
        return ImageFont.load_default(rng.uniform(30, 60) * fine)
    return ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), int(rng.uniform(30, 60) * fine))


def _affine(middle: float, turn: float, slant: float, width: float) -> tuple[float, ...]:
    """The inverse map that Pillow wants: turn, slant and widen around the middle."""
    cos, sin = math.cos(turn), math.sin(turn)
    a, b, d, e = cos / width, slant + sin, -sin, cos
    return (a, b, middle - a * middle - b * middle, d, e, middle - d * middle - e * middle)


def render(scene: Scene, sprites: Sprites, rng: np.random.Generator) -> np.ndarray:
    """The scene's picture, uint8 [48, 48, 3]: a plain tinted background, the things, a little noise."""
    picture = np.empty((IMAGE_SIZE, IMAGE_SIZE, 3), np.float32)
    picture[:] = _background(scene, rng)
    for thing in scene.things:
        ink = np.asarray(COLOURS[thing.colour], np.float32) + rng.uniform(-18, 18, 3).astype(np.float32)
        alpha = sprites.mask(thing, rng).astype(np.float32)[..., None] / 255
        if thing.place is None:
            area = picture
        else:
            row, column = divmod(thing.place, 3)
            area = picture[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
        area += alpha * (ink - area)
    grain = rng.uniform(0, 7)
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * grain
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _background(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Grey with a tint; light behind black, dark behind white."""
    colours = {thing.colour for thing in scene.things}
    low, high = (135, 255) if "black" in colours else (0, 140) if "white" in colours else (25, 235)
    grey = rng.uniform(low, high) + rng.uniform(-14, 14, 3)
    return np.clip(grey, 0, 255).astype(np.float32)


def pixel_values(pictures: np.ndarray) -> np.ndarray:
    """What the image processor makes of 48x48 pictures: [N, 48, 48, 3] uint8 -> [N, 3, 48, 48] in -1..1."""
    return np.ascontiguousarray((pictures.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2))
