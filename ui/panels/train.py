"""The fourth step: settings, Start and Stop; the live view is drawn by the islands."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from core.data.source import load_dataset
from core.errors import JobError, SpecError
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.source import clip
from core.spec import Selection, Settings, Source, Spec, from_dict
from ui import words
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
    dropout: gr.Number
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

    def widgets(self) -> list[gr.components.Component]:
        """In the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]


def settings_of(form: dict[str, Any]) -> Settings:
    """The settings from what the widgets hold.

    Raises:
        SpecError: a field is empty, no number or out of range.
    """
    values = {name: value for name, value in form.items() if name not in ("unit", "length", "name", "dropout")}
    empty = [name.replace("_", " ") for name in ("length", *values) if form[name] is None]
    if empty:
        raise SpecError("Training was asked for", f"the field for {', '.join(empty)} is empty", "Fill it in")
    values["learning_rate"] = _number(form["learning_rate"])
    length = form["length"]
    if not math.isfinite(length):
        raise SpecError("Training was asked for", "it would never end", "Give a number of steps or epochs")
    if form["unit"] == words.UNIT_EPOCHS:
        return from_dict(Settings, {**values, "epochs": float(length), "steps": None})
    return from_dict(Settings, {**values, "epochs": None, "steps": int(length)})


def _number(text: Any) -> float:
    try:
        return float(str(text).strip().replace(",", "."))
    except ValueError:
        raise SpecError(
            f"A learning rate of “{clip(str(text))}” was asked for", "it is no number", "Write it as 0.003 or 3e-3"
        ) from None


def make_spec(studio: Studio, choice: dict[str, Any], form: dict[str, Any]) -> Spec:
    """The spec of what was clicked.

    Raises:
        StudioError: something chosen cannot be; the sentence says what.
    """
    inspection = studio.inspection(choice["model_key"])
    selection = from_dict(Selection, choice["selection"])
    dropout = form["dropout"]
    plan = make_plan(inspection, selection, int(choice["rank"]), float(choice["alpha"]), float(dropout or 0))
    trainable = budget(inspection, plan).trainable
    if trainable != choice["shown"]:
        raise SpecError(
            "Training was asked for",
            f"the page counted {choice['shown']:,} trainable parameters and the server {trainable:,}",
            "Reload the page; please report this",
        )
    data = load_dataset(Source("demo", str(choice["dataset"])))
    return Spec(
        name=(form["name"] or "").strip()[:80] or data.title,
        model=inspection.source,
        data=Source("demo", data.name),
        selection=selection,
        plan=plan,
        settings=settings_of(form),
        trainable=trainable,
    )


def usual_settings(studio: Studio, key: str) -> tuple[Any, Any]:
    """Learning rate and batch to begin with, by the model that was opened; as they are when none was."""
    if not key:
        return gr.skip(), gr.skip()
    usual = Settings() if studio.inspection(key).source.kind == "demo" else OTHER_MODELS
    return f"{usual.learning_rate:g}", usual.batch_size


def start(studio: Studio, request: gr.Request, choice: str, *values: Any) -> str:
    """Starts a job -> JSON with `job` or `error` for the page's script."""
    try:
        form = dict(zip((field.name for field in fields(SettingsForm)), values, strict=True))
        owner = studio.owner(request.cookies)
        if not owner:
            raise JobError(
                "Training was asked for",
                "your browser keeps no cookie of this page, by which a job is known as yours",
                "Allow its cookies, or open it in a tab of its own, and reload",
            )
        return json.dumps({"job": studio.backend.submit(make_spec(studio, json.loads(choice), form), owner)})
    except Exception as error:
        return json.dumps({"error": sentence(error)})


def stop(studio: Studio, request: gr.Request, job: str) -> str:
    """Asks a job to stop -> the reason why not, or nothing."""
    try:
        studio.backend.stop(job, studio.owner(request.cookies))
        return ""
    except Exception as error:
        return sentence(error)


def _form() -> SettingsForm:
    default = Settings()
    with gr.Column(elem_classes=["sheet"], elem_id="settings"):
        with gr.Row(equal_height=False):
            unit = gr.Radio(
                [words.UNIT_STEPS, words.UNIT_EPOCHS], value=words.UNIT_STEPS, label=words.UNIT, min_width=150
            )
            length = gr.Number(default.steps, label=words.LENGTH, info=words.LENGTH_INFO, min_width=110)
            batch = gr.Number(default.batch_size, label=words.BATCH, info=words.BATCH_INFO, precision=0, min_width=110)
            rate = gr.Textbox(
                f"{default.learning_rate:g}", label=words.RATE, info=words.RATE_INFO, min_width=130, max_length=24
            )
            seed = gr.Number(default.seed, label=words.SEED, info=words.SEED_INFO, precision=0, min_width=110)
        with gr.Accordion(words.ADVANCED, open=False):
            name = gr.Textbox(label=words.JOB_NAME, info=words.JOB_NAME_INFO, max_length=80)
            with gr.Row(equal_height=False):
                accumulation = gr.Number(
                    default.accumulation,
                    label=words.ACCUMULATION,
                    info=words.ACCUMULATION_INFO,
                    precision=0,
                    min_width=130,
                )
                schedule = gr.Dropdown(
                    ["cosine", "linear", "constant"],
                    value=default.schedule,
                    label=words.SCHEDULE,
                    info=words.SCHEDULE_INFO,
                )
                warmup = gr.Number(default.warmup_share, label=words.WARMUP, info=words.WARMUP_INFO, min_width=130)
            with gr.Row(equal_height=False):
                decay = gr.Number(default.weight_decay, label=words.DECAY, min_width=130)
                clip = gr.Number(default.max_grad_norm, label=words.CLIP, min_width=130)
                dropout = gr.Number(0.0, label=words.DROPOUT, min_width=130)
            with gr.Row(equal_height=False):
                every = gr.Number(
                    default.eval_every, label=words.EVAL_EVERY, info=words.EVAL_EVERY_INFO, precision=0, min_width=130
                )
                rows = gr.Number(default.eval_rows, label=words.EVAL_ROWS, precision=0, min_width=130)
                final = gr.Number(default.final_rows, label=words.FINAL_ROWS, precision=0, min_width=130)
            with gr.Row(equal_height=False):
                samples = gr.Number(default.sample_count, label=words.SAMPLES, precision=0, min_width=130)
                answer = gr.Number(
                    default.max_new_tokens,
                    label=words.ANSWER_LENGTH,
                    info=words.ANSWER_LENGTH_INFO,
                    precision=0,
                    min_width=130,
                )
    return SettingsForm(
        unit=unit,
        length=length,
        batch_size=batch,
        learning_rate=rate,
        seed=seed,
        name=name,
        dropout=dropout,
        accumulation=accumulation,
        schedule=schedule,
        warmup_share=warmup,
        weight_decay=decay,
        max_grad_norm=clip,
        eval_every=every,
        eval_rows=rows,
        final_rows=final,
        sample_count=samples,
        max_new_tokens=answer,
    )


def build_train(studio: Studio) -> SettingsForm:
    """Builds the step. The visible buttons are drawn by the islands; they press the hidden ones here."""
    with gr.Column(elem_id="step-train", elem_classes=["step"]):
        heading(words.TRAIN_HEAD, words.TRAIN_LEAD)
        form = _form()
        for place in ("progress", "plots", "answers", "log"):
            island(place)
        choice = gr.Textbox(visible="hidden")
        started = gr.Textbox(visible="hidden")
        start_event = gr.Button(visible="hidden", elem_id="start-event")
        stop_event = gr.Button(visible="hidden", elem_id="stop-event")
    start_event.click(
        with_request(studio, start),
        [choice, *form.widgets()],
        started,
        js="(_, ...form) => { window.studio.starting(); return [window.studio.selection(), ...form]; }",
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    ).then(None, started, None, js="(answer) => window.studio.started(answer)")
    stop_event.click(
        with_request(studio, stop),
        choice,
        started,
        js="() => { window.studio.stopping(); return window.studio.job(); }",
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    return form
