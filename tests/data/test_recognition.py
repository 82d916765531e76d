"""What a guess says for itself, what can be overruled, which files are no data at all, and traps for quick guesses."""

from __future__ import annotations

from contextlib import suppress

import pytest

from core.data.files.tree import Tree, tree_of_folder
from core.data.formats.recognition import recognise, reread
from core.data.formats.records import records
from core.errors import DataError
from core.spec.data import Reading, Split
from tests.data.layouts import LAYOUTS, write
from tests.data.layouts.kit import SAID, lines, numbered, pictures, png

NAMED = {layout.name: layout for layout in LAYOUTS}


def tree_of(files, root):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tree_of_folder(root)


def test_the_reason_names_what_was_seen(tmp_path):
    guess = recognise(tree_of_folder(write(NAMED["flickr8k_captions"], tmp_path)))
    assert guess.reason.startswith("“captions.txt”: the column “image” names pictures that are there")
    assert "“caption” holds text of 12 to 14 words" in guess.reason
    assert guess.column_reasons["text"] == "holds text of 12 to 14 words"
    assert guess.columns == ("image", "caption")


def test_the_reason_says_which_tables_are_held_out_and_which_left_out(tmp_path):
    guess = recognise(tree_of_folder(write(NAMED["imagefolder_jsonl"], tmp_path / "a")))
    assert "the tables' names say which rows are held out" in guess.reason
    assert guess.reading.tables == ("train/metadata.jsonl", "test/metadata.jsonl")
    guess = recognise(tree_of_folder(write(NAMED["kaggle_filename_label"], tmp_path / "b")))
    assert "“test.csv” was left out, for it has nothing under “label”" in guess.reason
    assert guess.reading.tables == ("train.csv",)


def test_the_same_rows_in_two_files_are_read_once(tmp_path):
    import json

    rows = [{"image": f"{n}.png", "caption": SAID[n]} for n in range(4)]
    files = {"rows.json": json.dumps(rows), "rows_pretty.json": json.dumps(rows, indent=2)}
    tree = tree_of({**files, **numbered("{}.png", 4, 0)}, tmp_path)
    assert len(recognise(tree).reading.tables) == 1


def test_other_formats_are_named_with_what_speaks_for_them(tmp_path):
    guess = recognise(tree_of_folder(write(NAMED["ocr_labels_txt"], tmp_path)))
    others = dict(guess.others)
    assert {"captions", "classes", "pairs"} <= set(others)
    assert all(others.values())


def test_a_format_that_was_guessed_wrong_can_be_overruled(tmp_path):
    tree = tree_of_folder(write(NAMED["clip_pairs"], tmp_path))
    before = recognise(tree).reading
    for format, part in (("ocr", "text"), ("pairs", "text"), ("classes", "label")):
        guess = reread(tree, format, before)
        assert guess.reading.format == format
        assert guess.reading.columns[part] == "title"
        assert all(item.row for item in records(tree, guess.reading))
    assert reread(tree, "ocr", before).reading.template == "Read the text in the picture."


def test_what_the_person_wrote_stays_when_the_format_is_overruled(tmp_path):
    tree = tree_of_folder(write(NAMED["clip_pairs"], tmp_path))
    before = Reading("captions", ("pairs.tsv",), system="Be brief.", drop=("missing_image",), max_side=512)
    after = reread(tree, "pairs", before).reading
    assert (after.system, after.drop, after.max_side) == ("Be brief.", ("missing_image",), 512)


def test_folders_and_a_table_can_each_be_chosen(tmp_path):
    names = [f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(3)]
    table = "file,caption\n" + "".join(f"{name},{said}\n" for name, said in zip(names, SAID, strict=True))
    tree = tree_of({"t.csv": table, **pictures(*names)}, tmp_path)
    guess = recognise(tree)
    assert guess.reading.format == "captions"
    assert "classes" in dict(guess.others)
    chosen = reread(tree, "classes", guess.reading).reading
    assert {item.row.answer for item in records(tree, chosen)} == {"cat", "dog"}


def test_a_split_that_was_chosen_stays(tmp_path):
    tree = tree_of_folder(write(NAMED["imagefolder_jsonl"], tmp_path))
    before = Reading("captions", ("train/metadata.jsonl",), split=Split(share=0.3, seed=5))
    assert reread(tree, "ocr", before).reading.split == Split(share=0.3, seed=5)


def test_any_columns_can_be_made_questions_and_answers(tmp_path):
    files = {"t.csv": "photo,frage,antwort\n" + "".join(f"{n}.png,Was ist {n}?,Haus\n" for n in range(4))}
    tree = tree_of({**files, **numbered("{}.png", 4, 0)}, tmp_path)
    reading = reread(tree, "vqa").reading
    assert reading.columns == {"image": "photo", "question": "frage", "answer": "antwort"}


def test_a_format_that_the_data_cannot_have_is_refused_in_words(tmp_path):
    tree = tree_of_folder(write(NAMED["class_folders"], tmp_path))
    with pytest.raises(DataError, match="questions with answers"):
        reread(tree, "vqa")
    with pytest.raises(DataError, match="conversations"):
        reread(tree, "sharegpt")


def test_a_table_is_no_coco_and_coco_is_no_table(tmp_path):
    with pytest.raises(DataError, match="COCO"):
        reread(tree_of_folder(write(NAMED["vqa_csv"], tmp_path / "a")), "coco")
    with pytest.raises(DataError, match="questions"):
        reread(tree_of_folder(write(NAMED["coco_captions"], tmp_path / "b")), "vqa")


def test_every_column_can_be_given_every_part(tmp_path):
    """The mapping is data: whatever a person chooses is read, or said to be unusable, and never raises."""
    from typing import get_args

    from core.spec.data import Format, Part

    tree = tree_of_folder(write(NAMED["vqa_csv"], tmp_path))
    for format in get_args(Format):
        for column in ("image", "question", "answer", "nothing"):
            reading = Reading(format, ("vqa.csv",), dict.fromkeys(get_args(Part), column))
            items = list(records(tree, reading))
            assert all(item.row or item.trouble for item in items)


NOTHING = {
    "no_file": {},
    "pictures_alone": numbered("{:04d}.jpg", 5),
    "camera_names": numbered("IMG_{:04d}.jpg", 5),
    "one_folder": numbered("cats/{}.jpg", 5),
    "boxes_beside_pictures": {
        **numbered("images/train/{}.jpg", 4),
        **{f"labels/train/{n}.txt": "0 0.5 0.5 0.2 0.1\n" for n in range(1, 5)},
    },
    "pictures_with_masks": {**numbered("images/{}.png", 4), **numbered("masks/{}.png", 4)},
    "batches": {**numbered("batch_1/{}.png", 4), **numbered("batch_2/{}.png", 4)},
    "numbers_only": {"a.csv": "x,y\n1,2\n3,4\n"},
    "prose": {"story.txt": "Once upon a time.\nThere was a fox.\n"},
    "attributes": {
        "list_attr.csv": "image_id,bald,smiling\n" + "".join(f"{n}.jpg,1,-1\n" for n in range(6)),
        **numbered("{}.jpg", 6, 0),
    },
    "a_spreadsheet": {"rows.xlsx": b"PK\x03\x04", **numbered("{}.jpg", 3)},
    "a_config": {"config.json": '{"model_type": "llava", "layers": 3}'},
    "a_submission_form": {"sample_submission.csv": "filename,label\n1.jpg,cat\n", **numbered("{}.jpg", 3)},
}


@pytest.mark.parametrize("name", NOTHING)
def test_files_that_say_nothing_to_learn_are_refused_in_words(name, tmp_path):
    with pytest.raises(DataError) as caught:
        recognise(tree_of(NOTHING[name], tmp_path))
    assert "one folder of pictures for each class" in str(caught.value) or "Save the rows as" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_spreadsheet_is_named_with_what_to_do():
    from tests.data.made_data import BytesEntry

    with pytest.raises(DataError, match=r"“rows.xlsx”.* Save the rows as CSV"):
        recognise(Tree({"rows.xlsx": BytesEntry("rows.xlsx", 4, b"PK\x03\x04")}))


TRAPS = {
    # a column of numbers that are also names of pictures is still the label
    "labels_like_names": (
        {"t.csv": "file,label\n" + "".join(f"{n:04d}.png,{n % 3}\n" for n in range(9)), **numbered("{:04d}.png", 9, 0)},
        "classes",
        {"image": "file", "label": "label"},
    ),
    # a caption column beside an address column of the same pictures
    "addresses_beside_names": (
        {
            "t.csv": "url,file_name,caption\n"
            + "".join(f"https://example.org/{n}.png,{n}.png,{SAID[n]}\n" for n in range(4)),
            **numbered("{}.png", 4, 0),
        },
        "captions",
        {"image": "file_name", "text": "caption"},
    ),
    # the table of a small part beside class folders for all
    "small_table_beside_folders": (
        {
            "val_annotations.txt": "".join(f"val_{n}.JPEG\tn0{n % 2}\n" for n in range(2)),
            **numbered("val/images/val_{}.JPEG", 2, 0),
            **pictures(*(f"train/n0{kind}/images/n0{kind}_{n}.JPEG" for kind in (1, 2) for n in range(8))),
        },
        "classes",
        {"image": "picture", "label": "folder"},
    ),
    # lines of writing under a plain name: only the pictures' shape tells
    "lines_of_writing": (
        {
            "t.csv": "image,text\n" + "".join(f"{n}.png,{SAID[n]}\n" for n in range(4)),
            **{f"{n}.png": png(n, (256, 32)) for n in range(4)},
        },
        "ocr",
        {"image": "image", "text": "text"},
    ),
    # a caption column whose pictures are wide stays a caption
    "panoramas": (
        {
            "t.csv": "image,caption\n" + "".join(f"{n}.png,{SAID[n]}\n" for n in range(4)),
            **{f"{n}.png": png(n, (256, 32)) for n in range(4)},
        },
        "captions",
        {"image": "image", "text": "caption"},
    ),
    # a column called Id is the class where it is all there is
    "whales": (
        {
            "train.csv": "Image,Id\n" + "".join(f"{n}.jpg,w_{n % 3}\n" for n in range(9)),
            **numbered("train/{}.jpg", 9, 0),
        },
        "classes",
        {"image": "Image", "label": "Id"},
    ),
    # attributes beside a name: the name is learned
    "products": (
        {
            "styles.csv": "id,gender,masterCategory,year,productDisplayName\n"
            + "".join(f"{100 + n},Men,Apparel,2011,Turtle Check Men Navy Blue Shirt {n}\n" for n in range(6)),
            **numbered("images/{}.jpg", 6, 100),
        },
        "captions",
        {"image": "id", "text": "productDisplayName"},
    ),
    # names of things, one or two words each
    "names": (
        {
            "t.csv": "image,name\n" + "".join(f"{n}.png,{said.split()[1]} {n}\n" for n, said in enumerate(SAID)),
            **numbered("{}.png", 6, 0),
        },
        "captions",
        {"image": "image", "text": "name"},
    ),
    # numbers that are classes
    "digits": (
        {"t.tsv": "".join(f"{n}.png\t{n % 3}\n" for n in range(9)), **numbered("{}.png", 9, 0)},
        "classes",
        {"image": "column 1", "label": "column 2"},
    ),
    # pictures that did not come along: still the same table, and the checks say what is missing
    "no_picture_came_along": (
        {"t.jsonl": lines([{"image": f"{n}.png", "question": f"What is {n}?", "answer": "a"} for n in range(4)])},
        "vqa",
        {"image": "image", "question": "question", "answer": "answer"},
    ),
    # a mask beside the picture is not a second picture of the row
    "masks_in_rows": (
        {
            "t.csv": "image,mask,caption\n" + "".join(f"i/{n}.png,m/{n}.png,{SAID[n]}\n" for n in range(4)),
            **numbered("i/{}.png", 4, 0),
            **numbered("m/{}.png", 4, 0),
        },
        "captions",
        {"image": "image", "text": "caption"},
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_not_stepped_into(name, tmp_path):
    files, format, columns = TRAPS[name]
    reading = recognise(tree_of(files, tmp_path)).reading
    assert (reading.format, reading.columns) == (format, columns)


def test_only_the_first_rows_are_looked_at(tmp_path, monkeypatch):
    from core.data.formats import first_look

    rows = [{"image": "0.png", "text": SAID[n % 6]} for n in range(5000)]
    tree = tree_of({"t.jsonl": lines(rows), **numbered("{}.png", 1, 0)}, tmp_path)
    seen = []
    real = first_look.read_table
    monkeypatch.setattr(
        first_look, "read_table", lambda entry, limit=None, part="": _counted(real(entry, limit, part), seen)
    )
    recognise(tree)
    assert len(seen) <= first_look.LOOKED_AT


def test_a_look_at_large_pictures_in_a_table_holds_few_of_them(tmp_path, monkeypatch):
    from core.data.formats import first_look
    from tests.data.layouts.kit import parquet

    count = 40
    large = [{"bytes": png(n) + bytes(2 * 2**20), "path": None} for n in range(count)]
    tree = tree_of({"t.parquet": parquet({"image": large, "caption": [SAID[n % 6] for n in range(count)]})}, tmp_path)
    seen = []
    real = first_look.read_table
    monkeypatch.setattr(first_look, "read_table", lambda entry: _counted(real(entry), seen))
    assert recognise(tree).reading.format == "captions"
    assert len(seen) * 2 * 2**20 <= first_look.MAX_BYTES + 4 * 2**20


def test_the_tables_of_questions_and_answers_are_named_once(tmp_path):
    tables = recognise(tree_of_folder(write(NAMED["vqav2_official_files"], tmp_path))).reading.tables
    assert len(tables) == len(set(tables)) == 4


def _counted(found, seen):
    for record in found:
        seen.append(record)
        yield record


ODD = (None, "", 0, -1, 1.5, float("nan"), True, "1.png", "x.png", "a cat", "a\nb", "<image>", "[1", "{}", "[]", [], {})
ODD += ([None], ["1.png", 2], {"bytes": None, "path": "1.png"}, {"bytes": 3}, [{"role": "user"}], [{"from": None}])
ODD += ([{"role": "user", "content": [{"type": "image"}, 3, None]}], [{"question": "q", "answer": None}], "../1.png")


def test_whatever_stands_in_rows_nothing_but_a_sentence_comes_back(tmp_path):
    """Seeded rows of odd values under names that mean something."""
    import random
    from typing import get_args

    from core.spec.data import Format

    draw = random.Random(7)
    names = (
        "image",
        "text",
        "question",
        "answer",
        "messages",
        "conversations",
        "prompt",
        "completion",
        "label",
        "split",
    )
    for number in range(60):
        columns = draw.sample(names, draw.randint(1, 6))
        rows = [{name: draw.choice(ODD) for name in columns} for _ in range(6)]
        tree = tree_of({"t.jsonl": lines(rows), "1.png": png()}, tmp_path / str(number))
        readings = [
            Reading(format, ("t.jsonl",), {_part(name): name for name in columns}) for format in get_args(Format)
        ]
        with suppress(DataError):
            readings.append(recognise(tree).reading)
        for reading in readings:
            items = list(records(tree, reading))
            assert all(item.row or item.trouble for item in items)


def _part(name):
    return "messages" if name == "conversations" else name


def test_a_column_of_yes_and_no_is_no_verdict_about_classes_or_answers(tmp_path):
    """Only of a text that differs from row to row can be said whether it belongs to the picture."""
    pets = "".join(f"{n}.png,{('cat', 'dog')[n % 2]},{n % 2}\n" for n in range(8))
    tree = tree_of({"t.csv": "image,name,label\n" + pets, **numbered("{}.png", 8, 0)}, tmp_path / "a")
    assert recognise(tree).reading.format == "classes"
    asked = "".join(f"{n}.png,What is {n}?,box {n},{n % 2}\n" for n in range(8))
    tree = tree_of({"t.csv": "image,question,answer,correct\n" + asked, **numbered("{}.png", 8, 0)}, tmp_path / "b")
    assert recognise(tree).reading.format == "vqa"


def test_a_label_of_a_meme_is_a_class_of_picture_and_text_together(tmp_path):
    """As Hateful Memes has it: nothing says that the text does not belong to its picture; it stands in it."""
    rows = [
        {"id": 42950 + n, "img": f"img/{42950 + n}.png", "label": n % 2, "text": f"when you see {n} of them coming"}
        for n in range(8)
    ]
    guess = recognise(tree_of({"train.jsonl": lines(rows), **numbered("img/{}.png", 8, 42950)}, tmp_path))
    assert (guess.reading.format, guess.reading.columns["label"]) == ("classes", "label")
    assert guess.reading.template.endswith("\n{text}"), "a class of both cannot be told by the picture alone"
    assert "pairs" in dict(guess.others)


def test_a_table_that_is_not_read_is_named(tmp_path):
    pictures = numbered("{}.png", 16, 0)
    asked = "".join(f"{n}.png,What is {n}?,a box {n}\n" for n in range(16))
    told = "".join(f"{n}.png,A long sentence about picture number {n} and its colours\n" for n in range(8))
    files = {"asked.csv": "image,question,answer\n" + asked, "told.csv": "image,caption\n" + told}
    guess = recognise(tree_of({**files, **pictures}, tmp_path))
    unread = ({"asked.csv", "told.csv"} - set(guess.reading.tables)).pop()
    assert f"“{unread}” is not read" in guess.reason


def with_group(name, values, root):
    rows = "".join(f"{n}.png,word {n},{values[n % len(values)]}\n" for n in range(8))
    return recognise(tree_of({"t.csv": f"image,text,{name}\n{rows}", **numbered("{}.png", 8, 0)}, root))


@pytest.mark.parametrize(("name", "values"), [("writer_id", ("ann", "bob")), ("subject", ("s1", "s2"))])
def test_few_groups_are_not_kept_together_unasked(name, values, tmp_path):
    """Two writers cannot be divided into nine tenths and one; the check names them where they are on both sides."""
    guess = with_group(name, values, tmp_path)
    assert guess.reading.columns["group"] == name
    assert guess.reading.split == Split()


@pytest.mark.parametrize(
    ("name", "values"), [("writer_id", "abcde"), ("subject", ("s1", "s2", "s3", "s4", "s5", "s6"))]
)
def test_rows_of_one_writer_are_kept_together_and_the_reason_says_so(name, values, tmp_path):
    guess = with_group(name, values, tmp_path)
    assert guess.reading.columns["group"] == name
    assert guess.reading.format == ("ocr" if name == "writer_id" else "captions")
    assert guess.reading.split == Split(group=True)
    assert f"rows with the same “{name}” are kept on one side" in guess.reason


@pytest.mark.parametrize(("name", "values"), [("writer_id", ("ann",)), ("subject", ("biology", "art")), ("kind", "ab")])
def test_topics_and_a_single_writer_are_no_groups(name, values, tmp_path):
    assert not with_group(name, values, tmp_path).reading.split.group


@pytest.mark.parametrize("head", ["Bild;Frage;Antwort", "Bild;Antwort;Frage"])
def test_questions_are_known_by_their_question_marks_whatever_the_column_is_called(head, tmp_path):
    cells = {
        "Antwort": lambda n: ("Kühe", "Löwe", "Bär")[n % 3],
        "Frage": lambda n: f"Was für ein Tier ist das, Nr. {n}?",
    }
    rows = "".join(";".join([f"{n}.png", *(cells[name](n) for name in head.split(";")[1:])]) + "\n" for n in range(9))
    guess = recognise(tree_of({"fragen.csv": f"{head}\n{rows}", **numbered("{}.png", 9, 0)}, tmp_path))
    assert guess.reading.format == "vqa"
    assert guess.reading.columns == {"image": "Bild", "question": "Frage", "answer": "Antwort"}
    assert "captions" in dict(guess.others)


def test_few_different_answers_to_a_query_are_no_classes(tmp_path):
    rows = lines(
        [{"image": f"{n}.png", "query": f"Read the sign {n}", "label": ["stop", "go"][n % 2]} for n in range(12)]
    )
    guess = recognise(tree_of({"t.jsonl": rows, **numbered("{}.png", 12, 0)}, tmp_path))
    assert (guess.reading.format, guess.reading.columns["question"]) == ("vqa", "query")


@pytest.mark.parametrize(
    ("said", "size", "format"),
    [("a small {}", (320, 240), "captions"), ("red {}", (320, 240), "captions"), ("a small {}", (640, 64), "ocr")],
)
def test_short_texts_of_an_image_folder_are_captions_and_lines_of_writing_are_read(said, size, format, tmp_path):
    things = ("cat", "dog", "house", "tree", "car", "boat", "fish", "bird")
    rows = "".join(f"{n}.png,{said.format(thing)}\n" for n, thing in enumerate(things))
    files = {f"{n}.png": png(n, size) for n in range(len(things))}
    assert recognise(tree_of({"metadata.csv": f"file_name,text\n{rows}", **files}, tmp_path)).reading.format == format


@pytest.mark.parametrize("asked", [("Colour", "Shape"), ("Question 0?", "Question 1?", "Question 2?", "Question 3?")])
def test_a_column_called_question_counts_also_when_its_short_texts_repeat(asked, tmp_path):
    rows = "".join(f"{n}.png,{asked[n % len(asked)]},answer {n % 3}\n" for n in range(12))
    guess = recognise(tree_of({"q.csv": f"image,question,answer\n{rows}", **numbered("{}.png", 12, 0)}, tmp_path))
    assert (guess.reading.format, guess.reading.columns["question"]) == ("vqa", "question")


def test_numbers_that_pictures_are_called_by_are_not_said_to_name_them(tmp_path):
    rows = lines([{"image": f"{n}.png", "question": f"How many are in {n}?", "answer": n % 5} for n in range(8)])
    guess = recognise(tree_of({"q.jsonl": rows, **numbered("{}.png", 8, 0)}, tmp_path))
    assert guess.column_reasons["answer"] == "holds numbers"
    assert guess.column_reasons["image"] == "names pictures that are there"


def test_boxes_are_no_classes(tmp_path):
    import json

    boxes = [{"id": n, "image_id": n, "category_id": n % 2, "bbox": [1, 2, 30, 40]} for n in range(8)]
    named = [{"id": n, "file_name": f"{n}.jpg"} for n in range(8)]
    text = json.dumps({"images": named, "annotations": boxes, "categories": [{"id": 0, "name": "cat"}]})
    with pytest.raises(DataError, match=r"“bbox”.*nothing says what is to be learned"):
        recognise(tree_of({"instances.json": text, **numbered("{}.jpg", 8, 0)}, tmp_path))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"protocol.docx": b"PK"}, "no picture was seen, and “protocol.docx” is no table"),
        ({"q.csv": "image,text\n", **numbered("{}.png", 2)}, "and “q.csv” has no row that can be read"),
        (numbered("{}.png", 1), "1 picture was seen and no other file"),
        ({**numbered("{}.png", 2), "notes.md": "x"}, "2 pictures and 1 other file were seen"),
    ],
)
def test_what_was_brought_is_named_when_nothing_can_be_read(files, said, tmp_path):
    with pytest.raises(DataError) as caught:
        recognise(tree_of(files, tmp_path))
    assert said in str(caught.value)
