"""How long a job will take and how much disk, by the owner's own last run that was like it; without one, nothing.

What it does not do: guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from core.errors import StudioError
from core.jobs.backend import JobRow
from core.lora.budget import budget
from core.memory.pace import last_run, pace
from core.spec import Spec
from ui.choice import read_choice
from ui.datasets import dataset_of, source_of
from ui.questions.counsel import settings_so_far
from ui.studio import Studio


def pace_of(studio: Studio, asked: dict[str, Any], owner: str) -> dict[str, Any]:
    """`pace`: steps and tokens per second, hours and bytes on disk, and by which run; None without such a run.

    Args:
        studio: the server's parts.
        asked: a choice with `form`, `dataset`, and `row_tokens` (pictures included), where they are known.
        owner: whose runs may be looked at; empty for nobody.
    """
    chosen, settings = read_choice(studio, asked), settings_so_far(asked.get("form"))
    if not asked.get("dataset"):
        return {"pace": None}
    data, source = dataset_of(studio, asked["dataset"], owner), source_of(asked["dataset"])
    cost = budget(chosen.labelled, chosen.plan)
    spec = Spec(data.title, chosen.inspection.source, source, chosen.selection, chosen.plan, settings, cost.trainable)
    jobs = studio.backend.jobs(owner) if owner else []
    run = last_run([job.folder for job in jobs], spec, _device(studio, owner, jobs))
    steps = settings.total_steps(len(data.train))
    found = pace(run, spec, steps or 0, int(asked.get("row_tokens") or 0), cost.adapter_bytes)
    return {"pace": asdict(found) if found else None}


def _device(studio: Studio, owner: str, jobs: Sequence[JobRow]) -> str:
    """What this machine computes on, in the words of the newest run that has said it."""
    for job in jobs:
        with suppress(StudioError):  # a damaged folder says nothing
            if device := studio.backend.status(job.id, owner).device:
                return device
    return ""
