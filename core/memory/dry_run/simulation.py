"""Runs the real step of the real class without data: on fake tensors, with a few layers of each kind or with all.

What it does not do: add up terms (see `estimate`).
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from core.memory.dry_run.extrapolation import NotAlike, Peak
from core.memory.dry_run.extrapolation import whole as whole_model
from core.memory.dry_run.inputs import Batch, BatchMaker, Known, NoLayout
from core.memory.dry_run.layouts import Layout
from core.memory.dry_run.ledger import Ledger, Place
from core.memory.dry_run.prepared import Prepared, Way, prepared
from core.memory.dry_run.pretend import OutOfTime, Pretence
from core.memory.dry_run.processing import Columns, of_one_row, processed
from core.memory.dry_run.refusals import not_run, refuse_unequal_widths, too_slow
from core.memory.dry_run.repeats import NotRepeatable
from core.memory.dry_run.step import Observer, run_step
from core.memory.optimizers import Trained
from core.memory.workload import Workload
from core.models.build import MAX_LAYERS
from core.models.source import Resolved
from core.spec import Plan, Quantization

ALLOCATION = 512
"""Bytes: CUDA's caching allocator rounds every tensor up to a multiple (`kMinBlockSize` in torch)."""

SECONDS = 30.0
"""For a few layers of each kind, which usually take one or two: as long as a person may wait for a figure."""
SECONDS_EVERY_LAYER = 600.0
"""For all layers, which nobody waits for."""

MAX_KNOWN = 1000
_known: dict[Any, Known] = {}
"""What models accept, by config, folder, size and number of pictures."""
_ways: dict[Any, Way] = {}
"""How models can be run, as far as that has been learned."""


@dataclass(frozen=True)
class Simulation:
    """What the step of a whole model takes beside its weights and the optimizer."""

    moments: tuple[Peak, ...]
    """Every maximum of the step."""
    weight_bytes: dict[Quantization, int]
    """Of the weights as they are, and as they would be in every other packing."""
    trained: tuple[Trained, ...]
    """What is trained, in the whole model."""
    image_tokens: int
    """Of one row."""
    layout: str
    guesses: tuple[str, ...]
    """What was assumed, in words."""
    seen: int
    """Layers that ran, of `layers`."""
    layers: int


def simulate(resolved: Resolved, plan: Plan, work: Workload, every_layer: bool = False) -> Simulation:
    """The step of this model, plan and workload.

    Args:
        resolved: of the model.
        plan: what is trained.
        work: the step.
        every_layer: runs the whole model instead of a few layers of each kind; takes up to a minute.

    Raises:
        InspectionError: the model cannot be built, takes its inputs in no form that is known here, or takes too long.
    """
    seconds = SECONDS_EVERY_LAYER if every_layer else SECONDS
    way = _way(resolved, plan, work, every_layer, time.monotonic() + seconds)
    while True:
        try:
            with _quiet(), _uncollected(), prepared(resolved, plan, work, way) as ready:
                return _Run(resolved, ready, work, way).result()
        except OutOfTime as error:
            raise too_slow(resolved, seconds) from error
        except NotRepeatable as error:
            way.whole.add(error.stack.name)
        except NotAlike as error:
            way.whole.update(way.graded.keys() & error.graded.keys())  # known before, and still not alike
            way.graded.update(error.graded)


def _way(resolved: Resolved, plan: Plan, work: Workload, every_layer: bool, until: float) -> Way:
    """A way that goes on learning from where the last one for such a step has ended."""
    if every_layer:
        return Way(True, until)
    key = (resolved.config_bytes, plan, work.checkpointing, work.quantization != "none")
    if len(_ways) > MAX_KNOWN:
        _ways.clear()
    known = _ways.setdefault(key, Way(False, until))
    _ways[key] = way = Way(False, until, known.whole, known.graded)
    return way


class _Run:
    """One attempt, with some stacks run whole."""

    def __init__(self, resolved: Resolved, ready: Prepared, work: Workload, way: Way) -> None:
        self._resolved, self._ready, self._work, self._way = resolved, ready, work, way

    def result(self) -> Simulation:
        """Raises NotRepeatable where a stack has to be run whole, and InspectionError."""
        ready = self._ready
        with ready.set_up(self._work) as model:
            pretence = Pretence(ready.mode, self._way.until)
            columns = of_one_row(self._resolved.folder, self._work.image_size, self._work.images)
            with ready.mode:
                batch = self._batch(model, columns)
                ledger = Ledger(pretence.run, ALLOCATION if self._work.device == "cuda" else 1)
                observer = self._observer(ledger, ready.head, ready.kept)
                ledger.ignore((*model.parameters(), *model.buffers()))
                _count_inputs(ledger, batch)
                if self._work.accumulation > 1:
                    _add_gradients(model, ledger)
                trace = self._ran(model, batch, observer)
        return Simulation(
            moments=tuple(whole_model(trace, ready.stacks, ready.gradients)),
            weight_bytes=ready.weights,
            trained=ready.trained,
            image_tokens=batch.image_tokens,
            layout=batch.layout.name,
            guesses=(*batch.layout.guesses, *_counted(pretence.guesses)),
            seen=sum(len(kept) for kept in ready.kept.values()),
            layers=sum(len(stack.layers) for stack in ready.stacks),
        )

    def _observer(self, ledger: Ledger, head: Any, kept: dict[str, frozenset[int]]) -> Observer:
        ready = self._ready
        vision = [ready.base.get_submodule(name) for name in ready.vision]
        return Observer(ledger, ready.stacks, kept, vision, head)

    def _batch(self, model: Any, columns: Columns) -> Batch:
        """Raises NotRepeatable and InspectionError. A first layer of each stack is enough to see what is accepted."""
        mode = self._ready.mode

        def attempt(call: Callable[[], Any]) -> Any:
            aside = Ledger(Pretence(mode, self._way.until).run)
            observer = self._observer(aside, None, {name: kept & first for name, kept in self._ready.kept.items()})
            cast = torch.autocast("cpu", dtype=torch.bfloat16) if self._mixed else nullcontext()
            try:
                with torch.no_grad(), aside, cast:
                    return call()
            finally:
                observer.close()

        first = frozenset([0]) if not self._way.whole and not self._way.every_layer else frozenset(range(MAX_LAYERS))
        key = (self._resolved.config_bytes, self._resolved.folder, self._work.image_size, self._work.images)

        def made(names: frozenset[str]) -> Layout | None:
            return processed(columns, names, self._work.batch)

        try:
            with Ledger(Pretence(mode, self._way.until).run):
                batch = BatchMaker(model, self._work, attempt, made).make(_known.get(key))
        except NoLayout as error:
            raise not_run(self._resolved, str(error)) from error
        if len(_known) > MAX_KNOWN:
            _known.clear()
        _known[key] = Known(batch.choice, batch.image_tokens, batch.width)
        return batch

    def _ran(self, model: Any, batch: Batch, observer: Observer) -> Any:
        """Raises NotRepeatable and InspectionError."""
        try:
            return run_step(model, batch.inputs, observer, self._mixed, everywhere=not self._work.answers_only)
        except (NotRepeatable, OutOfTime):
            raise
        except Exception as error:  # a model that cannot be run without data
            embeddings = self._ready.base.get_input_embeddings()
            refuse_unequal_widths(self._resolved, batch.width, getattr(embeddings, "embedding_dim", None))
            raise not_run(self._resolved, f"{type(error).__name__}: {error}") from error
        finally:
            observer.close()

    @property
    def _mixed(self) -> bool:
        return self._work.precision == "bf16"


@contextmanager
def _quiet() -> Iterator[None]:
    """No words in the log of torch for a form of pictures that a model does not accept; it is one of several tried."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looking for cycles of garbage: it would take a third of the time, and free tensors at odd moments."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _count_inputs(ledger: Ledger, batch: Batch) -> None:
    """The batch lies on the device during the whole step."""
    for name, value in batch.inputs.items():
        ledger.place = Place(0, "vision" if name in batch.layout.inputs else "language")
        ledger.add(value)
    ledger.place = Place(0, "language")


def _add_gradients(model: Any, ledger: Ledger) -> None:
    """Gradients of the batches before this one, of which `extrapolation` knows nothing."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.empty_like(parameter)
            ledger.ignore((parameter.grad,))


def _counted(guesses: int) -> tuple[str, ...]:
    if not guesses:
        return ()
    times = "once" if guesses == 1 else f"{guesses} times"
    return (f"the model asked {times} for a value that depends on weights or pixels; the answer was yes",)
