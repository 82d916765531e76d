"""Small changes of pictures: seeded, small, never mirrored, and never seen by the held-out rows."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.data.batches.augmentation import ORDER, augmented, changed
from core.data.batches.collate import Encoder
from core.data.rows import PictureInMemory, ask
from core.errors import SpecError
from core.models.source import DEMO_MODEL
from core.spec import Settings
from core.training.trainer import Collator


def half_black() -> Image.Image:
    """Dark on the left, light on the right, red at the top right."""
    image = Image.new("RGB", (96, 64), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 47, 63), fill="black")
    draw.rectangle((60, 4, 90, 24), fill=(220, 20, 20))
    return image


def far(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of their values, 0 to 255."""
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


@pytest.mark.parametrize("kind", ORDER)
def test_each_kind_changes_a_picture_a_little_and_the_same_key_always_alike(kind: str) -> None:
    image = half_black()
    made = [changed(image, (kind,), f"key {number}") for number in range(12)]
    assert all(each.size == image.size and each.mode == "RGB" for each in made)
    assert max(far(image, each) for each in made) > 0.05
    assert max(far(image, each) for each in made) < 60
    assert any(far(one, other) > 0 for one, other in pairwise(made)), "another key, another change"
    assert [far(each, changed(image, (kind,), f"key {n}")) for n, each in enumerate(made)] == [0] * len(made)


def test_left_stays_left_and_red_stays_red() -> None:
    for number in range(40):
        pixels = np.asarray(changed(half_black(), ORDER, str(number)), dtype=float)
        assert pixels[:, :36].mean() < 70 < 120 < pixels[:, 60:].mean()
        red, green, blue = pixels[8:20, 66:84].reshape(-1, 3).mean(axis=0)
        assert red > 2 * max(green, blue)


def test_nothing_changes_where_nothing_is_asked_for() -> None:
    row = ask(PictureInMemory(half_black()), "What is it?", "a square")
    assert augmented(row, (), "key") is row
    assert far(changed(half_black(), (), "key"), half_black()) == 0


def test_each_picture_of_a_row_is_changed_in_its_own_way_and_texts_stay() -> None:
    row = ask([PictureInMemory(half_black(), "a"), PictureInMemory(half_black(), "b")], "Same?", "yes")
    first, second = augmented(row, ("colour",), "key").pictures
    assert (first.name, second.name) == ("a", "b")
    assert far(first.open(), second.open()) > 0
    assert far(first.open(), first.open()) == 0
    assert augmented(row, ("colour",), "key").question == "Same?"
    assert first.read().startswith(b"\x89PNG")


def test_training_sees_other_changes_each_time_and_keeps_none() -> None:
    from core.data.previewing.preview import encoder_of

    encoder = encoder_of(DEMO_MODEL)
    row = ask(PictureInMemory(half_black()), "What is it?", "a square")

    def batches(seed: int) -> list:
        collate = Collator(encoder, Settings(augment=("colour", "jpeg"), seed=seed), 2)
        return [collate([row, row])["pixel_values"] for _ in range(2)]

    one, again, other = batches(1), batches(1), batches(2)
    assert all((a == b).all() for a, b in zip(one, again, strict=True)), "the same seed"
    assert not (one[0] == one[1]).all(), "another batch"
    assert not (one[0][0] == one[0][1]).all(), "another place in the batch"
    assert not (one[0] == other[0]).all(), "another seed"
    assert encoder._prompts == {}
    plain = Encoder(encoder.processor, encoder.stop_ids).training([row])["pixel_values"]
    assert (Collator(encoder, Settings(), 1)([row])["pixel_values"] == plain).all()


def test_a_kind_stands_in_the_settings_once_and_exists() -> None:
    with pytest.raises(SpecError, match="twice"):
        Settings(augment=("colour", "colour"))
    with pytest.raises(Exception, match="flip"):
        Settings(augment=("flip",))


def test_changes_do_not_touch_other_randomness() -> None:
    random.seed(3)
    expected = random.random()
    random.seed(3)
    changed(half_black(), ORDER, "key")
    assert random.random() == expected
