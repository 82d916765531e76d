"""Lengths are those of the batches, found without asking the processor for every row."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PIL import Image

from core.data.batches.collate import Encoder
from core.data.batches.conversations import stop_ids
from core.data.files.pictures import PictureFile
from core.data.previewing.lengths import MEASURED, histogram, lengths, size_of
from core.data.rows import Row, Turn, ask
from tests.data.test_collation import FAMILIES, FORMS, ONE, TWO, family_of, picture
from tests.data.test_collation import encoder_of as encoder_for

ROWS = [*FORMS["single"], *FORMS["two_pictures"], *FORMS["mixed_sizes"], ask(ONE, "Again, what is it now?", "a sun")]


@pytest.mark.parametrize("name", FAMILIES)
def test_they_are_those_of_the_batches(name: str) -> None:
    rows = ROWS + ([] if name == "paligemma" else [*FORMS["text_only"], *FORMS["multi_turn"], *FORMS["multi_turn"]])
    encoder = encoder_for(name)
    found = lengths(encoder, rows)
    expected = [encoder.training([row])["input_ids"].shape[1] for row in rows]
    assert found.longest == max(expected)
    assert found.whole == histogram(expected)
    assert (found.measured, found.of, found.unusable) == (len(rows), len(rows), 0)


def test_the_processor_is_asked_once_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_for("qwen2_vl")
    asked: list[Row] = []
    kept = type(encoder).parts
    monkeypatch.setattr(type(encoder), "parts", lambda self, row: (asked.append(row), kept(self, row))[1])
    lengths(encoder, [ask(picture(n, (40 + 40 * (n % 2), 40)), f"What is {n}?", "it") for n in range(30)])
    assert len(asked) == 2


def test_rows_that_are_too_long_are_named() -> None:
    made = family_of("llava")
    long = Row(FORMS["long_answer"][0].turns, origin="stories.csv, line 7")
    rows = [FORMS["single"][0], long, FORMS["single"][1]]
    found = lengths(Encoder(made.processor, stop_ids(made.model, made.processor), limit=200), rows)
    assert found.over == 1
    assert found.longest > 200
    assert [(each.row, each.called, each.tokens) for each in found.too_long] == [
        (1, "The row at stories.csv, line 7", found.longest)
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_pictures_far_larger_than_the_model_sees_are_told(name: str) -> None:
    usual = [ask(picture(n, (40 + n, 40)), "What is it?", "it") for n in range(3)]
    assert lengths(encoder_for(name), usual).notes == ()
    large = ask(picture(7, (1200, 1100)), "What is it?", "it")
    (note,) = lengths(encoder_for(name), [*usual, large]).notes
    assert note.startswith("In 1 of the 4 measured rows this model sees less than a quarter")


@pytest.mark.parametrize("name", ["idefics3", "llava", "paligemma", "gemma3", "mllama"])
def test_pictures_that_are_made_far_larger_are_told(name: str) -> None:
    (note,) = lengths(encoder_for(name), [ask(picture(7, (6, 6)), "What is it?", "it")] * 2).notes
    assert note.startswith("In 2 of the 2 measured rows the pictures are made more than four times")


def test_rows_that_cannot_be_learned_are_counted_with_the_reason() -> None:
    found = lengths(encoder_for("paligemma"), [*FORMS["single"], *FORMS["text_only"]])
    assert (found.measured, found.unusable) == (4, 2)
    ((reason, rows),) = found.reasons
    assert "no picture" in reason
    assert rows == 2
    assert sum(found.whole.counts) == 2


class Endless(Sequence[Row]):
    """A million rows of which each is made when it is asked for."""

    def __init__(self) -> None:
        self.made = 0

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> Row:  # type: ignore[override]
        self.made += 1
        return ask(TWO if index % 2 else ONE, f"Number {index}?", "yes")


def test_of_a_million_rows_a_sample_is_measured() -> None:
    rows, told = Endless(), []
    found = lengths(encoder_for("qwen2_vl"), rows, progress=lambda done, total: told.append((done, total)))
    assert (found.measured, found.of, rows.made) == (MEASURED, 1_000_000, MEASURED)
    assert told == [(done, MEASURED) for done in range(MEASURED)]
    assert found == lengths(encoder_for("qwen2_vl"), Endless()), "the same sample every time"


def test_measuring_can_be_broken_off() -> None:
    rows = Endless()
    found = lengths(encoder_for("qwen2_vl"), rows, cancelled=lambda: rows.made >= 10)
    assert (found.measured, found.of) == (10, 1_000_000)
    assert lengths(encoder_for("qwen2_vl"), rows, cancelled=lambda: True).longest == 0


def test_a_picture_on_its_side_has_the_size_that_is_seen(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 20)).save(tmp_path / "a.jpg", exif=exif)
    file = PictureFile(tmp_path / "a.jpg", "a.jpg")
    assert size_of(file) == file.open().size == (20, 60)


@pytest.mark.parametrize("values", [[5], [1, 100], list(range(500)), [7, 7, 7, 8]])
def test_every_value_stands_in_one_bar(values: list[int]) -> None:
    made = histogram(values)
    assert sum(made.counts) == len(values)
    assert len(made.edges) == len(made.counts) + 1 <= 21
    for low, high, count in zip(made.edges, made.edges[1:], made.counts, strict=False):
        assert sum(low <= value < high for value in values) == count


def test_turns_without_pictures_have_no_size() -> None:
    assert lengths(encoder_for("gemma3"), [Row((Turn("user", ("Hi",)), Turn("assistant", ("Ho",))))]).image.counts == (
        1,
    )
