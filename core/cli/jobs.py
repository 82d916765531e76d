"""The commands about jobs: `spec` writes one to start from, `train` runs one and waits, `jobs` lists them.

`train` starts the same worker in the same data folder as the page does, so the page shows the job as well.
What it does not do: train in its own process.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.adapters.bundle import adapter_folder, copy_adapter
from core.cli.choice import data_source, guess_note, load_named, say
from core.cli.settings_flags import add_settings_flags, with_settings
from core.errors import AdapterError, SpecError
from core.evaluation.measures import LABELS, main_value
from core.export.choice_file import read_choice
from core.jobs.home import LOCAL_OWNER
from core.jobs.local import LocalBackend
from core.lora.budget import budget
from core.lora.limits import refuse_impossible
from core.lora.plan import make_plan
from core.lora.presets import usual_cells
from core.models.inspection import inspect_source
from core.models.relabel import relabelled
from core.models.source import DEMO_MODEL, parse_source
from core.models.trainable import refuse_untrainable
from core.spec import ENDED, Plan, Recipe, Score, Selection, Settings, Source, Spec, Status, read, to_dict, to_json

LOOK_EVERY = 0.25
"""Seconds between two looks at a running job."""


def add_commands(commands: Any) -> None:
    """Adds `spec`, `train` and `jobs` to the parsers of the command line."""
    spec = commands.add_parser("spec", help="a spec, of a demo to start from or of a choice in a file")
    of = spec.add_mutually_exclusive_group(required=True)
    of.add_argument("--demo", metavar="NAME", help="name of a demo data set, such as digits")
    of.add_argument(
        "--data", metavar="DATA", help="a folder, or stored:HASH as `data import` prints it, on the demo model"
    )
    of.add_argument("--config", type=Path, metavar="FILE", help="what `export --format yaml --data ...` prints")
    spec.set_defaults(run=run_spec)
    train = commands.add_parser("train", help="run a job and wait for it; Ctrl-C stops and saves")
    what = train.add_mutually_exclusive_group(required=True)
    what.add_argument("spec", nargs="?", type=Path, metavar="SPEC.json")
    what.add_argument("--demo", metavar="NAME", help="the spec of this demo data set instead of a file")
    train.add_argument("--learning-rate", type=float, metavar="N", help="peak of the schedule")
    train.add_argument("--out", type=Path, metavar="DIR", help="copy the adapter there as well")
    train.add_argument("--json", action="store_true", help="the result as one JSON object in the last line")
    add_settings_flags(train)
    train.set_defaults(run=run_train)
    jobs = commands.add_parser("jobs", help="the jobs of this data folder, newest first")
    jobs.add_argument("--json", action="store_true", help="one JSON array")
    jobs.set_defaults(run=run_jobs)


def run_spec(options: argparse.Namespace) -> int:
    """`spec`: a spec on stdout."""
    if options.config:
        spec = spec_of_file(options.config)
    else:
        spec = usual_spec(Source("demo", options.demo) if options.demo else data_source(options.data))
    print(to_json(spec, indent=2))
    return 0


def run_train(options: argparse.Namespace) -> int:
    """`train`: 0 when the job finished or was stopped, 1 when it failed or was lost."""
    spec = demo_spec(options.demo) if options.demo else read(Spec, options.spec)
    settings = with_settings(options, spec.settings)
    if options.learning_rate is not None:
        settings = replace(settings, learning_rate=options.learning_rate)
    spec = replace(spec, settings=settings)
    if options.out:
        _refuse_unwritable(options.out.absolute())
    _look_over(spec)
    backend = LocalBackend()
    job = backend.submit(spec, LOCAL_OWNER)
    status = _follow(backend, job)
    adapter = _adapter(backend.folder(job, LOCAL_OWNER), options.out)
    if status.error:
        print(status.error, file=sys.stderr)
    print(_result_line(job, status, adapter) if options.json else _result_words(status, adapter), flush=True)
    return 0 if status.state in ("finished", "stopped") else 1


def _look_over(spec: Spec) -> None:
    """Says which trained parts are no more than a guess.

    Raises:
        SourceError: a model that cannot be trained.
        PlanError: what cannot be, before a worker is started for it.
    """
    labelled = relabelled(inspect_source(spec.model), spec.selection.relabels)
    refuse_untrainable(labelled)
    refuse_impossible(spec.plan, labelled, spec.settings)
    say(guess_note(labelled, spec.plan))


def run_jobs(options: argparse.Namespace) -> int:
    """`jobs`: what has run and runs here."""
    rows = LocalBackend().jobs(LOCAL_OWNER)
    if options.json:
        keys = ("id", "name", "state", "created", "reason")
        print(json.dumps([{key: getattr(row, key) for key in keys} | {"folder": str(row.folder)} for row in rows]))
        return 0
    for row in rows:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created))
        print(f"{row.id}  {when}  {row.state:9} {row.name}")
    return 0


def demo_spec(name: str) -> Spec:
    """The spec of a demo data set on the demo model, as the page begins with it.

    Raises:
        SourceNotFound: there is no such data set.
    """
    return usual_spec(Source("demo", name))


def usual_spec(data: Source) -> Spec:
    """The spec of a data set on the demo model, as the page begins with it.

    Raises:
        SourceNotFound: there is no such data set.
        DataError: it cannot be read.
    """
    title = load_named(data).title
    made = inspect_source(DEMO_MODEL)
    selection = Selection(cells=usual_cells(made))
    plan = make_plan(made, selection, Recipe(Plan.rank, Plan.alpha))
    return Spec(title, made.source, data, selection, plan, Settings(), budget(made, plan).trainable)


def spec_of_file(path: Path) -> Spec:
    """The spec of a choice in a file, which names its model and its data.

    Raises:
        StudioError: the file, the model or the data cannot be read, or what was chosen cannot be.
    """
    choice = read_choice(path)
    if choice.model is None or choice.data is None:
        missing = "model" if choice.model is None else "data"
        raise SpecError(f"A spec of {path.name} was asked for", f"it names no {missing}", f"Add “{missing}: ...”")
    source = data_source(choice.data)
    title = load_named(source).title
    made = inspect_source(parse_source(choice.model))
    labelled = relabelled(made, choice.selection.relabels)
    plan = make_plan(made, choice.selection, choice.recipe)
    refuse_impossible(plan, labelled, choice.settings)
    trainable = budget(labelled, plan).trainable
    return Spec(title, made.source, source, choice.selection, plan, choice.settings, trainable)


def _follow(backend: LocalBackend, job: str) -> Status:
    """Tells stderr how the job goes until it has ended. Ctrl-C asks it to stop and save, a second one ends it."""
    told = _Told(backend, job)
    interrupts = 0
    while True:
        try:
            status = told.look()
            if status.state in ENDED:
                return status
            time.sleep(LOOK_EVERY)
        except KeyboardInterrupt:
            interrupts += 1
            print("Stopping and saving. Ctrl-C again ends it without saving.", file=sys.stderr, flush=True)
            backend.stop(job, LOCAL_OWNER, force=interrupts > 1)


class _Told:
    """What stderr has been told of a job."""

    def __init__(self, backend: LocalBackend, job: str) -> None:
        self._backend, self._job = backend, job
        self._offset, self._phase, self._loss = 0, "", None

    def look(self) -> Status:
        """Tells what is new and returns the status."""
        status = self._backend.status(self._job, LOCAL_OWNER)
        points, self._offset = self._backend.metrics(self._job, LOCAL_OWNER, self._offset)
        for point in points:
            self._tell_point(point, status)
        if status.phase and status.phase != self._phase:
            self._phase = status.phase
            _say(status.phase[0].upper() + status.phase[1:])
        return status

    def _tell_point(self, point: dict[str, Any], status: Status) -> None:
        kind = point.get("kind")
        if kind == "train":
            self._loss = point.get("loss")
        elif kind == "note":
            _say(str(point.get("text")))
        elif kind == "eval":
            _say(_look_words(point, self._loss, status))


def _look_words(point: dict[str, Any], loss: float | None, status: Status) -> str:
    step = point.get("step")
    parts = [f"step {step} of {status.total_steps}" if step else "before training"]
    if loss is not None:
        parts.append(f"loss {loss:.3f}")
    metric = str(point.get("metric") or "exact_match")
    value = main_value(point.get("metrics") or {}, metric, point.get("exact_match"))
    if value is not None:
        parts.append(f"held-out {LABELS[metric]} {100 * value:.1f}% of {point.get('rows')}")
    if status.eta_seconds is not None and status.state == "running":
        parts.append(f"about {status.eta_seconds:.0f} s to go")
    return ", ".join(parts)


def _adapter(folder: Path, out: Path | None) -> Path | None:
    """Where the adapter lies: the copy that was asked for, else the job's own; None when there is none."""
    try:
        made = adapter_folder(folder)
    except AdapterError:
        return None
    if out is None:
        return made
    try:
        return copy_adapter(folder, out.absolute())
    except AdapterError as error:  # what was trained is not lost with the copy
        _say(str(error))
        return made


def _refuse_unwritable(out: Path) -> None:
    """Makes the folder for the copy before hours are spent on training.

    Raises:
        AdapterError: it cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as probe:
            probe.write(b"can be written")
    except OSError as error:
        raise AdapterError(
            f"The adapter is to be copied to {out}", str(error.strerror), "Name a folder that you may write"
        ) from None


def _result_line(job: str, status: Status, adapter: Path | None) -> str:
    scores = {name: None if score is None else to_dict(score) for name, score in _scores(status)}
    told = {"job": job, "state": status.state, "adapter": adapter and str(adapter), "kept_step": status.kept_step}
    return json.dumps({**told, **scores})


def _result_words(status: Status, adapter: Path | None) -> str:
    scores = [f"{name} {_main(score)} of {score.rows}" for name, score in _scores(status) if score]
    metric = next((LABELS[score.metric] for _, score in _scores(status) if score), "")
    lines = [status.state.capitalize() + (f": {metric} " + ", ".join(scores) if scores else "")]
    if status.kept_step not in (None, status.step):
        lines.append(f"The adapter holds the weights of step {status.kept_step:,}, not of the last, {status.step:,}.")
    return "\n".join([*lines, f"Adapter: {adapter}"] if adapter else lines)


def _main(score: Score) -> str:
    value = main_value(score.metrics, score.metric, score.exact_match)
    return "not measured" if value is None else f"{100 * value:.1f}%"


def _scores(status: Status) -> tuple[tuple[str, Score | None], ...]:
    return ("before", status.before), ("after", status.after)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
