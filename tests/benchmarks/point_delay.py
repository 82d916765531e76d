"""How long after a step its point stands on the plot of an open page."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.figure import Figure, quantile
from tests.benchmarks.studio import page_of, serving, start_job, wait_for_standby

STEPS = 120
LIMIT = 1.5
WATCH = """() => {
  window.delays = [];
  const look = () => {
    const run = window.studio.state.run;
    const plot = document.querySelector("#plot-loss");
    const drawn = run && plot?.layout?.uirevision.startsWith(run.id) ? plot.data[0].x.length : 0;
    for (let i = window.delays.length; i < drawn; i += 1) window.delays.push(Date.now() / 1000 - run.train[i].time);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
"""Notes for every train point the time from its `time` in metrics.jsonl to the first frame with it in the plot."""


def measure() -> Iterator[Figure]:
    """Seconds from the worker's clock to the page's, on one machine."""
    with serving() as server, page_of(server) as tab:
        wait_for_standby(server)
        tab.page.evaluate(WATCH)
        start_job(tab, STEPS)
        tab.wait("studio.state.run.status.state === 'finished'", 240)
        tab.wait(f"window.delays.length === {STEPS}", 10)
        delays = tab.page.evaluate("window.delays")
    more = f"p95 of {len(delays)} steps, p50 {quantile(delays, 0.5):.2f}, longest {max(delays):.2f}"
    yield Figure("step to its point on the plot", quantile(delays, 0.95), "s", LIMIT, more=more)
