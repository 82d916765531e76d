"""One GPU is used, the one that was chosen from outside or the first, and the reason says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.models import device
from core.models.device import choose_device, keep_one_gpu

NAME = "CUDA_VISIBLE_DEVICES"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(NAME, "")
    monkeypatch.delenv(NAME)
    monkeypatch.setattr(device, "_seen", 0)
    monkeypatch.setattr(device, "DRIVER", tmp_path)


@pytest.mark.parametrize(
    ("chosen", "kept", "seen"),
    [(None, "0", 2), ("", "", 1), ("3", "3", 1), ("2,0, 1", "2", 3), ("GPU-8f,GPU-9a", "GPU-8f", 2)],
)
def test_the_first_gpu_is_kept(
    chosen: str | None, kept: str, seen: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    if chosen is not None:
        monkeypatch.setenv(NAME, chosen)
    keep_one_gpu()
    assert (os.environ[NAME], device._seen) == (kept, seen)
    keep_one_gpu()  # a warm worker does it twice
    assert (os.environ[NAME], device._seen) == (kept, seen)


@pytest.mark.parametrize(("seen", "name"), [(1, "A GPU with"), (4, "A GPU (one of 4 GPUs is used) with")])
def test_the_reason_says_that_one_of_several_is_used(seen: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_seen", seen)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert choose_device()[2].startswith(name)


def test_the_worker_keeps_one_gpu_before_torch_is_there() -> None:
    code = (
        "import os, sys; import core.training.worker as worker\n"
        "assert 'torch' not in sys.modules\n"
        "worker._keep_to_itself(); assert 'torch' not in sys.modules; print(os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    environment = os.environ | {NAME: "5,6"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"


@pytest.fixture
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize(
    ("flags", "speed", "parameters", "dtype", "words"),
    [
        ({"avx512_bf16": True}, 4.0, device.LARGE, torch.bfloat16, "natively and faster"),
        ({"amx_bf16": True}, 8.0, device.LARGE, torch.bfloat16, "natively and faster"),
        ({"avx512_bf16": True}, 0.9, device.LARGE, torch.float32, "slower on this processor"),
        ({"avx512_bf16": True}, 4.0, device.LARGE - 1, torch.float32, "so small a model"),
        ({"avx512_f": True, "avx512_bf16": False}, 4.0, device.LARGE, torch.float32, "does not compute in bfloat16"),
    ],
)
def test_a_cpu_computes_in_bfloat16_only_where_that_is_really_faster(
    flags: dict, speed: float, parameters: int, dtype: torch.dtype, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    monkeypatch.setattr(device, "bf16_speed", lambda: speed)
    where, found, reason = choose_device(parameters=parameters)
    assert (where, found) == ("cpu", dtype)
    assert words in reason


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize(("asked", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_the_precision_that_was_asked_for_is_taken(asked: str, dtype: torch.dtype) -> None:
    assert choose_device(asked, 10**10)[1] is dtype
    assert choose_device(asked)[2].endswith("as the settings ask")


def test_the_speed_of_bfloat16_is_measured_once_and_is_a_ratio() -> None:
    assert device.bf16_speed() is device.bf16_speed()
    assert 0.001 < device.bf16_speed() < 1000
