"""A small real data set and real jobs on the demo model, short enough to run here."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.spec import Source, write
from tests.training.short_jobs import COLOURS, make_spec, status_of


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """24 plain pictures to learn from and 8 held out."""
    folder = tmp_path_factory.mktemp("private") / "colours"
    for split, count in (("train", 24), ("heldout", 8)):
        (folder / split).mkdir(parents=True)
        lines = []
        for index in range(count):
            answer = list(COLOURS)[index % 3]
            red, green, blue = COLOURS[answer]
            picture = Image.new("RGB", (48, 48), (red, green, blue + index % 30))
            picture.save(folder / split / f"{index}.png")
            lines.append({"file_name": f"{index}.png", "question": "What colour is it?", "answer": answer})
        (folder / split / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Source("folder", str(folder))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, colours: Source) -> Source:
    """The first eight pictures of each side, each asked about twice, with questions of two lengths."""
    data = shutil.copytree(Path(colours.name), tmp_path_factory.mktemp("shared") / "colours")
    for split in ("train", "heldout"):
        lines = (data / split / "metadata.jsonl").read_text().splitlines()[:8]
        asked = [json.loads(line) for line in lines for _ in range(2)]
        for number, row in enumerate(asked):
            row["question"] += " Please." * (number % 2)
        (data / split / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    return Source("folder", str(data))


@pytest.fixture
def new_job(tmp_path: Path, colours: Source) -> Callable[..., Path]:
    """Makes job folders with a spec, ready to run."""

    def make(name: str = "job", trainable: int | None = None, data: Source | None = None, **settings: object) -> Path:
        spec = make_spec(data or colours, **settings)
        if trainable is not None:
            spec = replace(spec, trainable=trainable)
        folder = tmp_path / name
        folder.mkdir()
        write(spec, folder / "spec.json")
        return folder

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, colours: Source) -> Path:
    """A job that ran to its end."""
    from core.training.worker import run

    folder = tmp_path_factory.mktemp("finished")
    write(make_spec(colours, steps=12), folder / "spec.json")
    assert run(folder) == 0, status_of(folder).error
    return folder


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A worker that runs inside the tests leaves their SIGTERM as it was."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
