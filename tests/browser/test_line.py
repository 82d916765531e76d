"""From page to adapter, as a person does it: look, toggle, start, reload, compare, download, load with plain PEFT."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from core.data.rows import Row
from core.data.source import load_dataset
from core.spec import Recipe, Source
from tests.browser.conftest import ROOT, TRAINING, Tab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEPS = 60
KEPT = "studio.state.run.answers.find((each) => each.step === studio.state.run.status.kept_step)"
"""The answers of the weights that became the adapter, where these are not the last."""


def peft_count(cells: list[str], rank: int) -> int:
    """What PEFT counts for the demo when these cells learn."""
    from peft import get_peft_model
    from transformers import AutoModelForImageTextToText

    from core.lora.plan import make_plan, peft_config
    from core.models.inspection import inspect_source
    from core.models.source import DEMO_MODEL
    from core.spec import Selection

    plan = make_plan(inspect_source(DEMO_MODEL), Selection(cells=tuple(cells)), Recipe(rank=rank, alpha=16))
    model = AutoModelForImageTextToText.from_pretrained(ROOT / "assets/demo/model")
    return int(get_peft_model(model, peft_config(plan)).get_nb_trainable_parameters()[0])


def test_a_toggle_shows_the_count_that_peft_makes(tab: Tab) -> None:
    tab.step("targets")
    page = tab.page
    cells: Any = tab.ask("studio.state.selection.cells")
    before = peft_count(cells, 8)
    tab.until(lambda: tab.trainable == before)
    page.click("#switchboard [data-cell='vision.attention']")
    cells.remove("vision.attention")
    tab.holds("studio.state.selection.cells", cells)
    tab.until(lambda: tab.trainable < before)
    page.click("#switchboard [data-rank='16']")
    wanted = peft_count(cells, 16)
    tab.until(lambda: tab.trainable == wanted)


def accuracy(model: Any, processor: Any, rows: tuple[Row, ...]) -> float:
    """Exact match by nothing but transformers, one row at a time: no code of ours but the reading of rows."""
    right = 0
    for row in rows:
        content = [{"type": "image", "image": row.picture.open()}, {"type": "text", "text": row.question}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        out = model.generate(**inputs, max_new_tokens=32, do_sample=False)
        answer = processor.tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        right += answer.strip().lower().rstrip(".") == row.answer.strip().lower().rstrip(".")
    return right / len(rows)


def finished(tab: Tab) -> None:
    """Waits until the job in view has ended well, and all of it is on the page."""
    tab.wait("studio.state.run?.whole", TRAINING)
    tab.holds("studio.state.run.status.state", "finished")
    tab.wait("studio.state.run.info.adapter_bytes")


def test_from_page_to_adapter(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    tab.step("targets")
    page.click("#switchboard [data-cell='vision.mlp']")
    chosen = peft_count(tab.ask("studio.state.selection.cells"), 8)  # type: ignore[arg-type]
    tab.until(lambda: tab.trainable == chosen)
    job = tab.start(STEPS)

    tab.reload()  # in the middle
    tab.wait(f"studio.state.run?.id === '{job}' && studio.state.run.train.length >= 6", TRAINING)
    tab.holds("studio.state.step", "train")
    finished(tab)
    assert tab.ask("studio.state.run.train.map((point) => point.step)") == list(range(1, STEPS + 1))
    losses = tab.ask("studio.state.run.train.map((point) => point.loss)")
    assert sum(losses[-5:]) < sum(losses[:5])  # type: ignore[index]
    tab.wait("document.querySelectorAll('#plot-loss .scatterlayer .trace').length >= 3")

    page.click("#aside [data-go=result]")
    status = tab.ask("studio.state.run.status")
    assert status["after"]["exact_match"] > status["before"]["exact_match"]  # type: ignore[index]
    page.locator(".tries [data-sample]").first.click()
    shown = tab.ask(f"({KEPT} ?? studio.state.run.answers.at(-1)).answers[0].answer")
    expect(page.locator("#compare-answers .tuned .says")).to_have_text(str(shown) or "(nothing)")
    base = tab.ask("studio.state.run.samples[0].base")
    expect(page.locator("#compare-answers .base .says")).to_have_text(str(base) or "(nothing)")

    with page.expect_download() as downloading:
        page.click("#download")
    archive = tmp_path / "adapter.zip"
    downloading.value.save_as(archive)
    spec = check_zip(archive, tmp_path / "adapter", status)  # type: ignore[arg-type]
    assert spec["trainable"] == status["trainable"] == chosen  # type: ignore[index]


def check_zip(archive: Path, folder: Path, status: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The zip holds what it should, and plain PEFT gets the shown accuracy from it. Returns its spec."""
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    with zipfile.ZipFile(archive) as opened:
        assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "spec.json"} <= set(opened.namelist())
        opened.extractall(folder)
    spec = json.loads((folder / "spec.json").read_text())
    base = AutoModelForImageTextToText.from_pretrained(ROOT / "assets/demo/model").eval()
    processor = AutoProcessor.from_pretrained(ROOT / "assets/demo/model")
    rows = load_dataset(Source("demo", spec["data"]["name"])).heldout
    assert accuracy(base, processor, rows) == pytest.approx(status["before"]["exact_match"])
    tuned = PeftModel.from_pretrained(base, folder).eval()
    assert accuracy(tuned, processor, rows) == pytest.approx(status["after"]["exact_match"])
    return dict(spec)


def test_a_killed_server_loses_nothing(tab: Tab) -> None:
    job = tab.start(80)
    tab.excuse()  # the page asks while nobody is there
    tab.server.kill()
    tab.wait("studio.state.run.offline || studio.state.run.whole")
    tab.server.start()
    tab.open()
    tab.holds("studio.state.run?.id", job)
    finished(tab)
    assert tab.ask("studio.state.run.train.map((point) => point.step)") == list(range(1, 81))


def test_a_zoom_survives_new_points(tab: Tab) -> None:
    job = tab.start(5000)
    page = tab.page
    page.wait_for_selector("#plot-loss .scatterlayer .trace")
    page.evaluate("Plotly.relayout('plot-loss', {'xaxis.range': [1, 3]})")
    seen = tab.ask("studio.state.run.train.length")
    tab.wait(f"document.querySelector('#plot-loss').data[0].x.length > {seen} + 5")
    assert tab.ask("[...document.querySelector('#plot-loss').layout.xaxis.range]") == [1, 3]
    page.click("#stop")
    tab.wait(f"studio.state.job === '{job}' && studio.state.run.status.state === 'stopped'", TRAINING)


def test_stop_keeps_what_it_has(tab: Tab) -> None:
    page = tab.page
    tab.step("train")
    tab.advanced()
    tab.setting("Name of the job").fill("<img src=x onerror=alert(1)> stopped & kept")
    tab.start(5000)
    expect(page.locator("#progress h3")).to_contain_text("<img src=x onerror=alert(1)> stopped & kept")
    expect(page.locator("#progress img")).to_have_count(0)
    page.click("#stop")
    tab.wait("studio.state.run.status.state === 'stopped' && studio.state.run.info.adapter_bytes", TRAINING)
    tab.step("result")
    expect(page.locator("#download")).to_have_count(1)
