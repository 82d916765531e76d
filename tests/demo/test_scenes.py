"""Scenes, pictures and questions: the same from the same seed, and every answer true in its scene."""

from __future__ import annotations

import numpy as np
import pytest

from core.demo.questions import TYPES, WEIGHTS, ask, caption, sample_questions
from core.demo.scenes import (
    CELL_CLASSES,
    CELL_COLOURS,
    COLOUR_NAMES,
    PLACES,
    Scene,
    Thing,
    paint_digit,
    paint_small,
    sample_scene,
)
from core.demo.shapes import SHAPES, outline

STAR, MOON = Thing("star", "red", 0), Thing("moon", "blue", 5)
TWO = Scene((STAR, MOON))


def answers(scene: Scene, type_: str, tries: int = 60) -> dict[str, str]:
    rng = np.random.default_rng(0)
    asked = (ask(type_, scene, rng) for _ in range(tries))
    return {q.text: q.answer for q in asked if q is not None}


def test_the_same_seed_gives_the_same_scenes() -> None:
    first, second = (
        [sample_scene(rng) for _ in range(50)] for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert first == second


def test_black_and_white_never_meet() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        assert not {"black", "white"} <= {t.colour for t in sample_scene(rng).things}


def test_cells_are_labelled_in_reading_order() -> None:
    classes, colours = TWO.cells()
    assert [i for i, c in enumerate(classes) if c] == [0, 5]
    assert colours[0] == 1 + COLOUR_NAMES.index("red")


def test_a_digit_covers_all_cells_and_stays_within_the_classes() -> None:
    classes, colours = Scene((Thing("9", "white", None),)).cells()
    assert set(classes) == {CELL_CLASSES - 1}
    assert set(colours) == {CELL_COLOURS - 1}


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_fit_the_unit_box_and_small_shapes_fit_their_cell(shape: str) -> None:
    assert all(abs(v) <= 1.1 for point in outline(shape) for v in point)
    mask = paint_small(np.random.default_rng(0), shape)
    assert mask.shape == (16, 16)
    assert mask.max() == 255


def test_answers_are_those_of_the_scene() -> None:
    assert answers(TWO, "colour of a named shape")["What colour is the moon?"] == "blue"
    assert answers(TWO, "shape of a named colour")["Which shape is red?"] == "star"
    assert answers(TWO, "where")["Where is the moon?"] == "right"
    assert answers(TWO, "what is at a place")["What is at the top left?"] == "a red star"
    assert set(answers(TWO, "count").values()) == {"2"}
    assert answers(TWO, "is there")["Is there a star?"] == "yes"
    assert answers(TWO, "list") == {"List the shapes.": "red star, blue moon"}
    assert caption(TWO) == "A red star at the top left and a blue moon at the right."


def test_a_question_without_one_answer_is_not_asked() -> None:
    twins = Scene((STAR, Thing("star", "red", 3)))
    assert answers(twins, "where") == {}
    assert answers(twins, "colour of a named shape") == {}
    assert answers(twins, "shape of a named colour") == {}
    assert answers(TWO, "digit") == {}


def test_every_type_is_asked_and_weighted() -> None:
    rng = np.random.default_rng(0)
    seen = {q.type for _ in range(300) for q in sample_questions(sample_scene(rng), rng, 6, WEIGHTS)}
    assert seen == set(TYPES) == set(WEIGHTS)


def test_places_are_nine() -> None:
    assert len(set(PLACES)) == 9


def test_digits_are_painted_even_where_no_font_is_installed() -> None:
    mask = paint_digit(np.random.default_rng(0), "7", [])
    assert mask.shape == (48, 48)
    assert mask.max() > 200
