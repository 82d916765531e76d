"""Which measures the data get, and why."""

from __future__ import annotations

import pytest

from core.data.rows import Dataset, PictureInMemory, Row, ask
from core.data.source import load_dataset
from core.evaluation.measures import accepted_answers, measures_for
from core.spec import Source

SENTENCE = "a person in a red coat walks a dog"


def data(answers: list[str], form: str | None = None) -> Dataset:
    rows = [ask(PictureInMemory(None, str(place)), "What is it?", answer) for place, answer in enumerate(answers)]
    return Dataset("d", "", "", "", "", rows[: len(rows) // 2], rows[len(rows) // 2 :], {}, format=form)


def different(count: int, words: int = 1) -> list[str]:
    return [" ".join([f"word{number}"] * words) for number in range(count)]


@pytest.mark.parametrize(
    ("answers", "form", "kind", "main"),
    [
        (different(40), "classes", "classes", "accuracy"),
        (different(40), "captions", "captions", "token_f1"),
        (different(40), "coco", "captions", "token_f1"),
        (["yes", "no"] * 20, "ocr", "reading", "cer"),
        (different(40), "vqa", "questions", "exact_match"),
        (["yes", "No", "no."] * 10, "vqa", "classes", "accuracy"),
        (["cat", "dog"] * 20, None, "classes", "accuracy"),
        (["same"] * 40, None, "questions", "exact_match"),
        (["cat", "dog"], None, "questions", "exact_match"),
        (different(40, words=9), "messages", "questions", "token_f1"),
        ([SENTENCE, "no"] * 20, "sharegpt", "questions", "exact_match"),
        ([], None, "questions", "exact_match"),
    ],
)
def test_the_kind_of_the_data_chooses(answers: list[str], form: str | None, kind: str, main: str) -> None:
    made = measures_for(data(answers, form))
    assert (made.kind, made.main) == (kind, main)
    assert made.main in made.names
    assert made.reason
    assert not made.asked


def test_what_is_asked_for_comes_first_and_the_others_stay() -> None:
    made = measures_for(data(different(40), "ocr"), "token_f1")
    assert made.names == ("token_f1", "cer", "wer", "anls")
    assert (made.main, made.asked) == ("token_f1", True)


def test_demo_sets_are_judged_by_their_nature() -> None:
    found = {name: measures_for(load_dataset(Source("demo", name))).main for name in ("digits", "emoji", "outline")}
    assert set(found.values()) == {"accuracy"}
    assert measures_for(load_dataset(Source("demo", "house-format"))).main == "exact_match"


def test_rows_of_one_question_accept_each_others_answers() -> None:
    one, two = PictureInMemory(None, "1"), PictureInMemory(None, "2")
    rows = [ask(one, "Describe.", "a cat"), ask(one, "Describe.", "one cat"), ask(two, "Describe.", "a dog")]
    rows += [ask(one, "Which animal?", "cat"), ask(one, "Describe.", "a cat")]
    assert accepted_answers(rows) == [
        ("a cat", "one cat"),
        ("one cat", "a cat"),
        ("a dog",),
        ("cat",),
        ("a cat", "one cat"),
    ]


def test_a_folder_says_what_it_was_read_as(tmp_path) -> None:
    from PIL import Image

    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(6):
            Image.new("RGB", (16, 16), (number, 0, len(label))).save(tmp_path / label / f"{label}{number}.png")
    loaded = load_dataset(Source("folder", str(tmp_path)))
    assert loaded.format == "classes"
    assert isinstance(loaded.train[0], Row)
