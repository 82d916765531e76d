"""The flags that say how is trained: one for each field of core.spec.Settings, under the same name.

What it does not do: the learning rate, which may be given for single components (`core.cli.choice`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, get_args

from core.spec import (
    LEVERS,
    Attention,
    Augmentation,
    Metric,
    Optimizer,
    Precision,
    Quantization,
    Reporter,
    Settings,
)

NAMED_OTHERWISE = {"batch_size": "batch"}
"""Fields whose flag has another name."""


def add_settings_flags(parser: argparse.ArgumentParser) -> None:
    """How it would be trained."""
    group = parser.add_argument_group(
        "how it is trained; what is not given is as the file or the preset says, or usual"
    )
    _add_length(group)
    _add_learning(group)
    _add_speed(group)
    _add_watching(group)


def with_settings(options: argparse.Namespace, base: Settings) -> Settings:
    """The settings with what the flags change.

    Raises:
        SpecError: a number is out of range.
    """
    names = [field.name for field in fields(Settings) if field.name not in ("steps", "epochs", "learning_rate")]
    asked = {name: getattr(options, NAMED_OTHERWISE.get(name, name)) for name in names}
    given = {name: value for name, value in asked.items() if value is not None}
    if options.steps is not None or options.epochs is not None:
        given |= {"steps": options.steps, "epochs": options.epochs}
    return replace(base, **given)


def _add_length(group: Any) -> None:
    group.add_argument("--steps", type=int, help="optimizer steps, 120 unless told")
    group.add_argument("--epochs", type=float, help="passes over the rows, instead of steps")
    group.add_argument("--batch", type=int, metavar="ROWS", help="rows of a step, 16 unless told")
    group.add_argument("--accumulation", type=int, metavar="N", help="batches of one optimizer step, 1 unless told")
    group.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same run on a CPU")


def _add_learning(group: Any) -> None:
    group.add_argument("--optimizer", choices=get_args(Optimizer), help="AdamW, its state in 8 bits, or paged")
    group.add_argument("--schedule", choices=("cosine", "linear", "constant"), help="how the learning rate falls")
    group.add_argument("--warmup-share", type=float, metavar="X", help="of the steps, in which the rate rises")
    group.add_argument("--warmup-steps", type=int, metavar="N", help="the same as a number of steps")
    group.add_argument("--weight-decay", type=float, metavar="X", help="0 unless told")
    group.add_argument("--max-grad-norm", type=float, metavar="X", help="longer gradients are clipped; 1 unless told")
    group.add_argument(
        "--lora-plus", type=float, metavar="X", help="how many times faster LoRA's B learns; 16 is usual"
    )
    group.add_argument("--neftune", type=float, metavar="X", help="noise on the embeddings; 5 is usual")
    group.add_argument("--label-smoothing", type=float, metavar="X", help="0.1 is usual")
    group.add_argument("--order", choices=("rows", "pictures"), help="what is shuffled")
    group.add_argument("--max-tokens", type=int, metavar="N", help="of the longest row that is taken; the model's own")
    group.add_argument("--augment", type=_some_of(get_args(Augmentation)), metavar="KIND,...", help=_help(Augmentation))


def _add_speed(group: Any) -> None:
    group.add_argument("--precision", choices=get_args(Precision), help="chosen by the device unless told")
    group.add_argument("--attention", choices=get_args(Attention), help="chosen by what is installed unless told")
    group.add_argument("--quantization", choices=get_args(Quantization), help="of the frozen weights")
    group.add_argument("--quantized-part", choices=("all", "language"), help="which of them")
    group.add_argument("--checkpointing", action=argparse.BooleanOptionalAction, help="compute activations again")
    group.add_argument("--at-once", type=int, metavar="ROWS", help="of a batch at a time; as many as fit unless told")
    group.add_argument("--workers", type=int, metavar="N", help="processes that prepare rows; by the machine")
    group.add_argument("--without", type=_some_of(LEVERS), metavar="LEVER,...", help=f"leave off: {', '.join(LEVERS)}")


def _add_watching(group: Any) -> None:
    group.add_argument("--eval-every", type=int, metavar="STEPS", help="look at held-out rows; 20 unless told")
    group.add_argument("--eval-rows", type=int, metavar="N", help="held-out rows on the way")
    group.add_argument("--final-rows", type=int, metavar="N", help="held-out rows before and after")
    group.add_argument("--sample-count", type=int, metavar="N", help="held-out pictures whose answers are shown")
    group.add_argument("--max-new-tokens", type=int, metavar="N", help="of the longest answer that is asked for")
    group.add_argument("--metric", choices=get_args(Metric), help="what answers are judged by first")
    group.add_argument("--patience", type=int, metavar="LOOKS", help="end after so many without a lower loss")
    group.add_argument("--keep", choices=("best", "last"), help="which weights become the adapter")
    group.add_argument("--report-to", choices=get_args(Reporter), help="another tool that shows the curves")


def _some_of(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Reads words parted by commas; each has to be known."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(filter(None, (word.strip() for word in text.split(","))))
        unknown = ", ".join(word for word in words if word not in known)
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {unknown}; there are {', '.join(known)}")
        return words

    return read


def _help(kinds: Any) -> str:
    return f"change pictures: {', '.join(get_args(kinds))}"
