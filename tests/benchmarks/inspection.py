"""How long it takes to look at a model of the zoo: warm, in a new process, and to relabel and count 5,000 modules."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.big_config import write_big_config
from tests.benchmarks.figure import Figure, quantile

RUNS = 5
WARM, COLD, RECOUNT = 0.5, 10.0, 5.0
LARGEST = "inkling_mm_model"
"""By parameters, 1,740 B of them."""
MOST_MODULES = "gemma3n"
"""Of those that the zoo holds, more than any other that is seen by a person."""
MODULES = 5_000
COLD_CODE = """
from pathlib import Path
from core.models.inspection import inspect_source
from core.spec import Source
import sys
inspect_source(Source("folder", sys.argv[1]))
"""


def measure() -> Iterator[Figure]:
    """Seconds of `inspect_source` without a cache, and milliseconds of a recount."""
    from core.models.build import build_on_meta
    from core.models.source import DEMO_MODEL, resolve
    from core.models.zoo import architectures, as_source

    build_on_meta(resolve(DEMO_MODEL))
    by_name = {architecture.name: architecture for architecture in architectures()}
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        yield _warm("72 B", write_big_config(Path(folder)))
    for name in (LARGEST, MOST_MODULES):
        with as_source(name, by_name[name].config) as resolved:
            yield _warm(name, resolved.folder)
            if name == LARGEST:
                yield _cold(name, resolved.folder)
    yield from _recount()


def _warm(name: str, folder: Path) -> Figure:
    from core.models.inspection import inspect_source
    from core.spec import Source

    source = Source("folder", str(folder))
    took = []
    for _ in range(RUNS + 1):
        began = time.monotonic()
        made = inspect_source(source)
        took.append(time.monotonic() - began)
    size = f"{made.total_params / 1e9:.1f} B, {len(made.modules):,} modules"
    more = f"{size}; slowest of {RUNS} {max(took[1:]):.2f} s, first in the process {took[0]:.2f} s"
    return Figure(f"inspection of {name}, warm", quantile(took[1:], 0.5), "s", WARM, more=more)


def _cold(name: str, folder: Path) -> Figure:
    """In a new process, its imports included."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", COLD_CODE, str(folder)], check=True, capture_output=True)
    return Figure(f"inspection of {name}, cold", time.monotonic() - began, "s", COLD)


def _recount() -> Iterator[Figure]:
    """Relabels a part, then counts; each on 5,000 modules of a real model."""
    from core.lora.budget import budget
    from core.lora.plan import make_plan
    from core.lora.selection import available_cells
    from core.models.inspection import inspect_source
    from core.models.relabel import relabelled
    from core.models.source import DEMO_MODEL
    from core.spec import Recipe, Selection

    made = inspect_source(DEMO_MODEL)
    layers = [module for module in made.modules if module.adaptable and module.kind == "Linear"]
    many = tuple(
        replace(layers[i % len(layers)], name=f"part{i % 8}.{i}.{layers[i % len(layers)].name}") for i in range(MODULES)
    )
    made = replace(made, modules=many, total_params=sum(module.params for module in many))
    plan = make_plan(made, Selection(cells=tuple(available_cells(made))), Recipe(16, 32.0))
    changed, counted = (lambda: relabelled(made, {"part3": "audio"})), (lambda: budget(made, plan))
    both = _milliseconds(lambda: (changed(), counted()))
    each = f"relabelling {min(_milliseconds(changed)):.1f} ms, counting {min(_milliseconds(counted)):.1f} ms"
    more = f"best {min(both):.1f} ms: {each} at best"
    name = "relabel a part of 5,000 modules, count them with the adapter's bytes"
    yield Figure(name, quantile(both, 0.5), "ms", RECOUNT, more=more)
    yield _advice()


def _advice() -> Figure:
    """All the advice on a choice of 5,000 modules."""
    from core.lora.advice import advise
    from core.lora.budget import budget
    from core.lora.plan import make_plan
    from core.spec import Recipe, Selection, Settings
    from tests.lora.test_advice import BOTH, model

    made, recipe = model(layers=833), Recipe(512, 2, 0.2)
    selection = Selection(cells=(*BOTH, "vision.mlp", "language.mlp"))
    plan, settings = make_plan(made, selection, recipe), Settings(learning_rate=0.5, steps=5000)
    counted = budget(made, plan).trainable
    took = _milliseconds(
        lambda: advise(made, selection, recipe, plan, settings, 16, preset="medical", data="digits", trainable=counted)
    )
    return Figure(f"advice on {len(made.modules):,} modules", min(took), "ms", RECOUNT)


def _milliseconds(work: Callable[[], object]) -> list[float]:
    """Processor time of each of some runs: other work on the machine counts as far as it slows the processor down."""
    took = []
    for _ in range(10 * RUNS):
        began = time.process_time()
        work()
        took.append(1000 * (time.process_time() - began))
    return took
