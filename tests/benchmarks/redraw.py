"""How long the page is held up by a new point on the plots of a job of 5,000 steps, with norms of every step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.figure import Figure
from tests.benchmarks.studio import end, page_of
from tests.browser.conftest import Server, Tab
from tests.browser.watched import watched_job

STEPS, TIMES = 5000, 20
LIMIT = 50.0
"""Milliseconds in one piece: less is not felt as a halt."""
REDRAW = """async (times) => {
  const { update, state } = await import(new URL("studio/static/js/store.js", document.baseURI).href);
  const run = state.run;
  const native = window.requestAnimationFrame.bind(window);
  const rest = () => new Promise((resolve) => native(() => setTimeout(resolve)));
  let pieces = [];
  const timed = (work) => {
    const began = performance.now();
    work();
    pieces.push(performance.now() - began);
  };
  window.requestAnimationFrame = (work) => native((now) => timed(() => work(now)));
  const found = [];
  for (let i = 0; i < times; i += 1) {
    const step = run.train.at(-1).step + 1;
    run.train.push({ ...run.train.at(-1), step });
    run.norms.push({ ...run.norms.at(-1), step });
    run.status = { ...run.status, step };
    run.next += 2;
    pieces = [];
    timed(() => update({ run }));
    for (let frame = 0; frame < 12; frame += 1) await rest();
    const whole = pieces.reduce((sum, piece) => sum + piece, 0);
    found.push({ update: pieces[0], longest: Math.max(...pieces), whole, frames: pieces.length });
  }
  window.requestAnimationFrame = native;
  return found;
}"""
"""Each chart is drawn in a frame of its own: the longest piece is what a click has to wait for."""


def measure() -> Iterator[Figure]:
    """Milliseconds of the page's main thread, medians."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as home:
        watched_job(Path(home), steps=STEPS)
        server = Server(Path(home))
        try:
            server.start()
            with page_of(server) as tab:
                found = _redrawn(tab)
        finally:
            end(server)
    longest, whole, panels = (median(each[name] for each in found) for name in ("longest", "whole", "update"))
    more = (
        f"{TIMES} points, median; all panels and charts {whole:.0f} ms in {found[0]['frames']} pieces, "
        f"panels {panels:.0f} ms"
    )
    yield Figure(f"new point, {STEPS:,} on the plots", longest, "ms", LIMIT, more=more)


def _redrawn(tab: Tab) -> list[dict[str, Any]]:
    """What each of the new points took."""
    tab.step("train")
    drawn = "document.querySelector('#plot-rate .js-line')"
    tab.wait(f"studio.state.run?.train.length === {STEPS} && {drawn}", 120)
    found: list[dict[str, Any]] = tab.page.evaluate(REDRAW, TIMES)
    return found
