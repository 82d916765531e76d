"""Forms of pictures that a model asks for by the names of its arguments: how many tokens stand for a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.memory.dry_run.inputs import BatchMaker
from core.memory.dry_run.simulation import simulate
from core.memory.workload import Workload
from core.models.source import resolve
from core.models.zoo import architectures
from core.spec import Source
from tests.memory.measuring import plan_of
from tests.models.families import write_config

WORK = Workload(batch=2, image_size=(448, 300), text_tokens=24, supervised_tokens=8, precision="bf16", device="cuda")
TOKENS: dict[str, tuple[dict[str, Any], int]] = {
    "kosmos-2": ({}, 64),  # `latent_query_num` of Kosmos2Config
    "kosmos-2.5": ({}, 2048),  # `latent_query_num` of Kosmos2_5Config
    "blip-2": ({"image_token_index": 50265}, 32),  # `num_query_tokens` of Blip2Config
    "instructblip": ({"image_token_index": 32000}, 32),  # `num_query_tokens` of InstructBlipConfig
    "fuyu": ({}, 15 * 10),  # patches of 30 x 30 pixels
    "gemma4": ({}, 20 * 13),  # the most groups of 48 x 48 pixels in this shape that are no more than 280
    "gemma4_unified": ({}, 20 * 13),  # the same groups, each handed over in one piece
    "molmo2": ({"adapter_config": {"text_hidden_size": 4096}}, 14**2 + 23 * 14),  # an overview and two crops, one below
}


@pytest.mark.parametrize("name", TOKENS)
def test_as_many_tokens_stand_for_a_picture_as_the_model_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields, tokens = TOKENS[name]
    zoo = {architecture.name: architecture for architecture in architectures()}
    batches = []
    make = BatchMaker.make
    monkeypatch.setattr(BatchMaker, "make", lambda *args: batches.append(make(*args)) or batches[-1])
    resolved = resolve(Source("folder", str(write_config(tmp_path, {**zoo[name].config, **fields}))))
    step = simulate(resolved, plan_of(resolved, "language"), WORK)
    assert step.image_tokens == tokens
    assert batches[0].inputs["input_ids"].shape == (2, tokens + 24)
    assert all(moment.parts["vision"] >= 0 for moment in step.moments)
