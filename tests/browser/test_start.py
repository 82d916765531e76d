"""No click on Start ends in silence: it starts one job, or the page says why not."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Tab
from ui import words

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NO_ANSWER = "The server did not answer"
SAID = "studio.state.startError"


def jobs(tab: Tab) -> int:
    """How many the server knows."""
    return int(
        tab.page.evaluate("() => fetch('studio/jobs').then((answer) => answer.json()).then(({ jobs }) => jobs.length)")
    )


def switch_projector(tab: Tab) -> None:
    tab.step("targets")
    tab.page.click("[data-cell='projector.mlp']")


def press(tab: Tab) -> None:
    """As a hand does: wherever the button stands, whether it can be pressed or not."""
    tab.page.evaluate("document.querySelector('#start').scrollIntoView({ block: 'center' })")
    tab.page.click("#start", force=True)


def holds_starts(tab: Tab) -> list[Route]:
    """From now on the server does not hear of a start -> the requests that are held."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "ticket" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    tab.page.route("**/gradio_api/**", hold)
    return held


def test_a_start_that_is_answered_late_starts_one_job_and_each_click_is_answered(tab: Tab) -> None:
    """Gradio drops a click while it waits for the answer to another one, and says nothing of it."""
    before = jobs(tab)
    held = holds_starts(tab)
    switch_projector(tab)
    tab.step("train")
    tab.page.get_by_label(words.LENGTH).fill("3")
    for _ in range(2):
        press(tab)
        tab.wait(f"{SAID}?.startsWith({json.dumps(NO_ANSWER)})")
        expect(tab.page.locator("#why-not")).to_contain_text(NO_ANSWER)
    assert jobs(tab) == before
    (first,) = held
    first.continue_()
    tab.wait(f"studio.state.run && {SAID} === null")
    assert jobs(tab) == before + 1
    tab.wait("studio.state.run.status.state === 'finished'", 300)


@pytest.mark.parametrize("delay", [0, 60, 150, 260, 300])
def test_start_right_after_the_projector_was_switched(tab: Tab, delay: int) -> None:
    """Whatever is still on its way: the server refuses these starts, and that is said."""
    tab.ask("void (window.chosen = studio.choice)")
    tab.ask("void (studio.choice = () => JSON.stringify({ ...JSON.parse(window.chosen()), dataset: 'demo:none' }))")

    later = f"new Promise((go) => setTimeout(go, {delay}))"
    tab.ask(f"void (window.fetch = ((real) => (...asked) => {later}.then(() => real(...asked)))(window.fetch))")
    for pause in (0, delay):
        switch_projector(tab)
        tab.page.wait_for_timeout(pause)
        tab.step("train")
        tab.page.get_by_label(words.LENGTH).fill(str(30 + pause))
        tab.page.wait_for_timeout(pause)
        press(tab)
        tab.wait(f"!studio.state.starting && {SAID} && !{SAID}.startsWith({json.dumps(NO_ANSWER)})")
        expect(tab.page.locator("#why-not")).to_contain_text("Not started")


def test_what_the_page_presses_by_itself_takes_no_refusal_away(tab: Tab) -> None:
    tab.step("train")
    tab.ask("void (studio.state.startError = 'It cannot be.')")
    tab.page.evaluate("document.querySelector('#form-event').click()")
    tab.page.evaluate("document.querySelector('#form-event').dispatchEvent(new Event('input', { bubbles: true }))")
    assert tab.ask(SAID) == "It cannot be."
    tab.page.get_by_label(words.LENGTH).fill("7")
    tab.wait(f"{SAID} === null")


def test_a_refusal_of_what_was_chosen_before_does_not_hold_a_start_up(tab: Tab) -> None:
    """The answer about the new choice is on its way for as long as it likes."""
    tab.ask("void (window.chosen = studio.choice)")
    tab.ask("void (studio.choice = () => JSON.stringify({ ...JSON.parse(window.chosen()), dataset: 'demo:none' }))")
    tab.wait("studio.state.advice")
    refused = "[{ control: 'selection', sentence: 'No.', change: null }]"
    tab.ask(f"void (studio.state.advice = {{ refused: {refused}, advice: [] }})")
    held: list[Route] = []
    tab.page.route("**/studio/advice", lambda route: held.append(route))
    switch_projector(tab)
    expect(tab.page.locator("#start")).to_have_attribute("aria-disabled", "true")
    press(tab)
    tab.wait(f"!studio.state.starting && {SAID}")
    assert not str(tab.ask(SAID)).startswith(NO_ANSWER)
    for route in held:
        route.continue_()
    tab.page.unroute_all(behavior="wait")


def test_a_press_while_a_job_runs_says_so(tab: Tab) -> None:
    tab.start(400)
    press(tab)
    expect(tab.page.locator("#why-not")).to_contain_text("A job is training")
    tab.page.click("#stop")
    tab.wait("studio.state.run.status.state === 'stopped'", 300)
    expect(tab.page.locator("#why-not")).not_to_contain_text("A job is training")
