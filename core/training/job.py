"""One job from spec to adapter, as a straight line: load, wrap, look, train, look, save.

What it does not do: catch errors or talk to a terminal; the worker does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from core.data.wording import majority_share
from core.evaluation.scores import Outcome
from core.lora.advice.rates import slower
from core.lora.tensors import CHANGES_WEIGHTS
from core.lora.wrap import parameter_groups
from core.spec import State
from core.training.callbacks import Progress
from core.training.desk import Desk
from core.training.ending import Ending
from core.training.frozen_hash import Frozen
from core.training.looks import Looks
from core.training.preparing import Prepared, prepare
from core.training.proof import WORTH_SAYING, hash_before, write_proof
from core.training.ranks import RankAllocation
from core.training.reports import Report
from core.training.rescue import rescue
from core.training.saving import renew_card, save_adapter
from core.training.stopping import STOPPED_EARLY, Stopped
from core.training.trainer import make_trainer
from core.training.watching.early import BestLook, ranks_settled
from core.training.watching.keeping import discard_kept, kept_folder
from core.training.watching.machine import Machine
from core.training.watching.pace import Pace
from core.training.watching.parts import trained_parts
from core.training.watching.watch import Watch

PROOF_TIMES = 2.0
"""How many times what hashing the frozen weights took their proof takes: it hashes them again and measures them."""
SAVING = 0.5
"""Seconds that saving and the card take, unless the adapter is large."""


@dataclass(frozen=True)
class Before:
    """The base model on the held-out rows."""

    outcomes: Sequence[Outcome]
    seconds: float
    """How long the look took, apart from what the next one finds ready."""
    loss: float | None
    """On the quick rows."""


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
        ready = prepare(desk)
        desk.stop.be_patient()
        looks = Looks(ready.model, ready.encoder, ready.data, desk.spec.settings, desk.metrics)
        before = _look_before(desk, ready, looks)
        desk.status.show(phase="noting the frozen weights")
        frozen = hash_before(ready.model, desk.folder, desk.metrics)
    except Stopped:
        desk.status.enter(STOPPED_EARLY, state="stopped", eta_seconds=None)
        return
    watch, best = _watching(desk, ready, before.loss)
    ending = Ending(looks, best, before.outcomes, before.seconds, desk.metrics, desk.status, desk.stop)
    try:
        whole = _train(desk, ready, looks, before, watch, best, PROOF_TIMES * frozen.seconds + SAVING)
        ending.settle()
    except Exception as error:
        rescue(desk, ready, watch.good, ending, error)
        raise
    state: State = "finished" if whole else "stopped"
    _save(desk, ready, state)
    _prove(desk, ready, frozen)
    if not ending.whole():
        state = "stopped"
    renew_card(desk.folder, desk.spec, desk.status.ended(state), ready.by_component)
    discard_kept(desk.folder)
    desk.status.enter(state, state=state)


def _watching(desk: Desk, ready: Prepared, loss: float | None) -> tuple[Watch, BestLook]:
    """What watches the steps, and what keeps the best look; both know the loss before."""
    settings, kept = desk.spec.settings, kept_folder(desk.folder)
    parts = trained_parts(ready.model, ready.inspection, desk.spec.plan)
    first = ranks_settled(ready.model)
    if first and settings.keep == "best":
        desk.metrics.note(f"AdaLoRA takes ranks away until step {first:,}: looks before it do not count as the best.")
    best = BestLook(parts, kept, settings.patience, settings.keep == "best", first, loss)
    better = slower(ready.inspection.total_params, desk.spec.plan, settings)
    return Watch(parts, kept, desk.metrics, loss, better), best


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


def _look_before(desk: Desk, ready: Prepared, looks: Looks) -> Before:
    """The base model, by switching the adapter off; with it where it has taken its start out of the weights.

    Raises:
        Stopped: the job was asked to stop meanwhile.
    """
    filling = ready.encoder.eyes.spent if ready.encoder.eyes else lambda: 0.0
    started, filled = time.monotonic(), filling()

    def between(done: int) -> None:
        desk.stop.check()
        desk.status.show(phase=f"asking the base model, {done} of {len(looks.held_out.rows)}")

    untouched = contextlib.nullcontext() if desk.spec.plan.start in CHANGES_WEIGHTS else ready.model.disable_adapter()
    with untouched:  # what has not learned yet changes nothing
        outcomes = looks.whole(0, between)
    majority = majority_share(row.answer for row in looks.held_out.rows)
    desk.status.show(before=looks.score(outcomes), majority=majority)
    seconds = time.monotonic() - started - (filling() - filled)
    return Before(outcomes, seconds, looks.score(outcomes[: looks.held_out.quick]).loss)


def _train(
    desk: Desk, ready: Prepared, looks: Looks, before: Before, watch: Watch, best: BestLook, ending: float
) -> bool:
    """Trains until the steps are done, patience runs out or a stop is asked for; False for the last.

    `ending` are the seconds that the end is likely to take, looks apart.
    """
    settings = ready.chosen.settled(desk.spec.settings)
    bf16 = ready.dtype == torch.bfloat16
    rows = ready.data.train
    together = ready.together
    trainer = make_trainer(ready.model, ready.encoder, rows, settings, desk.folder, ready.device, bf16, together)
    quick = before.seconds * looks.held_out.quick / len(looks.held_out.rows)
    pace, machine = Pace(quick, before.seconds, ending, trainer.filling), Machine(ready.device)
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
