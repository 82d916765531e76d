"""The page itself: the tree, presets, refusals in words, phones, dark mode, accessibility, other models' counts."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import Server, Tab, hard_to_use

pytestmark = pytest.mark.browser
STEPS = ("model", "targets", "data", "train", "result")


CELLS = "[...studio.state.selection.cells].sort()"


def open_model(tab: Tab, text: str) -> None:
    tab.step("model")
    tab.page.fill("#model-source textarea, #model-source input", text)
    tab.page.click("#model-open")


OPEN_ALL_AND_NARROW = """() => {
  const [tree, search] = ["#tree .tree", "#tree input[type=search]"].map((each) => document.querySelector(each));
  for (let i = 0; i < 40; i += 1) {
    tree.scrollTop = i * 100;
    tree.dispatchEvent(new Event("scroll"));
    tree.querySelector("[aria-expanded=false] .name")?.click();
  }
  tree.scrollTop = tree.scrollHeight;
  tree.dispatchEvent(new Event("scroll"));
  search.value = "connector";
  const before = tree.scrollTop;
  search.dispatchEvent(new Event("input", { bubbles: true }));
  return [before, parseFloat(document.querySelector("#tree .above").style.height)];
}"""


def test_a_tree_that_is_narrowed_while_scrolled_down_shows_its_rows_at_once(tab: Tab) -> None:
    tab.step("targets")
    tab.wait("document.querySelector('#tree [role=treeitem]')")
    scrolled, above = tab.page.evaluate(OPEN_ALL_AND_NARROW)
    assert scrolled > 800, "the test needs a tree that is longer than what is in sight"
    assert above < 200, "no more space is left above the rows than the list is long"
    expect(tab.page.locator("#tree [role=treeitem]").first).to_be_visible()


def test_the_module_tree_is_worked_by_keyboard(tab: Tab) -> None:
    page = tab.page
    tab.step("targets")
    before = tab.trainable
    page.fill("#tree input[type=search]", "q_proj")
    leaf = page.locator("#tree [role=treeitem]:not([aria-expanded])").first
    expect(leaf).to_contain_text("q_proj")
    leaf.focus()
    page.keyboard.press("Space")
    tab.until(lambda: tab.trainable < before)
    page.keyboard.press("Enter")
    expect(page.locator("#tree .tree-about")).to_contain_text("attention")
    page.keyboard.press("Space")
    tab.until(lambda: tab.trainable == before)
    page.fill("#tree input[type=search]", "no such module")
    expect(page.locator("#tree [role=treeitem]")).to_have_count(0)


def test_the_plot_library_is_there_before_it_is_needed(tab: Tab) -> None:
    tab.wait("window.Plotly")
    assert tab.ask("studio.state.step") == "model"


def test_every_toggle_says_whether_it_is_on(tab: Tab) -> None:
    tab.step("targets")
    for name in ("pressed", "expanded", "checked"):
        tab.wait(f"document.querySelector('.island [aria-{name}]')")
        said = tab.ask(
            f"[...document.querySelectorAll('.island [aria-{name}]')].map((e) => e.getAttribute('aria-{name}'))"
        )
        assert said
        assert set(said) <= {"true", "false", "mixed"}  # type: ignore[call-overload]


def test_presets_and_nothing_selected(tab: Tab) -> None:
    page = tab.page
    tab.step("targets")
    counts = {}
    for preset in ("language", "vision", "vision_language", "attention", "everything"):
        page.click(f"#switchboard [data-preset={preset}]")
        expect(page.locator(f"#switchboard [data-preset={preset}]")).to_have_attribute("aria-pressed", "true")
        counts[preset] = tab.trainable
    assert counts["language"] + counts["vision"] < counts["vision_language"] == counts["everything"]
    assert 0 < counts["attention"] < counts["everything"]
    for cell in tab.ask("studio.state.selection.cells"):  # type: ignore[attr-defined]
        page.click(f"#switchboard [data-cell='{cell}']")
    tab.until(lambda: tab.trainable == 0)
    expect(page.locator("#start")).to_be_disabled()
    expect(page.locator("#aside")).to_contain_text("Nothing is selected")


def test_a_click_right_after_typing_counts(tab: Tab) -> None:
    tab.step("targets")
    tab.page.fill("#rank", "12")
    tab.page.click("#switchboard [data-preset=language]")  # leaves the field and presses in one go
    tab.holds("studio.state.recipe.rank", 12)
    tab.holds(CELLS, ["language.attention", "language.mlp"])
    tab.page.click("#switchboard [data-preset=everything]")
    expect(tab.page.locator("#switchboard [data-preset=everything]")).to_have_attribute("aria-pressed", "true")


def test_the_data_suggests_what_learns_until_the_person_has_chosen(tab: Tab) -> None:
    tab.step("data")
    tab.page.check("#sets input[value=emoji]")
    tab.holds(CELLS, ["language.attention", "language.mlp"])
    tab.step("targets")
    tab.page.click("#switchboard [data-preset=vision]")
    tab.step("data")
    tab.page.check("#sets input[value=digits]")
    tab.holds("studio.state.dataset", "digits")
    tab.holds(CELLS, ["vision.attention", "vision.mlp"])


@pytest.mark.parametrize("text", ["no-such/model", "/no/such/folder", "a/../../b", "x" * 300, "<b>bold</b>"])
def test_a_model_that_cannot_be_opened_gets_a_sentence(tab: Tab, text: str) -> None:
    open_model(tab, text)
    page = tab.page
    note = page.locator("#model-error .note")
    expect(note).to_contain_text(".")
    expect(note).not_to_contain_text("Traceback")
    expect(page.locator("#model-error b")).to_have_count(0)
    assert tab.ask("studio.state.model.label") == "Demo VLM"


def test_a_rank_that_makes_no_sense_gets_a_sentence(tab: Tab) -> None:
    tab.step("targets")
    before = tab.trainable
    for rank in ("0", "1000000", "2.5"):
        tab.page.fill("#rank", rank)
        tab.page.press("#rank", "Tab")
        expect(tab.page.locator("#switchboard [role=alert]")).to_contain_text("rank is a whole number")
        assert tab.trainable == before
        expect(tab.page.locator("#rank")).to_have_value("8")


def jobs(tab: Tab) -> list[str]:
    answer = tab.page.request.get(f"{tab.server.address}/studio/jobs").json()
    return [job["id"] for job in answer["jobs"]]


@pytest.mark.parametrize("rate", ["nan", "fast", "-1", "1e9"])
def test_a_learning_rate_that_makes_no_sense_gets_a_sentence(tab: Tab, rate: str) -> None:
    before = jobs(tab)
    tab.step("train")
    tab.page.locator("#settings").get_by_role("textbox", name="Learning rate").fill(rate)
    tab.page.click("#start")
    expect(tab.page.locator("#aside [role=alert]")).to_contain_text("learning rate", ignore_case=True)
    assert jobs(tab) == before


def big_config(folder: Path, name: str) -> Path:
    import transformers

    config = getattr(transformers, f"{name}Config")()
    config.architectures = [f"{name}Model" if name == "CLIP" else f"{name}ForConditionalGeneration"]
    config.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Mllama", "Qwen2_5_VL"])
def test_the_browser_counts_like_the_server_on_big_models(tab: Tab, tmp_path: Path, name: str) -> None:
    from core.lora.budget import budget
    from core.lora.plan import make_plan
    from core.models.inspection import inspect_source
    from core.spec import Recipe, Selection, Source, from_dict

    source = Source("folder", str(big_config(tmp_path / "model", name)))
    open_model(tab, source.name)
    tab.wait("studio.state.model.label !== 'Demo VLM'")
    tab.step("targets")
    inspection = inspect_source(source)
    for preset in ("language", "everything"):
        tab.page.click(f"#switchboard [data-preset={preset}]")
        chosen = json.loads(str(tab.ask("studio.choice()")))
        plan = make_plan(inspection, from_dict(Selection, chosen["selection"]), from_dict(Recipe, chosen["recipe"]))
        expected = budget(inspection, plan)
        expect(tab.page.locator("#trainable")).to_have_text(f"{expected.trainable:,}")
        size = tab.page.locator("#aside td[title$=bytes]")
        expect(size).to_have_attribute("title", f"{expected.adapter_bytes:,} bytes")


def test_a_start_that_gets_no_answer_says_so_and_can_be_tried_again(tab: Tab) -> None:
    def refuse(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=500, body="")
        else:
            route.continue_()

    tab.excuse()  # the request that this test breaks
    tab.page.route("**/gradio_api/**", refuse)
    tab.page.click("#start")
    expect(tab.page.locator("#aside [role=alert]")).to_contain_text("did not answer")
    tab.holds("studio.state.starting", False)
    expect(tab.page.locator("#start")).to_be_enabled()


def test_a_reload_keeps_the_settings_that_suit_another_model(tab: Tab, tmp_path: Path) -> None:
    open_model(tab, str(big_config(tmp_path / "model", "Qwen2_5_VL")))
    tab.wait("studio.state.model.label !== 'Demo VLM'")
    tab.step("train")
    rate = tab.page.locator("#settings").get_by_role("textbox", name="Learning rate")
    expect(rate).to_have_value("0.0001")
    tab.reload()
    assert tab.ask("studio.state.model.label") != "Demo VLM"
    expect(rate).to_have_value("0.0001")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_serious_accessibility_finding(server: Server, browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
    tab = Tab(context.new_page(), server)
    found = []
    for step in STEPS:
        tab.step(step)
        tab.still()
        tab.holds("document.documentElement.scrollWidth <= innerWidth", True)
        found += [(step, *each) for each in hard_to_use(tab)]
    context.close()
    assert not found, found
    assert not tab.faults, tab.faults


def shows_step(tab: Tab, step: str) -> None:
    """The step is in sight, by the page itself and by its address."""
    tab.holds("[document.body.dataset.step, location.hash]", [step, f"#{step}"])
    expect(tab.page.locator(f"#step-{step} h2").first).to_be_visible()


def test_back_and_forward_walk_the_steps_and_a_link_opens_one(tab: Tab) -> None:
    page = tab.page
    shows_step(tab, "model")
    tab.step("targets")
    tab.step("targets")  # the same again is no new entry
    page.click("#aside [data-go=data]")
    shows_step(tab, "data")
    page.go_back()
    shows_step(tab, "targets")
    page.go_back()
    shows_step(tab, "model")
    page.go_forward()
    shows_step(tab, "targets")
    expect(page).to_have_title(re.compile("What to train"))
    tab.reload()
    shows_step(tab, "targets")
    page.go_back()
    shows_step(tab, "model")
    page.goto(f"{tab.server.address}#train")  # a link on the page itself
    shows_step(tab, "train")
    page.goto("about:blank")
    page.goto(f"{tab.server.address}#result")
    tab.opened()
    shows_step(tab, "result")
    page.go_back()
    expect(page).to_have_url("about:blank")


@pytest.mark.parametrize(("name", "why"), [("CLIP", "cannot answer in words"), ("Qwen2_5_VL", "no weights")])
def test_why_a_model_cannot_be_trained_is_said_before_start(tab: Tab, tmp_path: Path, name: str, why: str) -> None:
    page = tab.page
    open_model(tab, str(big_config(tmp_path / "model", name)))
    tab.wait("studio.state.model.label === 'model'")
    start = page.locator("#start")
    expect(start).to_be_disabled()
    expect(start).to_have_attribute("aria-describedby", "why-not")
    expect(page.locator("#why-not")).to_contain_text(why)
    start.focus()
    expect(start).to_be_focused()
    before = jobs(tab)
    page.keyboard.press("Enter")
    assert not tab.ask("studio.state.starting")
    assert jobs(tab) == before
    tab.step("targets")
    tab.until(lambda: tab.trainable > 0)  # its cost is counted all the same
    ends = page.locator("#switchboard .flow .io")
    expect(ends).to_have_text(["picture", "text", "score"] if name == "CLIP" else ["picture", "answer"])
    open_model(tab, "demo")
    tab.wait("studio.state.model.label === 'Demo VLM'")
    expect(start).to_be_enabled()


def test_a_training_is_as_long_in_the_other_unit(tab: Tab) -> None:
    rows = next(s["train"] for s in tab.ask("studio.state.home.datasets") if s["name"] == "digits")  # type: ignore[attr-defined]
    tab.step("train")
    length = tab.setting("How long")
    per_epoch = -(-rows // 16)

    def unit(name: str, value: float) -> None:
        tab.setting(name, exact=True).check()
        tab.holds("[studio.state.form.unit, studio.state.form.length]", [name, value])
        expect(length).to_have_value(f"{value:g}")

    epochs = round(120 / per_epoch, 1)
    unit("epochs", epochs)
    unit("steps", 120)  # there and back is the same again
    unit("epochs", epochs)
    length.fill("3")
    tab.holds("studio.state.form.length", 3)
    unit("steps", 3 * per_epoch)
    unit("epochs", 3)
    length.fill("")
    tab.holds("studio.state.form.length", None)
    unit("steps", 120)


def test_jobs_of_one_name_are_told_apart(tab: Tab) -> None:
    alike = {"name": "Digits", "state": "finished", "model": "Demo VLM", "data": "Handwritten digits", "trainable": 9}
    alike |= {"before": None, "after": None}
    first = {"method": "dora", "rank": 16, "parts": ["vision", "language"], "steps": 120, "epochs": None}
    second = {"method": "lora", "rank": 8, "parts": [], "steps": None, "epochs": 3}
    made = [
        {**alike, **first, "id": "a", "created": time.time() - 2 * 3600 - 60},
        {**alike, **second, "id": "b", "created": time.time() - 26 * 3600},
    ]

    def with_jobs(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "jobs": made, "running": None})

    tab.excuse("status of 404")  # the server knows no such jobs
    tab.page.route("**/studio/home", with_jobs)
    tab.open()
    tab.step("result")
    rows = tab.page.locator("#jobs tbody tr")
    expect(rows).to_have_count(2)
    for row, words in enumerate(
        (
            ("DoRA, rank 16 · vision + language · 120 steps", "2 hours ago"),
            ("LoRA, rank 8 · single modules · 3 epochs", "yesterday"),
        )
    ):
        for text in words:
            expect(rows.nth(row)).to_contain_text(text)
    absolute = tab.page.locator("#jobs td:last-child time").first
    year = time.localtime(made[0]["created"]).tm_year  # type: ignore[arg-type]
    expect(absolute).to_have_attribute("title", re.compile(str(year)))
    tab.page.set_viewport_size({"width": 390, "height": 844})
    expect(rows.first.get_by_text("Handwritten digits · 2 hours ago")).to_be_visible()
