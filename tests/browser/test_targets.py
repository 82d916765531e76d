"""Aiming: layer ranges, numbers per component, methods, tasks, labels put right, guesses confirmed, refusals said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.models.relabel import relabelled
from core.models.source import DEMO_MODEL
from core.spec import Inspection, Plan, Recipe, Selection, Source, from_dict
from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser
DEMO = inspect_source(DEMO_MODEL)


@pytest.fixture
def aim(tab: Tab) -> Tab:
    """A page with the switchboard in sight."""
    tab.step("targets")
    return tab


def advanced(tab: Tab) -> None:
    tab.page.click("#switchboard .advanced summary")


def planned(tab: Tab, made: Inspection = DEMO) -> Plan:
    """The plan of what the page would send, whose count by the server stands on the page."""
    choice: Any = json.loads(str(tab.ask("studio.choice()")))
    selection, recipe = from_dict(Selection, choice["selection"]), from_dict(Recipe, choice["recipe"])
    plan = make_plan(made, selection, recipe)
    found = budget(relabelled(made, selection.relabels), plan)
    assert found.trainable == choice["shown"]
    expect(tab.page.locator("#trainable")).to_have_text(f"{found.trainable:,}")
    expect(tab.page.locator("#aside td[title$=bytes]")).to_have_attribute("title", f"{found.adapter_bytes:,} bytes")
    return plan


def layers(plan: Plan, component: str) -> set[int | None]:
    labels = {module.name: module for module in DEMO.modules}
    return {labels[n].layer for n in plan.target_modules if labels[n].component == component}


def test_layers_are_narrowed_by_two_handles_and_the_keyboard(aim: Tab) -> None:
    page = aim.page
    first = page.get_by_label("Vision encoder: first layer that may learn")
    first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(first).to_be_focused()
    expect(first).to_have_attribute("aria-valuetext", "layer 3")
    aim.holds("studio.state.selection.layers", {"vision": [-2, None]})
    said = page.locator("#switchboard .part[data-component=vision] .strip-cap")
    expect(said).to_contain_text("last 2 of 5 layers")
    assert layers(planned(aim), "vision") == {3, 4}
    page.get_by_label("Vision encoder: last layer that may learn").focus()
    page.keyboard.press("Home")  # no further than one layer behind the first
    aim.holds("studio.state.selection.layers", {"vision": [3, 4]})
    assert layers(planned(aim), "vision") == {3}
    assert layers(planned(aim), "language") == {0, 1, 2, 3}
    page.click("#switchboard [data-cell='vision.mlp']")
    expect(page.locator("#switchboard [data-cell='vision.mlp']")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#switchboard [data-cell='vision.attention']")).to_have_attribute("aria-pressed", "true")
    assert layers(planned(aim), "vision") == {3}
    aim.reload()
    assert layers(planned(aim), "vision") == {3}
    page.click("#switchboard [data-all-layers=vision]")
    aim.holds("studio.state.selection.layers", {})
    assert layers(planned(aim), "vision") == {0, 1, 2, 3, 4}


def test_a_handle_is_dragged_and_the_count_follows_the_hand(aim: Tab) -> None:
    page, before = aim.page, aim.trainable
    handle = page.get_by_label("Language model: first layer that may learn")
    handle.scroll_into_view_if_needed()
    aim.still()
    box = handle.bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 12, steps=6)
    said = page.locator("#switchboard .part[data-component=language] .strip-cap")
    expect(said).to_contain_text("last 1 of 4")
    aim.until(lambda: aim.trainable < before)
    during = aim.trainable
    page.mouse.up()
    assert aim.trainable == during
    assert layers(planned(aim), "language") == {3}


def test_a_click_on_the_strip_switches_one_layer(aim: Tab) -> None:
    strip = aim.page.locator("#switchboard [data-strip=vision]")
    expect(strip).to_be_visible()
    aim.still()
    size = strip.bounding_box()
    assert size
    strip.click(position={"x": size["width"] * 0.5, "y": 6})
    expect(strip).to_have_attribute("aria-label", "4 of 5 layers learn")
    assert layers(planned(aim), "vision") == {0, 1, 3, 4}


def test_a_component_has_numbers_of_its_own(aim: Tab) -> None:
    page = aim.page
    advanced(aim)
    page.fill("[data-knob=rank][data-component=vision]", "4")
    page.press("[data-knob=rank][data-component=vision]", "Tab")
    expect(page.locator("[data-knob=alpha][data-component=vision]")).to_have_attribute("placeholder", "8")
    page.fill("[data-knob=learning_rate][data-component=language]", "1e-4")
    page.press("[data-knob=learning_rate][data-component=language]", "Tab")
    aim.holds("studio.state.recipe.components.language", {"learning_rate": 1e-4})
    own = {each.component: each for each in planned(aim).overrides}
    assert (own["vision"].rank, own["vision"].alpha) == (4, 8)
    assert (own["language"].rank, own["language"].learning_rate) == (8, 1e-4)
    expect(page.locator("#switchboard .advanced summary")).to_contain_text("vision rank 4")
    for wrong in ("0", "2.5", "many"):
        page.fill("[data-knob=rank][data-component=vision]", wrong)
        page.press("[data-knob=rank][data-component=vision]", "Tab")
        expect(page.locator("#switchboard [role=alert]")).to_contain_text("rank is a whole number")
        expect(page.locator("[data-knob=rank][data-component=vision]")).to_have_value("4")
    page.fill("[data-knob=rank][data-component=vision]", "")
    page.press("[data-knob=rank][data-component=vision]", "Tab")
    aim.holds("Object.keys(studio.state.recipe.components)", ["language"])
    assert {each.component for each in planned(aim).overrides} == {"language"}


@pytest.mark.parametrize("method", ["rslora", "dora", "adalora"])
def test_a_method_is_chosen_and_counted(aim: Tab, method: str) -> None:
    before = aim.trainable
    aim.page.check(f"input[name=method][value={method}]")
    aim.holds("studio.state.recipe.method", method)
    assert planned(aim).method == method
    assert (aim.trainable > before) == (method != "rslora")
    expect(aim.page.locator(f"input[name=method][value={method}]")).to_be_focused()


def test_what_cannot_be_is_said_beside_its_control_and_blocks_start_until_it_is_undone(aim: Tab) -> None:
    page = aim.page
    advanced(aim)
    page.check("input[name=method][value=dora]")
    page.select_option("#start-from", "pissa")
    expect(page.locator("#switchboard .advanced .refusal")).to_contain_text("DoRA with PiSSA")
    expect(page.locator("#start")).to_be_disabled()
    expect(page.locator("#aside")).to_contain_text("DoRA with PiSSA")
    page.click("#switchboard [data-fix]")
    aim.holds("studio.state.recipe.start", "default")
    expect(page.locator("#start")).to_be_enabled()
    page.click("#aside [data-undo]")
    aim.holds("studio.state.recipe.start", "pissa")


def test_a_task_brings_its_choice_and_its_settings_and_says_why(aim: Tab) -> None:
    page = aim.page
    page.select_option("#task", "few_shot")
    aim.wait("studio.state.task")
    plan = planned(aim)
    assert {name.rpartition(".")[2] for name in plan.target_modules} == {"q_proj", "v_proj"}
    assert (plan.rank, plan.alpha, plan.dropout) == (8, 16, 0)
    expect(page.locator("#switchboard .presets")).to_contain_text("So few rows")
    expect(page.locator("nav.steps [data-step=targets]")).to_contain_text("Few examples")
    aim.step("train")
    expect(aim.setting("How long")).to_have_value("100")
    page.click("#aside [data-undo]")
    expect(aim.setting("How long")).to_have_value("120")
    aim.holds("studio.state.task", None)
    aim.step("targets")
    page.select_option("#priority", "last_layers_first")
    aim.wait("studio.state.priority")
    assert layers(planned(aim), "language") == {3}


def test_a_range_narrows_and_widens_what_a_task_has_chosen(aim: Tab) -> None:
    page = aim.page
    page.select_option("#task", "few_shot")
    aim.wait("studio.state.task")
    whole = set(planned(aim).target_modules)
    page.get_by_label("Vision encoder: first layer that may learn").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    aim.holds("studio.state.selection.layers", {"vision": [-2, None]})
    plan = planned(aim)
    assert layers(plan, "vision") == {3, 4}
    assert {name.rpartition(".")[2] for name in plan.target_modules} == {"q_proj", "v_proj"}
    page.click("#switchboard [data-all-layers=vision]")
    aim.holds("studio.state.selection.layers", {})
    assert set(planned(aim).target_modules) == whole


def test_a_part_is_trained_in_full_from_the_table_and_from_the_tree(aim: Tab) -> None:
    page = aim.page
    advanced(aim)
    page.check("[data-full=projector]")
    expect(page.locator("#switchboard .part[data-component=projector]")).to_contain_text("learns in full")
    assert planned(aim).full_modules == ("model.connector.modality_projection.proj",)
    page.fill("#full-rate", "1e-5")
    page.press("#full-rate", "Tab")
    aim.holds("studio.state.recipe.full_learning_rate", 1e-5)
    assert planned(aim).full_learning_rate == 1e-5
    page.click("#switchboard [data-not-full]")
    aim.holds("studio.state.selection.full", [])
    assert planned(aim).full_modules == ()
    row = page.locator("#tree [data-id='.model.connector.modality_projection.proj']")
    row.locator(".ask").click()
    row.get_by_role("button", name="Train in full").click()
    less = row.get_by_role("button", name="No longer in full")
    expect(less).to_be_visible()
    assert len(planned(aim).full_modules) == 1
    less.click()
    aim.holds("studio.state.selection.full", [])
    assert planned(aim).full_modules == ()


def test_a_subtree_is_called_something_else_and_put_back(aim: Tab) -> None:
    page, before = aim.page, aim.trainable
    row = page.locator("#tree [data-id='.model.connector.modality_projection.proj']")
    row.locator(".ask").click()
    expect(row.locator(".tree-about")).to_contain_text("projector")
    expect(row.locator(".sure")).not_to_be_empty()
    row.get_by_label("Component of").select_option("audio")
    expect(page.locator("#switchboard .part[data-component=audio]")).to_be_visible()
    expect(page.locator("#switchboard .part[data-component=projector]")).to_have_count(0)
    expect(row).to_contain_text("audio: you said so (before: projector")
    assert planned(aim)
    assert aim.trainable < before, "no cell of audio is on"
    page.click("#switchboard [data-cell='audio.mlp']")
    aim.until(lambda: aim.trainable == before)
    row.get_by_role("button", name="Put the label back").click()
    aim.holds("studio.state.selection.relabels", {})
    expect(page.locator("#switchboard .part[data-component=projector]")).to_be_visible()


def guessed_config(folder: Path) -> Path:
    """A model of which nothing says what its embedding of pictures that it makes belongs to, and empty weights."""
    from transformers import JanusConfig

    small = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = JanusConfig(
        text_config={**small, "num_key_value_heads": 2, "intermediate_size": 32, "vocab_size": 99},
        vision_config={**small, "projection_dim": 24},
    )
    config.architectures = ["JanusForConditionalGeneration"]
    config.save_pretrained(folder)
    for name in ("model.safetensors", "tokenizer.json", "preprocessor_config.json"):
        (folder / name).write_text("{}")
    return folder


def test_guessed_parts_are_named_and_trained_only_when_that_is_confirmed(tab: Tab, tmp_path: Path) -> None:
    source = Source("folder", str(guessed_config(tmp_path / "guessed")))
    made = inspect_source(source)
    guessed = [module.name for module in made.modules if module.confidence == "low" and module.adaptable]
    assert guessed, "the test needs a model with guesses"
    page = tab.page
    tab.step("model")
    page.fill("#model-source textarea, #model-source input", source.name)
    page.click("#model-open")
    tab.wait("studio.state.model.label === 'guessed'")
    expect(page.locator("#model-picture .guesses")).to_contain_text(guessed[0])
    tab.step("targets")
    expect(page.locator("#start")).to_be_enabled()
    page.fill("#tree input[type=search]", guessed[0])
    leaf = page.locator("#tree [role=treeitem]:not([aria-expanded])").first
    expect(leaf).to_have_attribute("aria-label", re.compile("a guess"))
    leaf.focus()
    page.keyboard.press("Space")
    expect(page.locator("#start")).to_be_disabled()
    assert guessed[0] in planned(tab, made).target_modules
    assert json.loads(str(tab.ask("studio.choice()")))["confirmed"] is False
    page.check("#confirm")
    expect(page.locator("#start")).to_be_enabled()
    assert json.loads(str(tab.ask("studio.choice()")))["confirmed"] is True
    page.uncheck("#confirm")
    page.locator("#switchboard [data-agree]").first.click()  # the person knows that it is right
    expect(page.locator("#start")).to_be_enabled()
    expect(page.locator("#confirm")).to_have_count(0)
    assert planned(tab, made)


def test_the_open_fold_and_an_open_row_have_no_serious_accessibility_finding(aim: Tab) -> None:
    advanced(aim)
    aim.page.locator("#tree .ask").first.click()
    expect(aim.page.locator("#tree .tree-about")).to_be_visible()
    aim.still()
    found = Axe().run(aim.page).response["violations"]
    assert not [(one["id"], one["nodes"][0]["target"]) for one in found if one["impact"] in ("serious", "critical")]


def test_choices_stand_side_by_side_and_a_row_is_taken(aim: Tab) -> None:
    page = aim.page
    page.click("#compare-fold summary")
    expect(page.locator("#compare tbody tr")).to_have_count(5)  # counted by the server
    shown = {
        row.locator("button").inner_text(): int(row.locator("td").first.inner_text().replace(",", ""))
        for row in page.locator("#compare tbody tr").all()
    }
    for title in ("Vision only", "Language only"):
        page.click(f"#compare [data-take] >> text={title}")
        expect(page.locator("#compare tr.on button")).to_have_text(title)
        expect(page.locator("#trainable")).to_have_text(f"{shown[title]:,}")


def test_a_plan_is_exported_and_downloaded(aim: Tab) -> None:
    page = aim.page
    page.click("#export-fold summary")
    code = page.locator("#export pre")
    expect(code).to_contain_text("get_peft_model")
    compile(code.inner_text(), "train.py", "exec")
    page.select_option("#export-format", "peft")
    expect(code).to_contain_text('"r": 8')
    page.click("#switchboard [data-rank='16']")
    expect(code).to_contain_text('"r": 16')
    with page.expect_download() as downloading:
        page.click("#export [data-download]")
    values = json.loads(Path(downloading.value.path()).read_text())
    assert (values["r"], values["lora_alpha"]) == (16, 16)
    for form in ("regex", "unsloth", "yaml", "script"):
        page.select_option("#export-format", form)
        expect(page.locator("#export [data-download]")).to_be_visible()
        expect(code).not_to_be_empty()


def test_an_answer_that_the_server_gave_up_is_no_plan(aim: Tab) -> None:
    page = aim.page
    page.route("**/studio/export", lambda route: route.fulfill(status=204))
    with page.expect_response("**/studio/export"):
        page.click("#export-fold summary")
    expect(page.locator("#export .waiting")).to_be_visible()
    page.unroute("**/studio/export")
    page.select_option("#export-format", "peft")
    expect(page.locator("#export pre")).to_contain_text('"r": 8')


@pytest.mark.slow
def test_memory_says_whether_it_fits_and_a_change_is_one_click_away(aim: Tab) -> None:
    page = aim.page
    expect(page.locator("#aside [data-memory] ~ .fit")).to_contain_text("fits")
    page.click("#aside [data-memory]")
    page.select_option("#memory-card", "NVIDIA RTX 4060, 8 GB")
    page.fill("#memory-side", "96")
    page.press("#memory-side", "Tab")
    page.fill("#memory-batch", "2048")
    page.press("#memory-batch", "Tab")
    aim.wait("0 < document.querySelector('#memory-at-once')?.placeholder % 2048")
    expect(page.locator("#memory summary")).to_contain_text("fits")  # with fewer rows at a time, of its own accord
    page.fill("#memory-at-once", "2048")
    page.press("#memory-at-once", "Tab")
    page.select_option("#memory-checkpointing", "off")
    before = aim.trainable
    page.click("#switchboard [data-cell='vision.mlp']")
    aim.until(lambda: aim.trainable < before)
    expect(page.locator("#memory [data-fit]")).to_be_visible(timeout=240_000)
    expect(page.locator("#memory summary")).to_contain_text("does not fit")
    aim.wait("document.querySelectorAll('#memory table.terms tr').length > 4")
    page.click("#memory [data-fit]")
    aim.wait("String([studio.state.form.at_once, studio.state.form.checkpointing]) !== '2048,off'")
    aim.wait("document.querySelector('#memory .fit.fits')")
    aim.step("train")
    aim.holds("studio.state.form.batch_size", 2048)  # an optimizer step sees the same rows
    expect(aim.setting("Batch", exact=True)).to_have_value("2048")
    aim.setting("Batch", exact=True).fill("7")
    aim.wait("studio.state.form.batch_size === 7")
    aim.step("targets")
    expect(page.locator("#memory-batch")).to_have_value("7")


@pytest.mark.parametrize("task", ["", "document_ocr"])
def test_the_switchboard_stays_in_place_when_a_choice_becomes_ones_own(aim: Tab, task: str) -> None:
    page = aim.page
    if task:
        page.select_option("#task", task)
        aim.wait("studio.state.task")
    toggle = page.locator("#switchboard [data-cell='vision.attention']")
    expect(toggle).to_be_visible()
    aim.still()
    whys = page.locator("#switchboard .whys")
    before, reason = toggle.bounding_box(), whys.inner_text()
    for _ in range(3):
        toggle.click()
        assert toggle.bounding_box() == before
    expect(whys).not_to_have_text(reason)


SEE_COPIED = """void new MutationObserver(() => {
  window.copied ||= document.querySelector("#export [data-copy]")?.textContent === "✓ Copied";
}).observe(document.querySelector("#export"), { childList: true, subtree: true, characterData: true })"""


@pytest.mark.parametrize("allowed", [True, False])
def test_a_plan_is_copied_also_where_the_clipboard_is_closed(aim: Tab, allowed: bool) -> None:
    page = aim.page
    # As on a page under plain http: it has no clipboard, and the old way works or does not.
    page.evaluate("() => Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.evaluate(f"() => (document.execCommand = (what) => what === 'copy' && {json.dumps(allowed)})")
    page.click("#export-fold summary")
    page.select_option("#export-format", "regex")
    code = page.locator("#export pre")
    expect(code).to_contain_text("attn")
    aim.ask(SEE_COPIED)
    page.click("#export [data-copy]")
    if allowed:
        aim.wait("window.copied")  # it is said for two seconds
    else:
        expect(page.locator("#export [role=alert]")).to_contain_text("Ctrl+C")
        aim.holds("getSelection().toString().trim()", code.inner_text().strip())


SIDEWAYS = """[...document.querySelectorAll('#main *')].filter((box) => box.offsetParent
  && ['auto', 'scroll'].includes(getComputedStyle(box).overflowX) && box.scrollWidth > box.clientWidth + 1
  && !box.matches('pre')).map((box) => `${box.className} ${box.scrollWidth} > ${box.clientWidth}`)"""
CUT = """[...document.querySelectorAll('#memory select')].filter((list) => list.offsetParent).filter((list) => {
  const pen = document.createElement('canvas').getContext('2d');
  pen.font = getComputedStyle(list).font;
  const {paddingLeft: left, paddingRight: right} = getComputedStyle(list);
  return pen.measureText(list.selectedOptions[0].text).width > list.clientWidth - parseFloat(left) - parseFloat(right);
}).map((list) => list.id)"""


def test_nothing_scrolls_sideways_or_is_cut_on_usual_screens(aim: Tab) -> None:
    page = aim.page
    advanced(aim)
    page.click("#memory-fold summary")
    page.select_option("#memory-quantization", "4bit")
    page.select_option("#memory-card", "NVIDIA RTX 4060, 8 GB")
    for step in ("targets", "train"):
        aim.step(step)
        for width in (1440, 1366, 1280, 1101, 1024, 390):
            page.set_viewport_size({"width": width, "height": 900})
            aim.holds(SIDEWAYS, [])
            aim.holds(CUT, [])
            tops = "new Set([...document.querySelectorAll('.segments label')].map((e) => e.offsetTop)).size <= 1"
            aim.holds(tops, True)  # the methods stand in one line


def test_advice_while_a_run_goes_on_says_that_it_is_for_the_next_one(aim: Tab) -> None:
    page = aim.page
    aim.wait("!studio.state.job || studio.state.run?.whole")  # what another test has trained comes no more
    page.fill("#alpha", "900")
    page.press("#alpha", "Tab")
    advice = page.locator("#aside .advices")
    expect(advice).to_contain_text("Worth a thought")
    expect(advice).not_to_contain_text("next")
    # As the page is while a job runs; only what the panels look at.
    page.evaluate("""() => {
      const status = { state: "running", step: 1, total_steps: 9 };
      studio.state.run = { status, info: {}, train: [], evals: [], samples: [], answers: [], notes: [] };
      studio.stopped("");
    }""")
    expect(advice).to_contain_text("keeps its settings")
    expect(advice).to_contain_text("for the next run")
