"""The page's own routes: each answers a job's owner and nobody else, no made-up path, and errors as plain sentences."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from core.data.source import load_dataset
from core.models.source import DEMO_MODEL
from core.spec import Plan, Source
from tests.ui.parts import ANNA, BEN, JOB, POINT, assert_nothing_private, assert_plain, make_job, make_studio
from ui.data.drafts import draft_routes
from ui.data.uploads import upload_routes
from ui.datasets import dataset_routes
from ui.routes import ASSETS, studio_routes
from ui.studio import OWNER_COOKIE, Studio, key_of

DIGITS = load_dataset(Source("demo", "digits"))
PICTURE = DIGITS.heldout[0].picture_name
WHOLE = studio_routes(cast(Studio, None))
BRINGING = (*upload_routes(cast(Studio, None)), *draft_routes(cast(Studio, None)), *dataset_routes(cast(Studio, None)))
"""Held to their promises in tests of their own."""
PATHS = [
    route.path
    for route in WHOLE
    if isinstance(route, Route) and "GET" in (route.methods or ()) and route.path not in {r.path for r in BRINGING}
]
JOB_PATHS = [path for path in PATHS if "{job}" in path]
MOUNTS = [mount.path for mount in WHOLE if isinstance(mount, Mount)]
OTHER_JOBS = ("no-such-job", "..", "%2e%2e", "%2fetc", "%00", "%ff", "x" * 5000, "' OR 1=1 --", f"{JOB}%00")
CLIMBING = (
    "../train/metadata.jsonl",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%2f..%2fdataset.json",
    "..%5c..%5cdataset.json",
    "..\\..\\dataset.json",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "heldout/metadata.jsonl",
    "dataset.json",
    "LICENSE",
    "heldout/",
    "%00",
    f"{PICTURE}%00",
    f"{PICTURE}/",
    f"heldout/%2e/{Path(PICTURE).name}",
    "%ed%a0%80.png",
    "a" * 5000,
    "file:///etc/passwd",
    "http://127.0.0.1/x.png",
)
"""Ways out of a folder, and files in it that are no pictures of its rows."""


def client_of(studio: Studio, owner: str | None = None) -> TestClient:
    cookies = {OWNER_COOKIE: owner} if owner else None
    return TestClient(Starlette(routes=studio_routes(studio)), cookies=cookies, raise_server_exceptions=False)


def address(path: str, **other: str) -> str:
    """A route with its words filled in; a new word has to be named here."""
    values = {"job": JOB, "name": "digits", "picture": PICTURE, **other}
    for word, value in values.items():
        path = path.replace(f"{{{word}:path}}", value).replace(f"{{{word}}}", value)
    assert "{" not in path, f"tests/ui has no value for a word in {path}"
    return path


def assert_unknown(answer: httpx.Response) -> None:
    """404, from us with a plain sentence or because no route has this address."""
    assert answer.status_code == 404, (answer.url, answer.text[:200])
    if answer.text != "Not Found":
        assert_plain(answer.json()["error"])


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Studio]:
    """A server that many use, with one finished job of Anna's."""
    make_job(tmp_path / "home", ANNA)
    studio = make_studio(tmp_path, shared=True)
    yield studio
    studio.backend.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", PATHS)
def test_every_route_answers_the_owner_and_is_taken_for_what_it_is(shared: Studio, path):
    client = client_of(shared, ANNA)
    answer = client.get(address(path, key=key_of(shared.open(DEMO_MODEL))))
    assert answer.status_code == 200, answer.text[:200]
    assert answer.headers["x-content-type-options"] == "nosniff"
    if "json" in answer.headers["content-type"]:
        assert_nothing_private(answer.text)
    if "cache-control" in answer.headers and "{job}" in path:
        assert "public" not in answer.headers["cache-control"]


@pytest.mark.parametrize("path", MOUNTS)
def test_every_file_of_a_mount_is_served_and_nothing_beside_it(shared: Studio, path):
    client = client_of(shared)
    folder = ASSETS / Path(path).name
    for file in folder.iterdir():
        answer = client.get(f"{path}/{file.name}")
        assert answer.content == file.read_bytes()
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
    for climbing in (*CLIMBING, "../demo/model/config.json", "%2e%2e/demo/model/config.json", ""):
        assert client.get(f"{path}/{climbing}").status_code == 404


@pytest.mark.parametrize("path", JOB_PATHS)
def test_a_job_is_unknown_to_everybody_but_its_owner(shared: Studio, path):
    unknown = client_of(shared, ANNA).get(address(path, job="no-such-job")).json()
    assert_plain(unknown["error"])
    for who in (None, BEN, "local", "", ANNA[:-1], f"{ANNA}x", ANNA.swapcase(), "%", "' OR 1=1 --"):
        answer = client_of(shared, who).get(address(path))
        assert answer.status_code == 404, who
        assert answer.json() == unknown, "nobody learns which jobs there are"


@pytest.mark.parametrize("path", JOB_PATHS)
def test_a_made_up_job_is_unknown(shared: Studio, path):
    for job in OTHER_JOBS:
        assert_unknown(client_of(shared, ANNA).get(address(path, job=job)))


def test_jobs_of_others_and_of_one_person_s_machine_are_not_listed(tmp_path: Path):
    make_job(tmp_path / "home", ANNA)
    make_job(tmp_path / "home", "local", "20260101-120000-000-of-the-cli")
    shared, alone = make_studio(tmp_path, shared=True), make_studio(tmp_path)
    assert [job["id"] for job in client_of(shared, ANNA).get("/studio/jobs").json()["jobs"]] == [JOB]
    for who in (None, BEN, "local", ""):
        assert client_of(shared, who).get("/studio/jobs").json() == {"jobs": []}
        assert client_of(shared, who).get("/studio/home").json()["jobs"] == []
    assert len(client_of(alone, ANNA).get("/studio/jobs").json()["jobs"]) == 1
    for path in JOB_PATHS:
        of_the_cli = address(path, job="20260101-120000-000-of-the-cli")
        assert client_of(alone).get(of_the_cli).status_code == 200
        for who in (None, ANNA, "local"):
            assert client_of(shared, who).get(of_the_cli).status_code == 404


def test_a_new_browser_of_a_shared_server_becomes_an_owner_whom_nobody_guesses(shared: Studio):
    first, second = client_of(shared), client_of(shared)
    given = [client.get("/studio/home").cookies[OWNER_COOKIE] for client in (first, second)]
    assert given[0] != given[1]
    assert all(shared.owner({OWNER_COOKIE: cookie}) == cookie for cookie in given)
    assert "set-cookie" not in first.get("/studio/home").headers, "an owner stays who it is"
    assert "set-cookie" not in client_of(shared, ANNA).get("/studio/home").headers


def test_the_owner_cookie_is_out_of_reach_of_scripts_and_reaches_a_space_in_a_frame(shared: Studio):
    plain = client_of(shared).get("/studio/home").headers["set-cookie"]
    framed = client_of(shared).get("/studio/home", headers={"x-forwarded-proto": "https"}).headers["set-cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    for word in ("HttpOnly", "Secure", "SameSite=None", "Partitioned"):
        assert word in framed


def test_on_ones_own_machine_there_is_no_cookie(studio: Studio):
    assert "set-cookie" not in client_of(studio).get("/studio/home").headers


@pytest.mark.parametrize("path", ["/studio/data/digits", f"/studio/jobs/{JOB}/pictures"])
def test_no_picture_but_those_of_the_rows(shared: Studio, path):
    for climbing in CLIMBING:
        assert_unknown(client_of(shared, ANNA).get(f"{path}/{climbing}"))


def test_a_made_up_data_set_or_model_is_unknown(studio: Studio):
    client = client_of(studio)
    for name in (
        "no-such",
        "..",
        "%2e%2e",
        "%2e%2e%2fconfig.json",
        "%00",
        "digits%00",
        "x" * 5000,
        "%ff",
        "digits%2fx",
    ):
        assert_unknown(client.get(f"/studio/data/{name}/{PICTURE}"))
        assert_unknown(client.get(f"/studio/inspections/{name}"))


def folder_dataset(folder: Path) -> Path:
    """Two rows with pictures."""
    folder.mkdir(parents=True)
    for number in (1, 2):
        shutil.copy(DIGITS.heldout[number].picture.path, folder / f"{number}.png")
    rows = [{"file_name": f"{number}.png", "question": "Which?", "answer": str(number)} for number in (1, 2)]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_pictures_of_a_folder_are_served_by_name_and_a_link_put_there_later_is_not(tmp_path: Path):
    folder = folder_dataset(tmp_path / "private" / "my-pictures")
    (tmp_path / "secret.png").write_bytes(b"secret")
    make_job(tmp_path / "home", "local", data=Source("folder", str(folder)))
    client = client_of(make_studio(tmp_path))
    pictures = f"/studio/jobs/{JOB}/pictures"
    assert client.get(f"{pictures}/1.png").content == (folder / "1.png").read_bytes()
    (folder / "3.png").symlink_to(tmp_path / "secret.png")
    (folder / "1.png").unlink()
    (folder / "1.png").symlink_to(tmp_path / "secret.png")
    (folder / "2.png").unlink()
    for name in ("1.png", "2.png", "3.png", "../../secret.png", str(folder / "2.png"), "metadata.jsonl"):
        answer = client.get(f"{pictures}/{name}")
        assert answer.status_code == 404, name
        assert b"secret" not in answer.content


def test_a_job_whose_model_is_another_by_now_is_still_shown(tmp_path: Path):
    make_job(tmp_path / "home", "local", plan=Plan(target_modules=("no.longer.there",)))
    shown = client_of(make_studio(tmp_path)).get(f"/studio/jobs/{JOB}")
    assert shown.status_code == 200, shown.text
    assert shown.json()["by_component"] is None


def test_a_folder_that_is_gone_is_said_without_its_place(tmp_path: Path):
    make_job(tmp_path / "home", ANNA, data=Source("folder", str(tmp_path / "private" / "gone")))
    client = client_of(make_studio(tmp_path, shared=True), ANNA)
    answer = client.get(f"/studio/jobs/{JOB}")
    assert answer.json()["data"] == "gone"
    assert_nothing_private(answer.text)


def test_garbage_in_since_reads_from_the_start(shared: Studio):
    client = client_of(shared, ANNA)
    for since in ("", "-1", "abc", "1.5", "9" * 15, "9" * 400, "٣", "%00", "NaN", "1e9", "0x10", "7&since=x"):
        assert client.get(f"/studio/jobs/{JOB}/series?since={since}").json()["lines"] == [POINT]
        assert client.get(f"/studio/jobs/{JOB}/log?since={since}").json()["text"] == "It began.\n"


def test_torn_and_damaged_points_are_left_out_and_read_when_whole(shared: Studio):
    metrics = shared.backend.folder(JOB, ANNA) / "metrics.jsonl"
    client = client_of(shared, ANNA)
    with metrics.open("ab") as file:
        file.write(b'\x00\xff\xfe not JSON\n[1, 2]\n\n{"kind": "train", "step": 2}\n{"kind": "train", "st')
    first = client.get(f"/studio/jobs/{JOB}/series?since=0").json()
    assert [point["step"] for point in first["lines"]] == [1, 2]
    with metrics.open("ab") as file:
        file.write(b'ep": 3}\n')
    second = client.get(f"/studio/jobs/{JOB}/series?since={first['next']}").json()
    assert [point["step"] for point in second["lines"]] == [3]
    metrics.write_text("")
    assert client.get(f"/studio/jobs/{JOB}/series?since={second['next']}").json()["next"] == 0


@pytest.mark.parametrize("name", ["spec.json", "status.json", "metrics.jsonl", "worker.log", "adapter"])
@pytest.mark.parametrize("damage", ["gone", "torn", "other"])
def test_a_damaged_job_takes_neither_the_page_nor_the_other_jobs_away(tmp_path: Path, name, damage):
    damaged = make_job(tmp_path / "home", ANNA)
    make_job(tmp_path / "home", ANNA, "20260101-130000-000-0123456789", name="Whole")
    client = client_of(make_studio(tmp_path, shared=True), ANNA)
    target = damaged / name
    if target.is_dir():
        shutil.rmtree(target)
    elif damage == "gone":
        target.unlink()
    else:
        target.write_text('{"name": "Dig' if damage == "torn" else '{"schema": 99}')
    assert "Whole" in [job["name"] for job in client.get("/studio/home").json()["jobs"]]
    assert "Whole" in [job["name"] for job in client.get("/studio/jobs").json()["jobs"]]
    for path in JOB_PATHS:
        answer = client.get(address(path))
        assert answer.status_code in (200, 404, 422), answer.text
        if answer.status_code != 200:
            assert_plain(answer.json()["error"])


def test_a_job_without_an_adapter_has_no_download(shared: Studio):
    shutil.rmtree(shared.backend.folder(JOB, ANNA) / "adapter")
    client = client_of(shared, ANNA)
    answer = client.get(f"/studio/jobs/{JOB}/adapter.zip")
    assert answer.status_code == 404
    assert_plain(answer.json()["error"])
    assert client.get(f"/studio/jobs/{JOB}").json()["adapter_bytes"] is None


def test_the_download_is_named_after_the_job_and_holds_no_place_of_this_machine(tmp_path: Path):
    private = tmp_path / "private" / "my-model"
    name = 'Ä "quoted"\r\nX-Injected: 1 ../../x'
    make_job(tmp_path / "home", ANNA, name=name, model=Source("folder", str(private)))
    answer = client_of(make_studio(tmp_path, shared=True), ANNA).get(f"/studio/jobs/{JOB}/adapter.zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="quoted-x-injected-1-x-adapter.zip"'
    assert "x-injected" not in answer.headers
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        for inner in archive.namelist():
            assert_nothing_private(archive.read(inner).decode())


def test_what_goes_wrong_inside_is_said_in_general_and_told_to_the_log_only(shared: Studio, monkeypatch, caplog):
    def broken(job: str, owner: str) -> None:
        raise RuntimeError(f"secret of {shared.cache}")

    monkeypatch.setattr(shared.backend, "status", broken)
    for path in ("/studio/home", "/studio/jobs", f"/studio/jobs/{JOB}", f"/studio/jobs/{JOB}/series"):
        answer = client_of(shared, ANNA).get(path)
        assert answer.status_code == 500
        assert "our mistake" in answer.json()["error"]
        assert_plain(answer.json()["error"])
    assert "secret of" in caplog.text


@pytest.mark.parametrize("path", PATHS)
def test_no_route_changes_anything(path):
    client = TestClient(Starlette(routes=WHOLE))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert client.request(method, address(path, key="-")).status_code == 405


def test_two_models_with_one_config_are_kept_apart(studio: Studio, tmp_path: Path):
    from core.models.source import ASSETS as DEMO

    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(DEMO / "model" / "config.json", copy)
    demo, other = studio.open(DEMO_MODEL), studio.open(Source("folder", str(copy)))
    assert demo.config_hash == other.config_hash
    assert studio.inspection(key_of(demo)).source == DEMO_MODEL
    assert studio.inspection(key_of(other)).source.name == str(copy)
    shown = client_of(studio).get(f"/studio/inspections/{key_of(other)}")
    assert shown.json()["label"] == shown.json()["source"] == "copy"
    assert_nothing_private(shown.text)


def test_a_slow_model_of_one_visitor_does_not_hold_up_the_page_of_another(studio: Studio):
    with studio.lock:  # as while a model is being built
        assert client_of(studio).get("/studio/home").status_code == 200
