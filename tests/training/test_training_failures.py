"""Whatever goes wrong, the person gets a sentence, the log the rest, and `adapter/` is whole or absent."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.errors import DataError, InspectionError
from core.spec import Source, Status, write
from core.training import worker
from core.training.looks import Looks
from core.training.metrics import Metrics
from core.training.trainer import StudioTrainer
from core.training.worker import main, run
from tests.training.short_jobs import make_spec, of_kind, status_of

ROOT = Path(__file__).resolve().parents[2]


def failed(folder: Path) -> Status:
    """Runs a job that has to fail, and checks what every failure has in common."""
    assert run(folder) == 1
    status = status_of(folder)
    assert status.state == "failed"
    assert status.error.endswith(".")
    assert "Traceback" not in status.error
    assert str(folder) not in status.error
    assert not (folder / "adapter").exists()
    assert not (folder / "adapter.tmp").exists()
    return status


def test_another_count_than_promised_is_refused(new_job: Callable[..., Path], colours: Source) -> None:
    right = make_spec(colours).trainable
    folder = new_job(trainable=right + 1)
    error = failed(folder).error
    assert f"{right:,}" in error
    assert f"{right + 1:,}" in error
    assert of_kind(folder, "train") == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 1}'])
def test_a_broken_spec_is_said_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "spec.json").write_text(text)
    assert "Spec" in failed(tmp_path).error


def test_a_missing_spec_is_said_in_words(tmp_path: Path) -> None:
    assert "spec.json" in failed(tmp_path).error


def test_a_row_that_cannot_be_used_ends_the_job_and_what_was_learned_is_kept(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of very many rows not all are looked at before; one of the others may be too long, or its picture gone."""
    step, done = StudioTrainer.training_step, []

    def broken(self: StudioTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        done.append(step)
        if len(done) > 3:
            raise DataError("The row at q.csv, row 7 was read", "it has 900 tokens and the limit is 512", "Shorten it")
        return step(self, *args, **kwargs)

    folder = new_job()
    monkeypatch.setattr(StudioTrainer, "training_step", broken)
    assert run(folder) == 1
    status = status_of(folder)
    assert status.state == "failed"
    assert "q.csv, row 7" in (status.error or "")
    assert status.step == 3
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md"} <= {
        path.name for path in (folder / "adapter").iterdir()
    }
    assert f"The training broke off after step {status.step} of" in (folder / "adapter" / "README.md").read_text()


def test_a_full_disk_while_training(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    add = Metrics.add

    def full(self: Metrics, kind: str, **values: object) -> None:
        if kind == "train" and values["step"] == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        add(self, kind, **values)

    monkeypatch.setattr(Metrics, "add", full)
    assert "the disk is full" in failed(new_job()).error


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
def test_a_really_full_disk(new_job: Callable[..., Path]) -> None:
    folder = new_job()
    (folder / "metrics.jsonl").symlink_to("/dev/full")
    assert "the disk is full" in failed(folder).error


def test_a_full_disk_while_saving(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("core.training.saving.write_card", full)
    assert "the disk is full" in failed(new_job(steps=1)).error


def test_a_full_disk_that_takes_not_even_the_status(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("core.training.status.write", full)
    assert run(new_job()) == 1
    assert "No space left" in capfd.readouterr().err


def test_what_was_learned_is_kept_when_the_last_look_fails(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Looks.quick

    def broken(self: Looks, step: int, *arguments: object) -> object:
        if step:
            raise MemoryError
        return quick(self, step, *arguments)

    monkeypatch.setattr(Looks, "quick", broken)
    folder = new_job(steps=2)
    assert run(folder) == 1
    assert status_of(folder).state == "failed"
    names = {path.name for path in (folder / "adapter").iterdir()}
    assert names == {"adapter_model.safetensors", "adapter_config.json", "README.md", "curves.svg"}


def test_a_loss_that_is_no_number_from_the_first_step_on_leaves_no_adapter(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = StudioTrainer.compute_loss
    monkeypatch.setattr(StudioTrainer, "compute_loss", lambda *args, **kwargs: compute(*args, **kwargs) * torch.nan)
    folder = new_job()
    error = failed(folder).error
    assert "At step 1 the loss was no number (NaN)" in error
    assert "learning rate ten times smaller" in error
    (point,) = of_kind(folder, "train")
    assert point["loss"] is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "the memory did not suffice: More was asked for with"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 3145728 bytes"),
            "3 MiB more were asked for",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "2.0 GiB more were asked for"),
        (PermissionError(errno.EACCES, "Permission denied", "/secret/place"), "rights"),
        (KeyError("/secret/place"), "unexpected happened (KeyError)"),
    ],
)
def test_what_libraries_raise_becomes_a_sentence(
    new_job: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
    words: str,
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("core.training.job.make_trainer", broken)
    said = failed(new_job()).error
    assert words in said
    assert "/secret" not in said
    assert "Traceback" in capfd.readouterr().err


def test_memory_that_runs_out_while_training_becomes_advice_with_numbers(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = StudioTrainer.training_step

    def short(self: StudioTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        if self.state.global_step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has ...")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(StudioTrainer, "training_step", short)
    folder = new_job(batch_size=8)
    assert run(folder) == 1
    status = status_of(folder)
    assert (status.state, status.step) == ("failed", 2)
    assert (folder / "adapter" / "adapter_model.safetensors").is_file(), "what was learned until then is kept"
    (point,) = of_kind(folder, "diagnosis")
    assert point["title"] == "The memory did not suffice"
    assert "512 MiB more were asked for" in point["text"]
    assert "estimated at" in point["text"]
    assert re.search(r"take \d rows? at a time, \d times a step", point["remedy"])
    assert re.search(r"which saves [\d.]+ [MG]iB", point["remedy"])
    assert status.error == f"The job was run: the memory did not suffice: {point['text']} {point['remedy']}."


def test_memory_that_runs_out_on_a_model_without_an_estimate_is_advice_too(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_estimate(*_: object) -> None:
        raise InspectionError("An estimate was asked for", "there is none", "Try it")

    def short(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("core.training.shortage.estimate", no_estimate)
    monkeypatch.setattr(StudioTrainer, "training_step", short)
    error = failed(new_job()).error
    assert "GiB in use by this job" in error
    assert "fewer rows at a time" in error


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to such a limit")
def test_memory_that_really_runs_out(new_job: Callable[..., Path]) -> None:
    """The process may have a little more address space than it has at the first step, which then asks for a lot."""
    folder = new_job(steps=2)
    code = (
        "import resource, sys; from pathlib import Path; import torch\n"
        "from core.training.trainer import StudioTrainer; from core.training.worker import run\n"
        "def short(self, *args, **kwargs):\n"
        "    now = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (now + 2**30, resource.RLIM_INFINITY))\n"
        "    try: torch.ones(2**30)\n"
        "    finally: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "StudioTrainer.training_step = short\n"
        "sys.exit(run(Path(sys.argv[1])))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT).returncode == 1
    (point,) = of_kind(folder, "diagnosis")
    assert "4.0 GiB more were asked for" in point["text"]
    assert "saves" in point["remedy"]


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    from PIL import Image

    data = tmp_path / "data"
    data.mkdir()
    for index in range(4):
        Image.new("RGB", (48, 48)).save(data / f"{index}.png")
    lines = [{"file_name": f"{index}.png", "question": "What?", "answer": "black"} for index in range(4)]
    (data / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for index in range(4):
        (data / f"{index}.png").write_bytes(b"no picture")
    job = tmp_path / "job"
    job.mkdir()
    write(make_spec(Source("folder", str(data))), job / "spec.json")
    assert ".png” was opened: it is text and no picture" in failed(job).error


def test_data_that_are_not_there_are_named(tmp_path: Path) -> None:
    write(make_spec(Source("demo", "nothing")), tmp_path / "spec.json")
    assert "no demo data set has this name" in failed(tmp_path).error


def test_wrong_arguments_are_answered_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "JOB_DIR" in capsys.readouterr().err


def test_the_precision_is_the_jobs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer would read fp16, and scale its gradients, out of `accelerate launch`'s variable."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("core.training.worker.keep_one_gpu", lambda: None)
    worker._keep_to_itself()
    assert "ACCELERATE_MIXED_PRECISION" not in os.environ
