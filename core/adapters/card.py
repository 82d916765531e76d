"""The model card: what was trained, on what, with which result, and how to load it with plain PEFT.

What it does not do: claim anything that the job did not measure, or name a folder of this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.adapters.card_data import data_section, stored_data
from core.adapters.card_proof import proof_section, run_rows
from core.adapters.card_results import results_section
from core.adapters.card_text import one_line
from core.adapters.card_words import kind, value
from core.adapters.published import published_source
from core.data.source import load_dataset
from core.errors import StudioError
from core.lora.limits import NAMES, START_NAMES
from core.lora.selection import range_text
from core.lora.tensors import CHANGES_WEIGHTS, saved_plan_rank
from core.models.classes import class_name
from core.models.loading import public_name
from core.models.source import resolve
from core.spec import Imported, Override, Plan, Quantization, Selection, Settings, Source, Spec, Status

STUDIO = "VLM LoRA Studio"
ANY_CLASS = "AutoModelForImageTextToText"
ANY_QUESTION = "What is in the picture?"
_PRECISION: dict[Quantization, str] = {
    "none": "as they are",
    "8bit": "packed to 8 bits by bitsandbytes",
    "4bit": "packed to 4 bits (nf4, double quantization) by bitsandbytes",
}


def card_text(
    spec: Spec,
    status: Status,
    by_component: Mapping[str, int] | None = None,
    stored: Imported | None = None,
    series: Sequence[Mapping[str, Any]] = (),
    proof: Mapping[str, Any] | None = None,
) -> str:
    """The card as Markdown with a YAML head (https://huggingface.co/docs/hub/model-cards).

    Args:
        spec: of the job.
        status: where it stands.
        by_component: trainable parameters of each component, if counted.
        stored: what the stored data set of the job says of itself, if it is one.
        series: the points of `metrics.jsonl`.
        proof: what `proof.json` says, if there is one.
    """
    data = stored_data(stored) if stored else _data(spec.data)
    question = (stored.question or ANY_QUESTION) if stored else _question(spec.data)
    parts = [
        _head(spec),
        f"# {one_line(spec.name)}",
        f"{kind(spec.plan)} for {_model(spec.model)}, trained on {data} with {STUDIO}.",
        results_section(status, data),
        "![Loss, held-out loss and the main measure over the steps](curves.svg)",
        _what_learned(spec, status, by_component),
        *([proof_section(proof, series)] if proof else []),
        *([data_section(stored)] if stored else []),
        _settings(spec, status, series),
        f"## How to load it\n\n{_how(spec.model)}\n\n```python\n{load_code(spec, question)}```",
        "`spec.json` holds everything needed to train it again.",
    ]
    return "\n\n".join(parts) + "\n"


def load_code(spec: Spec, question: str = ANY_QUESTION) -> str:
    """A script that answers the question about `picture.png` with the tuned model."""
    revision = f", revision={spec.model.revision!r}" if spec.model.revision else ""
    model_class = _model_class(spec.model)
    imported = ", ".join(sorted(("AutoProcessor", model_class), key=str.lower))
    return f"""\
from peft import PeftModel
from PIL import Image
from transformers import {imported}

base = {_base(spec.model)}
adapter = "."  # this folder
question = {_literal(question)}

processor = AutoProcessor.from_pretrained(base{revision})
model = {model_class}.from_pretrained(base{revision})
model = PeftModel.from_pretrained(model, adapter).eval()

picture = Image.open("picture.png").convert("RGB")
content = [{{"type": "image", "image": picture}}, {{"type": "text", "text": question}}]
inputs = processor.apply_chat_template(
    [{{"role": "user", "content": content}}],
    add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
)
tokens = model.generate(**inputs, max_new_tokens={spec.settings.max_new_tokens}, do_sample=False)
print(processor.batch_decode(tokens[:, inputs["input_ids"].shape[1]:], skip_special_tokens=True)[0])
"""


def _head(spec: Spec) -> str:
    lines = ["---", "library_name: peft", "pipeline_tag: image-text-to-text"]
    if spec.model.kind == "hub":  # only a Hub id may stand here: any other name would link to somebody else's model
        lines += [f"base_model: {json.dumps(spec.model.name)}", "base_model_relation: adapter"]
    if spec.data.kind == "hub":
        lines += ["datasets:", f"- {json.dumps(spec.data.name)}"]
    return "\n".join([*lines, "tags:", "- lora", "- vlm", "- vision-language", "- vlm-lora-studio", "---"])


def _what_learned(spec: Spec, status: Status, by_component: Mapping[str, int] | None) -> str:
    trainable = spec.trainable if status.trainable is None else status.trainable
    lines = ["## What learned", "", f"{trainable:,} parameters: {_extent(spec.plan)}."]
    lines += [f"Chosen: {chosen}." for chosen in [_chosen(spec.selection)] if chosen]
    if by_component:
        lines += ["", "| component | trainable parameters |", "| --- | --- |"]
        lines += [f"| {name} | {count:,} |" for name, count in by_component.items()]
    return "\n".join(lines)


def _adapts(plan: Plan) -> bool:
    return bool(plan.target_modules or plan.target_parameters)


def _chosen(selection: Selection) -> str:
    """What was clicked, as far as it can be said in a line."""
    layers = (f"layers {range_text(each)} of {component}" for component, each in selection.layers.items())
    counts = (
        (len(selection.include), "taken in by name"),
        (len(selection.exclude), "left out by name"),
        (len(selection.relabels), "relabelled"),
    )
    parts = (
        ", ".join(selection.cells),
        ", ".join(layers),
        f"in full: {one_line(', '.join(selection.full))}" if selection.full else "",
        ", ".join(f"{what}: {count:,}" for count, what in counts if count),
    )
    return "; ".join(filter(None, parts))


def _extent(plan: Plan) -> str:
    """How many modules learn, and in which way."""
    counts = (
        (len(plan.target_modules), "modules with an adapter"),
        (len(plan.target_parameters), "fused or bare matrices with an adapter"),
        (len(plan.full_modules), "modules trained in full"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in counts if count)


def _method(plan: Plan) -> str:
    """The method in the words of its papers."""
    if not _adapts(plan):
        return "parts trained in full, without LoRA"
    start = "" if plan.start == "default" else f", from {START_NAMES[plan.start]}"
    return NAMES[plan.method] + start + (", with LoRA bias" if plan.lora_bias else "")


def _numbers(numbers: Plan | Override) -> str:
    rate = numbers.learning_rate if isinstance(numbers, Override) else None
    return f"{numbers.rank}, {numbers.alpha:g}, {numbers.dropout:g}" + ("" if rate is None else f", rate {rate:g}")


def _adapter(plan: Plan) -> dict[str, str]:
    """The numbers of the adapter, of which a plan in full alone has none."""
    if not _adapts(plan):
        return {}
    rows = {
        "rank, alpha, dropout": _numbers(plan),
        **{f"the same in {override.component}": _numbers(override) for override in plan.overrides},
    }
    if plan.start in CHANGES_WEIGHTS:
        rows["in the file"] = "plain LoRA of twice the rank, at the same scale: it fits the model as it came"
    elif plan.method == "adalora":
        rank = saved_plan_rank(plan, plan.rank)
        rows["in the file"] = f"rank {rank}, with which it began; what was given up since is zeros"
    return rows


def _settings(spec: Spec, status: Status, series: Sequence[Mapping[str, Any]]) -> str:
    plan, settings = spec.plan, spec.settings
    length = f"{settings.epochs:g} epochs" if settings.steps is None else f"{settings.steps:,} steps"
    rows = {
        "method": _method(plan),
        **_adapter(plan),
        "length": f"{length} ({status.step:,} steps done)",
        "batch": f"{settings.batch_size} rows x {settings.accumulation}",
        "learning rate": f"{settings.learning_rate:g}, {settings.schedule}, warm-up {_warmup(settings)}",
        **({"learning rate in full": f"{plan.full_learning_rate:g}"} if plan.full_learning_rate else {}),
        "weight decay, clipping": f"{settings.weight_decay:g}, {settings.max_grad_norm:g}",
        **_extras(settings),
        "base weights": _PRECISION[settings.quantization] + _packed_part(settings),
        **({"longest row": f"{settings.max_tokens:,} tokens"} if settings.max_tokens else {}),
        **({"pictures changed a little": _augmented(settings)} if settings.augment else {}),
        "seed": str(settings.seed),
        "computed on": one_line(status.device) or "not recorded",
        **run_rows(series),
    }
    lines = ["## Settings", "", "| setting | value |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in rows.items())])


def _warmup(settings: Settings) -> str:
    return f"{settings.warmup_share:.0%}" if settings.warmup_steps is None else f"{settings.warmup_steps:,} steps"


def _packed_part(settings: Settings) -> str:
    language_alone = settings.quantization != "none" and settings.quantized_part == "language"
    return ", in the language model alone" if language_alone else ""


def _extras(settings: Settings) -> dict[str, str]:
    """What is not as it usually is."""
    default = Settings()
    rows = {
        "optimizer": (settings.optimizer, default.optimizer),
        "LoRA+ ratio": (settings.lora_plus, default.lora_plus),
        "noise on the embeddings (NEFTune)": (settings.neftune, default.neftune),
        "label smoothing": (settings.label_smoothing, default.label_smoothing),
        "looks without improvement that end it": (settings.patience, default.patience),
        "weights that became the adapter": (settings.keep, default.keep),
    }
    called = {"optimizer": "optimizer", "weights that became the adapter": "keep"}
    return {name: value(called.get(name, ""), each) for name, (each, usual) in rows.items() if each != usual}


def _augmented(settings: Settings) -> str:
    return ", ".join(value("augment", each) for each in settings.augment)


def _base(source: Source) -> str:
    """What stands behind `base =`: a Hub id, or a path that the reader fills in."""
    name = public_name(source)
    if source.kind == "demo":
        return f"{_literal(f'/path/to/vlm-lora-studio/{name}')}  # the demo model in your checkout"
    if source.kind == "folder":
        return f"{_literal(f'/path/to/{name}')}  # the folder of the base model"
    return _literal(name)


def _model_class(source: Source) -> str:
    """The class that the studio itself trains; transformers' own choice where the config cannot be read any more."""
    try:
        return class_name(resolve(source, offline=True)) or ANY_CLASS
    except StudioError:
        return ANY_CLASS


def _how(source: Source) -> str:
    """What to do before the script runs."""
    missing = "" if source.kind == "hub" else " and the path of `base` filled in"
    return f"With plain PEFT, run in the folder of this file, with a picture of yours as `picture.png`{missing}:"


def _question(data: Source) -> str:
    """What the first held-out row asks, or any question where the data cannot be read any more."""
    try:
        return load_dataset(data).heldout[0].question
    except (StudioError, OSError):
        return ANY_QUESTION


def _literal(text: str) -> str:
    """The text as Python code, on one line and without control signs."""
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else repr(text)


def _model(source: Source) -> str:
    return f"the demo model of {STUDIO}" if source.kind == "demo" else _code(source)


def _data(source: Source) -> str:
    return f"the demo data set {_code(source)}" if source.kind == "demo" else _code(source)


def _code(source: Source) -> str:
    shown = str(published_source(source)).replace("`", "'")
    return f"`{' '.join(shown.split())}`"
