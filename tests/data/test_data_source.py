"""Reading a data set: what comes in, and that every bad line is named."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from core.data.files.pictures import MAX_PIXELS, open_picture
from core.data.source import check_pictures, demo_datasets, load_dataset
from core.data.wording import majority_share, normal_form
from core.errors import DataError, SourceNotFound, SourceRefused, StudioError
from core.spec import Source

GOOD = {"file_name": "0.png", "question": "What is it?", "answer": "a cat"}
Make = Callable[..., Source]


def good(number: int, **changes: object) -> dict[str, object]:
    """A line about the picture of this number."""
    return {**GOOD, "file_name": f"{number}.png", **changes}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A folder with these lines in `train/` (and `heldout/`), and as many pictures from `0.png` on."""

    def folder(lines: list, heldout: list | None = None) -> Source:
        root = tmp_path / "cats"
        for split, rows in (("train", lines), ("heldout", heldout)):
            if rows is None:
                continue
            (root / split).mkdir(parents=True)
            for number in range(len(rows)):
                Image.new("RGB", (8, 8)).save(root / split / f"{number}.png")
            text = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in rows)
            (root / split / "metadata.jsonl").write_bytes(text)
        return Source("folder", str(root))

    return folder


@pytest.mark.parametrize("dataset", demo_datasets(), ids=lambda dataset: dataset.name)
def test_every_demo_data_set_is_whole(dataset) -> None:
    assert dataset.title
    assert dataset.story
    assert dataset.licence
    assert len(dataset.train) >= 500
    assert len(dataset.heldout) >= 100
    assert 0 < dataset.majority < 0.5
    pictures = {row.picture for row in dataset.train}
    assert not pictures & {row.picture for row in dataset.heldout}
    assert dataset.heldout[0].picture.open().mode == "RGB"
    assert dataset.heldout[0].picture_name.startswith("heldout/")


def test_there_are_demo_data_sets() -> None:
    assert {"digits", "outline", "house-format"} <= {dataset.name for dataset in demo_datasets()}


def test_a_folder_with_both_splits(make: Make) -> None:
    dataset = load_dataset(make([GOOD, GOOD], [GOOD | {"answer": 7}]))
    assert (len(dataset.train), len(dataset.heldout)) == (2, 1)
    assert dataset.heldout[0].answer == "7", "numbers are taken as text"
    assert dataset.title == "cats"


def test_a_tenth_is_held_out_and_never_trained_on(make: Make) -> None:
    source = make([good(number, answer=str(number)) for number in range(50)])
    dataset = load_dataset(source)
    assert (len(dataset.train), len(dataset.heldout)) == (45, 5)
    answers = [int(row.answer) for row in dataset.train + dataset.heldout]
    assert sorted(answers) == list(range(50))
    assert load_dataset(source) == dataset, "the same every time"


def test_a_held_out_picture_is_never_trained_on_whatever_is_asked_about_it(make: Make) -> None:
    questions = ("What is it?", "Which colour?", "How many?")
    lines = [good(number, question=question) for number in range(20) for question in questions]
    dataset = load_dataset(make(lines))
    assert not {row.picture for row in dataset.train} & {row.picture for row in dataset.heldout}
    assert (len(dataset.train), len(dataset.heldout)) == (54, 6), "a tenth of the pictures with all their rows"


def test_one_picture_cannot_be_trained_on_and_held_out(make: Make) -> None:
    with pytest.raises(DataError, match="about two pictures"):
        load_dataset(make([GOOD, GOOD, GOOD]))


def test_a_file_in_both_splits_is_refused_by_name(make: Make) -> None:
    source = make([good(0), good(1)], [good(0), GOOD | {"file_name": "../train/1.png"}])
    with pytest.raises(DataError, match=r"“train/1\.png” is both trained on and held out"):
        load_dataset(source)


def test_a_link_is_no_way_to_have_a_trained_picture_held_out(make: Make) -> None:
    source = make([good(0), good(1)], [good(0)])
    held_out = Path(source.name) / "heldout" / "0.png"
    held_out.unlink()
    held_out.symlink_to("../train/1.png")
    with pytest.raises(SourceRefused, match=r"Line 1 of heldout/metadata\.jsonl .* links are not followed"):
        load_dataset(source)


def test_two_rows_are_enough_and_one_is_not(make: Make, tmp_path: Path) -> None:
    dataset = load_dataset(make([good(0), good(1)]))
    assert (len(dataset.train), len(dataset.heldout)) == (1, 1)
    (tmp_path / "cats" / "train" / "metadata.jsonl").write_text(json.dumps(GOOD))
    with pytest.raises(DataError, match="at least two rows"):
        load_dataset(Source("folder", str(tmp_path / "cats")))


def test_a_folder_without_train_holds_its_rows_directly(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(good(number)) for number in range(3)))
    assert len(load_dataset(Source("folder", str(tmp_path))).train) == 2


def test_empty_lines_and_a_byte_order_mark_are_no_fault(make: Make) -> None:
    lines = [b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r", b"", b"  ", good(1)]
    assert len(load_dataset(make(lines)).train) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        ([1], "no object"),
        ({"question": "What?", "answer": "x"}, "“file_name” is missing"),
        (GOOD | {"question": None}, "its question is empty"),
        (GOOD | {"answer": None}, "its answer is empty"),
        (GOOD | {"answer": "  "}, "its answer is empty"),
        (GOOD | {"file_name": "none.png"}, "“none.png” is not there"),
    ],
)
def test_a_bad_line_is_named_with_its_file(make: Make, line: object, words: str) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(make([GOOD, line, GOOD]))
    assert "Line 2 of train/metadata.jsonl" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../../secret.png", "file:///etc/passwd", "http://127.0.0.1/x.png", "\\\\host\\x.png", "a\0.png"],
)
def test_a_picture_outside_is_refused(make: Make, tmp_path: Path, name: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    with pytest.raises((SourceRefused, DataError)) as caught:
        load_dataset(make([GOOD, GOOD | {"file_name": name}]))
    assert "Line 2" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_link_out_of_the_folder_is_refused(make: Make, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    source = make([GOOD, GOOD | {"file_name": "link.png"}])
    os.symlink(tmp_path / "secret.png", Path(source.name) / "train" / "link.png")
    with pytest.raises(SourceRefused, match="links are not followed"):
        load_dataset(source)


@pytest.mark.parametrize(
    "source",
    [Source("demo", "nothing"), Source("demo", "../model"), Source("folder", "/no/such/place"), Source("hub", "a/b")],
)
def test_a_source_that_is_not_there(source: Source) -> None:
    with pytest.raises(SourceNotFound):
        load_dataset(source)


def test_an_empty_folder_shows_what_to_bring(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rows that name pictures"):
        load_dataset(Source("folder", str(tmp_path)))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_broken_description_is_named(make: Make, tmp_path: Path, text: str) -> None:
    source = make([GOOD, GOOD])
    (Path(source.name) / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json"):
        load_dataset(source)


def png(width: int, height: int) -> bytes:
    """A PNG of any size in a few bytes: one bit a pixel, all black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    lines = zlib.compress(b"\0" * ((width + 7) // 8 + 1) * min(height, 10), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(9_000, 9_000), (14_000, 14_000), (65_535, 65_535), (MAX_PIXELS + 1, 1)])
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "huge.png").write_bytes(png(width, height))
    with pytest.raises(DataError):
        open_picture(tmp_path / "huge.png")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError, match=r"damaged or no picture|empty|text|SVG"):
        open_picture(tmp_path / "x.png")


def test_a_truncated_jpeg_is_refused(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 90).save(tmp_path / "x.jpg")
    content = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="end is missing"):
        open_picture(tmp_path / "x.jpg")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_picture_comes_as_rgb(tmp_path: Path, mode: str) -> None:
    name = tmp_path / ("x.tiff" if mode == "CMYK" else "x.png")
    Image.new(mode, (6, 4)).save(name)
    picture = open_picture(name)
    assert (picture.mode, picture.size) == ("RGB", (6, 4))


def test_a_turned_photo_is_turned_back(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (6, 4)).save(tmp_path / "x.jpg", exif=exif)
    assert open_picture(tmp_path / "x.jpg").size == (4, 6)


def test_a_picture_that_went_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no longer there"):
        open_picture(tmp_path / "x.png")


def test_errors_are_the_studios_own(tmp_path: Path) -> None:
    with pytest.raises(StudioError):
        load_dataset(Source("folder", str(tmp_path / "nothing")))


@pytest.mark.parametrize(
    ("answer", "form"), [(" Red. ", "red"), ("3.5", "3.5"), ("A  b.", "a  b"), (".", ""), ("ẞ", "ss")]
)
def test_the_normal_form(answer: str, form: str) -> None:
    assert normal_form(answer) == form


def test_the_majority_share() -> None:
    assert majority_share(["a", "A.", "b", "c"]) == 0.5
    assert majority_share([]) == 0.0


def test_a_folder_may_have_any_form_that_uploads_may_have(tmp_path: Path) -> None:
    for side, count in (("train", 6), ("test", 2)):
        for label in ("cats", "dogs"):
            (tmp_path / side / label).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (8, 8), (number, count, len(label))).save(tmp_path / side / label / f"{number}.png")
    dataset = load_dataset(Source("folder", str(tmp_path)))
    assert (len(dataset.train), len(dataset.heldout)) == (12, 4)
    assert {row.answer for row in dataset.heldout} == {"cats", "dogs"}
    assert dataset.train[0].picture is not None
    assert dataset.pictures[dataset.train[0].picture.name].open().size == (8, 8)


def test_damage_is_seen_before_a_job_begins(make: Make) -> None:
    source = make([good(0), good(1), good(2)])
    (Path(source.name) / "train" / "1.png").write_bytes(b"no picture")
    dataset = load_dataset(source)
    with pytest.raises(DataError, match=r"train/1\.png"):
        check_pictures((*dataset.train, *dataset.heldout))
