"""Rows that name files outside of the data: refused by name, never opened, never fetched; the other rows are there."""

from __future__ import annotations

import base64
import http.server
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from core.data.storing.drafts import Drafts
from core.errors import StudioError
from tests.bad_inputs.conftest import SECRET
from tests.bad_inputs.ground import (
    blocked,
    brought,
    found,
    good,
    jsonl,
    named,
    plain,
    png,
    row,
    things,
    watched,
    zipped,
)

OTHERS = things(0, 1, 2, 4, 5)


def refused(home: Path, name: str, said: str, kind: str = "unsafe_path") -> None:
    """A row that names this file is refused in a table of each kind, in words; nothing outside is opened."""
    rows = [row(number) if number != 3 else row(3, image=name) for number in range(6)]
    for table, content, line in (
        ("data.jsonl", jsonl(*rows), 4),
        ("data.json", json.dumps(rows).encode(), 4),
        ("data.csv", as_csv(rows), 5),
        ("data.parquet", as_parquet(rows), 4),
    ):
        files = good()
        del files["3.png"], files["data.jsonl"]
        with watched(home):
            draft = brought(home, {"data.zip": zipped({**files, table: content})})
            finding = named(home, draft, kind, (table, line))
            assert said in finding.places[0].detail
            assert blocked(home, draft, kind) == OTHERS
        assert_secret_stayed(home)


def as_csv(rows: list[dict[str, object]]) -> bytes:
    lines = [f'"{one["image"]}","{one["question"]}","{one["answer"]}"' for one in rows]
    return "\n".join(("image,question,answer", *lines)).encode()


def as_parquet(rows: list[dict[str, object]]) -> bytes:
    """Pictures as `datasets` has them: bytes, or the path that lies in the file."""
    structs = [{"bytes": None, "path": one["image"]} for one in rows]
    file = io.BytesIO()
    table = {"image": structs, "question": [one["question"] for one in rows], "answer": [one["answer"] for one in rows]}
    pyarrow.parquet.write_table(pa.table(table), file)
    return file.getvalue()


def assert_secret_stayed(home: Path) -> None:
    """Nothing of what lies outside has come into the owner's folder."""
    picture = (home.parent / "secret.png").read_bytes()
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert SECRET not in content
            assert picture not in content


def test_paths_01_absolute(home: Path) -> None:
    refused(home, str(home.parent / "secret.png"), "it is a path from the root of a machine")
    refused(home, "C:/secret.png", "from the root of a machine")


def test_paths_02_climbing(home: Path) -> None:
    refused(home, "../../../secret.png", "it climbs out with “..”")
    refused(home, "a/../../../../secret.png", "it climbs out with “..”")


def test_paths_02_climbing_that_stays_inside_is_fine(home: Path) -> None:
    files = {"rows/data.jsonl": jsonl(*(row(n, image=f"../pictures/{n}.png") for n in range(6)))}
    files |= {f"pictures/{number}.png": png(number) for number in range(6)}
    with watched(home):
        draft = brought(home, {"data.zip": zipped(files)})
    assert draft.report is not None
    assert draft.report.usable == 6


def test_paths_03_symlink_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of the server, the only place where a link can stand."""
    root = home / "folders"
    for name, content in good().items():
        (root / "mine").mkdir(parents=True, exist_ok=True)
        (root / "mine" / name).write_bytes(content)
    (root / "mine" / "3.png").unlink()
    os.symlink(home.parent / "secret.png", root / "mine" / "3.png")
    os.symlink(home.parent, root / "mine" / "up")
    monkeypatch.setenv("STUDIO_DATA_ROOT", str(root))
    drafts = Drafts(home)
    with watched(home):
        draft = drafts.check(drafts.from_folder(str(root / "mine")))
        finding = named(home, draft, "unsafe_path", ("data.jsonl", 4))
        assert "it is a link" in finding.places[0].detail
        assert {place.file for place in found(draft, "refused_file").places} == {"3.png", "up"}
        assert blocked(home, draft, "unsafe_path") == OTHERS
    assert_secret_stayed(home)


def test_paths_03_symlink_out_that_is_put_there_after_the_look(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = home / "folders"
    (root / "mine").mkdir(parents=True)
    for name, content in good().items():
        (root / "mine" / name).write_bytes(content)
    monkeypatch.setenv("STUDIO_DATA_ROOT", str(root))
    drafts = Drafts(home)
    draft = drafts.check(drafts.from_folder(str(root / "mine")))
    tree = draft.tree
    assert tree.entries["3.png"].size
    (root / "mine" / "3.png").unlink()
    os.symlink(home.parent / "secret.png", root / "mine" / "3.png")
    with watched(home), pytest.raises(StudioError) as caught:
        tree.entries["3.png"].read()
    plain(str(caught.value), home, "“3.png”", "it became a link")


def test_paths_03_symlink_out_of_the_root_of_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = home / "folders"
    root.mkdir()
    os.symlink(home.parent, root / "mine")
    monkeypatch.setenv("STUDIO_DATA_ROOT", str(root))
    with watched(home):
        for path in (root / "mine", root / "..", home.parent, Path("/etc")):
            with pytest.raises(StudioError) as caught:
                Drafts(home).from_folder(str(path))
            assert str(caught.value).endswith(".")


def test_paths_04_proc_self_environ(home: Path) -> None:
    refused(home, "/proc/self/environ", "it is a path from the root of a machine")


def test_paths_05_file_url(home: Path) -> None:
    refused(home, f"file://{home.parent}/secret.png", "it is an address")
    refused(home, "FILE:/etc/passwd.png", "it is an address")


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """A server on this machine that hands out a picture, and what it was asked for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png(7))

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, paths
    server.shutdown()
    server.server_close()
    thread.join()


def test_paths_06_loopback_url(home: Path, asked: tuple[int, list[str]]) -> None:
    port, paths = asked
    for address in (f"http://127.0.0.1:{port}/x.png", f"HTTPS://localhost:{port}/x.png", f"http://[::1]:{port}/x.png"):
        refused(home, address, "nothing is fetched")
    assert paths == []


def test_paths_07_link_local_url(home: Path) -> None:
    refused(home, "http://169.254.169.254/latest/meta-data/x.png", "nothing is fetched")
    refused(home, "ftp://169.254.169.254/x.png", "nothing is fetched")


def test_paths_08_unc(home: Path) -> None:
    refused(home, "//server/share/x.png", "it is a path of the network")
    rows = [row(number) if number != 3 else row(3, image="\\\\server\\share\\x.png") for number in range(6)]
    with watched(home):
        draft = brought(home, {**good(), "data.jsonl": jsonl(*rows)})
        named(home, draft, "unsafe_path", ("data.jsonl", 4))


def test_paths_08_unc_inside_of_a_picture_in_base64_is_only_bytes(home: Path) -> None:
    inside = "data:image/png;base64," + base64.b64encode(png(3)).decode()
    rows = [row(number) if number != 3 else row(3, image=inside) for number in range(6)]
    with watched(home):
        draft = brought(home, {**good(), "data.jsonl": jsonl(*rows)})
    assert draft.report is not None
    assert draft.report.usable == 6
