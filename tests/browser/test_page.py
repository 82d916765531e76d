"""The page itself: the tree, presets, refusals in words, phones, dark mode, accessibility, other models' counts."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import Server, Tab, hard_to_use

pytestmark = pytest.mark.browser
STEPS = ("model", "targets", "data", "train", "result")


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
    tab.page.wait_for_timeout(300)
    assert tab.page.locator("#tree [role=treeitem]").first.is_visible()


def test_the_module_tree_is_worked_by_keyboard(tab: Tab) -> None:
    page = tab.page
    tab.step("targets")
    before = tab.trainable
    page.fill("#tree input[type=search]", "q_proj")
    rows = page.locator("#tree [role=treeitem]")
    assert rows.count() > 0
    leaf = page.locator("#tree [role=treeitem]:not([aria-expanded])").first
    leaf.focus()
    page.keyboard.press("Space")
    assert tab.trainable < before
    page.keyboard.press("Enter")
    assert "attention" in page.inner_text("#tree .tree-about")
    page.keyboard.press("Space")
    assert tab.trainable == before
    page.fill("#tree input[type=search]", "no such module")
    assert rows.count() == 0


def test_the_plot_library_is_there_before_it_is_needed(tab: Tab) -> None:
    tab.page.wait_for_function("() => window.Plotly", timeout=60_000)
    assert tab.ask("studio.state.step") == "model"


def test_every_toggle_says_whether_it_is_on(tab: Tab) -> None:
    tab.step("targets")
    for name in ("pressed", "expanded", "checked"):
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
        counts[preset] = tab.trainable
    assert counts["language"] + counts["vision"] < counts["vision_language"] == counts["everything"]
    assert 0 < counts["attention"] < counts["everything"]
    for cell in tab.ask("studio.state.selection.cells"):  # type: ignore[attr-defined]
        page.click(f"#switchboard [data-cell='{cell}']")
    assert tab.trainable == 0
    assert page.is_disabled("#start")
    assert "Nothing is selected" in page.inner_text("#aside")


def test_a_click_right_after_typing_counts(tab: Tab) -> None:
    tab.step("targets")
    tab.page.fill("#rank", "12")
    tab.page.click("#switchboard [data-preset=language]")  # leaves the field and presses in one go
    assert tab.ask("studio.state.recipe.rank") == 12
    assert set(tab.ask("studio.state.selection.cells")) == {"language.attention", "language.mlp"}  # type: ignore[call-overload]
    tab.page.click("#switchboard [data-preset=everything]")
    assert tab.page.get_attribute("#switchboard [data-preset=everything]", "aria-pressed") == "true"


def test_the_data_suggests_what_learns_until_the_person_has_chosen(tab: Tab) -> None:
    tab.step("data")
    tab.page.check("input[value=emoji]")
    assert set(tab.ask("studio.state.selection.cells")) == {"language.attention", "language.mlp"}  # type: ignore[call-overload]
    tab.step("targets")
    tab.page.click("#switchboard [data-preset=vision]")
    tab.step("data")
    tab.page.check("input[value=digits]")
    assert set(tab.ask("studio.state.selection.cells")) == {"vision.attention", "vision.mlp"}  # type: ignore[call-overload]


@pytest.mark.parametrize("text", ["no-such/model", "/no/such/folder", "a/../../b", "x" * 300, "<b>bold</b>"])
def test_a_model_that_cannot_be_opened_gets_a_sentence(tab: Tab, text: str) -> None:
    open_model(tab, text)
    page = tab.page
    page.wait_for_selector("#model-error .note", timeout=30_000)
    said = page.inner_text("#model-error")
    assert said.count(".") >= 1
    assert "Traceback" not in said
    assert page.locator("#model-error b").count() == 0
    assert tab.ask("studio.state.model.label") == "Demo VLM"


def test_a_rank_that_makes_no_sense_gets_a_sentence(tab: Tab) -> None:
    tab.step("targets")
    before = tab.trainable
    for rank in ("0", "1000000", "2.5"):
        tab.page.fill("#rank", rank)
        tab.page.press("#rank", "Tab")
        assert "rank is a whole number" in tab.page.inner_text("#switchboard [role=alert]")
        assert tab.trainable == before


def jobs(tab: Tab) -> list[str]:
    answer = tab.page.request.get(f"{tab.server.address}/studio/jobs").json()
    return [job["id"] for job in answer["jobs"]]


@pytest.mark.parametrize("rate", ["nan", "fast", "-1", "1e9"])
def test_a_learning_rate_that_makes_no_sense_gets_a_sentence(tab: Tab, rate: str) -> None:
    before = jobs(tab)
    tab.step("train")
    tab.page.get_by_role("textbox", name="Learning rate").fill(rate)
    tab.page.click("#start")
    tab.page.wait_for_selector("#aside [role=alert]")
    assert "learning rate" in tab.page.inner_text("#aside [role=alert]").lower()
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
        assert tab.trainable == expected.trainable
        shown = tab.page.get_attribute("#aside td[title$=bytes]", "title")
        assert shown == f"{expected.adapter_bytes:,} bytes"


def test_a_start_that_gets_no_answer_says_so_and_can_be_tried_again(tab: Tab) -> None:
    def refuse(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=500, body="")
        else:
            route.continue_()

    tab.page.route("**/gradio_api/**", refuse)
    tab.page.click("#start")
    tab.page.wait_for_selector("#aside [role=alert]")
    assert "did not answer" in tab.page.inner_text("#aside [role=alert]")
    assert not tab.ask("studio.state.starting")
    assert tab.page.is_enabled("#start")
    tab.errors.clear()  # the request that this test broke


def test_a_reload_keeps_the_settings_that_suit_another_model(tab: Tab, tmp_path: Path) -> None:
    open_model(tab, str(big_config(tmp_path / "model", "Qwen2_5_VL")))
    tab.wait("studio.state.model.label !== 'Demo VLM'")
    tab.step("train")
    rate = tab.page.get_by_role("textbox", name="Learning rate")
    expect(rate).to_have_value("0.0001")
    tab.page.reload()
    tab.wait("studio.state.model && studio.state.model.label !== 'Demo VLM'")
    expect(rate).to_have_value("0.0001")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_serious_accessibility_finding(server: Server, browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
    tab = Tab(context.new_page(), server)
    found = []
    for step in STEPS:
        tab.step(step)
        tab.page.wait_for_timeout(600)
        assert tab.ask("document.documentElement.scrollWidth <= innerWidth"), f"{step} scrolls sideways"
        found += [(step, *each) for each in hard_to_use(tab)]
    context.close()
    assert not found, found
    assert not tab.errors


def shown_step(tab: Tab) -> str:
    """The step in sight, by the page itself and by its address."""
    step = str(tab.ask("document.body.dataset.step"))
    assert tab.page.is_visible(f"#step-{step} h2")
    assert tab.page.url.endswith(f"#{step}")
    return step


def test_back_and_forward_walk_the_steps_and_a_link_opens_one(tab: Tab) -> None:
    page = tab.page
    assert shown_step(tab) == "model"
    tab.step("targets")
    tab.step("targets")  # the same again is no new entry
    page.click("#aside [data-go=data]")
    assert shown_step(tab) == "data"
    page.go_back()
    assert shown_step(tab) == "targets"
    page.go_back()
    assert shown_step(tab) == "model"
    page.go_forward()
    assert shown_step(tab) == "targets"
    assert "What to train" in page.title()
    page.reload()
    tab.wait("studio.state.model && studio.state.home")
    assert shown_step(tab) == "targets"
    page.go_back()
    assert shown_step(tab) == "model"
    page.goto(f"{tab.server.address}#train")  # a link on the page itself
    assert shown_step(tab) == "train"
    page.goto("about:blank")
    page.goto(f"{tab.server.address}#result")
    tab.wait("studio.state.model && studio.state.home")
    assert shown_step(tab) == "result"
    page.go_back()
    assert page.url == "about:blank"


@pytest.mark.parametrize(("name", "why"), [("CLIP", "cannot answer in words"), ("Qwen2_5_VL", "no weights")])
def test_why_a_model_cannot_be_trained_is_said_before_start(tab: Tab, tmp_path: Path, name: str, why: str) -> None:
    page = tab.page
    open_model(tab, str(big_config(tmp_path / "model", name)))
    tab.wait("studio.state.model.label === 'model'")
    start = page.locator("#start")
    expect(start).to_be_disabled()
    assert why in page.inner_text(f"#{start.get_attribute('aria-describedby')}")
    start.focus()
    expect(start).to_be_focused()
    before = jobs(tab)
    page.keyboard.press("Enter")
    assert not tab.ask("studio.state.starting")
    assert jobs(tab) == before
    tab.step("targets")
    assert tab.trainable > 0, "its cost is counted all the same"
    ends = page.locator("#switchboard .flow .io").all_inner_texts()
    assert ends == (["picture", "text", "score"] if name == "CLIP" else ["picture", "answer"])
    open_model(tab, "demo")
    tab.wait("studio.state.model.label === 'Demo VLM'")
    expect(start).to_be_enabled()


def test_a_training_is_as_long_in_the_other_unit(tab: Tab) -> None:
    page = tab.page
    rows = next(s["train"] for s in tab.ask("studio.state.home.datasets") if s["name"] == "digits")  # type: ignore[attr-defined]
    tab.step("train")
    length = page.get_by_label("How long")

    def unit(name: str) -> float:
        page.locator("#settings").get_by_label(name, exact=True).check()
        tab.wait(f"studio.state.form.unit === '{name}'")
        page.wait_for_timeout(300)
        return float(length.input_value())

    epochs = unit("epochs")
    assert epochs == pytest.approx(120 / -(-rows // 16), abs=0.05)
    assert tab.ask("studio.state.form.length") == epochs
    assert unit("steps") == 120, "there and back is the same again"
    assert unit("epochs") == epochs
    length.fill("3")
    tab.wait("studio.state.form.length === 3")
    assert unit("steps") == 3 * -(-rows // 16)
    assert unit("epochs") == 3
    length.fill("")
    assert unit("steps") == 120


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

    tab.page.route("**/studio/home", with_jobs)
    tab.open()
    tab.step("result")
    rows = [row.inner_text() for row in tab.page.locator("#jobs tbody tr").all()]
    assert "DoRA, rank 16 · vision + language · 120 steps" in rows[0]
    assert "2 hours ago" in rows[0]
    assert "LoRA, rank 8 · single modules · 3 epochs" in rows[1]
    assert "yesterday" in rows[1]
    absolute = tab.page.locator("#jobs td:last-child time").first.get_attribute("title")
    assert str(time.localtime(made[0]["created"]).tm_year) in str(absolute)  # type: ignore[arg-type]
    tab.page.set_viewport_size({"width": 390, "height": 844})
    assert "Handwritten digits · 2 hours ago" in tab.page.inner_text("#jobs tbody tr >> nth=0")
    tab.errors.clear()  # the server knows no such jobs
