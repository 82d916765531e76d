"""The model card calls what a job chose as the page calls it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.adapters.card_words import CHOICES, LEVERS, VALUES
from core.spec.settings import LEVERS as NAMES
from ui.panels.fields import AUTO, OFFERED

SCRIPT = (Path(__file__).resolve().parents[2] / "assets/js/words.js").read_text()


def in_script(table: str, value: str) -> dict[str, str]:
    """Names and texts of a table in the page's script."""
    body = re.search(rf"export const {table} = {{\n(.*?)\n}};", SCRIPT, re.DOTALL)
    assert body
    return dict(re.findall(rf'^  (\w+): {value}"([^"]+)"', body[1], re.MULTILINE))


def test_levers() -> None:
    assert tuple(LEVERS) == NAMES
    assert {code: shown for shown, code in OFFERED["levers"]} == LEVERS
    script = in_script("LEVERS", "")
    assert {name: text.lower().replace("’", "'").replace("lora", "LoRA") for name, text in script.items()} == {
        name: text.lower().replace("lora", "LoRA") for name, text in LEVERS.items()
    }


@pytest.mark.parametrize("name", list(VALUES))
def test_values(name: str) -> None:
    offered = {code: shown for shown, code in OFFERED[name] if code != AUTO}
    assert VALUES[name] == offered


def test_choices() -> None:
    titles = {name: title.lower() for name, title in in_script("CHOICES", "{ title: ").items()}
    titles.pop("metric")  # the card's results say it
    assert titles == CHOICES
