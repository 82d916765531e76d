"""Drafts: shown as they are understood, put right, checked and stored in the background, and nobody else's business."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

import core.data.checking.checks
import core.data.storing.drafts
from core.errors import DataError
from core.spec import Reading, from_dict
from tests.ui.bringing import (
    MARK,
    SCRIPT,
    asked_in_json,
    bring,
    client_of,
    noise,
    said,
    stored,
    vqa,
    waited,
    zip_of,
)
from tests.ui.parts import ANNA, BEN, assert_nothing_private, assert_plain, files_under, make_studio, wait_for
from ui.data.drafts import MAX_DRAFTS, MAX_TEXT, MAX_TITLE, draft_routes
from ui.data.thumbnails import SIDE
from ui.studio import Studio


@pytest.fixture
def alone(studio: Studio) -> TestClient:
    """The page on one's own machine."""
    return client_of(studio)


def post(client: TestClient, draft: str, what: str, body: dict[str, Any], code: int = 200) -> dict[str, Any]:
    return said(client.post(f"/studio/drafts/{draft}/{what}", json=body), code)


def test_an_upload_is_shown_as_it_was_understood(anna: TestClient):
    draft = bring(anna, vqa(30))
    assert draft["title"] == "my pets"
    assert draft["state"] in ("checking", "ready")
    assert draft["guess"]["reason"]
    assert from_dict(Reading, draft["reading"]).columns == {
        "image": "file_name",
        "question": "question",
        "answer": "answer",
    }
    assert draft["columns"] == ["file_name", "question", "answer"]
    assert len(draft["rows"]) == 24
    third = draft["rows"][2]
    assert third["place"]["file"] == "vqa.csv"
    assert third["place"]["row"] == 4
    assert [turn["speaker"] for turn in third["turns"]] == ["user", "assistant"]
    assert third["pictures"] == [2]
    assert {"picture": 2} in third["turns"][0]["parts"]
    assert third["turns"][1]["parts"] == [{"text": "an <b>ox</b>"}], "plain text: who draws it makes it harmless"
    assert third["trouble"] == []
    assert_nothing_private(str(draft))


def test_a_draft_is_checked_by_itself(anna: TestClient):
    done = waited(anna, bring(anna, vqa(30))["id"])
    assert done["state"] == "ready"
    assert done["report"]["rows"] == done["report"]["usable"] == 30
    assert done["progress"]["done"] == 30
    assert done["error"] is None
    assert_nothing_private(str(done))


def test_a_row_says_what_is_wrong_with_it_and_the_report_has_a_way_out(anna: TestClient):
    data = vqa(30, **{"vqa.csv": "file_name,question,answer\nimages/0.png,What is it?,a cat\ngone.png,What?,a dog\n"})
    draft = bring(anna, data)
    (trouble,) = draft["rows"][1]["trouble"]
    assert trouble["kind"] == "missing_image"
    assert trouble["title"]
    assert "gone.png" in trouble["detail"]
    done = waited(anna, draft["id"])
    finding = next(each for each in done["report"]["findings"] if each["kind"] == "missing_image")
    assert finding["severity"] == "error"
    assert finding["change"] == {"drop": ["missing_image"]}
    assert "errors" in post(anna, draft["id"], "store", {"title": "x"}, 422)["error"]
    better = post(anna, draft["id"], "reading", {"reading": {**draft["reading"], **finding["change"]}})
    assert better["reading"]["drop"] == ["missing_image"]
    assert all(
        each["severity"] == "warning"
        for each in waited(anna, draft["id"])["report"]["findings"]
        if "missing" in each["kind"]
    )


def test_pictures_are_drawn_anew_small_and_private(anna: TestClient):
    large = BytesIO()
    Image.effect_noise((1200, 600), 50).convert("RGB").save(large, "JPEG", exif=b"Exif\0\0" + b"secret place" * 3)
    draft = bring(anna, vqa(3, **{"images/1.png": large.getvalue()}))
    for number, size in ((0, (48, 40)), (1, (SIDE, SIDE // 2))):
        answer = anna.get(f"/studio/drafts/{draft['id']}/pictures/{number}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "private" in answer.headers["cache-control"]
        assert b"secret place" not in answer.content
        assert Image.open(BytesIO(answer.content)).size == size


@pytest.mark.parametrize("content", [f"<svg xmlns='http://www.w3.org/2000/svg'>{SCRIPT}</svg>", SCRIPT, "", "GIF89a"])
def test_what_is_no_picture_is_never_passed_on(anna: TestClient, content: str):
    draft = bring(anna, vqa(3, **{"images/1.png": content}))
    answer = anna.get(f"/studio/drafts/{draft['id']}/pictures/1")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert_plain(answer.json()["error"])


def test_there_are_only_the_pictures_of_the_first_rows(anna: TestClient):
    draft = bring(anna, vqa(30))["id"]
    assert anna.get(f"/studio/drafts/{draft}/pictures/23").status_code == 200
    for number in ("24", "999999", "-1", "x", "1.5", "9" * 400):
        assert anna.get(f"/studio/drafts/{draft}/pictures/{number}").status_code == 404


def test_texts_without_an_end_are_cut_for_the_page_only(anna: TestClient):
    table = f"file_name,question,answer\nimages/0.png,{'what ' * 9000},a cat\nimages/1.png,What?,a dog"
    draft = bring(anna, vqa(3, **{"vqa.csv": table}))
    text = next(part["text"] for part in draft["rows"][0]["turns"][0]["parts"] if "text" in part)
    assert MAX_TEXT <= len(text) <= MAX_TEXT + 10


def test_the_person_puts_the_form_and_the_reading_right(anna: TestClient):
    draft = bring(anna, vqa(30))
    captions = post(anna, draft["id"], "format", {"format": "captions"})
    assert captions["reading"]["format"] == "captions"
    assert captions["report"] is None
    reading = {**captions["reading"], "template": "What do you see?", "system": "Be brief."}
    changed = post(anna, draft["id"], "reading", {"reading": reading})
    turns = changed["rows"][0]["turns"]
    assert turns[0] == {"speaker": "system", "parts": [{"text": "Be brief."}]}
    assert {"text": "What do you see?"} in turns[1]["parts"]
    again = said(client_after_restart(anna).get(f"/studio/drafts/{draft['id']}"))
    assert again["reading"] == changed["reading"], "it is written down"
    assert waited(anna, draft["id"])["report"]["rows"] == 30


def at_once(self: Any, _owner: str, work: Callable[[], Any]) -> None:
    """Stands in for a lane that is done before its caller goes on."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.3)


def test_a_check_faster_than_the_answer_is_not_in_it(anna: TestClient, monkeypatch):
    draft = waited(anna, bring(anna, vqa(6))["id"])
    monkeypatch.setattr("ui.lanes.Lanes.submit", at_once)
    captions = post(anna, draft["id"], "format", {"format": "captions"})
    assert (captions["state"], captions["report"]) == ("checking", None)
    assert waited(anna, draft["id"])["report"]["rows"] == 6


def test_a_draft_that_was_stored_and_is_read_anew_is_not_called_stored(anna: TestClient):
    stored(anna, vqa(6))
    (line,) = said(anna.get("/studio/drafts"))["drafts"]
    reading = said(anna.get(f"/studio/drafts/{line['id']}"))["reading"]
    assert post(anna, line["id"], "reading", {"reading": reading})["stored"] == line["stored"]
    assert post(anna, line["id"], "reading", {"reading": {**reading, "system": "Be brief."}})["stored"] is None
    done = waited(anna, line["id"])
    assert (done["state"], done["stored"]) == ("ready", None)


def client_after_restart(client: TestClient) -> TestClient:
    """The same browser on a server that was started anew over the same data folder."""
    studio = make_studio(Path(client.app.state.root), shared=True)  # type: ignore[attr-defined]
    return client_of(studio, ANNA)


@pytest.fixture(autouse=True)
def _remember_the_folder(anna: TestClient, tmp_path: Path) -> None:
    anna.app.state.root = tmp_path  # type: ignore[attr-defined]


NO_READINGS: tuple[Any, ...] = (
    None,
    3,
    [],
    {},
    {"format": "no such"},
    {"format": "vqa", "extra": 1},
    {"format": "vqa", "tables": ["../../etc/passwd"]},
    {"format": "vqa", "tables": ["/etc/passwd"]},
    {"format": "vqa", "tables": ["gone.csv"]},
    {"format": "vqa", "tables": ["vqa.csv"], "columns": {"image": 3}},
    {"format": "vqa", "template": "x" * 5000},
    {"format": "vqa", "split": {"share": 7}},
    {"format": "vqa", "max_side": 0},
    {"format": "vqa", "limit": -1},
)


@pytest.mark.parametrize("reading", NO_READINGS, ids=range(len(NO_READINGS)))
def test_a_reading_that_is_none_gets_a_sentence_and_changes_nothing(anna: TestClient, reading):
    before = waited(anna, bring(anna, vqa(3))["id"])
    answer = post(anna, before["id"], "reading", {"reading": reading}, 422)
    assert_plain(answer["error"])
    after = said(anna.get(f"/studio/drafts/{before['id']}"))
    assert (after["reading"], after["report"], after["rows"]) == (before["reading"], before["report"], before["rows"])


@pytest.mark.parametrize("form", [None, 3, "", "no such", "messages", SCRIPT])
def test_a_form_that_does_not_fit_gets_a_sentence(anna: TestClient, form):
    draft = bring(anna, vqa(3))
    assert_plain(post(anna, draft["id"], "format", {"format": form}, 422)["error"])
    assert said(anna.get(f"/studio/drafts/{draft['id']}"))["reading"] == draft["reading"]


def test_a_stored_draft_is_a_card_that_can_be_trained_on(shared: Studio, anna: TestClient):
    name = stored(anna, vqa(30), "Pets & more")
    (card,) = said(anna.get("/studio/sets"))["sets"]
    assert card["key"] == f"stored:{name}"
    assert card["title"] == "Pets & more"
    assert card["train"] + card["heldout"] == 30
    assert card in said(anna.get("/studio/home"))["datasets"]
    assert said(anna.get("/studio/drafts"))["drafts"][0]["stored"] == name


class Slow:
    """Stands in for work that takes its time: it goes on until it is let go or cancelled."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.real, self.started, self.go = real, threading.Event(), threading.Event()
        self.calls = 0

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.calls += 1
        progress, cancelled = next(
            (given[i], given[i + 1]) for i in range(len(given) - 1) if callable(given[i]) and callable(given[i + 1])
        )
        progress(7, 30)
        self.started.set()
        while not self.go.wait(0.01):
            if cancelled():
                raise DataError("A check was asked for", "it was cancelled", "Check again")
        return self.real(*given, **named)


@pytest.fixture
def slow_check(monkeypatch) -> Iterator[Slow]:
    slow = Slow(core.data.checking.checks.check)
    monkeypatch.setattr(core.data.checking.checks, "check", slow)
    yield slow
    slow.go.set()


@pytest.fixture
def slow_store(monkeypatch) -> Iterator[Slow]:
    slow = Slow(core.data.storing.drafts.store)
    monkeypatch.setattr(core.data.storing.drafts, "store", slow)
    yield slow
    slow.go.set()


def test_a_check_shows_how_far_it_is_and_ends_when_it_is_cancelled(anna: TestClient, slow_check: Slow):
    draft = bring(anna, vqa(3))["id"]
    assert slow_check.started.wait(120)
    shown = said(anna.get(f"/studio/drafts/{draft}"))
    assert (shown["state"], shown["progress"]) == ("checking", {"done": 7, "total": 30})
    assert len(shown["rows"]) == 3, "the rows are there meanwhile"
    cancelled = post(anna, draft, "cancel", {})
    assert (cancelled["state"], cancelled["report"], cancelled["error"]) == ("ready", None, None)
    assert_plain(post(anna, draft, "store", {"title": "x"}, 422)["error"])
    slow_check.go.set()
    post(anna, draft, "reading", {"reading": cancelled["reading"]})
    assert waited(anna, draft)["report"]["rows"] == 3, "and can be begun again"


def test_a_check_of_an_old_reading_is_not_taken_for_the_new_one_s(anna: TestClient, slow_check: Slow):
    draft = bring(anna, vqa(6))
    assert slow_check.started.wait(120)
    post(anna, draft["id"], "reading", {"reading": {**draft["reading"], "limit": 4}})
    slow_check.go.set()
    done = waited(anna, draft["id"])
    assert done["reading"]["limit"] == 4
    assert done["report"]["rows"] == 4


def test_an_owner_s_work_is_done_one_after_the_other_and_another_s_beside_it(shared: Studio, anna, slow_check: Slow):
    bring(anna, vqa(3))
    assert slow_check.started.wait(120)
    second = bring(anna, vqa(4))["id"]
    bring(client_of(shared, BEN), vqa(3))
    wait_for(lambda: slow_check.calls == 2)
    assert said(anna.get(f"/studio/drafts/{second}"))["progress"]["done"] == 0
    slow_check.go.set()
    assert waited(anna, second)["report"]["rows"] == 4


def test_storing_can_be_cancelled_and_leaves_no_set(shared: Studio, anna: TestClient, slow_store: Slow):
    draft = waited(anna, bring(anna, vqa(6))["id"])
    post(anna, draft["id"], "store", {"title": "Pets"})
    assert slow_store.started.wait(120)
    assert said(anna.get(f"/studio/drafts/{draft['id']}"))["state"] == "storing"
    assert_plain(post(anna, draft["id"], "reading", {"reading": draft["reading"]}, 422)["error"])
    assert_plain(post(anna, draft["id"], "store", {"title": "Twice"}, 422)["error"])
    assert post(anna, draft["id"], "cancel", {})["state"] == "ready"
    assert said(anna.get("/studio/sets")) == {"sets": []}
    slow_store.go.set()
    post(anna, draft["id"], "store", {"title": "Pets"})
    assert waited(anna, draft["id"])["state"] == "stored"


def test_work_that_fails_says_why_and_can_be_tried_again(anna: TestClient, monkeypatch):
    def broken(*_given: Any) -> None:
        raise RuntimeError("secret detail")

    real = core.data.checking.checks.check
    monkeypatch.setattr(core.data.checking.checks, "check", broken)
    failed = waited(anna, bring(anna, vqa(3))["id"])
    assert failed["state"] == "failed"
    assert "our mistake" in failed["error"]
    assert "secret" not in failed["error"]
    monkeypatch.setattr(core.data.checking.checks, "check", real)
    post(anna, failed["id"], "reading", {"reading": failed["reading"]})
    assert waited(anna, failed["id"])["state"] == "ready"


def test_a_removed_draft_leaves_nothing_even_while_it_is_checked(shared: Studio, anna: TestClient, slow_check: Slow):
    draft = bring(anna, vqa(3))["id"]
    assert slow_check.started.wait(120)
    said(anna.delete(f"/studio/drafts/{draft}", headers=MARK))
    assert_plain(said(anna.get(f"/studio/drafts/{draft}"), 404)["error"])
    assert files_under(shared.data(ANNA)) <= {"uploads", "drafts", "sets"}


def test_after_a_restart_the_draft_is_as_it_was(anna: TestClient):
    before = waited(anna, bring(anna, vqa(3))["id"])
    again = client_after_restart(anna)
    assert said(again.get(f"/studio/drafts/{before['id']}"))["report"] == before["report"]
    assert again.get(f"/studio/drafts/{before['id']}/pictures/0").status_code == 200


PATHS = [(method, route.path) for route in draft_routes(None) for method in sorted(route.methods - {"HEAD"})]  # type: ignore[arg-type]
OF_ONE = [(method, path) for method, path in PATHS if "{id}" in path]
BODIES = {"reading": {"reading": {"format": "vqa"}}, "format": {"format": "captions"}, "store": {"title": "x"}}


def reach(client: TestClient, method: str, path: str, draft: str) -> Any:
    address = path.replace("{id}", draft).replace("{number:int}", "0")
    if method == "POST":
        return client.post(address, json=BODIES.get(path.rpartition("/")[2], {}))
    return client.request(method, address, headers=MARK)


@pytest.mark.parametrize(("method", "path"), OF_ONE)
def test_a_draft_is_unknown_to_everybody_but_its_owner(shared: Studio, anna: TestClient, method, path):
    draft = bring(anna, vqa(3))["id"]
    unknown = said(reach(anna, method, path, "0" * 32), 404)
    assert_plain(unknown["error"])
    for who in (None, BEN, "local", ANNA[:-1], ANNA.swapcase(), "' OR 1=1 --"):
        assert said(reach(client_of(shared, who), method, path, draft), 404) == unknown, who
    assert said(anna.get(f"/studio/drafts/{draft}"))["reading"]["format"] == "vqa"
    for name in ("..", "%2e%2e", "%00", "x" * 3000, "0" * 31):
        assert reach(anna, method, path, name).status_code in (404, 405)


def test_the_list_of_drafts_is_each_owner_s_own(shared: Studio, anna: TestClient):
    draft = bring(anna, vqa(3))["id"]
    assert [each["id"] for each in said(anna.get("/studio/drafts"))["drafts"]] == [draft]
    for who in (None, BEN, "local"):
        assert said(client_of(shared, who).get("/studio/drafts")) == {"drafts": []}


@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p in PATHS if m != "GET"])
def test_another_site_s_page_changes_nothing(shared: Studio, anna: TestClient, method, path):
    draft = waited(anna, bring(anna, vqa(3))["id"])
    address = path.replace("{id}", draft["id"])
    for origin in ("https://evil.example", "null"):
        kind = {"Content-Type": "application/json"} if method == "POST" else MARK
        answer = anna.request(method, address, headers={**kind, "Origin": origin}, content=b"{}")
        assert_plain(said(answer, 403)["error"])
    code = 422 if method == "POST" else 403
    assert anna.request(method, address, headers={"Content-Type": "text/plain"}, content=b"{}").status_code == code
    assert said(anna.get(f"/studio/drafts/{draft['id']}")) == draft


@pytest.mark.parametrize("path", [path for method, path in PATHS if method == "POST"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b"7", b"\xff", b"[" * 50_000, b" " * (2 * 1024 * 1024 + 1)]
)
def test_a_body_that_is_no_json_object_gets_a_sentence(anna: TestClient, path: str, body: bytes):
    answer = asked_in_json(anna, path.replace("{id}", "0" * 32), body)
    assert answer.status_code == 422
    assert_plain(answer.json()["error"])


def folder_of(root: Path, rows: int = 6) -> Path:
    folder = root / "here" / "pets"
    (folder / "images").mkdir(parents=True)
    lines = ["file_name,question,answer"]
    for number in range(rows):
        (folder / "images" / f"{number}.png").write_bytes(noise(number))
        lines.append(f"images/{number}.png,What is it?,{'cat' if number % 2 else 'dog'}")
    (folder / "vqa.csv").write_text("\n".join(lines))
    return folder


def test_a_folder_of_one_s_own_machine_is_read_where_it_lies(alone: TestClient, tmp_path: Path):
    folder = folder_of(tmp_path)
    draft = said(alone.post("/studio/drafts", json={"folder": str(folder)}))
    assert draft["origin"] == "pets"
    assert_nothing_private(str(draft))
    assert waited(alone, draft["id"])["report"]["rows"] == 6
    said(alone.delete(f"/studio/drafts/{draft['id']}", headers=MARK))
    assert (folder / "vqa.csv").exists(), "a folder of the person's own is left as it is"


def test_a_shared_server_reads_no_folder_but_below_its_root(anna: TestClient, tmp_path: Path, monkeypatch):
    folder = folder_of(tmp_path)
    refused = {anna.post("/studio/drafts", json={"folder": f}).status_code for f in (str(folder), "/etc", "/no/such")}
    assert refused == {404}
    monkeypatch.setenv("STUDIO_DATA_ROOT", str(tmp_path / "here"))
    assert said(anna.post("/studio/drafts", json={"folder": "pets"}))["origin"] == "pets"
    for other in ("..", "/etc", "../..", "pets/../..", "~", "pets\0"):
        answer = anna.post("/studio/drafts", json={"folder": other})
        assert answer.status_code == 404, other
        assert_plain(answer.json()["error"])


NOTHING_BROUGHT: tuple[dict[str, Any], ...] = (
    {},
    {"folder": None},
    {"folder": 3},
    {"folder": "x" * 5000},
    {"hub": None},
    {"hub": 3},
    {"hub": "x" * 400},
    {"hub": "a/b", "revision": 3},
    {"hub": "a/b", "limit": "many"},
    {"hub": "a/b", "limit": True},
    {"hub": "a/b", "limit": -1},
)


@pytest.mark.parametrize("body", NOTHING_BROUGHT, ids=range(len(NOTHING_BROUGHT)))
def test_what_brings_nothing_gets_a_sentence(alone: TestClient, body):
    assert_plain(said(alone.post("/studio/drafts", json=body), 422)["error"])


def test_nobody_s_browser_brings_nothing(shared: Studio, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("STUDIO_DATA_ROOT", str(tmp_path / "here"))
    folder_of(tmp_path)
    assert "cookie" in said(client_of(shared).post("/studio/drafts", json={"folder": "pets"}), 404)["error"]


def test_an_owner_has_so_many_drafts_and_no_more(anna: TestClient, monkeypatch):
    assert MAX_DRAFTS >= 10
    monkeypatch.setattr("ui.data.drafts.MAX_DRAFTS", 2)
    first = bring(anna, vqa(3))["id"]
    bring(anna, vqa(3))
    full = said(anna.post("/studio/uploads", json={"files": [{"name": "a.zip", "size": 3}]}), 422)
    assert_plain(full["error"])
    said(anna.delete(f"/studio/drafts/{first}", headers=MARK))
    bring(anna, vqa(3))


@pytest.mark.parametrize("title", [3, [], "x" * (MAX_TITLE + 1)])
def test_a_title_that_is_none_gets_a_sentence(anna: TestClient, title):
    draft = waited(anna, bring(anna, vqa(6))["id"])
    assert_plain(post(anna, draft["id"], "store", {"title": title}, 422)["error"])


def test_names_and_texts_of_others_stay_text(anna: TestClient):
    table = (
        f'file_name,question,answer\nimages/0.png,"{SCRIPT}","{SCRIPT}"\nimages/1.png,What?,no\nimages/2.png,How?,so'
    )
    draft = bring(
        anna, zip_of({**{f"images/{n}.png": noise(n) for n in range(3)}, f"{SCRIPT[:8]}.csv": table}), f"{SCRIPT}.zip"
    )
    answer = anna.get(f"/studio/drafts/{draft['id']}")
    assert answer.headers["content-type"] == "application/json"
    assert {"text": SCRIPT} in answer.json()["rows"][0]["turns"][1]["parts"]


HUB = "owner/pets"


@pytest.fixture
def hub(monkeypatch, tmp_path: Path) -> Iterator[Slow]:
    """A Hub whose data arrive when they are let go: those of a folder here."""

    def arrive(self: Any, *_given: Any) -> Any:
        return self.from_folder("pets")

    monkeypatch.setenv("STUDIO_DATA_ROOT", str(tmp_path / "here"))
    folder_of(tmp_path)
    slow = Slow(arrive)
    monkeypatch.setattr(core.data.storing.drafts.Drafts, "from_hub", lambda *given: slow(*given))
    yield slow
    slow.go.set()


def test_data_of_the_hub_are_on_their_way_until_they_are_a_draft(shared: Studio, anna: TestClient, hub: Slow):
    coming = said(anna.post("/studio/drafts", json={"hub": HUB, "revision": "main", "split": "train", "limit": 50}))
    assert (coming["state"], coming["title"], coming["rows"], coming["reading"]) == ("looking", HUB, [], None)
    assert hub.started.wait(120)
    assert said(anna.get(f"/studio/drafts/{coming['id']}"))["progress"] == {"done": 7, "total": 30}
    assert [each["id"] for each in said(anna.get("/studio/drafts"))["drafts"]] == [coming["id"]]
    assert_plain(post(anna, coming["id"], "store", {"title": "x"}, 422)["error"])
    for who in (None, BEN):
        said(client_of(shared, who).get(f"/studio/drafts/{coming['id']}"), 404)
    hub.go.set()
    wait_for(lambda: said(anna.get(f"/studio/drafts/{coming['id']}"))["state"] == "ready")
    arrived = said(anna.get(f"/studio/drafts/{coming['id']}"))
    assert len(arrived["rows"]) == 6
    assert [each["id"] for each in said(anna.get("/studio/drafts"))["drafts"]] == [arrived["id"]]
    said(anna.delete(f"/studio/drafts/{coming['id']}", headers=MARK))
    said(anna.get(f"/studio/drafts/{arrived['id']}"), 404)


def test_data_on_their_way_can_be_given_up(shared: Studio, anna: TestClient, hub: Slow):
    coming = said(anna.post("/studio/drafts", json={"hub": HUB}))["id"]
    assert hub.started.wait(120)
    given_up = post(anna, coming, "cancel", {})
    assert given_up["state"] == "failed"
    assert "cancelled" in given_up["error"]
    said(anna.delete(f"/studio/drafts/{coming}", headers=MARK))
    said(anna.get(f"/studio/drafts/{coming}"), 404)
    assert said(anna.get("/studio/drafts")) == {"drafts": []}
    assert files_under(shared.data(ANNA)) <= {"uploads", "drafts", "sets"}


def test_why_data_of_the_hub_do_not_arrive_is_said(anna: TestClient, monkeypatch):
    def nothing(*_given: Any) -> Any:
        raise DataError("Data of the Hub were asked for", "there is no network", "Try again")

    monkeypatch.setattr(core.data.storing.drafts.Drafts, "from_hub", nothing)
    coming = said(anna.post("/studio/drafts", json={"hub": HUB}))["id"]
    wait_for(lambda: said(anna.get(f"/studio/drafts/{coming}"))["state"] == "failed")
    assert "no network" in said(anna.get(f"/studio/drafts/{coming}"))["error"]
    assert said(anna.get("/studio/drafts")) == {"drafts": []}, "what never came cannot be opened again"
    assert "no network" in said(anna.get(f"/studio/drafts/{coming}"))["error"], "it is still said where it is open"
    again = said(anna.post("/studio/drafts", json={"hub": HUB}))["id"]
    wait_for(lambda: said(anna.get(f"/studio/drafts/{again}"))["state"] == "failed")
    said(anna.get(f"/studio/drafts/{coming}"), 404)


@pytest.mark.parametrize(
    "name", ["", "..", "a/../../b", "/etc", "file:///etc/passwd", "http://127.0.0.1/x", "a b", SCRIPT]
)
def test_what_is_no_name_on_the_hub_is_refused_at_once(anna: TestClient, name: str):
    answer = anna.post("/studio/drafts", json={"hub": name})
    assert answer.status_code == 404
    assert_plain(answer.json()["error"])
