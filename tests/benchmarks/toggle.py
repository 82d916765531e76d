"""How long after a click on a toggle of the switchboard the new count stands on the page."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.big_config import write_big_config
from tests.benchmarks.figure import Figure, quantile
from tests.benchmarks.studio import page_of, serving, wait_for_rest
from tests.browser.conftest import Tab

TOGGLES = 120
LIMIT = 100.0
TOGGLE = """async (times) => {
  const text = () => document.querySelector("#trainable").textContent;
  const painted = () => new Promise((resolve) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(null);
  }));
  const took = [];
  for (let i = 0; i < times; i += 1) {
    const toggles = document.querySelectorAll("#switchboard [data-cell]");
    const before = text();
    await painted();
    const began = performance.now();
    toggles[i % toggles.length].click();
    await painted();
    const ended = performance.now();
    if (text() === before) throw new Error("the count did not change");
    took.push(ended - began);
  }
  return took;
}"""
"""The clock stops after the next animation frame has been laid out and painted."""


def measure() -> Iterator[Figure]:
    """Milliseconds, on the demo and on a 72 B model."""
    with serving() as server, page_of(server) as tab, tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        wait_for_rest(server)
        yield _toggle(tab, "toggle to count, demo")
        _open(tab, write_big_config(Path(folder)))
        yield _toggle(tab, "toggle to count, 72 B")


def _open(tab: Tab, folder: Path) -> None:
    tab.step("model")
    tab.page.fill("#model-source textarea, #model-source input", str(folder))
    tab.page.click("#model-open")
    tab.wait("studio.state.model.total > 7e10")


def _toggle(tab: Tab, name: str) -> Figure:
    tab.step("targets")
    took = tab.page.evaluate(TOGGLE, TOGGLES)
    modules = tab.ask("studio.state.model.modules.length")
    more = f"p95 of {TOGGLES} in Chromium, p50 {quantile(took, 0.5):.1f}, {modules} modules"
    return Figure(name, quantile(took, 0.95), "ms", LIMIT, more=more)
