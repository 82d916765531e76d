"""How far training has moved each module: the Frobenius norm of the change of its effective weight.

    LoRA, rsLoRA, fused experts   s B A                            arXiv:2106.09685, arXiv:2312.03732
    with bias                     and s b, beside the matrix
    AdaLoRA                       s / ranks  B (E A)               arXiv:2303.10512, equation 3
    DoRA                          m / |W + s B A| (W + s B A) - W  by row, arXiv:2402.09353, equation 5
    PiSSA, OLoRA                  s (B A - B0 A0), of the weight as it was before the start
    in full                       the copy less the original

No product as large as a weight is made: |B A|^2 = sum((B^T B) * (A A^T)), matrices of r x r; what DoRA needs beside it,
|W_i|, W_i . (B A)_i and |(B A)_i| of each row i, comes out of W A^T. All in 64-bit floats.

What it does not do: name components, or judge whether a number is large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from core.lora.parts import dense_weight, original_name

if TYPE_CHECKING:
    import torch

ADAPTER = "default"
PIECES = {"cpu": 1 << 18, "cuda": 1 << 24}
"""Numbers that are turned to 64 bits at a time: what stays in a processor's cache, many times faster than more."""
LARGEST_RANK = 512
"""Up to which the used share of the rank is computed."""


class Update(NamedTuple):
    """What became of one module."""

    name: str
    """As in the base model; of fused experts the parameter's name."""
    update: float
    """Frobenius norm of the change."""
    weight: float
    """Of the weight before."""
    covers: tuple[str, ...]
    """The parameters that `weight` is about."""
    used: float | None = None
    """Share of the rank that the change makes use of: its effective rank (Roy & Vetterli 2007, definition 1) over its
    rank; 0 when it is zero. None where no rank was given, or a very large one."""


class Factors(NamedTuple):
    """A change of low rank: scale * b @ a."""

    b: torch.Tensor  # [E, out, r]
    a: torch.Tensor  # [E, r, in]
    scale: float


def updates(model: Any, start: Mapping[str, Any] | None = None) -> Iterator[Update]:
    """Every module that the adapter sits on or that learns in full, in the model's order.

    Args:
        model: what `core.lora.wrap.wrap` made, trained.
        start: what `remember_start` has kept.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import ModulesToSaveWrapper

    twice: set[str] = set()
    with torch.no_grad():
        for path, module in model.named_modules():
            if isinstance(module, BaseTunerLayer):
                if type(_inside(module)).__name__ == "MultiheadAttention":
                    twice.add(f"{path}.base_layer.out_proj")
                if ADAPTER in module.lora_A or ADAPTER in module.lora_embedding_A:
                    yield _adapted(path, module, start, 2.0 if path in twice else 1.0)
            elif isinstance(module, ModulesToSaveWrapper):
                yield from _in_full(original_name(path), module)


def squares(value: torch.Tensor, other: torch.Tensor | None = None) -> float:
    """Sum of the squares of a tensor, or of its difference to another one."""
    import torch

    total = torch.zeros((), dtype=torch.float64, device=value.device)
    flat, less = value.detach().reshape(-1), None if other is None else other.detach().reshape(-1)
    size = _piece(value)
    for at in range(0, len(flat), size):
        piece = flat[at : at + size].double()
        if less is not None:
            piece = piece - less[at : at + size].to(piece.device).double()
        total += piece.square().sum()
    return float(total)


def _piece(value: torch.Tensor) -> int:
    return PIECES.get(value.device.type, PIECES["cpu"])


def _adapted(path: str, layer: Any, start: Mapping[str, Any] | None, times: float) -> Update:
    """A module with LoRA of any kind; PEFT adds that of an attention's output `times` 2, forward and merging alike."""
    name, key = original_name(path), _weight_name(layer)
    now = _factors(layer)
    now = now._replace(scale=times * now.scale)
    covers: tuple[str, ...] = (f"{name}.{key}",)
    if start and f"{path}.lora_A.{ADAPTER}.weight" in start:
        change, weight = _from_start(path, layer, now, start)
    else:
        change, weight = now, squares(dense_weight(_inside(layer), key))
    moved = _gram(change)
    used = _used(change)
    magnitudes = getattr(layer, "lora_magnitude_vector", {})
    if ADAPTER in magnitudes:
        moved = _dora(layer, now, magnitudes[ADAPTER].weight)
    if getattr(layer, "lora_bias", {}).get(ADAPTER) and hasattr(layer.lora_B[ADAPTER], "bias"):
        moved += layer.scaling[ADAPTER] ** 2 * squares(layer.lora_B[ADAPTER].bias)
        if (bias := getattr(_inside(layer), "bias", None)) is not None:
            weight += squares(bias)
            covers += (f"{name}.bias",)
    if hasattr(layer, "parameter_name"):
        name, covers = f"{name}.{key}", (f"{name}.{key}",)
    return Update(name, moved**0.5, weight**0.5, covers, used)


def _in_full(name: str, wrapper: Any) -> Iterator[Update]:
    """Each module with parameters of its own inside of a copy that was trained."""
    before = dict(wrapper.original_module.named_modules())
    for inside, module in wrapper.modules_to_save[ADAPTER].named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        full = f"{name}.{inside}" if inside else name
        old = {key: getattr(before[inside], key) for key in own}
        moved = sum(squares(value, old[key]) for key, value in own.items())
        weight = sum(squares(value) for value in old.values())
        yield Update(full, moved**0.5, weight**0.5, tuple(f"{full}.{key}" for key in own))


def _inside(layer: Any) -> Any:
    """The module that the layer was put around."""
    return layer.get_base_layer()


def _weight_name(layer: Any) -> str:
    """What the weight under an adapter is called in its module."""
    if hasattr(layer, "parameter_name"):
        return str(layer.parameter_name)
    return "in_proj_weight" if type(_inside(layer)).__name__ == "MultiheadAttention" else "weight"


def _factors(layer: Any) -> Factors:
    """The change as two thin matrices, for each expert a pair."""
    scale = float(layer.scaling[ADAPTER])
    if ADAPTER in layer.lora_embedding_A:
        a, b = layer.lora_embedding_A[ADAPTER], layer.lora_embedding_B[ADAPTER]
        return Factors(b.double()[None], a.double()[None], scale)
    if hasattr(layer, "lora_E"):
        a = layer.lora_A[ADAPTER].double() * layer.lora_E[ADAPTER].double()
        return Factors(layer.lora_B[ADAPTER].double()[None], a[None], scale / (float(layer.ranknum[ADAPTER]) + 1e-5))
    a, b = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    a, b = a.double().reshape(len(a), -1), b.double().reshape(len(b), -1)
    experts = getattr(layer, "num_experts", 1)
    if experts == 1:
        return Factors(b[None], a[None], scale)
    # As PEFT stacks them: A by expert, B with the experts innermost.
    return Factors(b.reshape(len(b), -1, experts).permute(2, 0, 1), a.reshape(experts, -1, a.shape[-1]), scale)


def _from_start(path: str, layer: Any, now: Factors, start: Mapping[str, Any]) -> tuple[Factors, float]:
    """The change since a start that went out of the weight, and the squares of the weight as it was before.

    B A - B0 A0 = (B - B0) A + B0 (A - A0), which is zero to the last bit when nothing was learned.
    """
    import torch

    a, b = (start[f"{path}.lora_{side}.{ADAPTER}.weight"].to(now.a.device).double()[None] for side in "AB")
    change = Factors(torch.cat([now.b - b, b], dim=2), torch.cat([now.a, now.a - a], dim=1), now.scale)
    rows = _rows(_oriented(layer), Factors(b, a, now.scale))
    return change, float((rows.own + 2 * rows.mixed + rows.change).sum())


def _gram(factors: Factors) -> float:
    """Sum of the squares of the product, without making it."""
    inner = (factors.b.mT @ factors.b) * (factors.a @ factors.a.mT)  # [E, r, r]
    return factors.scale**2 * float(inner.sum().clamp(min=0))


def _used(factors: Factors) -> float | None:
    """Share of the rank in use: exp of the entropy of the singular values, over their number; a mean over experts."""
    import torch

    rank = min(factors.b.shape[1:] + factors.a.shape[2:])
    if factors.b.shape[2] > LARGEST_RANK:
        return None
    left, right = (factors.b.mT @ factors.b).cpu(), (factors.a @ factors.a.mT).cpu()  # [E, r, r], small
    if not (torch.isfinite(left).all() and torch.isfinite(right).all()):
        return None
    values, vectors = torch.linalg.eigh(left)
    root = vectors * values.clamp(min=0).sqrt()[:, None, :]
    squared = torch.linalg.eigvalsh(root.mT @ right @ root).clamp(min=0)
    singular = squared.sqrt()
    total = singular.sum(dim=1, keepdim=True)
    share = singular / total.clamp(min=1e-300)
    effective = torch.exp(-torch.xlogy(share, share).sum(dim=1)) * (total[:, 0] > 0)
    return min(1.0, float(effective.mean()) / rank)


class _Rows(NamedTuple):
    """Of each row of W and of D = s B A, in 64 bits: |W|^2, W . D, |D|^2."""

    own: torch.Tensor
    mixed: torch.Tensor
    change: torch.Tensor


def _rows(weight: torch.Tensor, factors: Factors) -> _Rows:
    import torch

    b, a, scale = factors.b[0], factors.a[0], factors.scale
    found = []
    height = max(1, _piece(weight) // weight.shape[1])
    for at in range(0, len(weight), height):
        w, part = weight[at : at + height].double(), b[at : at + height]
        mixed = scale * ((w @ a.T) * part).sum(dim=1)
        found.append((w.square().sum(dim=1), mixed, scale**2 * ((part @ (a @ a.T)) * part).sum(dim=1)))
    return _Rows(*(torch.cat(column) for column in zip(*found, strict=True)))


def _dora(layer: Any, factors: Factors, magnitude: torch.Tensor) -> float:
    """Sum of the squares of c (W + D) - W, where c brings each row to its magnitude.

    PEFT rounds the rows' norms to the weight's precision, and did so with the magnitudes when it made them.
    """
    weight = _oriented(layer)
    rows = _rows(weight, factors)
    norms = (rows.own + 2 * rows.mixed + rows.change).clamp(min=0).sqrt()
    c = magnitude.double().reshape(-1) / norms.to(weight.dtype).double()
    return float(((c - 1) ** 2 * rows.own + 2 * c * (c - 1) * rows.mixed + c**2 * rows.change).sum().clamp(min=0))


def _oriented(layer: Any) -> torch.Tensor:
    """The weight as a matrix (out, in), as B A has it."""
    weight = dense_weight(_inside(layer), _weight_name(layer))
    turned = getattr(layer, "fan_in_fan_out", False) or ADAPTER in layer.lora_embedding_A
    return weight.T if turned else weight.reshape(len(weight), -1)
