"""A run as the page shows it: each component's norms, where the gradient arrives and where rank goes, how it runs and
why, what was noticed, and the proof of what changed. Looked at are jobs with made-up points; `test_training_watched.py`
trains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from core.job_files import POINTS, PROOF
from tests.browser.conftest import Server, Tab, hard_to_use
from tests.browser.watched import CHOICES, LEVERS, PLATEAU, watched_job
from tests.ui.parts import make_job

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ADALORA, DORA, TAMPERED, OLD = (f"20260101-12000{n}-000-0123456789" for n in range(4))
POINT = {"kind": "train", "loss": 2.5, "learning_rate": 0.003, "grad_norm": 0.7}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of someone who has trained: with AdaLoRA, with DoRA, one gone wrong, and one long ago."""
    root = tmp_path_factory.mktemp("watched")
    watched_job(root, method="adalora", job=ADALORA)
    watched_job(root, job=DORA)
    tampered = watched_job(root, job=TAMPERED)
    found = json.loads((tampered / PROOF).read_text())
    found["frozen"] |= {"same": False, "after": "0" * 64, "changed": ["model.connector.weight"]}
    found["components"]["projector"] |= {"update": 0.5, "ratio": 0.2}
    (tampered / PROOF).write_text(json.dumps(found))
    old = make_job(root, "local", OLD)
    (old / POINTS).write_text("".join(json.dumps({**POINT, "step": step}) + "\n" for step in range(1, 6)))
    return root


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    running = Server(home)
    running.start()
    yield running
    running.kill()


def look_at(tab: Tab, job: str, step: str) -> Page:
    """The job, opened from the list, on this step, when all of it is on the page."""
    tab.step("result")
    tab.ask("void (window.runBefore = studio.state.run)")  # it may be the same job: it is read anew
    tab.page.click(f"#jobs [data-job='{job}']")
    tab.wait(f"studio.state.run !== window.runBefore && studio.state.run?.id === '{job}' && studio.state.run.whole")
    tab.holds("studio.state.run.status.state", "finished")
    tab.step(step)
    return tab.page


DRAWN = """[...document.querySelectorAll('#plots .plot')].filter((plot) => plot.offsetParent)
  .map((plot) => Boolean(plot.querySelector('.main-svg')))"""


def drawn(tab: Tab) -> None:
    """Every chart stands there; they are drawn one after the other."""
    tab.wait("document.querySelector('#plot-rate .main-svg')")
    tab.wait(f"({DRAWN}).every(Boolean)")


def test_each_component_has_a_line_that_is_known_without_its_colour(tab: Tab) -> None:
    page = look_at(tab, DORA, "train")
    drawn(tab)
    lines = tab.ask("document.getElementById('plot-norm').data.map((each) => [each.name, each.line.dash])")
    assert [name for name, _ in lines] == ["vision", "language"]  # type: ignore[attr-defined]
    assert len({dash for _, dash in lines}) == 2, "two dashes"  # type: ignore[attr-defined]
    for name, title in (("grad", "Gradient norm"), ("weight", "Weight norm"), ("update", "Update norm")):
        page.click(f"[data-norm={name}]")
        expect(page.locator("[data-chart=norm] h3")).to_contain_text(title)
        expect(page.locator(f"[data-norm={name}]")).to_have_attribute("aria-pressed", "true")
        last = tab.ask(f"studio.state.run.norms.at(-1).{name}.vision")
        shown = page.locator("[data-chart=norm] .legend [data-component=vision] b")
        tab.until(lambda last=last, shown=shown: float(shown.inner_text()) == pytest.approx(last, rel=0.01))


def test_the_best_look_is_marked_where_it_was(tab: Tab) -> None:
    page = look_at(tab, DORA, "train")
    drawn(tab)
    tab.holds("document.getElementById('plot-loss').data.find((each) => each.name === 'best look').x", [100])
    expect(page.locator("[data-chart=loss] .legend")).to_contain_text("best look, step 100")


COUNT_PLOTS = """() => {
  const react = Plotly.react;
  window.again = [];
  Plotly.react = (at, ...rest) => (again.push(at.id), react(at, ...rest));
}"""
SMOOTH_LESS = """() => {
  const at = document.getElementById("smoothing");
  at.value = 0.2;
  at.dispatchEvent(new Event("input", { bubbles: true }));
}"""


def test_only_what_changed_is_plotted_again_and_a_zoom_stays(tab: Tab) -> None:
    page = look_at(tab, DORA, "train")
    drawn(tab)
    page.evaluate("() => Plotly.relayout('plot-loss', { 'xaxis.range': [10, 40] })")
    page.evaluate(COUNT_PLOTS)
    page.evaluate(SMOOTH_LESS)
    tab.holds("again", ["plot-loss", "plot-norm"])  # these two are smoothed
    tab.holds("document.getElementById('plot-loss').layout.xaxis.range", [10, 40])


def test_the_metrics_of_the_data_can_be_chosen_the_main_one_first(tab: Tab) -> None:
    page = look_at(tab, DORA, "train")
    drawn(tab)
    offered = page.locator("#metric option").all_inner_texts()
    assert offered[0] == "Right answers"
    assert "majority" not in " ".join(offered).lower()
    lines = "document.getElementById('plot-answers').data.map((each) => each.name)"
    tab.holds(lines, ["now", "base model", "guessing"])
    page.select_option("#metric", "cer")
    tab.wait(f"({lines}).length === 2")
    expect(page.locator("[data-chart=answers] h3")).to_contain_text("Character errors")
    wanted = tab.ask("studio.state.run.evals.map((each) => each.metrics.cer)")
    tab.holds("document.getElementById('plot-answers').data[0].y", wanted)


def test_the_gradient_s_map_is_walked_by_keyboard_and_told_in_numbers(tab: Tab) -> None:
    page = look_at(tab, DORA, "train")
    cells = page.locator("[data-heat=flow] [role=gridcell]")
    points = tab.ask("studio.state.run.flows.map((each) => each.norms)")
    expect(cells).to_have_count(len(points[-1]))  # type: ignore[index]
    for norm, layer in zip(points[-1], tab.ask("studio.state.run.layers"), strict=True):  # type: ignore[index,call-overload]
        row = page.locator(f"[data-heat=flow] [data-component={layer['component']}]")
        said = str(row.get_by_role("gridcell").nth(layer["layer"]).get_attribute("aria-label"))
        assert f"layer {layer['layer']}" in said
        assert float(said.split(": ")[1]) == pytest.approx(norm, rel=0.01)
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    tab.wait("document.activeElement.getAttribute('aria-label')?.startsWith('Language model, layer 1: ')")
    told = str(tab.ask("document.activeElement.getAttribute('aria-label')"))
    expect(page.locator("[data-told=flow]")).to_have_text(told)
    expect(page.locator("[data-heat=flow] [tabindex='0']")).to_have_count(1)
    page.locator("[data-when=flow]").focus()
    page.keyboard.press("Home")
    expect(page.locator("[data-when=flow]")).to_have_value("0")
    first = str(cells.first.get_attribute("aria-label"))
    assert float(first.split(": ")[1]) == pytest.approx(points[0][0], rel=0.01)  # type: ignore[index]


def test_where_rank_went_is_shown_by_layer_and_component_over_time(tab: Tab) -> None:
    page = look_at(tab, ADALORA, "train")
    drawn(tab)
    tab.wait("document.querySelector('#plot-ranks .main-svg')")
    modules: Any = tab.ask("studio.state.run.modules")
    points: Any = tab.ask("studio.state.run.ranks")
    shown = page.locator("[data-heat=ranks] [role=gridcell]:not(.sum)")
    expect(shown).to_have_count(len(points[-1]["ranks"]))
    assert sorted(map(int, shown.all_inner_texts())) == sorted(points[-1]["ranks"])
    for name in ("vision", "language"):
        own = [rank for rank, module in zip(points[-1]["ranks"], modules, strict=True) if module["component"] == name]
        expect(page.locator(f".rank-table [data-component={name}] td").first).to_contain_text(f"{sum(own)} of ")
        line = f"document.getElementById('plot-ranks').data.find((each) => each.name === '{name}').y.at(-1)"
        tab.holds(line, sum(own))
    said = str(shown.first.get_attribute("aria-label"))
    assert said.endswith(f"rank {shown.first.inner_text()}")
    page.locator("[data-when=rank]").focus()
    page.keyboard.press("Home")
    expect(page.locator(".ranks")).to_contain_text("No rank has been taken away yet")
    assert set(shown.all_inner_texts()) == {"12"}


def test_a_run_of_another_method_has_no_picture_of_ranks(tab: Tab) -> None:
    page = look_at(tab, DORA, "train")
    drawn(tab)
    expect(page.get_by_text("Where the gradient arrives")).to_be_visible()
    expect(page.get_by_text("Where rank went")).to_be_hidden()


def test_what_was_chosen_is_told_with_its_reason_and_can_be_set_otherwise(tab: Tab) -> None:
    page = look_at(tab, DORA, "train")
    expect(page.locator("#how")).to_contain_text("chosen by you")
    card = page.inner_text("#how")
    for _, _, reason, _ in CHOICES:
        assert reason in card
    for _, _, reason in LEVERS:
        assert reason in card
    assert card.count("✓ on") == sum(on for _, on, _ in LEVERS)
    page.select_option("[data-how=precision]", "fp32")
    page.fill("[data-how=at_once]", "4")
    page.press("[data-how=at_once]", "Tab")
    page.uncheck("[data-lever=frozen_first]")
    tab.wait("studio.state.form.precision === 'fp32' && String(studio.state.form.at_once) === '4'")
    tab.holds("studio.state.form.levers.includes('frozen_first')", False)
    tab.advanced()
    expect(tab.setting("Precision")).to_have_value(re.compile("32"))
    expect(tab.setting("Rows at a time")).to_have_value("4")


def test_what_was_noticed_is_said_with_numbers_and_a_remedy(tab: Tab) -> None:
    page = look_at(tab, DORA, "train")
    for text in PLATEAU.values():
        expect(page.locator("#progress .diagnosis")).to_contain_text(text)


def test_the_proof_says_what_moved_and_that_nothing_else_did(tab: Tab) -> None:
    page = look_at(tab, DORA, "result")
    tab.wait("studio.state.run.proof")
    proof: Any = tab.ask("studio.state.run.proof")
    expect(page.locator("#proof .moved")).to_be_visible()
    expect(page.locator("#proof [role=listitem][data-component=projector]")).to_contain_text("✓ unchanged")
    for name in ("vision", "language"):
        said = page.inner_text(f"#proof [role=listitem][data-component={name}] b")
        assert float(said.rstrip("%")) == pytest.approx(100 * proof["components"][name]["ratio"], rel=0.06)
    note = page.inner_text("#proof .note.ok")
    assert "bit-identical" in note
    assert note.count(proof["frozen"]["before"][:12]) >= 2
    assert proof["frozen"]["before"] not in note, "the short form first"
    page.click("#proof .note summary")
    expect(page.locator("#proof .hash")).to_be_visible()
    assert page.inner_text("#proof .hash").count(proof["frozen"]["before"]) == 2
    cells = page.locator("[data-heat=proof] [role=gridcell]")
    expect(cells).to_have_count(len(proof["modules"]))
    cells.first.focus()
    expect(page.locator("[data-told=proof]")).to_contain_text("moved by")


def test_frozen_weights_that_changed_are_an_alarm(tab: Tab) -> None:
    page = look_at(tab, TAMPERED, "result")
    expect(page.locator("#proof [role=alert]")).to_contain_text("model.connector.weight")
    expect(page.locator("#proof .note")).not_to_contain_text("bit-identical")
    expect(page.locator("#proof [role=listitem][data-component=projector]")).to_contain_text("✕ changed")


def test_the_scores_stand_side_by_side_the_main_one_first(tab: Tab) -> None:
    page = look_at(tab, DORA, "result")
    expect(page.locator(".scores tbody tr").first).to_be_visible()
    rows = page.locator(".scores tbody tr").all_inner_texts()
    assert rows[0].startswith("Right answers")
    assert all(text in rows[0] for text in ("23%", "91%", "86.2% to 94.2%", "11.5%", "better"))
    cer = next(row for row in rows if "CER" in row)
    assert "better" in cer, "of errors less is better"


def test_the_answers_are_those_of_the_weights_that_were_kept(tab: Tab) -> None:
    page = look_at(tab, DORA, "result")
    expect(page.locator("#hero")).to_contain_text("The adapter holds the weights of step 100")
    expect(page.locator("#hero")).to_contain_text("at step 100, whose weights are the adapter’s")
    kept = tab.ask("studio.state.run.answers.find(({ step }) => step === 100).answers.map(({ answer }) => answer)")
    expect(page.locator("#hero .answers td:last-child span")).to_have_text(kept)  # type: ignore[arg-type]


def test_a_job_of_an_older_release_is_shown_as_far_as_it_goes(tab: Tab) -> None:
    page = look_at(tab, OLD, "train")
    drawn(tab)
    expect(page.locator("[data-chart=norm]")).to_contain_text("Gradient norm")
    for gone in ("[data-chart=memory]", "[data-chart=speed]", "#watching", "#how"):
        expect(page.locator(gone)).to_be_hidden()
    tab.step("result")
    expect(page.locator("#hero .card").first).to_be_visible()
    expect(page.locator("#proof")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_serious_accessibility_finding(server: Server, browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
    tab = Tab(context.new_page(), server)
    found = []
    for step in ("train", "result"):
        look_at(tab, ADALORA, step)
        if step == "train":
            drawn(tab)
        tab.still()
        tab.holds("document.documentElement.scrollWidth <= innerWidth", True)
        found += [(step, *each) for each in hard_to_use(tab)]
    context.close()
    assert not found, found
    assert not tab.faults, tab.faults
