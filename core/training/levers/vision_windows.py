"""Vision towers that look through windows, in fewer steps: part of the lever `fused_lora`.

Such a tower (Qwen2.5-VL, GLM-4V and others) asks for attention once for each window of each picture; here windows of
one length are asked for together. Queries and keys are turned in one step for both (RoPE, arXiv:2104.09864). Its first
layer is a convolution whose kernel is as large as its input, which is one matrix product.
What it does not do: stand in for code that is not the one below, for dropout, or where FlashAttention is chosen, which
takes all windows at once by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from types import MethodType
from typing import Any

import torch

from core.training.levers.known_code import is_known

ATTENTION = """
seq_length = x.shape[0]
query_states, key_states, value_states = (
    self.qkv(x).reshape(seq_length, 3, self.num_heads, -1).permute(1, 0, 2, 3).unbind(0)
)
cos, sin = x2
query_states, key_states = apply_rotary_pos_emb_vision(query_states, key_states, cos, sin)
query_states = query_states.transpose(0, 1).unsqueeze(0)
key_states = key_states.transpose(0, 1).unsqueeze(0)
value_states = value_states.transpose(0, 1).unsqueeze(0)
attention_interface: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
    self.config._attn_implementation, eager_attention_forward
)
if is_flash_attention_requested(self.config):
    x3 = get_max_seqlen(x1, self.config, kwargs={"max_seqlen": x3})
    attn_output, _ = attention_interface(
        self, query_states, key_states, value_states, attention_mask=None, scaling=self.scaling,
        dropout=0.0 if not self.training else self.attention_dropout,
        cu_seq_lens_q=x1, cu_seq_lens_k=x1, max_length_q=x3, max_length_k=x3, is_causal=False, **kwargs,
    )
else:
    lengths = x1[1:] - x1[:-1]
    splits = [torch.split(tensor, lengths.tolist(), dim=2) for tensor in (query_states, key_states, value_states)]
    attn_outputs = [
        attention_interface(
            self, q, k, v, attention_mask=None, scaling=self.scaling,
            dropout=0.0 if not self.training else self.attention_dropout, is_causal=False, **kwargs,
        )[0]
        for q, k, v in zip(*splits)
    ]
    attn_output = torch.cat(attn_outputs, dim=1)
attn_output = attn_output.reshape(seq_length, -1).contiguous()
attn_output = self.proj(attn_output)
return attn_output
"""
TURNING = """
orig_q_dtype = x.dtype
orig_k_dtype = x1.dtype
x, x1 = (x.float(), x1.float())
x2, x3 = (x2.unsqueeze(-2).float(), x3.unsqueeze(-2).float())
q_embed = x * x2 + rotate_half(x) * x3
k_embed = x1 * x2 + rotate_half(x1) * x3
q_embed = q_embed.to(orig_q_dtype)
k_embed = k_embed.to(orig_k_dtype)
return (q_embed, k_embed)
"""
HALF = """
x1 = x[..., :x.shape[-1] // 2]
x2 = x[..., x.shape[-1] // 2:]
return torch.cat((-x2, x1), dim=-1)
"""
PATCHES = """
target_dtype = self.proj.weight.dtype
x = x.view(-1, self.in_channels, self.temporal_patch_size, self.patch_size, self.patch_size)
x = self.proj(x.to(dtype=target_dtype)).view(-1, self.embed_dim)
return x
"""


@dataclass(frozen=True)
class Windows:
    """Windows sorted by their length."""

    groups: tuple[tuple[int, int], ...]
    """How many there are of each length."""
    order: torch.Tensor | None
    """Which row stands where once they are sorted, [S]; None where they are already."""
    back: torch.Tensor | None
    """The way back."""


class _Known:
    """The windows that layers were last asked for: all layers of a pass are given the same tensors."""

    def __init__(self) -> None:
        self._last: list[tuple[torch.Tensor, Windows]] = []

    def of(self, bounds: torch.Tensor) -> Windows:
        """The windows between these bounds [W + 1]."""
        for seen, windows in self._last:
            if seen is bounds:
                return windows
        windows = sorted_windows(bounds)
        self._last = [(bounds, windows), *self._last[:1]]  # a tower has two kinds at most
        return windows


def sorted_windows(bounds: torch.Tensor) -> Windows:
    """The windows between some bounds [W + 1], those of one length together."""
    ends = bounds.tolist()
    starts: dict[int, list[int]] = {}
    for start, end in pairwise(ends):
        if end > start:
            starts.setdefault(end - start, []).append(start)
    groups = tuple((len(of), length) for length, of in starts.items())
    order = torch.tensor(
        [start + at for length, of in starts.items() for start in of for at in range(length)], dtype=torch.long
    )
    if bool((order == torch.arange(len(order))).all()):
        return Windows(groups, None, None)
    return Windows(groups, order.to(bounds.device), order.argsort().to(bounds.device))


def join_windows(model: Any) -> int:
    """Lets every attention of known code ask for windows of one length together -> how many do."""
    known, found = _Known(), [module for module in model.modules() if _is_attention(module)]
    for module in found:
        module.forward = MethodType(_forward(known), module)
    return len(found)


def patches_as_products(model: Any) -> int:
    """Lets every first layer of known code be one matrix product -> how many are."""
    found = [module for module in model.modules() if _is_patches(module)]
    for module in found:
        module.forward = MethodType(_patches, module)
    return len(found)


def _is_attention(module: Any) -> bool:
    """Whether a module is attention through windows, word for word."""
    code = type(module).forward
    if "forward" in vars(module) or not is_known(code, ATTENTION):
        return False
    turning = code.__globals__.get("apply_rotary_pos_emb_vision")
    turned = is_known(turning, TURNING) and is_known(turning.__globals__.get("rotate_half"), HALF)
    return turned and not module.attention_dropout and module.config._attn_implementation == "sdpa"


def _forward(known: _Known) -> Any:
    """The forward of attention through windows."""

    def forward(
        self: Any,
        hidden_states: torch.Tensor,
        cu_seqlens: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        max_seqlen: int | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        asked = any(value is not None and value is not False for value in kwargs.values())
        windows = known.of(cu_seqlens)
        rows = sum(count * length for count, length in windows.groups)
        if asked or position_embeddings is None or rows != hidden_states.shape[0]:
            given = {"position_embeddings": position_embeddings, "max_seqlen": max_seqlen}
            return type(self).forward(self, hidden_states, cu_seqlens, **given, **kwargs)
        x, (cos, sin) = hidden_states, position_embeddings
        if windows.order is not None:
            x = _Sorted.apply(x, windows.order, windows.back)
            cos, sin = cos[windows.order], sin[windows.order]
        qkv = self.qkv(x).view(rows, 3, self.num_heads, -1)  # [S, 3, H, d]
        y = self.proj(_attended(_Turned.apply(qkv, cos.float(), sin.float()), windows, self.scaling))
        return y if windows.order is None else _Sorted.apply(y, windows.back, windows.order)

    return forward


def _attended(qkv: torch.Tensor, windows: Windows, scaling: float) -> torch.Tensor:
    """Queries, keys and values [S, 3, H, d] of sorted windows -> what each row sees in its own window, [S, H d]."""
    seen = []
    for part, (count, length) in zip(qkv.split([n * each for n, each in windows.groups]), windows.groups, strict=True):
        q, k, v = part.view(count, length, *qkv.shape[1:]).permute(2, 0, 3, 1, 4).unbind(0)  # [n, H, L, d]
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=scaling)
        seen.append(y.transpose(1, 2).reshape(count * length, -1))
    return torch.cat(seen) if len(seen) > 1 else seen[0]


class _Sorted(torch.autograd.Function):
    """Rows in another order; `back` is the way back."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, order: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(back)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (back,) = ctx.saved_tensors
        return gradient.index_select(0, back), None, None


class _Turned(torch.autograd.Function):
    """Queries and keys among [S, 3, H, d] turned by their angles [S, d]; values as they are."""

    @staticmethod
    def forward(ctx: Any, qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(qkv, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turn(gradient, cos, sin, -1), None, None


def _turn(qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, way: int) -> torch.Tensor:
    """Queries and keys turned forward (1), or their gradient the way back (-1)."""
    given = qkv[:, :2].float()  # [S, 2, H, d]
    cos, sin, half = cos[:, None, None], sin[:, None, None], qkv.shape[-1] // 2
    turned = given * cos
    (one, two), (low, high) = given.split(half, -1), sin.split(half, -1)
    # forward: (x1 cos - x2 sin1, x2 cos + x1 sin2); its transpose exchanges the two sines
    first, second = (low, high) if way > 0 else (high, low)
    turned[..., :half].addcmul_(two, first, value=-way)
    turned[..., half:].addcmul_(one, second, value=way)
    return torch.cat((turned.to(qkv.dtype), qkv[:, 2:]), dim=1)


def _is_patches(module: Any) -> bool:
    """Whether a module is the first layer of such a tower, word for word, and sees each patch by itself."""
    conv = getattr(module, "proj", None)
    if type(conv) is not torch.nn.Conv3d or "forward" in vars(module) or not is_known(type(module).forward, PATCHES):
        return False
    whole = (module.temporal_patch_size, module.patch_size, module.patch_size)
    once = tuple(conv.kernel_size) == whole and conv.in_channels == module.in_channels and conv.groups == 1
    plain = not any(conv.padding) and set(conv.dilation) == {1} and not (conv._forward_hooks or conv._forward_pre_hooks)
    return once and plain and conv.out_channels == module.embed_dim


def _patches(self: Any, x: torch.Tensor) -> torch.Tensor:
    """Patches [S, C t p p] -> [S, D]."""
    weight = self.proj.weight.flatten(1)
    return torch.nn.functional.linear(x.view(-1, weight.shape[1]).to(weight.dtype), weight, self.proj.bias)
