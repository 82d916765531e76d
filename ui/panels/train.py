"""The fourth step: settings, Start and Stop; the live view is drawn by the islands."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import partial
from typing import Any

import gradio as gr

from core.adapters.compare import release_comparison
from core.errors import SpecError
from core.lora.budget import budget
from core.lora.limits import refuse_impossible
from core.models.trainable import refuse_untrainable
from core.spec import Settings, Spec
from ui import words
from ui.choice import read_choice, refuse_unconfirmed
from ui.datasets import dataset_of, source_of
from ui.handlers import with_request
from ui.islands import heading, island
from ui.panels.settings import SettingsForm, build_form, settings_of
from ui.plainly import sentence
from ui.studio import Studio

OTHER_MODELS = Settings(learning_rate=1e-4, batch_size=4)
"""What is commonly used with models of the Hub; the demo is far smaller and takes more."""


def make_spec(studio: Studio, choice: dict[str, Any], form: dict[str, Any], owner: str) -> Spec:
    """The spec of what was clicked; the data are the demo's or the owner's.

    Raises:
        StudioError: something chosen cannot be; the sentence says what.
    """
    chosen = read_choice(studio, choice)
    refuse_untrainable(chosen.inspection)
    refuse_unconfirmed(chosen, choice.get("confirmed"))
    settings = settings_of(form)
    refuse_impossible(chosen.plan, chosen.labelled, settings)
    trainable = budget(chosen.labelled, chosen.plan).trainable
    if trainable != choice["shown"]:
        raise SpecError(
            "Training was asked for",
            f"the page counted {choice['shown']:,} trainable parameters and the server {trainable:,}",
            "Reload the page; please report this",
        )
    data = dataset_of(studio, choice["dataset"], owner)
    return Spec(
        name=(form["name"] or "").strip()[:80] or data.title,
        model=chosen.inspection.source,
        data=source_of(choice["dataset"]),
        selection=chosen.selection,
        plan=chosen.plan,
        settings=settings,
        trainable=trainable,
    )


def usual_settings(studio: Studio, key: str) -> tuple[Any, Any]:
    """Learning rate and batch to begin with, by the model in hand."""
    usual = Settings() if studio.inspection(key).source.kind == "demo" else OTHER_MODELS
    return f"{usual.learning_rate:g}", usual.batch_size


def start(studio: Studio, request: gr.Request, choice: str, *values: Any) -> str:
    """Starts a job -> JSON with `job` or `error`, and the request's `ticket`, for the page's script."""
    ticket = None
    try:
        chosen = json.loads(choice)
        ticket = chosen["ticket"]
        form = dict(zip((field.name for field in fields(SettingsForm)), values, strict=True))
        owner = studio.known_owner(request.cookies)
        spec = make_spec(studio, chosen, form, owner)
        release_comparison()  # the job needs the memory more
        answer = {"job": studio.backend.submit(spec, owner)}
    except Exception as error:
        answer = {"error": sentence(error)}
    return json.dumps({**answer, "ticket": ticket})


def stop(studio: Studio, request: gr.Request, asked: str) -> str:
    """Asks a job to stop, at once when `force` says so -> the reason why not, or nothing."""
    try:
        wanted = json.loads(asked)
        studio.backend.stop(wanted["job"], studio.owner(request.cookies), force=bool(wanted["force"]))
        return ""
    except Exception as error:
        return sentence(error)


NAMES = json.dumps([field.name for field in fields(SettingsForm)])
READ_FORM = f"(...form) => window.studio.readForm({NAMES}, form)"
READ_USUAL = f"(...form) => window.studio.readUsual({NAMES}, form)"
WRITE_FORM = f"(...form) => window.studio.writeForm({NAMES}, form)"
"""What the page's script reads of the form, and what it writes there; unknown values stay."""


def build_train(studio: Studio) -> SettingsForm:
    """Builds the step. The visible buttons are drawn by the islands; they press the hidden ones here."""
    with gr.Column(elem_id="step-train", elem_classes=["step"]):
        heading(words.TRAIN_HEAD, words.TRAIN_LEAD)
        form = build_form()
        for place in ("progress", "plots", "watching", "answers", "how", "log"):
            island(place)
        asked, started, refused = (gr.Textbox(visible="hidden") for _ in range(3))
        start_event = gr.Button(visible="hidden", elem_id="start-event")
        stop_event = gr.Button(visible="hidden", elem_id="stop-event")
        usual_event = gr.Button(visible="hidden", elem_id="usual-event")
        form_event = gr.Button(visible="hidden", elem_id="form-event")
    quietly: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    start_event.click(
        with_request(studio, start),
        [asked, *form.widgets()],
        started,
        js="(_, ...form) => [window.studio.choice(), ...form]",
        **quietly,
    ).then(None, started, None, js="(answer) => window.studio.started(answer)")
    stop_event.click(
        with_request(studio, stop),
        asked,
        refused,
        js="() => { window.studio.stopping(); return window.studio.stop(); }",
        **quietly,
    ).then(None, refused, None, js="(why) => window.studio.stopped(why)")
    usual_event.click(
        partial(usual_settings, studio),
        asked,
        [form.learning_rate, form.batch_size],
        js="() => window.studio.modelKey()",
        trigger_mode="always_last",
        **quietly,
    ).then(None, form.widgets(), None, js=READ_USUAL)
    # The length in the other unit, so that it stays about as long.
    form.unit.input(
        None, [form.unit, form.length], form.length, js="(unit, length) => window.studio.converted(unit, length)"
    ).then(None, form.widgets(), None, js=READ_FORM)
    # What other panels need of the settings is kept in the page, and what they propose is put back into the form.
    # The unit is read with the length that belongs to it, above.
    read = [widget.input for widget in form.widgets() if widget is not form.unit]
    texts = (widget for widget in form.widgets() if isinstance(widget, gr.Textbox))
    read += [widget.blur for widget in texts]  # `input` misses what is pasted
    gr.on(read, None, form.widgets(), None, js=READ_FORM)
    form_event.click(None, form.widgets(), form.widgets(), js=WRITE_FORM)
    return form
