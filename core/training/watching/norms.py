"""How large gradients, weights and updates are, for each component: L2 norms over its trained tensors.

The gradient's is measured in every step, before clipping. Weights and updates take longer; how often they are measured
follows from what it costs, so that it stays about a hundredth of the time: in every step where steps take long.
What it does not do: judge the figures (see `health`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from core.spec import COMPONENTS, Component
from core.training.watching.parts import Part, flat, size_of
from core.training.watching.seldom import Seldom

ASIDE = 256 * 2**20
"""Bytes of trained tensors up to which they are copied where they lie; more go to the machine's memory, one by one."""


class Norms:
    """Norms of one job.

    Args:
        parts: what is trained.
        clock: seconds that only grow.
    """

    def __init__(self, parts: Sequence[Part], clock: Callable[[], float] = time.perf_counter) -> None:
        self._parts, self._parameters = parts, [part.parameter for part in parts]
        self._sizes = [parameter.numel() for parameter in self._parameters]
        self._members = {
            component: places
            for component in COMPONENTS
            if (places := [place for place, part in enumerate(parts) if part.component == component])
        }
        self._aside = size_of(parts) > ASIDE
        self._seldom = Seldom(clock)
        self._before: torch.Tensor | list[torch.Tensor] | None = None
        self._found: dict[str, torch.Tensor] = {}
        """Norm of each tensor, [N]; read when the step is over, so that a GPU is not waited for in its middle."""

    def gradients(self) -> None:
        """Every gradient of the step is there, unclipped."""
        self._found = {"grad": _gradient_norms(self._parameters)}

    def before_step(self) -> None:
        """The optimizer is about to step."""
        if self._seldom.due():
            with self._seldom.taking():
                self._before = _copies(self._parameters) if self._aside else flat(self._parts)

    def after_step(self) -> None:
        """The optimizer has stepped; nothing else has changed the tensors."""
        if self._before is None:
            return
        with self._seldom.taking(), torch.no_grad():
            if isinstance(self._before, list):
                self._found["weight"] = _norms(self._parameters)
                self._found["update"] = _distances(self._parameters, self._before)
            else:
                now = flat(self._parts)
                self._found["weight"] = _norms(now.split(self._sizes))
                self._found["update"] = _norms(now.sub_(self._before).split(self._sizes))
            self._before = None

    def read(self) -> dict[str, list[float]]:
        """What was measured in this step, once: a norm for each tensor, under `grad`, `weight` and `update`."""
        found, self._found = self._found, {}
        return {name: values.tolist() for name, values in found.items()}

    def by_component(self, values: Sequence[float]) -> dict[Component, float]:
        """Norms of tensors as those of their components."""
        return {name: rounded(joined(values[place] for place in places)) for name, places in self._members.items()}


def joined(norms: Iterable[float]) -> float:
    """The norm of several tensors taken as one.

    >>> joined([3.0, 4.0])
    5.0
    """
    return math.sqrt(sum(norm * norm for norm in norms))


def rounded(value: float) -> float:
    """Seven digits, all that 32-bit floats have.

    >>> rounded(0.12345678901)
    0.1234568
    """
    return float(f"{value:.7g}")


def _gradient_norms(parameters: Sequence[torch.nn.Parameter]) -> torch.Tensor:
    """[N]; 0 where no gradient came."""
    reached = [place for place, parameter in enumerate(parameters) if parameter.grad is not None]
    found = _norms([parameters[place].grad for place in reached])
    if len(reached) == len(parameters):
        return found
    every = torch.zeros(len(parameters), device=found.device)
    every[reached] = found
    return every


def _norms(tensors: Sequence[Any]) -> torch.Tensor:
    """L2 norm of each tensor, [N]."""
    if not tensors:
        return torch.zeros(0)
    return torch.stack(torch._foreach_norm(list(tensors)))


def _copies(parameters: Sequence[torch.nn.Parameter]) -> list[torch.Tensor]:
    """The tensors as they are now, in the machine's memory."""
    return [parameter.detach().to("cpu", copy=True) for parameter in parameters]


def _distances(parameters: Sequence[torch.nn.Parameter], before: Sequence[torch.Tensor]) -> torch.Tensor:
    """How far each tensor has moved, [N]; one after the other, so that a single difference is held at a time."""
    moved = [
        torch.linalg.vector_norm(parameter.detach() - old.to(parameter.device))
        for parameter, old in zip(parameters, before, strict=True)
    ]
    return torch.stack(moved) if moved else torch.zeros(0)
