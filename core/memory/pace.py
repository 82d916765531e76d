"""How fast a job will be and how much disk it takes, from a run on this machine; without one, nothing is said.

What it does not do: guess. The time of another batch or picture size follows from tokens only, and only roughly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import StudioError
from core.job_files import SPEC, STATUS
from core.spec import Spec, Status, read

PACE = (
    "batch_size", "at_once", "checkpointing", "quantization", "quantized_part", "precision", "attention", "optimizer",
    "workers", "order", "without",
)  # fmt: skip
"""Settings on which the time of a row depends."""
LEAST_STEPS = 10
"""Steps that a run must have done for its pace to mean something."""


@dataclass(frozen=True)
class Run:
    """A finished or running job whose pace is known."""

    folder: Path
    spec: Spec
    status: Status


@dataclass(frozen=True)
class Pace:
    """What a job will take."""

    steps_per_second: float
    tokens_per_second: float
    hours: float
    """Of its training steps, without the looks at held-out rows."""
    disk_bytes: int
    """Of its adapter, and of the zip to take home."""
    source: str
    """The run that it follows from, in words."""


def last_run(folders: Iterable[Path], spec: Spec, device: str) -> Run | None:
    """The newest of these jobs that ran the same model and plan with the same settings of memory on this device.

    Args:
        folders: of jobs, the newest first.
        spec: of the job to come.
        device: as a job's status names it.
    """
    return next((run for folder in folders if (run := _run(folder)) is not None and _alike(run, spec, device)), None)


def pace(run: Run | None, spec: Spec, steps: int, row_tokens: int, adapter_bytes: int) -> Pace | None:
    """What a job of so many steps will take, or None without a run to go by.

    Args:
        run: what `last_run` found.
        spec: of the job to come.
        steps: optimizer steps.
        row_tokens: of one row, those for pictures included.
        adapter_bytes: exact size of its adapter.
    """
    if run is None or not run.status.steps_per_second:
        return None
    rows = spec.settings.batch_size * spec.settings.accumulation
    rows_per_second = run.status.steps_per_second * _rows(run.spec)
    speed = rows_per_second / rows
    return Pace(
        steps_per_second=speed,
        tokens_per_second=rows_per_second * row_tokens,
        hours=steps / speed / 3600,
        disk_bytes=2 * adapter_bytes,
        source=f"the run “{run.spec.name}” on {run.status.device}",
    )


def _rows(spec: Spec) -> int:
    """Rows of an optimizer step."""
    return spec.settings.batch_size * spec.settings.accumulation


def _run(folder: Path) -> Run | None:
    """The job in a folder if its pace is known; a folder that cannot be read is none."""
    try:
        found = Run(folder, read(Spec, folder / SPEC), read(Status, folder / STATUS))
    except StudioError:
        return None
    return found if found.status.steps_per_second and found.status.step >= LEAST_STEPS else None


def _alike(run: Run, spec: Spec, device: str) -> bool:
    """Whether a run's rows take as long as those of the job to come: same model, parts, data and ways to compute."""
    old, new = run.spec.settings, spec.settings
    return (
        run.status.device == device
        and (run.spec.model, run.spec.data) == (spec.model, spec.data)
        and run.spec.plan == spec.plan
        and all(getattr(old, name) == getattr(new, name) for name in PACE)
    )
