"""What a job needs, and where it stands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.errors import SpecError
from core.spec.model import Source
from core.spec.plan import Plan, Selection
from core.spec.settings import Settings
from core.spec.text import STRICT

SCHEMA_VERSION = 1

State = Literal["queued", "starting", "running", "stopping", "finished", "stopped", "failed", "lost"]
ENDED: frozenset[str] = frozenset({"finished", "stopped", "failed", "lost"})
"""States that a job does not leave by itself."""


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
    metrics: dict[str, float] = Field(default_factory=dict)
    """By the measures that suit the data; all but the error rates `cer` and `wer` from 0 to 1, more is better."""
    metric: str = "exact_match"
    """The main one of them."""
    interval: tuple[float, float] | None = None
    """95% interval of the main one over the rows."""


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
    unmeasured: str | None = None
    """Why the tuned model was not asked, in words, where it was to be and `after` is missing."""
    majority: float | None = None
    """Share of the most common held-out answer: what guessing would score."""
    trainable: int | None = None
    """Counted by PEFT."""
    kept_step: int | None = None
    """The step whose weights became the adapter, where that is not `step`: the best look's, or the last good one."""
    device: str = ""
    """Device and precision with the reason, in words."""
    error: str | None = None
    """A plain sentence when the state is failed or lost."""
    pid: int | None = None
    started: float | None = None
    """Seconds since 1970."""
    updated: float | None = None
