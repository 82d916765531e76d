"""Where a job computes and in which precision, with the reason in words.

What it does not do: split a model over several devices, or quantize it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


DRIVER = Path("/proc/driver/nvidia/gpus")
"""Where Linux lists a machine's NVIDIA GPUs, one folder each."""
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_seen = 0
"""GPUs that this process could see before `keep_one_gpu`."""


def keep_one_gpu() -> None:
    """Hides all GPUs but the first from this process. Call it before torch is imported.

    With several, transformers' trainer would split each batch by itself (`nn.DataParallel`), which TRL refuses. A first
    GPU that was chosen from outside stays chosen, and an empty choice stays empty.
    """
    global _seen
    named = os.environ.get(_VISIBLE)
    names = ["0"] if named is None else [name.strip() for name in named.split(",")]
    _seen = max(_seen, len(names) if named is not None else len(list(DRIVER.glob("*"))))
    os.environ[_VISIBLE] = names[0]


def choose_device() -> tuple[str, torch.dtype, str]:
    """The device (`cuda` or `cpu`), the precision of the weights, and why.

    16-bit floats of the fp16 kind are never chosen: without loss scaling small gradients vanish in them.
    """
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if _seen > 1:
            name += f" (one of {_seen} GPUs is used)"
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "cuda", torch.bfloat16, f"{name} with bfloat16, which it computes natively"
        return "cuda", torch.float32, f"{name} with 32-bit floats: it does not compute in bfloat16"
    if torch.backends.mps.is_available():
        return "cpu", torch.float32, "CPU with 32-bit floats: Apple's GPU is not used, its results are not checked yet"
    return "cpu", torch.float32, "CPU with 32-bit floats: no CUDA device is there, and bfloat16 is slower on most CPUs"
