"""A tiny model with one layer of each kind that an adapter can sit on, and its inspection."""

from __future__ import annotations

from math import prod

import torch
from transformers.pytorch_utils import Conv1D

from core.spec import Inspection, Module, Parameter, Source

WIDTH, EXPERTS = 8, 3


class Experts(torch.nn.Module):
    """Fused experts as transformers has them: one tensor (E, out, in) for each of the two matrices."""

    def __init__(self, is_transposed: bool) -> None:
        super().__init__()
        self.is_transposed = is_transposed
        up, down = (WIDTH, 12), (12, WIDTH)
        self.up_proj = torch.nn.Parameter(torch.randn(EXPERTS, *(up if is_transposed else up[::-1])) / 4)
        self.down_proj = torch.nn.Parameter(torch.randn(EXPERTS, *(down if is_transposed else down[::-1])) / 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        up = self.up_proj if self.is_transposed else self.up_proj.transpose(1, 2)
        down = self.down_proj if self.is_transposed else self.down_proj.transpose(1, 2)
        return (torch.relu(x @ up[0]) @ down[0] + torch.relu(x @ up[1]) @ down[1] + (x @ up[2]) @ down[2]) / EXPERTS


class Projector(torch.nn.Module):
    """A bare matrix with a norm beside it, as Gemma 3's."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.randn(6, WIDTH) / 3)
        self.norm = torch.nn.LayerNorm(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x) @ self.matrix


class EveryKind(torch.nn.Module):
    """Logits (B, T, 11) from ids (B, T), an image (B, 3, 4, 4), a clip (B, 3, 2, 4, 4) and a sound (B, 3, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(11, WIDTH)
        self.image = torch.nn.Conv2d(3, 6, 2, 2)
        self.clip = torch.nn.Conv3d(3, 6, (2, 2, 2), (2, 2, 2), bias=False)
        self.sound = torch.nn.Conv1d(3, 6, 4, 4)
        self.attention = torch.nn.MultiheadAttention(6, 2, batch_first=True)
        self.projector = Projector()
        self.gpt2 = Conv1D(10, WIDTH)
        self.back = torch.nn.Linear(10, WIDTH, bias=False)
        self.experts = Experts(False)
        self.turned = Experts(True)
        self.last_norm = torch.nn.LayerNorm(WIDTH)
        self.head = torch.nn.Linear(WIDTH, 11)

    def forward(self, ids, image, clip, sound):
        seen = [self.image(image).flatten(2), self.clip(clip).flatten(2), self.sound(sound)]
        seen = torch.cat(seen, dim=2).transpose(1, 2)  # [B, 4 + 4 + 2, 6]
        seen = seen + self.attention(seen, seen, seen)[0]
        x = torch.cat([self.projector(seen), self.table(ids)], dim=1)  # [B, 10 + T, 8]
        x = x + self.back(torch.tanh(self.gpt2(x)))
        x = x + self.experts(x) + self.turned(x)
        x = x + x.mean(dim=1, keepdim=True)
        return self.head(self.last_norm(x))[:, -ids.shape[1] :]


def batch(seed: int = 0, rows: int = 2) -> dict[str, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)
    shapes = {"image": (3, 4, 4), "clip": (3, 2, 4, 4), "sound": (3, 8)}
    made = {name: torch.randn(rows, *shape, generator=make) for name, shape in shapes.items()}
    return {"ids": torch.randint(0, 11, (rows, 5), generator=make), **made}


def every_kind() -> EveryKind:
    torch.manual_seed(0)
    return EveryKind()


COMPONENTS = {"image": "vision", "clip": "vision", "attention": "vision", "sound": "audio", "projector": "projector"}


def inspection(model: torch.nn.Module) -> Inspection:
    """As `inspect_model` would, which takes only models of transformers."""
    seen: set[int] = set()
    modules = []
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        params = sum(value.numel() for value in own.values() if id(value) not in seen)
        seen.update(id(value) for value in own.values())
        shape = tuple(own.get("weight", next(iter(own.values()))).shape)
        modules.append(
            Module(
                name=name,
                kind=type(module).__name__,
                shape=shape[::-1] if isinstance(module, Conv1D) else shape,
                component=COMPONENTS.get(name.split(".")[0], "language"),
                role="other",
                layer=None,
                params=params,
                adaptable="norm" not in name,
                reason="",
                parameters=tuple(
                    Parameter(
                        key,
                        tuple(value.shape),
                        key == "matrix" or (value.dim() == 3 and "proj" in key),
                        value.dim() == 3 and getattr(module, "is_transposed", False),
                    )
                    for key, value in own.items()
                ),
            )
        )
    total = sum(prod(p.shape) for m in modules for p in m.parameters)
    return Inspection(Source("folder", "every_kind"), "EveryKind", "", total, tuple(modules), "")
