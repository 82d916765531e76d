"""What the model will read of rows: the tokens of the batches that train, for demo sets, stored ones and drafts."""

from __future__ import annotations

import json
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from starlette.testclient import TestClient

from core.data.files.tree import tree_of_folder
from core.data.formats.recognition import recognise
from core.models.loading import load_processor
from core.models.source import DEMO_MODEL
from tests.ui.bringing import asked_in_json, bring, client_of, noise, said, stored, vqa, waited, zip_of
from tests.ui.parts import BEN, assert_nothing_private, assert_plain
from ui.data.desk import bytes_held, preview_of
from ui.data.previews import MOST_ROWS
from ui.studio import Studio, key_of

UNKNOWN = "f" * 64


@pytest.fixture
def model(shared: Studio) -> str:
    return key_of(shared.open(DEMO_MODEL))


def ask(client: TestClient, path: str, model: str, data: str, code: int = 200, **more: Any) -> dict[str, Any]:
    found = said(client.post(f"/studio/{path}", json={"model_key": model, "data": data, **more}), code)
    assert_nothing_private(json.dumps(found))
    return found


def look(client: TestClient, model: str, data: str, rows: list[int], **more: Any) -> list[dict[str, Any]]:
    return list(ask(client, "preview", model, data, rows=rows, **more)["rows"])


def test_a_row_is_shown_as_its_tokens_and_the_answer_alone_carries_loss(anna: TestClient, model: str):
    (row,) = look(anna, model, "digits", [0])
    learned = "".join(text for text, _, is_learned, _ in row["tokens"] if is_learned)
    card = said(anna.get("/studio/home"))["datasets"][0]
    assert learned.replace("<end_of_utterance>", "").strip() in {str(digit) for digit in range(10)}
    assert card["question"] in row["text"]
    counts = row["counts"]
    shown = {kind: sum(n for _, k, _, n in row["tokens"] if k == kind) for kind in ("image", "text")}
    assert shown == {"image": counts["image"], "text": counts["text"]}
    assert counts["learned"] == sum(n for _, _, is_learned, n in row["tokens"] if is_learned)
    written = load_processor(DEMO_MODEL).tokenizer(row["text"], add_special_tokens=False)["input_ids"]
    assert counts["text"] == len(written) - 1, "one sign stands for the picture"


def test_pictures_are_those_that_the_model_gets(anna: TestClient, model: str):
    (row,) = look(anna, model, "digits", [0])
    (address,) = row["pictures"]
    kind, _, content = address.partition(",")
    assert kind == "data:image/webp;base64"
    assert Image.open(BytesIO(b64decode(content))).size == (48, 48)
    (changed,) = look(anna, model, "digits", [0], augment=["crop", "colour"])
    assert changed["pictures"] != row["pictures"], "changes are shown"
    assert changed["tokens"] == row["tokens"]


def test_rows_of_drafts_and_of_stored_sets_are_shown_as_well(anna: TestClient, model: str):
    draft = bring(anna, vqa(30))["id"]
    rows = look(anna, model, f"draft:{draft}", [0, 2])
    assert "an <b>ox</b>" in rows[1]["text"]
    assert look(anna, model, f"draft:{draft}", [2]) == rows[1:]
    name = stored(anna, vqa(30))
    assert look(anna, model, f"stored:{name}", [0])[0]["counts"]["image"] > 0


def test_a_row_that_cannot_be_used_says_so_beside_those_that_can(anna: TestClient, model: str):
    table = "file_name,question,answer\nimages/0.png,What?,a cat\ngone.png,What?,a dog\nimages/1.png,What?,an ox"
    draft = bring(anna, vqa(3, **{"vqa.csv": table, "images/1.png": b"no picture"}))["id"]
    good, gone, damaged = look(anna, model, f"draft:{draft}", [0, 1, 2])
    assert good["tokens"]
    for row in (gone, damaged):
        assert_plain(row["error"])


def test_the_limit_is_the_model_s_own_or_the_person_s(anna: TestClient, model: str):
    own = ask(anna, "preview", model, "digits", rows=[0])
    assert own["limit"] == 512
    assert "512" in own["limit_reason"]
    assert not own["rows"][0]["too_long"]
    less = ask(anna, "preview", model, "digits", rows=[0], max_tokens=20)
    assert less["limit"] == 20
    assert less["rows"][0]["too_long"]


def test_lengths_are_counted_and_rows_that_are_too_long_are_named(anna: TestClient, model: str):
    table = [
        "file_name,question,answer",
        *(f"images/{n}.png,What is it?,{'long ' * (40 * (n == 2))}cat" for n in range(6)),
    ]
    table.insert(2, "gone.png,What is it?,a dog")
    draft = waited(anna, bring(anna, vqa(6, **{"vqa.csv": "\n".join(table)}))["id"])["id"]
    found = ask(anna, "lengths", model, f"draft:{draft}", max_tokens=64)
    assert (found["measured"], found["over"]) == (6, 1)
    (long,) = found["too_long"]
    assert long["row"] == 3, "counted as they were found, the row that cannot be used included"
    assert "vqa.csv" in long["called"]
    assert long["tokens"] == found["longest"] > found["limit"] == 64
    for histogram in found["histograms"].values():
        assert sum(histogram["counts"]) == 6
        assert len(histogram["edges"]) == len(histogram["counts"]) + 1
    reading = {**said(anna.get(f"/studio/drafts/{draft}"))["reading"], "drop_rows": [long["row"]]}
    said(anna.post(f"/studio/drafts/{draft}/reading", json={"reading": reading}))
    less = ask(anna, "lengths", model, f"draft:{draft}", max_tokens=64)
    assert (less["measured"], less["over"]) == (5, 0), "what is left out is not measured"
    all_fit = ask(anna, "lengths", model, "digits")
    assert (all_fit["over"], all_fit["measured"]) == (0, all_fit["of"])


def test_nobody_looks_into_another_s_rows(shared: Studio, anna: TestClient, model: str):
    name, draft = stored(anna, vqa(30)), bring(anna, vqa(30))["id"]
    for path, more in (("preview", {"rows": [0]}), ("lengths", {})):
        for key, unknown in ((f"stored:{name}", f"stored:{UNKNOWN}"), (f"draft:{draft}", "draft:" + "0" * 32)):
            expected = ask(anna, path, model, unknown, 404, **more)
            assert_plain(expected["error"])
            for who in (None, BEN):
                assert ask(client_of(shared, who), path, model, key, 404, **more) == expected


WRONG: tuple[dict[str, Any], ...] = (
    {"rows": None},
    {"rows": []},
    {"rows": "0"},
    {"rows": [-1]},
    {"rows": [10**9]},
    {"rows": [0.5]},
    {"rows": [True]},
    {"rows": [None]},
    {"rows": [0] * (MOST_ROWS + 1)},
    {"augment": ["mirror"]},
    {"augment": "crop"},
    {"max_tokens": 0},
    {"max_tokens": "many"},
    {"data": None},
    {"data": 3},
    {"data": "x" * 500},
    {"model_key": None},
    {"model_key": []},
)


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_look_that_makes_no_sense_gets_a_sentence(anna: TestClient, model: str, wrong):
    body = {"model_key": model, "data": "digits", "rows": [0], **wrong}
    assert_plain(said(anna.post("/studio/preview", json=body), 422)["error"])


@pytest.mark.parametrize("key", ["no-such", "stored:..", "draft:..", "draft:", "../digits", ""])
def test_a_key_of_nothing_is_unknown(anna: TestClient, model: str, key: str):
    for path in ("preview", "lengths"):
        assert_plain(ask(anna, path, model, key, 404, rows=[0])["error"])


@pytest.mark.parametrize("path", ["preview", "lengths"])
def test_another_site_s_page_can_ask_nothing(shared: Studio, anna: TestClient, model: str, path: str):
    body = {"model_key": model, "data": "digits", "rows": [0]}
    for origin in ("https://evil.example", "null"):
        assert asked_in_json(anna, f"/studio/{path}", body, Origin=origin).status_code == 403
    plain = anna.post(f"/studio/{path}", content=json.dumps(body), headers={"Content-Type": "text/plain"})
    assert plain.status_code == 422
    assert anna.get(f"/studio/{path}").status_code == 405


def test_what_has_no_processor_says_so(studio: Studio, tmp_path: Path):
    from core.models.source import ASSETS
    from core.spec import Source

    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_bytes((ASSETS / "model" / "config.json").read_bytes())
    key = key_of(studio.open(Source("folder", str(bare))))
    answer = client_of(studio).post("/studio/preview", json={"model_key": key, "data": "digits", "rows": [0]})
    assert answer.status_code == 404
    assert "processor" in answer.json()["error"]


def test_pictures_of_a_draft_are_shown_as_small_as_they_will_be_stored(anna: TestClient, model: str):
    draft = bring(anna, vqa(6))
    (before,) = look(anna, model, f"draft:{draft['id']}", [0])
    reading = {**draft["reading"], "max_side": 16}
    said(anna.post(f"/studio/drafts/{draft['id']}/reading", json={"reading": reading}))
    (after,) = look(anna, model, f"draft:{draft['id']}", [0])
    assert after["pictures"] != before["pictures"]
    assert after["text"] == before["text"]
    assert waited(anna, draft["id"])["reading"]["max_side"] == 16
    assert ask(anna, "lengths", model, f"draft:{draft['id']}")["measured"] == 6


def test_classes_in_folders_are_shown_each(anna: TestClient, model: str):
    """The first folder alone would fill the table; the rows keep the numbers that they have among all."""
    files = {f"{name}/{n}.png": noise(40 * at + n) for at, name in enumerate(("cat", "dog", "ox")) for n in range(40)}
    draft = bring(anna, zip_of(files))
    assert waited(anna, draft["id"])["state"] == "ready"
    shown = [(row["number"], row["place"]["file"]) for row in draft["rows"]]
    assert [name for _, name in shown] == [sorted(files)[number] for number, _ in shown]
    assert {name.partition("/")[0] for _, name in shown} == {"cat", "dog", "ox"}
    assert len(shown) == 24
    ox = next(row for row in draft["rows"] if row["place"]["file"].startswith("ox/"))
    (seen,) = look(anna, model, f"draft:{draft['id']}", [ox["number"]])
    assert seen["text"].replace("<end_of_utterance>", "").rstrip().endswith("ox")
    out = next(number for number in range(120) if number not in dict(shown))
    assert_plain(ask(anna, "preview", model, f"draft:{draft['id']}", 422, rows=[out])["error"])


def test_rows_that_hold_large_pictures_are_shown_and_measured_in_part(monkeypatch, tmp_path: Path):
    rows = [{"image": noise(n, (200, 200)), "question": "What?", "answer": "a cat"} for n in range(30)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    tree = tree_of_folder(tmp_path)
    reading = recognise(tree).reading
    assert len(preview_of(tree, reading).items) == 24
    monkeypatch.setattr("ui.data.desk.MOST_HELD", 3 * len(rows[0]["image"]) // 2)
    few = preview_of(tree, reading)
    assert len(few.items) == 2
    assert bytes_held(few.items[0].row) >= len(rows[0]["image"])
