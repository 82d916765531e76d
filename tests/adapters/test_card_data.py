"""What a card says of a stored data set: everything that was not learned from is written down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.adapters.card_data import data_section
from core.data.files.tree import tree_of_folder
from core.data.storing.importing import store
from tests.data.made_data import VQA, line, make


def test_what_was_left_out_or_not_read_is_in_the_card(tmp_path: Path) -> None:
    rows = [line(0, answer=""), *(line(number) for number in range(1, 60))]
    tree = tree_of_folder(make(tmp_path / "given", rows))
    reading = replace(VQA, drop=("empty_answer",), drop_rows=(3, 4), limit=50)
    said = data_section(store(tree, reading, None, tmp_path / "sets", "Animals", "given"))
    assert "| rows | 42 to learn from, 5 held out |" in said
    assert "Left out: 1 row has no answer" in said
    assert "2 rows were left out by hand" in said
    assert "| read | the first 50 rows at most |" in said
    assert str(tmp_path) not in said
