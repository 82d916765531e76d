"""Stored sets: what was stored comes back, lazily, and nothing else can be reached by a name."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.data.files.tree import tree_of_folder
from core.data.rows import Dataset, Row, Turn
from core.data.source import check_pictures, load_dataset
from core.data.storing.importing import store
from core.data.storing.set_files import PictureWriter, RowWriter
from core.data.storing.stored import (
    ABOUT,
    HELDOUT,
    PICTURES,
    TRAIN,
    delete_set,
    link_set,
    list_sets,
    read_about,
    stored,
)
from core.errors import DataError, SourceNotFound
from core.spec import Imported, Report, Source, write
from tests.data.made_data import VQA, line, make, picture
from tests.growth import times_as_long


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Imported]:
    """A stored set of 600 rows about 40 pictures, and where it lies."""
    root = tmp_path_factory.mktemp("kept")
    rows = [line(number % 40, question=f"Question {number}?", answer=f"Answer {number}") for number in range(600)]
    folder = make(root / "data", rows, pictures=40)
    return root / "sets", store(tree_of_folder(folder), VQA, None, root / "sets", "Cats", "cats.zip")


def test_what_was_stored_comes_back(kept: tuple[Path, Imported]) -> None:
    data = load_dataset(Source("stored", kept[1].name), kept[0])
    assert isinstance(data, Dataset)
    assert (data.title, len(data.train) + len(data.heldout), len(data.pictures)) == ("Cats", 600, 40)
    for row in (*data.train, *data.heldout):
        number = int(row.question.removeprefix("Question ").removesuffix("?"))
        assert row.answer == f"Answer {number}"
        assert row.origin == f"rows.jsonl, line {number + 1}"
    row = data.train[7]
    number = int(row.answer.rpartition(" ")[2]) % 40
    assert row.picture is not None
    assert row.picture.open().tobytes() == picture(number).tobytes()
    assert data.pictures[row.picture.name] == row.picture


def test_rows_are_a_sequence(kept: tuple[Path, Imported]) -> None:
    rows = stored(kept[0], kept[1].name).train
    every = list(rows)
    assert rows[-1] == every[-1]
    assert list(rows[10:300:7]) == every[10:300:7]
    assert list(rows[::-1][:3]) == every[::-1][:3]
    assert len(rows[5:1]) == 0
    assert every[3] in rows
    with pytest.raises(IndexError):
        rows[len(rows)]
    assert rows == stored(kept[0], kept[1].name).train
    assert rows != rows[1:]


def test_two_loads_are_equal_and_may_go_to_another_process(kept: tuple[Path, Imported]) -> None:
    one, other = (stored(kept[0], kept[1].name) for _ in range(2))
    assert one.train[3] == other.train[3]
    assert {one.train[3]: 1}[other.train[3]] == 1
    for made in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):  # noqa: S301
        assert made.train[3] == one.train[3]
        assert made.train[3].picture.read() == one.train[3].picture.read()


def test_many_threads_read_the_same(kept: tuple[Path, Imported]) -> None:
    data = stored(kept[0], kept[1].name)
    wanted = [(row.answer, row.picture.read()) for row in data.train]
    order = [number % len(wanted) for number in range(0, 7 * len(wanted), 5)]

    def read(number: int) -> bool:
        row = data.train[number]
        return (row.answer, row.picture.read()) == wanted[number]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, order))


def test_pictures_are_reached_by_their_own_names_alone(kept: tuple[Path, Imported]) -> None:
    pictures = stored(kept[0], kept[1].name).pictures
    assert len(list(pictures)) == 40
    for name in (
        "",
        "0000040.png",
        "0000000.jpg",
        "0.png",
        "../dataset.json",
        "/etc/passwd",
        "00000000.png",
        "x" * 5000,
    ):
        assert name not in pictures
        assert pictures.get(name) is None


@pytest.mark.parametrize("name", ["", "0" * 64, "../sets", "..", "/etc", "A" * 64, "0" * 63 + "\n", "." * 64])
def test_no_other_folder_is_reached_by_a_name(kept: tuple[Path, Imported], name: str) -> None:
    for reach in (stored, read_about, delete_set):
        with pytest.raises(SourceNotFound):
            reach(kept[0], name)


def test_a_stored_set_needs_its_owner(kept: tuple[Path, Imported]) -> None:
    with pytest.raises(SourceNotFound, match="owner"):
        load_dataset(Source("stored", kept[1].name))


@pytest.mark.parametrize("file", [ABOUT, TRAIN, PICTURES])
def test_damage_is_said_in_words(kept: tuple[Path, Imported], tmp_path: Path, file: str) -> None:
    sets, made = kept
    link_set(sets, made.name, tmp_path)
    (tmp_path / made.name / file).unlink()
    (tmp_path / made.name / file).write_bytes(b"nothing")
    with pytest.raises(DataError, match="stored data set"):
        stored(tmp_path, made.name).train[0].picture.read()
    assert list_sets(tmp_path) == (() if file == ABOUT else (made,))


def test_sets_are_listed_and_removed(kept: tuple[Path, Imported], tmp_path: Path) -> None:
    assert list_sets(tmp_path / "none") == ()
    link_set(kept[0], kept[1].name, tmp_path)
    assert list_sets(tmp_path) == (kept[1],)
    delete_set(tmp_path, kept[1].name)
    assert list_sets(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_linked_set_outlives_the_one_it_was_linked_from(kept: tuple[Path, Imported], tmp_path: Path) -> None:
    sets, name = kept[0], kept[1].name
    link_set(sets, name, tmp_path / "own")
    link_set(sets, name, tmp_path / "job")
    assert (tmp_path / "own" / name / PICTURES).stat().st_ino == (tmp_path / "job" / name / PICTURES).stat().st_ino
    delete_set(tmp_path / "own", name)
    data = load_dataset(Source("stored", name), tmp_path / "job")
    check_pictures(data.train)
    assert data.train[0].picture.open().mode == "RGB"


def test_a_set_is_copied_where_links_cannot_be_made(
    kept: tuple[Path, Imported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("another disk")

    monkeypatch.setattr("os.link", refuse)
    link_set(kept[0], kept[1].name, tmp_path)
    assert stored(tmp_path, kept[1].name).train[5] == stored(kept[0], kept[1].name).train[5]


def test_the_majority_is_known_without_reading_a_row(kept: tuple[Path, Imported], tmp_path: Path) -> None:
    link_set(kept[0], kept[1].name, tmp_path)
    data = stored(tmp_path, kept[1].name)
    (tmp_path / kept[1].name / HELDOUT).unlink()
    assert data.majority == kept[1].report.majority


def test_turns_of_every_shape_come_back(tmp_path: Path) -> None:
    """Text before, between and after several pictures; a system turn; several answers; text alone; empty texts."""
    name = "a" * 64
    folder = tmp_path / name
    folder.mkdir()
    with PictureWriter(folder, "key") as pictures:
        for number in range(3):
            pictures.add(bytes([number]) * 10, (4, 4), "png")
    made = Imported(name, "t", "o", VQA, Report(2, 2, 2, 0, 3), 2, 0, 3, 0.0)
    write(made, folder / ABOUT)
    with RowWriter(folder / HELDOUT).file:
        pass
    one, two, three = (Stub(f"{number}") for number in range(3))
    shapes = [
        (
            Turn("system", ("Be brief.",)),
            Turn("user", ("Between ", one, " and ", two, "", three)),
            Turn("assistant", ("x",)),
        ),
        (
            Turn("user", ("Hi",)),
            Turn("assistant", ("Ho",)),
            Turn("user", (two, two)),
            Turn("assistant", ("\u2028 🙂 \0",)),
        ),
    ]
    writer = RowWriter(folder / TRAIN)
    with writer.file:
        for turns in shapes:
            writer.add(Row(turns, "de", "x, line 1"), {one: 0, two: 1, three: 2})
    data = stored(tmp_path, name)
    for turns, row in zip(shapes, data.train, strict=True):
        parts = [
            (turn.speaker, tuple(p if isinstance(p, str) else p.read()[0] for p in turn.parts)) for turn in row.turns
        ]
        assert parts == [(t.speaker, tuple(p if isinstance(p, str) else int(p.name) for p in t.parts)) for t in turns]
        assert (row.language, row.origin) == ("de", "x, line 1")


class Stub:
    """A picture that is only a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    open = read = None


def test_a_hundred_thousand_rows_are_opened_as_quickly_as_a_thousand_and_in_no_memory(tmp_path: Path) -> None:
    row = Row((Turn("user", ("x",)), Turn("assistant", ("y",))))

    def written(letter: str, count: int) -> str:
        folder = tmp_path / (letter * 64)
        folder.mkdir()
        for name, rows in ((TRAIN, count), (HELDOUT, 10)):
            writer = RowWriter(folder / name)
            with writer.file:
                for _ in range(rows):
                    writer.add(row, {})
        with PictureWriter(folder, "key"):
            pass
        write(Imported(folder.name, "t", "o", VQA, Report(0, 0, 0, 0, 0), count, 10, 0, 0.0), folder / ABOUT)
        return folder.name

    few, many = written("a", 1_000), written("b", 100_000)
    assert times_as_long(lambda: stored(tmp_path, many).train[-1], lambda: stored(tmp_path, few).train[-1]) < 5
    tracemalloc.start()
    data = stored(tmp_path, many)
    assert len(data.train) == 100_000
    assert data.train[99_999].turns[0].text == "x"
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
