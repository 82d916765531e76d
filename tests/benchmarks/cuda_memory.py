"""The memory estimate beside what a step really takes of a CUDA card, on models of billions of random weights.

Needs a CUDA device with room for them.
What it does not do: load published weights, on which the memory does not depend.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.memory.estimate import estimate
from core.memory.workload import Workload
from core.models.source import Resolved
from tests.benchmarks.figure import Figure
from tests.memory.big_models import big_source
from tests.memory.card import CASES, WORK
from tests.memory.measuring import plan_of

STEPS = 4


def measure() -> Iterator[Figure]:
    """For each case the estimate divided by what the card gave away, which is never to be less than 0.9 of it."""
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("a CUDA device is needed")
    context = _used()
    with tempfile.TemporaryDirectory(prefix="studio-cuda-") as folder:
        for name, part, checkpointing, *_ in CASES:
            resolved = big_source(name, Path(folder))
            work = WORK.but(checkpointing=checkpointing)
            expected = estimate(resolved, plan_of(resolved, part), work)
            allocated, reserved, seconds = _taken(resolved, part, work)
            taken = reserved + context
            error = abs(expected.peak_bytes / taken - 1)
            tensors = expected.peak_bytes - expected.term("CUDA context") - expected.term("allocator reserve")
            sizes = [size / 2**30 for size in (expected.peak_bytes, taken, tensors, allocated, context)]
            more = "estimated {:.2f} GiB, taken {:.2f}; tensors {:.2f} against {:.2f}; context {:.2f}".format(*sizes)
            more += f"; {seconds:.2f} s a step"
            again = ", checkpointing" if checkpointing else ""
            yield Figure(f"{name}, {part}{again}", 100 * error, "%", 10, more=more)


def _used() -> int:
    """Bytes of the card that CUDA, its kernels and cuBLAS take before the first tensor of a model."""
    import torch

    table = torch.randn(2048, 2048, device="cuda", dtype=torch.bfloat16)
    (table @ table).sum().item()
    free, total = torch.cuda.mem_get_info()
    return int(total - free - torch.cuda.memory_reserved())


def _taken(resolved: Resolved, part: str, work: Workload) -> tuple[int, int, float]:
    """Most bytes of tensors, most bytes that the allocator held, and seconds of a step."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    seconds = _steps(_model(resolved), resolved, part, work)
    found = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved(), seconds
    gc.collect()
    torch.cuda.empty_cache()
    return found


def _model(resolved: Resolved) -> Any:
    """The model with random weights in bfloat16, on the card."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(resolved.folder)
    with torch.device("cuda"):
        return AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)


def _steps(model: Any, resolved: Resolved, part: str, work: Workload) -> float:
    """Steps as the worker takes them: autocast, loss on the answers, clipping, AdamW -> seconds of the last one."""
    import torch

    from core.evaluation.scores import token_losses
    from core.lora.wrap import wrap
    from tests.memory.measuring import made_batch

    wrapped = wrap(model, plan_of(resolved, part)).train()
    if work.checkpointing:
        wrapped.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
        wrapped.get_base_model().disable_input_require_grads()  # as the worker keeps such hooks out
    with torch.device("cuda"):
        batch = made_batch(wrapped, work)
    trained = [parameter for parameter in wrapped.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.data = parameter.data.float()
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    took = 0.0
    for _ in range(STEPS):
        began = time.monotonic()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            losses, targets = token_losses(wrapped, batch)
        (losses.sum() / (targets != -100).sum()).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        took = time.monotonic() - began
    return took
