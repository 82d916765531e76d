"""Jobs over rows of every form at once: conversations, several pictures, none, a system prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from core.data.rows import Dataset, PictureInMemory, Row, Turn, ask
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.spec import Recipe, Selection, Settings, Source, Spec, write
from core.training.worker import run
from tests.data.tiny_families import Family, gemma3, mllama, qwen3_vl
from tests.training.short_jobs import SHORT, of_kind, status_of

RED, BLUE = (PictureInMemory(Image.new("RGB", (48, 32), colour), f"{colour}.png") for colour in ("red", "blue"))
ROWS = (
    ask(RED, "Which colour is it?", "seven", system="Answer in one word."),
    ask((RED, BLUE), "Which is the second?", "left"),
    ask((), "What is 3 + 4?", "seven"),
    Row((*ask(BLUE, "Which colour is it?", "left").turns, Turn("user", ("Sure?",)), Turn("assistant", ("moon",)))),
) * 3
DATA = Dataset("forms", "Forms", "", "", "", ROWS, ROWS[:4], {})


def job(family: Family, folder: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    base, place = folder / "base", folder / "job"
    family.model.save_pretrained(base)
    family.processor.save_pretrained(base)
    place.mkdir()
    source, selection = Source("folder", str(base)), Selection(("language.attention",))
    inspection = inspect_source(source)
    plan = make_plan(inspection, selection, Recipe(rank=4, alpha=8.0))
    settings = Settings(**SHORT | {"steps": 12, "eval_every": 12, "batch_size": batch_size, "learning_rate": 3e-2})
    trainable = budget(inspection, plan).trainable
    monkeypatch.setattr("core.training.preparing.load_dataset", lambda source, sets: DATA)
    write(Spec("forms", source, Source("demo", "digits"), selection, plan, settings, trainable), place / "spec.json")
    run(place)
    return place


@pytest.mark.parametrize(("make", "batch_size"), [(gemma3, 4), (qwen3_vl, 4), (mllama, 1)])
def test_rows_of_all_forms_are_trained_on(
    make: Callable[[], Family], batch_size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = job(make(), tmp_path, batch_size, monkeypatch)
    status = status_of(place)
    assert status.state == "finished", status.error
    assert len(of_kind(place, "train")) == 12
    assert status.after.loss < status.before.loss
    notes = [point["text"] for point in of_kind(place, "note")]
    assert any("in front of the first question" in note for note in notes) == (make is mllama)


def test_what_cannot_share_a_batch_ends_the_job_at_once_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.preparing.load_model", lambda *_, **__: pytest.fail("the weights were loaded"))
    place = job(mllama(), tmp_path, 4, monkeypatch)
    assert "Take a batch size of 1" in str(status_of(place).error)
