"""A server in a data folder of its own and a page in Chromium, for measuring; everything is ended afterwards.

What it does not do: run anywhere but on Linux; processes are read from /proc.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import FLAGS, Server, Tab
from ui import words

QUIET_SECONDS, QUIET_SHARE = 1.0, 0.05
"""A process that uses less than this share of a core for so long is taken to be waiting."""
TICKS = os.sysconf("SC_CLK_TCK")
POINT_SEEN = """() => {
  const run = window.studio.state.run;
  const plot = document.querySelector("#plot-loss");
  return Boolean(run && plot?.layout?.uirevision.startsWith(run.id) && plot.querySelector(".points path, .js-line"));
}"""
"""Whether the plot of the job in view shows a point."""


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """`python app.py` over an empty data folder."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as home:
        server = Server(Path(home))
        try:
            server.start()
            yield server
        finally:
            end(server)


def end(server: Server) -> None:
    """Kills the server and the workers that it has started."""
    if server.process is None:
        return
    workers = children(server.process.pid)
    server.kill()
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(is_running(pid) for pid in workers), 10)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise SystemExit("Chromium is needed; `make browser` installs it.")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=FLAGS)
        try:
            yield running
        finally:
            running.close()


@contextlib.contextmanager
def page_of(server: Server) -> Iterator[Tab]:
    """The studio's page, opened, with its model."""
    with chromium() as browser:
        yield new_tab(browser, server)


def new_tab(browser: Browser, server: Server) -> Tab:
    """A page of its own session."""
    return Tab(browser.new_context(viewport={"width": 1440, "height": 900}).new_page(), server)


def start_job(tab: Tab, steps: int, eval_every: int | None = None) -> Path:
    """Starts a demo job by the page's button -> its folder; returns when the page has it in view."""
    tab.step("train")
    tab.page.get_by_label(words.LENGTH).fill(str(steps))
    if eval_every is not None:
        tab.page.get_by_role("button", name=words.ADVANCED).click()
        tab.page.get_by_label(words.EVAL_EVERY).fill(str(eval_every))
    before = tab.ask("studio.state.job")
    tab.page.click("#start")
    tab.wait(f"studio.state.run && studio.state.job && studio.state.job !== {json.dumps(before)}", 120)
    return tab.server.home / "jobs" / str(tab.ask("studio.state.job"))


def points(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The job's points of one kind so far."""
    lines = (folder / "metrics.jsonl").read_text().split("\n")[:-1]
    return [point for point in map(json.loads, lines) if point["kind"] == kind]


def pid_of(server: Server) -> int:
    """The running server's process."""
    if server.process is None:
        raise AssertionError("the server is not started")
    return server.process.pid


def wait_for_rest(server: Server) -> None:
    """Returns when the warm worker waits and the server has done its own imports."""
    wait_for_standby(server)
    wait_until_quiet(pid_of(server))


def wait_for_standby(server: Server, seconds: float = 120) -> None:
    """Returns when the server's warm worker has done its imports and waits for a job."""
    pid = pid_of(server)
    wait_until(lambda: any(is_standby(child) for child in children(pid)), seconds)
    wait_until_quiet(next(child for child in children(pid) if is_standby(child)), seconds)


def wait_until_quiet(pid: int, seconds: float = 120) -> None:
    """Returns when the process has hardly used the CPU for `QUIET_SECONDS`."""
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        used = cpu_seconds(pid)
        time.sleep(QUIET_SECONDS)
        if cpu_seconds(pid) - used < QUIET_SHARE * QUIET_SECONDS:
            return
    raise AssertionError(f"process {pid} is still busy after {seconds} s")


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Returns when the condition holds.

    Raises:
        AssertionError: it does not in time.
    """
    end_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end_at:
            raise AssertionError(f"nothing came within {seconds} s")
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """The processes that this one has started and that are still there."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(_stat(int(folder.name))[1]) == pid:
                found.append(int(folder.name))
    return found


def is_standby(pid: int) -> bool:
    """Whether this is a warm worker that has not been given a job yet: the server still holds its input."""
    folder = Path("/proc") / str(pid)
    with contextlib.suppress(OSError):
        is_warm = (folder / "cmdline").read_bytes().endswith(b"--standby\0")
        return is_warm and (folder / "fd/0").readlink().name.startswith("pipe:")
    return False


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    with contextlib.suppress(OSError):
        return _stat(pid)[0] not in "ZX"
    return False


def cpu_seconds(pid: int) -> float:
    """What the process has used of the CPU so far."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (the state) on."""
    return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
