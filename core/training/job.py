"""One job from spec to adapter, as a straight line: load, wrap, look, train, look, save.

What it does not do: catch errors or talk to a terminal; the worker does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from core.data.batches.collate import Encoder, to_device
from core.data.batches.conversations import stop_ids
from core.data.batches.limits import token_limit
from core.data.batches.trial import sampled, try_rows
from core.data.previewing.fitting import refuse_unfit
from core.data.previewing.preview import light_encoder
from core.data.rows import Dataset, Row
from core.data.source import check_pictures, load_dataset
from core.data.wording import majority_share
from core.errors import CountMismatch, Diverged
from core.evaluation.scores import Outcome
from core.lora.budget import budget
from core.lora.limits import refuse_on_device
from core.lora.starts import remember_start
from core.lora.tensors import CHANGES_WEIGHTS
from core.lora.wrap import parameter_groups
from core.lora.wrap import wrap as put_on
from core.models.classes import read_config
from core.models.device import choose_device
from core.models.inspection import inspect_source
from core.models.loading import load_model, load_processor
from core.models.packing import left_whole
from core.models.relabel import relabelled
from core.models.source import check_trainable, resolve
from core.models.threads import settle_threads
from core.spec import Inspection, Settings, Spec, State
from core.training.callbacks import Progress
from core.training.choices import Choices, choose_for_rows, lines
from core.training.computer import this_computer
from core.training.ending import Ending
from core.training.frozen_hash import Frozen
from core.training.levers.kernels import apply_kernels
from core.training.levers.packing import Together, put_together
from core.training.levers.pulled import pull
from core.training.looks import Looks, choose_rows
from core.training.methods import start_from_data
from core.training.metrics import Metrics
from core.training.noise import check_noise
from core.training.proof import WORTH_SAYING, hash_before, write_proof
from core.training.ranks import RankAllocation
from core.training.reports import Report
from core.training.saving import renew_card, save_adapter
from core.training.shortage import as_error, diagnose, in_use, let_go, ran_out
from core.training.status import StatusFile
from core.training.stopping import STOPPED_EARLY, Stopped, StopRequest
from core.training.trainer import make_trainer
from core.training.watching.early import BestLook, ranks_settled
from core.training.watching.keeping import discard_kept, kept_folder
from core.training.watching.machine import Machine
from core.training.watching.pace import Pace
from core.training.watching.parts import trained_parts
from core.training.watching.watch import Watch

MANY_PICTURES = 2000
"""Rows on each side whose pictures are looked at before training; of more, a sample."""


@dataclass(frozen=True)
class Desk:
    """What one job reads and writes."""

    folder: Path
    spec: Spec
    status: StatusFile
    metrics: Metrics
    stop: StopRequest


@dataclass(frozen=True)
class Prepared:
    """What training needs, loaded."""

    data: Dataset
    model: Any
    encoder: Encoder
    by_component: dict[str, int]
    """Trainable parameters of each component."""
    device: str
    dtype: torch.dtype
    inspection: Inspection
    """Of the model, with the person's labels: which component a module belongs to."""
    chosen: Choices
    """What was left to choose."""
    together: Together
    """Which rows share a prefix or are packed."""
    start: dict[str, Any] | None
    """What a start that changes the weights began with; see `core.lora.starts`."""


@dataclass(frozen=True)
class Before:
    """The base model on the held-out rows, and how long the look took (s)."""

    outcomes: Sequence[Outcome]
    seconds: float


def run_job(desk: Desk) -> None:
    """Runs the job; the status says finished or stopped when it returns.

    The adapter is saved before the last look, so that nothing that was learned depends on it.

    Raises:
        StudioError: it cannot go on, in words.
        Exception: anything that the libraries below raise.
    """
    with contextlib.closing(Report(desk.spec, desk.folder, desk.metrics.note)) as report:
        desk.metrics.reader = report.point
        _run(desk)


def _run(desk: Desk) -> None:
    """The job from its data to its adapter."""
    try:
        ready = _prepare(desk)
        desk.stop.be_patient()
        looks = Looks(ready.model, ready.encoder, ready.data, desk.spec.settings, desk.metrics)
        before = _look_before(desk, ready.model, looks)
        desk.status.show(phase="noting the frozen weights")
        frozen = hash_before(ready.model, desk.folder, desk.metrics)
    except Stopped:
        desk.status.enter(STOPPED_EARLY, state="stopped", eta_seconds=None)
        return
    watch, best = _watching(desk, ready)
    ending = Ending(looks, best, before.outcomes, before.seconds, desk.metrics, desk.status, desk.stop)
    try:
        whole = _train(desk, ready, looks, before, watch, best)
        ending.settle()
    except Exception as error:
        _rescue(desk, ready, watch, error)
        raise
    state: State = "finished" if whole else "stopped"
    _save(desk, ready, state)
    _prove(desk, ready, frozen)
    if not ending.whole():
        state = "stopped"
    renew_card(desk.folder, desk.spec, desk.status.ended(state), ready.by_component)
    discard_kept(desk.folder)
    desk.status.enter(state, state=state)


def _watching(desk: Desk, ready: Prepared) -> tuple[Watch, BestLook]:
    """What watches the steps, and what keeps the best look."""
    settings, kept = desk.spec.settings, kept_folder(desk.folder)
    parts = trained_parts(ready.model, ready.inspection, desk.spec.plan)
    first = ranks_settled(ready.model)
    if first and settings.keep == "best":
        desk.metrics.note(f"AdaLoRA takes ranks away until step {first:,}: looks before it do not count as the best.")
    best = BestLook(parts, kept, settings.patience, settings.keep == "best", first)
    return Watch(parts, kept, desk.metrics), best


def _rescue(desk: Desk, ready: Prepared, watch: Watch, error: Exception) -> None:
    """What was learned until an error came is kept: of weights that came apart the last good ones.

    Raises:
        OutOfMemory: instead of an error that says so without numbers.
    """
    step = desk.status.value.step
    if short := ran_out(error):
        used = in_use(error, ready.device)
        let_go(error)
    if isinstance(error, Diverged):
        step = watch.good.put_back()
        desk.status.show(kept_step=step)
    if step and not isinstance(error, OSError):  # a full disk takes no adapter
        _save(desk, ready, "failed")
    if short:
        advice = diagnose(used, desk.spec, ready.chosen.work)
        desk.metrics.add("diagnosis", **advice.point())
        raise as_error(advice) from error


def _save(desk: Desk, ready: Prepared, state: State) -> None:
    desk.status.enter("saving", eta_seconds=None)
    save_adapter(desk.folder, ready.model, desk.spec, desk.status.ended(state), ready.by_component, ready.start)


def _prove(desk: Desk, ready: Prepared, frozen: Frozen) -> None:
    """What the training changed and what it left alone; after a signal only where that is known soon."""
    if desk.stop.hurried() and frozen.seconds > WORTH_SAYING:
        desk.metrics.note("What changed was not proved: there was no time left.")
        return
    desk.status.enter("proving what changed")
    write_proof(desk.folder, ready.model, frozen, ready.inspection, desk.spec.plan, desk.metrics, ready.start)


def wrap(model: Any, spec: Spec, rows: int) -> Any:
    """The model with its adapter, whose parameters are as many as the person was shown.

    Args:
        model: as loaded.
        spec: of the job.
        rows: to learn from; they say how many steps some epochs are.

    Raises:
        PlanError: the plan does not fit the model.
        CountMismatch: the parameters are other ones than the plan's, or another number than the person was shown.
    """
    set_seed(spec.settings.seed)  # the adapter starts from random numbers
    wrapped = put_on(model, spec.plan, spec.settings.total_steps(rows))
    trainable = wrapped.get_nb_trainable_parameters()[0]
    counted = sum(parameter.numel() for parameter in wrapped.parameters() if parameter.requires_grad)
    if not trainable == counted == spec.trainable:
        raise CountMismatch(
            f"Training {spec.trainable:,} parameters was asked for",
            f"this selection gives {counted:,} in the model as loaded",
            "Choose the parts of the model again",
        )
    return wrapped


def _prepare(desk: Desk) -> Prepared:
    """Loads data, processor and model, and puts the adapter on.

    Raises:
        Stopped: the job was asked to stop meanwhile.
    """
    spec, status, metrics = desk.spec, desk.status, desk.metrics
    device, dtype, reason = choose_device(spec.settings.precision)
    status.enter("loading the data", state="running", device=reason)
    refuse_on_device(spec.plan, spec.settings, device)
    data = load_dataset(spec.data, desk.folder / "data")
    check_pictures(chain(sampled(data.train, MANY_PICTURES), sampled(data.heldout, MANY_PICTURES)))
    desk.stop.check()
    status.enter("fetching and loading the model" if spec.model.kind == "hub" else "loading the model")
    check_trainable(spec.model)
    processor = load_processor(spec.model)
    limit = _tried(desk, processor, data)  # before the weights, which may take minutes to fetch
    desk.stop.check()
    inspection = relabelled(inspect_source(spec.model), spec.selection.relabels)
    device, dtype, reason = choose_device(spec.settings.precision, inspection.total_params)
    status.show(device=reason)
    metrics.note(f"Computing on {reason}.")
    computer = this_computer(device, dtype == torch.bfloat16, reason)
    chosen = choose_for_rows(spec, inspection, computer, data.train, processor)
    for choice in chosen.all():
        metrics.add("choice", **choice.point())
    print(*lines(chosen), sep="\n", flush=True)  # the job's log
    packing = spec.settings.quantization
    whole = (*spec.plan.full_modules, *left_whole(inspection, spec.settings.quantized_part))
    model = load_model(spec.model, device, dtype, quantization=packing, whole=whole, attention=chosen.loaded_with)
    desk.stop.check()
    if device == "cpu":
        metrics.note(f"Computing with {settle_threads(model.num_parameters())}.")
    counted = budget(inspection, spec.plan).by_component
    wrapped = wrap(model, spec, len(data.train))
    check_noise(wrapped, spec.settings.neftune)
    encoder = Encoder(processor, stop_ids(model, processor), limit)
    one = sampled(data.train, 1)
    kernels = apply_kernels(
        wrapped, spec.settings, device, lambda: to_device(encoder.training(one), wrapped.device, dtype)
    )
    metrics.add("lever", **kernels.point())
    desk.stop.check()
    if spec.plan.start == "eva":
        status.enter("looking at the data for a start")
        start_from_data(wrapped, encoder, data.train, chosen.at_once.value, desk.stop.check)
    together = _made_faster(desk, wrapped, encoder, data.train, chosen.settled(spec.settings))
    status.enter("asking the base model", trainable=spec.trainable)
    start = remember_start(wrapped, spec.plan)
    return Prepared(data, wrapped, encoder, counted, device, dtype, inspection, chosen, together, start)


def _made_faster(desk: Desk, model: Any, encoder: Encoder, rows: Sequence[Row], settings: Settings) -> Together:
    """Pulls the levers that this model and these rows allow, and says what became of each.

    Raises:
        Stopped: the job was asked to stop meanwhile.
    """
    desk.status.enter("trying what makes it faster")
    pulled = pull(model, encoder, rows, settings, repr(desk.spec.model), desk.folder)
    desk.stop.check()
    together = put_together(model, encoder, rows, settings, desk.stop.check)
    for lever in (*pulled, *together.levers):
        desk.metrics.add("lever", **lever.point())
    for note in together.notes:
        desk.metrics.note(note)
    desk.stop.check()
    return together


def _tried(desk: Desk, processor: Any, data: Dataset) -> int | None:
    """Tries some telling rows on the processor, looks whether all fit -> tokens of the longest row that is taken.

    Raises:
        DataError: the model cannot learn from such rows, in words.
        Stopped: the job was asked to stop meanwhile.
    """
    settings = desk.spec.settings
    limit, reason = token_limit(read_config(resolve(desk.spec.model)), settings.max_tokens)
    encoder = light_encoder(desk.spec.model, processor, settings.max_tokens)
    for note in try_rows(encoder, data.train, data.heldout, settings.batch_size, desk.stop.check):
        desk.metrics.note(note)
    judged = choose_rows(data.heldout, settings).rows
    for rows in (data.train, judged):
        refuse_unfit(encoder, rows, desk.stop.check)
    if long := sum(len(encoder.answer(row)) > settings.max_new_tokens + 1 for row in judged):  # the last one ends it
        many = f"{long:,} of the {len(judged):,} held-out rows that are asked have answers of more than"
        desk.metrics.note(f"{many} {settings.max_new_tokens:,} tokens, the most that the model writes: none can match.")
    if settings.max_tokens is not None and limit != settings.max_tokens:
        desk.metrics.note(f"Rows of up to {limit:,} tokens are taken: {reason}.")
    return limit


def _look_before(desk: Desk, model: Any, looks: Looks) -> Before:
    """The base model, by switching the adapter off; with it where it has taken its start out of the weights.

    Raises:
        Stopped: the job was asked to stop meanwhile.
    """
    started = time.monotonic()

    def between(done: int) -> None:
        desk.stop.check()
        desk.status.show(phase=f"asking the base model, {done} of {len(looks.held_out.rows)}")

    untouched = contextlib.nullcontext() if desk.spec.plan.start in CHANGES_WEIGHTS else model.disable_adapter()
    with untouched:  # what has not learned yet changes nothing
        outcomes = looks.whole(0, between)
    majority = majority_share(row.answer for row in looks.held_out.rows)
    desk.status.show(before=looks.score(outcomes), majority=majority)
    return Before(outcomes, time.monotonic() - started)


def _train(desk: Desk, ready: Prepared, looks: Looks, before: Before, watch: Watch, best: BestLook) -> bool:
    """Trains until the steps are done, patience runs out or a stop is asked for; False for the last."""
    settings = ready.chosen.settled(desk.spec.settings)
    bf16 = ready.dtype == torch.bfloat16
    rows = ready.data.train
    together = ready.together
    trainer = make_trainer(ready.model, ready.encoder, rows, settings, desk.folder, ready.device, bf16, together)
    quick = before.seconds * looks.held_out.quick / len(looks.held_out.rows)
    pace, machine = Pace(quick, before.seconds, trainer.filling), Machine(ready.device)
    every = settings.eval_every
    progress = Progress(looks, every, desk.metrics, desk.status, desk.stop, watch, best, pace, machine)
    trainer.before_batch, trainer.before_clipping = machine.batch, watch.gradients
    trainer.add_callback(progress)
    rates = parameter_groups(ready.model, desk.spec.plan, settings.learning_rate)
    if any(rate != settings.learning_rate for _, rate in rates):
        trainer.rates = rates
    if desk.spec.plan.method == "adalora":
        trainer.add_callback(RankAllocation(ready.model, ready.inspection, desk.metrics))
    trainer.train()
    desk.status.show(step=progress.steps_done)
    return progress.enough or progress.steps_done >= desk.status.value.total_steps
