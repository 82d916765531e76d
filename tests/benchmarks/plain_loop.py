"""The worker against the shortest loop that trains the same adapter on the same rows with PEFT alone.

The loop finds its batches ready made, computes the model's own loss and reports nothing: all that the worker does
beside learning (points, status, looking for a stop, TRL's trainer) is its overhead, and what it saves is its gain.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from core.cli.jobs import demo_spec
from core.data.rows import Row
from core.data.source import load_dataset
from core.spec import Spec, write
from tests.benchmarks.figure import Figure
from tests.benchmarks.studio import points

ROUNDS = 3
STEPS = 70
WARM = 10
"""Steps at the beginning that do not count."""


def measure() -> Iterator[Figure]:
    """The worker's steps per second divided by the loop's, the median over the rounds; both in this process."""
    spec = demo_spec("digits")
    settings = replace(spec.settings, steps=STEPS, eval_every=STEPS, eval_rows=1, final_rows=1)
    spec = replace(spec, settings=settings)
    pairs = [(_worker(spec), _loop(spec)) for _ in range(ROUNDS)]
    ratios = ", ".join(f"{ours / plain:.2f}" for ours, plain in pairs)
    ours, plain = (median(speeds) for speeds in zip(*pairs, strict=True))
    more = f"median of {ratios}; {ours:.1f} against {plain:.1f} steps/s of {settings.batch_size} rows, A B A B"
    yield Figure("worker to plain loop", median(a / b for a, b in pairs), "x", None, more=more)


def _worker(spec: Spec) -> float:
    """Steps per second of the worker, by the points that it writes."""
    from core.training.worker import run

    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        write(spec, Path(folder) / "spec.json")
        with (Path(folder) / "worker.log").open("w") as log, redirect_stdout(log), redirect_stderr(log):
            ended = run(Path(folder))
        if ended != 0:
            raise AssertionError((Path(folder) / "worker.log").read_text())
        times = [point["time"] for point in points(Path(folder), "train")]
    return (STEPS - WARM) / float(times[-1] - times[WARM - 1])


def _loop(spec: Spec) -> float:
    """Steps per second of the plain loop; it computes with as many threads as the worker has chosen before it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from core.models.source import DEMO_MODEL, resolve

    place = resolve(DEMO_MODEL).folder
    processor = AutoProcessor.from_pretrained(place)
    model = AutoModelForImageTextToText.from_pretrained(place)
    plan = spec.plan
    config = LoraConfig(r=plan.rank, lora_alpha=plan.alpha, target_modules=list(plan.target_modules))
    model = get_peft_model(model, config).train()
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=spec.settings.learning_rate)
    batches = _batches(processor, load_dataset(spec.data).train, spec.settings.batch_size)
    began = 0.0
    for step in range(STEPS):
        if step == WARM:
            began = time.monotonic()
        model(**batches[step % len(batches)]).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), spec.settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
    return (STEPS - WARM) / (time.monotonic() - began)


def _batches(processor: Any, rows: tuple[Row, ...], size: int) -> list[dict[str, Any]]:
    """Every row once, processed before the clock runs; the answer alone is learned."""
    return [_batch(processor, rows[start : start + size]) for start in range(0, len(rows) - size + 1, size)]


def _batch(processor: Any, rows: tuple[Row, ...]) -> dict[str, Any]:
    turns = [[_user(row), {"role": "assistant", "content": [{"type": "text", "text": row.answer}]}] for row in rows]
    options = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
    batch = dict(processor.apply_chat_template(turns, processor_kwargs={"padding": True}, **options))
    labels = batch["input_ids"].clone()
    for i, row in enumerate(rows):
        prompt = processor.apply_chat_template([_user(row)], add_generation_prompt=True, **options)
        labels[i, : prompt["input_ids"].shape[1]] = -100
    labels[batch["attention_mask"] == 0] = -100
    return {**batch, "labels": labels}


def _user(row: Row) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"type": "image", "image": row.picture.open()}, {"type": "text", "text": row.question}],
    }
