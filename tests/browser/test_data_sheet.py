"""The sheet of data that were brought: what it says and keeps while things on it are changed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import TRAINING, Tab
from tests.browser.drafts import bring, read_anew
from tests.browser.own_data import captions, picture, table

pytestmark = pytest.mark.browser


def with_errors(folder: Path) -> list[Path]:
    """Questions of which one names no picture that is there, one asks nothing, and one has no answer."""
    rows = [["image", "question", "answer"]]
    for number in range(16):
        (folder / f"{number:03}.png").write_bytes(picture(number, "red", "circle"))
        rows.append([f"{number:03}.png", "Which shape is it?", "circle" if number % 2 else "ring"])
    rows += [["lost.png", "Which shape is it?", "circle"], ["000.png", "", "circle"], ["001.png", "And now?", ""]]
    (folder / "questions.csv").write_text(table(rows))
    return sorted(folder.iterdir())


def test_all_rows_with_errors_are_left_out_by_one_button(tab: Tab, tmp_path: Path) -> None:
    bring(tab, *with_errors(tmp_path))
    expect(tab.page.locator("#draft .finding.error")).to_have_count(3)
    with read_anew(tab):
        tab.page.click("#draft [data-leave-all]")
    tab.holds("studio.state.draft.reading.drop.length", 3)
    expect(tab.page.locator("#draft .finding.error")).to_have_count(0)
    expect(tab.page.locator("#draft [data-leave-all]")).to_have_count(0)
    expect(tab.page.locator("#use-data")).to_be_enabled()
    with read_anew(tab):
        tab.page.click("#draft [data-back=missing_image]")
    tab.holds("studio.state.draft.reading.drop.length", 2)
    expect(tab.page.locator("#draft .finding.error")).to_have_count(1)


def test_a_typed_title_stays_while_something_else_is_changed(tab: Tab, tmp_path: Path) -> None:
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    tab.page.fill("#draft-title", "Plates of March")
    tab.page.fill("#split-share", "25")
    with read_anew(tab):
        tab.page.press("#split-share", "Tab")
    tab.holds("studio.state.draft.reading.split.share", 0.25)
    expect(tab.page.locator("#draft-title")).to_have_value("Plates of March")
    bring(tab, captions(tmp_path / "others.zip", count=20, missing=0))
    expect(tab.page.locator("#draft-title")).to_have_value("others")


def test_braces_that_name_no_column_are_pointed_at(tab: Tab, tmp_path: Path) -> None:
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    warning = tab.page.locator("#draft .wording .trouble")
    expect(warning).to_have_count(0)
    tab.page.fill("#draft-template", "What is {colour} in {file_name}?")
    tab.page.press("#draft-template", "Tab")
    expect(warning).to_contain_text("No column is called {colour}")
    expect(warning).not_to_contain_text("{file_name}")


def test_a_refusal_is_said_where_the_change_was_asked_for(tab: Tab, tmp_path: Path) -> None:
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    tab.excuse("status of 422")  # the refusal
    tab.page.fill("#split-share", "95")
    tab.page.press("#split-share", "Tab")
    expect(tab.page.locator("#draft .note.bad")).to_have_count(1)
    held_out = tab.page.locator("section[aria-labelledby=h-split]")
    expect(held_out.locator(".refused .note.bad")).to_contain_text("not changed")
    expect(tab.page.locator("#split-share")).to_have_value("10")


def test_data_thrown_away_in_another_tab_leave_no_dead_sheet(tab: Tab, tmp_path: Path) -> None:
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    tab.excuse("status of 404")  # the data, and pictures of them that were on their way
    gone = tab.page.evaluate(
        "(id) => fetch(`studio/drafts/${id}`, { method: 'DELETE', headers: { 'X-Studio': '1' } }).then((a) => a.ok)",
        tab.ask("studio.state.draftId"),
    )
    assert gone
    tab.page.fill("#split-share", "25")
    tab.page.press("#split-share", "Tab")
    expect(tab.page.locator(".bring .said")).to_contain_text("no longer here")
    tab.holds("studio.state.draft", None)


def test_what_a_training_would_learn_from_stands_beside_start(tab: Tab, tmp_path: Path) -> None:
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    expect(tab.page.locator(".budget td.from")).to_have_text("Handwritten digits")
    tab.page.fill("#draft-title", "Shapes in sight")
    tab.page.click("#use-data")
    tab.wait("studio.state.dataset.startsWith('stored:') && !studio.state.draft")
    expect(tab.page.locator(".budget td.from")).to_have_text("Shapes in sight")


def test_a_phone_says_what_a_training_would_learn_from(tab: Tab) -> None:
    said = tab.page.locator(".budget .narrow")
    expect(said).to_be_hidden()  # a wide page has it in the table
    tab.page.set_viewport_size({"width": 390, "height": 844})
    expect(said).to_be_visible()
    expect(said).to_have_text(f"learns from {tab.ask('studio.state.home.datasets[0].title')}")


def test_rows_of_every_class_are_in_sight_and_are_left_out_by_their_own_numbers(tab: Tab, tmp_path: Path) -> None:
    for at, name in enumerate(("apples", "pears", "plums")):
        (tmp_path / name).mkdir()
        for number in range(30):
            (tmp_path / name / f"{number:03}.png").write_bytes(picture(100 * at + number, "red", "circle"))
    archive = tmp_path / "fruit.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(tmp_path.glob("*/*.png")):
            file.write(path, path.relative_to(tmp_path))
    bring(tab, archive)
    expect(tab.page.locator("#h-rows")).to_have_text("Some rows of different classes")
    tab.page.click("#draft [data-all]")
    rows = tab.page.locator("#draft .rows tbody tr")
    expect(rows).to_have_count(24)
    expect(rows.filter(has_text="plums/")).to_have_count(8)
    with read_anew(tab):
        tab.page.click("#draft [data-out='60']")  # the first of the plums
    tab.holds("studio.state.draft.reading.drop_rows", [60])
    finding = "studio.state.draft.report.findings.find(({ kind }) => kind === 'chosen')"
    tab.holds(f"{finding}.places.map(({{ file }}) => file)", ["plums/000.png"])
    tab.holds("studio.state.draft.report.usable", 89)


def test_paths_of_another_machine_are_put_right_by_one_button(tab: Tab, tmp_path: Path) -> None:
    rows = [["image", "question", "answer"]]
    for number in range(16):
        (tmp_path / f"{number:03}.png").write_bytes(picture(number, "red", "circle"))
        rows.append([f"C:\\Users\\anna\\{number:03}.png", "Which shape is it?", "circle" if number % 2 else "ring"])
    (tmp_path / "questions.csv").write_text(table(rows))
    bring(tab, *sorted(tmp_path.iterdir()))
    tab.holds("studio.state.draft.report.usable", 0)
    with read_anew(tab):
        tab.page.click("#draft [data-remedy=foreign_path]")
    tab.wait("studio.state.draft.reading.foreign_paths")
    tab.holds("studio.state.draft.report.usable", 16)
    expect(tab.page.locator("#draft .finding.error")).to_have_count(0)


@pytest.mark.slow
def test_after_other_data_were_chosen_the_first_button_starts_a_training_of_them(tab: Tab) -> None:
    tab.start(3)
    tab.wait("studio.state.run.status.state === 'finished' && studio.state.run.status.after", TRAINING)
    first = tab.page.locator(".budget .actions .primary")
    expect(first).to_have_text("See the result")
    tab.step("data")
    tab.page.check("#sets input[value=outline]")
    tab.holds("studio.state.dataset", "outline")
    tab.step("train")
    expect(first).to_have_text("Start training")
    expect(tab.page.locator(".budget [data-go=result]")).to_be_visible()
