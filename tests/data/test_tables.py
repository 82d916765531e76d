"""Rows come out of every form of table, in every encoding; broken ones are numbered, and memory stays flat."""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from core.data.files.archives import entries_of
from core.data.files.tree import tree_of_folder
from core.data.tables import Record, columns_of, is_table, lists_of, read_table
from core.data.tables.record import MAX_ROW
from core.errors import DataError
from tests.data.made_data import BytesEntry

ROWS: list[dict[str, Any]] = [
    {"image": f"{number}.png", "text": text}
    for number, text in enumerate(
        (
            "a cat",
            "",
            'he said "hi", twice',
            "two\nlines",
            "Käse; 日本 | 👍",
            "tab\there",
            "'quotes'",
            "back\\slash",
            "-1e5",
        )
    )
]


def entry(name: str, content: str | bytes) -> BytesEntry:
    data = content if isinstance(content, bytes) else content.encode()
    return BytesEntry(name, len(data), data)


def rows(name: str, content: str | bytes, **more: Any) -> list[Record]:
    return list(read_table(entry(name, content), **more))


def values(name: str, content: str | bytes, **more: Any) -> list[dict[str, Any] | None]:
    return [record.values for record in rows(name, content, **more)]


def written(form: str, delimiter: str = ",") -> str:
    """The rows in a form, written by Python's own writers."""
    if form == "csv":
        file = io.StringIO()
        writer = csv.DictWriter(file, ["image", "text"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)
        return file.getvalue()
    if form == "jsonl":
        return "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
    return json.dumps(ROWS, ensure_ascii=False, indent={"json": None, "pretty": 2}[form])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(
    ("name", "form", "delimiter"),
    [
        ("a.csv", "csv", ","), ("a.csv", "csv", ";"), ("a.tsv", "csv", "\t"), ("a.csv", "csv", "|"),
        ("a.CSV", "csv", "\t"),
        ("a.jsonl", "jsonl", ""), ("a.json", "jsonl", ""), ("a.json", "json", ""), ("a.json", "pretty", ""),
        ("a.jsonl", "json", ""), ("a.ndjson", "pretty", ""),
    ],
)  # fmt: skip
def test_every_form_in_every_encoding_gives_the_same_rows(name, form, delimiter, encoding):
    found = rows(name, written(form, delimiter).encode(encoding))
    assert [record.values for record in found] == ROWS
    assert not any(record.trouble for record in found)


def test_rows_are_numbered_by_their_first_line_and_by_their_place_in_a_list():
    assert [record.place.row for record in rows("a.csv", written("csv"))] == [2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert [record.place.row for record in rows("a.json", written("pretty"))] == list(range(1, 10))
    assert [record.place.row for record in rows("a.jsonl", '\n{"a": 1}\r\n\r\n{"a": 2}')] == [2, 4]


def test_lines_that_end_with_cr_alone():
    assert values("a.csv", "image,text\r1.png,a\r2.png,b\r") == [
        {"image": "1.png", "text": "a"},
        {"image": "2.png", "text": "b"},
    ]


def test_tables_without_a_header_have_counted_columns():
    assert values("a.txt", "1.jpg#0\tA child\n1.jpg#1\tA girl\n") == [
        {"column 1": "1.jpg#0", "column 2": "A child"},
        {"column 1": "1.jpg#1", "column 2": "A girl"},
    ]
    assert values("gt.txt", '\ufeffword_1.png, "Tiredness"\n') == [{"column 1": "word_1.png", "column 2": "Tiredness"}]
    assert columns_of(entry("a.csv", "1.png,a\n")) == ("column 1", "column 2")


def test_text_is_a_table_only_when_it_looks_like_one():
    assert values("a.txt", "image,caption\na.jpg,one\nb.jpg,two\n")[0] == {"image": "a.jpg", "caption": "one"}
    assert values("a.txt", "A sentence, with a comma!\nAnother one.\n") == [
        {"text": "A sentence, with a comma!"},
        {"text": "Another one."},
    ]


def test_quotes_in_a_table_of_tabs_may_be_plain_signs():
    text = 'image\ttext\n1.png\t"Stop" sign\n2.png\t5" pipe\n3.png\t"whole, cell"\n'
    assert [row and row["text"] for row in values("a.tsv", text)] == ['"Stop" sign', '5" pipe', "whole, cell"]


def test_names_of_columns_are_trimmed_and_unique():
    found = rows("a.csv", " image , text ,text,\n1.png,a,b,c\n")
    assert found[0].kind == "form"
    assert found[1].values == {"image": "1.png", "text": "a", "text (2)": "b", "column 4": "c"}


def test_a_quote_that_is_never_closed_costs_one_row_wherever_it_stands():
    lines = [f"{number}.png,text {number}" for number in range(50)]
    for bad in (0, 20, 49):
        broken = [line if number != bad else f'{bad}.png,"open' for number, line in enumerate(lines)]
        found = rows("a.csv", "\n".join(("image,text", *broken)) + "\n")
        assert [record.place.row for record in found] == list(range(2, 52))
        assert [record.kind for record in found if record.values is None] == ["broken_line"]


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_damage_anywhere_leaves_the_rows_before_it(form):
    """Bytes are changed: every row is a record, and no exception but ours comes out."""
    draw = random.Random(form)
    whole = written(form).encode()
    for _ in range(300):
        broken = bytearray(whole)
        at = draw.randrange(len(broken))
        broken[at] = draw.randrange(1, 256)
        try:
            found = rows(f"a.{form}", bytes(broken))
        except DataError:
            continue
        assert all(record.values is not None or record.trouble for record in found)
        if form != "csv":
            whole_before = sum(record.values is not None and not record.trouble for record in found)
            assert whole_before >= (whole[:at].count(b'{"image"') - 1)


def test_keys_that_stand_twice_nan_and_half_signs():
    found = rows(
        "a.jsonl", '{"a": 1, "a": 2}\n{"a": NaN}\n{"a": "\\ud83d"}\n{"a": "\\ud83d\\ude00"}\n{"b": {"c": 1, "c": 2}}'
    )
    assert [record.values for record in found] == [None, {"a": None}, None, {"a": "😀"}, None]
    assert [record.kind for record in found] == ["duplicate_key", "", "broken_line", "", "duplicate_key"]


def test_latin_1_is_read_and_named_row_by_row():
    found = rows("a.jsonl", b'{"a": "caf\xe9"}\n{"a": "caf\xc3\xa9"}\n{"a": "\x80"}')
    assert [record.values for record in found] == [{"a": "café"}, {"a": "café"}, {"a": "€"}]
    assert [record.kind for record in found] == ["encoding", "", "encoding"]


def test_what_holds_no_row_says_so():
    for name, content in (
        ("a.csv", ""),
        ("a.csv", "image,text\n"),
        ("a.jsonl", "\n\n"),
        ("a.json", "[]"),
        ("a.json", "{}"),
    ):
        (record,) = rows(name, content)
        assert (record.kind, record.place.row, record.values) == ("empty", None, None)


def test_a_picture_that_is_called_a_table_is_refused():
    for name in ("a.csv", "a.jsonl", "a.txt", "a.parquet"):
        with pytest.raises(DataError, match=f"“{name}”"):
            rows(name, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01")


COCO = {
    "info": {"year": 2017},
    "licenses": [{"id": 1, "name": "CC"}],
    "images": [{"id": number, "file_name": f"{number}.jpg"} for number in range(5)],
    "categories": ["a"],
    "annotations": [{"image_id": number % 5, "caption": f"caption {number}"} for number in range(20)],
}


@pytest.mark.parametrize("indent", [None, 1])
def test_lists_in_an_object_are_named_and_read_by_their_keys(indent):
    text = json.dumps(COCO, indent=indent)
    assert lists_of(entry("a.json", text)) == ("licenses", "images", "annotations")
    assert values("a.json", text, part="images") == COCO["images"]
    assert values("a.json", text) == COCO["annotations"], "the longest"
    assert columns_of(entry("a.json", text)) == ("image_id", "caption")
    assert lists_of(entry("a.json", written("json"))) == ()
    assert values("a.json", text, part="nothing")[0] is None


def test_an_object_of_names_and_texts_is_a_table():
    assert values("a.json", '{"1.png": "a cat", "2.png": {"text": "a dog"}}') == [
        {"key": "1.png", "value": "a cat"},
        {"key": "2.png", "text": "a dog"},
    ]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_a_list_is_read_the_same_whatever_pieces_it_comes_in(chunk, monkeypatch):
    from core.data.tables import json_lists

    monkeypatch.setattr(json_lists, "_CHUNK", chunk)
    tricky = [{"a": '\\"]}', "b": ["[", "}", {"c": "\\\\"}], "d": -1.5e10, "é": "日本"}, {"a": "\\"}, {}, {"x": None}]
    assert values("a.json", json.dumps(tricky, ensure_ascii=False)) == tricky
    assert values("a.json", json.dumps({"k": 12, "rows": tricky, "z": "]"}, indent=1)) == tricky
    broken = '[{"a": 1}, {"a": }, {"b": "]"}, 7, {"c": 3}'
    assert values("a.json", broken) == [{"a": 1}, None, {"b": "]"}, None, {"c": 3}, None]


def test_parquet_gives_bytes_and_names_of_classes(tmp_path: Path):
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    table = pa.table({"image": [{"bytes": b"x", "path": f"{n}.png"} for n in range(40)], "label": [0, 1] * 20})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    entry = tree_of_folder(tmp_path).entries["a.parquet"]
    found = list(read_table(entry))
    assert [record.place.row for record in found] == list(range(1, 41))
    assert found[1].values == {"image": {"bytes": b"x", "path": "1.png"}, "label": "dog"}
    assert columns_of(entry) == ("image", "label")
    assert len(list(read_table(entry, limit=3))) == 3


def test_parquet_that_is_cut_off_or_damaged(tmp_path: Path):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"a": list(range(1000))}), file)
    whole = file.getvalue()
    for broken in (whole[:-10], whole[:50], b"PAR1" + whole[100:], whole[:40] + bytes(200) + whole[240:]):
        with pytest.raises(DataError, match="damaged"):
            rows("a.parquet", broken)


def test_tables_in_an_archive_are_read_there(tmp_path: Path):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"a": [1, 2]}), file)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.parquet", file.getvalue())
        archive.writestr("b.csv", written("csv"))
        archive.writestr("c.json", json.dumps(COCO))
    entries, _ = entries_of(tmp_path / "a.zip", "a.zip", tmp_path)
    assert [record.values for record in read_table(entries["a.parquet"])] == [{"a": 1}, {"a": 2}]
    assert [record.values for record in read_table(entries["b.csv"])] == ROWS
    assert lists_of(entries["c.json"]) == ("licenses", "images", "annotations")


def endless(form: str, count: int) -> bytes:
    """Many rows of some hundred bytes."""
    line = {"image": "1.png", "text": "what a picture shows " * 10}
    if form == "csv":
        return b"image,text\n" + f'"{line["image"]}","{line["text"]}"\n'.encode() * count
    if form == "jsonl":
        return (json.dumps(line) + "\n").encode() * count
    body = b",".join(itertools.repeat(json.dumps(line).encode(), count))
    return b"[" + body + b"]" if form == "json" else b'{"images": [' + body + b'], "annotations": [' + body + b"]}"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "jsonl", "json", "object"])
def test_memory_does_not_grow_with_the_rows(form):
    name = "a.json" if form == "object" else f"a.{form}"
    peaks = []
    for count in (5_000, 20_000):
        data = entry(name, endless(form, count))
        tracemalloc.start()
        assert sum(record.values is not None for record in read_table(data)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 3 * MAX_ROW
    assert peaks[1] < 1.5 * peaks[0] + 2**20


def test_memory_of_parquet_does_not_grow_with_a_row_group(tmp_path: Path):
    pictures = [random.Random(number).randbytes(100_000) for number in range(400)]
    pyarrow.parquet.write_table(
        pa.table({"image": pictures}), tmp_path / "a.parquet", 400, use_dictionary=False, write_batch_size=8
    )
    del pictures
    source = tree_of_folder(tmp_path).entries["a.parquet"]
    before, peak = pa.total_allocated_bytes(), 0
    for _ in read_table(source):
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < 12 * 2**20, "40 MB lie in one row group"


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_a_row_that_is_too_long_is_passed_over_holding_little_of_it(form):
    long = b"x" * (3 * MAX_ROW)
    data = {
        "jsonl": b'{"a": "1"}\n{"a": "' + long + b'"}\n{"a": "3"}\n',
        "json": b'[{"a": "1"}, {"a": ["' + long + b'", {"b": "]}"}]}, {"a": "3"}]',
        "csv": b"a,b\n1,1\n2," + long + b"\n3,3\n",
    }[form]
    source = entry(f"a.{form}", data)
    tracemalloc.start()
    found = list(read_table(source))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [record.values and record.values["a"] for record in found] == ["1", None, "3"]
    assert found[1].kind == "long_line"
    assert peak < 10 * MAX_ROW


def test_which_files_are_tables():
    assert [is_table(name) for name in ("a.CSV", "b/c.jsonl", "a.parquet", "a.xlsx", "a.png", "csv")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
