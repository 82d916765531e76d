"""What a model is made of: source, modules with their labels, the inspection as a whole."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from core.spec.text import STRICT

Component = Literal["vision", "projector", "language", "cross_attention", "audio", "other"]
"""Which part of the model a module belongs to."""
Role = Literal["attention", "mlp", "embedding", "head", "norm", "other"]
"""What a module does inside its component."""
Confidence = Literal["high", "medium", "low"]
"""How sure a label is: high by the model's own words (its configs, its output embedding) or by the person's, medium by
names and classes, low for a guess by position and where the kinds of evidence disagree."""
COMPONENTS: tuple[Component, ...] = ("vision", "projector", "language", "cross_attention", "audio", "other")
ROLES: tuple[Role, ...] = ("attention", "mlp", "embedding", "head", "norm", "other")


@dataclass(frozen=True, config=STRICT)
class Source:
    """Where a model or a data set comes from."""

    kind: Literal["demo", "hub", "folder", "stored"]
    name: str
    """The demo's name, the Hub id (`owner/name`), the folder's path, or the hash of a stored data set."""
    revision: str | None = None
    """Hub only: branch, tag or commit; the inspection pins it to a commit."""

    def __str__(self) -> str:
        return f"{self.name}@{self.revision[:12]}" if self.revision else self.name


@dataclass(frozen=True, config=STRICT)
class Parameter:
    """A parameter that a module holds itself."""

    name: str
    """Inside the module, such as `weight` or `gate_up_proj`."""
    shape: tuple[int, ...]
    """As stored: Linear (out, in), GPT-2's Conv1D (in, out), fused experts (E, a, b)."""
    adaptable: bool = False
    """Whether LoRA reaches it by its own name (PEFT's `target_parameters`): fused experts, bare projector matrices."""
    transposed: bool = False
    """Whether its module says (`is_transposed`) that its experts are stored (E, in, out) instead of (E, out, in)."""


@dataclass(frozen=True, config=STRICT)
class Module:
    """One module of the tree that holds parameters of its own."""

    name: str
    """Full path, as in `model.named_modules()`."""
    kind: str
    """Class name."""
    shape: tuple[int, ...]
    """Of the weight: Linear (out, in), Conv2d (out, in, kh, kw), Embedding (num, dim), fused experts (E, a, b)."""
    component: Component
    role: Role
    layer: int | None
    """Index inside the component's stack of layers; None outside of one."""
    params: int
    """Parameters that the module holds itself; those of its children, and tied ones seen before, are not counted."""
    adaptable: bool
    """Whether LoRA can reach it: as a layer, or through its adaptable parameters."""
    reason: str
    """Why it has this component and role, and if it is not adaptable, why not."""
    confidence: Confidence = "high"
    """Of the component."""
    root: str = ""
    """The module that the evidence for the component is about: this one, or one that it lies in."""
    parameters: tuple[Parameter, ...] = ()
    """All that it holds itself, in its order."""


@dataclass(frozen=True, config=STRICT)
class Inspection:
    """The module tree of a source, made from its config without weights."""

    source: Source
    """With the revision pinned."""
    model_class: str
    model_type: str
    total_params: int
    """Every parameter once; equals `sum(p.numel() for p in model.parameters())`."""
    modules: tuple[Module, ...]
    config_hash: str
    """SHA-256 of the config and of the labelling's version: the key of caches."""
