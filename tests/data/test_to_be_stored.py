"""Rows as they will be stored, before they are: the sizes are Pillow's own, and nothing is decoded to know them."""

from __future__ import annotations

import random
from io import BytesIO

import pytest
from PIL import Image

from core.data.formats.finder import PictureBytes
from core.data.rows import ask
from core.data.storing.to_be_stored import PictureToStore, smaller, to_be_stored

RANDOM = random.Random(0)
SIZES = [
    (1, 1),
    (16, 1),
    (1, 16),
    (640, 480),
    (333, 1000),
    *((RANDOM.randint(1, 900), RANDOM.randint(1, 900)) for _ in range(60)),
]


def picture(size: tuple[int, int], orientation: int = 1) -> PictureBytes:
    file = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.effect_noise(size, 60).convert("RGB").save(file, "JPEG", exif=exif)
    return PictureBytes("a.jpg", file.getvalue())


@pytest.mark.parametrize("side", [16, 100, 333, 899])
def test_a_size_is_rounded_as_pillow_rounds_it(side: int):
    for size in SIZES:
        image = Image.new("L", size)
        image.thumbnail((side, side))
        assert smaller(size, side) == image.size, size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [None, 50, 5000])
def test_the_size_is_that_of_the_picture_once_it_is_opened(orientation: int, side: int | None):
    made = PictureToStore(picture((160, 90), orientation), side)
    assert made.size == made.open().size
    assert (max(made.size) == 50) == (side == 50)


def test_the_size_is_known_without_decoding(monkeypatch):
    made = PictureToStore(picture((160, 90)), 80)
    monkeypatch.setattr(PictureBytes, "open", lambda self: pytest.fail("it was decoded"))
    assert made.size == (80, 45)


def test_a_row_keeps_everything_else(monkeypatch):
    row = ask((picture((40, 30)), picture((50, 20))), "Which?", "the first", system="Be brief.")
    made = to_be_stored(row, 20)
    assert [turn.text for turn in made.turns] == [turn.text for turn in row.turns]
    assert [each.open().size for each in made.pictures] == [(20, 15), (20, 8)]
    assert [each.name for each in made.pictures] == ["a.jpg", "a.jpg"]
    assert made.pictures[0].read() == row.pictures[0].read()
