"""What a job chooses when it starts, with its reasons: precision, attention, rows at a time, checkpointing, workers.

What a person has set is taken as it is and marked as theirs. Nothing here refuses a job: where a model's memory cannot
be estimated, that is said and the choice is on the safe side.
What it does not do: choose a device (`core.models.device`), or a lever (`core.training.levers`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.data.previewing.preview import light_encoder
from core.data.rows import Row
from core.memory.cards import Card
from core.memory.workload import Workload
from core.models.classes import named_class, read_config
from core.models.source import Resolved, resolve
from core.spec import Inspection, Plan, Settings, Spec
from core.spec.settings import Attention
from core.training.by_memory import ByMemory
from core.training.choice import Choice
from core.training.computer import Computer, computer_of, precision_on
from core.training.shapes import RowShape, shape_of_rows, step_of

MOST_WORKERS = 4
DEVICE_REASONS = {"cuda": "A GPU with CUDA is there.", "cpu": "No CUDA device is there."}
"""The precision on it has a reason of its own."""


@dataclass(frozen=True)
class Choices:
    """How one job computes."""

    device: Choice
    precision: Choice
    attention: Choice
    at_once: Choice
    """Rows that go through the model at a time."""
    accumulation: Choice
    """Of how many such batches the gradients are added up for one optimizer step."""
    checkpointing: Choice
    workers: Choice
    work: Workload
    """The step as it was chosen."""

    def all(self) -> tuple[Choice, ...]:
        """In the order in which they are shown."""
        return (
            self.device, self.precision, self.attention, self.at_once, self.accumulation, self.checkpointing,
            self.workers,
        )  # fmt: skip

    def settled(self, settings: Settings) -> Settings:
        """The settings with nothing left to choose; an optimizer step sees the same rows, in smaller batches."""
        return replace(
            settings,
            precision=self.precision.value,
            attention=self.attention.value,
            batch_size=self.at_once.value,
            at_once=self.at_once.value,
            accumulation=self.accumulation.value,
            checkpointing=self.checkpointing.value,
            workers=self.workers.value,
        )

    @property
    def loaded_with(self) -> str | None:
        """What `load_model` is told of attention: nothing where it is transformers' own choice."""
        usual = self.attention.value == "sdpa" or (self.attention.by == "studio" and self.attention.value == "eager")
        return None if usual else str(self.attention.value)


def choose(
    resolved: Resolved,
    inspection: Inspection,
    plan: Plan,
    settings: Settings,
    computer: Computer,
    shape: RowShape,
    rows: int | None = None,
) -> Choices:
    """Everything that is left to choose.

    Args:
        resolved: the model.
        inspection: of it.
        plan: what is trained.
        settings: what the person has set, and what not.
        computer: where it will run.
        shape: of the largest rows.
        rows: to learn from, where that is known.
    """
    asked = settings.precision != "auto"
    attention = _attention(resolved, settings, computer)
    work = step_of(replace(settings, attention=attention.value), shape, computer.device, computer.precision)
    memory = ByMemory(resolved, inspection, plan, settings, computer, shape)
    at_once, accumulation, checkpointing, work = memory.chosen(work)
    return Choices(
        device=Choice("device", computer.device, DEVICE_REASONS[computer.device], "studio"),
        precision=Choice("precision", computer.precision, f"{computer.why}.", "you" if asked else "studio"),
        attention=attention,
        at_once=at_once,
        accumulation=accumulation,
        checkpointing=checkpointing,
        workers=_workers(settings, computer, rows),
        work=work,
    )


def choose_for_rows(
    spec: Spec, inspection: Inspection, computer: Computer, rows: Sequence[Row], processor: Any
) -> Choices:
    """What a job that starts now chooses, from rows that have been tried already.

    Raises:
        DataError: a row can no longer be read.
    """
    encoder = light_encoder(spec.model, processor, spec.settings.max_tokens)
    shape = shape_of_rows(encoder, rows)
    return choose(resolve(spec.model), inspection, spec.plan, spec.settings, computer, shape, len(rows))


def choose_on_card(
    resolved: Resolved,
    inspection: Inspection,
    plan: Plan,
    settings: Settings,
    card: Card,
    shape: RowShape,
    rows: int | None = None,
) -> Choices:
    """What a job would choose on a card of which only name and size are known; nothing is loaded or tried.

    Args:
        resolved: the model.
        inspection: of it.
        plan: what is trained.
        settings: what the person has set, and what not.
        card: of the list, or this machine's own.
        shape: of the rows.
        rows: to learn from, where that is known.
    """
    precision, why = precision_on(card, settings.precision, inspection.total_params)
    return choose(resolved, inspection, plan, settings, computer_of(card, precision, why), shape, rows)


def _attention(resolved: Resolved, settings: Settings, computer: Computer) -> Choice:
    """The implementation of attention."""
    asked = settings.attention
    kind = named_class(resolved, read_config(resolved))
    usual: Attention = "sdpa" if kind._supports_sdpa else "eager"
    why_usual = (
        "PyTorch’s own fused attention, which this model supports."
        if usual == "sdpa"
        else "Step by step: this model’s code has no other way."
    )
    if asked == "eager":
        return Choice("attention", "eager", "Step by step, as the settings ask; scores are stored.", "you")
    if asked == "flash_attention_2" or (asked == "auto" and computer.flash):
        problem = _no_flash(kind, settings, computer)
        if problem is None:
            reason = "Flash attention is installed, and this model and precision allow it."
            return Choice("attention", "flash_attention_2", reason, "studio" if asked == "auto" else "you")
        return Choice("attention", usual, f"{why_usual} No flash attention: {problem}.", "studio")
    if asked == usual:
        return Choice("attention", usual, "As the settings ask.", "you")
    if asked == "sdpa":
        return Choice("attention", usual, f"{why_usual} Asked for was PyTorch’s fused one.", "studio")
    return Choice("attention", usual, why_usual, "studio")


def _no_flash(kind: Any, settings: Settings, computer: Computer) -> str | None:
    """Why flash attention is not taken; None where it can be."""
    if computer.device != "cuda":
        return "it runs on NVIDIA’s GPUs only"
    if not computer.flash:
        return "the package flash-attn is not installed"
    if computer.precision != "bf16":
        return "it computes in 16 bits only"
    if not kind._supports_flash_attn:
        return "this model’s code does not support it"
    if settings.attention == "auto" and settings.order == "pictures" and "shared_pictures" not in settings.without:
        return "it takes no mask of blocks, by which rows share a picture"
    return None


def _workers(settings: Settings, computer: Computer, rows: int | None) -> Choice:
    """Processes that prepare rows."""
    if settings.workers is not None:
        return Choice("workers", settings.workers, "As the settings ask.", "you")
    if computer.device == "cpu":
        reason = "Rows are prepared between the steps: on a CPU other processes would only take its cores away."
        return Choice("workers", 0, reason, "studio")
    many = min(MOST_WORKERS, computer.cores // 2)
    if many < 1:
        return Choice("workers", 0, "Rows are prepared between the steps: there is no core to spare.", "studio")
    again = _rounds(settings, rows)
    if not settings.augment and again is not None and again >= 2:
        reason = (
            f"Each row is seen {again:.1f} times and kept once it was prepared; other processes would not share it."
        )
        return Choice("workers", 0, reason, "studio")
    reason = f"{many} of {computer.cores} cores prepare rows while the GPU computes."
    return Choice("workers", many, reason, "studio")


def _rounds(settings: Settings, rows: int | None) -> float | None:
    """How often each row is seen; None where that is not known."""
    if settings.epochs is not None or not rows:
        return settings.epochs
    return (settings.steps or 0) * settings.batch_size * settings.accumulation / rows


def lines(choices: Choices) -> Iterator[str]:
    """The choices as lines of a log."""
    for choice in choices.all():
        whose = "set" if choice.by == "you" else "chosen"
        yield f"{choice.name.replace('_', ' ')} {whose}: {choice.value}. {choice.reason}"
