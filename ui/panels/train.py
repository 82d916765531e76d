"""The fourth step: settings, Start and Stop; the live view is drawn by the islands."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, get_args, get_type_hints

import gradio as gr

from core.adapters.compare import release_comparison
from core.errors import SpecError
from core.lora.budget import budget
from core.lora.limits import refuse_impossible
from core.models.repository import clip
from core.models.trainable import refuse_untrainable
from core.spec import Settings, Spec, from_dict, to_dict
from ui import words
from ui.choice import read_choice, refuse_unconfirmed
from ui.datasets import dataset_of, source_of
from ui.handlers import with_request
from ui.islands import heading, island
from ui.plainly import sentence
from ui.studio import Studio

OTHER_MODELS = Settings(learning_rate=1e-4, batch_size=4)
"""What is commonly used with models of the Hub; the demo is far smaller and takes more."""


@dataclass(frozen=True)
class SettingsForm:
    """The settings' widgets; the fields bear the names of core.spec.Settings."""

    unit: gr.Radio
    length: gr.Number
    batch_size: gr.Number
    learning_rate: gr.Textbox
    seed: gr.Number
    name: gr.Textbox
    quantization: gr.Dropdown
    checkpointing: gr.Checkbox
    accumulation: gr.Number
    schedule: gr.Dropdown
    warmup_share: gr.Number
    weight_decay: gr.Number
    max_grad_norm: gr.Number
    eval_every: gr.Number
    eval_rows: gr.Number
    final_rows: gr.Number
    sample_count: gr.Number
    max_new_tokens: gr.Number
    max_tokens: gr.Number
    augment: gr.CheckboxGroup

    def widgets(self) -> list[Any]:
        """In the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]


def settings_of(form: dict[str, Any]) -> Settings:
    """The settings from what the widgets hold.

    Raises:
        SpecError: a field is empty, no number or out of range.
    """
    values = {name: value for name, value in form.items() if name not in ("unit", "length", "name")}
    needed = ("length", *(name for name in values if name != "max_tokens"))
    empty = [name.replace("_", " ") for name in needed if form[name] is None]
    if empty:
        raise SpecError("Training was asked for", f"the field for {', '.join(empty)} is empty", "Fill it in")
    values["learning_rate"] = _number(form["learning_rate"])
    if "max_tokens" in values:  # Gradio's number field says 0 once it has been emptied
        values["max_tokens"] = values["max_tokens"] or None
    length = form["length"]
    if not math.isfinite(length):
        raise SpecError("Training was asked for", "it would never end", "Give a number of steps or epochs")
    if form["unit"] == words.UNIT_EPOCHS:
        return from_dict(Settings, {**values, "epochs": float(length), "steps": None})
    if not float(length).is_integer():
        raise SpecError(f"“{words.LENGTH}” is {length:g}", "steps are whole numbers", "Give a whole number, or epochs")
    return from_dict(Settings, {**values, "epochs": None, "steps": int(length)})


def form_of(settings: dict[str, Any]) -> dict[str, Any]:
    """What the widgets hold when these of the settings' values are taken.

    >>> form_of({"steps": 100, "epochs": None, "learning_rate": 1e-3})
    {'learning_rate': '0.001', 'unit': 'steps', 'length': 100}
    """
    form = {name: value for name, value in settings.items() if name not in ("steps", "epochs")}
    if "checkpointing" in form:
        form["checkpointing"] = bool(form["checkpointing"])
    if "learning_rate" in form:
        form["learning_rate"] = f"{form['learning_rate']:g}"
    for name, unit in (("steps", words.UNIT_STEPS), ("epochs", words.UNIT_EPOCHS)):
        if settings.get(name) is not None:
            form.update(unit=unit, length=settings[name])
    return form


def first_form() -> dict[str, Any]:
    """What the widgets hold to begin with."""
    form = {"name": "", **form_of(to_dict(Settings()))}
    return {field.name: form[field.name] for field in fields(SettingsForm)}


def _number(text: Any) -> float:
    try:
        return float(str(text).strip().replace(",", "."))
    except ValueError:
        raise SpecError(
            f"A learning rate of “{clip(str(text))}” was asked for", "it is no number", "Write it as 0.003 or 3e-3"
        ) from None


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


QUANTIZATIONS = [
    (words.QUANTIZATION_NONE, "none"),
    (words.QUANTIZATION_8BIT, "8bit"),
    (words.QUANTIZATION_4BIT, "4bit"),
]
AUGMENTATIONS = [
    (words.AUGMENT_COLOUR, "colour"),
    (words.AUGMENT_ROTATION, "rotation"),
    (words.AUGMENT_CROP, "crop"),
    (words.AUGMENT_BLUR, "blur"),
    (words.AUGMENT_JPEG, "jpeg"),
]
"""As shown -> as core.spec.Settings has them."""
NAMES = json.dumps([field.name for field in fields(SettingsForm)])
READ_FORM = f"(...form) => window.studio.readForm({NAMES}, form)"
WRITE_FORM = f"(...form) => {NAMES}.map((name, i) => window.studio.form()[name] ?? form[i])"
"""What the page's script reads of the form, and what it writes there; unknown values stay."""


NUMBERS: tuple[tuple[tuple[str, str, str | None], ...], ...] = (
    (
        ("accumulation", words.ACCUMULATION, words.ACCUMULATION_INFO),
        ("warmup_share", words.WARMUP, words.WARMUP_INFO),
        ("weight_decay", words.DECAY, None),
        ("max_grad_norm", words.CLIP, None),
    ),
    (
        ("eval_every", words.EVAL_EVERY, words.EVAL_EVERY_INFO),
        ("eval_rows", words.EVAL_ROWS, None),
        ("final_rows", words.FINAL_ROWS, None),
        ("sample_count", words.SAMPLES, None),
        ("max_new_tokens", words.ANSWER_LENGTH, words.ANSWER_LENGTH_INFO),
    ),
)
"""The rows of numbers under Advanced: field of core.spec.Settings, label, what it means."""


def _number_box(name: str, label: str, info: str | None) -> gr.Number:
    """A number that begins with the default of core.spec.Settings."""
    default = getattr(Settings(), name)
    return gr.Number(default, label=label, info=info, precision=0 if isinstance(default, int) else None, min_width=120)


def _form() -> SettingsForm:
    """Few settings in sight, the rest folded."""
    usual = Settings()
    boxes: dict[str, Any] = {}
    units = [words.UNIT_STEPS, words.UNIT_EPOCHS]
    with gr.Column(elem_classes=["sheet"], elem_id="settings"):
        with gr.Row(equal_height=False):
            boxes["unit"] = gr.Radio(units, value=words.UNIT_STEPS, label=words.UNIT, min_width=200)
            boxes["length"] = gr.Number(usual.steps, label=words.LENGTH, info=words.LENGTH_INFO, min_width=110)
            boxes["batch_size"] = _number_box("batch_size", words.BATCH, words.BATCH_INFO)
            boxes["learning_rate"] = gr.Textbox(
                f"{usual.learning_rate:g}", label=words.RATE, info=words.RATE_INFO, min_width=130, max_length=24
            )
            boxes["seed"] = _number_box("seed", words.SEED, words.SEED_INFO)
        with gr.Accordion(words.ADVANCED, open=False):
            with gr.Row(equal_height=False):
                boxes["name"] = gr.Textbox(
                    label=words.JOB_NAME, info=words.JOB_NAME_INFO, max_length=80, scale=2, min_width=200
                )
                boxes["schedule"] = gr.Dropdown(
                    list(get_args(get_type_hints(Settings)["schedule"])),
                    value=usual.schedule,
                    label=words.SCHEDULE,
                    info=words.SCHEDULE_INFO,
                    min_width=140,
                )
            with gr.Row(equal_height=False):
                boxes["quantization"] = gr.Dropdown(
                    QUANTIZATIONS,
                    value=usual.quantization,
                    label=words.QUANTIZATION,
                    info=words.QUANTIZATION_INFO,
                    min_width=200,
                )
                boxes["checkpointing"] = gr.Checkbox(
                    bool(usual.checkpointing), label=words.CHECKPOINTING, info=words.CHECKPOINTING_INFO, min_width=200
                )
            for row in NUMBERS:
                with gr.Row(equal_height=False):
                    boxes.update((name, _number_box(name, label, info)) for name, label, info in row)
            with gr.Row(equal_height=False):
                boxes["max_tokens"] = gr.Number(
                    None, label=words.LONGEST_ROW, info=words.LONGEST_ROW_INFO, precision=0, min_width=220
                )
                boxes["augment"] = gr.CheckboxGroup(
                    AUGMENTATIONS, value=[], label=words.AUGMENT, info=words.AUGMENT_INFO, scale=2, min_width=300
                )
    return SettingsForm(**boxes)


def build_train(studio: Studio) -> SettingsForm:
    """Builds the step. The visible buttons are drawn by the islands; they press the hidden ones here."""
    with gr.Column(elem_id="step-train", elem_classes=["step"]):
        heading(words.TRAIN_HEAD, words.TRAIN_LEAD)
        form = _form()
        for place in ("progress", "plots", "answers", "log"):
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
        js="(_, ...form) => { window.studio.starting(); return [window.studio.choice(), ...form]; }",
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
        **quietly,
    ).then(None, form.widgets(), None, js=READ_FORM)
    # The length in the other unit, so that it stays about as long.
    form.unit.input(
        None, [form.unit, form.length], form.length, js="(unit, length) => window.studio.converted(unit, length)"
    ).then(None, form.widgets(), None, js=READ_FORM)
    # What other panels need of the settings is kept in the page, and what they propose is put back into the form.
    gr.on([widget.input for widget in form.widgets()], None, form.widgets(), None, js=READ_FORM)
    form_event.click(None, form.widgets(), form.widgets(), js=WRITE_FORM)
    return form
