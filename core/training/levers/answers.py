"""The lever `answers_only`: only what is learned goes through the head and into the loss.

The arithmetic is `core.evaluation.scores.token_losses`. The result is the same: a position that is not learned adds
nothing to the loss, and its logits are not looked at.
What it does not do: shorten the layers below the head.
"""

from __future__ import annotations

from typing import Any

from core.evaluation.scores import head_form
from core.spec import Settings
from core.training.levers.applied import Applied, left_off

REASONS = {
    "positions": "Only the tokens of the answers go through the output head.",
    "columns": "Only positions at which some row of the batch has an answer go through the output head.",
    "all": "This model's code sends every position through the output head.",
}


def answers_only(model: Any, settings: Settings) -> Applied:
    """Whether the model's code allows it."""
    if "answers_only" in settings.without:
        return left_off("answers_only")
    form = head_form(model)
    return Applied("answers_only", form != "all", REASONS[form])
