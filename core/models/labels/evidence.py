"""What a model says about itself, asked once: its configs, its ends, its stacks and their widths.

What it does not do: decide (`components.py`), or read names (`words.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from core.models.labels.words import WRITER, key_component, tokens
from core.spec import Component

OWN_PACKAGES = ("transformers.", "torch.")
"""Whose classes name their parts as models do; a tower of another package, such as timm, is one piece."""


class Evidence:
    """What a model says about itself."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.config = model.config
        self.brand = brand(model)
        self.writes = bool(model.can_generate())
        self.keys = list(config_parts(model.config))
        self.modules: dict[str, Any] = dict(model.named_modules())
        self.ends = {id(part): why for part, why in _ends(model)}
        self.tables = _token_tables(_ask(model.get_input_embeddings), self.modules)
        self._widths: dict[str, int | None] = {}
        self._components: dict[int, tuple[Component | None, str]] = {}
        self.language_width = self._language_width()
        self.trunk = self._trunk()

    def _language_width(self) -> int | None:
        """Of the model's token embedding, or of that of its first part that a text config made."""
        import torch

        if self.tables:
            return int(self.modules[self.tables[0]].embedding_dim)
        parts = ((getattr(module, "config", None), module) for module in self.modules.values())
        part = next(((config, module) for config, module in parts if self.component_of(config)[0] == "language"), None)
        if part is None:
            return None
        config, module = part
        table = _ask(module.get_input_embeddings) if hasattr(module, "get_input_embeddings") else None
        width = table.embedding_dim if isinstance(table, torch.nn.Embedding) else getattr(config, "hidden_size", None)
        return None if width is None else int(width)

    def _trunk(self) -> set[str]:
        """Names of all that holds the token embedding or a part with a config of its own: what lies right in one of
        them stands beside the towers."""
        parts = [name for name, module in self.modules.items() if self.component_of(getattr(module, "config", None))[0]]
        found = {""}
        for name in (*parts, *self.tables):
            above = name.rpartition(".")[0]
            while above not in found:
                found.add(above)
                above = above.rpartition(".")[0]
        return found

    def component_of(self, config: Any) -> tuple[Component | None, str]:
        """The component of a part by the key on which its config hangs in the model's, with the reason.

        Where configs of one class hang on keys of different meaning, the one of the same content decides, if any does.
        """
        if id(config) not in self._components:
            self._components[id(config)] = self._keyed(config)
        return self._components[id(config)]

    def _keyed(self, config: Any) -> tuple[Component | None, str]:
        same = [(key, part) for key, part in self.keys if type(part) is type(config)]
        if type(config) is type(self.config) or not same:
            return None, ""
        if len({key_component(key) for key, _ in same}) > 1:
            same = [(key, part) for key, part in same if part is config] or [
                (key, part) for key, part in same if part.to_dict() == config.to_dict()
            ]
        meanings = {key_component(key): key for key, _ in reversed(same)}
        if len(meanings) != 1:
            return None, ""
        component, key = meanings.popitem()
        if component == "language" and tokens(key) & {WRITER} and not hasattr(config, "vocab_size"):
            return None, ""  # it decodes boxes or masks
        return component, f"its config is the model's {key}"

    def is_taken_in(self, width: int, root: str) -> bool:
        """Whether a Linear outside of a tower, and outside of numbered layers, takes in this width."""
        import torch

        numbered = re.compile(r"\.\d+(\.|$)")
        return any(
            isinstance(module, torch.nn.Linear)
            and module.in_features == width
            and not name.startswith(f"{root}.")
            and not numbered.search(name)
            for name, module in self.modules.items()
        )

    def attentions(self, root: str, without: str) -> set[type]:
        """The classes that attend in the numbered layers of a tower, outside of one of its parts."""
        inside, outside = f"{root}.", f"{without}."
        return {
            type(module)
            for name, module in self.modules.items()
            if name.startswith(inside) and not name.startswith(outside) and "Att" in type(module).__name__
        }

    def width(self, root: str) -> int | None:
        """The width of the layers of a tower: what most Linears in its numbered layers take in."""
        if root not in self._widths:
            self._widths[root] = self._measure(root)
        return self._widths[root]

    def _measure(self, root: str) -> int | None:
        import torch

        inside = f"{root}." if root else ""
        numbered = re.compile(r"\.\d+\.")
        found = Counter(
            int(module.in_features)
            for name, module in self.modules.items()
            if name.startswith(inside)
            and isinstance(module, torch.nn.Linear)
            and numbered.search("." + name[len(inside) :])
        )
        return found.most_common(1)[0][0] if found else None

    def own_class(self, module: Any) -> str:
        """The class's name without the model's; none for containers and for what stands for the whole model."""
        whole = type(getattr(module, "config", None)) is type(self.config)
        kind = type(module)
        return "" if whole or kind.__module__.startswith("torch.") else kind.__name__.removeprefix(self.brand)

    def is_foreign(self, module: Any) -> bool:
        """Whether the module's class comes from a package that is neither torch nor transformers."""
        return not type(module).__module__.startswith(OWN_PACKAGES)


def brand(model: Any) -> str:
    """What the names of a model's classes begin with, such as AyaVision: it speaks of all parts alike."""
    return re.sub(r"(For[A-Z]\w*|Model)$", "", type(model).__name__)


def config_parts(config: Any, depth: int = 4) -> Iterator[tuple[str, Any]]:
    """Every config that hangs on this one, with its key, the outer ones first."""
    inner = [
        (key, part) for key, part in vars(config).items() if hasattr(part, "model_type") and hasattr(part, "to_dict")
    ]
    yield from inner
    for _, part in inner if depth else ():
        yield from config_parts(part, depth - 1)


def holds(config: Any) -> tuple[Component | None, str]:
    """The component of a config by what it holds; none for one that is made of parts."""
    kind = type(config).__name__
    if any(config_parts(config)):
        return None, ""
    if hasattr(config, "patch_size") and not hasattr(config, "vocab_size"):
        return "vision", f"its config ({kind}) has a patch size and no vocabulary"
    if hasattr(config, "num_mel_bins"):
        return "audio", f"its config ({kind}) counts the bands of a spectrum"
    if hasattr(config, "vocab_size") and not hasattr(config, "patch_size"):
        return "language", f"its config ({kind}) has a vocabulary"
    return None, ""


def is_stack(module: Any) -> bool:
    """Whether it is a numbered stack of layers that attend."""
    if type(module).__name__ != "ModuleList" or not len(module):
        return False
    return any("Att" in type(inner).__name__ for inner in module[0].modules())


def holds_stack(module: Any) -> bool:
    """Whether a numbered stack of layers that attend lies anywhere in it."""
    return any(is_stack(inner) for inner in module.modules())


def output_embedding(model: Any) -> Any:
    """The model's own word for its head; None where it has none."""
    return _ask(model.get_output_embeddings)


def _ends(model: Any) -> Iterator[tuple[Any, str]]:
    """Where text goes in and comes out, as the model itself says."""
    import torch

    for part, kind, why in (
        (output_embedding(model), torch.nn.Linear, "it is the model's output embedding"),
        (_ask(model.get_input_embeddings), torch.nn.Embedding, "it is the model's token embedding"),
    ):
        if isinstance(part, kind):
            yield part, why


def _token_tables(table: Any, modules: dict[str, Any]) -> list[str]:
    """Names of the token embedding and of its tied copies, as encoder and decoder each have one."""
    import torch

    if not isinstance(table, torch.nn.Embedding):
        return []
    return [
        name
        for name, module in modules.items()
        if isinstance(module, torch.nn.Embedding) and module.weight is table.weight
    ]


def _ask(question: Any) -> Any:
    try:
        return question()
    except (NotImplementedError, AttributeError):
        return None
