"""What comes in between: an answer while somebody types, a second click, a reload before all of it was there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import TRAINING, Tab
from tests.browser.drafts import bring, read_anew
from tests.browser.own_data import captions

pytestmark = pytest.mark.browser


class Gate:
    """Holds the requests for an address until it is opened."""

    def __init__(self, tab: Tab, address: str) -> None:
        self.held: list[Route] = []
        self.is_open = False
        tab.page.route(address, lambda route: self._pass(route))

    def _pass(self, route: Route) -> None:
        if self.is_open:
            route.continue_()
        else:
            self.held.append(route)

    def open(self) -> None:
        self.is_open = True
        for route in self.held:
            route.continue_()


def test_what_is_typed_stays_when_an_answer_comes_and_is_taken(tab: Tab) -> None:
    gate = Gate(tab, "**/studio/memory")
    tab.step("targets")
    tab.page.click("#memory-fold summary")
    tab.until(lambda: gate.held)
    tab.page.fill("#memory-side", "96")
    gate.open()
    expect(tab.page.locator("#memory table.terms")).to_be_visible()
    expect(tab.page.locator("#memory-side")).to_have_value("96")
    tab.page.press("#memory-side", "Tab")
    tab.holds("studio.state.memory.side", 96)
    expect(tab.page.locator("#memory-at-once")).to_have_attribute("placeholder", "16")  # drawn once it was left


def test_what_is_typed_into_the_sheet_stays_while_the_check_ends_and_is_taken(tab: Tab, tmp_path: Path) -> None:
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    gate = Gate(tab, "**/studio/drafts/*")  # what is asked while the check goes on
    tab.page.select_option("#draft-format", "captions")
    tab.page.fill("#draft-template", "What is this?")
    tab.page.press("#draft-template", "Tab")
    tab.until(lambda: gate.held)
    tab.page.fill("#split-share", "25")
    gate.open()
    tab.wait("studio.state.draft.state === 'ready'")
    with read_anew(tab):
        tab.page.press("#split-share", "Tab")
    tab.holds("[studio.state.draft.reading.split.share, studio.state.draft.reading.template]", [0.25, "What is this?"])


def test_a_reload_before_a_model_s_usual_settings_were_there_asks_for_them_again(tab: Tab) -> None:
    rate = tab.page.locator("#settings").get_by_role("textbox", name="Learning rate")
    # As it is left while the settings that suit the model in hand are on their way.
    tab.ask("""(() => {
      const kept = JSON.parse(sessionStorage.getItem("vlm-lora-studio"));
      const form = { ...studio.state.form, learning_rate: "0.7", batch_size: 5, length: 9 };
      sessionStorage.setItem("vlm-lora-studio", JSON.stringify({ ...kept, form, formKey: "another" }));
    })()""")
    tab.reload()
    tab.step("train")
    expect(rate).to_have_value("0.003")
    tab.holds("[studio.state.form.learning_rate, studio.state.form.length]", ["0.003", 9])
    tab.holds("studio.state.formKey === studio.state.modelKey", True)


@pytest.mark.slow
def test_a_second_click_starts_no_second_job(tab: Tab) -> None:
    tab.step("train")
    tab.setting("How long").fill("5000")
    before = tab.page.request.get(f"{tab.server.address}/studio/jobs").json()["jobs"]
    job = tab.ask("studio.state.job")
    tab.page.dblclick("#start")
    tab.wait("studio.state.run && studio.state.run.id === studio.state.job && studio.state.run.train.length > 0")
    assert tab.ask("studio.state.job") != job
    expect(tab.page.locator("#aside [role=alert]")).to_have_count(0)
    after = tab.page.request.get(f"{tab.server.address}/studio/jobs").json()["jobs"]
    assert len(after) == len(before) + 1
    tab.page.click("#stop")
    tab.wait("studio.state.run.whole", TRAINING)
