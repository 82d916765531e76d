"""A job made ready: data, processor and model loaded, the open choices made, the adapter put on, the levers pulled.

What it does not do: train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
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
from core.errors import CountMismatch
from core.lora.budget import budget
from core.lora.limits import refuse_on_device
from core.lora.starts import remember_start
from core.lora.wrap import wrap as put_on
from core.models.classes import read_config
from core.models.device import choose_device
from core.models.inspection import inspect_source
from core.models.loading import load_model, load_processor
from core.models.packing import left_whole
from core.models.relabel import relabelled
from core.models.source import check_trainable, resolve
from core.models.threads import settle_threads
from core.models.trainable import refuse_unteachable
from core.spec import Inspection, Settings, Spec
from core.training.choices import Choices, choose_for_rows, lines
from core.training.computer import Computer, this_computer
from core.training.desk import Desk
from core.training.levers.kernels import apply_kernels
from core.training.levers.packing import Together, put_together
from core.training.levers.pulled import pull
from core.training.looks import choose_rows
from core.training.methods import start_from_data
from core.training.noise import check_noise

MANY_PICTURES = 2000
"""Rows on each side whose pictures are looked at before training; of more, a sample."""


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


def prepare(desk: Desk) -> Prepared:
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
    inspection = relabelled(inspect_source(spec.model), spec.selection.relabels)
    refuse_unteachable(inspection)
    processor = load_processor(spec.model)
    limit = _tried(desk, processor, data)  # before the weights, which may take minutes to fetch
    desk.stop.check()
    device, dtype, reason = choose_device(spec.settings.precision, inspection.total_params)
    status.show(device=reason)
    metrics.note(f"Computing on {reason}.")
    chosen = _chosen(desk, inspection, this_computer(device, dtype == torch.bfloat16, reason), data.train, processor)
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
    _with_kernels(desk, wrapped, encoder, data.train, dtype)
    if spec.plan.start == "eva":
        status.enter("looking at the data for a start")
        start_from_data(wrapped, encoder, data.train, chosen.at_once.value, desk.stop.check)
    together = _made_faster(desk, wrapped, encoder, data.train, chosen.settled(spec.settings))
    status.enter("asking the base model", trainable=spec.trainable)
    start = remember_start(wrapped, spec.plan)
    return Prepared(data, wrapped, encoder, counted, device, dtype, inspection, chosen, together, start)


def _chosen(desk: Desk, inspection: Inspection, computer: Computer, rows: Sequence[Row], processor: Any) -> Choices:
    """Makes the open choices and says them, on the page and in the job's log."""
    chosen = choose_for_rows(desk.spec, inspection, computer, rows, processor)
    for choice in chosen.all():
        desk.metrics.add("choice", **choice.point())
    print(*lines(chosen), sep="\n", flush=True)
    return chosen


def _with_kernels(desk: Desk, model: Any, encoder: Encoder, rows: Sequence[Row], dtype: torch.dtype) -> None:
    """Puts faster kernels in where they are there and give the same on a real row, and says what became of it.

    Raises:
        Stopped: the job was asked to stop meanwhile.
    """
    one, device = sampled(rows, 1), model.device
    kernels = apply_kernels(
        model, desk.spec.settings, device.type, lambda: to_device(encoder.training(one), device, dtype)
    )
    desk.metrics.add("lever", **kernels.point())
    desk.stop.check()


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
