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
DEEP = 500
"""Layers of the language model."""
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
    """Milliseconds, on the demo, on a 72 B model, and on one of 5,000 modules, also with a row open for each."""
    with serving() as server, page_of(server) as tab, tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        wait_for_rest(server)
        yield _toggle(tab, "toggle to count, demo")
        _open(tab, write_big_config(Path(folder) / "big"))
        yield _toggle(tab, "toggle to count, 72 B")
        _open(tab, _write_deep_config(Path(folder) / "deep"))
        yield _toggle(tab, "toggle to count, 5,000 modules")
        _open_every_row(tab)
        yield _toggle(tab, "toggle to count, 5,000 open rows")


def _write_deep_config(folder: Path) -> Path:
    """A model of 432 billion parameters in 5,056 modules, into this folder."""
    from transformers import Qwen2_5_VLConfig

    config = Qwen2_5_VLConfig(architectures=["Qwen2_5_VLForConditionalGeneration"])
    config.text_config.num_hidden_layers = DEEP
    config.text_config.layer_types = ["full_attention"] * DEEP
    config.vision_config.depth = 64
    config.save_pretrained(folder)
    return folder


def _open_every_row(tab: Tab) -> None:
    """Opens each layer by itself, and narrows the tree to all that learns, so that each of it has a row."""
    tab.step("targets")
    for row in (f"0-{DEEP - 1}]", f"0-{DEEP - 1}]/each"):
        tab.page.locator(f"#tree [data-id$='[{row}']").click()
    tab.page.fill("#tree input[type=search]", "proj")
    tab.page.wait_for_function("() => document.querySelector('#tree .tree').scrollHeight > 100_000")


def _open(tab: Tab, folder: Path) -> None:
    tab.step("model")
    tab.page.fill("#model-source textarea, #model-source input", str(folder))
    tab.page.click("#model-open")
    tab.wait(f"studio.state.model.label === '{folder.name}'")


def _toggle(tab: Tab, name: str) -> Figure:
    tab.step("targets")
    took = tab.page.evaluate(TOGGLE, TOGGLES)
    modules = tab.ask("studio.state.model.modules.length")
    more = f"p95 of {TOGGLES} in Chromium, p50 {quantile(took, 0.5):.1f}, {modules} modules"
    return Figure(name, quantile(took, 0.95), "ms", LIMIT, more=more)
