"""How long data take: 10,000 rows with photographs checked and stored, a million rows opened.

The machine may be busy with other work, so processor time over its two cores is given beside the time of the clock:
less it cannot take on them.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks.figure import Figure, quantile

ROWS, SIZE = 10_000, (640, 480)
CHECK, PREVIEW = 30.0, 2.0
MANY, MILLION = 100_000, 1_000_000
CORES = 2
OPEN_CODE = """
import resource, sys, time
from pathlib import Path
from core.data.source import load_dataset
from core.spec import Source
import pyarrow
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
data = load_dataset(Source("stored", sys.argv[2]), Path(sys.argv[1]))
rows = len(data.train)
first = time.perf_counter() - began
last = data.train[rows - 1], data.train[rows // 2]
took = time.perf_counter() - began
print(first, took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def measure() -> Iterator[Figure]:
    """Seconds for 10,000 rows, and for opening a million."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        root = Path(folder)
        _make(root / "photos")
        yield from _check_and_store(root)
        yield from _texts(root)
        yield from _open(root / "sets")
    yield _preview()


def _preview() -> Figure:
    """Four rows of the demo as the model gets them, once one has been shown."""
    from core.data.previewing.preview import encoder_of, preview
    from core.data.source import load_dataset
    from core.models.source import DEMO_MODEL
    from core.spec import Source

    rows, encoder = load_dataset(Source("demo", "digits")).train, encoder_of(DEMO_MODEL)
    preview(encoder, rows[10])
    began = time.process_time()
    for row in rows[:4]:
        preview(encoder, row)
    return Figure("preview of four rows", time.process_time() - began, "s", 0.3)


def _make(folder: Path) -> None:
    """Rows about photographs: soft patterns with grain, JPEG of quality 85, about 60 kB each."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    dice = np.random.default_rng(0)
    grain = [dice.normal(0, 6, (SIZE[1], SIZE[0], 1)).astype(np.float32) for _ in range(8)]
    with (folder / "rows.jsonl").open("w") as rows:
        for number in range(ROWS):
            spots = Image.fromarray(dice.integers(0, 256, (12, 16, 3), dtype=np.uint8))
            soft = np.asarray(spots.resize(SIZE, Image.Resampling.BICUBIC), np.float32) + grain[number % 8]
            name = f"{number:05}.jpg"
            Image.fromarray(soft.clip(0, 255).astype(np.uint8)).save(folder / name, quality=85)
            answer = random.Random(number).choice(("a cat", "a dog", "a bird"))
            rows.write(
                json.dumps({"image": name, "question": f"What is on picture {number}?", "answer": answer}) + "\n"
            )


def _check_and_store(root: Path) -> Iterator[Figure]:
    from core.data.checking.checks import check
    from core.data.checking.looks import Looks
    from core.data.files.tree import tree_of_folder
    from core.data.formats.recognition import recognise
    from core.data.formats.records import records
    from core.data.storing.importing import store

    tree, took = _timed(lambda: tree_of_folder(root / "photos"))
    guess, more = _timed(lambda: recognise(tree))
    _, rows = _timed(lambda: list(records(tree, guess.reading, 24)))
    yield _figure("10,000 photographs: files to first rows", [took, more, rows], PREVIEW)
    looks = Looks(root / "looks")
    told: list[int] = []
    report, took = _timed(lambda: check(tree, guess.reading, lambda done, _: told.append(done), looks=looks))
    size = sum(path.stat().st_size for path in (root / "photos").iterdir()) / 1e6
    yield _figure(
        "check 10,000 rows with photographs", [took], CHECK, f"{size:,.0f} MB, told {len(told):,} times how far"
    )
    again, took = _timed(lambda: check(tree, guess.reading, looks=Looks(root / "looks")))
    assert again == report
    yield _figure("check them again", [took])
    made, took = _timed(lambda: store(tree, guess.reading, report, root / "sets", "t", "o", looks=looks))
    yield _figure("store them", [took], more=f"{made.size / 1e6:,.0f} MB")
    fewer = replace(guess.reading, drop_rows=(), split=replace(guess.reading.split, seed=1))
    _, took = _timed(lambda: store(tree, fewer, None, root / "sets", "t", "o", looks=looks))
    yield _figure("store another split of them", [took], more="pictures shared by a link")


def _texts(root: Path) -> Iterator[Figure]:
    """Many rows about few pictures: what the words cost, and the memory."""
    from core.data.checking.checks import check
    from core.data.files.tree import tree_of_folder
    from core.data.formats.recognition import recognise
    from core.data.storing.importing import store

    _make_texts(root / "texts", MANY)
    tree = tree_of_folder(root / "texts")
    reading = recognise(tree).reading
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report, took = _timed(lambda: check(tree, reading))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    yield _figure(f"check {MANY:,} rows about 100 pictures", [took], more=f"memory grew by {grown:,.0f} MB at most")
    made, took = _timed(lambda: store(tree, reading, report, root / "sets", "t", "o"))
    yield _figure("check them again and store them", [took], more=f"{made.size / 1e6:,.0f} MB")


def _make_texts(folder: Path, count: int) -> None:
    from tests.data.made_data import picture

    folder.mkdir()
    for number in range(100):
        picture(number).save(folder / f"{number}.png")
    with (folder / "rows.jsonl").open("w") as rows:
        for number in range(count):
            row = {"image": f"{number % 100}.png", "question": f"What is in {number}?", "answer": f"It is {number}."}
            rows.write(json.dumps(row) + "\n")


def _open(root: Path) -> Iterator[Figure]:
    """A million rows against ten thousand, each in a new process."""
    for count in (10_000, MILLION):
        name = f"{count:064x}"
        _write_set(root / name, count)
        runs = [_run_open(root, name) for _ in range(5)]
        opened, read, grown = (quantile([run[part] for run in runs], 0.5) for part in range(3))
        more = f"with two of its rows {1000 * read:.1f} ms; memory grew by {grown:.1f} MB; median of 5 processes"
        yield Figure(f"open a stored set of {count:,} rows", 1000 * opened, "ms", more=more)


def _write_set(folder: Path, count: int) -> None:
    """A stored set of so many rows without pictures."""
    from core.data.rows import ask
    from core.data.storing.set_files import PictureWriter, RowWriter
    from core.data.storing.stored import ABOUT, HELDOUT, TRAIN
    from core.spec import Imported, Reading, Report, write

    folder.mkdir()
    for name, rows in ((TRAIN, count - 1000), (HELDOUT, 1000)):
        writer = RowWriter(folder / name)
        with writer.file:
            for number in range(rows):
                writer.add(ask((), f"What is in {number}?", f"It is {number}."), {})
    with PictureWriter(folder, "none"):
        pass
    report = Report(count, count, count - 1000, 1000, 0)
    write(Imported(folder.name, "t", "o", Reading("vqa"), report, count - 1000, 1000, 0, 0.0), folder / ABOUT)


def _run_open(sets: Path, name: str) -> list[float]:
    ran = subprocess.run([sys.executable, "-c", OPEN_CODE, str(sets), name], check=True, capture_output=True, text=True)
    return [float(part) for part in ran.stdout.split()]


def _timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What came out, with seconds of the clock and of the processor."""
    began, busy = time.monotonic(), time.process_time()
    made = work()
    return made, (time.monotonic() - began, time.process_time() - busy)


def _figure(name: str, took: list[tuple[float, float]], limit: float | None = None, more: str = "") -> Figure:
    """Judged by the clock, or by the processor time on both cores where other work slowed the clock."""
    clock, busy = (sum(each[part] for each in took) for part in range(2))
    told = f"clock; processor time {busy:.2f} s, so at least {busy / CORES:.2f} s on {CORES} cores; {more}".rstrip("; ")
    return Figure(name, clock, "s", limit, more=told)
