"""The fifth step: before and after, both models side by side on any picture, the adapter to take home."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.adapters.compare import Answers, open_comparison
from core.data.files.pictures import open_picture
from core.data.rows import Row
from core.errors import DataError
from ui import words
from ui.datasets import data_of_job
from ui.handlers import with_request
from ui.islands import heading, island
from ui.plainly import sentence
from ui.studio import Studio

if TYPE_CHECKING:
    from PIL.Image import Image


def _both(answers: Answers, expected: str | None = None) -> str:
    def box(kind: str, who: str, says: str) -> str:
        said = escape(says) or words.NO_ANSWER
        return f'<div class="verdict {kind}"><div class="who">{who}</div><div class="says">{said}</div></div>'

    wanted = f'<p class="small soft">{words.EXPECTED}: <b>{escape(expected)}</b></p>' if expected else ""
    boxes = box("base", words.BASE_SAYS, answers.base) + box("tuned", words.TUNED_SAYS, answers.tuned)
    return f'<div class="verdicts" role="status">{boxes}</div>{wanted}'


def _refused(error: Exception) -> str:
    return f'<div class="note bad" role="alert">{escape(sentence(error))}</div>'


UNREADABLE = f'<div class="note bad" role="alert">{words.UNREADABLE}</div>'
"""Gradio opens an uploaded file before a handler sees it; this stands there when it cannot."""


def compare(studio: Studio, request: gr.Request, picture: str | None, question: str, job: str) -> str:
    """Both models' answers about a person's own picture (its file, whose size is looked at first), as HTML."""
    try:
        if not picture or not (question or "").strip():
            raise DataError("Comparing was asked for", "a picture or a question is missing", words.ASK_FIRST)
        folder = studio.backend.folder(job, studio.owner(request.cookies))
        image = open_picture(Path(picture))
        return _both(open_comparison(folder, token=not studio.shared).answer(image, question))
    except Exception as error:
        return _refused(error)


def _sample(studio: Studio, request: gr.Request, trying: str) -> tuple[str, Row]:
    """The job and the row, out of those that it is judged on."""
    from core.training.looks import choose_rows

    chosen = json.loads(trying)
    owner = studio.owner(request.cookies)
    spec, folder = studio.backend.spec(chosen["job"], owner), studio.backend.folder(chosen["job"], owner)
    for row in choose_rows(data_of_job(spec, folder).heldout, spec.settings).rows:
        if (row.picture_name, row.question) == (chosen["picture"], chosen["question"]):
            return chosen["job"], row
    raise DataError("A held-out picture was asked for", "the data has no such row", "Reload the page")


def compare_sample(studio: Studio, request: gr.Request, trying: str) -> tuple[Image | None, str, str]:
    """A held-out row's first picture, its question, and both models' answers beside the expected one."""
    try:
        job, row = _sample(studio, request, trying)
        folder = studio.backend.folder(job, studio.owner(request.cookies))
        answers = open_comparison(folder, token=not studio.shared).answer_row(row)
        return (row.picture.open() if row.picture else None), row.question, _both(answers, row.answer)
    except Exception as error:
        return None, "", _refused(error)


def build_result(studio: Studio) -> None:
    """Builds the step; see `compare` and `compare_sample` for what the box does."""
    with gr.Column(elem_id="step-result", elem_classes=["step"]):
        heading(words.RESULT_HEAD, words.RESULT_LEAD)
        island("hero")
        island("proof")
        with gr.Column(elem_id="compare-box", elem_classes=["sheet", "off-stage"]):
            gr.HTML(f"<h3>{words.COMPARE_HEAD}</h3>", elem_classes=["island"], apply_default_css=False)
            island("tries")
            with gr.Row(equal_height=False):
                picture = gr.Image(
                    type="filepath",
                    image_mode=None,
                    label=words.COMPARE_PICTURE,
                    sources=["upload", "clipboard"],
                    height=230,
                    min_width=220,
                )
                with gr.Column(min_width=260):
                    question = gr.Textbox(
                        label=words.COMPARE_QUESTION,
                        placeholder=words.COMPARE_QUESTION_HINT,
                        max_length=2000,
                        elem_id="compare-question",
                    )
                    ask = gr.Button(words.COMPARE_ASK, variant="primary", elem_id="compare-ask")
                    both = gr.HTML("", elem_id="compare-answers", elem_classes=["island"], apply_default_css=False)
            trying = gr.Textbox(visible="hidden")
            try_event = gr.Button(visible="hidden", elem_id="try-event")
            clear_event = gr.Button(visible="hidden", elem_id="clear-event")
        island("jobs")
    for event in (ask.click, question.submit):
        event(
            with_request(studio, compare),
            [picture, question, trying],
            both,
            js="(picture, question) => [picture, question, window.studio.job()]",
            api_visibility="private",
            concurrency_limit=2,
            show_progress_on=both,
        ).failure(lambda: UNREADABLE, None, both, queue=False, api_visibility="private")
    quietly: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    for changed in (picture.upload, picture.clear):
        changed(lambda: "", None, both, **quietly)
    # In the page itself: an answer of the server that comes late would take away what was asked since.
    clear_event.click(None, None, [picture, question, both], js="() => [null, '', '']", **quietly)
    try_event.click(
        with_request(studio, compare_sample),
        trying,
        [picture, question, both],
        js="() => window.studio.trying()",
        api_visibility="private",
        concurrency_limit=2,
        show_progress_on=both,
    )
