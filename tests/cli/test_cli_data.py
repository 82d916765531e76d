"""`data` as a person or a script calls it: check, preview, import, list, and a job on what was stored."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core import cli

ANSWERS = ("a cat", "a dog", "a bird", "a fish")
ROWS = 40


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures with a CSV that asks of each; one picture is missing and one answer is empty."""
    place = tmp_path / "animals"
    (place / "images").mkdir(parents=True)
    with (place / "rows.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "q", "a", "remark"])
        for number in range(ROWS):
            _noise(number).save(place / "images" / f"{number}.png")
            table.writerow([f"images/{number}.png", "Which animal is it?", ANSWERS[number % 4], "x"])
        table.writerow(["images/none.png", "Which animal is it?", "a cat", "x"])
        table.writerow(["images/0.png", "Which animal is it?", "", "x"])
    return place


def _noise(seed: int) -> Image.Image:
    """Pictures that nobody takes for each other."""
    from numpy.random import default_rng

    return Image.fromarray(default_rng(seed).integers(0, 255, (6, 6, 3), dtype="uint8")).resize((48, 48))


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = cli.main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_check_says_how_it_is_read_and_what_is_wrong_with_file_and_row(folder: Path, capsys, home: Path):
    status, said = _json(capsys, "data", "check", str(folder))
    assert status == 1, "errors stand in the way"
    assert (said["format"], said["ok"]) == ("vqa", False)
    assert said["mapping"] | {"image": "file", "question": "q", "answer": "a"} == said["mapping"]
    problems = {each["kind"]: each for each in said["problems"]}
    assert problems["missing_image"]["places"][0]["file"] == "rows.csv"
    assert problems["missing_image"]["places"][0]["row"] == ROWS + 2, "the header is line 1"
    assert problems["empty_answer"]["places"][0]["row"] == ROWS + 3
    assert said["rows"] == ROWS + 2
    assert not home.exists(), "looking writes nothing"


def test_check_in_words_names_the_same(folder: Path, capsys):
    assert cli.main(["data", "check", str(folder)]) == 1
    said = capsys.readouterr().out
    assert f"rows.csv, row {ROWS + 2}" in said
    assert "cannot be used" in said


def test_what_is_left_out_no_longer_stands_in_the_way_and_is_written_down(folder: Path, capsys, home: Path):
    dropped = "missing_image,empty_answer"
    status, said = _json(capsys, "data", "import", str(folder), "--drop", dropped, "--title", "Animals")
    assert status == 0
    assert said["train"] + said["heldout"] == ROWS
    assert {(each["kind"], each["rows"]) for each in said["left_out"]} == {("missing_image", 1), ("empty_answer", 1)}
    _, listed = _json(capsys, "data", "list")
    assert [each["data"] for each in listed] == [said["data"]]
    again = _json(capsys, "data", "import", str(folder), "--drop", dropped, "--title", "Animals")[1]
    assert again["data"] == said["data"], "the same data are one set"


def test_what_is_left_out_is_said_in_words_too(folder: Path, capsys, home: Path):
    assert cli.main(["data", "import", str(folder), "--drop", "missing_image,empty_answer"]) == 0
    said = capsys.readouterr().out
    assert "Left out: 1 (missing_image)" in said
    assert "Left out: 1 (empty_answer)" in said
    assert said.splitlines()[-1].startswith("stored:")


def test_a_column_that_is_named_for_the_split_says_which_rows_are_held_out(tmp_path: Path, capsys):
    for number in range(20):
        _noise(number).save(tmp_path / f"{number}.png")
    rows = [f"{n}.png,What is it?,{ANSWERS[n % 4]},{'test' if n < 6 else 'train'}" for n in range(20)]
    (tmp_path / "rows.csv").write_text("\n".join(["picture,question,answer,fold", *rows]))
    arguments = ("data", "check", str(tmp_path), "--column", "split=fold")
    status, said = _json(capsys, *arguments)
    assert (status, said["train"], said["heldout"]) == (0, 14, 6)
    status, said = _json(capsys, *arguments, "--heldout", "0.1")
    assert (status, said["train"], said["heldout"]) == (0, 18, 2)


def test_data_that_an_error_stands_against_are_not_stored(folder: Path, capsys, home: Path):
    assert cli.main(["data", "import", str(folder)]) == 1
    assert "Traceback" not in (said := capsys.readouterr().err)
    assert said.strip()
    assert not list((home / "data").rglob("*.arrow"))


def test_a_zip_is_read_like_its_folder(folder: Path, tmp_path: Path, capsys, home: Path):
    packed = tmp_path / "animals.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    ours, theirs = (_json(capsys, "data", "check", str(path))[1] for path in (folder, packed))
    assert {**ours, "origin": ""} == {**theirs, "origin": ""}


def test_flags_say_how_rows_are_read(folder: Path, capsys):
    status, said = _json(
        capsys, "data", "preview", str(folder), "--rows", "2", "--column", "answer=remark", "--system", "Be brief."
    )
    assert status == 0
    assert [turn["speaker"] for turn in said["rows"][0]["turns"]] == ["system", "user", "assistant"]
    assert said["rows"][0]["turns"][2]["parts"] == [{"text": "x"}]
    assert len(said["rows"]) == 2


def test_pictures_named_by_paths_of_another_machine_are_found_when_that_is_asked(folder: Path, capsys):
    (folder / "rows.csv").write_text((folder / "rows.csv").read_text().replace("images/", "D:/data/images/"))
    before = _json(capsys, "data", "check", str(folder))[1]
    after = _json(capsys, "data", "check", str(folder), "--foreign-paths")[1]
    assert "foreign_path" in {each["kind"] for each in before["problems"]}
    assert "foreign_path" not in {each["kind"] for each in after["problems"]}
    assert (before["usable"], after["usable"]) == (0, ROWS)


def test_preview_shows_which_tokens_are_learned(folder: Path, capsys):
    said = _json(capsys, "data", "preview", str(folder), "--rows", "1", "--model", "demo")[1]
    row = said["rows"][0]
    learned = "".join(text for text, _, learns, _ in row["tokens"] if learns)
    assert learned.strip().startswith(ANSWERS[0])
    assert row["counts"]["image"] > 0
    assert sum(count for _, _, _, count in row["tokens"]) == row["counts"]["image"] + row["counts"]["text"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("data", "check", "/nowhere/at/all"), "nothing is there"),
        (("data", "check", "FOLDER", "--column", "picture=file"), "PART=COLUMN"),
        (("data", "check", "FOLDER", "--drop", "everything"), "no such finding"),
        (("data", "check", "FOLDER", "--drop", "few_rows"), "none would be left out"),
        (("data", "check", "FOLDER", "--heldout", "2"), "0.1 to 90 percent"),
        (("data", "check", "FOLDER", "--format", "coco"), "as COCO"),
        (("data", "check", "hub:../etc/passwd"), "hub"),
    ],
)
def test_a_refusal_is_one_sentence(arguments: tuple[str, ...], word: str, folder: Path, capsys):
    assert cli.main([str(folder) if each == "FOLDER" else each for each in arguments]) == 1
    said = capsys.readouterr()
    assert word.lower() in said.err.lower()
    assert "Traceback" not in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not said.out


@pytest.mark.slow
def test_a_job_trains_on_what_was_stored_and_its_card_names_it(folder: Path, tmp_path: Path, capsys, home: Path):
    made = _json(capsys, "data", "import", str(folder), "--drop", "missing_image,empty_answer", "--title", "Ani|mals")[
        1
    ]
    name = made["data"]["name"]
    assert cli.main(["spec", "--data", f"stored:{name}"]) == 0
    (tmp_path / "spec.json").write_text(capsys.readouterr().out)
    out = tmp_path / "out"
    assert cli.main(["train", str(tmp_path / "spec.json"), "--steps", "3", "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["state"] == "finished"
    assert result["after"]["rows"] == made["heldout"]
    card = (out / "README.md").read_text()
    assert "Ani\\|mals" in card
    assert f"`{name}`" in card
    assert f"{made['train']} to learn from, {made['heldout']} held out" in card
    assert "1 row names a picture that is not there" in card
    assert str(tmp_path) not in card
    job = home / "jobs" / result["job"]
    assert (job / "data" / name).is_dir(), "the job keeps its data"


@pytest.mark.parametrize("column", ["image=nope", "label=remark"])
def test_a_column_or_part_that_is_not_there_is_refused_by_name(column: str, folder: Path, capsys):
    assert cli.main(["data", "check", str(folder), "--column", column]) != 0
    said = capsys.readouterr().err
    assert column.split("=")[1] in said
    assert "no such" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("flags", "by", "group"),
    [
        ([], "share", True),
        (["--column", "group="], "share", False),
        (["--column", "split=use"], "column", True),
        (["--column", "split=use", "--split", "share"], "share", True),
        (["--split", "folders"], "folders", True),
    ],
)
def test_flags_say_how_rows_are_held_out(flags: list[str], by: str, group: bool, tmp_path: Path, capsys):
    for number in range(ROWS):
        _noise(number).save(tmp_path / f"{number}.png")
    rows = (f"{n}.png,What is it?,{ANSWERS[n % 4]},w{n % 8},{'test' if n % 8 == 7 else 'train'}" for n in range(ROWS))
    (tmp_path / "rows.csv").write_text("image,question,answer,writer,use\n" + "\n".join(rows))
    said = _json(capsys, "data", "check", str(tmp_path), *flags)[1]
    assert (said["reading"]["split"]["by"], said["reading"]["split"]["group"]) == (by, group)
    if by == "column":
        assert (said["train"], said["heldout"]) == (35, 5)


def test_a_template_with_an_unknown_column_is_refused(folder: Path, capsys):
    assert cli.main(["data", "check", str(folder), "--template", "What of {nocolumn}?"]) != 0
    assert "{nocolumn}" in capsys.readouterr().err


def test_all_rows_with_errors_are_left_out_by_one_word_that_the_refusal_names(folder: Path, capsys, home: Path):
    assert cli.main(["data", "import", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "--drop missing_image,empty_answer" in said
    assert "--drop errors" in said
    status, made = _json(capsys, "data", "import", str(folder), "--drop", "errors")
    assert status == 0
    assert {(each["kind"], each["rows"]) for each in made["left_out"]} == {("missing_image", 1), ("empty_answer", 1)}


def test_a_file_that_is_no_data_is_refused_by_name_and_its_folder_is_not_read(folder: Path, capsys):
    (folder / "protocol.docx").write_bytes(b"PK")
    assert cli.main(["data", "check", str(folder / "protocol.docx")]) == 1
    assert "“protocol.docx” were asked for: it is no folder" in capsys.readouterr().err
