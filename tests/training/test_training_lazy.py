"""A million rows cost what ten thousand do: a row is made when its turn comes, and no list holds all of them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from accelerate.data_loader import SeedableRandomSampler
from PIL import Image

from core.data.batches.collate import Encoder
from core.data.batches.conversations import stop_ids
from core.data.batches.trial import try_rows
from core.data.rows import Dataset, PictureInMemory, Row, ask
from core.errors import DataError
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.source import DEMO_MODEL
from core.spec import Recipe, Selection, Settings, Source, Spec, Start, write
from core.training.looks import choose_rows
from core.training.trainer import ShuffledRows
from core.training.worker import run
from tests.data.tiny_families import llava, mllama
from tests.training.short_jobs import SHORT, demo_inspection, make_spec, of_kind, status_of

FEW, MANY = 10_000, 1_000_000
SHADES = [PictureInMemory(Image.new("RGB", (48, 48), (40 * n, 90, 200 - 40 * n)), f"{n}") for n in range(4)]


class Made(Sequence[Row]):
    """Rows that are made when they are asked for, and counted; they can be taken one by one only."""

    def __init__(self, count: int) -> None:
        self.count, self.made = count, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Row:  # type: ignore[override]
        assert isinstance(index, int)
        if not -self.count <= index < self.count:
            raise IndexError(index)
        self.made += 1
        return ask(SHADES[index % 4], "Which shade is it?", f"{index % 4}")

    def __iter__(self) -> Iterator[Row]:
        raise AssertionError("all rows were asked for")


def big(count: int) -> Dataset:
    return Dataset("big", "Big", "", "", "", Made(count), Made(max(10_000, count // 10)), {})


@contextmanager
def traced() -> Iterator[list[int]]:
    """The peak of Python's own memory (bytes) inside, known afterwards; what fails inside traces nothing further on."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def peak_of_job(data: Dataset, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> int:
    """The peak of Python's own memory (bytes) in a short job over the rows."""
    monkeypatch.setattr("core.training.preparing.load_dataset", lambda source, sets: data)
    made, selection = demo_inspection(), Selection(cells=("language.attention",))
    plan = make_plan(made, selection, Recipe(rank=4, alpha=8.0, start=start))
    settings = Settings(**SHORT | {"steps": 3, "final_rows": 4, "eval_rows": 2})
    spec = Spec("big", DEMO_MODEL, Source("demo", "digits"), selection, plan, settings, budget(made, plan).trainable)
    folder.mkdir()
    write(spec, folder / "spec.json")
    with traced() as peak:
        assert run(folder) == 0, status_of(folder).error
    return peak[0]


@pytest.mark.slow
@pytest.mark.parametrize("start", ["default", "eva"])
def test_a_million_rows_start_like_ten_thousand(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = big(FEW), big(MANY)
    peak_of_job(big(FEW), tmp_path / "warm", start, monkeypatch)
    small = peak_of_job(few, tmp_path / "few", start, monkeypatch)
    large = peak_of_job(many, tmp_path / "many", start, monkeypatch)
    assert len(of_kind(tmp_path / "many", "train")) == 3
    assert (many.train.made, many.heldout.made) == (few.train.made, few.heldout.made)
    assert many.train.made < 14_000
    assert large - small < 2 << 20, "beside the order of the rows, which is a tensor"


def test_the_order_is_transformers_own() -> None:
    """transformers' RandomSampler, as accelerate's loader replaces it: the exported script orders its rows so."""
    theirs = SeedableRandomSampler(range(10_000), data_seed=7)
    ours = ShuffledRows(10_000, 7)
    for epoch in range(3):
        theirs.set_epoch(epoch)
        ours.set_epoch(epoch)
        assert list(ours) == list(theirs)
    assert len(ours) == 10_000


def test_the_order_of_a_million_rows_takes_eight_bytes_a_row() -> None:
    order = iter(ShuffledRows(MANY, 0))
    with traced() as peak:
        seen = [next(order) for _ in range(20_000)]
    assert len(set(seen)) == 20_000
    assert max(seen) > MANY - 1000
    assert peak[0] < 2 << 20


def test_held_out_rows_are_chosen_without_looking_at_all() -> None:
    rows = Made(MANY)
    assert len(choose_rows(rows, Settings(final_rows=50)).rows) == 50
    assert rows.made == 50


def test_a_row_that_is_too_long_ends_the_job_before_the_model_is_loaded(
    tmp_path: Path, colours: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.preparing.load_model", lambda *_, **__: pytest.fail("the weights were loaded"))
    spec = make_spec(colours, max_tokens=20)
    write(spec, tmp_path / "spec.json")
    assert run(tmp_path) == 1
    assert "the limit is 20" in str(status_of(tmp_path).error)
    assert "metadata.jsonl" in str(status_of(tmp_path).error)


def test_answers_that_can_never_match_are_said_in_a_note(tmp_path: Path, colours: Source) -> None:
    for most in (1, 30):
        folder = tmp_path / str(most)
        folder.mkdir()
        write(make_spec(colours, max_new_tokens=most), folder / "spec.json")
        assert run(folder) == 0, status_of(folder).error
    said = ["the most that the model writes" in str(note) for note in of_kind(tmp_path / "1", "note")]
    assert sum(said) == 1
    assert not any("the most that the model writes" in str(note) for note in of_kind(tmp_path / "30", "note"))


def test_a_system_prompt_without_a_place_is_said_in_a_note() -> None:
    rows = [ask(SHADES[0], "Which shade?", "red", system="Be brief.")]
    for made, notes in ((llava(), 0), (mllama(), 1)):
        encoder = Encoder(made.processor, stop_ids(made.model, made.processor))
        found = try_rows(encoder, rows, rows, 4, lambda: None)
        assert len(found) == notes
        assert all("in front of the first question" in note for note in found)


def test_rows_that_cannot_share_a_batch_are_refused_before_training() -> None:
    rows = [ask(SHADES[0], "Which shade?", "red"), ask((), "1 + 1?", "2")]
    made = mllama()
    encoder = Encoder(made.processor, stop_ids(made.model, made.processor))
    with pytest.raises(DataError, match=r"cannot read in one batch.*batch size of 1"):
        try_rows(encoder, rows, rows, 2, lambda: None)
    assert try_rows(encoder, rows, rows, 1, lambda: None) == ()
