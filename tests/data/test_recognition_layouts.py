"""Layouts as people really publish them: each is recognised, with its columns, and read as what it says."""

from __future__ import annotations

from collections import Counter

import pytest

from core.data.files.tree import tree_of_folder
from core.data.formats.recognition import recognise
from core.data.formats.records import records
from tests.data.layouts import LAYOUTS, write


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout_is_recognised_and_read(layout, tmp_path):
    tree = tree_of_folder(write(layout, tmp_path))
    guess = recognise(tree)
    reading = guess.reading
    assert (reading.format, reading.columns) == (layout.format, layout.columns), guess.reason
    assert reading.split.by == layout.split
    items = list(records(tree, reading))
    assert Counter(kind for item in items for kind, _ in item.trouble) == layout.trouble
    assert len(items) == layout.rows
    first = items[0].row
    assert (first.question, first.answer) == (layout.question, layout.answer)
    assert tuple(picture.name for picture in first.pictures) == layout.shown
    assert all(picture.open().size == (32, 32) for item in items for picture in item.row.pictures)
    sides = Counter(item.side for item in items)
    assert (sides["train"], sides["heldout"]) == layout.sides
    assert guess.reason
    assert set(guess.column_reasons) >= set(reading.columns)


def test_there_are_at_least_thirty_layouts_of_different_names():
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS) >= 30
