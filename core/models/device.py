"""Where a job computes and in which precision, with the reason in words.

What it does not do: split a model over several devices, or quantize it.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from core.spec.settings import Precision

if TYPE_CHECKING:
    import torch


DRIVER = Path("/proc/driver/nvidia/gpus")
"""Where Linux lists a machine's NVIDIA GPUs, one folder each."""
LARGE = 200_000_000
"""Parameters from which bfloat16 is looked at on a CPU. Below, a step is short in any precision, and 32 bits are exact.
Where the processor has AVX512-BF16, a LoRA step of a decoder took 1.19x the time of 32 bits at 3 M parameters, 0.86x at
9 M, 0.48x at 34 M and 0.41x at 84 M (one thread, batch 4 to 16)."""
WORTH = 1.5
"""Times as many products a second from which bfloat16 is taken on a CPU: it is 4 and more, or less than 1."""
_NATIVE = ("avx512_bf16", "amx_bf16")
"""What a CPU calls its instructions for bfloat16."""
_PROBE = (512, 1024)
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


def choose_device(asked: Precision = "auto", parameters: int = 0) -> tuple[str, torch.dtype, str]:
    """The device (`cuda` or `cpu`), the precision of the weights, and why.

    16-bit floats of the fp16 kind are never chosen: without loss scaling small gradients vanish in them.

    Args:
        asked: by the person.
        parameters: of the model; 0 is a small one.
    """
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if _seen > 1:
            name += f" (one of {_seen} GPUs is used)"
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        good, bad = "which it computes natively", "it does not compute in bfloat16"
        device = "cuda"
    else:
        device, name = "cpu", "CPU"
        native, bad = cpu_takes_bf16(parameters)
        good = "which it computes natively and faster"
    if asked != "auto":
        kind = "bfloat16" if asked == "bf16" else "32-bit floats"
        return device, torch.bfloat16 if asked == "bf16" else torch.float32, f"{name} with {kind}, as the settings ask"
    if native:
        return device, torch.bfloat16, f"{name} with bfloat16, {good}"
    return device, torch.float32, f"{name} with 32-bit floats: {bad}"


def cpu_takes_bf16(parameters: int) -> tuple[bool, str]:
    """Whether bfloat16 is taken on the CPU, and why not."""
    import torch

    if torch.backends.mps.is_available():
        return False, "Apple's GPU is not used, its results are not checked yet"
    if not has_native_bf16():
        return False, "no CUDA device is there, and this processor does not compute in bfloat16"
    if parameters < LARGE:
        return False, "no CUDA device is there, and for so small a model 16-bit floats save little time"
    if bf16_speed() < WORTH:
        return False, "no CUDA device is there, and bfloat16 is slower on this processor"
    return True, ""


def has_native_bf16() -> bool:
    """Whether the CPU has instructions for bfloat16; without them torch emulates it, at a sixth of the speed."""
    import torch

    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in _NATIVE)


@cache
def bf16_speed() -> float:
    """How many times as many products the CPU makes in bfloat16 as in 32 bits, measured once, in some 0.1 s.

    The instructions alone do not say it: a library may leave them out, or a machine may emulate them.
    """
    import torch

    rows, width = _PROBE
    with torch.no_grad():
        values, weight = torch.ones(rows, width), torch.ones(width, width)  # [rows, in], [out, in]
        halves, half_weight = values.bfloat16(), weight.bfloat16()
        times = [(_seconds(values, weight), _seconds(halves, half_weight)) for _ in range(4)][1:]  # the first one warms
    return min(full for full, _ in times) / min(half for _, half in times)


def _seconds(values: torch.Tensor, weight: torch.Tensor) -> float:
    import torch

    start = time.perf_counter()
    torch.nn.functional.linear(values, weight)
    return time.perf_counter() - start
