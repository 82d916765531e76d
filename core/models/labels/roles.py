"""What a module does inside its component, with the reason in words.

The nearest class around a module that says attention, MLP or embedding decides; names decide where no class does.

What it does not do: say which component a module belongs to (`components.py`), or whether LoRA can reach it
(`reach.py`).
"""

from __future__ import annotations

import re
from typing import Any

from core.models.labels.evidence import is_stack
from core.models.labels.usage import own_matrices
from core.models.labels.words import a
from core.spec import Component, Role

_CLASSES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("norm", re.compile(r"Norm(Zero|Single|Continuous)?$")),
    ("head", re.compile(r"LMHead$|PredictionHead")),
    ("attention", re.compile(r"Attention|Attn|DeltaNet|Mamba2?Mixer|Mamba2?$|ShortConv|SSM|SelfOutput$")),
    (
        "mlp",
        re.compile(
            r"MLP|Mlp|FeedForward|FFN|LayerFF|Intermediate$|Experts?|M[oO]E$|MoeBlock|Dense\w*Act(Dense)?$|Output$"
        ),
    ),
    ("embedding", re.compile(r"Embed")),
)
"""In this order, for a class may carry two of these words."""
_WHOLE_LAYER = re.compile(
    r"(Layer|Block|Head|Encoder|Decoder|Model|Stage|Merger|Projector|Connector|Resampler|Perceiver)$"
)
"""Classes that hold more than the thing which their name speaks of."""
_MLP_BLOCK = re.compile(r"(MLP|Mlp|FeedForward|M[oO][eE])(Block|Layer)$")
_NAMES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("norm", re.compile(r"(^|_)norms?\d*$")),
    ("head", re.compile(r"^(lm_head|output_projection|score|classifier)$")),
    (
        "mlp",
        re.compile(
            r"^(mlp|ffn|ff|feed_?forward|(linear_)?fc\d*|fc_(in|out)|(up|gate|down)_proj|wi(_\d)?|intermediate|"
            r"(linear|dense)_?\d+|pw_?conv_?\d*)$|(^|_)mlp(_(in|out|block|layer|\d+))*$"
        ),
    ),
    (
        "attention",
        re.compile(
            r"(^|_)(attn|attention|crossattention)(_(layer|block|pool\w*|out\w*|proj|qkv|\d+))*\d*$|^[qkvo]_proj$|^qkv$"
        ),
    ),
    ("embedding", re.compile(r"^(?!.*(?<!patch_embed_)(?<!patch_)proj).*embed|^wte$|^wpe$|^patch_(?!merg)")),
)
_LAST: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("head", re.compile(r"(^|_)heads?($|_)")),
    ("mlp", re.compile(r"(^|_)(proj\d*|projections?|transform|transformation|reduces?)($|_)")),
)
"""Names that say what a linear layer does, where nothing else around it does."""
_CONTAINERS: dict[str, Role] = {"mlp": "mlp", "ffn": "mlp", "feed_forward": "mlp", "attn": "attention"}
_NORM_CLASS = re.compile(r"Norm")
_ROUTER_CLASS = re.compile(r"Router|TopK")
_ROUTER_NAMES = frozenset({"gate", "shared_expert_gate"})

Chain = list[tuple[str, Any]]
"""Name and module, from the module itself outwards to the model."""


def chain(name: str, modules: dict[str, Any]) -> Chain:
    """The module and all that it lies in, the nearest first."""
    found = [(name, modules[name])]
    while name:
        name = name.rpartition(".")[0]
        found.append((name, modules[name]))
    return found


def role_of(around: Chain, component: Component, is_head: bool) -> tuple[Role, str]:
    """The role of the first module of the chain, and why."""
    import torch

    module = around[0][1]
    kind = type(module).__name__
    if is_head:
        return "head", "it is the model's output embedding"
    if isinstance(module, torch.nn.Embedding):
        return "embedding", f"its class is {kind}"
    if _NORM_CLASS.search(kind):
        return "norm", f"its class is {kind}"
    if is_router(around):
        return "other", "it is a router: it chooses experts"
    found = _by_class(around) or _by_name(around, _NAMES)
    if isinstance(module, torch.nn.Linear):
        if component == "projector" and (found is None or found[0] not in ("attention", "norm")):
            return "mlp", "it is a linear layer, outside of attention"
        found = found or _by_name(around[:2], _LAST)
        if found is None and _beside_stack(around) and not re.search(r"pos|bias|pool", around[0][0].rpartition(".")[2]):
            found = "mlp", "it is a linear layer beside the numbered ones"
        if found and found[0] == "head" and module.in_features == module.out_features:
            found = "mlp", "it keeps its width, which a head would not"
    if component == "projector" and own_matrices(module):
        return "mlp", "it multiplies by a matrix of its own"
    return found or ("other", "neither its class nor its name says what it does")


def is_router(around: Chain) -> bool:
    """Whether the module weighs experts against each other."""
    (name, module), outer = around[0], around[min(1, len(around) - 1)][1]
    leaf = name.rpartition(".")[2]
    if any(_ROUTER_CLASS.search(type(part).__name__) for part in (module, outer)) or leaf.endswith("router"):
        return True
    siblings = {key for key, _ in outer.named_children()}
    return leaf in _ROUTER_NAMES and bool({"experts", "shared_expert", "shared_experts"} & siblings)


def _by_class(around: Chain) -> tuple[Role, str] | None:
    """By the nearest class, or by the usual name of a container whose class is a plain Sequential or ModuleDict."""
    for name, module in around:
        kind, leaf = type(module).__name__, name.rpartition(".")[2]
        if module is not around[0][1] and (role := _CONTAINERS.get(leaf)) and kind in ("Sequential", "ModuleDict"):
            return role, f"it lies in {name}"
        if _WHOLE_LAYER.search(kind) and not _MLP_BLOCK.search(kind) and not kind.endswith("LMHead"):
            continue
        for role, words in _CLASSES:
            if words.search(kind) and not (role == "embedding" and _is_more(around, module)):
                return role, f"it {'is' if module is around[0][1] else 'lies in'} {a(kind)}"
    return None


def _is_more(around: Chain, embedding: Any) -> bool:
    """Whether a class says embedding, and the first module of the chain is something else for all that."""
    return "mlp" in around[0][0].rpartition(".")[2] or _holds_more(around, embedding)


def _holds_more(around: Chain, embedding: Any) -> bool:
    """Whether a class that says embedding holds a numbered stack, or is part of an attention: then it is more."""
    if any(type(inner).__name__ == "ModuleList" for inner in embedding.modules()):
        return True
    outer = next(index for index, (_, module) in enumerate(around) if module is embedding)
    return any("Attention" in type(module).__name__ for _, module in around[outer + 1 : outer + 3])


def _by_name(around: Chain, table: tuple[tuple[Role, re.Pattern[str]], ...]) -> tuple[Role, str] | None:
    for name, module in around:
        leaf = name.rpartition(".")[2]
        for role, words in table:
            if not words.search(leaf) or (role == "mlp" and module is around[0][1] and _is_convolution(module)):
                continue
            if role != "embedding" or module is around[0][1] or not _holds_more(around, module):
                return role, f"the name “{leaf}” is usual for it"
    return None


def _beside_stack(around: Chain) -> bool:
    """Whether the module is no layer of a stack and a stack stands beside it."""
    return len(around) > 1 and any(is_stack(child) for _, child in around[1][1].named_children())


def _is_convolution(module: Any) -> bool:
    """GPT-2's Conv1D, which is a linear layer, is none."""
    import torch

    return isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d))
