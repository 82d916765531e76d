"""The tensors that LoRA gives to one layer: their names after the layer's own, and their shapes.

As PEFT 0.21 makes them, for a weight of shape (out, in, *kernel) and rank r:

    LoRA, rsLoRA   A (r, in, *kernel), B (out, r, 1, ...)              arXiv:2106.09685, section 4.1
    with bias      and a bias (out,) of B
    DoRA           and a magnitude (out,), (1, out, 1, ...) for convolutions     arXiv:2402.09353, equation 5
    AdaLoRA        A (i, in * kernel), E (i, 1), B (out, i), with i = ceil(1.5 r)  arXiv:2303.10512, equation 3
    table          A (r, num), B (dim, r), for an embedding of shape (num, dim)
    experts        A (r * E, in), B (out, r * E), for E matrices fused into one tensor
    in full        a copy of every parameter

What it does not do: know a plan or a model (`tensors`).
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

from core.spec import Method, Module, Parameter

Shape = tuple[int, ...]
Suffixes = tuple[tuple[str, Shape], ...]


def layer_suffixes(module: Module, rank: int, method: Method, lora_bias: bool) -> Suffixes:
    """What a layer's tensors are called after its own name in the wrapped model, and their shapes."""
    if module.kind == "MultiheadAttention":
        return _attention(module.shape[1], rank, lora_bias)
    if is_table(module):
        return _table(module.shape, rank, method)
    return _layer(module.shape, rank, method, lora_bias)


def parameter_suffixes(parameter: Parameter, rank: int) -> Suffixes:
    """As `layer_suffixes`, of a parameter that LoRA reaches by its own name; 2-D (out, in) or 3-D, E matrices."""
    return _matrices(parameter.shape, parameter.transposed, rank)


def is_table(module: Module) -> bool:
    """Whether it is an embedding, whose LoRA is another than that of a matrix."""
    return "Embedding" in module.kind and len(module.shape) == 2


def count(suffixes: Suffixes) -> int:
    """Parameters in these tensors."""
    return _count(suffixes)


@lru_cache(maxsize=4096)
def saved_suffix(suffix: str) -> str:
    """The end of a tensor's key in the file, from that of its name in the wrapped model: without the adapter's name.

    >>> saved_suffix("lora_A.default.weight"), saved_suffix("lora_magnitude_vector.default.weight")
    ('lora_A.weight', 'lora_magnitude_vector')
    """
    key = suffix.replace(".default", "")
    return key.removesuffix(".weight") if key.startswith("lora_magnitude_vector") else key


@lru_cache(maxsize=4096)
def _count(suffixes: Suffixes) -> int:
    return sum(prod(shape) for _, shape in suffixes)


@lru_cache(maxsize=4096)
def _layer(shape: Shape, rank: int, method: Method, lora_bias: bool) -> Suffixes:
    out, *rest = shape
    if method == "adalora":
        inside = prod(rest)
        return (("lora_A.default", (rank, inside)), ("lora_B.default", (out, rank)), ("lora_E.default", (rank, 1)))
    kernel = (1,) * len(rest[1:])
    made: list[tuple[str, Shape]] = [
        ("lora_A.default.weight", (rank, *rest)),
        ("lora_B.default.weight", (out, rank, *kernel)),
    ]
    if lora_bias:
        made.append(("lora_B.default.bias", (out,)))
    if method == "dora":
        made.append(("lora_magnitude_vector.default.weight", (1, out, *kernel) if kernel else (out,)))
    return tuple(made)


@lru_cache(maxsize=4096)
def _table(shape: Shape, rank: int, method: Method) -> Suffixes:
    num, dim = shape
    made = (("lora_embedding_A.default", (rank, num)), ("lora_embedding_B.default", (dim, rank)))
    return (*made, ("lora_magnitude_vector.default.weight", (dim,))) if method == "dora" else made


@lru_cache(maxsize=4096)
def _attention(width: int, rank: int, lora_bias: bool) -> Suffixes:
    """PyTorch's attention: the matrix of query, key and value (3 width, width), and its output (width, width)."""
    inner = _layer((width, width), rank, "lora", lora_bias)
    return (
        *_layer((3 * width, width), rank, "lora", lora_bias),
        *((f"base_layer.out_proj.{suffix}", shape) for suffix, shape in inner),
    )


@lru_cache(maxsize=4096)
def _matrices(shape: Shape, transposed: bool, rank: int) -> Suffixes:
    experts = shape[0] if len(shape) == 3 else 1
    out, inside = shape[-2:]
    if transposed and len(shape) == 3:
        out, inside = inside, out
    return (("lora_A.default.weight", (rank * experts, inside)), ("lora_B.default.weight", (out, rank * experts)))
