"""What columns hold, told by their values."""

from __future__ import annotations

import base64

import pytest

from core.data.files.tree import Tree
from core.data.formats.columns import looked_at
from core.data.formats.finder import Finder
from core.data.formats.values import answer_of, embedded, kind_of, parsed, text_of, texts_of
from tests.data.layouts.kit import png
from tests.data.made_data import BytesEntry


def finder(*names):
    return Finder(Tree({name: BytesEntry(name, len(png()), png()) for name in names}))


def column(values, *names):
    (found,) = looked_at([{"c": value} for value in values], finder(*names))
    return found


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "empty"),
        ("  ", "empty"),
        (float("nan"), "empty"),
        ([], "empty"),
        ([None, ""], "empty"),
        (3, "number"),
        ("3.5", "number"),
        (True, "number"),
        ("three", "text"),
        ("a.png", "name"),
        ("https://example.org/a.png", "name"),
        ("Look at a.png and say what it is, please", "text"),
        (png(), "picture"),
        (b"nothing", "other"),
        (base64.b64encode(png()).decode(), "picture"),
        (f"data:image/png;base64,{base64.b64encode(png()).decode()}", "picture"),
        ({"bytes": png(), "path": None}, "picture"),
        ({"bytes": None, "path": "a.png"}, "picture"),
        ({"path": "a.png"}, "name"),
        ({"gt_parse": {}}, "json"),
        ('{"gt_parse": {"a": 1}}', "json"),
        (["a.png", "b.png"], "pictures"),
        ([{"bytes": png(), "path": None}], "pictures"),
        ("['a.png', 'b.png']", "pictures"),
        (["a", "b"], "texts"),
        ([{"raw": "a cat", "tokens": ["a", "cat"]}], "texts"),
        ([{"answer": "a", "answer_id": 1}], "answers"),
        ([{"question": "q", "answer": "a"}], "pairs"),
        ([{"user": "q", "assistant": "a"}], "pairs"),
        ([{"role": "user", "content": "a"}], "turns"),
        ('[{"from": "human", "value": "a"}]', "turns"),
        ([[1, 2], [3, 4]], "other"),
        ("[1, 2", "text"),
        ("{" * 5000 + "}" * 5000, "text"),
        ("[" * 100_000 + "]" * 100_000, "text"),
    ],
)
def test_the_kind_of_a_value(value, kind):
    assert kind_of(value) == kind


def test_strings_are_parsed_and_never_run():
    assert parsed("__import__('os').system('true')") is None
    assert parsed("[__import__('os')]") is None
    assert parsed("['a', 'b']") == ["a", "b"]
    assert parsed('{"a": 1}') == {"a": 1}


def test_text_that_only_looks_like_base64_is_text():
    assert embedded("a" * 200) is None
    assert embedded("A picture of a cat") is None
    assert embedded("data:image/png;base64,!!!") in (b"", None)


def test_values_as_text():
    assert text_of(7.0) == "7"
    assert text_of(0) == "0"
    assert text_of(False) == "False"
    assert texts_of(["a", "", " b "]) == ("a", "b")
    assert answer_of({"text": ["Denver", "Denver", "Boulder"], "answer_start": [1]}) == "Denver"


def test_a_column_of_texts_says_how_long_they_are():
    found = column(["a b c", "a b c d e f", "x"])
    assert (found.words, found.said()) == ((1, 3, 6), "holds text of 1 to 6 words")


def test_a_column_of_labels_says_how_few_they_are():
    assert column(["cat", "dog"] * 5).said() == "holds 2 different values in 10 rows"
    assert column(["cat"] * 5).said() == "holds the same value in all 5 rows"


def test_names_are_looked_for():
    assert column(["a.png", "b.png"], "x/a.png", "x/b.png").said() == "names pictures that are there"
    assert column(["a.png", "b.png"], "x/a.png").said() == "names pictures, 1 of the first 2 are there"
    assert column(["a.png"]).said() == "names pictures, 0 of the first 1 are there"


def test_numbers_and_names_without_a_suffix_find_their_pictures():
    assert column([262148, 9], "COCO_val2014_000000262148.jpg", "COCO_val2014_000000000009.jpg").names_files
    assert column(["a1", "b2"], "x/a1.jpg", "x/b2.jpg").names_files
    assert not column(["a cat that sits there", "b2"], "x/b2.jpg").names_files


def test_two_pictures_of_one_name_are_not_taken_for_each_other():
    assert not column(["a1", "a1"], "x/a1.jpg", "y/a1.jpg").names_files


def test_a_column_that_is_mostly_filled_is_judged_by_what_is_there():
    found = column(["a.png", None, "", "b.png"], "a.png", "b.png")
    assert (found.kind, found.filled, found.rows) == ("name", 2, 4)
