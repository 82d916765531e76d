"""Which component each module of a model belongs to, by evidence, and the reason in words.

Evidence, strongest first: the model's own head and token embedding; the key of the model's config on which a
submodule's config hangs; what that config holds; words for a projector; words for cross-attention inside language;
words of the name; what it lies in; and last, only where no language was found, a numbered stack beside the rest.

What it does not do: know one architecture from another, say what a module does in its component (`roles.py`), or
whether LoRA can reach it (`reach.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.spec import Component

LABELS_VERSION = 2
"""Raised whenever a label or a reason changes, so that cached inspections are made anew."""

_KEYS: tuple[tuple[Component, frozenset[str]], ...] = (
    ("projector", frozenset({"qformer", "projector", "perceiver", "connector", "resampler", "merger", "adapter"})),
    ("vision", frozenset({"vision", "visual", "image", "video", "vit", "sam", "vq", "vqgan"})),
    ("audio", frozenset({"audio", "speech", "sound"})),
    ("language", frozenset({"text", "language", "llm", "decoder"})),
)
"""Words in the key of a part's config, such as `vision` in `vision_config`."""
_WORDS: tuple[tuple[Component, frozenset[str]], ...] = (
    ("vision", frozenset({"vision", "visual", "image", "img", "vit", "patch", "pixel", "vqmodel", "vqgan"})),
    ("audio", frozenset({"audio", "speech", "sound", "mel"})),
    ("language", frozenset({"text", "language", "llm", "lm", "decoder"})),
)
"""Words in a name or class; one that points to two components points to none."""
_PROJECTOR = re.compile(
    r"projector|connector|merger|resampler|perceiver|q_?former|abstractor|aligner|multi_?modal|modality_proj|mm_proj|"
    r"adapter|adaptor|pixel_?shuffle",
    re.IGNORECASE,
)
_TRUNK_PROJECTOR = re.compile(r"(^|_)(projection|proj)$", re.IGNORECASE)
"""Only beside the towers: inside them, attention has projections of its own."""
_CROSS = re.compile(r"cross_?att|(^|_)encoder_attn$|enc_?dec_?att", re.IGNORECASE)
_INSIDE = (("vision", "projector"), ("vision", "language"))
"""What one part may hold of another by its config: the outer and the inner component."""


@dataclass(frozen=True)
class Label:
    """A component and why."""

    component: Component
    root: str
    """The module that the evidence is about."""
    why: str
    guess: bool = False

    def reason(self, name: str) -> str:
        """The label in words, for the module of this name."""
        why = self.why if name == self.root or not self.root else f"inside {self.root} ({self.why})"
        return f"{self.component.replace('_', '-')}{' (a guess)' if self.guess else ''}: {why}"


NOTHING = Label("other", "", "nothing in its name, class or config says more")


def component_labels(model: Any) -> dict[str, Label]:
    """The component of every module, by full name, from the outside in.

    Args:
        model: a `PreTrainedModel`, on any device.
    """
    evidence = _Evidence(model)
    labels: dict[str, Label | None] = {"": evidence.whole()}
    for name, module in evidence.modules.items():
        if name:
            labels[name] = evidence.label(name, module, labels[name.rpartition(".")[0]])
    return {name: label or evidence.bare(name) for name, label in labels.items()}


class _Evidence:
    """What a model says about itself, asked once."""

    def __init__(self, model: Any) -> None:
        self.config = model.config
        self.brand = brand(model)
        self.keys = config_keys(model.config)
        self.ends = {id(part): why for part, why in _ends(model)}
        self.modules = dict(model.named_modules())

    def whole(self) -> Label | None:
        """The label of a model that is all of one component, by a config without parts."""
        component, why = _holds(self.config)
        return Label(component, "", why) if component else None

    def label(self, name: str, module: Any, outer: Label | None) -> Label | None:
        """The label of one module inside `outer`; None in the trunk, where nothing is known yet."""
        component = outer.component if outer else None
        if id(module) in self.ends and component in (None, "language"):
            return Label("language", name, self.ends[id(module)])
        if found := self._by_config(name, module, outer):
            return found
        beside_layers = component in (None, "vision") and not _in_stack(name, outer)
        if beside_layers and (found := self._projector(name, module, component is None)):
            return found
        if component == "language" and (_CROSS.search(_leaf(name)) or _CROSS.search(type(module).__name__)):
            return Label(
                "cross_attention", name, f"as {a(type(module).__name__)}, it looks from the text at other input"
            )
        if outer is None:
            return self._by_words(name, module) or self._by_stack(name, module)
        return outer

    def _by_config(self, name: str, module: Any, outer: Label | None) -> Label | None:
        """By the config that a part of the model was built from."""
        config = getattr(module, "config", None)
        if not hasattr(module, "get_input_embeddings") or type(config) is type(self.config):
            return None
        component, why = self.keys.get(type(config), (None, ""))
        if component is None and outer is None:
            component, why = _holds(config)
        if component is None or (outer is not None and (outer.component, component) not in _INSIDE):
            return None
        named = _by_tokens(_leaf(name))
        doubt = f", though its name speaks of {named}" if named and named != component else ""
        return Label(component, name, why + doubt)

    def _projector(self, name: str, module: Any, in_trunk: bool) -> Label | None:
        """By the words for a projector, at the top or inside vision."""
        if _PROJECTOR.search(_leaf(name)) or (in_trunk and _TRUNK_PROJECTOR.search(_leaf(name))):
            return Label("projector", name, f"the name {_leaf(name)} is that of a projector")
        if _PROJECTOR.search(self._own_class(module)):
            return Label("projector", name, f"the class {type(module).__name__} is that of a projector")
        return None

    def _by_words(self, name: str, module: Any) -> Label | None:
        """By the words of the name, else of the class."""
        kind = self._own_class(module)
        for words, what in ((_leaf(name), "name"), (kind, f"class {kind}")):
            if component := _by_tokens(words):
                return Label(component, name, f"its {what} speaks of {component}")
        return None

    def bare(self, name: str) -> Label:
        """The label of what has no other: by the parameters of its own, and for it alone, not for what lies in it."""
        own = " ".join(key for key, _ in self.modules[name].named_parameters(recurse=False))
        component = _by_tokens(own)
        return Label(component, name, f"its parameter {own} speaks of {component}") if component else NOTHING

    def _by_stack(self, name: str, module: Any) -> Label | None:
        """A numbered stack of layers in the trunk, and what stands beside one."""
        if _is_stack(module):
            return Label(
                "language", name, "it is a numbered stack of layers outside of every labelled part", guess=True
            )
        around = self.modules[name.rpartition(".")[0]]
        beside = [key for key, child in around.named_children() if _is_stack(child)]
        if beside and not list(module.children()):
            return Label("language", name, f"it stands beside the numbered stack {beside[0]}", guess=True)
        return None

    def _own_class(self, module: Any) -> str:
        """The class's name without the model's; none for containers and for what stands for the whole model."""
        whole = type(getattr(module, "config", None)) is type(self.config)
        kind = type(module)
        return "" if whole or kind.__module__.startswith("torch.") else kind.__name__.removeprefix(self.brand)


def brand(model: Any) -> str:
    """What the names of a model's classes begin with, such as AyaVision: it speaks of all parts alike."""
    return re.sub(r"(For[A-Z]\w*|Model)$", "", type(model).__name__)


def config_keys(config: Any) -> dict[type, tuple[Component, str]]:
    """The component of each class of config that hangs on the model's config, with the reason.

    A class that hangs on two keys of different meaning is no evidence and left out.
    """
    found: dict[type, dict[Component, str]] = {}
    for key, part in _parts(config):
        component = _first(_KEYS, _tokens(key))
        if component and type(part) is not type(config):
            found.setdefault(type(part), {}).setdefault(component, f"its config is the model's {key}")
    return {kind: next(iter(meanings.items())) for kind, meanings in found.items() if len(meanings) == 1}


def _parts(config: Any, depth: int = 4) -> Iterator[tuple[str, Any]]:
    """Every config that hangs on this one, with its key, the outer ones first."""
    inner = [
        (key, part) for key, part in vars(config).items() if hasattr(part, "model_type") and hasattr(part, "to_dict")
    ]
    yield from inner
    for _, part in inner if depth else ():
        yield from _parts(part, depth - 1)


def _holds(config: Any) -> tuple[Component | None, str]:
    """The component of a config by what it holds; none for one that is made of parts."""
    kind = type(config).__name__
    if any(_parts(config)):
        return None, ""
    if hasattr(config, "patch_size") and not hasattr(config, "vocab_size"):
        return "vision", f"its config ({kind}) has a patch size and no vocabulary"
    if hasattr(config, "num_mel_bins"):
        return "audio", f"its config ({kind}) counts the bands of a spectrum"
    if hasattr(config, "vocab_size") and not hasattr(config, "patch_size"):
        return "language", f"its config ({kind}) has a vocabulary"
    return None, ""


def _ends(model: Any) -> Iterator[tuple[Any, str]]:
    """Where text goes in and comes out, as the model itself says."""
    import torch

    for ask, kind, why in (
        (model.get_output_embeddings, torch.nn.Linear, "it is the model's output embedding"),
        (model.get_input_embeddings, torch.nn.Embedding, "it is the model's token embedding"),
    ):
        try:
            part = ask()
        except (NotImplementedError, AttributeError):
            continue
        if isinstance(part, kind):
            yield part, why


def _is_stack(module: Any) -> bool:
    """Whether it is a numbered stack of layers that attend."""
    if type(module).__name__ != "ModuleList" or not len(module):
        return False
    return any("Att" in type(inner).__name__ for inner in module[0].modules())


def _in_stack(name: str, outer: Label | None) -> bool:
    """Whether the module lies in a numbered layer of the component."""
    inside = name[len(outer.root) + 1 :] if outer and outer.root else name
    return any(part.isdigit() for part in inside.split("."))


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def a(kind: str) -> str:
    """A class with its article."""
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"


def _tokens(text: str) -> set[str]:
    """`vision_tower`, `VisionTower` -> {"vision", "tower"}."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text)}


def _first(table: tuple[tuple[Component, frozenset[str]], ...], tokens: set[str]) -> Component | None:
    return next((component for component, words in table if words & tokens), None)


def _by_tokens(text: str) -> Component | None:
    """The one component that the words of a name speak of."""
    found = [component for component, words in _WORDS if words & _tokens(text)]
    return found[0] if len(found) == 1 else None
