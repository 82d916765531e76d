"""A server of its own data folder, and pages in Debian's or the system's Chromium.

No test may depend on how fast the machine is: it waits for the very thing that it asserts (`Tab.wait`, `Tab.holds`,
`expect`), however long that takes. `SLOW_BROWSER=1 make test`, or pytest on one file, shows whether one does: pages are
throttled, requests are late in a random order, and the server is nice (see slowness.py).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, TimeoutError, expect, sync_playwright

from tests.browser.slowness import NICE, SLOW, delayed, slowed

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 120 if SLOW else 60
"""Seconds that a test waits for anything before it gives up."""
expect.set_options(timeout=PATIENCE * 1000)


class Server:
    """`python app.py` on a free port of the loopback interface, which can be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.address = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> float:
        """Starts it and returns the seconds until it said that it is up."""
        began = time.monotonic()
        environment = {
            **os.environ,
            "STUDIO_HOME": str(self.home),
            "HF_HUB_OFFLINE": "1",
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "PYTHONUNBUFFERED": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
        }
        log = (self.home / "server.log").open("a")
        self.process = subprocess.Popen(
            [*(NICE if SLOW else ()), sys.executable, "app.py"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                self.address = delayed(found.group()) if SLOW else found.group()
                return time.monotonic() - began
        raise AssertionError((self.home / "server.log").read_text())

    def kill(self) -> None:
        """As a crash does it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("studio"))
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "Chromium is needed for the browser tests; `make browser` installs it"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield running
        running.close()


class Tab:
    """A page with the studio open, and what its console said."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE * 1000)
        slowed(page)
        page.on("pageerror", lambda error: self.errors.append(str(error.stack or error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.open()

    def open(self) -> None:
        """Opens the page and waits for the model."""
        self.page.goto(self.server.address)
        self.wait("studio.state.model && studio.state.home")

    def wait(self, condition: str, seconds: float = PATIENCE) -> None:
        """Waits until a condition on `window.studio` holds."""
        self.page.wait_for_function(f"() => window.studio && ({condition})", timeout=1000 * max(seconds, PATIENCE))

    def holds(self, expression: str, value: object) -> None:
        """Waits until a value of the page is this one; where it never is, says what it is instead."""
        is_it = """([text, value]) => {
          try {
            return JSON.stringify(eval(text)) === JSON.stringify(value);
          } catch {
            return false;
          }
        }"""
        try:
            self.page.wait_for_function(is_it, arg=[expression, value])
        except TimeoutError:
            assert self.ask(expression) == value
            raise

    def ask(self, expression: str) -> object:
        """A value from the page as it is now: of what does not change any more."""
        return self.page.evaluate(f"() => {expression}")

    def step(self, name: str) -> None:
        """Goes to a step by its button."""
        self.page.click(f"nav.steps [data-step={name}]")

    def start(self, steps: int) -> str:
        """Starts a job of so many steps, waits until it is in view, and returns its id."""
        self.step("train")
        self.page.get_by_label("How long").fill(str(steps))
        self.page.click("#start")
        self.wait("studio.state.run && !studio.state.starting && studio.state.run.train.length >= 3", 120)
        assert self.ask("studio.state.run.status.total_steps") == steps
        return str(self.ask("studio.state.job"))

    @property
    def trainable(self) -> int:
        """The count in sight."""
        return int(self.page.inner_text("#trainable").replace(",", ""))


@pytest.fixture
def tab(server: Server, browser: Browser) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    opened = Tab(context.new_page(), server)
    yield opened
    context.close()
    assert not opened.errors, opened.errors


def hard_to_use(tab: Tab) -> list[tuple[str, list[object]]]:
    """What axe finds serious or critical on the page as it stands, each rule with the first places."""
    result = Axe().run(tab.page)
    serious = [one for one in result.response["violations"] if one["impact"] in ("serious", "critical")]
    return [(one["id"], [node["target"] for node in one["nodes"]][:4]) for one in serious]
