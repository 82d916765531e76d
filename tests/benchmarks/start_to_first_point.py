"""How long after the click on Start the first point of the demo stands on the plot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figure import Figure
from tests.benchmarks.studio import page_of, points, serving, wait_for_rest, wait_for_standby
from tests.browser.conftest import Tab
from ui import words

LIMIT = 6.0
STEPS = 8
CLICK_AND_LOOK = """() => new Promise((resolve) => {
  const before = window.studio.state.job;
  const clicked = { at: Date.now() / 1000, from: performance.now() };
  const look = () => {
    const run = window.studio.state.run;
    const plot = document.querySelector("#plot-loss");
    const shown = run && run.id !== before && plot?.layout?.uirevision.startsWith(run.id) && plot.querySelector(".points path, .js-line");
    if (shown) resolve({ seconds: (performance.now() - clicked.from) / 1000, clicked: clicked.at, job: run.id });
    else requestAnimationFrame(look);
  };
  document.querySelector("#start").click();
  requestAnimationFrame(look);
})"""  # noqa: E501


def measure() -> Iterator[Figure]:
    """The first job right after the worker is warm, and a second one in a server that is at rest."""
    with serving() as server, page_of(server) as tab:
        wait_for_standby(server)
        yield _once(tab, "start to first point, first job")
        tab.wait("studio.state.run?.status.state === 'finished'", 120)
        wait_for_rest(server)
        yield _once(tab, "start to first point, second job")


def _once(tab: Tab, name: str) -> Figure:
    tab.step("train")
    tab.page.get_by_label(words.LENGTH).fill(str(STEPS))
    found = tab.page.evaluate(CLICK_AND_LOOK)
    folder: Path = tab.server.home / "jobs" / found["job"]
    written = points(folder, "eval")[0]["time"] - found["clicked"]
    return Figure(name, found["seconds"], "s", LIMIT, more=f"the worker had written it after {written:.2f} s")
