"""The memory of a training step, as the command line asks for it and shows it.

What it does not do: estimate (`core.memory`).
"""

from __future__ import annotations

import argparse
from typing import Any

from core.cli.choice import Chosen
from core.errors import SpecError, StudioError
from core.memory.cards import CARDS, Card, found
from core.memory.workload import Workload
from core.models.repository import clip
from core.models.source import resolve

TOKENS = 128
"""Of a question and its answer, unless told."""
ANSWER = 32
"""Of these, at most so many are learned: the answer and the end of its turn."""


def add_memory_flags(parser: argparse.ArgumentParser) -> None:
    """What a step is made of, and the card that it is to fit on."""
    size = "width and height of the pictures in pixels, 448 unless told"
    parser.add_argument("--image-size", default="448", metavar="N or WxH", help=size)
    parser.add_argument("--images", type=int, default=1, metavar="N", help="pictures of a row, 1 unless told")
    parser.add_argument(
        "--tokens", type=int, default=TOKENS, metavar="N", help=f"of question and answer, {TOKENS} unless told"
    )
    parser.add_argument(
        "--card", metavar="NAME", help="whether it fits on this card, such as l4; this machine unless told"
    )
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory, which takes some seconds")


def memory_of(choice: Chosen, options: argparse.Namespace) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The terms of the peak and the verdict as plain values; None where there is no estimate, with a sentence.

    Raises:
        SpecError: a number of the step is out of range, or the card is unknown.
    """
    if options.no_memory:
        return None, ()
    from core.memory.kinds import KINDS, left_open
    from core.memory.verdict import verdict  # imports torch, which takes seconds
    from core.training.choices import choose_on_card
    from core.training.shapes import RowShape

    card, settings = card_named(options.card), choice.settings
    learned = max(1, min(ANSWER, options.tokens))
    size, images, tokens = image_size(options.image_size), options.images, options.tokens
    Workload(images=images, image_size=size, text_tokens=tokens, supervised_tokens=learned)  # refuses what cannot be
    shape = RowShape(images, size, tokens, learned)
    try:
        model = resolve(choice.inspection.source, offline=True)
        choices = choose_on_card(model, choice.labelled, choice.plan, settings, card, shape)
        made = verdict(model, choice.plan, choices.work, card, left_open(KINDS - {"pictures"}, settings))
    except StudioError as error:
        return None, (f"No figure for the memory: {error.reason}. {error.remedy}.",)
    memory, change = made.memory, made.change
    return {
        "peak_bytes": memory.peak_bytes,
        "terms": {term.name: term.bytes for term in memory.terms},
        "when": memory.when,
        "how": memory.how,
        "guesses": memory.guesses,
        "image_tokens": memory.image_tokens,
        "device": choices.work.device,
        "precision": choices.work.precision,
        "choices": [choice.point() for choice in choices.all()],
        "card": card.name,
        "card_bytes": card.bytes,
        "verdict": made.answer,
        "change": change and change.what,
        "words": made.words,
    }, ()


def card_named(text: str | None) -> Card:
    """The card that all words of a name are of; that of this machine where none is named.

    Raises:
        SpecError: there is none, or more than one.

    >>> card_named("a100 80 gb").name
    'NVIDIA A100, 80 GB'
    """
    if text is None:
        return found()
    words = text.lower().replace(",", " ").split()
    fitting = [card for card in CARDS if set(words) <= set(card.name.lower().replace(",", " ").split())]
    if len(fitting) == 1:
        return fitting[0]
    reason = "several are called so" if fitting else "it is not in the list"
    names = "; ".join(card.name for card in fitting or CARDS)
    raise SpecError(f"The card “{clip(text)}” was asked for", reason, f"Take one of: {names}")


def image_size(text: str) -> tuple[int, int]:
    """Height and width of pictures, of which the command line gives the width first, as everyone does.

    Raises:
        SpecError: it is no size.

    >>> image_size("448"), image_size("640x480")
    ((448, 448), (480, 640))
    """
    width, _, height = text.lower().partition("x")
    if not width.isdecimal() or not (height or width).isdecimal():
        raise SpecError(f"--image-size {clip(text)} was given", "it is no size", "Write --image-size 448 or 640x480")
    return int(height or width), int(width)
