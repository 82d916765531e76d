"""The page as it is launched: Gradio serves and takes no file that was not uploaded, and nothing beside the page."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageFile

import app
from core.data.source import DEMO_DATA
from core.jobs.local import LocalBackend
from core.spec import ENDED
from tests.ui.bringing import vqa
from tests.ui.conftest import end_workers
from tests.ui.parts import (
    ANNA,
    BEN,
    CANARY,
    FAKE_WORKER,
    JOB,
    ROOT,
    assert_nothing_private,
    good_choice,
    good_form,
    make_job,
    wait_for,
)
from ui.studio import OWNER_COOKIE, Studio

SECRET = b"root-of-all-secrets"
MEGABYTE = 1024 * 1024
FILE_INPUTS = {"image", "file", "uploadbutton", "audio", "video", "gallery", "imageeditor", "multimodaltextbox"}
FILE_DATA = {"_type": "gradio.FileData"}


@dataclass
class Server:
    """A launched page, shared by many, and one finished job of Anna's on it."""

    client: httpx.Client
    root: Path
    studio: Studio

    @cached_property
    def config(self) -> dict[str, Any]:
        """What Gradio tells a browser of the page."""
        told: dict[str, Any] = self.client.get("/config").json()
        return told

    def handlers(self) -> list[dict[str, Any]]:
        """Every event that calls the server."""
        return [each for each in self.config["dependencies"] if each["backend_fn"]]

    def call(self, handler: dict[str, Any], data: list[Any], owner: str | None = None) -> httpx.Response:
        """Calls an event as a script without a browser would."""
        body = {"data": data, "fn_index": handler["id"], "session_hash": "session"}
        return self.client.post(f"/gradio_api/run/{handler['api_name']}", json=body, headers=self.as_owner(owner))

    def as_owner(self, owner: str | None) -> dict[str, str]:
        """The header of a browser that has this cookie, and no other."""
        self.client.cookies.clear()
        return {"Cookie": f"{OWNER_COOKIE}={owner}"} if owner else {}

    def upload(self, name: str, content: bytes) -> httpx.Response:
        return self.client.post("/gradio_api/upload", files={"files": (name, content)})

    def cached(self) -> list[Path]:
        """Every file that Gradio keeps to serve it."""
        return [path for path in (self.root / "gradio").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    root, back = tmp_path_factory.mktemp("launched"), Path.cwd()
    make_job(root / "home", ANNA)
    (root / "home" / "secret.txt").write_bytes(SECRET)
    (root / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "warm_up_soon", lambda studio: None)
        patch.setattr(app, "LocalBackend", partial(LocalBackend, command=[*FAKE_WORKER, "long"]))
        patch.setattr(app, "Studio", lambda *parts, shared: Studio(*parts, shared=True))
        patch.setattr(tempfile, "tempdir", str(root / "tmp"))
        own = {"STUDIO_HOME": root / "home", "GRADIO_TEMP_DIR": root / "gradio", "GRADIO_SERVER_NAME": "127.0.0.1"}
        for name, value in {**own, "GRADIO_ANALYTICS_ENABLED": "False", "HF_TOKEN": CANARY}.items():
            patch.setenv(name, str(value))
        page, studio, address = app.launch(block=False)
        with httpx.Client(base_url=address.rstrip("/"), timeout=120) as client:
            yield Server(client, root, studio)
        page.close()
        os.chdir(back)
    end_workers(root)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of this machine that says whether somebody came."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        opened.setblocking(False)
        yield opened


def takes_a_file(server: Server, handler: dict[str, Any]) -> bool:
    kinds = {component["id"]: component["type"] for component in server.config["components"]}
    return any(kinds[each] in FILE_INPUTS for each in handler["inputs"])


def test_a_forged_file_is_taken_by_no_event(server: Server, listener: socket.socket):
    port = listener.getsockname()[1]
    home = server.root / "home"
    outside = [
        "/etc/passwd",
        "/proc/self/environ",
        str(home / "secret.txt"),
        str(home / "jobs" / JOB / "spec.json"),
        str(ROOT / "app.py"),
        f"{server.root}/gradio/../home/secret.txt",
        "../home/secret.txt",
        "file:///etc/passwd",
        f"http://127.0.0.1:{port}/x.png",
        f"http://localhost:{port}/x.png",
    ]
    refused = 0
    for handler in server.handlers():
        for path in outside:
            forged = {"path": path, "meta": FILE_DATA, "orig_name": "x.png"}
            answer = server.call(handler, [forged] * len(handler["inputs"]), ANNA)
            assert SECRET.decode() not in answer.text
            assert "root:" not in answer.text
            assert CANARY not in answer.text
            if takes_a_file(server, handler):
                assert answer.status_code != 200, (path, answer.text)
                refused += 1
    assert refused >= len(outside)
    for file in server.cached():
        assert not any(secret in file.read_bytes() for secret in (SECRET, b"root:", CANARY.encode())), file
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_an_uploaded_picture_is_taken(server: Server):
    picture = next((DEMO_DATA / "digits" / "heldout").glob("*.png"))
    path = server.upload("mine.png", picture.read_bytes()).json()[0]
    data = [{"path": path, "orig_name": "mine.png", "meta": FILE_DATA}, "What?", "no-such-job"]
    asked = [server.call(handler, data, ANNA) for handler in server.handlers() if takes_a_file(server, handler)]
    assert asked
    for answer in asked:
        assert answer.status_code == 200
        assert "there is no such job" in answer.text


def test_a_picture_is_not_decoded_before_our_own_look_at_its_size(server: Server, monkeypatch):
    def decode(*_: object) -> None:
        raise AssertionError("Gradio decodes what was uploaded")

    small, large = io.BytesIO(), io.BytesIO()
    Image.new("1", (9000, 9000)).save(large, "PNG")
    Image.new("RGBA", (20, 20)).save(small, "PNG")
    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    for content in (small, large):
        path = server.upload("x.png", content.getvalue()).json()[0]
        data = [{"path": path, "orig_name": "x.png", "meta": FILE_DATA}, "What?", "no-such-job"]
        for handler in server.handlers():
            if takes_a_file(server, handler):
                assert "there is no such job" in server.call(handler, data, ANNA).text


def test_what_browsers_may_run_is_served_as_a_download(server: Server):
    for name in ("x.html", "x.svg", "x.xhtml", "x.js"):
        path = server.upload(name, b"<script>alert(1)</script>").json()[0]
        served = server.client.get(f"/gradio_api/file={path}")
        assert served.headers["content-disposition"].startswith("attachment"), name


def test_an_upload_over_the_limit_is_refused_and_not_kept(server: Server):
    limit = int(app.MAX_UPLOAD.removesuffix("mb")) * MEGABYTE
    assert server.upload("large.png", bytes(limit + MEGABYTE)).status_code == 413
    assert max((path.stat().st_size for path in server.cached()), default=0) <= limit
    assert server.client.get("/studio/home").status_code == 200


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json", "gradio_api/docs", "gradio_api/mcp/", "studio/docs"])
def test_there_is_no_page_about_the_interface(server: Server, path):
    assert server.client.get(f"/{path}").status_code == 404


def raw_status(server: Server, path: str) -> tuple[int, bytes]:
    """The answer to a path as it is written: clients tidy `..` away."""
    opened = http.client.HTTPConnection(server.client.base_url.host, server.client.base_url.port, timeout=120)
    opened.putrequest("GET", path)
    opened.endheaders()
    answer = opened.getresponse()
    status, body = answer.status, answer.read()
    opened.close()
    return status, body


def test_no_file_of_the_machine_is_served(server: Server):
    home = server.root / "home"
    files = ["/etc/passwd", "/proc/self/environ", home / "secret.txt", home / "jobs.sqlite3", ROOT / "app.py"]
    files += [home / "jobs" / JOB / name for name in ("spec.json", "job.json", "adapter/adapter_model.safetensors")]
    files += [f"{server.root}/gradio/../home/secret.txt", "..%2fhome%2fsecret.txt", "../home/secret.txt", "."]
    for file in files:
        for prefix in (
            "/gradio_api/file=",
            "/file=",
            "/gradio_api/stream/",
            "/static/",
            "/assets/",
            "/gradio_api/proxy=",
        ):
            status, body = raw_status(server, f"{prefix}{file}")
            assert status in (400, 403, 404, 405), (prefix, file, status)
            assert SECRET not in body
    climb = "/".join([".."] * 12)
    for start in ("/studio/static/js", "/studio/static/css", "/studio/data/digits", f"/studio/jobs/{JOB}/pictures"):
        for path in (
            f"{climb}/etc/passwd",
            f"{climb.replace('.', '%2e')}/etc/passwd",
            f"{climb.replace('/', '%2f')}%2fetc/passwd",
        ):
            assert raw_status(server, f"{start}/{path}")[0] == 404


def test_no_function_of_a_component_can_be_called_from_outside(server: Server):
    for component in {each["type"]: each for each in server.config["components"]}.values():
        for name in ("move_resource_to_block_cache", "postprocess", "preprocess", "get_config", "__init__"):
            body = {"session_hash": "s", "component_id": component["id"], "fn_name": name, "data": "/etc/passwd"}
            answer = server.client.post("/gradio_api/component_server", json=body)
            assert answer.status_code in (400, 403, 404, 405, 422), (component["type"], name, answer.status_code)


def test_no_event_is_offered_to_programs(server: Server):
    assert all(handler["api_visibility"] == "private" for handler in server.handlers())
    for ask in ("", "?all_endpoints=true"):
        told = server.client.get(f"/gradio_api/info{ask}").json()
        assert told == {"named_endpoints": {}, "unnamed_endpoints": {}}


def test_the_page_tells_nothing_of_the_machine(server: Server):
    for path in ("/", "/config", "/gradio_api/info", "/studio/home", "/studio/jobs", "/manifest.json", "/theme.css"):
        answer = server.client.get(path)
        assert answer.status_code == 200
        assert_nothing_private(answer.text)
        assert str(server.root) not in answer.text


def event_of(server: Server, elem_id: str) -> dict[str, Any]:
    """The event of a hidden button."""
    (button,) = [each["id"] for each in server.config["components"] if each["props"].get("elem_id") == elem_id]
    (found,) = [each for each in server.handlers() if [button, "click"] in [list(target) for target in each["targets"]]]
    return found


def test_jobs_are_told_apart_by_the_cookie_and_not_by_what_a_client_may_choose(server: Server):
    start, stop = event_of(server, "start-event"), event_of(server, "stop-event")
    form = [json.dumps(good_choice(server.studio)), *good_form().values()]
    assert "cookie" in server.call(start, form).json()["data"][0]
    job = json.loads(server.call(start, form, ANNA).json()["data"][0])["job"]
    asked = json.dumps({"job": job, "force": False})
    for other in (BEN, None, "local"):
        assert "no such job" in server.call(stop, [asked], other).json()["data"][0]
        assert server.client.get(f"/studio/jobs/{job}", headers=server.as_owner(other)).status_code == 404
    assert server.studio.backend.status(job, ANNA).state not in ENDED
    assert server.call(stop, [asked], ANNA).json()["data"] == [""]
    wait_for(lambda: server.studio.backend.status(job, ANNA).state in ENDED)


def test_another_site_s_page_can_send_nothing(server: Server):
    """A browser asks first when JSON is sent across sites, and is not allowed to; it sends no JSON without asking."""
    stop = event_of(server, "stop-event")
    url, evil = f"/gradio_api/run/{stop['api_name']}", {"Origin": "https://evil.example"}
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    assert "access-control-allow-origin" not in server.client.options(url, headers={**evil, **wanted}).headers
    body = json.dumps({"data": [JOB], "fn_index": stop["id"], "session_hash": "s"})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        for path in (url, "/gradio_api/queue/join"):
            answer = server.client.post(path, content=body, headers={**evil, "Content-Type": kind})
            assert answer.status_code in (400, 403, 415, 422), (kind, path)
            assert "access-control-allow-origin" not in answer.headers


def send(server: Server, owner: str | None, method: str, path: str, body: Any = None, **more: str) -> httpx.Response:
    """Asks one of the routes by which data are brought."""
    kind = {"Content-Type": "application/json"} if method == "POST" else {"X-Studio": "1"}
    content = body if isinstance(body, bytes) else json.dumps(body or {}) if method == "POST" else None
    headers = {**kind, **server.as_owner(owner), **more}
    return server.client.request(method, f"/studio/{path}", content=content, headers=headers)


def begun(server: Server, owner: str, size: int, name: str = "pets.zip") -> str:
    found = send(server, owner, "POST", "uploads", {"files": [{"name": name, "size": size}]}).json()
    return str(found["id"])


def test_data_are_brought_over_the_wire_and_nobody_else_sees_them(server: Server):
    data = vqa(30)
    upload = begun(server, ANNA, len(data))
    half = len(data) // 2
    for start, part in ((0, data[:half]), (half, data[half:])):
        assert send(server, ANNA, "PUT", f"uploads/{upload}/0?offset={start}", part).status_code == 200
    draft = send(server, ANNA, "POST", f"uploads/{upload}/finish").json()
    assert len(draft["rows"]) == 24
    wait_for(lambda: send(server, ANNA, "GET", f"drafts/{draft['id']}").json()["state"] == "ready")
    for path in (f"drafts/{draft['id']}", f"drafts/{draft['id']}/pictures/0"):
        assert send(server, ANNA, "GET", path).status_code == 200
        for other in (BEN, None, "local"):
            assert send(server, other, "GET", path).status_code == 404
    evil = {"Origin": "https://evil.example"}
    assert send(server, ANNA, "POST", f"drafts/{draft['id']}/store", {"title": "x"}, **evil).status_code == 403
    assert send(server, ANNA, "DELETE", f"drafts/{draft['id']}", **evil).status_code == 403
    own = {"Origin": str(server.client.base_url).rstrip("/")}
    assert send(server, ANNA, "DELETE", f"drafts/{draft['id']}", **own).status_code == 200
    assert CANARY not in send(server, ANNA, "GET", "drafts").text


def test_a_connection_that_breaks_in_the_middle_of_a_part_leaves_the_upload_as_it_was(server: Server):
    upload = begun(server, ANNA, 1_000_000)
    cookie = server.as_owner(ANNA)["Cookie"]
    where = server.client.base_url
    with socket.create_connection((where.host, where.port)) as broken:
        head = f"PUT /studio/uploads/{upload}/0?offset=0 HTTP/1.1\r\nHost: {where.host}:{where.port}\r\n"
        more = f"X-Studio: 1\r\nCookie: {cookie}\r\nContent-Length: 1000000\r\n\r\n"
        broken.sendall((head + more).encode() + b"x" * 5000)
    assert send(server, ANNA, "GET", f"uploads/{upload}").json()["received"] == [0]
    assert send(server, ANNA, "PUT", f"uploads/{upload}/0?offset=0", b"y" * 1000).json() == {"received": 1000}
    assert send(server, ANNA, "DELETE", f"uploads/{upload}").status_code == 200


def test_a_part_without_an_end_is_refused(server: Server):
    upload = begun(server, ANNA, 10**9)
    for body in (bytes(9 * MEGABYTE), iter([bytes(MEGABYTE)] * 20)):
        with suppress(httpx.WriteError):  # the server may have hung up while the rest was being sent
            answer = server.client.put(
                f"/studio/uploads/{upload}/0?offset=0",
                content=body,
                headers={"X-Studio": "1", **server.as_owner(ANNA)},
            )
            assert answer.status_code == 413
    assert send(server, ANNA, "GET", f"uploads/{upload}").json()["received"] == [0]
    assert send(server, ANNA, "DELETE", f"uploads/{upload}").status_code == 200


def test_two_servers_share_one_data_folder(server: Server):
    page, _, address = app.launch(block=False)
    try:
        assert address.rstrip("/") != str(server.client.base_url).rstrip("/")
        mine = server.as_owner(ANNA)
        listed = [
            client.get("/studio/jobs", headers=mine).json()
            for client in (server.client, httpx.Client(base_url=address))
        ]
        assert listed[0] == listed[1]
        assert JOB in [job["id"] for job in listed[0]["jobs"]]
    finally:
        page.close()


def test_the_working_directory_holds_nothing(server: Server):
    """Gradio publishes what lies there when a handler names it."""
    assert list(Path.cwd().iterdir()) == []
