"""Data that nobody here wrote: recognised and read, imported, and trained on for a few steps by the demo model.

Emoji with their names by the Unicode consortium (see `real/emoji/LICENSE`); digits written by 43 people (UCI, by way
of scikit-learn); the emoji's names once more in COCO's form of captions.
"""

from __future__ import annotations

import gzip
import json
import shutil
import signal
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from core.data.files.tree import Tree, tree_of_folder
from core.data.formats.recognition import recognise, reread
from core.data.formats.records import records
from core.data.source import load_dataset
from core.data.storing.importing import store
from core.errors import DataError
from core.job_files import DATA
from core.spec import Reading, Source, write
from tests.training.short_jobs import make_spec, of_kind, status_of

EMOJI = Path(__file__).parent / "real" / "emoji"
DIGITS = 200
"""Of the 1,797 in the file."""


def emoji(into: Path) -> tuple[Tree, Reading]:
    """Pictures with their names, as the package has them; names are chosen over kinds."""
    tree = tree_of_folder(EMOJI)
    return tree, reread(tree, "captions").reading


def coco(into: Path) -> tuple[Tree, Reading]:
    """The same in COCO's form, every name a caption."""
    emoji = json.loads((EMOJI / "emoji.json").read_text())
    shutil.copytree(EMOJI / "img" / "google" / "64", into / "val2017")
    images = [{"id": 1000 + n, "file_name": one["image"], "height": 64, "width": 64} for n, one in enumerate(emoji)]
    said = [(1000 + n, text) for n, one in enumerate(emoji) for text in (one["name"], one["short_names"][0])]
    notes = [{"image_id": image, "id": n, "caption": text} for n, (image, text) in enumerate(said)]
    (into / "annotations").mkdir()
    (into / "annotations" / "captions_val2017.json").write_text(json.dumps({"images": images, "annotations": notes}))
    tree = tree_of_folder(into)
    return tree, recognise(tree).reading


def digits(into: Path) -> tuple[Tree, Reading]:
    """One folder a digit, each picture 8 × 8 points of 17 greys, made four times as large."""
    from PIL import Image

    packed = files("sklearn.datasets") / "data" / "digits.csv.gz"
    for number, line in enumerate(gzip.decompress(packed.read_bytes()).decode().splitlines()[:DIGITS]):
        *points, digit = (int(float(value)) for value in line.split(","))
        picture = Image.frombytes("L", (8, 8), bytes(min(255, point * 16) for point in points))
        path = into / str(digit) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.resize((32, 32)).save(path)
    tree = tree_of_folder(into)
    return tree, recognise(tree).reading


MADE = {"emoji": emoji, "coco": coco, "digits": digits}


def test_emoji_are_recognised_as_their_package_has_them():
    tree = tree_of_folder(EMOJI)
    guess = recognise(tree)
    assert guess.reading.tables == ("emoji.json",)
    assert guess.reading.columns["image"] == "image"
    assert "names pictures that are there" in guess.reason
    assert {"captions", "classes"} <= {guess.reading.format, *(format for format, _ in guess.others)}


def test_names_of_emoji_are_read(tmp_path):
    tree, reading = emoji(tmp_path)
    assert reading.columns["text"] == "name"
    items = list(records(tree, reading))
    assert len(items) == 72
    assert items[0].row.answer == "HASH KEY"
    assert {item.row.picture.open().size for item in items} == {(64, 64)}
    assert not any(item.trouble for item in items)


def test_captions_in_cocos_form_are_read(tmp_path):
    tree, reading = coco(tmp_path)
    assert reading.format == "coco"
    items = list(records(tree, reading))
    assert [item.row.answer for item in items[:2]] == ["HASH KEY", "hash"]
    assert len(items) == 144
    assert not any(item.trouble for item in items)
    assert items[0].row.picture == items[1].row.picture


def test_digits_are_recognised_by_their_folders(tmp_path):
    tree, reading = digits(tmp_path)
    assert (reading.format, reading.tables) == ("classes", ())
    items = list(records(tree, reading))
    assert {item.row.answer for item in items} == set("0123456789")
    assert sum(Counter(item.row.answer for item in items).values()) == DIGITS


@pytest.mark.parametrize("name", MADE)
def test_real_data_are_imported_whole(name, tmp_path):
    (tmp_path / "data").mkdir()
    tree, reading = MADE[name](tmp_path / "data")
    made = store(tree, reading, None, tmp_path / "sets", name, f"{name}.zip")
    data = load_dataset(Source("stored", made.name), tmp_path / "sets")
    rows = [*data.train, *data.heldout]
    wanted = {(item.row.question, item.row.answer) for item in records(tree, reading)}
    assert {(row.question, row.answer) for row in rows} == wanted
    assert len(data.heldout) >= 5
    assert not {row.picture for row in data.train} & {row.picture for row in data.heldout}
    assert rows[0].picture.open().size == rows[-1].picture.open().size


def test_a_picture_that_is_taken_away_is_missed_by_name(tmp_path):
    shutil.copytree(EMOJI, tmp_path / "data")
    gone = next((tmp_path / "data" / "img" / "google" / "64").iterdir())
    gone.unlink()
    tree = tree_of_folder(tmp_path / "data")
    reading = recognise(tree).reading
    (missed,) = [item for item in records(tree, reading) if item.row is None]
    assert missed.trouble == (("missing_image", gone.name),)
    with pytest.raises(DataError):
        store(tree, reading, None, tmp_path / "sets", "emoji", "emoji.zip")


@pytest.fixture
def _sigterm():
    """A worker that runs inside a test leaves the signal as it was."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.slow
@pytest.mark.usefixtures("_sigterm")
@pytest.mark.parametrize("name", MADE)
def test_the_demo_model_learns_from_real_data_for_a_few_steps(name, tmp_path):
    """Through the same folder and worker as every job; its data lie beside it under their hash."""
    from core.training.worker import run

    (tmp_path / "data").mkdir()
    (tmp_path / "job").mkdir()
    tree, reading = MADE[name](tmp_path / "data")
    made = store(tree, reading, None, tmp_path / "job" / DATA, name, f"{name}.zip")
    write(make_spec(Source("stored", made.name), steps=4), tmp_path / "job" / "spec.json")
    assert run(tmp_path / "job") == 0, status_of(tmp_path / "job").error
    losses = [point["loss"] for point in of_kind(tmp_path / "job", "train")]
    assert len(losses) >= 2
    assert min(losses[1:]) < losses[0]
    assert (tmp_path / "job" / "adapter" / "adapter_model.safetensors").is_file()
