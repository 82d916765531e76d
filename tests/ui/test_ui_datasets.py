"""Stored data sets on the page: cards, pictures, every question about a choice, a job of their own, and their end."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from core.data.rows import Dataset
from core.data.storing.stored import link_set
from core.data.storing.stored import stored as stored_set
from core.errors import SourceNotFound
from core.jobs.home import LOCAL_OWNER
from core.spec import Source
from tests.ui.bringing import MARK, client_of, noise, said, stored, vqa, zip_of
from tests.ui.parts import (
    ANNA,
    BEN,
    JOB,
    assert_nothing_private,
    assert_plain,
    good_choice,
    good_form,
    make_job,
    make_studio,
    request_of,
    wait_for,
)
from ui.datasets import dataset_of, source_of
from ui.panels import result
from ui.panels.result import compare_sample
from ui.panels.train import make_spec, start
from ui.studio import Studio

UNKNOWN = "f" * 64


def card_of(client: TestClient) -> dict[str, Any]:
    (card,) = said(client.get("/studio/sets"))["sets"]
    return dict(card)


def test_a_card_says_what_a_demo_set_s_card_says(anna: TestClient):
    stored(anna, vqa(30))
    card, demo = card_of(anna), said(anna.get("/studio/home"))["datasets"][0]
    assert set(demo) <= set(card)
    assert demo["key"] == demo["name"]
    assert card["question"] == "What is it?"
    assert card["train"] + card["heldout"] == 30
    assert 0 < card["majority"] <= 1
    assert len({sample["answer"] for sample in card["samples"]}) == len(card["samples"]) == 3
    assert_nothing_private(json.dumps(card))


def test_the_pictures_of_every_card_can_be_fetched_where_it_says(anna: TestClient):
    stored(anna, vqa(30))
    for card in said(anna.get("/studio/home"))["datasets"]:
        for sample in card["samples"]:
            answer = anna.get(f"/studio/{card['pictures']}/{sample['picture']}")
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-type"] in ("image/png", "image/jpeg", "image/webp")
            assert "private" in answer.headers["cache-control"]


def test_the_newest_set_is_the_first_card(anna: TestClient):
    stored(anna, vqa(30), "Old")
    stored(anna, vqa(31), "New")
    assert [card["title"] for card in said(anna.get("/studio/sets"))["sets"]] == ["New", "Old"]


def test_a_set_is_unknown_to_everybody_but_its_owner(shared: Studio, anna: TestClient):
    name = stored(anna)
    picture = card_of(anna)["samples"][0]["picture"]
    ways = (("GET", "/studio/sets/{}/pictures/" + picture), ("DELETE", "/studio/sets/{}"))
    for method, way in ways:
        unknown = said(anna.request(method, way.format(UNKNOWN), headers=MARK), 404)
        assert_plain(unknown["error"])
        for who in (None, BEN, "local", ANNA[:-1]):
            client = client_of(shared, who)
            assert said(client.request(method, way.format(name), headers=MARK), 404) == unknown
            assert said(client.get("/studio/sets")) == {"sets": []}
            assert len(said(client.get("/studio/home"))["datasets"]) == 4
    assert card_of(anna)["key"] == f"stored:{name}"


CLIMBING = ("../dataset.json", "%2e%2e/dataset.json", "..%2fdataset.json", "/etc/passwd", "%2fetc%2fpasswd", "", "%00")


def test_a_picture_is_found_by_its_name_and_never_by_a_path(anna: TestClient):
    name = stored(anna)
    picture = card_of(anna)["samples"][0]["picture"]
    for other in (*CLIMBING, "dataset.json", "pictures.bin", f"{picture}/", f"{picture}%00", "x" * 3000, "9999999.png"):
        assert anna.get(f"/studio/sets/{name}/pictures/{other}").status_code == 404, other
    for other in ("..", "%2e%2e", "%00", "x" * 3000, name[:-1], name.upper()):
        assert anna.get(f"/studio/sets/{other}/pictures/{picture}").status_code == 404, other


def test_another_site_s_page_takes_no_set_away(anna: TestClient):
    name = stored(anna)
    assert anna.delete(f"/studio/sets/{name}").status_code == 403
    for origin in ("https://evil.example", "null"):
        assert anna.delete(f"/studio/sets/{name}", headers={**MARK, "Origin": origin}).status_code == 403
    assert card_of(anna)
    said(anna.delete(f"/studio/sets/{name}", headers=MARK))
    assert said(anna.get("/studio/sets")) == {"sets": []}


def test_a_large_picture_is_drawn_small(anna: TestClient):
    large = BytesIO()
    Image.effect_noise((900, 300), 50).convert("RGB").save(large, "PNG")
    lines = ["file_name,question,answer", *(f"{n}.png,What is it?,{n}" for n in range(6))]
    files: dict[str, bytes | str] = {f"{n}.png": noise(n) for n in range(5)}
    name = stored(anna, zip_of({**files, "5.png": large.getvalue(), "vqa.csv": "\n".join(lines)}))
    data = stored_set(anna_sets(anna), name)
    (picture,) = [picture for picture in data.pictures.values() if picture.size == (900, 300)]
    shown = anna.get(f"/studio/sets/{name}/pictures/{picture.name}")
    assert Image.open(BytesIO(shown.content)).width == 320


def anna_sets(client: TestClient) -> Path:
    studio: Studio = client.app.state.studio  # type: ignore[attr-defined]
    return studio.data(ANNA) / "sets"


@pytest.fixture(autouse=True)
def _the_studio(anna: TestClient, shared: Studio) -> None:
    anna.app.state.studio = shared  # type: ignore[attr-defined]


def test_a_key_names_a_demo_set_or_a_stored_one():
    assert source_of("digits") == Source("demo", "digits")
    assert source_of(f"stored:{UNKNOWN}") == Source("stored", UNKNOWN)


@pytest.mark.parametrize("key", ["no-such", "../digits", "", "stored:", "stored:..", f"stored:{UNKNOWN}", 3, None, []])
def test_a_key_of_nothing_is_said_in_a_sentence(shared: Studio, key):
    with pytest.raises(SourceNotFound) as refused:
        dataset_of(shared, key, ANNA)
    assert_plain(str(refused.value))


def test_every_question_about_a_choice_knows_a_stored_set(studio: Studio):
    client = client_of(studio)
    name = stored(client, vqa(40))
    choice = {
        **good_choice(studio),
        "dataset": f"stored:{name}",
        "form": {**good_form(), "unit": "epochs", "length": 3},
    }
    assert "advice" in said(client.post("/studio/advice", json=choice))
    assert said(client.post("/studio/pace", json={**choice, "row_tokens": 64})) == {"pace": None}
    yaml = said(client.post("/studio/export", json={**choice, "format": "yaml"}))["text"]
    assert name in yaml
    for path, code in (("advice", 200), ("pace", 422)):
        gone = client.post(f"/studio/{path}", json={**choice, "dataset": f"stored:{UNKNOWN}"})
        assert gone.status_code == code, gone.text


@pytest.mark.slow
def test_the_memory_is_that_of_the_set_s_own_pictures(studio: Studio):
    client = client_of(studio)
    name = stored(client, vqa(30))
    choice = {**good_choice(studio), "dataset": f"stored:{name}", "form": good_form()}
    assert said(client.post("/studio/memory", json=choice))["side"] == 48


def press_start(studio: Studio, key: str, owner: str | None = None) -> dict[str, Any]:
    text = json.dumps({**good_choice(studio), "dataset": key})
    found: dict[str, Any] = json.loads(start(studio, request_of(owner), text, *good_form().values()))
    return found


def test_a_job_keeps_its_data_when_the_set_is_taken_away(studio: Studio):
    client = client_of(studio)
    name = stored(client, vqa(30), "Pets")
    job = press_start(studio, f"stored:{name}")["job"]
    spec = studio.backend.spec(job, LOCAL_OWNER)
    assert spec.data == Source("stored", name)
    assert spec.name == "Pets"
    picture = card_of(client)["samples"][0]["picture"]
    said(client.delete(f"/studio/sets/{name}", headers=MARK))
    shown = said(client.get(f"/studio/jobs/{job}"))
    assert shown["data"] == "Pets"
    assert said(client.get("/studio/jobs"))["jobs"][0]["data"] == "Pets"
    assert client.get(f"/studio/jobs/{job}/pictures/{picture}").headers["content-type"] == "image/webp"
    for other in (*CLIMBING, "dataset.json", "9999999.png"):
        assert client.get(f"/studio/jobs/{job}/pictures/{other}").status_code == 404
    wait_for(lambda: said(client.get(f"/studio/jobs/{job}"))["status"]["state"] in ("finished", "failed", "lost"))


def test_nobody_trains_on_another_s_set(shared: Studio, anna: TestClient):
    name = stored(anna)
    refused = press_start(shared, f"stored:{name}", BEN)
    assert "job" not in refused
    unknown = press_start(shared, f"stored:{UNKNOWN}", BEN)
    assert refused["error"] == unknown["error"]
    assert_plain(refused["error"])
    assert said(client_of(shared, BEN).get("/studio/jobs")) == {"jobs": []}
    with pytest.raises(SourceNotFound):
        make_spec(shared, {**good_choice(shared), "dataset": f"stored:{name}"}, good_form(), "")


def test_a_job_whose_data_are_gone_is_still_listed(tmp_path: Path):
    make_job(tmp_path / "home", ANNA, data=Source("stored", UNKNOWN))
    client = client_of(make_studio(tmp_path, shared=True), ANNA)
    assert said(client.get("/studio/jobs"))["jobs"][0]["data"] == "data ffffffff"
    assert_plain(said(client.get(f"/studio/jobs/{JOB}/pictures/0000000.png"), 404)["error"])


def conversations() -> bytes:
    """Rows of two pictures and two questions each."""
    lines = []
    for n in range(12):
        said_there = [
            {"from": "human", "value": "<image>\n<image>\nAre they alike?"},
            {"from": "gpt", "value": f"no {n}"},
            {"from": "human", "value": "Which is darker?"},
            {"from": "gpt", "value": f"the first {n}"},
        ]
        lines.append({"image": [f"{n}.png", f"{n + 12}.png"], "conversations": said_there})
    return zip_of({**{f"{n}.png": noise(n) for n in range(24)}, "rows.json": json.dumps(lines)})


def test_a_held_out_row_of_several_pictures_and_turns_is_asked_whole(shared: Studio, anna: TestClient, monkeypatch):
    name = stored(anna, conversations())
    folder = make_job(shared.cache.parent, ANNA, data=Source("stored", name))
    link_set(anna_sets(anna), name, folder / "data")
    data: Dataset = stored_set(anna_sets(anna), name)
    row = data.heldout[0]
    asked = []

    class Both:
        def answer_row(self, row: Any) -> Any:
            asked.append(row)
            return result.Answers(base="yes", tuned="no")

    monkeypatch.setattr(result, "open_comparison", lambda folder, token: Both())
    trying = {"job": JOB, "picture": row.picture_name, "question": row.question}
    again = make_studio(shared.cache.parents[1], shared=True)  # the list of jobs is made at the start
    picture, question, html = compare_sample(again, request_of(ANNA), json.dumps(trying))
    assert picture is not None
    assert question == "Which is darker?"
    assert row.answer in html
    assert len(asked[0].pictures) == 2
    assert len(asked[0].turns) == 4
    refused = compare_sample(again, request_of(BEN), json.dumps(trying))
    assert refused[:2] == (None, "")
    assert len(asked) == 1


def test_home_of_a_new_browser_has_the_demo_sets_alone(shared: Studio):
    cards = said(client_of(shared).get("/studio/home"))["datasets"]
    assert [card["key"] for card in cards] == ["digits", "outline", "house-format", "emoji"]


def test_a_damaged_set_hides_no_other_and_can_be_taken_away(shared: Studio, anna: TestClient):
    damaged, whole = stored(anna, vqa(6)), stored(anna, vqa(7))
    (shared.data(ANNA) / "sets" / damaged / "train.arrow").write_bytes(b"ARROW1")
    cards = {card["key"]: card for card in said(anna.get("/studio/home"))["datasets"]}
    assert cards[f"stored:{damaged}"]["samples"] == []
    assert cards[f"stored:{whole}"]["samples"]
    said(anna.delete(f"/studio/sets/{damaged}", headers=MARK))
    assert [card["key"] for card in said(anna.get("/studio/sets"))["sets"]] == [f"stored:{whole}"]
