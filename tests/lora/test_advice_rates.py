"""One figure for a learning rate that is too high, whether it is said before the training or after it came apart."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from core.lora.advice import advise
from core.lora.advice.rates import slower
from core.lora.plan import make_plan
from core.lora.presets import usual_rate
from core.spec import Inspection, Knobs, Recipe, Selection, Settings
from tests.lora.test_advice import BOTH, model

SIZES = (4_000_000, 300_000_000, 8_000_000_000)


def rate_advised(made: Inspection, recipe: Recipe, settings: Settings) -> tuple[str, float] | None:
    """What the advice on the rate is called, and its figure."""
    selection = Selection(cells=BOTH)
    found = advise(made, selection, recipe, make_plan(made, selection, recipe), settings, None)
    told = [(each.key, float(each.remedy.split()[-1])) for each in found if each.key in ("rate_low", "rate_high")]
    return told[0] if told else None


def said(made: Inspection, recipe: Recipe, settings: Settings) -> tuple[str, float | None]:
    """What is said after it came apart, and its figure."""
    words = slower(made.total_params, make_plan(made, Selection(cells=BOTH), recipe), settings)
    numbers = re.findall(r"\d[\d.e-]*", words)
    return words, float(numbers[0]) if numbers else None


@pytest.mark.parametrize("total", SIZES)
@pytest.mark.parametrize("alpha", [4.0, 16.0, 32.0, 64.0, 128.0])
@pytest.mark.parametrize("rate", [1.0, 0.1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6])
def test_the_figure_is_the_advices_and_leaves_no_other(total: int, alpha: float, rate: float) -> None:
    made, recipe = replace(model(), total_params=total), Recipe(16, alpha)
    before = rate_advised(made, recipe, Settings(learning_rate=rate))
    words, figure = said(made, recipe, Settings(learning_rate=rate))
    assert figure is not None
    assert figure < rate
    if before and before[0] == "rate_high":
        assert figure == before[1]
    if before and before[0] == "rate_low":
        assert "ten times smaller" in words, "what is low already can only be lowered further"
        return
    after = rate_advised(made, recipe, Settings(learning_rate=figure))
    at_the_low_end = rate * alpha / 16 <= usual_rate(total).low
    assert after is None or ("ten times smaller" in words and at_the_low_end), words


def test_a_rate_of_a_components_own_is_named() -> None:
    recipe = Recipe(16, 32.0, components={"vision": Knobs(learning_rate=0.5)})
    words, figure = said(model(), recipe, Settings(learning_rate=1e-4))
    assert words.startswith("Take a learning rate of vision of ")
    assert ("rate_high", figure) == rate_advised(model(), recipe, Settings(learning_rate=1e-4))
    calm = Recipe(16, 32.0, components={"vision": Knobs(learning_rate=2e-4)})
    assert said(model(), calm, Settings(learning_rate=1e-4)) == ("Take learning rates ten times smaller", None)
