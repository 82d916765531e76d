"""The peak memory of one training step, as named terms, before anything is loaded.

The real step of the real class runs without data (see `dry_run`); what it holds is measured, not looked up. Weights,
gradients and the optimizer's states follow from shapes.
What it does not do: say whether a card has that much (see `verdict`).
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass

from core.errors import InspectionError
from core.memory.dry_run.pretend import OutOfTime
from core.memory.dry_run.simulation import Simulation, simulate
from core.memory.optimizers import state_bytes, step_bytes
from core.memory.workload import Workload
from core.models.inspection import config_hash
from core.models.source import Resolved, resolve
from core.spec import Inspection, Plan, Source

CUDA_CONTEXT = 700 * 2**20
"""Bytes, an assumption: what CUDA, its kernels and cuBLAS' workspaces take of a card before the first tensor. On the
one card that was measured, an H100, it was 686 MiB."""
CPU_PROCESS = 600 * 2**20
"""Bytes, an assumption: what Python takes with its libraries loaded, before the first tensor."""
CUDA_RESERVE = 0.05
"""Share, an assumption: what CUDA's allocator holds beyond the tensors that come and go, by fragmentation. With it the
estimates were 2 to 8% below what that card gave away (`assets/docs/memory.md`)."""
KEPT = 256
"""Simulations that are remembered."""

_remembered: OrderedDict[tuple[str, str, Plan, Workload], Simulation | InspectionError] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Term:
    """One part of the peak."""

    name: str
    bytes: int
    why: str


@dataclass(frozen=True)
class Memory:
    """The peak of a training step on its device."""

    terms: tuple[Term, ...]
    """They add up to `peak_bytes`."""
    peak_bytes: int
    guesses: int
    """Assumptions that only a processor or a value could confirm; 0 for most models."""
    how: str
    """How the figure was come by, with the guesses, in words."""
    when: str
    """At which moment of the step the peak is."""
    image_tokens: int
    """Of one row."""

    def term(self, name: str) -> int:
        """Bytes of one term; 0 where there is none of this name."""
        return sum(term.bytes for term in self.terms if term.name == name)


def estimate(model: Resolved | Inspection | Source, plan: Plan, work: Workload, every_layer: bool = False) -> Memory:
    """The peak of one training step.

    Args:
        model: its config lies on this machine already.
        plan: what is trained.
        work: batch, pictures, tokens, precision and the rest.
        every_layer: runs all layers instead of a few of each kind: to confirm a figure in the background.

    Raises:
        InspectionError: there is no estimate for this model, and why.
        SourceNotFound, SourceRefused: see `resolve`.
    """
    return combined(simulated(_resolved(model), plan, work, every_layer), work)


def combined(step: Simulation, work: Workload) -> Memory:
    """The terms at the largest moment of a step."""
    moment, when = _largest(step, work)
    cuda = work.device == "cuda"
    terms = [
        Term("weights", step.weight_bytes[work.quantization], _weights_why(work)),
        Term("adapter", moment["adapter"], "what is trained, in fp32"),
        Term("gradients", moment["gradient"], "of what is trained, as far as they are there at the peak"),
        Term("optimizer", moment["optimizer"], _OPTIMIZER_WHY[work.optimizer]),
        Term("vision activations", moment["vision"], _vision_why(step, work)),
        Term("language activations", moment["language"], _language_why(step, work)),
        Term("logits", moment["logits"], _logits_why(work)),
        Term("workspace", moment["workspace"], "what one operation needs for a moment"),
    ]
    if cuda:
        passing = sum(moment[part] for part in ("gradient", "vision", "language", "logits", "workspace"))
        reserve = f"assumed: {CUDA_RESERVE:.0%} of what comes and goes, lost between blocks of the allocator"
        terms += [
            Term("CUDA context", CUDA_CONTEXT, "assumed: the driver, kernels and cuBLAS' workspaces"),
            Term("allocator reserve", int(CUDA_RESERVE * passing), reserve),
        ]
    else:
        terms.append(Term("Python and its libraries", CPU_PROCESS, "assumed: before the first tensor"))
    return Memory(
        terms=tuple(terms),
        peak_bytes=sum(term.bytes for term in terms),
        guesses=len(step.guesses),
        how=_how(step),
        when=when,
        image_tokens=step.image_tokens,
    )


def constant_bytes(step: Simulation, work: Workload, same_adapter: bool = True) -> int:
    """What is there all the time, with this workload's packing and optimizer: less than the peak of any such step.

    The adapter's precision is left out of account, so that this is never too much; all of it is for another adapter.
    """
    trained = sum(part.numbers * part.times for part in step.trained) if same_adapter else 0
    device = CUDA_CONTEXT if work.device == "cuda" else CPU_PROCESS
    return step.weight_bytes[work.quantization] + 2 * trained + device


def simulated(resolved: Resolved, plan: Plan, work: Workload, every_layer: bool = False) -> Simulation:
    """The simulation, remembered: the same question is answered once, and refused once.

    Raises:
        InspectionError: see `simulate`.
    """
    asked = work.but(optimizer="adamw", accumulation=min(2, work.accumulation))
    key = (config_hash(resolved.config_bytes), str(resolved.folder), plan, asked)
    with _lock:
        made = None if every_layer else _remembered.get(key)
        if made is not None:
            _remembered.move_to_end(key)
    if made is None:
        made = _answer(resolved, plan, asked, every_layer)
        with _lock:
            _remembered[key] = made
            while len(_remembered) > KEPT:
                _remembered.popitem(last=False)
    if isinstance(made, InspectionError):
        raise _refusal(made)
    return made


def _answer(resolved: Resolved, plan: Plan, work: Workload, every_layer: bool) -> Simulation | InspectionError:
    """Raises InspectionError where it took too long: it may not the next time."""
    try:
        return simulate(resolved, plan, work, every_layer)
    except InspectionError as error:
        if isinstance(error.__cause__, OutOfTime):
            raise
        return _refusal(error)


def _refusal(error: InspectionError) -> InspectionError:
    """The same words without the tensors that an exception that was raised holds on to."""
    return InspectionError(error.asked, error.reason, error.remedy)


def _resolved(model: Resolved | Inspection | Source) -> Resolved:
    if isinstance(model, Resolved):
        return model
    return resolve(model.source if isinstance(model, Inspection) else model, offline=True)


def _largest(step: Simulation, work: Workload) -> tuple[Counter[str], str]:
    """Bytes by part at the peak, and when it is."""
    all_gradients = sum(part.nbytes for part in step.trained)
    stepping = Counter(gradient=all_gradients, workspace=step_bytes(step.trained, work.optimizer, work.device))
    between = {"gradient": all_gradients} if work.accumulation > 1 else {}
    moments = [(Counter({**moment.parts, **between}), moment.when) for moment in step.moments]
    moments.append((stepping, "while the optimizer steps"))
    parts, when = max(moments, key=lambda moment: sum(moment[0].values()))
    always = Counter(adapter=all_gradients, optimizer=state_bytes(step.trained, work.optimizer))
    return parts + always, when


def _packed(work: Workload) -> bool:
    return work.quantization != "none"


def _weights_why(work: Workload) -> str:
    if not _packed(work):
        return f"every parameter of the model in {work.precision}"
    kind = "8-bit" if work.quantization == "8bit" else "4-bit (nf4, double quantization)"
    parts = "" if work.quantize_vision else ", the vision side left whole"
    return f"Linears in {kind}{parts}; embeddings, head, norms and convolutions in {work.precision}"


_OPTIMIZER_WHY = {
    "adamw": "two numbers for each trained one",
    "adamw_8bit": "two numbers of 8 bits for each trained one, with scales",
    "paged_adamw": "moved to the machine's memory when the card is full",
    "paged_adamw_8bit": "8 bits each, moved to the machine's memory when the card is full",
    "sgd": "keeps nothing",
}


def _logits_why(work: Workload) -> str:
    return f"for {work.supervised_tokens:,} supervised positions a row" if work.answers_only else "for every position"


def _vision_why(step: Simulation, work: Workload) -> str:
    pictures = work.batch * work.images
    height, width = work.image_size
    return f"{pictures:,} pictures of {width:,} x {height:,} pixels, given as {step.layout}, and what is kept of them"


def _language_why(step: Simulation, work: Workload) -> str:
    tokens = step.image_tokens + work.text_tokens
    again = ", layers computed again going back" if work.checkpointing else ""
    return f"{work.batch:,} rows of {tokens:,} tokens, {step.image_tokens:,} of them for pictures{again}"


def _how(step: Simulation) -> str:
    ran = "all" if step.seen == step.layers else f"{step.seen:,} of"
    way = f"The real training step was run without data through {ran} {step.layers:,} layers"
    rest = "" if step.seen == step.layers else "; the others follow from their like"
    if not step.guesses:
        return f"{way}{rest}. Nothing was guessed."
    return f"{way}{rest}. Guessed: {'; '.join(step.guesses)}."
