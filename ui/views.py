"""Values of core as the islands read them: plain JSON, no more than is shown, no folder of this machine."""

from __future__ import annotations

import json
import os
import platform
import re
from functools import cache
from pathlib import Path
from typing import Any

from core.adapters.published import published_source, published_spec
from core.data.rows import Dataset
from core.data.source import demo_datasets
from core.errors import PlanError
from core.job_files import ADAPTER, PROOF, WEIGHTS
from core.jobs.backend import JobRow
from core.lora.budget import budget
from core.lora.presets import PRESETS, TASKS, USUAL, preset_cells, preset_of_data, usual_cells
from core.lora.priorities import priorities
from core.spec import COMPONENTS, Inspection, Module, Recipe, Source, Spec, Status, to_dict
from ui import words
from ui.datasets import sample, title_of_job
from ui.studio import key_of

DEFAULTS = to_dict(Recipe())
SAMPLES = 4
EASIEST_FIRST = ("digits", "outline", "house-format", "emoji")
DEMO_LABEL = "Demo VLM"


def model_label(source: Source) -> str:
    """A model's name on the page."""
    return DEMO_LABEL if source.kind == "demo" else str(published_source(source))


def device() -> dict[str, str]:
    """What the worker will run on, as far as it can be said without importing torch."""
    cores = os.cpu_count() or 1
    if Path("/proc/driver/nvidia/version").exists():
        return {"label": "CUDA", "reason": "An NVIDIA driver is there; the job says which precision it takes and why."}
    return {
        "label": f"CPU, {cores} cores",
        "reason": f"No NVIDIA driver was found on this {platform.machine()} machine.",
    }


def notice() -> str:
    """What a visitor must know of this server, or nothing."""
    if os.environ.get("SPACE_ID") and not os.environ.get("STUDIO_HOME"):
        return words.NOT_KEPT
    return ""


@cache
def datasets() -> list[dict[str, Any]]:
    """The demo data sets as cards; read once, they do not change while the server runs."""
    known = {name: place for place, name in enumerate(EASIEST_FIRST)}
    return [_card(dataset) for dataset in sorted(demo_datasets(), key=lambda d: known.get(d.name, len(known)))]


def _card(dataset: Dataset) -> dict[str, Any]:
    return {
        "key": dataset.name,
        "name": dataset.name,
        "pictures": f"data/{dataset.name}",
        "title": dataset.title,
        "question": dataset.train[0].question,
        "story": dataset.story,
        "licence": dataset.licence,
        "train": len(dataset.train),
        "heldout": len(dataset.heldout),
        "majority": dataset.majority,
        "preset": suggested.name if (suggested := preset_of_data(dataset.name)) else USUAL,
        "samples": _different(dataset),
    }


def _different(dataset: Dataset) -> list[dict[str, str]]:
    """The first rows with answers that differ, to show what the set is like."""
    chosen = {row.answer: row for row in reversed(dataset.train)}
    rows = sorted(chosen.values(), key=lambda row: row.picture_name)[:SAMPLES]
    return [sample(row) for row in rows]


def inspection(value: Inspection) -> dict[str, Any]:
    """A module tree as rows, to keep it small, and the presets as they fall on this model."""
    presets = [
        {**_titled(p), "components": p.components, "roles": p.roles, "cells": list(preset_cells(value, p))}
        for p in PRESETS
    ]
    return {
        "key": key_of(value),
        "label": model_label(value.source),
        "source": str(published_source(value.source)),
        "model_class": value.model_class,
        "total_params": value.total_params,
        "modules": [
            [*_label(m), m.confidence, m.root, [[p.name, p.shape, p.adaptable, p.transposed] for p in m.parameters]]
            for m in value.modules
        ],
        "presets": presets,
        "tasks": [{**_titled(task), "missing": not preset_cells(value, task)} for task in TASKS],
        "priorities": [{**_titled(each), "missing": not each.selection.cells} for each in priorities(value)],
        "default_cells": list(usual_cells(value)),
    }


def _titled(choice: Any) -> dict[str, str]:
    """What a preset, a task or a priority is called, and why one takes it."""
    return {"name": choice.name, "title": choice.title, "why": choice.why}


def _label(m: Module) -> tuple[Any, ...]:
    return (m.name, m.kind, m.shape, m.component, m.role, m.layer, m.params, m.adaptable, m.reason)


def job_line(row: JobRow, spec: Spec, status: Status) -> dict[str, Any]:
    """A job in the list."""
    return {
        "id": row.id,
        "name": row.name,
        "state": status.state,
        "created": row.created,
        "model": model_label(spec.model),
        "data": _data_title(spec, row.folder),
        "method": spec.plan.method,
        "rank": spec.plan.rank,
        "parts": _parts(spec),
        "steps": spec.settings.steps,
        "epochs": spec.settings.epochs,
        "trainable": spec.trainable,
        "before": to_dict(status.before) if status.before else None,
        "after": to_dict(status.after) if status.after else None,
    }


def job(spec: Spec, status: Status, folder: Path, made: Inspection | None) -> dict[str, Any]:
    """One job that is opened; with the inspection of its model also what each component got."""
    adapter = folder / ADAPTER / WEIGHTS
    return {
        "name": spec.name,
        "model": model_label(spec.model),
        "data": _data_title(spec, folder),
        "spec": to_dict(published_spec(spec)),
        "status": to_dict(status),
        "adapter_bytes": adapter.stat().st_size if adapter.exists() else None,
        "by_component": _by_component(spec, made),
    }


def proof(folder: Path) -> dict[str, Any] | None:
    """What the worker measured of the weights before and after; None where there is nothing to read."""
    try:
        found = json.loads((folder / PROOF).read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except (OSError, ValueError):  # not yet there, of an older release, or cut off by a full disk
        return None
    return found if isinstance(found, dict) else None


def _by_component(spec: Spec, made: Inspection | None) -> dict[str, int] | None:
    """None too when the model of this name has other modules by now."""
    try:
        return budget(made, spec.plan).by_component if made else None
    except PlanError:
        return None


def _parts(spec: Spec) -> list[str]:
    """The components that were chosen as a whole or by their roles; modules chosen one by one belong to none here."""
    chosen = {cell.partition(".")[0] for cell in spec.selection.cells} | set(spec.selection.full)
    return [component for component in COMPONENTS if component in chosen]


def _data_title(spec: Spec, folder: Path) -> str:
    titles = {card["name"]: str(card["title"]) for card in datasets()}
    return titles.get(spec.data.name) or title_of_job(spec, folder)


def file_name(name: str) -> str:
    """A job's name as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "job"
