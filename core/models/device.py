"""Where a job computes and in which precision, with the reason in words.

What it does not do: split a model over several devices, or quantize it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def choose_device() -> tuple[str, torch.dtype, str]:
    """The device (`cuda` or `cpu`), the precision of the weights, and why.

    16-bit floats of the fp16 kind are never chosen: without loss scaling small gradients vanish in them.
    """
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "cuda", torch.bfloat16, f"{name} with bfloat16, which it computes natively"
        return "cuda", torch.float32, f"{name} with 32-bit floats: it does not compute in bfloat16"
    if torch.backends.mps.is_available():
        return "cpu", torch.float32, "CPU with 32-bit floats: Apple's GPU is not used, its results are not checked yet"
    return "cpu", torch.float32, "CPU with 32-bit floats: no CUDA device is there, and bfloat16 is slower on most CPUs"
