"""Opening a model and asking both models, as plain functions: sentences for what cannot be, and no HTML of others."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from PIL import Image

from core.adapters.compare import Answers
from core.data.rows import Row
from core.data.source import load_dataset
from core.errors import AdapterError
from core.models.source import ASSETS, DEMO_MODEL
from core.spec import Source
from tests.ui.parts import ANNA, BEN, JOB, assert_plain, make_job, make_studio, request_of
from ui.panels import result
from ui.panels.model import open_model
from ui.panels.result import compare, compare_sample
from ui.plainly import sentence
from ui.studio import Studio, key_of

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
DIGITS = load_dataset(Source("demo", "digits"))
ROW = DIGITS.heldout[0]
TRYING = {"job": JOB, "picture": ROW.picture_name, "question": ROW.question}


def assert_note(html: str) -> str:
    """A note with one plain sentence, and no tag but its own; returns the sentence."""
    found = re.fullmatch(r'<div class="note bad" role="alert">([^<>]*)</div>', html)
    assert found, html
    said = unescape(found[1])
    assert_plain(said)
    return said


@pytest.mark.parametrize("text", ["demo", " Demo ", "demo-vlm", "", None])
def test_the_demo_is_opened_by_its_name_or_by_none(studio: Studio, text):
    assert open_model(studio, text, "") == (key_of(studio.open(DEMO_MODEL)), "")


def test_a_folder_is_opened_and_its_key_is_known(studio: Studio, tmp_path: Path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "config.json").write_bytes((ASSETS / "model" / "config.json").read_bytes())
    key, reason = open_model(studio, str(tmp_path / "copy"), "")
    assert reason == ""
    assert studio.inspection(key).source == Source("folder", str(tmp_path / "copy"))


NO_MODELS = (
    "no-such/model",
    "/no/such/folder",
    "/etc",
    "~nobody/x",
    "a/../../b",
    "..",
    "../../../etc/passwd",
    "x" * 5000,
    f"a/{SCRIPT}",
    SCRIPT,
    "\0",
    "a/b\0c",
    "\n",
    "ärger/modell",
    "http://127.0.0.1:7860/x",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "owner/name@" + "r" * 500,
    "\ud800/\udfff",
)


@pytest.mark.parametrize("text", NO_MODELS, ids=range(len(NO_MODELS)))
def test_what_is_no_model_gets_a_sentence_and_no_key(studio: Studio, text):
    key, reason = open_model(studio, text, "")
    assert key == ""
    assert "our mistake" not in assert_note(reason)


@pytest.mark.parametrize("revision", ["..", "../../x", SCRIPT, "a b", "\0", "r" * 500, "--upload-pack=x"])
def test_what_is_no_revision_gets_a_sentence(studio: Studio, revision):
    key, reason = open_model(studio, "no-such/model", revision)
    assert key == ""
    assert_note(reason)


def test_a_shared_server_opens_no_folder_and_tells_nothing_of_them(tmp_path: Path):
    studio = make_studio(tmp_path, shared=True)
    folders = (str(ASSETS / "model"), "/etc", "/no/such/folder", "~", ".", f"{ASSETS}/model/config.json")
    assert len({open_model(studio, folder, "") for folder in folders}) == 1
    assert open_model(studio, "demo", "")[0]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch) -> list[tuple[tuple[int, int], str]]:
    """A finished job of Anna's on a shared server, whose models answer with HTML; what they were asked."""
    make_job(tmp_path / "home", ANNA)
    questions: list[tuple[tuple[int, int], str]] = []

    class Both:
        def answer(self, picture: Image.Image, question: str) -> Answers:
            questions.append((picture.size, question))
            return Answers(base=SCRIPT, tuned="")

        def answer_row(self, row: Row) -> Answers:
            assert row.picture
            return self.answer(row.picture.open(), row.question)

    monkeypatch.setattr(result, "open_comparison", lambda folder, token: Both())
    return questions


def picture_file(folder: Path, size: tuple[int, int] = (40, 30), mode: str = "RGB", name: str = "my.png") -> str:
    folder.mkdir(exist_ok=True)
    Image.new(mode, size).save(folder / name)
    return str(folder / name)


def test_answers_are_shown_as_text(tmp_path: Path, asked):
    studio = make_studio(tmp_path, shared=True)
    html = compare(studio, request_of(ANNA), picture_file(tmp_path), "What?", JOB)
    assert asked == [((40, 30), "What?")]
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert "(nothing)" in html


def test_a_picture_or_a_question_is_missing(tmp_path: Path, asked):
    studio, picture = make_studio(tmp_path, shared=True), picture_file(tmp_path)
    for missing in ((None, "What?"), ("", "What?"), (picture, ""), (picture, " \n"), (picture, None), (None, None)):
        assert "is missing" in assert_note(compare(studio, request_of(ANNA), *missing, JOB))
    assert not asked


def test_a_picture_that_is_too_large_is_refused_by_its_header_before_a_model_is_loaded(tmp_path: Path, asked):
    studio = make_studio(tmp_path, shared=True)
    large = picture_file(tmp_path, (9000, 9000), mode="1")
    assert Path(large).stat().st_size < 20_000
    said = assert_note(compare(studio, request_of(ANNA), large, "What?", JOB))
    assert "9,000 × 9,000" in said
    assert not asked


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_picture_is_refused(tmp_path: Path, asked, content):
    studio = make_studio(tmp_path, shared=True)
    (tmp_path / f"{SCRIPT[:8]}.png").write_bytes(content)
    assert_note(compare(studio, request_of(ANNA), str(tmp_path / f"{SCRIPT[:8]}.png"), "What?", JOB))
    assert_note(compare(studio, request_of(ANNA), str(tmp_path / "gone.png"), "What?", JOB))
    assert not asked


@pytest.mark.parametrize("owner", [None, BEN, "local", ""])
def test_another_s_adapter_answers_nobody_else(tmp_path: Path, asked, owner):
    studio, picture = make_studio(tmp_path, shared=True), picture_file(tmp_path)
    own = assert_note(compare(studio, request_of(ANNA), picture, "What?", "no-such-job"))
    assert assert_note(compare(studio, request_of(owner), picture, "What?", JOB)) == own
    shown, question, html = compare_sample(studio, request_of(owner), json.dumps(TRYING))
    assert (shown, question) == (None, "")
    assert assert_note(html) == own
    assert not asked


@pytest.mark.parametrize("job", ["", None, "..", "../../etc", "\0", "no-such-job", 7, "x" * 5000])
def test_a_made_up_job_answers_nothing(tmp_path: Path, asked, job):
    studio = make_studio(tmp_path, shared=True)
    assert_note(compare(studio, request_of(ANNA), picture_file(tmp_path), "What?", job))
    assert not asked


def test_a_job_without_an_adapter_is_said_without_loading_a_model(studio: Studio, tmp_path: Path):
    folder = make_job(tmp_path / "home", ANNA)
    (folder / "adapter" / "adapter_model.safetensors").unlink()
    said = compare(make_studio(tmp_path, shared=True), request_of(ANNA), picture_file(tmp_path), "What?", JOB)
    assert str(AdapterError("The adapter was asked for", "the job has not made one", "")).split(".")[0] in said


def test_a_held_out_picture_comes_with_its_question_and_its_expected_answer(tmp_path: Path, asked):
    shown, question, html = compare_sample(make_studio(tmp_path, shared=True), request_of(ANNA), json.dumps(TRYING))
    assert shown is not None
    assert asked == [(shown.size, ROW.question)]
    assert question == ROW.question
    assert f"<b>{ROW.answer}</b>" in html


TRAIN = DIGITS.train[0]
NO_ROWS = (
    {**TRYING, "picture": "../../../../etc/passwd"},
    {**TRYING, "picture": TRAIN.picture_name, "question": TRAIN.question},
    {**TRYING, "question": SCRIPT},
    {**TRYING, "picture": None},
    {**TRYING, "job": None},
    {"job": JOB},
    [],
    None,
    "{",
)


@pytest.mark.parametrize("trying", NO_ROWS, ids=range(len(NO_ROWS)))
def test_only_held_out_rows_can_be_tried(tmp_path: Path, asked, trying):
    text = trying if isinstance(trying, str) else json.dumps(trying)
    shown, question, html = compare_sample(make_studio(tmp_path, shared=True), request_of(ANNA), text)
    assert (shown, question) == (None, "")
    assert_note(html)
    assert not asked


def test_an_error_that_is_ours_is_told_to_the_log_and_not_to_the_page(caplog):
    said = sentence(RuntimeError("secret detail"))
    assert_plain(said)
    assert "secret" not in said
    assert "secret detail" in caplog.text
