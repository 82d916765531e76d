"""Files of an upload by their names, and the file that a row means."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path

import pytest

from core.data.files.entries import is_noise, plain_name, shown, trouble_with
from core.data.files.tree import Tree, tree_of_folder, tree_of_upload
from core.errors import DataError, SourceNotFound, SourceRefused, StudioError
from tests.data.made_data import BytesEntry


def tree(*names: str) -> Tree:
    """A tree of files that hold their names."""
    return Tree({name: BytesEntry(name, len(name), name.encode()) for name in names})


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("names", "wanted", "beside", "found"),
    [
        (["train/1.png", "test/1.png"], "1.png", "test/rows.jsonl", "test/1.png"),
        (["train/1.png", "1.png"], "train/1.png", "train/rows.jsonl", "train/1.png"),
        (["images/1.png"], "./images//1.png", "a.csv", "images/1.png"),
        (["images/1.png"], "images\\1.png", "a.csv", "images/1.png"),
        (["pictures/1.png"], "../pictures/1.png", "rows/a.csv", "pictures/1.png"),
        (["my/a.csv", "my/images/1.png"], "1.png", "my/a.csv", "my/images/1.png"),
        (["train2017/1.jpg", "val2017/1.jpg"], "coco/train2017/1.jpg", "a.json", "train2017/1.jpg"),
        (["my/train2017/1.jpg", "my/val2017/1.jpg"], "coco/val2017/1.jpg", "my/a.json", "my/val2017/1.jpg"),
        (["data/img/1.jpg"], "somewhere/else/1.jpg", "data/a.json", "data/img/1.jpg"),
        (["caf\u00e9.png"], "cafe\u0301.png", "a.csv", "caf\u00e9.png"),
        (["logo.png", "my/a.csv", "my/images/1.png"], "1.png", "my/a.csv", "my/images/1.png"),
    ],
)
def test_the_file_that_a_row_means(names, wanted, beside, found):
    assert tree(*names).find(wanted, beside).name == found


@pytest.mark.parametrize(
    ("names", "wanted", "beside", "said"),
    [
        (["dogs/1.png"], "cats/1.png", "a.csv", None),
        (["cats/2.png", "dogs/1.png"], "cats/1.png", "a.csv", "it is not there"),
        (["train/2.png", "test/1.png"], "1.png", "train/a.jsonl", "it is not there"),
        (["a/1.png", "b/1.png"], "1.png", "rows.csv", "2 files have this name, such as “a/1.png” and “b/1.png”"),
        (["a/1.png"], "2.png", "rows.csv", "it is not there"),
    ],
)
def test_a_missing_file_is_never_taken_from_the_folder_of_another(names, wanted, beside, said):
    """`cats/7.png` that was lost must not become `dogs/7.png`; where there is no folder of cats it may."""
    if said is None:
        assert tree(*names).find(wanted, beside).name == names[0]
        return
    with pytest.raises(DataError) as caught:
        tree(*names).find(wanted, beside)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "C:\\x.png", "c:/x.png", "\\\\host\\x.png", "//host/x.png", "http://h/x.png", "HTTPS://h/x.png",
        "file:///x.png", "file:x.png", "data:image/png;base64,AAAA", "s3://b/x.png", "../x.png", "a/../../x.png",
        "..\\x.png", "x\0.png", "x\n.png", "x\u202egnp.exe", "", ".", "./", "x" * 2000, "\ud800.png",
    ],
)  # fmt: skip
def test_names_that_lead_out_are_refused(name):
    with pytest.raises(SourceRefused) as caught:
        tree("x.png").find(name, "a.csv")
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert len(sentence) < 400


def test_a_name_with_a_colon_or_spaces_is_a_name():
    for name in ("12:30 at noon.png", "a b (1).png", "日本.png", "👨‍👩‍👧.png", "..hidden..png", "a..b/c.png"):
        assert trouble_with(name) == ""
        assert tree(name).find(name).name == name


def test_links_devices_and_hidden_files_stay_outside(tmp_path: Path):
    root = put(tmp_path / "data", {"a.png": b"a", "sub/b.png": b"b", ".hidden": b"", "__MACOSX/._a.png": b""})
    (tmp_path / "secret.png").write_bytes(b"secret")
    os.symlink(tmp_path / "secret.png", root / "link.png")
    os.symlink(tmp_path, root / "up")
    os.mkfifo(root / "pipe")
    found = tree_of_folder(root)
    assert list(found.entries) == ["a.png", "sub/b.png"]
    assert {place.file: reason for place, reason in found.refused} == {
        "link.png": "it is a link, and links are not followed",
        "up": "it is a link, and links are not followed",
        "pipe": "it is no plain file",
    }
    with pytest.raises(SourceRefused, match="it is a link"):
        found.find("link.png")


def test_a_file_that_becomes_a_link_or_a_pipe_later_is_not_opened(tmp_path: Path):
    root = put(tmp_path / "data", {"a.png": b"a", "sub/b.png": b"b"})
    secret = put(tmp_path / "other", {"b.png": b"secret"})
    entries = tree_of_folder(root).entries
    (root / "a.png").unlink()
    os.mkfifo(root / "a.png")
    with pytest.raises(DataError, match="no plain file"):
        entries["a.png"].read()
    (root / "sub" / "b.png").unlink()
    (root / "sub").rmdir()
    os.symlink(secret, root / "sub")
    with pytest.raises(DataError, match="became a link"):
        entries["sub/b.png"].read()
    (root / "sub").unlink()
    with pytest.raises(DataError, match="no longer there"):
        entries["sub/b.png"].read()


def test_a_file_is_read_up_to_a_limit_also_when_it_grew(tmp_path: Path):
    entry = tree_of_folder(put(tmp_path, {"a.bin": b"12345"})).entries["a.bin"]
    assert entry.read(5) == b"12345"
    with pytest.raises(DataError, match="has more than"):
        entry.read(4)
    (tmp_path / "a.bin").write_bytes(b"1234567")
    with pytest.raises(DataError, match="has more than"):
        entry.read(5)


def test_no_folder_and_an_empty_one(tmp_path: Path):
    assert tree_of_folder(tmp_path).entries == {}
    with pytest.raises(SourceNotFound, match="“none”"):
        tree_of_folder(tmp_path / "none")


def test_one_archive_lies_where_it_lay_and_several_stay_apart(tmp_path: Path):
    one = put(tmp_path / "one", {"images.zip": zipped({"1.png": b"1"}), "rows.csv": b"r"})
    assert list(tree_of_upload(one).entries) == ["1.png", "rows.csv"]
    two = {"train.zip": zipped({"cats/1.png": b"1"}), "test.zip": zipped({"cats/1.png": b"2"})}
    entries = tree_of_upload(put(tmp_path / "two", two)).entries
    assert {name: entry.read() for name, entry in entries.items()} == {
        "test/cats/1.png": b"2",
        "train/cats/1.png": b"1",
    }


def test_what_is_uploaded_beside_an_archive_goes_before_what_is_in_it(tmp_path: Path):
    found = tree_of_upload(put(tmp_path, {"a.zip": zipped({"rows.csv": b"old"}), "rows.csv": b"new"}))
    assert found.entries["rows.csv"].read() == b"new"
    assert [(place.file, place.detail) for place, _ in found.refused] == [("rows.csv", "a.zip")]


def test_uploaded_files_have_the_names_that_they_came_with(tmp_path: Path):
    put(tmp_path, {"0": b"rows", "1": zipped({"1.png": b"1"}), "2": b"x", "3": b"y", "4": b"z", "5": b""})
    names = {"0": "my/rows.csv", "1": "my/photos.ZIP", "2": "../x", "3": "my/rows.csv", "4": ".DS_Store"}
    found = tree_of_upload(tmp_path, names)
    assert {name: entry.read() for name, entry in found.entries.items()} == {"my/1.png": b"1", "my/rows.csv": b"rows"}
    assert [place.file for place, _ in found.refused] == ["../x", "my/rows.csv"]


def test_archives_in_a_folder_and_of_other_kinds_are_named(tmp_path: Path):
    put(tmp_path, {"a.zip": zipped({"1.png": b"1"}), "b.rar": b"Rar!"})
    assert sorted(place.file for place, _ in tree_of_folder(tmp_path).refused) == ["a.zip", "b.rar"]
    assert [(place.file, "pack the files as a zip" in why) for place, why in tree_of_upload(tmp_path).refused] == [
        ("b.rar", True)
    ]


def test_ten_times_the_pictures_are_listed_and_found_in_about_ten_times_the_time(tmp_path: Path):
    """A look at every other name for each name would take a hundred times as long."""

    def seconds(count: int) -> float:
        folder = tmp_path / str(count)
        put(folder, {"a.zip": zipped({f"images/{number}.png": b"x" * 100 for number in range(count)})})
        start = time.process_time()
        found = tree_of_upload(folder)
        assert all(found.find(f"{number}.png", "rows.csv").size == 100 for number in range(count))
        return time.process_time() - start

    pairs = [(seconds(1_000 + turn), seconds(10_000 + turn)) for turn in range(3)]  # in turns: others work here too
    assert min(many for _, many in pairs) < 40 * min(few for few, _ in pairs)


def test_a_file_name_that_is_no_unicode_is_left_out(tmp_path: Path):
    try:
        with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb"):
            pass
    except OSError:
        return  # this file system takes no such names
    found = tree_of_folder(tmp_path)
    assert not found.entries
    assert found.refused[0][0].file == "caf\\xdce9.png"


def test_names_as_they_stand_in_a_tree():
    assert plain_name("./a//b\\c/./d.png") == "a/b/c/d.png"
    assert shown("a\x1b[31m\u202e") == "a\\x1b[31m\\x202e"
    assert is_noise("a/.git/x")
    assert not is_noise("../x")
    assert not is_noise("a.b/c")


def test_every_refusal_is_one_sentence():
    for name in ("../x", "/x", "http://x/y", "none.png"):
        with pytest.raises(StudioError) as caught:
            tree("x.png").find(name)
        assert str(caught.value).count(": ") >= 1
        assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("names", "wanted", "beside", "found"),
    [
        (("Images/IMG_0.JPG",), "images/img_0.jpg", "rows.csv", "Images/IMG_0.JPG"),
        (("Set/Images/a.png", "Set/rows.csv"), "IMAGES/A.PNG", "Set/rows.csv", "Set/Images/a.png"),
        (("pictures/Straße.png",), "STRASSE.PNG", "", "pictures/Straße.png"),
        (("a.png", "A.png"), "A.png", "", "A.png"),
        (("images/b.png", "Images/a.png"), "images/a.png", "", "Images/a.png"),
    ],
)
def test_large_and_small_letters_are_one_where_nothing_else_is_there(names, wanted, beside, found):
    assert tree(*names).find(wanted, beside).name == found


def test_a_name_that_two_files_have_in_other_letters_is_not_guessed():
    with pytest.raises(DataError, match=r"2 files have this name, such as “A\.png” and “a\.png”"):
        tree("A.png", "a.png").find("A.PNG")
    with pytest.raises(DataError, match="it is not there"):
        tree("Images/a.png", "Images/b.png").find("images/c.png")
