"""Every value that crosses a border (page, command line, worker, disk): frozen, checked when made, JSON in and out.

One straight line: Source -> Inspection -> Selection -> Plan -> Budget, and Plan + data + Settings -> Spec.
What it does not do: read a model, count a parameter or touch a file other than by `read` and `write`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from core.errors import PlanError, SpecError
from core.files import taking_the_place_of

SCHEMA_VERSION = 1
MAX_RANK = 4096
MAX_ALPHA = 65_536

Component = Literal["vision", "projector", "language", "cross_attention", "audio", "other"]
"""Which part of the model a module belongs to."""
Role = Literal["attention", "mlp", "embedding", "head", "norm", "other"]
"""What a module does inside its component."""
COMPONENTS: tuple[Component, ...] = ("vision", "projector", "language", "cross_attention", "audio", "other")
ROLES: tuple[Role, ...] = ("attention", "mlp", "embedding", "head", "norm", "other")

State = Literal["queued", "starting", "running", "stopping", "finished", "stopped", "failed", "lost"]
ENDED: frozenset[str] = frozenset({"finished", "stopped", "failed", "lost"})
"""States that a job does not leave by itself."""

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Source:
    """Where a model or a data set comes from."""

    kind: Literal["demo", "hub", "folder"]
    name: str
    """The demo's name, the Hub id (`owner/name`) or the folder's path."""
    revision: str | None = None
    """Hub only: branch, tag or commit; the inspection pins it to a commit."""

    def __str__(self) -> str:
        return f"{self.name}@{self.revision[:12]}" if self.revision else self.name


@dataclass(frozen=True, config=_STRICT)
class Module:
    """One module of the tree that holds parameters of its own."""

    name: str
    """Full path, as in `model.named_modules()`."""
    kind: str
    """Class name."""
    shape: tuple[int, ...]
    """Of the weight: Linear (out, in), Conv2d (out, in, kh, kw), Embedding (num, dim), fused experts (E, a, b)."""
    component: Component
    role: Role
    layer: int | None
    """Index inside the component's stack of layers; None outside of one."""
    params: int
    """Parameters that the module holds itself; those of its children, and tied ones seen before, are not counted."""
    adaptable: bool
    """Whether LoRA can reach it."""
    reason: str
    """Why it has this component and role, and if it is not adaptable, why not."""


@dataclass(frozen=True, config=_STRICT)
class Inspection:
    """The module tree of a source, made from its config without weights."""

    source: Source
    """With the revision pinned."""
    model_class: str
    model_type: str
    total_params: int
    """Every parameter once; equals `sum(p.numel() for p in model.parameters())`."""
    modules: tuple[Module, ...]
    config_hash: str
    """SHA-256 of the config and of the labelling's version: the key of caches."""


@dataclass(frozen=True, config=_STRICT)
class Selection:
    """What the person chose: cells of component x role, and single modules in or out."""

    cells: tuple[str, ...] = ()
    """`component.role`, e.g. `vision.attention`."""
    include: tuple[str, ...] = ()
    """Full module names taken in beside the cells."""
    exclude: tuple[str, ...] = ()
    """Full module names left out of the cells."""

    def __post_init__(self) -> None:
        for cell in self.cells:
            component, _, role = cell.partition(".")
            if component not in COMPONENTS or role not in ROLES:
                raise PlanError(
                    f"The target “{cell}” was asked for",
                    "a target is a component and a role joined by a dot",
                    f"Use one of {', '.join(COMPONENTS)} with one of {', '.join(ROLES)}, such as vision.attention",
                )


@dataclass(frozen=True, config=_STRICT)
class Plan:
    """Exactly which modules get what."""

    target_modules: tuple[str, ...]
    """Full module names, in the order of the model."""
    rank: int = 8
    alpha: float = 16.0
    """The update is scaled by alpha / rank (arXiv:2106.09685, section 4.1)."""
    dropout: float = 0.0
    method: Literal["lora"] = "lora"

    def __post_init__(self) -> None:
        if not self.target_modules:
            raise PlanError("Training was asked for", "nothing is selected", "Switch on at least one part of the model")
        if not 1 <= self.rank <= MAX_RANK:
            raise PlanError(
                f"Rank {self.rank:,} was asked for",
                f"a rank is a whole number from 1 to {MAX_RANK:,}",
                "8 or 16 suits most tasks",
            )
        if not 0 < self.alpha <= MAX_ALPHA:
            raise PlanError(
                f"Alpha {_plain(self.alpha)} was asked for",
                f"alpha is a number above 0 and at most {MAX_ALPHA:,}",
                "Take once or twice the rank",
            )
        if not 0 <= self.dropout < 1:
            raise PlanError(f"Dropout {self.dropout} was asked for", "dropout lies from 0 to below 1", "Take 0 or 0.1")


@dataclass(frozen=True, config=_STRICT)
class Budget:
    """What a plan costs."""

    trainable: int
    """Exact, equal to PEFT's `get_nb_trainable_parameters()[0]`."""
    total: int
    """Parameters of the model without the adapter."""
    percent: float
    """100 * trainable / total."""
    adapter_bytes: int
    """Exact size of `adapter_model.safetensors`."""
    by_component: dict[str, int]
    """Trainable parameters of each component that the model has, zeros included."""


@dataclass(frozen=True, config=_STRICT)
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
        )
        for label, value, unit, low, high, hint in checks:
            if value is not None and not low <= value <= high:  # NaN is inside of nothing
                reason = f"it must be from {_plain(low)} to {_plain(high)}"
                raise SpecError(f"“{label}” is {_plain(value)}{unit}", reason, hint)


@dataclass(frozen=True, config=_STRICT)
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


@dataclass(frozen=True, config=_STRICT)
class Score:
    """A result on held-out rows."""

    exact_match: float
    """Share of rows, 0 to 1, whose answer equals the expected one after trimming spaces, case and a final full stop."""
    correct: int
    rows: int
    loss: float | None = None
    """Mean cross entropy (nats per answer token)."""


@dataclass(frozen=True, config=_STRICT)
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


def _plain(number: float) -> str:
    """The number as people write it.

    >>> _plain(1e7), _plain(1e-9), _plain(0.5)
    ('10,000,000', '1e-09', '0.5')
    """
    whole = isinstance(number, float) and number.is_integer() and abs(number) < 1e15
    return f"{int(number) if whole else number:,}"


Value = TypeVar("Value")


def to_json(value: Any, indent: int | None = None) -> str:
    """The value as JSON text; NaN and infinity never stand in it."""
    return json.dumps(TypeAdapter(type(value)).dump_python(value, mode="json"), indent=indent, allow_nan=False)


def to_dict(value: Any) -> dict[str, Any]:
    """The value as plain dicts, lists, strings and numbers."""
    plain: dict[str, Any] = TypeAdapter(type(value)).dump_python(value, mode="json")
    return plain


def from_dict(kind: type[Value], data: Any) -> Value:
    """The value from plain data.

    Raises:
        SpecError: a key is unknown or missing, or a value has the wrong type.
        PlanError: see `Plan`.
    """
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or kind.__name__
        raise SpecError(
            f"{kind.__name__}: “{where}” was read", first["msg"].lower(), "See `python -m core.cli spec --demo digits`"
        ) from None


def from_json(kind: type[Value], text: str | bytes) -> Value:
    """The value from JSON text; raises like `from_dict`."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"A {kind.__name__} was read", f"it is not JSON ({error})", "Check the file") from None
    return from_dict(kind, data)


def read(kind: type[Value], path: Path) -> Value:
    """The value from a file.

    Raises:
        SpecError: the file is missing or does not hold such a value.
    """
    try:
        return from_json(kind, path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path.name} was read", error.strerror or "it cannot be read", "Check the path") from None


def write(value: Any, path: Path) -> None:
    """Writes the value as JSON, so that no reader sees half of it and a failure leaves what was there.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    with taking_the_place_of(path) as staged:
        staged.write_text(to_json(value, indent=2) + "\n", encoding="utf-8")
