"""Which tokens of a prompt stand for its pictures: the places of their features and the signs around them.

What it does not do: count what a picture will need (the processor does when it gets one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MAX_BREAKS = 3
"""Line breaks between two rows of tiles at most."""


def image_positions(processor: Any, ids: Sequence[int], text: str) -> list[bool]:
    """Which of a prompt's tokens stand for its pictures, the signs that the processor puts around them included.

    Args:
        processor: the model's.
        ids: the prompt's tokens.
        text: the prompt as the template writes it, from which the processor made them.
    """
    signs = image_ids(processor)
    written = set(processor.tokenizer(text, add_special_tokens=False)["input_ids"]) - signs
    written |= {processor.tokenizer.bos_token_id, processor.tokenizer.eos_token_id}
    image = [token in signs for token in ids]
    for order in (range(1, len(ids)), range(len(ids) - 2, -1, -1)):
        step = order.step
        for at in order:
            image[at] = image[at] or (image[at - step] and ids[at] not in written)
    blank = [
        not each and not processor.tokenizer.decode([token]).strip() for token, each in zip(ids, image, strict=True)
    ]
    return _bridged(image, blank, [token in signs for token in ids])


def image_ids(processor: Any) -> set[int]:
    """The tokens that a picture's features take the places of."""
    tokenizer = processor.tokenizer
    found = [getattr(processor, "image_token_id", None), getattr(tokenizer, "image_token_id", None)]
    found += list(getattr(processor, "image_token_ids", None) or ())
    return {token for token in found if token is not None}


def _bridged(image: list[bool], blank: Sequence[bool], sign: Sequence[bool]) -> list[bool]:
    """Line breaks between two rows of tiles belong to the picture: they stand behind a feature, before a tile's name.

    Those between two pictures, which a template writes, stand behind the sign that ends a picture or before a feature.
    """
    last = None  # the last feature with nothing but blanks behind it
    for at, each in enumerate(image):
        if each and last is not None and not sign[at] and at - last <= MAX_BREAKS + 1:
            image[last:at] = [True] * (at - last)
        if each:
            last = at if sign[at] else None
        elif not blank[at]:
            last = None
    return image
