"""Every row that would end a job in its middle is found before it, and most without asking the processor."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from core.data.batches.collate import Encoder
from core.data.batches.conversations import stop_ids
from core.data.previewing.fitting import ALL, SAMPLE, refuse_unfit
from core.data.rows import Row, ask
from core.errors import DataError
from tests.data.test_collation import FAMILIES, FORMS, ONE, family_of, picture


def limited(name: str, limit: int | None) -> Encoder:
    made = family_of(name)
    return Encoder(made.processor, stop_ids(made.model, made.processor), limit)


def tokens_of(name: str, row: Row) -> int:
    return int(limited(name, None).training([row])["input_ids"].shape[1])


def rows(count: int) -> list[Row]:
    return [ask(ONE, f"What is {number}?", "a star") for number in range(count)]


def silent() -> None:
    """Nobody asks to stop."""


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_that_is_one_token_too_long_is_found_wherever_it_stands(name: str) -> None:
    long = ask(ONE, "Tell me all of it. " * 12, "a star", origin="talk.jsonl, line 999")
    many = rows(1000)
    many[998] = long
    exact = tokens_of(name, long)
    refuse_unfit(limited(name, exact), many, silent)
    with pytest.raises(DataError, match=rf"talk\.jsonl, line 999.*{exact:,} tokens and the limit is {exact - 1:,}"):
        refuse_unfit(limited(name, exact - 1), many, silent)


@pytest.mark.parametrize("name", ["qwen2_vl", "idefics3_tiles", "internvl", "llava", "gemma3"])
def test_of_pictures_of_many_sizes_the_dearest_decide(name: str) -> None:
    dice = random.Random(name)
    sizes = [(dice.randint(30, 120), dice.randint(30, 120)) for _ in range(60)] + [(400, 40), (40, 400), (300, 300)]
    many = [ask(picture(n, size), "What is it?" + " Look." * (n % 5), "it") for n, size in enumerate(sizes)]
    longest = max(tokens_of(name, row) for row in many)
    refuse_unfit(limited(name, longest), many, silent)
    with pytest.raises(DataError, match=f"it has {longest} tokens and the limit is {longest - 1}"):
        refuse_unfit(limited(name, longest - 1), many, silent)


def test_rows_that_fit_by_far_are_not_put_through_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Row] = []
    kept = Encoder.parts
    monkeypatch.setattr(Encoder, "parts", lambda self, row, keep=False: (asked.append(row), kept(self, row, keep))[1])
    refuse_unfit(limited("qwen2_vl", 4000), rows(3000), silent)
    assert len(asked) == 1


def test_a_row_that_the_model_cannot_learn_from_is_found_without_a_limit_too() -> None:
    many = rows(3000)
    many[2900] = ask(ONE, "What?", "It is <|im_end|>", origin="talk.jsonl, line 2901")
    with pytest.raises(DataError, match=r"line 2901.*ends a turn in this model"):
        refuse_unfit(limited("qwen2_vl", None), many, silent)


class Endless(Sequence[Row]):
    """Rows that are made when they are asked for."""

    def __init__(self, count: int) -> None:
        self.count, self.made = count, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Row:  # type: ignore[override]
        self.made += 1
        return FORMS["single"][index % 2]


@pytest.mark.parametrize(("count", "looked_at"), [(ALL, ALL), (ALL + 1, SAMPLE), (1_000_000, SAMPLE)])
def test_of_very_many_rows_a_sample_is_looked_at(count: int, looked_at: int) -> None:
    many = Endless(count)
    refuse_unfit(limited("llava", 4000), many, silent)
    assert looked_at <= many.made <= looked_at + 10


def test_looking_can_be_broken_off() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refuse_unfit(limited("llava", 4000), rows(3), stop)
