"""Memory that ran out, as advice with numbers: what was in use, what to change, and what that would save.

What it does not do: try again by itself, or guess where there is no estimate.
"""

from __future__ import annotations

import gc
import re
import traceback
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import psutil
import torch

from core.errors import OutOfMemory, StudioError
from core.memory.cards import found, machine_bytes
from core.memory.estimate import Term, estimate
from core.memory.verdict import Change, Setup, changes
from core.memory.workload import Workload
from core.models.out_of_memory import is_out_of_memory
from core.models.source import resolve
from core.spec import Spec
from core.training.watching.health import Diagnosis

MOST = 3
"""Changes that are proposed."""
LESS = 0.8
"""Share of the estimate that a change has to come below, where the estimate had said that the step fits."""
_ASKED = re.compile(r"tried to allocate ([\d.]+) ?(bytes|[KMGT]iB)", re.IGNORECASE)
_UNITS = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
WITHOUT_ESTIMATE = (
    "Take fewer rows at a time or a smaller model, switch checkpointing on, or pack the weights to 4 bits"
)


def ran_out(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that memory ran out."""
    step: BaseException | None = error
    while step is not None:
        if is_out_of_memory(step):
            return True
        step = step.__cause__
    return False


def let_go(error: BaseException, model: torch.nn.Module) -> None:
    """Frees what a step that did not fit has left: activations, which the error's frames hold on to, and gradients."""
    step: BaseException | None = error
    while step is not None:
        traceback.clear_frames(step.__traceback__)
        step = step.__cause__ or step.__context__
    model.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_use(error: BaseException, device: str) -> str:
    """What was asked for and what was in use, in a sentence. Ask before `let_go`."""
    asked = _asked(error)
    more = f"{_size(asked)} more were asked for" if asked else "more was asked for"
    if device == "cuda" and torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        used = total - free
        own = torch.cuda.memory_allocated()
        return f"{more} with {_size(used)} of the GPU's {_size(total)} in use, {_size(own)} of it by this job's tensors"
    held = psutil.Process().memory_info().rss
    return f"{more} with {_size(held)} of the machine's {_size(machine_bytes())} in use by this job"


def diagnose(used: str, spec: Spec, work: Workload) -> Diagnosis:
    """What to change, with what it would save.

    Args:
        used: what `in_use` said.
        spec: of the job.
        work: its step.
    """
    title, text = "The memory did not suffice", f"{used[0].upper()}{used[1:]}."
    try:
        model = resolve(spec.model, offline=True)
        setup = Setup(spec.plan, work)
        memory = estimate(model, setup.plan, setup.work)
        card = found()
        card = replace(card, bytes=min(card.bytes, int(LESS * memory.peak_bytes)))
        proposed = list(islice(changes(model, setup, memory, card), MOST))
    except (StudioError, MemoryError):  # no estimate for this model, or no room to make one
        return Diagnosis(title, text, WITHOUT_ESTIMATE)
    text += f" A step was estimated at {_size(memory.peak_bytes)}, most of it {_largest(memory.terms)}."
    remedy = "; or ".join(_words(proposed))
    return Diagnosis(title, text, f"{remedy[0].upper()}{remedy[1:]}" if remedy else WITHOUT_ESTIMATE)


def as_error(diagnosis: Diagnosis) -> OutOfMemory:
    """The sentence for the status."""
    return OutOfMemory("The job was run", f"the memory did not suffice: {diagnosis.text}", diagnosis.remedy)


def _words(proposed: list[Change]) -> Iterator[str]:
    for change in proposed:
        yield f"{change.what}, which saves {_size(change.saves)} ({change.cost})"


def _largest(terms: tuple[Term, ...]) -> str:
    largest = max(terms, key=lambda term: term.bytes)
    return f"{largest.name} ({_size(largest.bytes)})"


def _asked(error: BaseException) -> int | None:
    """Bytes that were asked for, where the library says it."""
    step: BaseException | None = error
    while step is not None:
        if match := _ASKED.search(str(step)):
            return int(float(match[1]) * _UNITS[match[2].lower()])
        step = step.__cause__
    return None


def _size(count: int) -> str:
    """
    >>> _size(3 * 2**30), _size(52 * 2**20)
    ('3.0 GiB', '52 MiB')
    """
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
