"""A job over a million stored rows beside one over ten thousand: how long it takes to begin, and its peak memory.

Each job is a process of its own on the demo model, in turn, A B A B; the clock runs from after the imports to the
first step's point. What it does not do: import the rows from a table (see `data`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from statistics import median, stdev

import pyarrow as pa
from PIL import Image

from core.cli.jobs import demo_spec
from core.data.rows import PictureInMemory, ask
from core.data.storing.set_files import PictureWriter, RowWriter
from core.data.storing.stored import ABOUT, BATCH, HELDOUT, TRAIN
from core.spec import Imported, Reading, Report, Source, write
from tests.benchmarks.figure import Figure

ROUNDS = 3
FEW, MANY = 10_000, 1_000_000
CHILD = """
import json, re, sys, threading, time
from pathlib import Path
import core.training.job
from core.training.worker import run
status, peak = Path("/proc/self/status"), [0]
def watch():
    while True:
        peak[0] = max(peak[0], int(re.search(r"RssAnon:\\s+(\\d+)", status.read_text())[1]))
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
began = time.time()
code = run(Path(sys.argv[1]))
points = [json.loads(line) for line in (Path(sys.argv[1]) / "metrics.jsonl").read_text().splitlines()]
first = next(point["time"] for point in points if point["kind"] == "train")
print(json.dumps([code, first - began, peak[0] / 1024]))
"""
"""Runs a job -> its exit code, seconds until the first step was done, and the peak of its own memory in MiB. Pages of
files that are mapped into memory are left out: they are the system's to keep or to drop."""


def measure() -> Iterator[Figure]:
    """Seconds and MiB of the large job divided by, or less, those of the small one."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        sets = {count: big_set(Path(folder) / "sets", count) for count in (FEW, MANY)}
        found = {count: [] for count in (FEW, MANY)}
        for number in range(ROUNDS):
            for count, name in sets.items():
                found[count].append(_run(Path(folder), name, f"{count}-{number}"))
    seconds = {count: median(each[0] for each in runs) for count, runs in found.items()}
    memory = {count: median(each[1] for each in runs) for count, runs in found.items()}
    more = f"{seconds[MANY]:.2f} s against {seconds[FEW]:.2f} s until the first step, A B A B, medians of {ROUNDS}"
    ratios = [many[0] / few[0] for few, many in zip(found[FEW], found[MANY], strict=True)]
    error = stdev(ratios) / ROUNDS**0.5
    yield Figure("start with 1,000,000 rows to 10,000", median(ratios), "x", 1.2, error, more)
    more = f"peaks of {memory[MANY]:.0f} and {memory[FEW]:.0f} MiB"
    yield Figure("memory of 990,000 rows more", memory[MANY] - memory[FEW], "MiB", 32, more=more)


def big_set(sets: Path, count: int) -> str:
    """A stored set of about so many short rows on a few pictures, written in whole batches -> its name."""
    name = f"{count:064x}"
    folder = sets / name
    folder.mkdir(parents=True)
    pictures = [PictureInMemory(Image.new("RGB", (48, 48), (9 * n, 90, 200 - 9 * n)), f"{n}") for n in range(16)]
    with PictureWriter(folder, "") as writer:
        for picture in pictures:
            file = BytesIO()
            picture.open().save(file, "PNG")
            writer.add(file.getvalue(), (48, 48), "png")
    numbers = {picture: number for number, picture in enumerate(pictures)}
    rows = [ask(pictures[n % 16], f"Which shade is number {n}?", f"{n % 16}") for n in range(BATCH)]
    for side, batches in ((TRAIN, -(-count // BATCH)), (HELDOUT, 1)):
        _repeat(folder / side, rows, numbers, batches)
    report = Report(rows=count, usable=count, train=count, heldout=BATCH, pictures=len(pictures))
    about = Imported(name, "Shades", "made", Reading("vqa"), report, count, BATCH, len(pictures), time.time())
    write(about, folder / ABOUT)
    return name


def _repeat(path: Path, rows: list, numbers: dict, batches: int) -> None:
    """One batch of rows, again and again."""
    one = path.with_suffix(".one")
    writer = RowWriter(one)
    with writer.file:
        for row in rows:
            writer.add(row, numbers)
    batch = pa.ipc.open_file(pa.memory_map(str(one))).get_batch(0)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as file:
        for _ in range(batches):
            file.write_batch(batch)
    one.unlink()


def _run(folder: Path, name: str, job: str) -> tuple[float, float]:
    """Seconds until the first step, and the peak memory (MiB), of a job of two steps."""
    spec = demo_spec("digits")
    settings = replace(spec.settings, steps=2, eval_every=2, eval_rows=4, final_rows=4, sample_count=0)
    place = folder / job
    place.mkdir()
    (place / "data").symlink_to(folder / "sets")
    write(replace(spec, data=Source("stored", name), settings=settings), place / "spec.json")
    made = subprocess.run([sys.executable, "-c", CHILD, str(place)], capture_output=True, text=True, timeout=600)
    code, seconds, peak = json.loads(made.stdout.splitlines()[-1])
    if code != 0:
        raise AssertionError((place / "status.json").read_text())
    return float(seconds), float(peak)
