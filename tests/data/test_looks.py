"""A look at a picture: what it says, that damage is said in words, and which pictures look alike."""

from __future__ import annotations

import random
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.checking.looks import Look, Looks, look_at, stamp_of
from core.data.checking.near import near_groups
from core.data.files.pictures import PictureFile, open_picture
from tests.data.made_data import picture


def file(image: Image.Image, kind: str = "PNG", **more: object) -> bytes:
    made = BytesIO()
    image.save(made, kind, **more)
    return made.getvalue()


def look(content: bytes, folder: Path) -> Look:
    (folder / "x").write_bytes(content)
    return look_at(PictureFile(folder / "x", "x"))


def groups(looks: list[Look]) -> list[int]:
    thumbs = np.stack([np.frombuffer(each.thumb, np.uint8).reshape(16, 16) for each in looks])
    return near_groups(np.array([each.dhash for each in looks], np.uint64), thumbs).tolist()


@pytest.mark.parametrize("side", [40, 900])
@pytest.mark.parametrize("kind", ["RGB", "L", "1", "P", "RGBA", "LA", "I;16"])
def test_the_likeness_is_of_what_is_opened_for_training(tmp_path: Path, kind: str, side: int) -> None:
    image = Image.linear_gradient("L").resize((side, side // 2))
    image = Image.fromarray(np.asarray(image, np.uint16) * 256) if kind == "I;16" else image.convert(kind)
    if "A" in kind:
        image.putalpha(Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90).resize(image.size))
    content = file(image)
    thumb = np.frombuffer(look(content, tmp_path).thumb, np.uint8).reshape(16, 16).astype(int)
    wanted = open_picture(content).convert("L").resize((16, 16), Image.Resampling.BOX)
    assert np.abs(thumb - np.asarray(wanted, int)).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_size_and_kind_are_told(tmp_path: Path, kind: str) -> None:
    found = look(file(picture(1, (80, 60)), kind), tmp_path)
    assert (found.width, found.height, found.trouble, found.frames) == (80, 60, "", False)
    assert found.kind == {"JPEG": "jpg", "TIFF": "tif"}.get(kind, kind.lower())


def test_a_turned_photo_looks_like_the_upright_one(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees to the right
    upright = picture(3, (320, 200))
    turned = look(file(upright.rotate(90, expand=True), "JPEG", quality=95, exif=exif), tmp_path)
    assert (turned.width, turned.height) == (320, 200)
    assert len(set(groups([turned, look(file(upright), tmp_path)]))) == 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_no_damage_is_more_than_a_sentence(tmp_path: Path, kind: str) -> None:
    dice, whole = random.Random(kind), file(picture(5, (64, 64)), kind)
    for _ in range(60):
        spoilt = bytearray(whole)
        for _ in range(dice.randrange(1, 8)):
            spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
        found = look(bytes(spoilt[: dice.choice((len(spoilt), dice.randrange(len(spoilt))))]), tmp_path)
        assert found.trouble or found.width > 0


def test_the_second_half_of_a_jpeg_is_missed(tmp_path: Path) -> None:
    whole = file(picture(5, (640, 480)), "JPEG")
    assert look(whole, tmp_path).trouble == ""
    assert "end is missing" in look(whole[: len(whole) // 2], tmp_path).trouble


def test_what_can_be_seen_through_is_looked_at_on_white(tmp_path: Path) -> None:
    symbol = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    symbol.paste((0, 0, 0, 255), (10, 10, 30, 50))
    on_white = Image.new("RGB", (64, 64), "white")
    on_white.paste((0, 0, 0), (10, 10, 30, 50))
    assert look(file(symbol), tmp_path).thumb == look(file(on_white), tmp_path).thumb


@pytest.mark.slow
def test_copies_are_alike_and_others_are_not(tmp_path: Path) -> None:
    photos = [picture(number, (320, 240)) for number in range(200)]
    copies = [
        file(photos[0].resize((160, 120)), "JPEG", quality=60),
        file(photos[1], "JPEG", quality=75),
        file(photos[2].convert("L")),
        file(Image.eval(photos[3], lambda value: min(255, value + 4))),
    ]
    labels = groups([look(content, tmp_path) for content in [*map(file, photos), *copies]])
    assert labels[200:] == [0, 1, 2, 3]
    assert labels[:200] == list(range(200))


def test_groups_are_those_of_comparing_all_with_all(tmp_path: Path) -> None:
    """The quick search finds what the definition says; hashes and likenesses are made up to meet often."""
    dice = np.random.default_rng(0)
    base = dice.integers(0, 256, (40, 16, 16), dtype=np.uint8)
    thumbs = np.concatenate([base, np.clip(base + dice.integers(-20, 20, base.shape), 0, 255).astype(np.uint8)])
    seeds = dice.integers(0, 2**63, 40, dtype=np.uint64)
    flips = np.array(
        [sum(1 << int(bit) for bit in dice.choice(64, n % 6, replace=False)) for n in range(40)], np.uint64
    )
    hashes = np.concatenate([seeds, seeds ^ flips])
    labels = near_groups(hashes, thumbs)
    flat = thumbs.reshape(80, -1).astype(float)
    for one in range(40):
        bits = int(hashes[one] ^ hashes[one + 40]).bit_count()
        difference = np.sqrt(((flat[one] - flat[one + 40]) ** 2).mean()) / min(flat[one].std(), flat[one + 40].std())
        assert (labels[one] == labels[one + 40]) == (bits <= 3 and difference <= 0.12)
    assert labels[:40].tolist() == list(range(40))


def test_no_pictures_and_plain_ones_have_no_likeness() -> None:
    assert near_groups(np.zeros(0, np.uint64), np.zeros((0, 16, 16), np.uint8)).tolist() == []
    assert near_groups(np.zeros(3, np.uint64), np.full((3, 16, 16), 200, np.uint8)).tolist() == [0, 1, 2]


def test_looks_are_kept_by_name_and_stamp(tmp_path: Path) -> None:
    looks = Looks(tmp_path / "looks")
    picture(0, (4, 4)).save(tmp_path / "x.bmp")
    for number in range(600):  # more than the table begins with
        shown = PictureFile(tmp_path / "x.bmp", f"{number}.bmp")
        assert looks.number_of(shown) == (number, True)
        assert looks.number_of(shown) == (number, True), "it is not known before it was looked at"
        made = Look(bytes([number % 251]) * 32, width=number, trouble="bad" * (number == 7), stamp=stamp_of(shown))
        looks.put(number, made)
    looks.save()
    again = Looks(tmp_path / "looks")
    assert np.array_equal(again.table, looks.table)
    assert again.troubles == {7: "bad"}
    assert again.number_of(PictureFile(tmp_path / "x.bmp", "599.bmp")) == (599, False)
    assert again.name(599) == "599.bmp"


def test_sixteen_bits_of_grey_are_seen(tmp_path: Path) -> None:
    shades = np.asarray(picture(4).convert("L"), np.uint16)
    deep = look(file(Image.fromarray(shades * 257)), tmp_path)
    assert len(set(groups([deep, look(file(picture(4)), tmp_path)]))) == 1
