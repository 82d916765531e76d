"""What the person chose, how it is adapted, exactly which modules get what, and what that costs."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic.dataclasses import dataclass

from core.errors import PlanError
from core.spec.model import COMPONENTS, ROLES, Component
from core.spec.text import STRICT, plain_number

MAX_RANK = 4096
MAX_ALPHA = 65_536

Method = Literal["lora", "rslora", "dora", "adalora"]
"""LoRA (arXiv:2106.09685), rsLoRA (arXiv:2312.03732), DoRA (arXiv:2402.09353), AdaLoRA (arXiv:2303.10512)."""
Start = Literal["default", "gaussian", "pissa", "olora", "eva"]
"""Where LoRA's matrices begin: PEFT's default (B is zero), a normal distribution, or at the weight's own principal
directions: PiSSA (arXiv:2404.02948), OLoRA (arXiv:2406.01775), EVA (arXiv:2410.07170)."""
CELL_ROLES = (*ROLES, "experts")
"""Roles as the grid has them: fused experts, reached by their parameters' names, stand beside the MLPs."""
LayerRange = tuple[int | None, int | None]
"""From and up to, as in a Python slice over the component's layers: (-8, None) means the last 8."""


@dataclass(frozen=True, config=STRICT)
class Selection:
    """What the person chose: cells of component x role, layer ranges, and single modules in or out."""

    cells: tuple[str, ...] = ()
    """`component.role`, e.g. `vision.attention`; `component.experts` for fused experts."""
    include: tuple[str, ...] = ()
    """Full module names taken in beside the cells, whatever their layer."""
    exclude: tuple[str, ...] = ()
    """Full module names left out of the cells."""
    layers: dict[Component, LayerRange] = field(default_factory=dict)
    """Narrows the cells of a component to some of its layers; what lies outside of its stack is left out with them."""
    full: tuple[str, ...] = ()
    """Components, or full names of modules, that are trained without LoRA: every parameter in them."""
    relabels: dict[str, Component] = field(default_factory=dict)
    """Module name -> the component that the person says it is, with all that lies in it; the innermost decides."""

    def __post_init__(self) -> None:
        for cell in self.cells:
            component, _, role = cell.partition(".")
            if component not in COMPONENTS or role not in CELL_ROLES:
                raise PlanError(
                    f"The target “{cell}” was asked for",
                    "a target is a component and a role joined by a dot",
                    f"Use one of {', '.join(COMPONENTS)} with one of {', '.join(CELL_ROLES)}, such as vision.attention",
                )


@dataclass(frozen=True, config=STRICT)
class Knobs:
    """What one component gets instead of what the recipe gives to all; None changes nothing."""

    rank: int | None = None
    alpha: float | None = None
    """Where only the rank is given, alpha follows it so that alpha / rank stays the recipe's."""
    dropout: float | None = None
    learning_rate: float | None = None
    """Peak of the schedule, instead of the settings' one."""

    def __post_init__(self) -> None:
        _check(self.rank, self.alpha, self.dropout, self.learning_rate)


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """How the selection is adapted: the method and its numbers, also per component."""

    rank: int = 8
    alpha: float = 16.0
    """The update is scaled by alpha / rank (arXiv:2106.09685, section 4.1), by alpha / sqrt(rank) with rsLoRA."""
    dropout: float = 0.0
    method: Method = "lora"
    start: Start = "default"
    lora_bias: bool = False
    """Whether LoRA's second matrix has a bias that is trained as well."""
    components: dict[Component, Knobs] = field(default_factory=dict)
    full_learning_rate: float | None = None
    """Of what is trained without LoRA; None takes the settings'. A tenth of LoRA's is commonly used."""

    def __post_init__(self) -> None:
        _check(self.rank, self.alpha, self.dropout, self.full_learning_rate)


@dataclass(frozen=True, config=STRICT)
class Override:
    """Targets of one component that get other numbers than the plan's own."""

    component: Component
    targets: tuple[str, ...]
    """Names out of the plan's `target_modules` and `target_parameters`."""
    rank: int
    alpha: float
    dropout: float
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        _check(self.rank, self.alpha, self.dropout, self.learning_rate)


@dataclass(frozen=True, config=STRICT)
class Plan:
    """Exactly which modules get what."""

    target_modules: tuple[str, ...] = ()
    """Full module names, in the order of the model."""
    rank: int = 8
    """With AdaLoRA the rank that is left on average; it begins with half as much again."""
    alpha: float = 16.0
    """The update is scaled by alpha / rank (arXiv:2106.09685, section 4.1)."""
    dropout: float = 0.0
    method: Method = "lora"
    start: Start = "default"
    lora_bias: bool = False
    target_parameters: tuple[str, ...] = ()
    """Full names of parameters that LoRA reaches by their own name: fused experts, bare projector matrices."""
    full_modules: tuple[str, ...] = ()
    """Full names of modules of which every parameter is trained, without LoRA."""
    full_learning_rate: float | None = None
    overrides: tuple[Override, ...] = ()
    """No target stands in two of them."""

    def __post_init__(self) -> None:
        if not (self.target_modules or self.target_parameters or self.full_modules):
            raise PlanError("Training was asked for", "nothing is selected", "Switch on at least one part of the model")
        _check(self.rank, self.alpha, self.dropout, self.full_learning_rate)


@dataclass(frozen=True, config=STRICT)
class Budget:
    """What a plan costs."""

    trainable: int
    """Exact, equal to PEFT's `get_nb_trainable_parameters()[0]`."""
    total: int
    """Parameters of the model without the adapter."""
    percent: float
    """100 * trainable / total."""
    adapter_bytes: int
    """Exact size of `adapter_model.safetensors`."""
    by_component: dict[str, int]
    """Trainable parameters of each component that the model has, zeros included."""


def _check(rank: int | None, alpha: float | None, dropout: float | None, learning_rate: float | None) -> None:
    """Raises PlanError for a number out of its range; NaN is inside of nothing."""
    if rank is not None and not 1 <= rank <= MAX_RANK:
        raise PlanError(
            f"Rank {rank:,} was asked for",
            f"a rank is a whole number from 1 to {MAX_RANK:,}",
            "8 or 16 suits most tasks",
        )
    if alpha is not None and not 0 < alpha <= MAX_ALPHA:
        raise PlanError(
            f"Alpha {plain_number(alpha)} was asked for",
            f"alpha is a number above 0 and at most {MAX_ALPHA:,}",
            "Take once or twice the rank",
        )
    if dropout is not None and not 0 <= dropout < 1:
        raise PlanError(f"Dropout {dropout} was asked for", "dropout lies from 0 to below 1", "Take 0 or 0.1")
    if learning_rate is not None and not 1e-9 <= learning_rate <= 1:
        raise PlanError(
            f"A learning rate of {learning_rate:g} was asked for",
            "it must be from 1e-09 to 1",
            "1e-4 is usual, 3e-3 for the small demo model",
        )
