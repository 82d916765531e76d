"""Tables that are broken, in other encodings, or made to do harm: each bad row is named, and the others are there."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.data.tables import read_table
from core.errors import DataError
from tests.bad_inputs.ground import (
    blocked,
    brought,
    found,
    good,
    jsonl,
    named,
    png,
    refused,
    row,
    taken,
    things,
    watched,
)
from tests.data.made_data import BytesEntry

ALL = things(0, 1, 2, 3, 4, 5)


def table(name: str, content: bytes) -> dict[str, bytes]:
    """Six pictures and a table about them."""
    return {**{f"{number}.png": png(number) for number in range(6)}, name: content}


def csv(*lines: str, header: str = "image,question,answer") -> str:
    """A table of six rows, some of them other than usual."""
    rows = [f"{number}.png,What is it?,thing {number}" for number in range(6)]
    return "\n".join((header, *(lines or rows))) + "\n"


def cells(number: int) -> str:
    return f"{number}.png,What is it?,thing {number}"


def detail(draft, kind: str) -> str:
    return found(draft, kind).places[0].detail


def test_tables_01_broken_json_line(home: Path) -> None:
    lines = [row(0), b'{"image": "1.png", "question": "What', row(2), row(3), b"not json", row(5)]
    with watched(home):
        draft = brought(home, table("data.jsonl", jsonl(*lines)))
        named(home, draft, "broken_row", ("data.jsonl", 2), ("data.jsonl", 5))
        assert "its end is missing" in detail(draft, "broken_row")
        assert blocked(home, draft, "broken_row") == things(0, 2, 3, 5)


def test_tables_02_array_at_the_root(home: Path) -> None:
    rows = [row(number) for number in range(6)]
    for name in ("data.jsonl", "data.json"):
        with watched(home):
            assert taken(home, brought(home, table(name, json.dumps(rows).encode()))) == ALL
    lists = jsonl(row(0), row(1), row(2), [row(3)], [], row(5))
    with watched(home):
        draft = brought(home, table("data.jsonl", lists))
        named(home, draft, "broken_row", ("data.jsonl", 4), ("data.jsonl", 5))
        assert "it is a list" in detail(draft, "broken_row")


def test_tables_02_array_at_the_root_that_is_cut_off(home: Path) -> None:
    rows = json.dumps([row(number) for number in range(6)]).encode()
    with watched(home):
        draft = brought(home, table("data.json", rows[:-40]))
        named(home, draft, "broken_row", ("data.json", 6))
        assert "the rest of the file cannot be read" in detail(draft, "broken_row")
        assert blocked(home, draft, "broken_row") == things(0, 1, 2, 3, 4)


@pytest.mark.parametrize("name", ["data.csv", "data.jsonl", "data.json"])
def test_tables_03_bom(home: Path, name: str) -> None:
    rows = [row(number) for number in range(6)]
    content = {"data.csv": csv().encode(), "data.jsonl": jsonl(*rows), "data.json": json.dumps(rows).encode()}[name]
    with watched(home):
        draft = brought(home, table(name, b"\xef\xbb\xbf" + content))
        assert taken(home, draft) == ALL
    assert "image" in draft.reading.columns.values(), "the mark is no part of the first column's name"


def test_tables_04_crlf(home: Path) -> None:
    for name, content in (("data.csv", csv()), ("data.jsonl", jsonl(*(row(n) for n in range(6))).decode())):
        with watched(home):
            draft = brought(home, table(name, content.replace("\n", "\r\n").encode()))
            assert taken(home, draft) == ALL, "no answer ends with CR"
        with watched(home):
            broken = content.replace("4.png", "none.png").replace("\n", "\r\n").encode()
            named(home, brought(home, table(name, broken)), "missing_image", (name, 5 + (name == "data.csv")))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_tables_05_utf_16(home: Path, encoding: str) -> None:
    text = csv().replace("thing 5", "Straße")
    with watched(home):
        draft = brought(home, table("data.csv", text.encode(encoding)))
        assert taken(home, draft) == ("Straße", *ALL[:5])
    rows = jsonl(*(row(number) for number in range(6))).decode()
    with watched(home):
        assert taken(home, brought(home, table("data.jsonl", rows.encode(encoding)))) == ALL


@pytest.mark.parametrize("name", ["data.csv", "data.jsonl", "data.json"])
def test_tables_06_latin_1(home: Path, name: str) -> None:
    rows = [row(number) for number in range(5)] + [row(5, answer="café")]
    text = {
        "data.csv": csv().replace("thing 5", "café"),
        "data.jsonl": "\n".join(json.dumps(one, ensure_ascii=False) for one in rows),
        "data.json": json.dumps(rows, ensure_ascii=False),
    }[name]
    with watched(home):
        draft = brought(home, table(name, text.encode("latin-1")))
        line = {"data.csv": 7, "data.jsonl": 6, "data.json": 6}[name]
        assert named(home, draft, "encoding", (name, line)).severity == "warning"
        assert taken(home, draft) == ("café", *ALL[:5])


def test_tables_07_ragged_csv(home: Path) -> None:
    lines = (cells(0), "1.png,What is it?", cells(2) + ",more,and more", "3.png", cells(4), cells(5) + ",,")
    with watched(home):
        draft = brought(home, table("data.csv", csv(*lines).encode()))
        named(home, draft, "broken_row", ("data.csv", 3), ("data.csv", 4), ("data.csv", 5))
        assert "it has 2 cells, and there are 3 columns" in detail(draft, "broken_row")
        assert blocked(home, draft, "broken_row") == things(0, 4, 5)


def test_tables_08_quote_bomb(home: Path) -> None:
    never_closed = csv(cells(0), '1.png,What is it?,"thing 1', *(cells(number) for number in (2, 3, 4, 5)))
    with watched(home):
        draft = brought(home, table("data.csv", never_closed.encode()))
        named(home, draft, "broken_row", ("data.csv", 3))
        assert "never closed" in detail(draft, "broken_row")
        assert blocked(home, draft, "broken_row") == things(0, 2, 3, 4, 5)
    bomb = csv(cells(0), '1.png,What is it?,"', "x" * 30_000_000, cells(2), '3.png,,"""""' + '"' * 1_000_000, cells(4))
    with watched(home):
        draft = brought(home, table("data.csv", bomb.encode()))
        assert {place.row for place in found(draft, "broken_row").places} >= {3, 4, 6}
        assert blocked(home, draft, "broken_row") == things(0, 2, 4)


@pytest.mark.parametrize("name", ["data.csv", "data.jsonl", "data.json"])
def test_tables_09_a_50_mb_line(home: Path, name: str) -> None:
    long = "x" * 50_000_000
    rows = [json.dumps(row(number, **({"answer": long} if number == 2 else {}))) for number in range(6)]
    text = {
        "data.csv": csv(*(cells(n) if n != 2 else f"2.png,What is it?,{long}" for n in range(6))),
        "data.jsonl": "\n".join(rows),
        "data.json": f"[{', '.join(rows)}]",
    }[name]
    data = table(name, text.encode())
    del text, rows, long
    with watched(home):
        draft = brought(home, data)
        line = {"data.csv": 4, "data.jsonl": 3, "data.json": 3}[name]
        named(home, draft, "broken_row", (name, line))
        assert "more than 8 MB" in detail(draft, "broken_row")
        assert blocked(home, draft, "broken_row") == things(0, 1, 3, 4, 5)


def test_tables_09_lines_that_grow_in_memory(home: Path) -> None:
    many = b'{"image": "0.png", "more": [' + b"[]," * 1_300_000 + b"[]]}"
    some = b'{"image": "0.png", "more": [' + b"[]," * 90_000 + b"[]]}"
    lines = [*(row(number) for number in range(6)), many, many, *[some] * 150]
    with watched(home):
        draft = brought(home, table("data.jsonl", jsonl(*lines)))
    places = [(place.file, place.row) for place in found(draft, "broken_row").places]
    assert places[:2] == [("data.jsonl", 7), ("data.jsonl", 8)]
    assert "more than 100,000 lists and objects" in detail(draft, "broken_row")


def test_tables_09_parquet_that_grows_in_memory(home: Path) -> None:
    column = pa.array([bytes(20 * 2**20)] * 4, pa.binary())
    pq.write_table(pa.table({"image": column}), home / "made", compression="zstd", use_dictionary=False)
    data = (home / "made").read_bytes()
    assert len(data) < 100_000
    refused(home, table("rows.parquet", data))
    with pytest.raises(DataError, match="would unpack from"):
        next(read_table(BytesEntry("rows.parquet", len(data), data)))


def test_tables_10_missing_columns(home: Path) -> None:
    lines = [row(number) for number in range(6)]
    del lines[2]["answer"], lines[4]["image"]
    with watched(home):
        draft = brought(home, table("data.jsonl", jsonl(*lines)))
        named(home, draft, "bad_value", ("data.jsonl", 3))
        assert detail(draft, "bad_value") == "there is no “answer”"
        assert named(home, draft, "text_only", ("data.jsonl", 5)).severity == "warning"
        assert blocked(home, draft, "bad_value") == things(0, 1, 3, 4, 5)
    refused(home, {"data.csv": b"length,width\n1,2\n3,4\n"}, "no picture was seen", "“data.csv”", "“length”, “width”")


def test_tables_11_empty_file(home: Path) -> None:
    refused(home, {"data.csv": b""}, "no picture was seen", "Bring rows that name pictures")
    with watched(home):
        draft = brought(home, {**good(), "more.jsonl": b""})
        assert taken(home, draft) == ALL


def test_tables_12_header_only(home: Path) -> None:
    refused(home, {"data.csv": b"image,question,answer\n"}, "no picture was seen", "Bring rows that name pictures")


def test_tables_13_duplicate_keys(home: Path) -> None:
    twice = b'{"image": "2.png", "question": "What is it?", "answer": "thing 2", "answer": "another"}'
    with watched(home):
        draft = brought(home, table("data.jsonl", jsonl(row(0), row(1), twice, row(3), row(4), row(5))))
        named(home, draft, "broken_row", ("data.jsonl", 3))
        assert "“answer” stands in it more than once" in detail(draft, "broken_row")
        assert blocked(home, draft, "broken_row") == things(0, 1, 3, 4, 5)
    text = csv(*(cells(number) + ",other" for number in range(6)), header="image,question,answer,answer")
    with watched(home):
        draft = brought(home, table("data.csv", text.encode()))
        assert "“answer” stands in it more than once" in detail(draft, "table_form")
        assert draft.reading.columns["answer"] == "answer"


def test_tables_14_numbers_as_text(home: Path) -> None:
    answers = [7, "8", 9.0, 1.5, "0010", 10**30]
    lines = [row(number, answer=answer) for number, answer in enumerate(answers)]
    with watched(home):
        assert taken(home, brought(home, table("data.jsonl", jsonl(*lines)))) == tuple(
            sorted(["7", "8", "9", "1.5", "0010", "1" + "0" * 30])
        )
    endless = b'{"image": "3.png", "question": "What is it?", "answer": ' + b"9" * 10_000 + b"}"
    nothing = b'{"image": "4.png", "question": "What is it?", "answer": NaN}'
    with watched(home):
        draft = brought(home, table("data.jsonl", jsonl(row(0), row(1), row(2), endless, nothing, row(5))))
        named(home, draft, "broken_row", ("data.jsonl", 4))
        named(home, draft, "empty_answer", ("data.jsonl", 5))
