"""The browser's own arithmetic against the server's, on random choices of several models."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import StudioError
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.models.relabel import relabelled
from core.models.source import DEMO_MODEL
from core.spec import CELL_ROLES, COMPONENTS, Inspection, Recipe, Selection, Source, from_dict
from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser
COUNT = """async (choices) => {
  const from = (name) => import(new URL(`studio/static/js/${name}.js`, document.baseURI).href);
  const [{ state }, { labelled }, { budget }] = await Promise.all([from("store"), from("model"), from("count")]);
  return choices.map(({ selection, recipe }) => {
    const { trainable, bytes, byComponent } = budget(labelled(state.inspected, selection.relabels), selection, recipe);
    return { trainable, bytes, byComponent };
  });
}"""
"""What the page's own script counts for each choice on the model in hand."""
CHOICES = 60


def tiny_moe(folder: Path) -> Path:
    """A small model whose language MLPs are fused experts."""
    from transformers import Qwen3VLMoeConfig

    text = {
        "hidden_size": 32, "intermediate_size": 48, "moe_intermediate_size": 24, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "num_experts": 4, "vocab_size": 99,
        "decoder_sparse_step": 1, "mlp_only_layers": [0],
    }  # fmt: skip
    vision = {
        "hidden_size": 24, "intermediate_size": 36, "depth": 4, "num_heads": 2, "out_hidden_size": 32,
        "deepstack_visual_indexes": [1],
    }  # fmt: skip
    config = Qwen3VLMoeConfig(text_config=text, vision_config=vision)
    config.architectures = ["Qwen3VLMoeForConditionalGeneration"]
    config.save_pretrained(folder)
    return folder


def some(dice: random.Random, values: list[str], most: int) -> list[str]:
    return dice.sample(values, dice.randint(0, min(most, len(values))))


def random_choice(dice: random.Random, made: Inspection) -> dict[str, Any]:
    """A choice as the page makes it; not all of them can be."""
    names = [module.name for module in made.modules]
    reachable = [module.name for module in made.modules if module.adaptable]
    parents = sorted({name.rpartition(".")[0] for name in names if "." in name})
    cells = sorted({f"{c}.{r}" for c in COMPONENTS for r in CELL_ROLES})
    towers = ["vision", "language"]
    ranges: list[Any] = [[-2, None], [0, 1], [1, None], [None, 2]]
    selection = {
        "cells": some(dice, cells, 12),
        "include": some(dice, reachable, 4),
        "exclude": some(dice, names, 4),
        "layers": {name: dice.choice(ranges) for name in some(dice, towers, 2)},
        "full": some(dice, [*parents, *names, "projector"], 2) if dice.random() < 0.3 else [],
        "relabels": {name: dice.choice(COMPONENTS) for name in some(dice, parents, 2)} if dice.random() < 0.3 else {},
    }
    recipe = {
        "rank": dice.choice([1, 2, 7, 8, 64]),
        "alpha": 16,
        "method": dice.choice(["lora", "rslora", "dora", "adalora"]),
        "start": dice.choice(["default", "default", "gaussian", "pissa", "olora"]),
        "lora_bias": dice.random() < 0.3,
        "components": {name: {"rank": dice.choice([3, 16])} for name in some(dice, towers, 2)},
    }
    return {"selection": selection, "recipe": {**Recipe().__dict__, **recipe}}


def expected(made: Inspection, choice: dict[str, Any]) -> tuple[int, int, dict[str, int]] | None:
    """What the server counts; None for what cannot be."""
    selection, recipe = from_dict(Selection, choice["selection"]), from_dict(Recipe, choice["recipe"])
    try:
        seen = relabelled(made, selection.relabels)
        found = budget(seen, make_plan(made, selection, recipe))
    except StudioError:
        return None
    return found.trainable, found.adapter_bytes, {name: n for name, n in found.by_component.items() if n}


def possible(made: Inspection, seed: int) -> Iterator[tuple[dict[str, Any], tuple[int, int, dict[str, int]]]]:
    dice = random.Random(seed)
    for _ in range(CHOICES * 20):
        choice = random_choice(dice, made)
        seen = relabelled(made, from_dict(Selection, choice["selection"]).relabels)
        choice["selection"]["cells"] = [cell for cell in choice["selection"]["cells"] if cell in _cells(seen)]
        if found := expected(made, choice):
            yield choice, found


def _cells(made: Inspection) -> set[str]:
    from core.lora.selection import available_cells

    return set(available_cells(made))


def compare(tab: Tab, made: Inspection, seed: int) -> None:
    pairs = [pair for _, pair in zip(range(CHOICES), possible(made, seed), strict=False)]
    assert len(pairs) == CHOICES
    counted: list[dict[str, Any]] = tab.page.evaluate(COUNT, [choice for choice, _ in pairs])
    for (choice, (trainable, size, parts)), page in zip(pairs, counted, strict=True):
        shown = (page["trainable"], page["bytes"], {name: n for name, n in page["byComponent"].items() if n})
        assert shown == (trainable, size, parts), json.dumps(choice)
    assert {choice["recipe"]["method"] for choice, _ in pairs} == {"lora", "rslora", "dora", "adalora"}


def test_the_browser_counts_like_the_server_on_the_demo(tab: Tab) -> None:
    compare(tab, inspect_source(DEMO_MODEL), 0)


def test_the_browser_counts_like_the_server_on_fused_experts(tab: Tab, tmp_path: Path) -> None:
    source = Source("folder", str(tiny_moe(tmp_path / "moe")))
    made = inspect_source(source)
    assert "language.experts" in _cells(made)
    tab.step("model")
    tab.page.fill("#model-source textarea, #model-source input", source.name)
    tab.page.click("#model-open")
    tab.wait("studio.state.model.label === 'moe'")
    compare(tab, made, 1)
