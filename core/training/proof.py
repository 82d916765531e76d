"""The proof of what a training did: how far each module moved, and that what was not chosen is bit-identical.

What it does not do: end a job. Frozen weights that changed are said loudly, and the adapter is kept.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.files import taking_the_place_of
from core.job_files import PROOF
from core.lora.parts import dense_weight, is_added, original_name
from core.lora.tensors import by_name
from core.lora.updates import Update, squares, updates
from core.spec import COMPONENTS, Component, Inspection, Module, Plan
from core.training.frozen_hash import Frozen, changed, hash_frozen
from core.training.metrics import Metrics

SAID = {"projector": "the projector", "cross_attention": "cross-attention", "other": "what belongs to no part"}
"""Components in a sentence, where their own name does not do."""
WORTH_SAYING = 5.0
"""Seconds of hashing from which on the job's log says how long it took."""
NAMED = 20
"""Changed tensors that the proof names."""


def hash_before(model: Any, folder: Path, metrics: Metrics) -> Frozen:
    """The frozen weights as they are before training; a proof of an earlier attempt goes."""
    (folder / PROOF).unlink(missing_ok=True)
    found = hash_frozen(model)
    if found.seconds > WORTH_SAYING:
        what = f"{_size(found.size)} of frozen weights were hashed in {found.seconds:.0f} s"
        metrics.note(f"{what}, to prove afterwards that they did not change.")
    return found


def write_proof(
    folder: Path,
    model: Any,
    before: Frozen,
    inspection: Inspection,
    plan: Plan,
    metrics: Metrics,
    start: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Computes the proof and writes `proof.json`; what should not be goes into the metrics as well.

    Args:
        folder: the job's.
        model: trained, with its adapter on.
        before: from `hash_before`.
        inspection: of the model, with the person's labels.
        plan: what was to be trained.
        metrics: of the job.
        start: what `remember_start` has kept.
    """
    made = prove(model, before, inspection, plan, start)
    with taking_the_place_of(folder / PROOF) as staged:
        staged.write_text(json.dumps(made, allow_nan=False, ensure_ascii=False))
    if not made["frozen"]["same"]:
        remedy = "Do not publish the adapter alone: it was trained on weights that nobody else has. Train it again"
        metrics.add("diagnosis", title="Frozen weights have changed", text=made["words"], remedy=remedy)
    return made


def prove(
    model: Any, before: Frozen, inspection: Inspection, plan: Plan, start: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The proof as it is written; see `core.job_files`. Numbers that are none, after a loss of NaN, are null."""
    after = hash_frozen(model)
    wrong = changed(before, after)
    modules = by_name(inspection)
    made = list(updates(model, start))
    frozen = {
        "tensors": len(before.digests),
        "bytes": before.size,
        "before": before.digest,
        "after": after.digest,
        "same": not wrong,
        "count_changed": len(wrong),
        "changed": wrong[:NAMED],
    }
    entries = [_entry(each, _label(each.name, modules)) for each in made]
    components = _components(model, modules, plan, made)
    words = _words(components, frozen)
    return {"frozen": frozen, "modules": entries, "components": components, "words": words}


def _entry(each: Update, label: Module | None) -> dict[str, Any]:
    """One trained module."""
    return {
        "name": each.name,
        "component": label.component if label else "other",
        "role": label.role if label else "other",
        "layer": label.layer if label else None,
        **_norms(each.update, each.weight),
        "used": None if each.used is None else _number(each.used),
    }


def _norms(update: float, weight: float) -> dict[str, float | None]:
    ratio = update / weight if weight else (0.0 if update == 0 else math.inf)
    return {"update": _number(update), "weight": _number(weight), "ratio": _number(ratio)}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _label(name: str, modules: Mapping[str, Module]) -> Module | None:
    """What the inspection says of a module, or of the nearest one that it lies in."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return modules.get(name)


def _components(
    model: Any, modules: Mapping[str, Module], plan: Plan, made: Sequence[Update]
) -> dict[str, dict[str, Any]]:
    """Each component that the model has, trained or not; the norms are over all its weights."""
    chosen = {part for name in _planned(plan) if (label := _label(name, modules)) for part in [label.component]}
    moved: dict[str, float] = defaultdict(float)
    weight: dict[str, float] = defaultdict(float)
    trained: dict[str, int] = defaultdict(int)
    for each in made:
        component = _component(each.name, modules)
        moved[component] += each.update**2
        weight[component] += each.weight**2
        trained[component] += 1
    for component, square in _rest(model, modules, {name for each in made for name in each.covers}):
        weight[component] += square
    count: dict[str, int] = defaultdict(int)
    for module in modules.values():
        count[module.component] += 1
    return {
        component: {
            "chosen": component in chosen,
            **_norms(math.sqrt(moved[component]), math.sqrt(weight[component])),
            "modules": count[component],
            "trained": trained[component],
        }
        for component in COMPONENTS
        if count[component] or trained[component]
    }


def _planned(plan: Plan) -> Iterable[str]:
    return (*plan.target_modules, *plan.target_parameters, *plan.full_modules)


def _component(name: str, modules: Mapping[str, Module]) -> Component:
    label = _label(name, modules)
    return label.component if label else "other"


def _rest(model: Any, modules: Mapping[str, Module], covered: set[str]) -> Iterable[tuple[Component, float]]:
    """Component and squares of each parameter that no adapter sits on, tied ones once."""
    seen: set[int] = set()
    for path, module in model.named_modules():
        for key, value in () if is_added(path) else module.named_parameters(recurse=False):
            name = original_name(f"{path}.{key}")
            if name in covered or id(value) in seen or is_added(key):
                continue
            seen.add(id(value))
            yield _component(name, modules), squares(dense_weight(module, key))


def _words(components: Mapping[str, Mapping[str, Any]], frozen: Mapping[str, Any]) -> str:
    """The proof in a sentence or two."""
    moved = {SAID.get(name, name): each["ratio"] for name, each in components.items() if each["update"] != 0}
    idle = [SAID.get(name, name) for name, each in components.items() if each["chosen"] and each["update"] == 0]
    still = [SAID.get(name, name) for name, each in components.items() if not each["chosen"] and each["update"] == 0]
    parts = []
    if moved:
        shares = _listed([_percent(ratio) for ratio in moved.values()])
        whose = "their" if len(moved) > 1 else "its"
        parts.append(f"{_listed(list(moved))} changed (by {shares} of {whose} weights' norm)")
    if still:
        parts.append(f"{_listed(still)} did not")
    first = "; ".join(parts) if moved else "nothing changed"
    if idle:
        first += f". {_begin(_listed(idle))} was to learn and did not change" if moved else ", though it was to learn"
    whole = f"{frozen['tensors']:,} frozen tensors, {_size(frozen['bytes'])}"
    if frozen["same"]:
        return f"{_begin(first)}: {whole}, are bit-identical to what they were before."
    names = ", ".join(f"“{name}”" for name in frozen["changed"][:3])
    loud = f"Warning: {frozen['count_changed']:,} of {whole}, are not what they were before the training: {names}."
    return f"{loud} {_begin(first)}."


def _percent(ratio: float | None) -> str:
    return "an amount that is no number" if ratio is None else f"{100 * ratio:.2g}%"


def _listed(names: Sequence[str]) -> str:
    """Names in a row, with "and" before the last."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _begin(text: str) -> str:
    return text[:1].upper() + text[1:]


def _size(count: int) -> str:
    """Bytes as people say them."""
    for unit, each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= each:
            return f"{count / each:.3g} {unit}"
    return f"{count} bytes"
