"""Every remedy holds what it promises: data with each kind of trouble, its button pressed, and checked again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.data import trouble
from core.data.checking import findings
from core.data.checking.checks import check
from core.data.checking.findings import KINDS
from core.data.files.tree import tree_of_folder
from core.spec import Reading, Report, Split
from tests.data.made_data import VQA, line, make, picture, pressed

BY_FOLDERS = replace(VQA, tables=("train.jsonl", "test.jsonl"), split=Split("folders"))
SHAREGPT = Reading("sharegpt", ("rows.jsonl",), {"image": "image", "messages": "messages"})
CAPTIONS = Reading("captions", ("rows.jsonl",), {"image": "image", "text": "answer"}, template="What is it?")


def report(folder: Path, reading: Reading) -> Report:
    return check(tree_of_folder(folder), reading)


def rows(count: int = 60) -> list[dict[str, object]]:
    return [line(number) for number in range(count)]


def with_row(changes: dict[str, object], reading: Reading = VQA) -> Callable[[Path], Reading]:
    """Good rows, and one with something changed."""

    def made(folder: Path) -> Reading:
        make(folder, [*rows(2), line(2, **changes), *rows()[3:]])
        return reading

    return made


def with_picture(save: Callable[[Path], object]) -> Callable[[Path], Reading]:
    """Good rows, and another picture for one of them."""

    def made(folder: Path) -> Reading:
        make(folder, rows())
        save(folder / "2.png")
        return VQA

    return made


def turns(*said: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": speaker, "value": text} for speaker, text in said]


def with_conversation(*said: tuple[str, str]) -> Callable[[Path], Reading]:
    """Good conversations, and one with other turns."""

    def made(folder: Path) -> Reading:
        good = [
            {"image": f"{n}.png", "messages": turns(("human", "<image> What is it?"), ("gpt", f"thing {n}"))}
            for n in range(60)
        ]
        make(folder, [*good[:2], {"image": "2.png", "messages": turns(*said)}, *good[3:]])
        return SHAREGPT

    return made


def both_sides(test: list[dict[str, object]], pictures: int = 60) -> Callable[[Path], Reading]:
    """Forty rows to learn from in one file, and those that are given held out in another."""

    def made(folder: Path) -> Reading:
        make(folder, rows(40), name="train.jsonl")
        make(folder, test, pictures=pictures, name="test.jsonl")
        return BY_FOLDERS

    return made


def near_leak(folder: Path) -> Reading:
    reading = both_sides([line(n) for n in range(40, 50)])(folder)
    picture(3).resize((50, 38)).save(folder / "40.png")
    return reading


def writer_on_both_sides(folder: Path) -> Reading:
    make(folder, [line(n, writer=f"w{n % 8}", side="test" if n % 8 == 7 or n == 3 else "train") for n in range(60)])
    columns = {**VQA.columns, "group": "writer", "split": "side"}
    return replace(VQA, columns=columns, split=Split("column", group=True))


def near_other(folder: Path) -> Reading:
    make(folder, [*rows(7), line(7, answer="a horse"), *rows()[8:]])
    picture(3).resize((50, 38)).save(folder / "7.png")
    return VQA


def near_duplicate(folder: Path) -> Reading:
    make(folder, rows())
    picture(3).resize((50, 38)).save(folder / "7.png")
    return VQA


def no_row(folder: Path) -> Reading:
    make(folder, [line(0, answer=""), line(1, answer="")])
    return replace(VQA, drop=(trouble.EMPTY_ANSWER,))


def latin(folder: Path) -> Reading:
    make(folder, [], pictures=60)
    text = "".join(json.dumps(line(n, answer="ein Kätzchen"), ensure_ascii=False) + "\n" for n in range(60))
    (folder / "rows.jsonl").write_bytes(text.encode("latin-1"))
    return VQA


def doubled_column(folder: Path) -> Reading:
    make(folder, [], pictures=60)
    text = "".join(f"{n}.png,What is it?,thing {n},\n" for n in range(60))
    (folder / "rows.csv").write_text(f"image,question,answer,answer\n{text}")
    return replace(VQA, tables=("rows.csv",))


def languages(folder: Path) -> Reading:
    make(folder, [line(n, language="xx" if n == 7 else ("de", "en")[n % 2]) for n in range(60)])
    return replace(VQA, columns={**VQA.columns, "language": "language"})


def frames(path: Path) -> None:
    picture(2).save(path.with_suffix(".gif"), save_all=True, append_images=[picture(90)])
    path.with_suffix(".gif").rename(path)


def link(folder: Path) -> Reading:
    make(folder, rows())
    os.symlink("/etc/hostname", folder / "other.png")
    return VQA


def broken_line(folder: Path) -> Reading:
    make(folder, [*rows(2), b'{"image": ', *rows()[3:]])
    return VQA


def all_rows(reading: Reading, **changes: object) -> Callable[[Path], Reading]:
    """Rows that all have something changed."""

    def made(folder: Path) -> Reading:
        make(folder, [line(n, **changes) for n in range(60)])
        return reading

    return made


def one_common(folder: Path) -> Reading:
    make(folder, [line(n, answer="a cat" if n < 80 else "a dog") for n in range(90)])
    return VQA


def writers(folder: Path) -> Reading:
    make(folder, [line(n, writer=f"w{n % 12}") for n in range(60)])
    return replace(VQA, columns={**VQA.columns, "group": "writer"})


def one_writer(folder: Path) -> Reading:
    make(folder, [line(n, writer="w") for n in range(60)])
    return replace(VQA, columns={**VQA.columns, "group": "writer"}, split=Split(group=True))


def few(folder: Path) -> Reading:
    make(folder, rows(5))
    return VQA


SIDES = replace(VQA, columns={**VQA.columns, "split": "side"}, split=Split("column"))
MADE: dict[str, Callable[[Path], Reading]] = {
    trouble.BROKEN_ROW: broken_line,
    trouble.MISSING_IMAGE: with_row({"image": "none.png"}),
    trouble.UNSAFE_PATH: with_row({"image": "../../etc/passwd"}),
    trouble.FOREIGN_PATH: with_row({"image": "C:\\Users\\anna\\pets\\2.png"}),
    trouble.UNREADABLE_IMAGE: with_picture(lambda path: path.write_bytes(path.read_bytes()[:60])),
    trouble.IMAGE_COUNT: with_conversation(("human", "<image> <image> Which?"), ("gpt", "the first")),
    trouble.NO_IMAGE: with_row({"image": ""}, CAPTIONS),
    trouble.EMPTY_QUESTION: with_row({"question": ""}),
    trouble.EMPTY_ANSWER: with_row({"answer": "  "}),
    trouble.BAD_TURNS: with_conversation(("human", "<image> What is it?"), ("human", "Well?")),
    trouble.BAD_VALUE: with_row({"image": {"width": 3}}),
    trouble.UNKNOWN_SPLIT: lambda folder: (
        make(folder, [line(n, side=("train", "train", "test", "moon" if n < 4 else "train")[n % 4]) for n in range(60)])
        and SIDES
    ),
    trouble.STRUCTURE: with_row({"answer": {"colour": "red", "legs": [4]}}),
    trouble.NO_QUESTION: all_rows(replace(CAPTIONS, template=" ")),
    trouble.NOTHING_TO_TRAIN: no_row,
    trouble.NOTHING_HELD_OUT: all_rows(SIDES, side="train"),
    trouble.ONE_GROUP: all_rows(VQA, image="0.png", answer="a cat"),
    trouble.GROUPS_JOINED: one_writer,
    trouble.NO_GROUP: all_rows(replace(VQA, split=Split(group=True))),
    trouble.SHARED_GROUP: writers,
    trouble.LEAK: both_sides([line(3), *(line(n) for n in range(40, 50))]),
    trouble.GROUP_LEAK: writer_on_both_sides,
    trouble.NEAR_LEAK: near_leak,
    trouble.DUPLICATE_ROW: with_row(line(1)),
    trouble.NEAR_DUPLICATE: near_duplicate,
    trouble.NEAR_OTHER: near_other,
    trouble.CONFLICT: with_row(line(1, answer="a horse")),
    trouble.IMBALANCE: one_common,
    trouble.UNSEEN_ANSWER: both_sides([line(40, answer="a horse"), *(line(n) for n in range(41, 50))]),
    trouble.FEW_ROWS: few,
    trouble.ENCODING: latin,
    trouble.TABLE_FORM: doubled_column,
    trouble.BROKEN_TEXT: with_row({"answer": "a cafÃ© cat"}),
    trouble.MIXED_SCRIPT: with_row({"answer": "кошка"}),
    trouble.ODD_LANGUAGE: languages,
    trouble.LARGE_IMAGE: with_picture(lambda path: picture(2, (2500, 1000)).save(path)),
    trouble.SMALL_IMAGE: with_picture(lambda path: picture(2, (20, 20)).save(path)),
    trouble.THIN_IMAGE: with_picture(lambda path: picture(2, (440, 40)).save(path)),
    trouble.SEVERAL_FRAMES: with_picture(frames),
    trouble.REFUSED_FILE: link,
    trouble.TEXT_ONLY: with_row({"image": ""}),
    trouble.CHOSEN: lambda folder: make(folder, rows()) and replace(VQA, drop_rows=(3, 4)),
}
"""Data with each kind of trouble."""


def test_there_are_data_for_every_kind() -> None:
    assert MADE.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_remedy_does_what_it_says(tmp_path: Path, kind: str) -> None:
    reading = MADE[kind](tmp_path)
    before = report(tmp_path, reading)
    finding = next(each for each in before.findings if each.kind == kind)
    assert finding.severity == KINDS[kind].severity
    assert bool(finding.action) == bool(finding.change)
    if not finding.action:
        return

    changed = pressed(reading, finding)
    assert changed != reading, "a button that changes nothing"
    after = report(tmp_path, changed)
    left = [each for each in after.findings if each.kind == kind]
    assert not after.blocked
    assert all(each.left_out == each.count > 0 and not each.action for each in left)
    if "drop" in finding.change:
        assert [each.left_out for each in left] == [finding.count]
        assert after.usable == before.usable - finding.count * (finding.severity == "warning")
        assert left[0].places == finding.places, "what was left out is written down"
        assert left[0].title.startswith("Left out: ")
    else:
        assert left == []
        assert after.usable >= before.usable


@pytest.mark.parametrize("kind", sorted(kind for kind in KINDS if KINDS[kind].action.startswith("Leave")))
def test_one_row_is_spoken_of_as_one(kind: str) -> None:
    """The button, and what is said when it was pressed."""
    one, two = (findings.finding(kind, findings.Places(count), dropped=False).action for count in (1, 2))
    assert one != two
    assert "them" not in one
    assert " it " in f"{one} " or one.endswith(("repetition out", "one out"))
    assert findings.finding(kind, findings.Places(1), dropped=True).remedy.startswith("It is left out")
    assert findings.finding(kind, findings.Places(2), dropped=True).remedy.startswith("They are left out")


def test_sides_that_are_not_known_never_empty_a_set(tmp_path: Path) -> None:
    """A column that was taken for the sides by mistake: all of its rows are on sides that are not known."""
    make(tmp_path, [line(n, side=f"shelf {n}") for n in range(60)])
    found = report(tmp_path, SIDES)
    finding = next(each for each in found.findings if each.kind == trouble.UNKNOWN_SPLIT)
    after = report(tmp_path, pressed(SIDES, finding))
    assert (found.usable, after.usable, after.train, after.heldout) == (0, 60, 54, 6)
    assert not after.blocked


def test_a_plain_picture_of_another_size_is_not_called_large_after_its_remedy(tmp_path: Path) -> None:
    make(tmp_path, rows())
    Image.new("RGB", (3000, 3000), "red").save(tmp_path / "2.png")
    finding = next(each for each in report(tmp_path, VQA).findings if each.kind == trouble.LARGE_IMAGE)
    assert finding.title == "1 row has a picture that is larger than models see"
    assert trouble.LARGE_IMAGE not in {each.kind for each in report(tmp_path, pressed(VQA, finding)).findings}
