"""Bringing pictures of one's own: from the drop of a zip to an adapter whose card names it."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import TRAINING, Server, Tab, hard_to_use
from tests.browser.drafts import bring, checked, read_anew
from tests.browser.own_data import captions, classes, picture, questions, table

pytestmark = pytest.mark.browser
PART = 4 * 1024 * 1024


def reading(tab: Tab, what: str) -> object:
    return tab.ask(f"studio.state.draft.reading.{what}")


def use(tab: Tab, title: str) -> None:
    """Makes a data set of the draft."""
    tab.page.fill("#draft-title", title)
    tab.page.click("#use-data")
    tab.wait("studio.state.dataset.startsWith('stored:') && !studio.state.draft")
    expect(tab.page.locator("nav.steps [data-step=data]")).to_contain_text(title)


def card_of_a_short_job(tab: Tab) -> str:
    """Trains on the chosen set for some steps -> the model card of the adapter that can be downloaded."""
    job = tab.start(6)
    tab.wait("studio.state.run.status.state === 'finished' && studio.state.run.info.adapter_bytes", TRAINING)
    answer = tab.page.request.get(f"{tab.server.address}/studio/jobs/{job}/adapter.zip")
    with zipfile.ZipFile(io.BytesIO(answer.body())) as adapter:
        card = next(name for name in adapter.namelist() if name.endswith("README.md"))
        return adapter.read(card).decode()


def left_on_the_server(tab: Tab) -> tuple[int, int]:
    """How many drafts and how many uploads there are."""
    drafts = tab.page.evaluate(
        "() => fetch('studio/drafts').then((answer) => answer.json()).then((each) => each.drafts)"
    )
    uploads = [path for path in (tab.server.home / "data").glob("*/uploads/*") if path.is_dir()]
    return len(drafts), len(uploads)


@pytest.mark.slow
def test_a_zip_of_captions_becomes_an_adapter_whose_card_names_it(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    bring(tab, captions(tmp_path / "shapes.zip"))
    assert reading(tab, "format") == "captions"
    expect(page.locator("#draft .rows tbody tr").first).to_contain_text("a red circle, number 0")
    expect(page.locator("#draft .finding.error")).to_contain_text("1 row names a picture that is not there")
    expect(page.locator("#use-data")).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#not-yet")).to_contain_text("found errors")
    with read_anew(tab):
        page.click("#draft .finding.error button[data-remedy]")
    tab.holds("studio.state.draft.reading.drop.length", 1)
    use(tab, "Shapes on paper")
    expect(page.locator("#sets .set:has(input:checked)")).to_contain_text("Shapes on paper")
    assert "Shapes on paper" in card_of_a_short_job(tab)


def test_a_wrong_column_is_put_right_by_choosing_another(tab: Tab, tmp_path: Path) -> None:
    bring(tab, *questions(tmp_path))
    assert reading(tab, "format") == "vqa"
    assert reading(tab, "columns.answer") == "answer"
    answers = tab.page.locator("#draft .rows tbody td.a")
    expect(answers.first).to_have_text("a thing")
    with read_anew(tab):
        tab.page.select_option("#column-answer", "corrected")
    expect(answers.first).to_have_text("red circle")
    use(tab, "Questions")
    chosen = tab.page.locator("#sets .set:has(input:checked)")
    expect(chosen).to_contain_text("Questions")
    expect(chosen.locator(".figure").first).to_contain_text("circle")
    key = tab.ask("studio.state.dataset")
    rows = int(str(tab.ask(f"studio.state.home.datasets.find((set) => set.key === '{key}').train")))
    batch = int(str(tab.ask("studio.state.form.batch_size")))
    assert rows < 24
    per_epoch = -(-rows // batch)
    assert tab.ask("studio.converted('steps', 3)") == 3 * per_epoch


@pytest.mark.slow
def test_questions_with_a_wrong_column_put_right_become_an_adapter(tab: Tab, tmp_path: Path) -> None:
    bring(tab, *questions(tmp_path))
    with read_anew(tab):
        tab.page.select_option("#column-answer", "corrected")
    assert reading(tab, "columns.answer") == "corrected"
    use(tab, "Corrected questions")
    card = card_of_a_short_job(tab)
    assert "Corrected questions" in card
    assert "pictures, questions and answers" in card


@pytest.mark.slow
def test_a_zip_of_class_folders_without_its_damaged_picture_becomes_an_adapter(tab: Tab, tmp_path: Path) -> None:
    folder, packed = classes(tmp_path / "kinds"), tmp_path / "kinds.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    bring(tab, packed)
    assert reading(tab, "format") == "classes"
    with read_anew(tab):
        tab.page.click("#draft .finding.error button[data-remedy]")
    tab.holds("studio.state.draft.reading.drop.length", 1)
    use(tab, "Kinds of shapes")
    card = card_of_a_short_job(tab)
    assert "Kinds of shapes" in card
    assert "| left out |" in card, "what was dropped is written down"


def test_a_folder_a_class_is_recognised_and_a_damaged_picture_is_left_out(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    bring(tab, classes(tmp_path / "kinds"), into="#bring-folder")
    assert reading(tab, "format") == "classes"
    tab.holds("studio.state.draft.report.rows", 25)
    with read_anew(tab):
        page.click("#draft .finding.error button[data-remedy]")
    tab.holds("studio.state.draft.report.findings.filter((each) => each.severity === 'error').length", 0)
    expect(page.locator("#draft .findings")).to_contain_text("Left out")
    tab.holds("studio.state.draft.report.train + studio.state.draft.report.heldout", 24)
    page.fill("#split-share", "25")
    with read_anew(tab):
        page.press("#split-share", "Tab")
    assert reading(tab, "split.share") == 0.25
    tab.holds("studio.state.draft.report.heldout", 6)
    expect(page.locator("#draft .counts")).to_contain_text("18 to learn from")
    with read_anew(tab):
        page.click("#draft .finding button[data-back]")
    tab.holds("studio.state.draft.report.findings.some((each) => each.severity === 'error')", True)
    tab.excuse("status of 422")  # the refusal
    page.select_option("#draft-format", "captions")
    expect(page.locator("#draft .refused .note")).to_contain_text("Choose another format")
    expect(page.locator("#draft-format")).to_have_value("classes")


def test_what_the_model_will_get_marks_what_is_learned(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    row = page.locator("#draft .seen-row").first
    row.wait_for()
    learned = "".join(row.locator(".token.learned:not(.special)").all_inner_texts()).replace("\u00a0", " ")
    assert learned.strip() == "a red circle, number 0"
    expect(row.locator(".token.image")).to_have_count(1)
    expect(row.locator(".token.image")).to_contain_text("image tokens")
    tab.wait("document.querySelector('#draft .seen-row img')?.naturalWidth > 0")
    expect(page.locator("#draft .histogram").first).to_be_visible()
    expect(page.locator("#draft .figures")).to_contain_text("fits")


def test_rows_that_are_too_long_are_named_and_left_out_by_a_button(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    path = tmp_path / "long.zip"
    with zipfile.ZipFile(path, "w") as archive:
        rows = [["file_name", "caption"]]
        for number in range(12):
            archive.writestr(f"{number}.png", picture(number, "blue", "square"))
            rows.append(
                [f"{number}.png", f"a blue square, number {number}" + " and so on" * (90 if number == 7 else 0)]
            )
        archive.writestr("captions.csv", table(rows))
    tab.step("train")
    tab.advanced()
    tab.setting("Longest row").fill("100")
    tab.setting("Longest row").press("Tab")
    tab.wait("studio.state.form.max_tokens === 100")
    bring(tab, path)
    note = page.locator("#draft .figures .note.bad")
    expect(note).to_contain_text("1 row is longer than the 100 tokens")
    expect(note.locator(".places li")).to_contain_text("captions.csv, line 9")
    with read_anew(tab):
        note.locator("[data-out]").click()
    tab.holds("studio.state.draft.reading.drop_rows.length", 1)
    expect(page.locator("#draft .figures")).to_contain_text("Every row fits")
    expect(page.locator("#draft .findings")).to_contain_text("left out by hand")
    with read_anew(tab):
        page.click("#draft .finding button[data-back=chosen]")
    expect(note).to_be_visible()
    note.locator("[data-longer]").click()
    expect(note).to_have_count(0)


def test_what_the_model_gets_of_a_demo_set_is_shown_when_it_is_opened(tab: Tab) -> None:
    tab.step("data")
    box = tab.page.locator("#set-in-tokens")
    expect(box.locator(".seen-row")).to_have_count(0)
    box.locator("summary").click()
    expect(box.locator(".seen-row")).to_have_count(2)
    expect(box.locator(".histogram").first).to_be_visible()
    box.get_by_label("Further rows").click()
    expect(box.locator(".seen-row h4").first).to_contain_text("Row 3")


def test_a_column_and_a_group_say_what_is_held_out(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    rows = [["image", "caption", "writer", "part"]]
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(picture(number, "green", "circle"))
        rows.append(
            [f"{number}.png", f"drawn as number {number}", "abcde"[number % 5], "odd" if number % 5 else "even"]
        )
    (tmp_path / "rows.csv").write_text(table(rows))
    bring(tab, *sorted(tmp_path.iterdir()))
    with read_anew(tab):
        page.select_option("#split-group", "writer")
    tab.holds("[studio.state.draft.reading.split.group, studio.state.draft.reading.columns.group]", [True, "writer"])
    tab.holds("studio.state.draft.report.heldout", 4)
    page.check("#draft input[value=column]")
    expect(page.locator("#split-column")).to_be_visible()
    assert reading(tab, "split.by") == "share"  # nothing is read by a column that was not named
    with read_anew(tab):
        page.select_option("#split-column", "part")
    tab.holds("studio.state.draft.report.findings.some((each) => each.kind === 'unknown_split')", True)
    with read_anew(tab):
        page.check("#draft input[value=share]")
    tab.holds("studio.state.draft.report.heldout", 4)
    tab.reload()
    checked(tab)
    expect(page.locator("#draft input[value=share]")).to_be_checked()


def test_files_are_taken_by_dropping_them(tab: Tab, tmp_path: Path) -> None:
    content = list(captions(tmp_path / "dropped.zip", missing=0).read_bytes())
    tab.step("data")
    expect(tab.page.locator("#bring .zone .drop")).to_be_visible()
    tab.page.evaluate(
        """(content) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(content)], "dropped.zip"));
            for (const kind of ["dragover", "drop"]) {
                const event = new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
                document.querySelector("#bring .zone").dispatchEvent(event);
            }
        }""",
        content,
    )
    checked(tab)
    tab.holds("studio.state.draft.report.usable", 24)


def test_an_upload_goes_on_after_a_reload_with_what_is_missing(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    path = captions(tmp_path / "large.zip", missing=0)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("shapes/noise.bin", random.Random(0).randbytes(2 * PART))
    tab.excuse()  # the requests that this test breaks
    sent: list[str] = []

    def gate(route: Route) -> None:
        sent.append(route.request.url.split("offset=")[1])
        if sent[-1] == "0":
            route.continue_()  # what follows never arrives

    tab.step("data")
    page.route("**/uploads/*/0?offset=*", gate)
    page.set_input_files("#bring-files", str(path))
    tab.wait(f"studio.state.upload?.received[0] === {PART}")
    tab.reload()
    tab.wait("studio.state.upload?.phase === 'cut off'")
    tab.step("data")
    expect(page.locator("#bring")).to_contain_text("choose the same file again")
    other = tmp_path / "other.zip"
    other.write_bytes(b"x")
    page.set_input_files("#bring-files", str(other))
    expect(page.locator("#bring")).to_contain_text("A file is not among these: large.zip")
    page.unroute("**/uploads/*/0?offset=*")
    sent.clear()
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    page.set_input_files("#bring-files", str(path))
    checked(tab)
    assert [url.split("offset=")[1] for url in sent] == [str(PART), str(2 * PART)]
    tab.holds("studio.state.draft.report.rows", 24)
    tab.holds("sessionStorage.getItem('vlm-lora-studio-upload')", None)


def test_an_upload_goes_on_by_itself_when_the_connection_comes_back(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    tab.excuse()  # the request that this test breaks
    broken: list[str] = []

    def once(route: Route) -> None:
        if broken:
            return route.continue_()
        broken.append(route.request.url)
        return route.abort()

    page.route("**/uploads/*/0?offset=*", once)
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    assert broken


def test_a_cancelled_upload_leaves_nothing(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    tab.excuse()  # the request that is given up
    before = left_on_the_server(tab)
    tab.step("data")
    page.route("**/uploads/*/0?offset=*", lambda route: None)
    page.set_input_files("#bring-files", str(captions(tmp_path / "shapes.zip")))
    tab.wait("studio.state.upload?.id")
    page.click("#bring [data-cancel]")
    expect(page.locator("#bring [data-choose=files]")).to_be_visible()
    tab.until(lambda: left_on_the_server(tab) == before)


def test_a_bad_archive_gets_a_sentence_and_leaves_nothing(tab: Tab, tmp_path: Path) -> None:
    before = left_on_the_server(tab)
    bad = tmp_path / "<b>bad<b>.zip"
    bad.write_bytes(b"PK\x03\x04 this is no zip")
    tab.step("data")
    tab.excuse("status of 4")  # the refusal
    tab.page.set_input_files("#bring-files", str(bad))
    note = tab.page.locator("#bring .note.bad")
    expect(note).to_contain_text(".zip")
    expect(note).not_to_contain_text("Traceback")
    expect(note.locator("b")).to_have_count(1)  # the heading; the name stays text
    assert tab.ask("studio.state.draft") is None
    tab.until(lambda: left_on_the_server(tab) == before)


def test_data_sets_of_the_hub_and_folders_that_are_not_there_get_a_sentence(tab: Tab) -> None:
    page = tab.page
    tab.excuse("status of 4")  # the refusals
    tab.step("data")
    page.click("#from-folder summary")
    page.fill("#folder-path", "/no/such/folder")
    page.press("#folder-path", "Enter")
    expect(page.locator("#bring .note.bad")).to_contain_text("/no/such/folder")
    page.click("#from-hub summary")
    page.fill("#hub-name", "no such name")
    page.press("#hub-name", "Enter")
    expect(page.locator("#bring .note.bad")).to_contain_text("no such name")


def test_texts_and_names_of_data_stay_text(tab: Tab, tmp_path: Path) -> None:
    attack = "<img src=x onerror='window.attacked = true'>"
    name = "<svg onload=attacked=1>.png"
    path = tmp_path / "<u>set<u>.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(6):
            archive.writestr(f"{number}{name}", picture(number, "red", "circle"))
        rows = [["image", "question", "answer", attack]]
        rows += [
            [f"{number}{name}", f"{attack} {number}?", f"<script>attacked=1</script> {number}", attack]
            for number in range(6)
        ]
        rows += [[f"{attack}.png", "what?", attack, attack]]
        archive.writestr("rows.csv", table(rows))
    bring(tab, path)
    tab.page.click("#draft .finding button[data-places] >> nth=0")
    expect(tab.page.locator("#draft table.rows")).to_contain_text(attack)
    expect(tab.page.locator("#draft .places")).to_contain_text(attack)
    with read_anew(tab):
        tab.page.click("#draft .finding.error button[data-remedy]")
    tab.page.locator("#draft .seen-row").first.wait_for()
    use(tab, attack)
    expect(tab.page.locator("#sets .set:has(input:checked)")).to_contain_text(attack)
    tab.wait("document.querySelector('#sets .set:has(input:checked) img').complete")
    assert tab.ask("window.attacked") is None
    expect(tab.page.locator("img[src=x], .rows script, #step-data svg[onload], #step-data u")).to_have_count(0)


def test_a_set_is_deleted_only_after_a_question(tab: Tab, tmp_path: Path) -> None:
    tab.excuse("status of 404")  # pictures of the set that were on their way
    bring(tab, captions(tmp_path / "gone.zip", count=32, missing=0))
    use(tab, "Soon gone")
    card = tab.page.locator("#sets .set", has_text="Soon gone")
    card.locator("[data-removing]").click()
    card.locator("[data-keep]").click()
    expect(card.locator("[data-removing]")).to_be_visible()
    card.locator("[data-removing]").click()
    card.locator("[data-remove]").click()
    expect(card).to_have_count(0)
    tab.holds("studio.state.home.datasets.some((set) => set.key === studio.state.dataset)", True)
    tab.reload()
    expect(tab.page.locator("#sets .set").first).to_be_visible()
    expect(card).to_have_count(0)


def test_an_open_draft_is_found_again_after_a_reload_and_thrown_away_after_a_question(tab: Tab, tmp_path: Path) -> None:
    tab.excuse("status of 404")  # pictures of the draft that were on their way
    bring(tab, captions(tmp_path / "again.zip", missing=0))
    draft = tab.ask("studio.state.draft.id")
    tab.page.fill("#draft-template", "What is this?")
    with read_anew(tab):
        tab.page.press("#draft-template", "Tab")
    expect(tab.page.locator("#draft .rows td.q").first).to_have_text("What is this?")
    tab.reload()
    tab.holds("studio.state.draft.id", draft)
    expect(tab.page.locator("#draft-template")).to_have_value("What is this?")
    tab.wait(f"studio.state.drafts.some((each) => each.id === '{draft}')")
    before = left_on_the_server(tab)[0]
    tab.page.click("#draft .draft-head [data-removing]")
    tab.page.click("#draft .draft-head [data-away]")
    tab.wait(f"!studio.state.draft && !studio.state.drafts.some((each) => each.id === '{draft}')")
    tab.until(lambda: left_on_the_server(tab)[0] == before - 1)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False)])
def test_the_step_with_a_draft_open_is_accessible(
    server: Server, browser: Browser, tmp_path: Path, width: int, dark: bool
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    tab = Tab(context.new_page(), server)
    if dark:
        tab.page.evaluate("() => document.body.classList.add('dark')")
    bring(tab, captions(tmp_path / "shapes.zip"))
    tab.page.locator("#draft .seen-row").first.wait_for()
    expect(tab.page.locator("#draft .histogram").first).to_be_visible()
    tab.page.click("#draft-advanced summary")
    tab.page.click("#from-folder summary")
    tab.page.click("#from-hub summary")
    tab.page.click("#draft .finding button[data-places]")
    tab.still()
    tab.holds("document.documentElement.scrollWidth <= innerWidth", True)
    found = hard_to_use(tab)
    context.close()
    assert not found, found
    assert not tab.faults, tab.faults
