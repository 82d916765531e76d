"""Numbers that make no sense: refused when the value is made, with what would, before anything starts."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from core.errors import PlanError, SpecError, StudioError
from core.spec import Knobs, Plan, Recipe, Settings, from_json
from tests.bad_inputs.ground import plain, watched


def settings(**values: object) -> Settings:
    """Good settings but for these."""
    return Settings(**{"steps": 10, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize("rank", [0, 10**6, -1, 10**30])
def test_parameters_01_rank(home: Path, rank: int) -> None:
    with watched(home):
        for make in (
            lambda: Recipe(rank=rank),
            lambda: Plan(target_modules=("a",), rank=rank),
            lambda: Recipe(components={"vision": Knobs(rank=rank)}),
        ):
            with pytest.raises(PlanError) as caught:
                make()
            plain(str(caught.value), home, f"Rank {rank:,} was asked for", "from 1 to", "8 or 16 suits most tasks")


@pytest.mark.parametrize("rate", [math.nan, math.inf, -math.inf, -1.0, 0.0])
def test_parameters_02_learning_rate(home: Path, rate: float) -> None:
    with watched(home):
        with pytest.raises(SpecError) as caught:
            settings(learning_rate=rate)
        plain(str(caught.value), home, "“Learning rate” is", "it must be from 1e-09 to 1", "1e-4 is usual")
        with pytest.raises(StudioError) as caught_in_json:
            from_json(Settings, json.dumps({"steps": 10, "learning_rate": rate}))
        plain(str(caught_in_json.value), home)
        with pytest.raises(PlanError):
            Knobs(learning_rate=rate)


@pytest.mark.parametrize("batch", [10**9, 0, -4])
def test_parameters_03_batch(home: Path, batch: int) -> None:
    with watched(home), pytest.raises(SpecError) as caught:
        settings(batch_size=batch)
    plain(str(caught.value), home, f"“Batch” is {batch:,}", "it must be from 1 to 4,096")


@pytest.mark.parametrize("epochs", [-1, 0, 1e9, math.nan])
def test_parameters_04_epochs(home: Path, epochs: float) -> None:
    with watched(home), pytest.raises(SpecError) as caught:
        settings(steps=None, epochs=epochs)
    plain(str(caught.value), home, "“How long” is", "epochs", "3 is a usual start")
