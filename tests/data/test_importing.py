"""Storing: named by what is in it, whole or not at all, and versions share what they have in common."""

from __future__ import annotations

import json
import shutil
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.checking.checks import check
from core.data.checking.looks import Looks
from core.data.checking.survey import Cancelled
from core.data.files.tree import tree_of_folder, tree_of_upload
from core.data.formats.records import records
from core.data.storing import feed, importing
from core.data.storing.importing import store
from core.data.storing.stored import HELDOUT, PICTURES, TRAIN, list_sets, read_about, stored
from core.errors import DataError
from core.spec import Imported, Reading, Split
from tests.data.made_data import VQA, line, make, picture

GREY = (np.arange(240 * 200, dtype=np.uint16) + 8_000).reshape(200, 240)
"""A picture of 16 bits: dark, and white if its high bits were cut off."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty rows about thirty pictures, two of them the same file under two names."""
    made = make(tmp_path / "data", [line(number % 30, question=f"Question {number}?") for number in range(40)], 30)
    (made / "29.png").write_bytes((made / "28.png").read_bytes())
    return made


def kept(folder: Path, reading: Reading = VQA, title: str = "Cats", **more: object) -> Imported:
    return store(tree_of_folder(folder), reading, None, folder.parent / "sets", title, "cats.zip", **more)


def test_the_same_data_give_the_same_hash_and_one_folder(folder: Path) -> None:
    first = kept(folder)
    again = kept(folder, title="Other words")
    assert again == replace(first, title="Other words"), "the title given last is the one that a person looks for"
    assert read_about(folder.parent / "sets", first.name).title == "Other words"
    assert [path.name for path in (folder.parent / "sets").iterdir()] == [first.name]


def test_the_hash_does_not_depend_on_where_or_in_what_the_data_came(folder: Path, tmp_path: Path) -> None:
    first = kept(folder)
    moved = tmp_path / "elsewhere" / "deep"
    shutil.copytree(folder, moved / "data")
    assert kept(moved / "data").name == first.name
    (moved / "up").mkdir()
    with zipfile.ZipFile(moved / "up" / "0", "w") as packed:
        for path in folder.iterdir():
            packed.write(path, path.name)
    tree = tree_of_upload(moved / "up", {"0": "cats.zip"})
    assert store(tree, VQA, None, moved / "sets", "t", "o").name == first.name


@pytest.mark.parametrize(
    "change",
    [
        {"template": "Is it {answer}?", "format": "captions", "columns": {"image": "image", "text": "answer"}},
        {"system": "Be brief."},
        {"split": Split(seed=5)},
        {"drop_rows": (3,)},
    ],
)
def test_whatever_changes_the_rows_changes_the_hash(folder: Path, change: dict[str, object]) -> None:
    assert kept(folder, replace(VQA, **change)).name != kept(folder).name


def test_one_changed_pixel_changes_the_hash(folder: Path) -> None:
    before = kept(folder).name
    changed = picture(4)
    changed.putpixel((0, 0), (1, 2, 3))
    changed.save(folder / "4.png")
    assert kept(folder).name != before


def test_a_picture_is_stored_once_under_all_its_names(folder: Path) -> None:
    made = kept(folder)
    assert made.pictures == 29
    bytes_of_pictures = {path.read_bytes() for path in folder.glob("*.png")}
    assert (folder.parent / "sets" / made.name / PICTURES).stat().st_size == sum(map(len, bytes_of_pictures))


def test_a_new_version_with_the_same_pictures_shares_their_file(folder: Path) -> None:
    first, second = kept(folder), kept(folder, replace(VQA, drop_rows=(35,)))
    assert first.name != second.name
    files = [(folder.parent / "sets" / made.name / PICTURES).stat() for made in (first, second)]
    assert files[0].st_ino == files[1].st_ino
    data = stored(folder.parent / "sets", second.name)
    for row in data.train:
        assert row.picture.open().tobytes() == picture(_number(row.origin)).tobytes()


def _number(origin: str) -> int:
    number = (int(origin.rpartition(" ")[2]) - 1) % 30
    return 28 if number == 29 else number


def test_a_new_version_with_fewer_pictures_has_a_file_of_its_own(folder: Path) -> None:
    first, second = kept(folder), kept(folder, replace(VQA, drop_rows=(12,)))
    assert (first.pictures, second.pictures) == (29, 28)
    for row in stored(folder.parent / "sets", second.name).train:
        assert row.picture.open().tobytes() == picture(_number(row.origin)).tobytes()


def test_what_was_left_out_is_written_down(folder: Path) -> None:
    lines = (folder / "rows.jsonl").read_text().splitlines()
    lines[4] = json.dumps(line(4, answer=""))
    lines[6] = json.dumps(line(99))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    made = kept(folder, replace(VQA, drop=("empty_answer", "missing_image")))
    assert read_about(folder.parent / "sets", made.name) == made
    assert (made.report.rows, made.train + made.heldout) == (40, 38)
    left = {
        finding.kind: [place.row for place in finding.places] for finding in made.report.findings if finding.left_out
    }
    assert left == {"empty_answer": [5], "missing_image": [7]}
    assert str(folder.parent) not in (folder.parent / "sets" / made.name / "dataset.json").read_text()


def test_data_with_an_error_are_not_stored(folder: Path) -> None:
    (folder / "5.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be opened"):
        kept(folder)
    assert not list(folder.parent.joinpath("sets").glob("*"))


def test_data_that_changed_since_the_check_are_not_stored(folder: Path) -> None:
    report = check(tree_of_folder(folder), VQA)
    with (folder / "rows.jsonl").open("a") as file:
        file.write(json.dumps(line(3, question="One more?")) + "\n")
    with pytest.raises(DataError, match="no longer those that were checked"):
        store(tree_of_folder(folder), VQA, report, folder.parent / "sets", "t", "o")


def test_a_file_that_is_said_to_be_in_another_encoding_is_stored_whole(tmp_path: Path) -> None:
    make(tmp_path / "data", [], pictures=30)
    text = "".join(json.dumps(line(n, answer=f"Kätzchen {n}"), ensure_ascii=False) + "\n" for n in range(30))
    (tmp_path / "data" / "rows.jsonl").write_bytes(text.encode("latin-1"))
    data = stored(tmp_path / "sets", kept(tmp_path / "data").name)
    assert {row.answer for row in (*data.train, *data.heldout)} == {f"Kätzchen {n}" for n in range(30)}


def test_rows_that_went_away_while_they_are_stored_are_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "records", lambda tree, reading: islice(records(tree, reading), 39))
    with pytest.raises(DataError, match="no longer those that were checked"):
        kept(folder)
    assert list((folder.parent / "sets").iterdir()) == []


def test_a_picture_that_is_swapped_while_it_is_stored_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = feed._prepare
    swapped = (folder / "7.png").read_bytes()
    monkeypatch.setattr(
        feed,
        "_prepare",
        lambda p, side: replace(prepare(p, side), digest=bytes(32)) if p.read() == swapped else prepare(p, side),
    )
    with pytest.raises(DataError, match="no longer those that were checked"):
        kept(folder)
    assert list((folder.parent / "sets").iterdir()) == []


@pytest.mark.parametrize("at", [1, 30, 45, 60, 79])
def test_a_stop_leaves_nothing(folder: Path, at: int) -> None:
    """40 rows are read twice."""
    asked = iter(range(1000))
    with pytest.raises(Cancelled):
        kept(folder, cancelled=lambda: next(asked) == at)
    assert not list(folder.parent.joinpath("sets").glob("*"))
    assert kept(folder).train


def test_a_full_disk_is_said_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as change:
        change.setattr("core.data.storing.set_files.PictureWriter.add", full)
        with pytest.raises(DataError, match="No space left"):
            kept(folder)
    assert list((folder.parent / "sets").iterdir()) == []
    usage = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="free space"):
        kept(folder)
    assert list((folder.parent / "sets").iterdir()) == []


def test_two_who_store_the_same_at_once_get_one_set(folder: Path) -> None:
    gate = threading.Barrier(4)

    def one(_: int) -> Imported:
        gate.wait()
        return kept(folder)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(one, range(4)))
    assert len({each.name for each in made}) == 1
    assert [path.name for path in (folder.parent / "sets").iterdir()] == [made[0].name]
    assert len(list_sets(folder.parent / "sets")) == 1


def test_large_pictures_are_made_smaller_and_others_kept_as_they_are(folder: Path) -> None:
    picture(2, (400, 100)).save(folder / "2.png")
    picture(3, (400, 300)).save(folder / "3.jpg", quality=90)
    (folder / "3.jpg").rename(folder / "3.png")
    made = kept(folder, replace(VQA, max_side=200))
    data = stored(folder.parent / "sets", made.name)
    sizes = {_number(row.origin): (row.picture.size, row.picture.name[-3:]) for row in (*data.train, *data.heldout)}
    assert sizes[2] == ((200, 50), "png")
    assert sizes[3] == ((200, 150), "jpg")
    assert sizes[4] == ((64, 48), "png")
    assert {row.picture.open().size for row in data.train} <= {(200, 50), (200, 150), (64, 48)}
    assert kept(folder).name != made.name


def test_the_check_before_spares_a_second_look(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks()
    report = check(tree_of_folder(folder), VQA, looks=looks)
    monkeypatch.setattr("core.data.checking.survey.look_at", lambda p: pytest.fail("looked at again"))
    tree, sets = tree_of_folder(folder), folder.parent / "sets"
    assert store(tree, VQA, report, sets, "t", "o", looks=looks).report == report


def test_progress_reaches_the_end_and_never_goes_back(folder: Path) -> None:
    told: list[tuple[int, int | None]] = []
    kept(folder, progress=lambda done, total: told.append((done, total)))
    done = [each for each, _ in told]
    assert done == sorted(done)
    assert told[-1] == (40, 40)


def test_files_of_a_set_are_for_its_owner_alone(folder: Path) -> None:
    made = kept(folder)
    place = folder.parent / "sets" / made.name
    assert place.stat().st_mode & 0o077 == 0
    assert {path.name for path in place.iterdir()} == {"dataset.json", TRAIN, HELDOUT, PICTURES, "pictures.arrow"}


def test_rows_without_pictures_are_stored_too(tmp_path: Path) -> None:
    rows = [{"image": None, "question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(30)]
    make(tmp_path / "data", [*rows, line(0), line(1)], pictures=2)
    made = kept(tmp_path / "data")
    data = stored(tmp_path / "sets", made.name)
    assert sum(not row.pictures for row in (*data.train, *data.heldout)) == 30
    assert made.pictures == 2


def test_pictures_made_smaller_show_what_the_whole_ones_do(folder: Path) -> None:
    Image.new("RGBA", (240, 200), (255, 0, 0, 0)).save(folder / "0.png")
    Image.fromarray(GREY).save(folder / "1.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (240, 200), (9, 9, 90)).save(folder / "2.png", exif=turned)
    opened = {}
    for side in (None, 60):
        made = stored(folder.parent / "sets", kept(folder, replace(VQA, max_side=side)).name)
        rows = {row.question: row.picture.open() for row in (*made.train, *made.heldout)}
        opened[side] = [rows[f"Question {number}?"] for number in range(3)]
    for whole, small in zip(opened[None], opened[60], strict=True):
        assert max(small.size) == 60
        again = whole.resize(small.size, Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(again, int) - np.asarray(small, int)).max() <= 2


@pytest.mark.parametrize("file", [TRAIN, PICTURES])
def test_bringing_the_data_again_mends_a_set_that_was_cut_off(folder: Path, file: str) -> None:
    made = kept(folder)
    damaged = folder.parent / "sets" / made.name / file
    damaged.write_bytes(damaged.read_bytes()[:-200])
    assert kept(folder).name == made.name
    again = stored(folder.parent / "sets", made.name)
    assert len([*again.train, *again.heldout]) == 40
    assert all(picture.open().mode == "RGB" for picture in again.pictures.values())
