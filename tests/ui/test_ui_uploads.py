"""Uploads in parts: taken up where they stopped, within their limits, nobody else's, and gone when given up."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.ui.bringing import MARK, asked_in_json, begin, bring, client_of, said, send, vqa
from tests.ui.parts import ANNA, BEN, assert_plain, files_under
from ui.data.uploads import MAX_FILES, MAX_NAME, MAX_PART
from ui.studio import Studio

UNKNOWN = ("0" * 32, "no-such", "..", "%2e%2e", "%00", "x" * 3000, "' OR 1=1 --", "0" * 31 + "G")


def test_an_upload_that_broke_off_goes_on_from_where_it_stopped(shared: Studio, anna: TestClient):
    data = vqa()
    upload = begin(anna, ("pets.zip", len(data)), ("notes.txt", 5))
    half = len(data) // 2
    assert said(send(anna, upload, data[:half])) == {"received": half}
    stands = said(client_of(shared, ANNA).get(f"/studio/uploads/{upload}"))  # as after a reload
    assert stands["received"] == [half, 0]
    assert stands["files"] == [{"name": "pets.zip", "size": len(data)}, {"name": "notes.txt", "size": 5}]
    assert said(send(anna, upload, data[half:], offset=half)) == {"received": len(data)}
    assert said(send(anna, upload, b"notes", number=1)) == {"received": 5}
    draft = said(anna.post(f"/studio/uploads/{upload}/finish", json={}))
    assert draft["guess"]["reading"]["format"] == "vqa"
    said(anna.get(f"/studio/uploads/{upload}"), 404)


def test_a_part_that_comes_twice_or_too_early_is_refused_and_nothing_is_lost(anna: TestClient):
    upload = begin(anna, ("a.zip", 10))
    said(send(anna, upload, b"12345"))
    for offset in (0, 3, 7):
        assert_plain(said(send(anna, upload, b"12345", offset=offset), 422)["error"])
    assert said(anna.get(f"/studio/uploads/{upload}"))["received"] == [5]
    assert_plain(said(send(anna, upload, b"123456", offset=5), 413)["error"])
    assert said(anna.get(f"/studio/uploads/{upload}"))["received"] == [5]


def test_an_upload_that_is_not_whole_becomes_no_draft(anna: TestClient):
    upload = begin(anna, ("a.zip", 10))
    said(send(anna, upload, b"12345"))
    assert_plain(said(anna.post(f"/studio/uploads/{upload}/finish", json={}), 422)["error"])
    assert said(anna.get("/studio/drafts")) == {"drafts": []}


def test_an_upload_that_was_given_up_leaves_nothing(shared: Studio, anna: TestClient, tmp_path: Path):
    upload = begin(anna, ("a.zip", 10))
    said(send(anna, upload, b"12345"))
    said(anna.delete(f"/studio/uploads/{upload}", headers=MARK))
    said(anna.get(f"/studio/uploads/{upload}"), 404)
    assert not list(tmp_path.rglob("upload.json"))
    assert files_under(shared.data(ANNA)) <= {"uploads", "drafts", "sets"}


def test_what_nothing_can_be_made_of_leaves_nothing(shared: Studio, anna: TestClient):
    upload = begin(anna, ("notes.bin", 9))
    said(send(anna, upload, b"\x00\x01\x02 hello"[:9]))
    assert_plain(said(anna.post(f"/studio/uploads/{upload}/finish", json={}), 422)["error"])
    assert files_under(shared.data(ANNA)) <= {"uploads", "drafts", "sets"}


def paths(upload: str) -> list[tuple[str, str]]:
    """Every way to reach an upload: method and address."""
    base = f"/studio/uploads/{upload}"
    return [("GET", base), ("DELETE", base), ("PUT", f"{base}/0?offset=0"), ("POST", f"{base}/finish")]


def reach(client: TestClient, method: str, path: str) -> dict[str, object]:
    if method == "POST":
        return said(client.post(path, json={}), 404)
    return said(client.request(method, path, headers=MARK, content=b"1" if method == "PUT" else None), 404)


def test_an_upload_is_unknown_to_everybody_but_its_owner(shared: Studio, anna: TestClient):
    upload = begin(anna, ("a.zip", 3))
    for method, path in paths(upload):
        unknown = reach(anna, method, path.replace(upload, "0" * 32))
        assert_plain(str(unknown["error"]))
        for who in (None, BEN, "local", ANNA[:-1], ANNA.swapcase()):
            assert reach(client_of(shared, who), method, path) == unknown, (who, method)
    assert said(anna.get(f"/studio/uploads/{upload}"))["received"] == [0]


@pytest.mark.parametrize("name", UNKNOWN, ids=range(len(UNKNOWN)))
def test_an_id_is_looked_up_and_never_a_path(anna: TestClient, name: str):
    for method, path in paths(name):
        headers = MARK if method != "POST" else {"Content-Type": "application/json"}
        answer = anna.request(method, path, headers=headers, content=b"{}" if method == "POST" else None)
        assert answer.status_code in (404, 405), (method, answer.text[:200])


def test_nobody_s_browser_uploads_nothing(shared: Studio, tmp_path: Path):
    for who in (None, "local", "guess"):
        answer = client_of(shared, who).post("/studio/uploads", json={"files": [{"name": "a.zip", "size": 3}]})
        assert "cookie" in said(answer, 404)["error"]
    assert not list(tmp_path.rglob("upload.json"))


NO_FILES = (
    {},
    {"files": None},
    {"files": []},
    {"files": "a.zip"},
    {"files": [3]},
    {"files": [{"name": "a.zip"}]},
    {"files": [{"size": 3}]},
    {"files": [{"name": "a.zip", "size": "3"}]},
    {"files": [{"name": "a.zip", "size": True}]},
    {"files": [{"name": "a.zip", "size": -1}]},
    {"files": [{"name": "a.zip", "size": 1.5}]},
    {"files": [{"name": None, "size": 3}]},
    {"files": [{"name": "", "size": 3}]},
    {"files": [{"name": "a" * (MAX_NAME + 1), "size": 3}]},
    {"files": [{"name": "a", "size": 0}] * (MAX_FILES + 1)},
)


@pytest.mark.parametrize("body", NO_FILES, ids=range(len(NO_FILES)))
def test_a_list_of_files_that_is_none_gets_a_sentence(shared: Studio, anna: TestClient, body):
    assert_plain(said(anna.post("/studio/uploads", json=body), 422)["error"])
    assert files_under(shared.data(ANNA)) <= {"uploads", "drafts", "sets"}


def test_more_than_the_server_takes_is_refused_before_a_byte_is_sent(anna: TestClient, monkeypatch):
    monkeypatch.setenv("STUDIO_MAX_UPLOAD", "1000")
    files = [{"name": "a.zip", "size": 600}, {"name": "b.zip", "size": 600}]
    assert_plain(said(anna.post("/studio/uploads", json={"files": files}), 413)["error"])
    huge = [{"name": "a.zip", "size": 2**62}]
    assert_plain(said(anna.post("/studio/uploads", json={"files": huge}), 413)["error"])


def test_a_part_has_a_largest_size(anna: TestClient):
    upload = begin(anna, ("a.zip", MAX_PART * 2))
    assert_plain(said(send(anna, upload, bytes(MAX_PART + 1)), 413)["error"])
    assert said(anna.get(f"/studio/uploads/{upload}"))["received"] == [0]


@pytest.mark.parametrize("where", ["x", "-1", "1.5", "", "9" * 20, "٣", "0x1", "1e3", "%00"])
def test_a_part_that_does_not_say_where_it_belongs_is_refused(anna: TestClient, where: str):
    upload = begin(anna, ("a.zip", 3))
    for path in (f"0?offset={where}", f"{where}?offset=0" if where else "0"):
        answer = anna.put(f"/studio/uploads/{upload}/{path}", content=b"123", headers=MARK)
        assert answer.status_code == 422, path
        assert_plain(answer.json()["error"])
    assert said(send(anna, upload, b"1", number=1), 404)["error"]


FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver:8080"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
)


@pytest.mark.parametrize("headers", FOREIGN, ids=range(len(FOREIGN)))
def test_a_page_of_another_site_can_send_nothing(shared: Studio, anna: TestClient, headers):
    upload = begin(anna, ("a.zip", 3))
    for method, path in (*paths(upload), ("POST", "/studio/uploads")):
        kind = {"Content-Type": "application/json"} if method == "POST" else MARK
        answer = anna.request(method, path, headers={**kind, **headers}, content=None if method == "DELETE" else b"{}")
        if method == "GET":
            assert answer.status_code == 200
        else:
            assert_plain(said(answer, 403)["error"])
    assert said(anna.get(f"/studio/uploads/{upload}"))["received"] == [0]


def test_what_a_browser_sends_across_sites_without_asking_is_refused(anna: TestClient):
    upload = begin(anna, ("a.zip", 3))
    assert anna.put(f"/studio/uploads/{upload}/0?offset=0", content=b"123").status_code == 403
    assert anna.delete(f"/studio/uploads/{upload}").status_code == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        for path in ("/studio/uploads", f"/studio/uploads/{upload}/finish"):
            assert anna.post(path, content=b"{}", headers={"Content-Type": kind}).status_code == 422
    assert said(anna.get(f"/studio/uploads/{upload}"))["received"] == [0]


def test_the_own_page_is_not_taken_for_another_site_s(anna: TestClient):
    for headers in (
        {"Origin": "http://testserver"},
        {"Origin": "https://a.hf.space", "X-Forwarded-Host": "a.hf.space"},
    ):
        body = {"files": [{"name": "a.zip", "size": 3}]}
        assert asked_in_json(anna, "/studio/uploads", body, **headers).status_code == 200


def test_two_owners_have_uploads_of_their_own(shared: Studio, anna: TestClient):
    ben = client_of(shared, BEN)
    hers, his = bring(anna, vqa())["id"], bring(ben, vqa())["id"]
    assert [draft["id"] for draft in said(anna.get("/studio/drafts"))["drafts"]] == [hers]
    assert [draft["id"] for draft in said(ben.get("/studio/drafts"))["drafts"]] == [his]
