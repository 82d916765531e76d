"""The form of the settings: its widgets, and what they hold as core.spec.Settings and back.

What is left to the studio is "auto" in a list and nothing in a field for a number. What does not stand in sight is
folded, in four groups.
What it does not do: start a job (`ui.panels.train`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any

import gradio as gr

from core.errors import SpecError
from core.models.repository import clip
from core.spec import LEVERS, Settings, from_dict, to_dict
from ui import words
from ui.panels.fields import AUTO, GROUPS, MAY_BE_EMPTY, OFFERED, SEVERAL


@dataclass(frozen=True)
class SettingsForm:
    """The settings' widgets; but for `unit`, `length`, `levers` and `name` the fields are core.spec.Settings'."""

    unit: gr.Radio
    length: gr.Number
    batch_size: gr.Number
    learning_rate: gr.Textbox
    seed: gr.Number
    name: gr.Textbox
    optimizer: gr.Dropdown
    schedule: gr.Dropdown
    warmup_share: gr.Number
    warmup_steps: gr.Textbox
    accumulation: gr.Number
    weight_decay: gr.Number
    max_grad_norm: gr.Number
    lora_plus: gr.Number
    neftune: gr.Number
    label_smoothing: gr.Number
    order: gr.Dropdown
    max_tokens: gr.Textbox
    augment: gr.CheckboxGroup
    precision: gr.Dropdown
    attention: gr.Dropdown
    quantization: gr.Dropdown
    quantized_part: gr.Dropdown
    checkpointing: gr.Dropdown
    at_once: gr.Textbox
    workers: gr.Dropdown
    levers: gr.CheckboxGroup
    eval_every: gr.Number
    eval_rows: gr.Number
    final_rows: gr.Number
    sample_count: gr.Number
    max_new_tokens: gr.Number
    metric: gr.Dropdown
    patience: gr.Textbox
    keep: gr.Dropdown
    report_to: gr.Dropdown

    def widgets(self) -> list[Any]:
        """In the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]


SWITCH = {AUTO: None, "on": True, "off": False}
"""What a list holds for what core.spec.Settings has as None, True and False."""


def settings_of(form: dict[str, Any]) -> Settings:
    """The settings from what the widgets hold.

    Raises:
        SpecError: a field is empty, no number or out of range.
    """
    values = {name: value for name, value in form.items() if name not in ("unit", "length", "name")}
    needed = ("length", *(name for name in values if name not in MAY_BE_EMPTY))
    empty = [name.replace("_", " ") for name in needed if form[name] is None]
    if empty:
        raise SpecError("Training was asked for", f"the field for {', '.join(empty)} is empty", "Fill it in")
    values["learning_rate"] = _number(form["learning_rate"])
    for name in MAY_BE_EMPTY.keys() & values.keys():
        values[name] = _whole_or_nothing(values[name])
    if isinstance(values.get("checkpointing"), str):
        values["checkpointing"] = SWITCH.get(values["checkpointing"], values["checkpointing"])
    if "workers" in values:
        values["workers"] = _workers(values["workers"])
    if "levers" in values:
        values["without"] = _without(values.pop("levers"))
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

    >>> form_of({"steps": 100, "epochs": None, "learning_rate": 1e-3, "checkpointing": None})
    {'learning_rate': '0.001', 'checkpointing': 'auto', 'unit': 'steps', 'length': 100}
    """
    form = {name: value for name, value in settings.items() if name not in ("steps", "epochs", "without")}
    if "learning_rate" in form:
        form["learning_rate"] = f"{form['learning_rate']:g}"
    if "checkpointing" in form:
        form["checkpointing"] = next(shown for shown, value in SWITCH.items() if value is form["checkpointing"])
    if "workers" in form:
        form["workers"] = AUTO if form["workers"] is None else str(form["workers"])
    if "without" in settings:
        form["levers"] = [lever for lever in LEVERS if lever not in settings["without"]]
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


def _workers(text: Any) -> int | None:
    """Of the list, or a number that was typed there."""
    if text == AUTO:
        return None
    return _whole(text)


def _whole_or_nothing(value: Any) -> Any:
    """What may be left empty; 0 is as good as empty."""
    return (_whole(value.strip() or 0) if isinstance(value, str) else value) or None


def _whole(text: Any) -> int:
    try:
        return int(str(text).strip())
    except ValueError:
        raise SpecError(
            f"A number of “{clip(str(text))}” was given", "it is no whole number", "Write 8, or leave it empty"
        ) from None


def _without(levers: Any) -> list[str]:
    """The levers that are not ticked."""
    if not isinstance(levers, list | tuple) or not all(lever in LEVERS for lever in levers):
        raise SpecError("Training was asked for", f"“{words.LEVER_CHOICE}” has an unknown part", "Reload the page")
    return [lever for lever in LEVERS if lever not in levers]


def build_form() -> SettingsForm:
    """Few settings in sight, the rest folded."""
    boxes: dict[str, Any] = {}
    usual = first_form()
    with gr.Column(elem_classes=["sheet"], elem_id="settings"):
        with gr.Row(equal_height=False):
            units = [words.UNIT_STEPS, words.UNIT_EPOCHS]
            boxes["unit"] = gr.Radio(units, value=words.UNIT_STEPS, label=words.UNIT, min_width=200)
            boxes["length"] = gr.Number(usual["length"], label=words.LENGTH, info=words.LENGTH_INFO, min_width=110)
            boxes["batch_size"] = _number_box("batch_size", words.BATCH, words.BATCH_INFO, 120)
            boxes["learning_rate"] = gr.Textbox(
                usual["learning_rate"], label=words.RATE, info=words.RATE_INFO, min_width=130, max_length=24
            )
            boxes["seed"] = _number_box("seed", words.SEED, words.SEED_INFO, 120)
        with gr.Accordion(words.ADVANCED, open=False):
            for title, lead, rows in GROUPS:
                gr.HTML(
                    f"<h3>{title}</h3><p class='lead'>{lead}</p>",
                    apply_default_css=False,
                    padding=False,
                    elem_classes=["group"],
                )
                for row in rows:
                    with gr.Row(equal_height=False):
                        boxes.update((name, _box(name, label, info)) for name, label, info in row)
    return SettingsForm(**boxes)


def _box(name: str, label: str, info: str | None) -> Any:
    """The widget of a field, holding its usual value."""
    usual = first_form()[name]
    if name == "name":
        return gr.Textbox(label=label, info=info, max_length=80, min_width=200)
    if name in MAY_BE_EMPTY:  # Gradio's field for numbers says 0 where there is none
        return gr.Textbox(label=label, info=info, placeholder=MAY_BE_EMPTY[name], max_length=12, min_width=200)
    if name not in OFFERED:
        return _number_box(name, label, info, 200)
    choices = [(_there(shown, value) if name == "report_to" else shown, value) for shown, value in OFFERED[name]]
    if name in SEVERAL:
        return gr.CheckboxGroup(choices, value=usual, label=label, info=info, min_width=280)
    own = name == "workers"  # any number, but a few are offered
    return gr.Dropdown(choices, value=usual, label=label, info=info, min_width=200, allow_custom_value=own)


def _number_box(name: str, label: str, info: str | None, min_width: int) -> gr.Number:
    """A number that begins with the default of core.spec.Settings."""
    usual = getattr(Settings(), name)
    whole = 0 if isinstance(usual, int) else None
    return gr.Number(usual, label=label, info=info, precision=whole, min_width=min_width)


def _there(shown: str, package: str) -> str:
    """The name of another tool, and whether it is missing."""
    return shown if package == "none" or find_spec(package) else f"{shown} ({words.NOT_INSTALLED})"
