"""Why there is no figure for the memory of a model's step, in words.

What it does not do: run the step (see `simulation`).
"""

from __future__ import annotations

from typing import Any

from core.errors import InspectionError
from core.models.repository import clip
from core.models.source import Resolved

_TRAINING_TELLS = "Try a small batch; how much it takes is only known while it runs"


def refuse_without_words(resolved: Resolved, model: Any) -> None:
    """Refuses a model that writes no text, whose training has another loss."""
    if model.get_output_embeddings() is None and not type(model).can_generate():
        reason = f"its class {type(model).__name__} writes no text"
        raise _refusal(resolved, reason, "Take its chat or instruct version")


def refuse_unequal_widths(resolved: Resolved, pictures: int | None, words: int | None) -> None:
    """Refuses a model that cannot run since its pictures have another width than its words.

    Args:
        resolved: the model.
        pictures: numbers of one vector that the vision side gives; None where it is not known.
        words: numbers of one token's embedding; None where it is not known.
    """
    if pictures and words and pictures != words:
        reason = (
            f"its config does not fit together: a piece of a picture becomes {pictures:,} numbers, "
            f"but its language side takes {words:,}"
        )
        remedy = "Correct the widths in its config.json, or take another version of the model"
        raise _refusal(resolved, reason, remedy)


def not_run(resolved: Resolved, why: str) -> InspectionError:
    """For a step that cannot be run without data.

    Args:
        resolved: the model.
        why: what the model raised.
    """
    why = clip(" ".join(why.split()), 200).rstrip(".")
    return _refusal(resolved, f"its step could not be run without data ({why})", _TRAINING_TELLS)


def too_slow(resolved: Resolved, seconds: float) -> InspectionError:
    """For a step that takes longer without data than anyone would wait for."""
    return _refusal(resolved, f"running its step without data takes more than {seconds:.0f} seconds", _TRAINING_TELLS)


def _refusal(resolved: Resolved, reason: str, remedy: str) -> InspectionError:
    asked = f"The memory for “{clip(str(resolved.source))}” was asked for"
    return InspectionError(asked, reason, remedy)
