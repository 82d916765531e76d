"""Rows read as a Reading says: turns, pictures in their places, sides, templates, and what is said of bad rows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.data.files.tree import tree_of_folder
from core.data.formats.finder import PictureBytes
from core.data.formats.records import records
from core.errors import DataError
from core.spec.data import Reading, Split
from tests.data.layouts.kit import lines, numbered, parquet, png


@pytest.fixture
def tree(tmp_path):
    """Writes files and gives their tree."""

    def made(**files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tree_of_folder(tmp_path)

    return made


def chat(*turns, **more):
    return {
        "conversations": [{"from": "human" if n % 2 == 0 else "gpt", "value": one} for n, one in enumerate(turns)],
        **more,
    }


def one(tree, reading):
    """The only item."""
    (item,) = records(tree, reading)
    return item


SHAREGPT = Reading("sharegpt", ("a.jsonl",), {"messages": "conversations", "image": "image"})
MESSAGES = Reading("messages", ("a.jsonl",), {"messages": "messages", "image": "images"})
VQA = Reading("vqa", ("a.jsonl",), {"image": "image", "question": "question", "answer": "answer"})
CAPTIONS = Reading("captions", ("a.jsonl",), {"image": "image", "text": "text"}, "Describe the picture.")


def shape(row):
    """Speakers with their texts and the names of their pictures, in order."""
    return [
        (turn.speaker, *(part if isinstance(part, str) else part.name for part in turn.parts)) for turn in row.turns
    ]


def test_pictures_stand_where_their_tags_stand(tree):
    row = chat("Compare <image> with\n<image>.", "Same.", "And <image>?", "Other.", image=["1.png", "2.png", "3.png"])
    item = one(tree(**{"a.jsonl": lines([row])}, **numbered("{}.png", 3)), SHAREGPT)
    assert shape(item.row) == [
        ("user", "Compare", "1.png", "with", "2.png", "."),
        ("assistant", "Same."),
        ("user", "And", "3.png", "?"),
        ("assistant", "Other."),
    ]


def test_pictures_without_tags_come_before_the_first_question(tree):
    row = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What?"},
            {"role": "assistant", "content": "It."},
        ],
        "images": ["1.png", "2.png"],
    }
    item = one(tree(**{"a.jsonl": lines([row])}, **numbered("{}.png", 2)), MESSAGES)
    assert shape(item.row) == [("system", "Be brief."), ("user", "1.png", "2.png", "What?"), ("assistant", "It.")]


def test_numbered_tags_choose_their_picture(tree):
    row = {"image": ["1.png", "2.png"], "question": "Is <image 2> like <image 1>?", "answer": "No"}
    item = one(tree(**{"a.jsonl": lines([row])}, **numbered("{}.png", 2)), VQA)
    assert shape(item.row)[0] == ("user", "Is", "2.png", "like", "1.png", "?")


def test_typed_parts_name_their_own_pictures(tree):
    user = [
        {"type": "image", "image": "2.png"},
        {"type": "text", "text": "and"},
        {"type": "image_url", "image_url": {"url": "1.png"}},
    ]
    row = {"messages": [{"role": "user", "content": user}, {"role": "assistant", "content": "Two."}]}
    item = one(tree(**{"a.jsonl": lines([row])}, **numbered("{}.png", 2)), MESSAGES)
    assert shape(item.row)[0] == ("user", "2.png", "and", "1.png")


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (chat("<image> a <image>", "b", image="1.png"), "image_count"),
        (chat("<image> a", "b"), "image_count"),
        (chat("<image> a", "b", image=["1.png", "1.png"]), "image_count"),
        (chat("<image 1> <image>", "b", image=["1.png", "1.png"]), "image_count"),
        (chat("a", "b", "c", image="1.png"), "bad_turns"),
        (chat(image="1.png"), "bad_turns"),
        ({"image": "1.png"}, "bad_value"),
        ({"conversations": "hello", "image": "1.png"}, "bad_turns"),
        ({"conversations": [{"from": "gpt", "value": "a"}]}, "bad_turns"),
        ({"conversations": [{"from": "tool", "value": "a"}]}, "bad_turns"),
        ({"conversations": [{"value": "a"}]}, "bad_turns"),
        ({"conversations": [{"from": "human", "value": "a"}] * 2 + [{"from": "gpt", "value": "a"}]}, "bad_turns"),
        (chat("<image 2>", "b", image=["1.png", "1.png"]), "image_count"),
        (chat("", "b"), "empty_question"),
        (chat("a", "b", "", "c", image="1.png"), "empty_question"),
        (chat("a", " "), "empty_answer"),
        (chat("a", "<image> b", image="1.png"), "bad_turns"),
        (chat("<image>", "b", image="2.png"), "missing_image"),
        (chat("<image>", "b", image="/etc/passwd.png"), "unsafe_path"),
        (chat("<image>", "b", image="../1.png"), "unsafe_path"),
        (chat("<image>", "b", image="http://127.0.0.1/1.png"), "unsafe_path"),
        (chat("<image>", "b", image="file:///etc/passwd"), "unsafe_path"),
        (chat("<image>", "b", image="a.jsonl"), "missing_image"),
        (chat("<image>", "b", image={"x": 1}), "bad_value"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(tree, row, kind):
    item = one(tree(**{"a.jsonl": lines([row]), "1.png": png()}), SHAREGPT)
    assert item.row is None
    assert [found for found, _ in item.trouble] == [kind]
    assert (item.place.file, item.place.row) == ("a.jsonl", 1)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"image": "1.png", "question": "", "answer": "a"}, "empty_question"),
        ({"image": "1.png", "question": "q", "answer": ""}, "empty_answer"),
        ({"image": "1.png", "question": "q", "answer": []}, "empty_answer"),
        ({"image": "1.png", "question": "q"}, "bad_value"),
        ({"image": 7, "question": "q", "answer": "a"}, "missing_image"),
    ],
)
def test_a_question_that_cannot_be_used_says_why(tree, row, kind):
    item = one(tree(**{"a.jsonl": lines([row]), "1.png": png()}), VQA)
    assert (item.row, [found for found, _ in item.trouble]) == (None, [kind])


def test_a_picture_of_the_row_that_no_turn_names_is_not_left_out_in_silence(tree):
    user = [{"type": "image", "image": "1.png"}, {"type": "text", "text": "What?"}]
    row = {"messages": [{"role": "user", "content": user}, {"role": "assistant", "content": "It."}]}
    pictures = numbered("{}.png", 2)
    named = one(tree(**{"a.jsonl": lines([row | {"images": ["1.png"]}])}, **pictures), MESSAGES)
    assert shape(named.row)[0] == ("user", "1.png", "What?")
    other = one(tree(**{"a.jsonl": lines([row | {"images": ["1.png", "2.png"]}])}, **pictures), MESSAGES)
    assert (other.row, other.trouble) == (None, (("image_count", "no turn names “2.png”, which is in the row"),))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("[12, 30, 200, 40]", "[12, 30, 200, 40]"),
        ([12, 30, 200, 40], "[12, 30, 200, 40]"),
        ("[0.5, 1]", "[0.5, 1]"),
        ('["a", "b", "b"]', "b"),
        ("['net', 'net', 'web']", "net"),
    ],
)
def test_a_box_or_an_interval_is_one_answer_and_several_texts_are_several(tree, answer, said):
    row = {"image": "1.png", "question": "Where is it?", "answer": answer}
    assert one(tree(**{"a.jsonl": lines([row]), "1.png": png()}), VQA).row.answer == said


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("cats/1", "cats/1.png"),
        ("cats/2", None),
        ("dogs/2", "dogs/2.png"),
        ("2", "dogs/2.png"),
        ("1", None),
        ("elsewhere/2", "dogs/2.png"),
        ("./dogs/2", "dogs/2.png"),
    ],
)
def test_a_name_without_its_suffix_stays_in_its_folder(tree, named, found):
    files = dict.fromkeys(["cats/1.png", "dogs/1.png", "dogs/2.png"], png())
    row = {"image": named, "question": "q", "answer": "a"}
    item = one(tree(**{"a.jsonl": lines([row])}, **files), VQA)
    if found is None:
        assert [kind for kind, _ in item.trouble] == ["missing_image"]
    else:
        assert item.row.picture_name == found


def test_broken_lines_keep_their_place_and_the_rest_is_read(tree):
    good = json.dumps({"image": "1.png", "text": "a"})
    items = list(records(tree(**{"a.jsonl": f'{good}\n{{"image": \n{good}\n', "1.png": png()}), CAPTIONS))
    assert [item.place.row for item in items] == [1, 2, 3]
    assert [item.row is None for item in items] == [False, True, False]
    assert items[1].trouble[0][0] == "broken_row"


def test_rows_without_a_picture_are_text_only_where_they_ask_something(tree):
    rows = [
        {"question": "What is 2 + 2?", "answer": "4", "image": None},
        {"question": "q", "answer": "a", "image": "1.png"},
    ]
    alone, shown = records(tree(**{"a.jsonl": lines(rows), "1.png": png()}), VQA)
    assert (alone.row.pictures, [kind for kind, _ in alone.trouble]) == ((), ["text_only"])
    assert shown.trouble == ()


def test_a_caption_without_a_picture_is_nothing(tree):
    item = one(tree(**{"a.jsonl": lines([{"image": "", "text": "a cat"}])}), CAPTIONS)
    assert (item.row, item.trouble[0][0]) == (None, "no_image")


def test_the_most_common_of_several_answers_is_learned_and_the_first_among_equals(tree):
    said = (
        ["net", "netting", "net"],
        [{"answer": "b"}, {"answer": "a"}, {"answer": "a"}],
        ["x", "y"],
        "['p', 'q', 'q']",
    )
    rows = [{"image": "1.png", "question": "q", "answer": answers} for answers in said]
    items = records(tree(**{"a.jsonl": lines(rows), "1.png": png()}), VQA)
    assert [item.row.answer for item in items] == ["net", "a", "x", "q"]


@pytest.mark.parametrize(("answer", "said"), [(1, "dog"), ("B", "dog"), ("dog", "dog"), ("0", "cat")])
def test_an_answer_that_is_a_place_among_choices_becomes_the_choice(tree, answer, said):
    rows = [{"image": "1.png", "question": "q", "answer": answer, "choices": ["cat", "dog"]}]
    reading = Reading("vqa", ("a.jsonl",), {**VQA.columns, "choices": "choices"})
    assert one(tree(**{"a.jsonl": lines(rows), "1.png": png()}), reading).row.answer == said


def test_an_answer_that_is_no_place_among_the_choices_is_refused(tree):
    rows = [{"image": "1.png", "question": "q", "answer": 7, "choices": ["cat", "dog"]}]
    reading = Reading("vqa", ("a.jsonl",), {**VQA.columns, "choices": "choices"})
    assert one(tree(**{"a.jsonl": lines(rows), "1.png": png()}), reading).trouble[0][0] == "bad_value"


def test_templates_word_questions_and_answers(tree):
    reading = Reading(
        "classes",
        ("a.jsonl",),
        {"image": "image", "label": "kind"},
        "Is the {place} in the picture? {unknown}",
        "This is a {label} of the {place}.",
        "You know plants.",
    )
    row = {"image": "1.png", "kind": "rose", "place": "garden"}
    item = one(tree(**{"a.jsonl": lines([row]), "1.png": png()}), reading)
    assert shape(item.row) == [
        ("system", "You know plants."),
        ("user", "1.png", "Is the garden in the picture? {unknown}"),
        ("assistant", "This is a rose of the garden."),
    ]


def test_a_question_keeps_its_words_inside_a_template(tree):
    reading = Reading("vqa", ("a.jsonl",), VQA.columns, "{question} Answer in one word.")
    row = {"image": "1.png", "question": "What is it?", "answer": "a"}
    assert (
        one(tree(**{"a.jsonl": lines([row]), "1.png": png()}), reading).row.question
        == "What is it? Answer in one word."
    )


def test_a_template_puts_in_text_and_never_reads_it_again(tree):
    reading = Reading("vqa", ("a.jsonl",), VQA.columns, "{question} {answer_hint}")
    row = {"image": "1.png", "question": "Why {answer}?", "answer": "a", "answer_hint": "{question}"}
    assert one(tree(**{"a.jsonl": lines([row]), "1.png": png()}), reading).row.question == "Why {answer}? {question}"


def test_a_system_prompt_of_the_row_goes_before_that_of_the_reading(tree):
    reading = Reading("captions", ("a.jsonl",), {**CAPTIONS.columns, "system": "system"}, "Q", system="Of all.")
    rows = [{"image": "1.png", "text": "a", "system": "Of this row."}, {"image": "1.png", "text": "a", "system": ""}]
    items = list(records(tree(**{"a.jsonl": lines(rows), "1.png": png()}), reading))
    assert [item.row.turns[0].text for item in items] == ["Of this row.", "Of all."]


def test_language_group_and_split_columns_are_kept(tree):
    columns = {**CAPTIONS.columns, "language": "lang", "group": "writer", "split": "fold"}
    reading = Reading("captions", ("a.jsonl",), columns, "Q", split=Split(by="column"))
    rows = [
        {"image": "1.png", "text": "a", "lang": "de", "writer": 7, "fold": side}
        for side in ("train", "Validation", "odd")
    ]
    items = list(records(tree(**{"a.jsonl": lines(rows), "1.png": png()}), reading))
    assert [(item.side, item.group) for item in items] == [("train", "7"), ("heldout", "7"), ("", "7")]
    assert items[0].row.language == "de"
    assert items[2].trouble[0][0] == "unknown_split"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("C:\\Users\\anna\\pets\\cats\\1.png", "cats/1.png"),
        ("/home/anna/pets/dogs/1.png", "dogs/1.png"),
        ("D:/2.png", "2.png"),
        ("/mnt/elsewhere/1.png", ""),
        ("/home/anna/../cats/1.png", ""),
        ("\\\\server\\cats\\1.png", ""),
        ("file:///pets/cats/1.png", ""),
        ("/etc/passwd", ""),
    ],
)
def test_a_path_of_another_machine_is_looked_for_by_its_end_when_that_was_chosen(tree, name, found):
    """Never opened as it stands, and never guessed: two pictures with this end are none."""
    files = {"cats/1.png": png(1), "dogs/1.png": png(2), "2.png": png(3)}
    given = tree(**{"a.jsonl": lines([{"image": name, "text": "a"}]), **files})
    ((kind, detail),) = one(given, CAPTIONS).trouble
    assert kind == ("foreign_path" if found else "unsafe_path")
    assert f"“{found}” would be taken" in detail if found else "would be taken" not in detail
    item = one(given, replace(CAPTIONS, foreign_paths=True))
    assert (item.row.picture_name if item.row else "") == found
    assert found or item.trouble[0][0] == "unsafe_path"


@pytest.mark.parametrize(
    ("format", "answer", "said"),
    [
        ("vqa", {"answer": "red"}, ""),
        ("vqa", {"colour": "red"}, '{"colour": "red"}'),
        ("vqa", ["red", "red", "blue"], ""),
        ("vqa", [{"answer": "red"}, {"answer": "red"}], ""),
        ("vqa", [{"colour": "red"}], '[{"colour": "red"}]'),
        ("vqa", '{"colour": "red"}', ""),
        ("captions", ["red", "blue"], ""),
        ("captions", {"colour": "red"}, '{"colour": "red"}'),
        ("classes", {"id": 7}, '{"id": 7}'),
        ("classes", ["red", "blue"], ""),
        ("ocr", {"total": 5}, ""),
        ("prompt_completion", {"colour": "red"}, '{"colour": "red"}'),
        ("prompt_completion", ["red"], '["red"]'),
        ("prompt_completion", [{"role": "assistant", "content": "red"}], ""),
    ],
)
def test_an_object_that_no_form_takes_apart_is_told(tree, format, answer, said):
    """It is learned as JSON, which may be meant or not."""
    parts = {
        "vqa": {"question": "asked", "answer": "said"},
        "captions": {"text": "said"},
        "classes": {"label": "said"},
        "ocr": {"text": "said"},
        "prompt_completion": {"prompt": "asked", "completion": "said"},
    }[format]
    template = "What is it?" if "asked" not in parts.values() else ""
    reading = Reading(format, ("a.jsonl",), {"image": "image", **parts}, template)
    given = tree(**{"a.jsonl": lines([{"image": "1.png", "asked": "What is it?", "said": answer}]), "1.png": png()})
    items = list(records(given, reading))
    assert {kind for item in items for kind, _ in item.trouble} == ({"structure"} if said else set())
    if said:
        assert items[0].row.answer == said


def test_a_template_that_comes_out_empty_asks_nothing(tree):
    rows = [{"image": "1.png", "text": "a", "hint": hint} for hint in ("What is it?", "")]
    first, second = records(tree(**{"a.jsonl": lines(rows), "1.png": png()}), replace(CAPTIONS, template="{hint}"))
    assert first.row.question == "What is it?"
    assert (second.row, second.trouble[0][0]) == (None, "empty_question")


def test_rows_say_where_they_stand(tree):
    files = {"a.jsonl": lines([{"image": "1.png", "text": "a"}]), "1.png": png()}
    assert one(tree(**files), CAPTIONS).row.origin == "a.jsonl, line 1"


def test_several_pictures_of_one_parquet_row_are_different_pictures(tree):
    rows = {"image": [[{"bytes": png(1), "path": None}, {"bytes": png(2), "path": None}]], "text": ["a"]}
    reading = Reading("captions", ("a.parquet",), CAPTIONS.columns, "Q")
    first, second = one(tree(**{"a.parquet": parquet(rows)}), reading).row.pictures
    assert first != second
    assert isinstance(first, PictureBytes)
    assert first.read() == png(1)
    assert second.read() == png(2)


def test_a_limit_ends_the_reading_and_no_more_is_read(tree):
    files = tree(**{"a.jsonl": lines([{"image": "1.png", "text": "a"}] * 5), "1.png": png()})
    assert len(list(records(files, CAPTIONS, 3))) == 3
    assert len(list(records(files, Reading("captions", ("a.jsonl",), CAPTIONS.columns, "Q", limit=2)))) == 2


def test_no_picture_is_opened_while_rows_are_read(tree, monkeypatch):
    files = tree(**{"a.jsonl": lines([{"image": "1.png", "text": "a"}]), "1.png": b"no picture at all"})
    item = one(files, CAPTIONS)
    with pytest.raises(DataError):
        item.row.picture.open()


def test_a_table_that_is_gone_is_said_in_words(tree):
    with pytest.raises(DataError, match="not there"):
        list(records(tree(**{"1.png": png()}), CAPTIONS))


PAIRS = Reading(
    "pairs", ("a.jsonl",), {"image": "image", "text": "text", "verdict": "match"}, "Do they belong together?"
)


@pytest.mark.parametrize(
    ("said", "answer"), [(1, "yes"), (0, "no"), (True, "yes"), ("False", "no"), ("mismatch", "no"), (0.0, "no")]
)
def test_a_text_that_does_not_belong_to_the_picture_is_never_learned_as_its_caption(said, answer, tree):
    rows = lines([{"image": "1.png", "text": "A red box", "match": said}])
    row = one(tree(**{"a.jsonl": rows}, **numbered("{}.png", 1)), PAIRS).row
    assert (row.question, row.answer) == ("Do they belong together?\nA red box", answer)


@pytest.mark.parametrize(("said", "kind"), [("perhaps", "bad_value"), (0.5, "bad_value"), (None, "empty_answer")])
def test_a_verdict_that_is_neither_yes_nor_no_is_said(said, kind, tree):
    rows = lines([{"image": "1.png", "text": "A red box", "match": said}])
    item = one(tree(**{"a.jsonl": rows}, **numbered("{}.png", 1)), PAIRS)
    assert (item.row, item.trouble[0][0]) == (None, kind)


def test_the_text_of_a_pair_can_stand_in_the_question(tree):
    rows = lines([{"image": "1.png", "text": "A red box", "match": 1}])
    reading = replace(PAIRS, template="Is “{text}” true of it?", answer_template="{answer}.")
    row = one(tree(**{"a.jsonl": rows}, **numbered("{}.png", 1)), reading).row
    assert (row.question, row.answer) == ("Is “A red box” true of it?", "yes.")
