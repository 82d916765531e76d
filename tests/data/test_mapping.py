"""A reading that names what the data do not have is refused by that name, before any row is read so."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from core.data.files.tree import tree_of_folder
from core.data.formats.mapping import refuse_unknown, refuse_unknown_fields
from core.data.formats.recognition import recognise, reread
from core.errors import SpecError, StudioError
from core.spec.data import Format, Reading, Split
from tests.data.layouts import LAYOUTS, write

COLUMNS = ("image", "image_2", "question", "answer", "writer")
VQA = {"image": "image", "question": "question", "answer": "answer"}


def reading(**columns):
    return Reading("vqa", ("t.csv",), VQA | columns)


@pytest.mark.parametrize("part", ["image", "question", "answer", "system", "group"])
def test_a_column_that_is_not_there_is_refused_by_name(part):
    with pytest.raises(SpecError, match=r"“nope”.*no such column.*“image_2”"):
        refuse_unknown(reading(**{part: "nope"}), COLUMNS)


def test_several_columns_of_pictures_are_each_looked_for():
    refuse_unknown(reading(image="image, image_2"), COLUMNS)
    with pytest.raises(SpecError, match=r"“image_3”"):
        refuse_unknown(reading(image="image, image_3"), COLUMNS)


def test_a_part_that_the_form_does_not_have_is_refused_by_name():
    with pytest.raises(SpecError, match=r"“writer”.*“label”.*vqa have no such part.*question, answer"):
        refuse_unknown(reading(label="writer"), COLUMNS)


@pytest.mark.parametrize("field", ["template", "answer_template"])
def test_a_template_that_names_no_column_is_refused_by_name(field):
    with pytest.raises(SpecError, match=r"\{nocolumn\}.*no column is called so.*\{writer\}"):
        refuse_unknown_fields(replace(reading(), **{field: "How is {nocolumn}?"}), COLUMNS)


@pytest.mark.parametrize("text", ["{writer}: {question}", "{image_2}", 'As {"total": 5}', r"\frac{a}{b} of {answer}"])
def test_columns_parts_json_and_formulas_may_stand_in_braces(text):
    refuse_unknown_fields(replace(reading(), template=text), COLUMNS)


def test_a_split_by_no_column_is_refused():
    with pytest.raises(SpecError, match="none is chosen"):
        refuse_unknown(replace(reading(), split=Split("column")), COLUMNS)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_whatever_is_guessed_is_not_refused(layout, tmp_path):
    tree = tree_of_folder(write(layout, tmp_path))
    guess = recognise(tree)
    refuse_unknown(guess.reading, guess.columns)
    refuse_unknown_fields(guess.reading, guess.columns)
    for format in get_args(Format):
        try:
            other = reread(tree, format, guess.reading)
        except StudioError:
            continue  # not every form is possible
        refuse_unknown(other.reading, other.columns)
