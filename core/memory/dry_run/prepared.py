"""A model that is ready to run without data: adapter on, fake tensors in, only a few layers of each kind awake.

Making one takes as long as running a small step, so the last ones are kept for the next question about the same model
and plan: a verdict asks many.
What it does not do: run a step (see `simulation`).
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from core.memory.dry_run.adapter import put_on, restricted
from core.memory.dry_run.pretend import put_fakes
from core.memory.dry_run.refusals import not_run, refuse_without_words
from core.memory.dry_run.repeats import Stack, find_stacks, refined
from core.memory.optimizers import Trained
from core.memory.weights import pretend_packed, quantizable, stored_bytes
from core.memory.workload import Workload
from core.models.build import build_on_meta
from core.models.inspection import config_hash
from core.models.labels.components import component_labels
from core.models.source import Resolved
from core.spec import Plan, Quantization

SEEING = ("vision", "projector", "audio")
KINDS: tuple[Quantization, ...] = ("none", "8bit", "4bit")
KEPT = 2
"""Models that are kept; each is some thousand Python objects without data."""

_kept: OrderedDict[Any, Prepared] = OrderedDict()
_lock = threading.Lock()


@dataclass
class Way:
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

    @property
    def key(self) -> Any:
        """Equal for ways that wake the same layers."""
        graded = tuple((name, tuple(layers.items())) for name, layers in sorted(self.graded.items()))
        return tuple(sorted(self.whole)), graded


class Prepared:
    """A model with some stacks run whole.

    Raises:
        InspectionError: the model cannot be built, or writes no text.
    """

    def __init__(self, resolved: Resolved, plan: Plan, work: Workload, way: Way) -> None:
        model = build_on_meta(resolved)
        refuse_without_words(resolved, model)
        if work.attention == "eager":  # scores are stored; a model without another kind keeps its own
            model.set_attn_implementation("eager")
        self._resolved, self.base = resolved, model
        self.dtype = torch.bfloat16 if work.precision == "bf16" else torch.float32
        labels = component_labels(model)
        self.vision = _outermost(model, {name for name, label in labels.items() if label.component in SEEING})
        whole_names = (*plan.full_modules, *(() if work.quantize_vision else self.vision))
        self.weights = {kind: stored_bytes(model, self.dtype, kind, whole_names) for kind in KINDS}
        stacks = find_stacks(model, (*plan.target_modules, *plan.target_parameters, *plan.full_modules))
        self.stacks = [refined(stack, way.graded.get(stack.name, {})) for stack in stacks]
        self.kept = {stack.name: way.kept(stack) for stack in self.stacks}
        self.head = model.get_output_embeddings()
        left_out = self._left_out()
        packed = quantizable(model, whole_names).items()
        self._packed = tuple(module for name, module in packed if not name.startswith(left_out))
        self.model = put_on(model, restricted(plan, lambda name: not f"{name}.".startswith(left_out)))
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        put_fakes(self.model, self.mode, self.dtype, self._asleep())
        self.model.train()
        self.trained = self._trained()
        self.gradients = {
            (stack.name, index): _trained_bytes(stack.layers[index])
            for stack in self.stacks
            for index in self.kept[stack.name]
        }
        """Bytes of the trained parameters of every layer that runs, by stack and layer."""

    def _left_out(self) -> tuple[str, ...]:
        """Names of layers that do not run, each with a dot."""
        return tuple(
            f"{stack.name}.{index}."
            for stack in self.stacks
            for index in range(len(stack.layers))
            if index not in self.kept[stack.name]
        )

    def _asleep(self) -> frozenset[int]:
        """Ids of all modules in layers that do not run."""
        return frozenset(
            id(module)
            for stack in self.stacks
            for index, layer in enumerate(stack.layers)
            if index not in self.kept[stack.name]
            for module in layer.modules()
        )

    def _trained(self) -> tuple[Trained, ...]:
        """What is trained in the whole model: a layer that was left out trains what its reference does."""
        times: Counter[int] = Counter()
        for stack in self.stacks:
            for index in range(len(stack.layers)):
                if index not in self.kept[stack.name]:
                    times[id(stack.layers[stack.reference(index)])] += 1
        found = [Trained(p.numel(), p.itemsize) for p in self.model.parameters() if p.requires_grad]
        for stack in self.stacks:
            for layer in stack.layers:
                if more := times[id(layer)]:
                    own = (p for p in layer.parameters() if p.requires_grad)
                    found.extend(Trained(p.numel(), p.itemsize, more) for p in own)
        return tuple(found)

    @contextmanager
    def set_up(self, work: Workload) -> Iterator[Any]:
        """The PEFT model with weights packed and layers computed again as the workload says; all is undone after.

        Raises:
            InspectionError: it cannot compute layers again.
        """
        before = [_State(module) for module in self.model.modules()]
        if work.quantization != "none":
            pretend_packed(self._packed, work.quantization, self.dtype)
        if work.checkpointing:
            try:
                self.base.activation_checkpointing_enable({"use_reentrant": False})
            except ValueError as error:
                raise not_run(self._resolved, str(error)) from error
            self.base.disable_input_require_grads()  # see `core.training.levers.frozen`
        try:
            yield self.model
        finally:
            self.model.zero_grad(set_to_none=True)
            for state in before:
                state.restore()


@contextmanager
def prepared(resolved: Resolved, plan: Plan, work: Workload, way: Way) -> Iterator[Prepared]:
    """A model for one step; while it runs nobody else has it, and one that raised is not used again.

    Raises:
        InspectionError: see `Prepared`.
    """
    key = (config_hash(resolved.config_bytes), plan, work.precision, work.attention, work.quantize_vision, way.key)
    with _lock:
        ready = None if way.every_layer else _kept.pop(key, None)
    made = ready or Prepared(resolved, plan, work, way)
    yield made
    if way.every_layer:
        return
    with _lock:
        _kept[key] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)


class _State:
    """All attributes of a module, with its hooks and buffers."""

    def __init__(self, module: Any) -> None:
        self._now: dict[str, Any] = vars(module)
        self._before = dict(self._now)
        self._dicts = [(value, dict(value)) for value in self._before.values() if isinstance(value, dict)]

    def restore(self) -> None:
        """Takes back what a step has left on the module, such as what it remembers of its last input."""
        self._now.clear()
        self._now.update(self._before)
        for value, before in self._dicts:
            if value or before:
                value.clear()
                value.update(before)


def _trained_bytes(layer: Any) -> int:
    return sum(parameter.nbytes for parameter in layer.parameters() if parameter.requires_grad)


def _outermost(model: Any, names: set[str]) -> list[str]:
    """Of these modules those that lie in none of the others."""
    inside: list[str] = []
    for name, _ in model.named_modules():
        if name in names and not any(name.startswith(f"{outer}.") for outer in inside):
            inside.append(name)
    return inside
