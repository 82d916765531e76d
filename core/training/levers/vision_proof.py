"""Whether the vision cache may be used in a job, shown on real rows before it starts.

It is exact where nothing before the language model is trained, pictures are not changed, the tower says the same in
training as in evaluation, and the model takes features in the place of pictures. Each of these is tried on real rows,
and then the whole: the losses of a small batch with the cache and without it.
What it does not do: keep features (see `vision_cache`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from core.data.batches.collate import Encoder, to_device
from core.data.batches.trial import sampled
from core.data.rows import Row
from core.evaluation.answers import evaluating
from core.models.out_of_memory import is_out_of_memory
from core.spec import Settings
from core.training.levers.applied import Applied, left_off
from core.training.levers.feature_store import FeatureStore
from core.training.levers.features import ON_THE_WAY, nbytes, taken_apart, tensors
from core.training.levers.plain_pass import learned_losses
from core.training.levers.vision_batches import Way, find_way, joined_inputs
from core.training.levers.vision_cache import Kind, VisionCache, features_of, identity

SEARCHED = 200
"""Rows among which some with pictures are looked for."""
TRIED = 2
"""Rows with pictures of the batch: two show how rows stand beside one another."""
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-5}
"""How much two losses of a token may differ, as a share of the larger one or of 1."""
ROUGH = 5e-2
"""The same in 16 bits, where a batch of another size rounds differently."""


AT_ONCE = frozenset({"cuda"})
"""Devices on which several rows go through the tower at once."""
FAULTS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError)
"""What a model's code raises when it is given what it does not expect."""


class Unfit(Exception):
    """The cache would not be exact, or cannot be used; with the reason."""


def open_vision_cache(
    model: Any,
    encoder: Encoder,
    rows: Sequence[Row],
    settings: Settings,
    source: str,
    folder: Path | None,
    before: torch.Tensor,
) -> Applied:
    """Gives the encoder its eyes if the cache is exact for this job, and says why or why not.

    Args:
        model: PEFT model with everything frozen that will be.
        encoder: of the job; without eyes.
        rows: a batch of `tried_rows`.
        settings: of the job.
        source: where the model is from, with its revision.
        folder: for features on disk; None keeps them in memory alone.
        before: the losses of the learned tokens of the batch, [N].
    """
    if "vision_cache" in settings.without:
        return left_off("vision_cache")
    try:
        cache, size = _proven(model, encoder, rows, settings, source, folder, before)
    except Unfit as reason:
        return Applied("vision_cache", False, str(reason))
    encoder.eyes = cache
    large = f"{size / 2**10:,.0f} KiB" if size < 2**20 else f"{size / 2**20:,.1f} MiB"
    return Applied("vision_cache", True, f"The frozen vision tower sees each picture once; a row's take {large}.")


def _proven(
    model: Any,
    encoder: Encoder,
    rows: Sequence[Row],
    settings: Settings,
    source: str,
    folder: Path | None,
    before: torch.Tensor,
) -> tuple[VisionCache, int]:
    """The cache, and the bytes of one row's features.

    Raises:
        Unfit: it would not be exact.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if settings.augment:
        raise Unfit("Pictures are changed a little each time they are trained on.")
    takes = "mm_encoder_outputs" in inspect.signature(base.forward).parameters
    if not takes or not hasattr(base, "get_image_features"):
        raise Unfit("This model's code takes no features that were computed before.")
    if not rows[0].pictures:
        raise Unfit("None of the rows that were looked at has a picture.")
    inputs = encoder.pictures(rows[0])
    try:
        modules, output = _frozen_and_steady(base, inputs)
    except FAULTS as fault:
        raise Unfit(_in_words(fault)) from fault
    store, name = FeatureStore(folder), identity(base, encoder.processor, source, modules)
    for kind in _kinds(output, inputs):
        cache = VisionCache(base, encoder, kind, f"{name}:{sorted(kind.without)}", store)
        features = taken_apart(output, kind.without)
        cache.keep(rows[0], features)
        reason = _disagreement(base, encoder, rows, cache, before)
        if reason is None:
            if base.device.type in AT_ONCE and (way := _way(base, encoder, rows, kind)):
                cache = cache.looking(way)
            return cache, nbytes(features)
    raise Unfit(reason)


def tried_rows(encoder: Encoder, rows: Sequence[Row], most: int = TRIED) -> list[Row]:
    """A few rows that one batch may hold, at least one: those with pictures first.

    Args:
        encoder: of the job.
        rows: to learn from.
        most: rows with pictures, of different numbers if there are; where it is more than one, one without comes last.
    """
    first = sampled(rows, SEARCHED)
    seeing = sorted((row for row in first if row.pictures), key=lambda row: len(row.pictures))
    chosen = [*seeing[: most - 1], *seeing[-1:]]
    if most > 1 or not seeing:
        chosen += [row for row in first if not row.pictures][:1]
    some = list(dict.fromkeys(chosen))
    return [some[at] for at in encoder.apart(some)[0]]


def _frozen_and_steady(base: Any, inputs: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The modules that compute the features, outermost only, and the features.

    Raises:
        Unfit: something in them is trained, or they are others in training than in evaluation.
    """
    if any(isinstance(module, BatchNorm) and module.track_running_stats for module in base.modules()):
        raise Unfit("Layers of this model change by looking at pictures (batch normalization).")
    ran: dict[str, Any] = {}
    handles = [
        module.register_forward_pre_hook(lambda module, args, name=name: ran.update({name: module}))
        for name, module in base.named_modules()
    ]
    was_training = base.training
    base.train()
    try:
        with torch.random.fork_rng(devices=_devices(base)), torch.enable_grad():
            training = features_of(base, inputs)
    finally:
        base.train(was_training)
        for handle in handles:
            handle.remove()
    if any(tensor.requires_grad for tensor in tensors(vars(training))):
        raise Unfit("Something before the language model is trained.")
    with evaluating(base), torch.no_grad():
        steady = features_of(base, inputs)
    if not _alike(training, steady, base.dtype):
        why = "its weights are packed to 8 bits" if getattr(base, "is_loaded_in_8bit", False) else "dropout"
        raise Unfit(f"The vision tower says something else in training than in evaluation ({why}).")
    return {name: module for name, module in ran.items() if not _inside(name, ran)}, steady


def _inside(name: str, names: dict[str, Any]) -> bool:
    """Whether a module lies in another one of these."""
    parts = name.split(".")
    return any(".".join(parts[:length]) in names for length in range(1, len(parts)))


def _alike(one: Any, other: Any, dtype: torch.dtype) -> bool:
    """Whether two outputs say the same, up to rounding."""
    within = TOLERANCE.get(dtype, ROUGH)
    pairs = zip(_result(one), _result(other), strict=True)
    return all(a.shape == b.shape and torch.allclose(a, b, rtol=within, atol=within) for a, b in pairs)


def _result(output: Any) -> list[torch.Tensor]:
    return [t.detach().float() for t in tensors(taken_apart(output, ON_THE_WAY))]


def _kinds(output: Any, inputs: dict[str, Any]) -> Iterator[Kind]:
    """Ways to keep it, the smallest first: what a tower says on the way is usually read by nobody."""
    pixels = frozenset(
        name
        for name, value in inputs.items()
        if name.startswith("pixel_") or (isinstance(value, torch.Tensor) and value.is_floating_point())
    )
    if getattr(output, "pooler_output", None) is not None:
        yield Kind(type(output), pixels, ON_THE_WAY)
    yield Kind(type(output), pixels)


def _disagreement(
    base: Any, encoder: Encoder, rows: Sequence[Row], cache: VisionCache, before: torch.Tensor
) -> str | None:
    """Why the losses of a batch are others with the cache, computed and then kept; None if they are the same."""
    with evaluating(base), torch.no_grad():
        encoder.eyes = cache
        try:
            for _ in range(2):
                seen = encoder.seen(to_device(encoder.training(rows), base.device, base.dtype))
            found = learned_losses(base, seen)
        except FAULTS as fault:
            return _in_words(fault)
        finally:
            encoder.eyes = None
    gap = ((before - found).abs() / before.abs().clamp(min=1.0)).max()
    if gap <= TOLERANCE.get(base.dtype, ROUGH):
        return None
    return f"With it, the loss of real rows differs by {float(gap):.1g}."


def _way(base: Any, encoder: Encoder, rows: Sequence[Row], kind: Kind) -> Way | None:
    """How several rows can go through the tower at once, if they can."""
    seeing = [row for row in rows if row.pictures]
    inputs = [encoder.pictures(row) for row in seeing]
    if len(seeing) < 2 or (joined := joined_inputs(encoder, seeing, inputs)) is None:
        return None
    with evaluating(base), torch.no_grad():
        alone = [taken_apart(features_of(base, given), kind.without) for given in inputs]
        try:
            return find_way(seeing, inputs, features_of(base, joined), alone, TOLERANCE.get(base.dtype, ROUGH))
        except FAULTS:  # one by one, then: that is known to work
            return None


def _in_words(fault: Exception) -> str:
    """Why it could not be tried."""
    if is_out_of_memory(fault):
        return "The memory did not suffice to try it."
    return f"This model's code does not allow it ({type(fault).__name__})."


def _devices(base: Any) -> list[Any]:
    """Whose random numbers are put back."""
    return [base.device] if base.device.type == "cuda" else []
