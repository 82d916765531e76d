"""Which component each module of a model belongs to, by evidence, and the reason in words.

Evidence, strongest first: the model's own head and token embedding; the key of the model's config on which a
submodule's config hangs; what that config holds; words for a projector, and widths that only a projector has; words
for cross-attention inside language; words of the name; what it lies in; and last, where all of these are silent, its
place beside the token embedding or beside a numbered stack.

What it does not do: know one architecture from another, say what a module does in its component (`roles.py`), or
whether LoRA can reach it (`reach.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from core.models.labels.evidence import Evidence, holds, holds_stack, is_stack
from core.models.labels.words import a, is_cross_attention, is_projection, is_projector, leaf, spoken_of
from core.spec import Component, Confidence

LABELS_VERSION = 6
"""Raised whenever a label or a reason changes, so that cached inspections are made anew."""

_INSIDE = (
    ("vision", "projector"),
    ("audio", "projector"),
    ("vision", "language"),
)
"""What one part may hold of another by its config: the outer and the inner component."""
_MEETING = ("vision", "other")
"""Where attention to other input may lie outside of language, if no config says what the part is."""


@dataclass(frozen=True)
class Label:
    """A component and why."""

    component: Component
    root: str
    """The module that the evidence is about."""
    why: str
    confidence: Confidence = "medium"
    firm: bool = False
    """Said by a config: words inside do not change it."""

    def reason(self, name: str) -> str:
        """The label in words, for the module of this name."""
        why = self.why if name == self.root or not self.root else f"inside {self.root} ({self.why})"
        guess = " (a guess)" if self.confidence == "low" else ""
        return f"{self.component.replace('_', '-')}{guess}: {why}"


NOTHING = Label("other", "", "nothing in its name, class or config says more", "low")


def component_labels(model: Any) -> dict[str, Label]:
    """The component of every module, by full name, from the outside in.

    Args:
        model: a `PreTrainedModel`, on any device.
    """
    labelling = _Labelling(model)
    labels: dict[str, Label | None] = {"": labelling.whole()}
    for name, module in labelling.has.modules.items():
        if name:
            labels[name] = labelling.label(name, module, labels[name.rpartition(".")[0]])
    return {name: label or labelling.bare(name) for name, label in labels.items()}


class _Labelling:
    """The evidence of one model, and what follows from it for each module."""

    def __init__(self, model: Any) -> None:
        self.has = Evidence(model)
        self.home = _home(self.has)

    def whole(self) -> Label | None:
        """The label of a model that is all of one component, by a config without parts."""
        component, why = holds(self.has.config)
        return Label(component, "", why, "high") if component else None

    def label(self, name: str, module: Any, outer: Label | None) -> Label | None:
        """The label of one module inside `outer`; None in the trunk, where nothing is known yet."""
        component = outer.component if outer else None
        if component in (None, "language") and (why := self._end(name, module)):
            return Label("language", name, why, "high")
        if found := self._by_config(name, module, outer):
            return found
        at_an_end = component in (None, "vision", "audio") and not _in_stack(name, outer)
        if at_an_end and (found := self._projector(name, module, outer)):
            return found
        if found := self._crossing(name, module, outer):
            return found
        if outer is None:
            return self._by_words(name, module) or self._by_place(name, module)
        return self._seeing(name, outer) or outer

    def bare(self, name: str) -> Label:
        """The label of what has no other: by the parameters of its own, and for it alone, not for what lies in it."""
        held = dict(self.has.modules[name].named_parameters(recurse=False))
        own = " ".join(held)
        if component := spoken_of(own):
            return Label(component, name, f"its parameter {own} speaks of {component}")
        if all(parameter.dim() < 2 for parameter in held.values()):
            return Label("other", name, "it holds only single numbers or rows of numbers")
        return NOTHING

    def _end(self, name: str, module: Any) -> str | None:
        """Why a module is where text goes in or out."""
        if id(module) in self.has.ends:
            return self.has.ends[id(module)]
        return "it is a copy of the model's token embedding" if name in self.has.tables else None

    def _by_config(self, name: str, module: Any, outer: Label | None) -> Label | None:
        """By the config that a part of the model was built from."""
        config = getattr(module, "config", None)
        if (
            config is None
            or type(config) is type(self.has.config)
            or not (hasattr(module, "get_input_embeddings") or holds_stack(module))
        ):
            return None
        component, why = self.has.component_of(config)
        if component is None and outer is None:
            component, why = holds(config)
        if component is None or (outer is not None and outer.firm and (outer.component, component) not in _INSIDE):
            return None
        named = spoken_of(leaf(name), self.has.writes)
        if named and named != component and component != "projector":
            return Label(component, name, f"{why}, though its name speaks of {named}", "low", firm=True)
        return Label(component, name, why, "high", firm=True)

    def _projector(self, name: str, module: Any, outer: Label | None) -> Label | None:
        """By the words for a projector, or by widths, beside the towers or at the end of one."""
        if self.has.is_foreign(module):
            return None
        for words, what in ((leaf(name), "name"), (self.has.own_class(module), "class")):
            if is_projector(words) and not self._is_layer(name, outer):
                return Label("projector", name, f"the {what} {words} is that of a projector")
        if outer is None and self._follows_language(name, module):
            return Label("language", name, "it takes in the language model's width and gives out another")
        around = self._holds_tower(outer) and outer is not None and name.rpartition(".")[0] == outer.root
        beside = outer is None and name.rpartition(".")[0] in self.has.trunk
        if (beside or around) and is_projection(leaf(name), around) and spoken_of(leaf(name)) != "other":
            return Label("projector", name, f"the name {leaf(name)} is that of a projector")
        return self._by_width(name, module, outer)

    def _holds_tower(self, outer: Label | None) -> bool:
        """Whether a part known by its words alone holds a stack of layers, and so maybe its projector too."""
        return outer is not None and not outer.firm and self.has.width(outer.root) is not None

    def _is_layer(self, name: str, outer: Label | None) -> bool:
        """Whether a part of a tower attends as its layers do and keeps their width: it is one of them."""
        if outer is None or not outer.firm:
            return False
        part = self.has.modules[name]
        own = {type(inner) for inner in part.modules() if "Att" in type(inner).__name__}
        tower = self.has.width(outer.root)
        return bool(own & self.has.attentions(outer.root, name)) and _last_width(part) == tower

    def _follows_language(self, name: str, module: Any) -> bool:
        """Whether a layer beside the language model takes what that gives out, and turns it into something else."""
        import torch

        if not isinstance(module, torch.nn.Linear) or spoken_of(leaf(name)) is not None:
            return False
        if leaf(name).endswith("head"):  # of whatever joins pictures and text
            return False
        above, width = name.rpartition(".")[0], self.has.language_width
        along = not above or any(table.startswith(f"{above}.") for table in self.has.tables)
        return along and module.in_features == width != module.out_features

    def _by_width(self, name: str, module: Any, outer: Label | None) -> Label | None:
        """A layer at the end of a tower that gives out another width, or one beside the towers that takes theirs."""
        import torch

        if outer is None and spoken_of(leaf(name), self.has.writes) in ("vision", "audio"):
            if isinstance(module, torch.nn.Linear) and module.in_features in self._seen_widths():
                return Label("projector", name, "it takes in what the tower gives out")
            if _is_table(name, module) and module.embedding_dim not in self._seen_widths():
                return Label("projector", name, "it turns what was seen into vectors of another width than the tower's")
        if outer is None or not outer.firm or name.rpartition(".")[0] != outer.root:
            return None
        if any(self._leads_out(twin, outer.root) for twin in _twins(name, self.has.modules[outer.root])):
            return Label("projector", name, "at the end of the tower, it leads to another width than the tower's")
        return None

    def _leads_out(self, name: str, root: str) -> bool:
        """Whether a layer right in a tower leads out of its width, to the language model's or where none follows."""
        import torch

        module, width, tower = self.has.modules[f"{root}.{name}"], self.has.language_width, self.has.width(root)
        if not isinstance(module, torch.nn.Linear) or tower is None or module.out_features == tower:
            return False
        if module.out_features == width:
            return module.in_features != width
        return is_projection(name.rstrip("0123456789")) and not self.has.is_taken_in(module.out_features, root)

    def _seen_widths(self) -> set[int | None]:
        """The widths of the parts that a vision config made."""
        parts = ((name, getattr(module, "config", None)) for name, module in self.has.modules.items())
        return {
            self.has.width(name) for name, config in parts if self.has.component_of(config)[0] in ("vision", "audio")
        }

    def _crossing(self, name: str, module: Any, outer: Label | None) -> Label | None:
        """By the words for attention to other input: inside language, and in layers that no config calls seeing, as
        those are where pictures and text meet."""
        if outer is None or (outer.component != "language" and (outer.firm or outer.component not in _MEETING)):
            return None
        if not any(is_cross_attention(words) for words in (leaf(name), type(module).__name__)):
            return None
        looks = "from the text at other input" if outer.component == "language" else "from one input at the other"
        return Label("cross_attention", name, f"as {a(type(module).__name__)}, it looks {looks}")

    def _by_words(self, name: str, module: Any) -> Label | None:
        """By the words of the name, else of the class."""
        kind = self.has.own_class(module)
        for words, what in ((leaf(name), "name"), (kind, f"class {kind}")):
            if component := spoken_of(words, self.has.writes):
                return Label(component, name, f"its {what} speaks of {component}")
        return None

    def _seeing(self, name: str, outer: Label) -> Label | None:
        """A part that sees, beside the layers of a language model that was known by its name or place alone."""
        if outer.firm or outer.component != "language" or _in_stack(name, outer):
            return None
        component = spoken_of(leaf(name))
        return Label(component, name, f"its name speaks of {component}") if component in ("vision", "audio") else None

    def _by_place(self, name: str, module: Any) -> Label | None:
        """A numbered stack of layers in the trunk, and what stands beside one or beside the token embedding."""
        if is_stack(module):
            return self._stack(name)
        above = name.rpartition(".")[0]
        if any(table.rpartition(".")[0] == above for table in self.has.tables) and _only_tables(module):
            return Label("language", name, "it stands beside the model's token embedding")
        if list(module.children()):
            return None
        beside = [key for key, child in self.has.modules[above].named_children() if is_stack(child)]
        if not beside:
            return None
        label = self._stack(f"{above}.{beside[0]}" if above else beside[0])
        return Label(
            label.component, name, f"it stands beside the numbered stack {beside[0]} ({label.why})", label.confidence
        )

    def _stack(self, name: str) -> Label:
        """A numbered stack outside of every labelled part."""
        if self.home is None and self.has.language_width is None:
            return Label("language", name, "it is a numbered stack of layers outside of every labelled part", "low")
        if self.home is not None and name.startswith(self.home):
            return Label("language", name, "its layers follow on the model's token embedding")
        return Label("other", name, "it is a numbered stack of layers beside the parts for pictures and text", "low")


def _home(has: Evidence) -> str | None:
    """What the names of all parts begin with that lie around the token embedding as its layers do."""
    if not has.tables:
        return None
    above = has.tables[0].rpartition(".")[0]
    while above and "Embed" in type(has.modules[above]).__name__:
        above = above.rpartition(".")[0]
    return f"{above}." if above else ""


def _only_tables(module: Any) -> bool:
    """Whether a layer, or all that lies in a part, looks up and does not compute."""
    import torch

    held = [inner for inner in module.modules() if not list(inner.children())]
    return not list(module.children()) or all(isinstance(inner, torch.nn.Embedding) for inner in held)


def _is_table(name: str, module: Any) -> bool:
    """Whether it looks up vectors for anything but positions and types."""
    import torch

    places = re.search(r"pos|type|row|col|[xyhw]_|order", leaf(name))
    return isinstance(module, torch.nn.Embedding) and places is None


def _twins(name: str, around: Any) -> list[str]:
    """The layer itself, and those beside it that differ from it in their number only, such as proj2 beside proj1."""
    base = leaf(name).rstrip("0123456789")
    return [key for key, _ in around.named_children() if key == leaf(name) or (key[:-1] == base and key[-1].isdigit())]


def _last_width(module: Any) -> int | None:
    """The width that the last layer with a matrix gives out."""
    import torch

    found = None
    for inner in module.modules():
        if isinstance(inner, torch.nn.Linear):
            found = int(inner.out_features)
        elif isinstance(inner, (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)):
            found = int(inner.out_channels)
    return found


def _in_stack(name: str, outer: Label | None) -> bool:
    """Whether the module lies in a numbered layer of the component."""
    inside = name[len(outer.root) + 1 :] if outer and outer.root else name
    return any(part.isdigit() for part in inside.split("."))
