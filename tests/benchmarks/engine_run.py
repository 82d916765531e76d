"""One training run in a process of its own: `python -m tests.benchmarks.engine_run PROGRAM FOLDER` prints its figures.

PROGRAM is `trl` (SFTTrainer as it comes), `trl-kept` (the same with checkpointing off), `worker` (ours), or `trainer`
(ours without points, status and looks). FOLDER holds `spec.json`. On a CPU all compute with one thread.

`wall` and `cpu` are the training alone, from its first batch to its last step: the caches are filled in it, but for the
few pictures by which the levers were tried. `whole` is the processor's time from when the model is loaded to the end of
the training: putting the adapter on, trying the levers, hashing the frozen weights and making the trainer are in it;
the look at held-out rows before is not, which TRL does not have.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from core.spec import Spec, read


def main(program: str, folder: Path) -> int:
    """Prints seconds (of the wall, of the processor), the peak memory in bytes, and the losses."""
    import torch

    torch.set_num_threads(1)
    spec = read(Spec, folder / "spec.json")
    found = {"trl": _trl, "trl-kept": _trl, "worker": _worker, "trainer": _trainer}[program](program, folder, spec)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_reserved()
    print(json.dumps({**found, "peak": peak}))
    return 0


class Clock:
    """Seconds of the processor since the model was loaded, without those that are taken out."""

    def __init__(self) -> None:
        self._since, self._out = time.process_time(), 0.0

    def start(self, load: Callable[..., Any]) -> Callable[..., Any]:
        """The same function; when it is done, the time begins."""

        def loaded(*args: Any, **kwargs: Any) -> Any:
            made = load(*args, **kwargs)
            self._since, self._out = time.process_time(), 0.0
            return made

        return loaded

    def without(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose time is taken out."""

        def apart(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            made = work(*args, **kwargs)
            self._out += time.process_time() - began
            return made

        return apart

    def passed(self) -> dict[str, float]:
        """Until now."""
        return {"whole": time.process_time() - self._since - self._out}


def _timed(work: Callable[[], Any]) -> dict[str, float]:
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}


def _trl(program: str, folder: Path, spec: Spec) -> dict[str, Any]:
    """TRL's trainer on the same rows in the same order, with the same adapter and seed."""
    import torch
    from trl import SFTConfig, SFTTrainer

    from core.data.source import load_dataset
    from core.models.device import choose_device
    from core.models.loading import load_model, load_processor
    from core.training.preparing import wrap

    settings = spec.settings
    data = load_dataset(spec.data)
    options: dict[str, Any] = {} if program == "trl" else {"gradient_checkpointing": False}
    device, dtype, _ = choose_device(settings.precision)
    clock = Clock()
    model = clock.start(load_model)(spec.model, device, dtype)
    wrapped = wrap(model, spec, len(data.train))
    trainer = SFTTrainer(
        model=wrapped,
        args=SFTConfig(
            output_dir=str(folder / "trl"), max_steps=settings.total_steps(len(data.train)),
            per_device_train_batch_size=settings.batch_size, learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine", warmup_steps=settings.warmup_share, weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm, seed=settings.seed, bf16=dtype == torch.bfloat16,
            use_cpu=device == "cpu", max_length=None,
            save_strategy="no", logging_steps=1, report_to="none", disable_tqdm=True,
            train_sampling_strategy="sequential", **options,
        ),
        train_dataset=_table(data.train, settings),
        processing_class=load_processor(spec.model),
    )  # fmt: skip
    took = _timed(trainer.train) | clock.passed()
    return took | {"losses": [float(line["loss"]) for line in trainer.state.log_history if "loss" in line]}


def _table(rows: Any, settings: Any) -> Any:
    """Every row as often as it is learned, in the order in which ours learns them."""
    from datasets import Dataset

    from core.training.levers.shared_pictures import ShuffledPictures, sharing
    from core.training.trainer import ShuffledRows

    order: Iterable[int] = ShuffledRows(len(rows), settings.seed)
    if settings.order == "pictures":
        order = ShuffledPictures(sharing(rows, None, lambda: None).keys, settings.seed)
    turns = [rows[index] for _ in range(round(settings.epochs)) for index in order]
    return Dataset.from_list([_conversation(row) for row in turns])


def _conversation(row: Any) -> dict[str, Any]:
    asked = [{"type": "image"}, {"type": "text", "text": row.question}]
    return {
        "prompt": [{"role": "user", "content": asked}],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": row.answer}]}],
        "images": [row.picture.open()],
    }


def _worker(program: str, folder: Path, spec: Spec) -> dict[str, Any]:
    """The whole worker, with its looks and its proof; timed is what the module says."""
    from core.training import job, preparing
    from core.training.trainer import StudioTrainer
    from core.training.worker import run

    took: dict[str, float] = {}
    clock, train = Clock(), StudioTrainer.train

    def timed(self: StudioTrainer, *args: Any, **kwargs: Any) -> Any:
        took.update(_timed(lambda: train(self, *args, **kwargs)) | clock.passed())

    preparing.load_model = clock.start(preparing.load_model)
    job._look_before = clock.without(job._look_before)
    StudioTrainer.train = timed  # type: ignore[method-assign]
    out = os.dup(1)
    os.dup2(2, 1)
    ended = run(folder)
    os.dup2(out, 1)
    if ended:
        raise AssertionError((folder / "status.json").read_text())
    points = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    notes = [point for point in points if point["kind"] in ("lever", "choice")]
    return took | {"losses": [point["loss"] for point in points if point["kind"] == "train"], "notes": notes}


def _trainer(program: str, folder: Path, spec: Spec) -> dict[str, Any]:
    """Our trainer without what reports on it."""
    from core.training.trainer import StudioTrainer

    StudioTrainer.add_callback = lambda self, callback: None  # type: ignore[method-assign]
    return _worker(program, folder, spec)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
