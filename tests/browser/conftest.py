"""A server of its own data folder, and pages in Debian's or the system's Chromium.

No test may depend on how fast the machine is: it waits for the very thing that it asserts (`Tab.wait`, `Tab.holds`,
`expect`), however long that takes. `SLOW_BROWSER=1 make test`, or pytest on one file, shows whether one does: pages are
throttled, requests are late in a random order, and the server is nice (see slowness.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect, sync_playwright

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
PATIENCE = 240
"""Seconds that a test waits for anything before it gives up: a machine that others use as well may stand still for a
minute or two, and a test that passes does not wait."""
TRAINING = 900
"""The same for the end of a training."""
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


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("studio"))
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="package")
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
        self.excused: tuple[str, ...] = ()
        page.set_default_timeout(PATIENCE * 1000)
        slowed(page)
        page.on("pageerror", lambda error: self.errors.append(str(error.stack or error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.open()

    def open(self) -> None:
        """Opens the page and waits for the model."""
        self.page.goto(self.server.address)
        self.opened()

    def reload(self) -> None:
        """As a person does it."""
        self.page.reload()
        self.opened()

    def opened(self) -> None:
        """Waits for the model, and for every part of the page."""
        self.wait("studio.state.model && studio.state.home")
        self.wait("[...document.querySelectorAll('.island-root')].every((place) => place.dataset.mounted)")

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

    def until(self, true: Callable[[], object]) -> None:
        """Waits until it is true."""
        began = time.monotonic()
        while not true():
            assert time.monotonic() - began < PATIENCE, "waited too long"
            self.page.wait_for_timeout(100)

    def still(self) -> None:
        """Waits until nothing on the page moves, but for what says that it waits."""
        self.wait("""document.fonts.status === 'loaded' && document.getAnimations().every((each) =>
            each.playState !== 'running' || each.effect.getComputedTiming().endTime === Infinity)""")

    def excuse(self, *parts: str) -> None:
        """Of what the console says, this is what the test itself brought about, whenever it is said."""
        self.excused += parts or ("Failed to load resource",)

    @property
    def faults(self) -> list[str]:
        """What the console said and was not to say."""
        return [said for said in self.errors if not any(part in said for part in self.excused)]

    def setting(self, label: str, exact: bool = False) -> Locator:
        """A field of the settings; the label alone may stand in another panel too, once that is there."""
        return self.page.locator("#settings").get_by_label(label, exact=exact)

    def advanced(self) -> None:
        """Unfolds the rest of the settings."""
        self.page.locator("#settings").get_by_role("button", name="Advanced").click()

    def step(self, name: str) -> None:
        """Goes to a step by its button."""
        self.page.click(f"nav.steps [data-step={name}]")

    def start(self, steps: int) -> str:
        """Starts a job of so many steps, waits until it is in view, and returns its id."""
        self.step("train")
        self.setting("How long").fill(str(steps))
        before = self.ask("studio.state.job")  # of another test: it stays in view until the new one has begun
        self.page.click("#start")
        self.wait(f"studio.state.job && studio.state.job !== {json.dumps(before)}")
        job = str(self.ask("studio.state.job"))
        self.wait(f"studio.state.run?.id === '{job}' && studio.state.run.train.length >= 3", TRAINING)
        self.holds("studio.state.run.status.total_steps", steps)
        return job

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
    assert not opened.faults, opened.faults


def hard_to_use(tab: Tab) -> list[tuple[str, list[object]]]:
    """What axe finds serious or critical on the page as it stands, each rule with the first places."""
    result = Axe().run(tab.page)
    serious = [one for one in result.response["violations"] if one["impact"] in ("serious", "critical")]
    return [(one["id"], [node["target"] for node in one["nodes"]][:4]) for one in serious]
