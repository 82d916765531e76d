"""Whether the Hub is shown this machine's token: never for strangers on a shared server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CODE = """
import sys
from core.errors import SourceError
from core.models.inspection import inspect_source
from core.models.loading import load_model, load_processor
from core.spec import Source
token = sys.argv[1] == "True"
source = Source("hub", "owner/name")
for ask in (
    lambda: inspect_source(source, None, token), lambda: load_processor(source, token),
    lambda: load_model(source, "cpu", "float32", token),
):
    try:
        ask()
    except SourceError:
        continue
    sys.exit("it was answered")
"""


@pytest.fixture
def hub() -> Iterator[tuple[str, list[str]]]:
    """The address of a hub that knows no model, and the headers that it was shown."""
    shown: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(str(self.headers))
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", shown
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("token", [True, False])
def test_the_token_is_shown_only_where_it_is_allowed(hub: tuple[str, list[str]], tmp_path: Path, token: bool) -> None:
    address, shown = hub
    (tmp_path / "token").write_text("hf_stored_canary")
    environment = {name: text for name, text in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"}
    subprocess.run([sys.executable, "-c", CODE, str(token)], env=environment, check=True)
    assert len(shown) >= 3
    assert all(("canary" in headers) == token for headers in shown)
