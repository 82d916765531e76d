"""Data sets of the Hub: the same streams from a folder of Parquet files, and refusals in words, without network."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from core.data.files.tree import tree_of_folder
from core.data.formats.recognition import recognise
from core.data.formats.records import records
from core.data.hub import checked, fetch_hub, in_words, streams_of, write
from core.errors import DataError, SourceNotFound, SourceRefused
from tests.data.layouts.kit import SAID, hub_parquet, png


@pytest.fixture
def captions(tmp_path):
    """A data set as the Hub keeps it: Parquet files named by their splits."""
    from datasets import ClassLabel, Image, Sequence, Value

    features = {
        "image": Image(),
        "caption": Value("string"),
        "more": Sequence(Image()),
        "kind": ClassLabel(names=["cat", "dog"]),
    }
    root = tmp_path / "published"
    (root / "data").mkdir(parents=True)
    for split, count in (("train", 6), ("test", 3)):
        columns = {
            "image": [{"bytes": png(n), "path": f"{n}.png"} for n in range(count)],
            "caption": list(SAID[:count]),
            "more": [[{"bytes": png(9), "path": None}]] * count,
            "kind": [n % 2 for n in range(count)],
        }
        (root / "data" / f"{split}-00000-of-00001.parquet").write_bytes(hub_parquet(columns, features))
    return root


def folder_file(root: Path, path: str) -> bytes | None:
    """A picture of a data set that lies in a folder, in the place of one on the Hub."""
    real = Path(path).resolve()
    inside = "::" not in path and real.is_relative_to(root.resolve()) and real.is_file()
    return real.read_bytes() if inside else None


def fetched(source, into, split=None, limit=None, **more):
    into.mkdir()
    streams = streams_of(str(source), None, None, split, False)
    return write(streams, into, partial(folder_file, source), limit, **more)


def test_a_stream_becomes_parquet_that_is_recognised_and_read(captions, tmp_path):
    assert fetched(captions, tmp_path / "in") == (9, ("train.parquet", "test.parquet"))
    tree = tree_of_folder(tmp_path / "in")
    guess = recognise(tree)
    assert guess.reading.format == "captions"
    assert guess.reading.split.by == "folders"
    items = list(records(tree, guess.reading))
    assert [item.side for item in items] == ["train"] * 6 + ["heldout"] * 3
    assert [item.row.answer for item in items[:6]] == list(SAID)
    assert items[1].row.picture.read() == png(1)


def test_class_numbers_keep_their_names(captions, tmp_path):
    from core.data.formats.recognition import reread

    fetched(captions, tmp_path / "in", "train")
    tree = tree_of_folder(tmp_path / "in")
    items = list(records(tree, reread(tree, "classes").reading))
    assert [item.row.answer for item in items] == ["cat", "dog"] * 3


def test_one_split_alone_is_read(captions, tmp_path):
    assert fetched(captions, tmp_path / "in", "test") == (3, ("test.parquet",))


def test_a_limit_leaves_a_tenth_for_the_held_out_rows(captions, tmp_path):
    rows, _ = fetched(captions, tmp_path / "in", None, 4)
    assert rows == 4
    items = list(records(tree_of_folder(tmp_path / "in"), recognise(tree_of_folder(tmp_path / "in")).reading))
    assert [item.side for item in items] == ["train"] * 3 + ["heldout"]


def test_pictures_are_not_decoded_on_their_way(captions, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("a picture was opened"))
    fetched(captions, tmp_path / "in")


def test_an_image_folder_brings_the_bytes_of_its_own_files(tmp_path):
    for kind in ("cat", "dog"):
        for n in range(3):
            path = tmp_path / "published" / "train" / kind / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(n))
    fetched(tmp_path / "published", tmp_path / "in")
    tree = tree_of_folder(tmp_path / "in")
    items = list(records(tree, recognise(tree).reading))
    assert [item.row.answer for item in items] == ["cat"] * 3 + ["dog"] * 3
    assert items[2].row.picture.read() == png(2)


@pytest.mark.parametrize(
    "path", ["http://169.254.169.254/latest", "file:///etc/passwd", "/etc/passwd", "../secret.png"]
)
def test_a_path_that_a_row_names_is_never_opened(path, tmp_path, monkeypatch):
    """A row's picture may be a path of anything; only files of the data set itself are read."""
    import socket

    from datasets import Image, Value

    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("an address was asked"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("an address was asked"))
    (tmp_path / "secret.png").write_bytes(png())
    root = tmp_path / "published"
    root.mkdir()
    columns = {"image": [{"bytes": None, "path": path}], "caption": ["a cat that sits here"]}
    data = hub_parquet(
        columns, {"image": {"bytes": Value("binary"), "path": Value("string")}, "caption": Value("string")}
    )
    (root / "train.parquet").write_bytes(data)
    streams = {
        name: stream.cast_column("image", Image(decode=False))
        for name, stream in streams_of(str(root), None, None, None, False).items()
    }
    (tmp_path / "in").mkdir()
    write(streams, tmp_path / "in", partial(folder_file, root))
    (item,) = records(tree_of_folder(tmp_path / "in"), recognise(tree_of_folder(tmp_path / "in")).reading)
    assert item.row is None
    assert item.trouble[0][0] in ("missing_image", "bad_value")


def test_a_stop_and_a_lack_of_room_end_it_in_words(captions, tmp_path):
    with pytest.raises(DataError, match="stopped"):
        fetched(captions, tmp_path / "a", cancelled=lambda: True)
    with pytest.raises(DataError, match="larger than"):
        fetched(captions, tmp_path / "b", room=10)


def test_progress_is_told(captions, tmp_path):
    told = []
    fetched(captions, tmp_path / "in", progress=lambda done, total: told.append((done, total)))
    assert told == [(6, None), (9, None)]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "alone",
        "/etc/passwd",
        "a b/c",
        "owner/na--me",
        "owner/name.git",
        "o" * 300 + "/x",
        "owner/name:p/q",
        "own\0er/name",
    ],
)
def test_a_name_that_cannot_be_is_refused_before_anybody_is_asked(name, tmp_path):
    with pytest.raises(SourceNotFound):
        fetch_hub(name, None, None, False, tmp_path)


@pytest.mark.parametrize("name", ["a/../../b", "../b/c", "core/data"])
def test_a_name_that_leads_to_a_folder_here_is_refused(name, tmp_path, monkeypatch):
    (tmp_path / "core" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceRefused):
        fetch_hub(name, None, None, False, tmp_path)


def test_parts_revisions_and_splits_are_looked_at():
    assert checked("owner/name") == ("owner/name", None)
    assert checked("owner/name:de", "refs/convert/parquet", "train") == ("owner/name", "de")
    with pytest.raises(SourceNotFound, match="no split"):
        checked("owner/name", None, "train[:10%]")
    with pytest.raises(SourceRefused, match="climb"):
        checked("owner/name", "../main")


def test_without_a_network_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SourceNotFound, match="cannot be reached"):
        fetch_hub("owner/name", None, None, False, tmp_path)


def test_a_split_that_is_not_there_names_those_that_are(captions):
    with pytest.raises(ValueError, match="Bad split") as caught:
        streams_of(str(captions), None, None, "dev", False)
    assert "Choose one of train, test" in str(in_words("owner/name", caught.value))


def test_no_sentence_holds_an_address_of_the_error():
    error = in_words("owner/name", OSError("https://user:secret@host/x"))
    assert "secret" not in str(error)
