"""What the tests of bringing data share: small zips of pictures, an upload in parts, a draft that is waited for."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import Any

import httpx
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from tests.ui.parts import wait_for
from ui.routes import studio_routes
from ui.studio import OWNER_COOKIE, Studio

MARK = {"X-Studio": "1"}
ANSWERS = ("a cat", "a dog", "an <b>ox</b>")
SCRIPT = "<script>alert(1)</script>"


def client_of(studio: Studio, owner: str | None = None) -> TestClient:
    """A browser on the page."""
    cookies = {OWNER_COOKIE: owner} if owner else None
    return TestClient(Starlette(routes=studio_routes(studio)), cookies=cookies, raise_server_exceptions=False)


def noise(number: int, size: tuple[int, int] = (48, 40)) -> bytes:
    """A picture that is like no other one, as PNG."""
    file = BytesIO()
    image = Image.effect_noise(size, 40 + number % 60).convert("RGB")
    image.putpixel((0, 0), (number % 256, number // 256, 7))
    image.save(file, "PNG")
    return file.getvalue()


def zip_of(files: dict[str, bytes | str]) -> bytes:
    """The files as a zip."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def vqa(rows: int = 30, **more: bytes | str) -> bytes:
    """A zip of pictures with a table of questions and answers; `more` are further files by their names."""
    lines = [f"images/{n}.png,What is it?,{ANSWERS[n % len(ANSWERS)]}" for n in range(rows)]
    table = "\n".join(["file_name,question,answer", *lines])
    return zip_of({f"images/{n}.png": noise(n) for n in range(rows)} | {"vqa.csv": table} | more)


def said(answer: httpx.Response, code: int = 200) -> dict[str, Any]:
    """What was answered."""
    assert answer.status_code == code, (answer.url, answer.text[:300])
    assert answer.headers["x-content-type-options"] == "nosniff"
    found: dict[str, Any] = answer.json()
    return found


def begin(client: TestClient, *files: tuple[str, int]) -> str:
    """Begins an upload."""
    named = [{"name": name, "size": size} for name, size in files]
    return str(said(client.post("/studio/uploads", json={"files": named}))["id"])


def send(client: TestClient, upload: str, data: bytes, number: int = 0, offset: int = 0) -> httpx.Response:
    """Sends a part of a file."""
    address = f"/studio/uploads/{upload}/{number}?offset={offset}"
    return client.put(address, content=data, headers=MARK)


def bring(client: TestClient, data: bytes, name: str = "my pets.zip") -> dict[str, Any]:
    """Uploads one file -> the draft that is made of it."""
    upload = begin(client, (name, len(data)))
    said(send(client, upload, data))
    return said(client.post(f"/studio/uploads/{upload}/finish", json={}))


def waited(client: TestClient, draft: str, seconds: float = 120.0) -> dict[str, Any]:
    """The draft when nothing is being done with it any more."""
    wait_for(lambda: said(client.get(f"/studio/drafts/{draft}"))["state"] not in ("checking", "storing"), seconds)
    return said(client.get(f"/studio/drafts/{draft}"))


def stored(client: TestClient, data: bytes | None = None, title: str = "Pets") -> str:
    """Brings data and stores them -> the set's hash."""
    draft = bring(client, data or vqa())["id"]
    assert waited(client, draft)["state"] == "ready"
    said(client.post(f"/studio/drafts/{draft}/store", json={"title": title}))
    done = waited(client, draft)
    assert done["state"] == "stored", done["error"]
    return str(done["stored"])


def asked_in_json(client: TestClient, path: str, body: Any, **headers: str) -> httpx.Response:
    """A POST whose body is made by hand."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, content=content, headers={"Content-Type": "application/json", **headers})
