"""What a job needs, and where it stands."""

from __future__ import annotations

from math import ceil
from typing import Literal

from pydantic.dataclasses import dataclass

from core.errors import SpecError
from core.spec.model import Source
from core.spec.plan import Plan, Selection
from core.spec.text import STRICT, plain_number

SCHEMA_VERSION = 1

State = Literal["queued", "starting", "running", "stopping", "finished", "stopped", "failed", "lost"]
Quantization = Literal["none", "8bit", "4bit"]
Augmentation = Literal["colour", "rotation", "crop", "blur", "jpeg"]
"""A small change of a picture that leaves every answer true, also one about text, colours or sides."""
ENDED: frozenset[str] = frozenset({"finished", "stopped", "failed", "lost"})
"""States that a job does not leave by itself."""


@dataclass(frozen=True, config=STRICT)
class Settings:
    """How to train. Exactly one of `epochs` and `steps` says how long."""

    epochs: float | None = None
    steps: int | None = 120
    """Optimizer steps."""
    batch_size: int = 16
    """Rows an optimizer step sees on one device, before accumulation."""
    accumulation: int = 1
    """Batches whose gradients are added up for one optimizer step."""
    learning_rate: float = 3e-3
    """Peak of the schedule."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: float = 0.03
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    seed: int = 0
    eval_every: int = 20
    """Steps between two looks at the held-out rows."""
    eval_rows: int = 64
    """Held-out rows looked at on the way."""
    final_rows: int = 200
    """Held-out rows looked at before and after; all of them when there are fewer."""
    sample_count: int = 6
    """Held-out pictures whose answers are shown while it trains."""
    max_new_tokens: int = 32
    checkpointing: bool = False
    """Whether activations are computed again in the backward pass instead of being kept."""
    quantization: Quantization = "none"
    """Of the frozen weights, by bitsandbytes: 8-bit, or 4-bit nf4 with double quantization."""
    max_tokens: int | None = None
    """Tokens of the longest row that is taken, pictures and answers included; None: as many as the model has positions.
    A longer row is refused by its name, never cut."""
    augment: tuple[Augmentation, ...] = ()
    """How pictures are changed a little each time they are trained on; none unless asked for."""

    def total_steps(self, rows: int | None) -> int | None:
        """Optimizer steps of the whole training on so many rows, as transformers counts them; None where
        rows would have to be known.

        An epoch's last batch, and its last accumulation, may be smaller.
        """
        if self.steps is not None or self.epochs is None or rows is None:
            return self.steps
        return ceil(self.epochs * max(1, ceil(ceil(rows / self.batch_size) / self.accumulation)))

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise SpecError("Settings were given", "exactly one of epochs and steps says how long to train", "Give one")
        checks: tuple[tuple[str, float | None, str, float, float, str], ...] = (
            ("How long", self.epochs, " epochs", 0.001, 10_000, "3 is a usual start"),
            ("How long", self.steps, " steps", 1, 10_000_000, "100 to 500 is a usual start"),
            ("Batch", self.batch_size, "", 1, 4096, "4 to 16 is usual"),
            ("Accumulation", self.accumulation, "", 1, 4096, "1 is usual"),
            ("Learning rate", self.learning_rate, "", 1e-9, 1, "1e-4 is usual, 3e-3 for the small demo model"),
            ("Warm-up", self.warmup_share, "", 0, 1, "0.03 is usual"),
            ("Weight decay", self.weight_decay, "", 0, 10, "0 or 0.01 is usual"),
            ("Clip the gradient at", self.max_grad_norm, "", 1e-6, 1_000_000, "1 is usual"),
            ("Seed", self.seed, "", 0, 2**32 - 1, "0 is fine"),
            ("Look at held-out rows every", self.eval_every, " steps", 1, 10_000_000, "20 is usual"),
            ("Held-out rows on the way", self.eval_rows, "", 1, 1_000_000, "64 is usual"),
            ("Held-out rows before and after", self.final_rows, "", 1, 1_000_000, "200 is usual"),
            ("Pictures to follow", self.sample_count, "", 0, 64, "6 is usual"),
            ("Longest answer", self.max_new_tokens, " tokens", 1, 4096, "32 suits short answers"),
            ("Longest row", self.max_tokens, " tokens", 16, 10_000_000, "Leave it empty for the model's own limit"),
        )
        for label, value, unit, low, high, hint in checks:
            if value is not None and not low <= value <= high:  # NaN is inside of nothing
                reason = f"it must be from {plain_number(low)} to {plain_number(high)}"
                raise SpecError(f"“{label}” is {plain_number(value)}{unit}", reason, hint)
        if len(set(self.augment)) < len(self.augment):
            asked = f"“Change the pictures” is {', '.join(self.augment)}"
            raise SpecError(asked, "a way of changing them stands there twice", "Name each once")


@dataclass(frozen=True, config=STRICT)
class Spec:
    """Everything a job needs, as one JSON file."""

    name: str
    """What the person calls the job."""
    model: Source
    data: Source
    selection: Selection
    """Kept as a record of what was clicked; the plan is what counts."""
    plan: Plan
    settings: Settings
    trainable: int
    """The count that the person saw; the worker refuses to train on another."""
    schema_version: int = SCHEMA_VERSION
    """Of this form; another one may mean something else by the same words."""

    def __post_init__(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise SpecError(
                f"A spec of version {self.schema_version} was read",
                f"this release of the studio reads version {SCHEMA_VERSION}",
                "Choose the same again on the page, or start from `python -m core.cli spec --demo digits`",
            )


@dataclass(frozen=True, config=STRICT)
class Score:
    """A result on held-out rows."""

    exact_match: float
    """Share of rows, 0 to 1, whose answer equals the expected one after trimming spaces, case and a final full stop."""
    correct: int
    rows: int
    loss: float | None = None
    """Mean cross entropy (nats per answer token)."""


@dataclass(frozen=True, config=STRICT)
class Status:
    """Where a job stands: `status.json`, written by the worker alone."""

    state: State
    phase: str = ""
    """What it does now, in words."""
    step: int = 0
    total_steps: int = 0
    steps_per_second: float | None = None
    eta_seconds: float | None = None
    before: Score | None = None
    """The base model on the held-out split."""
    after: Score | None = None
    """The tuned model on the same rows."""
    majority: float | None = None
    """Share of the most common held-out answer: what guessing would score."""
    trainable: int | None = None
    """Counted by PEFT."""
    device: str = ""
    """Device and precision with the reason, in words."""
    error: str | None = None
    """A plain sentence when the state is failed or lost."""
    pid: int | None = None
    started: float | None = None
    """Seconds since 1970."""
    updated: float | None = None
