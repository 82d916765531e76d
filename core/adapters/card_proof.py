"""What the model card says of how it was trained and what that changed: levers, choices, AdaLoRA's ranks, the proof.

What it does not do: compute any of it; the worker has written it into the job's folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from core.adapters.card_text import one_line
from core.adapters.card_words import CHOICES, LEVERS, value
from core.job_files import PROOF

SHORT_HASH = 16


def read_proof(job_dir: Path) -> dict[str, Any] | None:
    """The proof that the worker has written into the job's folder, if there is one that can be read."""
    try:
        found = json.loads((job_dir / PROOF).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "frozen" in found else None


def proof_section(proof: Mapping[str, Any], series: Sequence[Mapping[str, Any]]) -> str:
    """The section about what changed, as Markdown."""
    lines = ["## What changed", "", one_line(str(proof["words"])), ""]
    lines += ["| component | chosen | update | of its weights | modules |", "| --- | --- | --- | --- | --- |"]
    for name, part in proof["components"].items():
        chosen = "yes" if part["chosen"] else "no"
        share = "no number" if part["ratio"] is None else f"{100 * part['ratio']:.3g}%"
        modules = f"{part['trained']:,} of {part['modules']:,}"
        lines.append(f"| {one_line(name)} | {chosen} | {_number(part['update'])} | {share} | {modules} |")
    frozen = proof["frozen"]
    hashes = " and ".join(dict.fromkeys(f"`{frozen[side][:SHORT_HASH]}…`" for side in ("before", "after")))
    lines += ["", "Updates are Frobenius norms of the change of the effective weights, beside the weights' own."]
    lines.append(f"SHA-256 over the frozen weights before and after: {hashes}.")
    if used := [each["used"] for each in proof["modules"] if each.get("used") is not None]:
        lines.append(f"The updates make use of {100 * mean(used):.0f}% of the rank that they were given, on average.")
    return "\n".join([*lines, *_ranks(series)])


def run_rows(series: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Rows for the table of settings: what was chosen when the job started, and which levers made it faster."""
    choices: dict[str, Any] = {}
    levers: dict[str, bool] = {}
    for point in series:
        if point.get("kind") == "choice" and point.get("name") != "metric":
            choices[str(point.get("name"))] = point.get("value")
        elif point.get("kind") == "lever":
            levers[str(point.get("name"))] = bool(point.get("on"))
    rows = {}
    if choices:
        rows["chosen for this machine"] = ", ".join(
            f"{CHOICES.get(name, _words(name))} {value(name, chosen)}" for name, chosen in choices.items()
        )
    if levers:
        called = {name: LEVERS.get(name, _words(name)) for name in levers}
        sides = {side: [called[name] for name, on in levers.items() if on is (side == "on")] for side in ("on", "off")}
        rows["levers"] = "; ".join(f"{side}: {', '.join(names)}" for side, names in sides.items() if names)
    return {name: one_line(text) for name, text in rows.items()}


def _ranks(series: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where AdaLoRA's rank went, by component."""
    modules: Sequence[Mapping[str, Any]] = ()
    ranks: Sequence[int] = ()
    for point in series:
        if point.get("kind") == "rank_modules":
            modules = point["modules"]
        elif point.get("kind") == "ranks":
            ranks = point["ranks"]
    if not ranks or len(ranks) != len(modules):
        return []
    by_component: dict[str, list[int]] = {}
    for module, rank in zip(modules, ranks, strict=True):
        by_component.setdefault(str(module["component"]), []).append(rank)
    lines = ["", "| where AdaLoRA's rank went | mean | lowest | highest |", "| --- | --- | --- | --- |"]
    for name, each in by_component.items():
        lines.append(f"| {one_line(name)} | {mean(each):.2f} | {min(each)} | {max(each)} |")
    return lines


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.4g}"


def _words(name: str) -> str:
    return name.replace("_", " ")
