"""Bringing pictures of one's own: from the drop of a zip to an adapter whose card names it."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import Server, Tab, hard_to_use
from tests.browser.own_data import captions, classes, picture, questions, table

pytestmark = pytest.mark.browser
PART = 4 * 1024 * 1024


def bring(tab: Tab, *files: Path) -> None:
    """Chooses files, and waits until they have been checked."""
    tab.step("data")
    tab.page.set_input_files("#bring-files", [str(file) for file in files])
    checked(tab)


def checked(tab: Tab) -> None:
    tab.wait(
        "studio.state.draft && ['ready', 'stored'].includes(studio.state.draft.state) && studio.state.draft.report"
    )


def reading(tab: Tab, what: str) -> object:
    return tab.ask(f"studio.state.draft.reading.{what}")


def use(tab: Tab, title: str) -> None:
    """Makes a data set of the draft."""
    tab.page.fill("#draft-title", title)
    tab.page.click("#use-data")
    tab.wait("studio.state.dataset.startsWith('stored:') && !studio.state.draft")
    assert title in tab.page.inner_text("nav.steps [data-step=data]")


def card_of_a_short_job(tab: Tab) -> str:
    """Trains on the chosen set for some steps -> the model card of the adapter that can be downloaded."""
    job = tab.start(6)
    tab.wait("studio.state.run.status.state === 'finished' && studio.state.run.info.adapter_bytes", 240)
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
    assert "1 row names a picture that is not there" in page.inner_text("#draft .finding.error")
    assert page.get_attribute("#use-data", "aria-disabled") == "true"
    assert "found errors" in page.inner_text("#not-yet")
    page.click("#draft .finding.error button[data-remedy]")
    tab.wait("studio.state.draft.reading.drop.length === 1")
    checked(tab)
    use(tab, "Shapes on paper")
    assert tab.page.is_checked("#sets input[value^='stored:']")
    assert "Shapes on paper" in card_of_a_short_job(tab)


def test_a_wrong_column_is_put_right_by_choosing_another(tab: Tab, tmp_path: Path) -> None:
    bring(tab, *questions(tmp_path))
    assert reading(tab, "format") == "vqa"
    assert reading(tab, "columns.answer") == "answer"
    answers = tab.page.locator("#draft .rows tbody td.a")
    expect(answers.first).to_have_text("a thing")
    tab.page.select_option("#column-answer", "corrected")
    expect(answers.first).to_have_text("red circle")
    checked(tab)
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
    tab.page.select_option("#column-answer", "corrected")
    tab.wait("studio.state.draft.reading.columns.answer === 'corrected'")
    checked(tab)
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
    tab.page.click("#draft .finding.error button[data-remedy]")
    tab.wait("studio.state.draft.reading.drop.length === 1")
    checked(tab)
    use(tab, "Kinds of shapes")
    card = card_of_a_short_job(tab)
    assert "Kinds of shapes" in card
    assert "| left out |" in card, "what was dropped is written down"


def test_a_folder_a_class_is_recognised_and_a_damaged_picture_is_left_out(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    tab.step("data")
    page.set_input_files("#bring-folder", str(classes(tmp_path / "kinds")))
    checked(tab)
    assert reading(tab, "format") == "classes"
    assert tab.ask("studio.state.draft.report.rows") == 25
    page.click("#draft .finding.error button[data-remedy]")
    tab.wait(
        "studio.state.draft.report && !studio.state.draft.report.findings.some((each) => each.severity === 'error')"
    )
    assert "Left out" in page.inner_text("#draft .findings")
    assert tab.ask("studio.state.draft.report.train + studio.state.draft.report.heldout") == 24
    page.fill("#split-share", "25")
    page.press("#split-share", "Tab")
    tab.wait("studio.state.draft.reading.split.share === 0.25 && studio.state.draft.report")
    assert tab.ask("studio.state.draft.report.heldout") == 6
    expect(page.locator("#draft .counts")).to_contain_text("18 to learn from")
    page.click("#draft .finding button[data-back]")
    tab.wait("studio.state.draft.report?.findings.some((each) => each.severity === 'error')")
    page.select_option("#draft-format", "captions")
    page.wait_for_selector("#draft .refused .note")
    assert "Choose another format" in page.inner_text("#draft .refused")
    assert page.input_value("#draft-format") == "classes"
    tab.errors.clear()  # the refusal


def test_what_the_model_will_get_marks_what_is_learned(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    row = page.locator("#draft .seen-row").first
    row.wait_for(timeout=60_000)
    learned = "".join(row.locator(".token.learned:not(.special)").all_inner_texts()).replace("\u00a0", " ")
    assert learned.strip() == "a red circle, number 0"
    assert row.locator(".token.image").count() == 1
    assert "image tokens" in row.locator(".token.image").inner_text()
    assert row.locator("img").evaluate("(image) => image.complete && image.naturalWidth > 0")
    page.wait_for_selector("#draft .histogram")
    assert "fits" in page.inner_text("#draft .figures")


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
    page.get_by_role("button", name="Advanced").click()
    page.get_by_label("Longest row").fill("100")
    page.get_by_label("Longest row").press("Tab")
    tab.wait("studio.state.form.max_tokens === 100")
    bring(tab, path)
    note = page.locator("#draft .figures .note.bad")
    expect(note).to_contain_text("1 row is longer than the 100 tokens", timeout=60_000)
    expect(note.locator(".places li")).to_contain_text("captions.csv, line 9")
    note.locator("[data-out]").click()
    tab.wait("studio.state.draft.reading.drop_rows.length === 1")
    expect(page.locator("#draft .figures")).to_contain_text("Every row fits", timeout=60_000)
    expect(page.locator("#draft .findings")).to_contain_text("left out by hand")
    page.click("#draft .finding button[data-back=chosen]")
    expect(note).to_be_visible(timeout=60_000)
    note.locator("[data-longer]").click()
    expect(note).to_have_count(0, timeout=60_000)


def test_what_the_model_gets_of_a_demo_set_is_shown_when_it_is_opened(tab: Tab) -> None:
    tab.step("data")
    box = tab.page.locator("#set-in-tokens")
    assert box.locator(".seen-row").count() == 0
    box.locator("summary").click()
    expect(box.locator(".seen-row")).to_have_count(2, timeout=60_000)
    expect(box.locator(".histogram").first).to_be_visible(timeout=60_000)
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
    page.select_option("#split-group", "writer")
    tab.wait("studio.state.draft.reading.split.group && studio.state.draft.reading.columns.group === 'writer'")
    tab.wait("studio.state.draft.report?.heldout === 4")
    page.check("#draft input[value=column]")
    assert reading(tab, "split.by") == "share"  # nothing is read by a column that was not named
    page.select_option("#split-column", "part")
    tab.wait("studio.state.draft.report?.findings.some((each) => each.kind === 'unknown_split')")
    page.check("#draft input[value=share]")
    tab.wait("studio.state.draft.report?.heldout === 4")
    tab.page.reload()
    tab.wait("studio.state.draft")
    assert page.is_checked("#draft input[value=share]")


def test_files_are_taken_by_dropping_them(tab: Tab, tmp_path: Path) -> None:
    content = list(captions(tmp_path / "dropped.zip", missing=0).read_bytes())
    tab.step("data")
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
    assert tab.ask("studio.state.draft.report.usable") == 24


def test_an_upload_goes_on_after_a_reload_with_what_is_missing(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    path = captions(tmp_path / "large.zip", missing=0)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("shapes/noise.bin", random.Random(0).randbytes(2 * PART))
    sent: list[str] = []

    def gate(route: Route) -> None:
        sent.append(route.request.url.split("offset=")[1])
        if sent[-1] == "0":
            route.continue_()  # what follows never arrives

    tab.step("data")
    page.route("**/uploads/*/0?offset=*", gate)
    page.set_input_files("#bring-files", str(path))
    tab.wait(f"studio.state.upload?.received[0] === {PART}")
    page.reload()
    tab.wait("studio.state.upload?.phase === 'cut off'")
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
    assert tab.ask("studio.state.draft.report.rows") == 24
    assert tab.ask("sessionStorage.getItem('vlm-lora-studio-upload')") is None
    tab.errors.clear()  # the requests that this test broke


def test_an_upload_goes_on_by_itself_when_the_connection_comes_back(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    broken: list[str] = []

    def once(route: Route) -> None:
        if broken:
            return route.continue_()
        broken.append(route.request.url)
        return route.abort()

    page.route("**/uploads/*/0?offset=*", once)
    bring(tab, captions(tmp_path / "shapes.zip", missing=0))
    assert broken
    tab.errors.clear()  # the request that this test broke


def test_a_cancelled_upload_leaves_nothing(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    before = left_on_the_server(tab)
    tab.step("data")
    page.route("**/uploads/*/0?offset=*", lambda route: None)
    page.set_input_files("#bring-files", str(captions(tmp_path / "shapes.zip")))
    tab.wait("studio.state.upload?.id")
    page.click("#bring [data-cancel]")
    page.wait_for_selector("#bring [data-choose=files]")
    page.wait_for_timeout(500)
    assert left_on_the_server(tab) == before
    tab.errors.clear()  # the request that was given up


def test_a_bad_archive_gets_a_sentence_and_leaves_nothing(tab: Tab, tmp_path: Path) -> None:
    before = left_on_the_server(tab)
    bad = tmp_path / "<b>bad<b>.zip"
    bad.write_bytes(b"PK\x03\x04 this is no zip")
    tab.step("data")
    tab.page.set_input_files("#bring-files", str(bad))
    tab.page.wait_for_selector("#bring .note.bad")
    said = tab.page.inner_text("#bring .note.bad")
    assert ".zip" in said
    assert "Traceback" not in said
    assert tab.page.locator("#bring .note.bad b").count() == 1  # the heading; the name stays text
    assert tab.ask("studio.state.draft") is None
    assert left_on_the_server(tab) == before
    tab.errors.clear()  # the refusal


def test_data_sets_of_the_hub_and_folders_that_are_not_there_get_a_sentence(tab: Tab) -> None:
    page = tab.page
    tab.step("data")
    page.click("#from-folder summary")
    page.fill("#folder-path", "/no/such/folder")
    page.press("#folder-path", "Enter")
    page.wait_for_selector("#bring .note.bad")
    page.click("#from-hub summary")
    page.fill("#hub-name", "no such name")
    page.press("#hub-name", "Enter")
    expect(page.locator("#bring .note.bad")).to_contain_text("no such name")
    tab.errors.clear()  # the refusals


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
    assert attack in tab.page.inner_text("#draft .rows")
    assert attack in tab.page.inner_text("#draft .places")
    tab.page.click("#draft .finding.error button[data-remedy]")
    tab.wait("studio.state.draft.reading.drop.length > 0")
    checked(tab)
    tab.page.locator("#draft .seen-row").first.wait_for(timeout=60_000)
    use(tab, attack)
    tab.page.wait_for_timeout(300)
    assert tab.ask("window.attacked") is None
    assert tab.page.locator("img[src=x], .rows script, #step-data svg[onload], #step-data u").count() == 0


def test_a_set_is_deleted_only_after_a_question(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    bring(tab, captions(tmp_path / "gone.zip", count=32, missing=0))
    use(tab, "Soon gone")
    card = page.locator("#sets .set", has_text="Soon gone")
    card.locator("[data-removing]").click()
    card.locator("[data-keep]").click()
    assert card.locator("[data-removing]").is_visible()
    card.locator("[data-removing]").click()
    card.locator("[data-remove]").click()
    expect(card).to_have_count(0)
    assert tab.ask("studio.state.dataset") in tab.ask("studio.state.home.datasets.map((set) => set.key)")  # type: ignore[operator]
    page.reload()
    tab.wait("studio.state.home")
    expect(card).to_have_count(0)


def test_an_open_draft_is_found_again_after_a_reload_and_thrown_away_after_a_question(tab: Tab, tmp_path: Path) -> None:
    bring(tab, captions(tmp_path / "again.zip", missing=0))
    draft = tab.ask("studio.state.draft.id")
    tab.page.fill("#draft-template", "What is this?")
    tab.page.press("#draft-template", "Tab")
    expect(tab.page.locator("#draft .rows td.q").first).to_have_text("What is this?")
    tab.page.reload()
    tab.wait("studio.state.draft")
    assert tab.ask("studio.state.draft.id") == draft
    assert tab.page.input_value("#draft-template") == "What is this?"
    before = left_on_the_server(tab)[0]
    tab.page.click("#draft .draft-head [data-removing]")
    tab.page.click("#draft .draft-head [data-away]")
    tab.wait(f"!studio.state.draft && !studio.state.drafts.some((each) => each.id === '{draft}')")
    assert left_on_the_server(tab)[0] == before - 1


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
    tab.page.locator("#draft .seen-row").first.wait_for(timeout=60_000)
    tab.page.wait_for_selector("#draft .histogram")
    tab.page.click("#draft-advanced summary")
    tab.page.click("#from-folder summary")
    tab.page.click("#from-hub summary")
    tab.page.click("#draft .finding button[data-places]")
    assert tab.ask("document.documentElement.scrollWidth <= innerWidth")
    found = hard_to_use(tab)
    context.close()
    assert not found, found
    assert not tab.errors
