"""What an open page costs a running job: its steps per second without and with one, in turns within one job.

A viewer's browser runs elsewhere in daily life, so a client that only asks as the page does is measured beside the
real page in Chromium, whose drawing takes its own share of this machine's cores.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, stdev

from playwright.sync_api import Browser

from tests.benchmarks.figure import Figure
from tests.benchmarks.studio import (
    POINT_SEEN,
    chromium,
    cpu_seconds,
    new_tab,
    pid_of,
    points,
    serving,
    start_job,
    wait_for_rest,
    wait_until,
)
from tests.browser.conftest import Server

ROUNDS = 8
SECONDS = 4.0
"""Length of one turn."""
SETTLE = 0.5
ASK_EVERY = 0.5
"""As INTERVAL.seen of assets/js/run.js."""
LIMIT = 2.0
TOO_LONG = 20_000
"""Steps of the job, which is ended with the server."""

Viewer = Callable[[], AbstractContextManager[None]]


def measure() -> Iterator[Figure]:
    """Percent of the steps per second that are lost, the median over the rounds."""
    with serving() as server, chromium() as browser:
        wait_for_rest(server)
        tab = new_tab(browser, server)
        folder = start_job(tab, TOO_LONG, eval_every=TOO_LONG)
        wait_until(lambda: len(points(folder, "train")) > 20, 120)
        tab.page.context.close()
        viewers: list[Viewer] = [nullcontext, lambda: _asking(server, folder.name), lambda: _watching(browser, server)]
        rounds = [_round(server, folder, viewers, turn) for turn in range(ROUNDS)]
    yield _figure("open page, a client that asks", rounds, 1)
    yield _figure("open page, Chromium on this machine", rounds, 2)


def _figure(name: str, rounds: list[list[tuple[float, float]]], which: int) -> Figure:
    """Each round holds (steps/s, the server's share of a core) without a page, with the client, with Chromium."""
    lost = [100 * (1 - speeds[which][0] / speeds[0][0]) for speeds in rounds]
    each = ", ".join(f"{percent:.1f}" for percent in lost)
    server = 100 * (median(speeds[which][1] for speeds in rounds) - median(speeds[0][1] for speeds in rounds))
    alone = median(speeds[0][0] for speeds in rounds)
    error = 1.25 * stdev(lost) / len(lost) ** 0.5  # of a median, for noise that is normal
    more = f"± {error:.1f}, median of {each}; {alone:.1f} steps/s without; costs the server {server:.1f} % of a core"
    return Figure(name, median(lost), "%", LIMIT, error, more)


def _round(server: Server, folder: Path, viewers: list[Viewer], turn: int) -> list[tuple[float, float]]:
    """One turn with each viewer, beginning with another one each time."""
    found: dict[int, tuple[float, float]] = {}
    for place in range(len(viewers)):
        which = (place + turn) % len(viewers)
        with viewers[which]():
            found[which] = _turn(server, folder)
    return [found[which] for which in range(len(viewers))]


def _turn(server: Server, folder: Path) -> tuple[float, float]:
    """Steps per second by the worker's own clock, and the server's share of a core, over one turn."""
    pid = pid_of(server)
    time.sleep(SETTLE)
    began, used = time.time(), cpu_seconds(pid)
    time.sleep(SECONDS)
    share = (cpu_seconds(pid) - used) / SECONDS
    times = [point["time"] for point in points(folder, "train") if began <= point["time"]]
    return (len(times) - 1) / (times[-1] - times[0]), share


@contextmanager
def _watching(browser: Browser, server: Server) -> Iterator[None]:
    """The page on its train step, its plots drawn."""
    tab = new_tab(browser, server)
    tab.step("train")
    tab.page.wait_for_function(POINT_SEEN, timeout=60_000)
    try:
        yield
    finally:
        tab.page.context.close()


@contextmanager
def _asking(server: Server, job: str) -> Iterator[None]:
    """A client that asks for new points as often as the page does, and draws nothing."""
    ended = threading.Event()
    thread = threading.Thread(target=_ask, args=(server, job, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _ask(server: Server, job: str, ended: threading.Event) -> None:
    connection = HTTPConnection(server.address.removeprefix("http://"), timeout=30)
    since = 0
    while not ended.wait(ASK_EVERY):
        connection.request("GET", f"/studio/jobs/{job}/series?since={since}")
        since = json.load(connection.getresponse())["next"]
    connection.close()
