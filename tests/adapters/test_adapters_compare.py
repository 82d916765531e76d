"""The base side is the base, the tuned side is the adapter, however often and by whomever they are asked."""

from __future__ import annotations

import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from core.adapters.compare import Answers, Comparison, open_comparison, release_comparison
from core.data.files.pictures import PictureFile
from core.data.rows import ask
from core.errors import AdapterError
from core.evaluation.answers import generate_answers
from core.models.loading import load_model, load_processor
from core.spec import Source

QUESTIONS = ("What shape is this?", "How many shapes are there?", "Which colour is it?")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    paths = [tmp_path_factory.mktemp("pictures") / f"{colour}.png" for colour in ("red", "green", "white")]
    for path in paths:
        Image.new("RGB", (48, 48), path.stem).save(path)
    return paths


@pytest.fixture(scope="module")
def truth(base: Path, job_dir: Path, pictures: list[Path]) -> list[Answers]:
    """What a freshly loaded base model and a freshly loaded PEFT model say."""
    from peft import PeftModel

    source = Source("folder", str(base))
    processor = load_processor(source)
    rows = [ask(PictureFile(path, path.name), question) for path in pictures for question in QUESTIONS]
    plain = generate_answers(load_model(source, "cpu", torch.float32), processor, rows, 8, batch_size=1)
    model = PeftModel.from_pretrained(load_model(source, "cpu", torch.float32), str(job_dir / "adapter"))
    tuned = generate_answers(model, processor, rows, 8, batch_size=1)
    return [Answers(*pair) for pair in zip(plain, tuned, strict=True)]


def ask_all(comparison: Comparison, pictures: list[Path]) -> list[Answers]:
    return [comparison.answer(Image.open(path), question) for path in pictures for question in QUESTIONS]


def test_both_sides_equal_freshly_loaded_models_also_after_many_turns(
    job_dir: Path, pictures: list[Path], truth: list[Answers]
):
    comparison = Comparison(job_dir)
    assert any(pair.base != pair.tuned for pair in truth), "else this test would prove nothing"
    for _ in range(3):
        assert ask_all(comparison, pictures) == truth


def test_many_people_at_once_get_the_same(job_dir: Path, pictures: list[Path], truth: list[Answers]):
    comparison = open_comparison(job_dir)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask_all(comparison, pictures), range(4)))
    assert answers == [truth] * 4


def test_the_comparison_opened_last_stays_in_memory(job_dir: Path, tmp_path: Path):
    first = open_comparison(job_dir)
    assert open_comparison(job_dir) is first
    other = shutil.copytree(job_dir, tmp_path / "job")
    assert open_comparison(other) is not first
    assert open_comparison(job_dir) is not first


def test_a_released_comparison_leaves_the_memory(job_dir: Path):
    model = weakref.ref(open_comparison(job_dir)._model)
    assert model() is not None
    release_comparison()
    assert model() is None
    release_comparison()
    assert open_comparison(job_dir) is open_comparison(job_dir), "the next one is loaded again"


@pytest.mark.parametrize("place", ["core.models.loading.load_model", "peft.PeftModel.from_pretrained"])
@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")])
def test_too_little_memory_to_open_it_is_a_sentence(
    job_dir: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
):
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(place, full)
    with pytest.raises(AdapterError, match="memory did not suffice"):
        Comparison(job_dir)


@pytest.mark.parametrize(
    ("picture", "question", "words"),
    [
        (Image.new("1", (9000, 9000)), "What is it?", "megapixels"),
        (Image.new("RGB", (8, 8)), "  ", "question is empty"),
        (Image.new("RGB", (8, 8)), "?" * 3000, "3,000 characters"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(job_dir: Path, picture: Image.Image, question: str, words: str):
    with pytest.raises(AdapterError, match=words):
        open_comparison(job_dir).answer(picture, question)


def test_a_job_without_an_adapter_is_a_sentence(job_dir: Path, tmp_path: Path):
    shutil.copy(job_dir / "spec.json", tmp_path)
    with pytest.raises(AdapterError, match="has not made one"):
        open_comparison(tmp_path)


def test_an_adapter_with_missing_weights_is_refused(job_dir: Path, tmp_path: Path):
    job = shutil.copytree(job_dir, tmp_path / "job")
    file = job / "adapter" / "adapter_model.safetensors"
    weights = load_file(file)
    weights.pop(next(iter(weights)))
    save_file(weights, file)
    with pytest.raises(AdapterError, match="weights of other modules"):
        open_comparison(job)


def test_an_adapter_of_another_size_is_refused(job_dir: Path, tmp_path: Path):
    job = shutil.copytree(job_dir, tmp_path / "job")
    file = job / "adapter" / "adapter_model.safetensors"
    save_file({name: torch.zeros(4, 3) for name in load_file(file)}, file)
    with pytest.raises(AdapterError, match="does not fit its base model"):
        open_comparison(job)
