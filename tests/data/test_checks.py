"""The check before launch: every kind of trouble is found with its file and row, and its button takes it away."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.data import trouble
from core.data.checking import findings
from core.data.checking.checks import check
from core.data.checking.findings import KINDS, can_drop
from core.data.checking.looks import Look, Looks, look_at
from core.data.checking.survey import Cancelled
from core.data.files.tree import tree_of_folder
from core.data.formats.expectation import expected_rows
from core.data.rows import Picture
from core.spec import Finding, Reading, Report, Split, from_dict, to_dict
from tests.data.made_data import ANSWERS, VQA, line, make, make_csv, picture, pressed


def report(folder: Path, reading: Reading = VQA) -> Report:
    return check(tree_of_folder(folder), reading)


def one(found: Report, kind: str) -> Finding:
    return next(finding for finding in found.findings if finding.kind == kind)


def kinds(found: Report) -> set[str]:
    return {finding.kind for finding in found.findings}


def rows(count: int) -> list[dict[str, object]]:
    return [line(number) for number in range(count)]


def test_good_data_have_no_findings_and_right_figures(tmp_path: Path) -> None:
    found = report(make(tmp_path, rows(40)))
    assert found.findings == ()
    assert (found.rows, found.usable, found.train, found.heldout, found.pictures) == (40, 40, 36, 4, 40)
    assert dict(found.answers) == dict.fromkeys(ANSWERS, 10)
    assert found.sides is not None
    assert sum(found.sides.counts) == 40
    assert found.lengths is not None
    assert sum(found.lengths.counts) == 40
    assert not found.blocked
    assert 0.25 <= found.majority <= 1


def bad_row(kind: str, folder: Path) -> object:
    """Row 3 of a data set with one kind of trouble."""
    if kind == trouble.BROKEN_ROW:
        return b'{"image": '
    if kind == trouble.UNREADABLE_IMAGE:
        (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:60])
        return line(2)
    if kind == trouble.SMALL_IMAGE:
        picture(2, (20, 20)).save(folder / "2.png")
    if kind == trouble.THIN_IMAGE:
        picture(2, (440, 40)).save(folder / "2.png")
    return line(2) | {
        trouble.MISSING_IMAGE: {"image": "none.png"},
        trouble.UNSAFE_PATH: {"image": "../../etc/passwd"},
        trouble.EMPTY_ANSWER: {"answer": "  "},
        trouble.EMPTY_QUESTION: {"question": ""},
        trouble.DUPLICATE_ROW: line(1),
        trouble.CONFLICT: line(1, answer="a horse"),
        trouble.BROKEN_TEXT: {"answer": "a cafÃ© cat"},
        trouble.MIXED_SCRIPT: {"answer": "кошка"},
    }.get(kind, {})


@pytest.mark.parametrize(
    "kind",
    [
        trouble.BROKEN_ROW,
        trouble.UNREADABLE_IMAGE,
        trouble.MISSING_IMAGE,
        trouble.UNSAFE_PATH,
        trouble.EMPTY_ANSWER,
        trouble.EMPTY_QUESTION,
        trouble.DUPLICATE_ROW,
        trouble.CONFLICT,
        trouble.BROKEN_TEXT,
        trouble.MIXED_SCRIPT,
        trouble.SMALL_IMAGE,
        trouble.THIN_IMAGE,
    ],
)
def test_trouble_is_found_with_its_row_and_the_button_takes_it_away(tmp_path: Path, kind: str) -> None:
    lines: list[object] = [*rows(40)]
    make(tmp_path, lines)
    lines[2] = bad_row(kind, tmp_path)
    (tmp_path / "rows.jsonl").write_bytes(
        b"\n".join(text if isinstance(text, bytes) else json.dumps(text).encode() for text in lines)
    )
    found = report(tmp_path)
    finding = one(found, kind)
    assert (finding.count, finding.severity) == (1, KINDS[kind].severity)
    assert [(place.file, place.row) for place in finding.places] == [("rows.jsonl", 3)]
    assert found.blocked == (finding.severity == "error")
    assert kinds(found) == {kind}, "nothing else is wrong"

    after = report(tmp_path, pressed(VQA, finding))
    left = one(after, kind)
    assert not after.blocked
    assert (left.severity, left.left_out, left.action) == ("warning", 1, "")
    assert after.usable == 39
    assert left.places == finding.places, "what was left out is written down"


def test_every_kind_has_whole_sentences_and_a_change_that_a_reading_takes() -> None:
    for kind, known in KINDS.items():
        places = findings.Places()
        places.add(findings.Place("a.csv", 2))
        finding = findings.finding(kind, places, dropped=False)
        for text in (finding.title, finding.reason, finding.remedy):
            assert text[0].isupper() or text[0].isdigit(), text
            assert not text.endswith("."), "the page ends sentences"
        assert bool(finding.action) == bool(finding.change), kind
        pressed(VQA, finding)
        also = kind in (trouble.FOREIGN_PATH, trouble.UNKNOWN_SPLIT)  # their buttons do something better
        assert can_drop(kind) == (known.change is None or also)
        places.add(findings.Place("a.csv", 3))
        assert "{" not in findings.finding(kind, places, dropped=False).title, "the number is filled in"


def test_single_rows_can_be_left_out_by_hand(tmp_path: Path) -> None:
    make(tmp_path, rows(30))
    found = report(tmp_path, replace(VQA, drop_rows=(3, 4)))
    assert (found.rows, found.usable) == (30, 28)
    assert [place.row for place in one(found, trouble.CHOSEN).places] == [4, 5]


def test_a_row_that_is_left_out_by_hand_blocks_no_longer(tmp_path: Path) -> None:
    make(tmp_path, [line(0, answer=""), *rows(30)[1:]])
    assert report(tmp_path).blocked
    assert not report(tmp_path, replace(VQA, drop_rows=(0,))).blocked


def test_all_troubles_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    make(tmp_path, [line(number % 4, answer="") for number in range(200)], pictures=4)
    finding = one(report(tmp_path), trouble.EMPTY_ANSWER)
    assert finding.count == 200
    assert len(finding.places) == findings.SHOWN
    assert "200" in finding.title


def folders(tmp_path: Path) -> Reading:
    """Twenty rows to learn from and five held out, in two files."""
    make(tmp_path, rows(20), name="train.jsonl")
    make(tmp_path, [line(number) for number in range(20, 25)], pictures=25, name="test.jsonl")
    return replace(VQA, tables=("train.jsonl", "test.jsonl"), split=Split("folders"))


def test_a_picture_on_both_sides_is_an_error_also_under_another_name(tmp_path: Path) -> None:
    reading = folders(tmp_path)
    assert report(tmp_path, reading).findings == ()
    (tmp_path / "22.png").write_bytes((tmp_path / "3.png").read_bytes())
    found = report(tmp_path, reading)
    finding = one(found, trouble.LEAK)
    assert found.blocked
    assert [(place.file, place.row) for place in finding.places] == [("train.jsonl", 4)]
    assert finding.places[0].detail == "3.png, as in test.jsonl, row 3"
    after = report(tmp_path, pressed(reading, finding))
    assert (after.train, after.heldout, after.blocked) == (19, 5, False)


def test_a_copy_on_the_other_side_is_noticed_although_it_was_scaled_and_saved_anew(tmp_path: Path) -> None:
    reading = folders(tmp_path)
    picture(3, (320, 240)).save(tmp_path / "3.png")
    picture(3, (320, 240)).resize((200, 150)).save(tmp_path / "22.jpg", quality=70)
    (tmp_path / "22.jpg").rename(tmp_path / "22.png")  # what is in a file counts, not its name
    found = report(tmp_path, reading)
    finding = one(found, trouble.NEAR_LEAK)
    assert [(place.file, place.row) for place in finding.places] == [("train.jsonl", 4)]
    assert not found.blocked
    assert report(tmp_path, pressed(reading, finding)).train == 19


def test_a_near_copy_with_the_same_answer_is_noticed(tmp_path: Path) -> None:
    make(tmp_path, [*rows(40), line(40, answer=ANSWERS[1])])
    picture(1, (320, 240)).save(tmp_path / "1.png")
    picture(1, (320, 240)).save(tmp_path / "x.jpg", quality=60)
    (tmp_path / "x.jpg").rename(tmp_path / "40.png")
    finding = one(report(tmp_path), trouble.NEAR_DUPLICATE)
    assert [place.row for place in finding.places] == [41]
    assert "row 2" in finding.places[0].detail


def test_several_captions_of_a_picture_are_no_repetition(tmp_path: Path) -> None:
    lines = [{"image": f"{n}.png", "text": f"caption {m} of {n}"} for n in range(30) for m in range(3)]
    make(tmp_path, lines, pictures=30)
    reading = Reading("captions", ("rows.jsonl",), {"image": "image", "text": "text"}, template="Describe it.")
    assert report(tmp_path, reading).findings == ()


def test_an_answer_that_is_far_too_common_is_thinned_out_in_training_only(tmp_path: Path) -> None:
    make(tmp_path, [line(n, answer="a cat" if n < 80 else "a dog") for n in range(90)])
    found = report(tmp_path)
    finding = one(found, trouble.IMBALANCE)
    assert "“a cat”" in finding.title
    after = report(tmp_path, pressed(VQA, finding))
    assert after.heldout == found.heldout
    assert after.train < found.train
    assert one(after, trouble.IMBALANCE).left_out == found.train - after.train


def test_balanced_answers_and_free_texts_are_not_called_unbalanced(tmp_path: Path) -> None:
    make(tmp_path, [line(n, answer=f"picture number {n}") for n in range(40)])
    assert kinds(report(tmp_path)) == set()


def test_a_held_out_answer_that_is_never_learned_is_noticed(tmp_path: Path) -> None:
    reading = folders(tmp_path)
    make(tmp_path, [line(20, answer="a horse"), *(line(n) for n in range(21, 25))], pictures=25, name="test.jsonl")
    finding = one(report(tmp_path, reading), trouble.UNSEEN_ANSWER)
    assert [(place.file, place.row) for place in finding.places] == [("test.jsonl", 1)]
    assert "a horse" in finding.places[0].detail


def test_large_pictures_are_made_smaller_by_the_button(tmp_path: Path) -> None:
    make(tmp_path, rows(30))
    picture(3, (2500, 1000)).save(tmp_path / "3.png")
    finding = one(report(tmp_path), trouble.LARGE_IMAGE)
    assert "2,500 × 1,000" in finding.places[0].detail
    after = pressed(VQA, finding)
    assert after.max_side == 1024
    assert report(tmp_path, after).findings == ()


def test_a_moving_picture_is_said_to_show_its_first_frame(tmp_path: Path) -> None:
    make(tmp_path, rows(30))
    picture(2).save(tmp_path / "2.gif", save_all=True, append_images=[picture(50)])
    (tmp_path / "2.gif").rename(tmp_path / "2.png")
    assert one(report(tmp_path), trouble.SEVERAL_FRAMES).count == 1


def test_pictures_of_one_colour_are_not_alike_for_being_plain(tmp_path: Path) -> None:
    make(tmp_path, rows(30))
    for number in range(30):
        Image.new("RGB", (64, 64), (8 * number, 200, 255 - 8 * number)).save(tmp_path / f"{number}.png")
    assert kinds(report(tmp_path)) == set()


def test_too_few_rows_and_no_rows_are_said(tmp_path: Path) -> None:
    few = report(make(tmp_path / "few", rows(5)))
    assert kinds(few) == {trouble.FEW_ROWS}
    assert not few.blocked
    assert (few.findings[0].count, few.findings[0].title) == (1, "There are only 4 rows to learn from")
    none = report(make(tmp_path / "one", rows(1)))
    assert trouble.ONE_GROUP in kinds(none)
    assert none.blocked
    empty = report(
        make(tmp_path / "empty", [line(0, answer=""), line(1, answer="")]), replace(VQA, drop=("empty_answer",))
    )
    assert trouble.NOTHING_TO_TRAIN in kinds(empty)
    assert empty.blocked


def test_a_rare_language_is_named(tmp_path: Path) -> None:
    make(tmp_path, [line(n, language="xx" if n == 7 else ("de", "en")[n % 2]) for n in range(60)])
    reading = replace(VQA, columns={**VQA.columns, "language": "language"})
    found = report(tmp_path, reading)
    assert dict(found.languages) == {"en": 30 - 1, "de": 30, "xx": 1}
    assert [place.row for place in one(found, trouble.ODD_LANGUAGE).places] == [8]


def test_files_that_were_refused_are_named(tmp_path: Path) -> None:
    make(tmp_path, rows(30))
    os.symlink("/etc/passwd", tmp_path / "secret.png")
    finding = one(report(tmp_path), trouble.REFUSED_FILE)
    assert "secret.png" in finding.places[0].file
    assert "passwd" not in str(finding)


def test_the_check_can_be_stopped_and_tells_how_far_it_is(tmp_path: Path) -> None:
    make(tmp_path, rows(50))
    told: list[int] = []
    with pytest.raises(Cancelled):
        check(tree_of_folder(tmp_path), VQA, lambda done, total: told.append(done), lambda: len(told) >= 10)
    assert len(told) == 10
    assert told == sorted(told)
    assert all(done <= row for row, done in enumerate(told, 1)), "more rows were told than were read"


@pytest.mark.parametrize("kind", ["rows.jsonl", "rows.json", "rows.csv", "rows.parquet", "folders"])
def test_about_how_many_rows_there_are_is_known_from_the_start(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    make(tmp_path, rows(300), pictures=30)
    if kind == "rows.json":
        (tmp_path / kind).write_text(json.dumps(rows(300), indent=1))
    elif kind == "rows.csv":
        make_csv(tmp_path, rows(300))
    elif kind == "rows.parquet":
        pq.write_table(pa.Table.from_pylist(rows(300)), tmp_path / kind)
    reading = replace(VQA, tables=(kind,))
    wanted = 300
    if kind == "folders":
        (tmp_path / "rows.jsonl").unlink()
        reading, wanted = Reading("classes"), 30
    total = expected_rows(tree_of_folder(tmp_path), reading)
    assert total is not None
    assert wanted <= total <= wanted + 1
    assert expected_rows(tree_of_folder(tmp_path), replace(reading, limit=20)) == 20


def test_a_second_check_does_not_open_the_pictures_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "data", rows(30))
    tree = tree_of_folder(tmp_path / "data")
    first = check(tree, VQA, looks=Looks(tmp_path / "looks"))
    monkeypatch.setattr(
        "core.data.checking.survey.look_at", lambda picture: pytest.fail(f"{picture.name} was opened again")
    )
    assert check(tree, VQA, looks=Looks(tmp_path / "looks")) == first


def test_a_picture_that_changed_meanwhile_is_looked_at_again(tmp_path: Path) -> None:
    make(tmp_path / "data", rows(30))
    check(tree_of_folder(tmp_path / "data"), VQA, looks=Looks(tmp_path / "looks"))
    (tmp_path / "data" / "3.png").write_bytes((tmp_path / "data" / "4.png").read_bytes()[:50])
    os.utime(tmp_path / "data" / "3.png", ns=(time.time_ns(), time.time_ns() + 1))
    found = check(tree_of_folder(tmp_path / "data"), VQA, looks=Looks(tmp_path / "looks"))
    assert kinds(found) == {trouble.UNREADABLE_IMAGE}


def test_looks_of_a_stopped_check_are_kept_as_far_as_they_went(tmp_path: Path) -> None:
    make(tmp_path / "data", rows(40))
    tree, count = tree_of_folder(tmp_path / "data"), iter(range(100))
    with pytest.raises(Cancelled):
        check(tree, VQA, cancelled=lambda: next(count) == 20, looks=Looks(tmp_path / "looks"))
    assert check(tree, VQA, looks=Looks(tmp_path / "looks")) == check(tree, VQA)


def test_a_damaged_memory_of_looks_is_as_good_as_none(tmp_path: Path) -> None:
    make(tmp_path / "data", rows(30))
    (tmp_path / "looks").write_bytes(b"no such thing")
    assert check(tree_of_folder(tmp_path / "data"), VQA, looks=Looks(tmp_path / "looks")).usable == 30


def test_the_report_survives_being_written_and_read(tmp_path: Path) -> None:
    found = report(make(tmp_path, [line(0, answer=""), *rows(30)[1:]]))
    assert from_dict(Report, json.loads(json.dumps(to_dict(found)))) == found


def test_a_remark_on_a_whole_file_is_no_row(tmp_path: Path) -> None:
    make(tmp_path, [], pictures=30)
    text = "".join(json.dumps(line(n, answer="ein Kätzchen"), ensure_ascii=False) + "\n" for n in range(30))
    (tmp_path / "rows.jsonl").write_bytes(text.encode("latin-1"))
    found = report(tmp_path)
    assert (found.rows, found.usable, found.blocked) == (30, 30, False)
    finding = one(found, trouble.ENCODING)
    assert (finding.count, finding.title) == (1, "1 file is not in UTF-8 and was read as Latin-1")
    (place,) = finding.places
    assert (place.file, place.row, place.detail) == ("rows.jsonl", 1, "and 29 further places in it")
    assert found.answers == (("ein Kätzchen", 30),)


def test_a_writer_on_both_sides_is_an_error_where_groups_count(tmp_path: Path) -> None:
    lines = [line(n, writer=f"w{n % 8}", side="test" if n % 8 == 7 or n == 3 else "train") for n in range(40)]
    make(tmp_path, lines)
    columns = {**VQA.columns, "group": "writer", "split": "side"}
    reading = replace(VQA, columns=columns, split=Split("column", group=True))
    finding = one(report(tmp_path, reading), trouble.GROUP_LEAK)
    assert finding.title == "4 rows to learn from are of groups that are also held out", "and no word of pictures"
    assert trouble.LEAK not in kinds(report(tmp_path, reading))
    assert [place.row for place in finding.places] == [12, 20, 28, 36]
    assert "“w3”" in finding.places[0].detail
    assert not report(tmp_path, pressed(reading, finding)).blocked
    assert kinds(report(tmp_path, replace(reading, split=Split("column")))) <= {
        trouble.UNSEEN_ANSWER,
        trouble.SHARED_GROUP,
    }


def test_a_writer_on_both_sides_is_named_where_groups_are_not_kept_together(tmp_path: Path) -> None:
    folder = make(tmp_path, [line(n, writer=f"w{n % 3}") for n in range(40)])
    reading = replace(VQA, columns={**VQA.columns, "group": "writer"}, split=Split(share=0.1))
    finding = one(report(folder, reading), trouble.SHARED_GROUP)
    assert finding.severity == "warning"
    assert "is on both sides" in finding.places[0].detail
    assert trouble.SHARED_GROUP not in kinds(report(folder, pressed(reading, finding)))


def test_groups_on_both_sides_of_a_column_are_kept_together_by_a_new_split(tmp_path: Path) -> None:
    folder = make(tmp_path, [line(n, writer=f"w{n % 10}", side="test" if n >= 50 else "train") for n in range(60)])
    reading = replace(VQA, columns={**VQA.columns, "group": "writer", "split": "side"}, split=Split("column"))
    after = report(folder, pressed(reading, one(report(folder, reading), trouble.SHARED_GROUP)))
    assert not after.blocked
    assert (after.train, after.heldout) == (54, 6)


def test_words_on_both_sides_are_no_pictures(tmp_path: Path) -> None:
    """Rows of text alone that say the same as held-out ones."""
    said = {"image": "", "question": "What is 1 + 1?", "answer": "2"}
    lines = [line(n, side="test" if n > 34 else "train") for n in range(40)]
    make(tmp_path, [*lines, {**said, "side": "train"}, {**said, "side": "test"}])
    reading = replace(VQA, columns={**VQA.columns, "split": "side"}, split=Split("column"))
    assert one(report(tmp_path, reading), trouble.LEAK).title == "1 row to learn from says the same as a held-out one"


def test_rows_are_not_done_before_their_pictures_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int | None]] = []
    looked: list[str] = []

    def slowly(picture: Picture) -> Look:
        time.sleep(0.002)  # longer than a row takes to be read
        look = look_at(picture)
        looked.append(picture.name)
        return look

    def tell(done: int, total: int | None) -> None:
        assert done <= len(looked)
        told.append((done, total))

    monkeypatch.setattr("core.data.checking.survey.look_at", slowly)
    check(tree_of_folder(make(tmp_path, rows(30))), VQA, tell)
    assert told == sorted(told, key=lambda each: each[0]), "it never goes back"
    assert told[-1] == (30, 30)
    assert all(total is None or done < total for done, total in told[:-1]), "all of them only at the end"


def test_a_check_can_be_stopped_while_the_last_pictures_are_looked_at(tmp_path: Path) -> None:
    read: list[int] = []
    with pytest.raises(Cancelled):
        check(
            tree_of_folder(make(tmp_path, rows(20))),
            VQA,
            lambda done, _: read.append(done),
            lambda: len(read) >= 20,
        )


@pytest.mark.parametrize(("longest", "edge"), [(10_001, 10_002), (99_999, 100_000), (100_001, 100_002)])
def test_a_histogram_ends_where_the_values_end(tmp_path: Path, longest: int, edge: int) -> None:
    """Its bars grow tenfold; the last one is drawn as far as there is anything."""
    found = report(make(tmp_path, [*rows(30), line(30, answer="x" * longest)]))
    assert found.lengths is not None
    assert found.lengths.edges[0] == min(map(len, ANSWERS))
    assert found.lengths.edges[-1] == edge
    assert list(found.lengths.edges) == sorted(set(found.lengths.edges))
    assert sum(found.lengths.counts) == 31


def test_copies_with_other_captions_are_named(tmp_path: Path) -> None:
    """Pictures that look alike and are told of in other words; five captions of one picture are no contradiction."""
    folder = make(tmp_path, [line(n, answer=f"a thing called {n}") for n in range(30)])
    with (folder / "rows.jsonl").open("a") as file:
        file.write(json.dumps(line(3, answer="another word for it")) + "\n")
    reading = Reading("captions", ("rows.jsonl",), {"image": "image", "text": "answer"}, template="What is it?")
    assert trouble.NEAR_OTHER not in kinds(report(folder, reading))
    picture(3).resize((50, 38)).save(folder / "7.png")
    finding = one(report(folder, reading), trouble.NEAR_OTHER)
    assert [(place.row, place.detail) for place in finding.places] == [
        (8, "“a thing called 7”, and “a thing called 3” in rows.jsonl, row 4")
    ]
