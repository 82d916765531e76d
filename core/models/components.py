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

LABELS_VERSION = 1
"""Raised whenever a label or a reason changes, so that cached inspections are made anew."""

_KEYS: tuple[tuple[Component, frozenset[str]], ...] = (
    ("projector", frozenset({"qformer", "projector", "perceiver", "connector", "resampler", "merger", "adapter"})),
    ("vision", frozenset({"vision", "visual", "image", "vit", "sam", "vq", "vqgan"})),
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
    """The component of every module, by full name.

    Args:
        model: a `PreTrainedModel`, on any device.
    """
    labels = _walk(model, guess=False)
    if not any(label and label.component == "language" and label.why != _TOKENS for label in labels.values()):
        labels = _walk(model, guess=True)
    return {name: label or NOTHING for name, label in labels.items()}


_HEAD = "it is the model's output embedding"
_TOKENS = "it is the model's token embedding"


def _walk(model: Any, guess: bool) -> dict[str, Label | None]:
    """Labels from the outside in, each module after the one that it lies in."""
    evidence = _Evidence(model)
    labels: dict[str, Label | None] = {}
    for name, module in model.named_modules():
        outer = labels.get(name.rpartition(".")[0])
        labels[name] = evidence.label(name, module, outer, guess) if name else None
    return labels


class _Evidence:
    """What a model says about itself, asked once."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.keys = config_keys(model.config)
        self.ends = {id(part): why for part, why in _ends(model)}
        self.modules = dict(model.named_modules())

    def label(self, name: str, module: Any, outer: Label | None, guess: bool) -> Label | None:
        """The label of one module inside `outer`; None in the trunk, where nothing is known yet."""
        component = outer.component if outer else None
        leaf = name.rpartition(".")[2]
        if id(module) in self.ends and component in (None, "language"):
            return Label("language", name, self.ends[id(module)])
        if found := self._by_config(name, module, outer):
            return found
        if component in (None, "vision") and not self._in_stack(name, outer):
            words = _PROJECTOR.search(leaf) or _PROJECTOR.search(_own_class(module, self.model))
            if words or (component is None and _TRUNK_PROJECTOR.search(leaf)):
                return Label("projector", name, f"its name or class ({type(module).__name__}) is that of a projector")
        if component == "language" and (_CROSS.search(leaf) or _CROSS.search(type(module).__name__)):
            return Label("cross_attention", name, f"{type(module).__name__} looks from the text at something else")
        if outer is None:
            return self._by_words(name, module) or (self._by_stack(name, module) if guess else None)
        return outer

    def _by_config(self, name: str, module: Any, outer: Label | None) -> Label | None:
        """By the config that a part of the model was built from."""
        config = getattr(module, "config", None)
        if not hasattr(module, "get_input_embeddings") or type(config) is type(self.model.config):
            return None
        component, why = self.keys.get(type(config), (None, ""))
        if component is None and outer is None:
            component, why = _holds(config)
        if component is None or (outer is not None and outer.component == component):
            return None
        if outer is not None and (outer.component, component) not in (("vision", "projector"), ("vision", "language")):
            return None
        named = _by_tokens(name.rpartition(".")[2])
        doubt = f", though its name speaks of {named}" if named and named != component else ""
        return Label(component, name, why + doubt)

    def _by_words(self, name: str, module: Any) -> Label | None:
        """By the words of the name, else of the class, else of the bare parameters that it holds."""
        leaf, kind = name.rpartition(".")[2], _own_class(module, self.model)
        own = " ".join(key for key, _ in module.named_parameters(recurse=False) if key not in ("weight", "bias"))
        for words, what in ((leaf, "name"), (kind, f"class {kind}"), (own, f"parameter {own}")):
            if component := _by_tokens(words):
                return Label(component, name, f"its {what} speaks of {component}")
        return None

    def _by_stack(self, name: str, module: Any) -> Label | None:
        """A numbered stack in the trunk, and what stands beside one."""
        if type(module).__name__ == "ModuleList" and len(module):
            return Label(
                "language", name, "it is a numbered stack of layers outside of every labelled part", guess=True
            )
        outer = self.modules[name.rpartition(".")[0]]
        beside = [key for key, child in outer.named_children() if type(child).__name__ == "ModuleList" and len(child)]
        if beside and not list(module.children()):
            return Label("language", name, f"it stands beside the numbered stack {beside[0]}", guess=True)
        return None

    def _in_stack(self, name: str, outer: Label | None) -> bool:
        """Whether the module lies in a numbered layer of the component."""
        inside = name[len(outer.root) + 1 :] if outer else name
        return any(part.isdigit() for part in inside.split("."))


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
    """The component of a config by what it holds."""
    kind = type(config).__name__
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
        (model.get_output_embeddings, torch.nn.Linear, _HEAD),
        (model.get_input_embeddings, torch.nn.Embedding, _TOKENS),
    ):
        try:
            part = ask()
        except (NotImplementedError, AttributeError):
            continue
        if isinstance(part, kind):
            yield part, why


def _own_class(module: Any, model: Any) -> str:
    """The class's name, but not of containers and of what stands for the whole model: these speak of all parts."""
    whole = type(getattr(module, "config", None)) is type(model.config)
    return "" if whole or type(module).__module__.startswith("torch.") else type(module).__name__


def _tokens(text: str) -> set[str]:
    """`vision_tower`, `VisionTower` -> {"vision", "tower"}."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text)}


def _first(table: tuple[tuple[Component, frozenset[str]], ...], tokens: set[str]) -> Component | None:
    return next((component for component, words in table if words & tokens), None)


def _by_tokens(text: str) -> Component | None:
    """The one component that the words of a name speak of."""
    found = [component for component, words in _WORDS if words & _tokens(text)]
    return found[0] if len(found) == 1 else None
