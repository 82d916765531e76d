"""Runs the real step of the real class without data: on fake tensors, with a few layers of each kind or with all.

What it does not do: add up terms (see `estimate`).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from core.memory.adapter import put_on, restricted
from core.memory.extrapolation import NotAlike, Peak
from core.memory.extrapolation import whole as whole_model
from core.memory.inputs import Batch, BatchMaker, Known, NoLayout
from core.memory.layouts import Layout
from core.memory.ledger import Ledger, Place
from core.memory.optimizers import Trained
from core.memory.pretend import OutOfTime, Pretence, put_fakes
from core.memory.processing import Columns, of_one_row, processed
from core.memory.refusals import not_run, refuse_unequal_widths, refuse_without_words, too_slow
from core.memory.repeats import NotRepeatable, Stack, find_stacks, refined
from core.memory.step import Observer, run_step
from core.memory.weights import pretend_packed, quantizable, stored_bytes
from core.memory.workload import Workload
from core.models.build import MAX_LAYERS, build_on_meta
from core.models.components import component_labels
from core.models.source import Resolved
from core.spec import Plan, Quantization

SEEING = ("vision", "projector", "audio")
ALLOCATION = 512
"""Bytes: CUDA's caching allocator rounds every tensor up to a multiple (`kMinBlockSize` in torch)."""

SECONDS = 30.0
"""For a few layers of each kind, which usually take one or two: as long as a person may wait for a figure."""
SECONDS_EVERY_LAYER = 600.0
"""For all layers, which nobody waits for."""

MAX_KNOWN = 1000
_known: dict[tuple[bytes, tuple[int, int], int], Known] = {}
"""What models accept, by config, size and number of pictures."""


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
    way = _Way(every_layer, until=time.monotonic() + seconds)
    while True:
        try:
            with _quiet():
                return _Run(resolved, plan, work, way).result()
        except OutOfTime as error:
            raise too_slow(resolved, seconds) from error
        except NotRepeatable as error:
            way.whole.add(error.stack.name)
        except NotAlike as error:
            way.whole.update(way.graded.keys() & error.graded.keys())  # known before, and still not alike
            way.graded.update(error.graded)


@dataclass
class _Way:
    """What earlier attempts have taught about running this model."""

    every_layer: bool
    until: float
    """`time.monotonic()` at which the last attempt is given up."""
    whole: set[str] = field(default_factory=set)
    """Stacks that cannot leave a layer out."""
    graded: dict[str, dict[int, bool]] = field(default_factory=dict)
    """Of stacks in which the kinds did not tell it: whether gradients go back through a layer."""

    def kept(self, stack: Stack) -> frozenset[int]:
        """The layers of a stack that run."""
        if self.every_layer or stack.name in self.whole:
            return frozenset(range(len(stack.layers)))
        return stack.kept()


class _Run:
    """One attempt, with some stacks run whole."""

    def __init__(self, resolved: Resolved, plan: Plan, work: Workload, way: _Way) -> None:
        self._resolved, self._plan, self._work, self._way = resolved, plan, work, way
        model = build_on_meta(resolved)
        refuse_without_words(resolved, model)
        _choose_attention(model, work.attention)
        self._dtype = torch.bfloat16 if work.precision == "bf16" else torch.float32
        labels = component_labels(model)
        self._vision = _outermost(model, {name for name, label in labels.items() if label.component in SEEING})
        self._whole_names = (*plan.full_modules, *(() if work.quantize_vision else self._vision))
        kinds: tuple[Quantization, ...] = ("none", "8bit", "4bit")
        self._weights = {kind: stored_bytes(model, self._dtype, kind, self._whole_names) for kind in kinds}
        stacks = find_stacks(model, (*plan.target_modules, *plan.target_parameters, *plan.full_modules))
        self._stacks = [refined(stack, way.graded.get(stack.name, {})) for stack in stacks]
        self._kept = {stack.name: way.kept(stack) for stack in self._stacks}
        self._model = model

    def result(self) -> Simulation:
        """Raises NotRepeatable where a stack has to be run whole, and InspectionError."""
        model, head = self._wrapped(), self._model.get_output_embeddings()
        mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._put_fakes(model, mode)
        model.train()
        pretence = Pretence(mode, self._way.until)
        columns = of_one_row(self._resolved.folder, self._work.image_size, self._work.images)
        with mode:
            batch = self._batch(model, mode, columns)
            ledger = Ledger(pretence.run, ALLOCATION if self._work.device == "cuda" else 1)
            observer = self._observer(ledger, head, self._kept)
            ledger.ignore((*model.parameters(), *model.buffers()))
            _count_inputs(ledger, batch)
            if self._work.accumulation > 1:
                _add_gradients(model, ledger)
            trace = self._ran(model, batch, observer)
        layers = sum(len(stack.layers) for stack in self._stacks)
        return Simulation(
            moments=tuple(whole_model(trace, self._stacks, self._gradients())),
            weight_bytes=self._weights,
            trained=self._trained(model),
            image_tokens=batch.image_tokens,
            layout=batch.layout.name,
            guesses=(*batch.layout.guesses, *_counted(pretence.guesses)),
            seen=sum(len(kept) for kept in self._kept.values()),
            layers=layers,
        )

    def _wrapped(self) -> Any:
        """The model with the adapter on the layers that run."""
        left_out = tuple(
            f"{stack.name}.{index}."
            for stack in self._stacks
            for index in range(len(stack.layers))
            if index not in self._kept[stack.name]
        )
        packed = ()
        if self._work.quantization != "none":
            packed = tuple(
                module
                for name, module in quantizable(self._model, self._whole_names).items()
                if not name.startswith(left_out)
            )
        model = put_on(self._model, restricted(self._plan, lambda name: not f"{name}.".startswith(left_out)))
        pretend_packed(packed, self._work.quantization, self._dtype)
        if self._work.checkpointing:
            model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()  # as TRL does
        return model

    def _put_fakes(self, model: Any, mode: FakeTensorMode) -> None:
        skip = {
            id(module)
            for stack in self._stacks
            for index, layer in enumerate(stack.layers)
            if index not in self._kept[stack.name]
            for module in layer.modules()
        }
        put_fakes(model, mode, self._dtype, frozenset(skip))

    def _observer(self, ledger: Ledger, head: Any, kept: dict[str, frozenset[int]]) -> Observer:
        vision = [self._model.get_submodule(name) for name in self._vision]
        return Observer(ledger, self._stacks, kept, vision, head)

    def _batch(self, model: Any, mode: FakeTensorMode, columns: Columns) -> Batch:
        """Raises NotRepeatable and InspectionError. A first layer of each stack is enough to see what is accepted."""

        def attempt(call: Callable[[], Any]) -> Any:
            aside = Ledger(Pretence(mode, self._way.until).run)
            observer = self._observer(aside, None, {name: kept & first for name, kept in self._kept.items()})
            cast = torch.autocast("cpu", dtype=torch.bfloat16) if self._mixed else nullcontext()
            try:
                with torch.no_grad(), aside, cast:
                    return call()
            finally:
                observer.close()

        first = frozenset([0]) if not self._way.whole and not self._way.every_layer else frozenset(range(MAX_LAYERS))
        key = (self._resolved.config_bytes, self._work.image_size, self._work.images)

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
            return run_step(model, batch.inputs, observer, self._mixed)
        except (NotRepeatable, OutOfTime):
            raise
        except Exception as error:  # a model that cannot be run without data
            embeddings = self._model.get_input_embeddings()
            refuse_unequal_widths(self._resolved, batch.width, getattr(embeddings, "embedding_dim", None))
            raise not_run(self._resolved, f"{type(error).__name__}: {error}") from error
        finally:
            observer.close()

    @property
    def _mixed(self) -> bool:
        return self._work.precision == "bf16"

    def _trained(self, model: Any) -> tuple[Trained, ...]:
        """What is trained in the whole model: a layer that was left out trains what its reference does."""
        times: Counter[int] = Counter()
        for stack in self._stacks:
            for index in range(len(stack.layers)):
                if index not in self._kept[stack.name]:
                    times[id(stack.layers[stack.reference(index)])] += 1
        found = [Trained(p.numel(), p.itemsize) for p in model.parameters() if p.requires_grad]
        for stack in self._stacks:
            for layer in stack.layers:
                if more := times[id(layer)]:
                    own = (p for p in layer.parameters() if p.requires_grad)
                    found.extend(Trained(p.numel(), p.itemsize, more) for p in own)
        return tuple(found)

    def _gradients(self) -> dict[tuple[str, int], int]:
        """Bytes of the trained parameters of every layer that ran."""
        return {
            (stack.name, index): sum(
                parameter.nbytes for parameter in stack.layers[index].parameters() if parameter.requires_grad
            )
            for stack in self._stacks
            for index in self._kept[stack.name]
        }


def _choose_attention(model: Any, attention: str) -> None:
    """Scores are stored (eager) or not; a model without the other kind keeps its own."""
    if attention == "eager":
        model.set_attn_implementation("eager")


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


def _outermost(model: Any, names: set[str]) -> list[str]:
    """Of these modules those that lie in none of the others."""
    inside: list[str] = []
    for name, _ in model.named_modules():
        if name in names and not any(name.startswith(f"{outer}.") for outer in inside):
            inside.append(name)
    return inside


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
