"""Two trainings by the real worker as a person watches them: DoRA on vision and language with its proof, and AdaLoRA
with where its rank went.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TRAINING, Tab

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def choose(tab: Tab, method: str, preset: str) -> Page:
    """What learns, and how."""
    tab.step("targets")
    tab.page.click(f"#switchboard [data-preset={preset}]")
    tab.page.check(f"input[name=method][value={method}]")
    tab.holds("studio.state.recipe.method", method)
    return tab.page


def finish(tab: Tab) -> Any:
    """The run as the page knows it once it has ended well."""
    tab.wait("['finished', 'failed', 'lost'].includes(studio.state.run.status.state)", TRAINING)
    assert tab.ask("studio.state.run.status.state") == "finished", tab.ask("studio.state.run.status.error")
    tab.wait("studio.state.run.whole && studio.state.run.info.adapter_bytes && studio.state.run.proof")
    return tab.ask("studio.state.run")


def test_dora_on_vision_and_language_is_watched_and_proved(tab: Tab) -> None:
    page = choose(tab, "dora", "vision_language")
    tab.start(30)
    tab.wait("studio.state.run.norms.length > 0")
    expect(page.locator("[data-chart=norm] .legend [data-component=vision]")).to_be_visible()  # while it trains
    run = finish(tab)
    last = run["norms"][-1]
    for kind in ("grad", "weight", "update"):
        assert {"vision", "language"} <= last[kind].keys()
    assert run["layers"]
    assert run["flows"]
    assert {"answers_only", "frozen_first", "vision_cache"} <= {lever["name"] for lever in run["levers"]}
    assert {"precision", "checkpointing", "attention"} <= {choice["name"] for choice in run["choices"]}
    expect(page.locator("[data-heat=flow] [role=gridcell]")).to_have_count(len(run["layers"]))
    expect(page.locator("#how")).to_contain_text(run["levers"][0]["reason"])

    tab.step("result")
    expect(page.locator("#proof .moved")).to_be_visible()
    assert run["proof"]["frozen"]["same"]
    expect(page.locator("#proof .note.ok")).to_contain_text("bit-identical")
    for name, part in run["proof"]["components"].items():
        said = page.inner_text(f"#proof [role=listitem][data-component={name}]")
        assert ("✓ unchanged" in said) is not part["chosen"], said
    expect(page.locator("[data-heat=proof] [role=gridcell]")).to_have_count(len(run["proof"]["modules"]))


def test_adalora_shows_where_rank_went(tab: Tab) -> None:
    page = choose(tab, "adalora", "vision_language")
    tab.start(40)
    run = finish(tab)
    first, last = run["ranks"][0]["ranks"], run["ranks"][-1]["ranks"]
    assert len(first) == len(last) == len(run["modules"])
    assert sum(last) < sum(first), "rank was taken away"
    tab.step("train")
    cells = page.locator("[data-heat=ranks] [role=gridcell]:not(.sum)")
    expect(cells).to_have_count(len(last))
    assert sorted(map(int, cells.all_inner_texts())) == sorted(last)
    page.locator("[data-when=rank]").focus()
    page.keyboard.press("Home")
    expect(page.locator("[data-when=rank]")).to_have_value("0")
    assert sorted(map(int, cells.all_inner_texts())) == sorted(first)
