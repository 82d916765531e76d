"""No dead words, and a page that is up before anything heavy is imported."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ui.parts import ROOT
from ui import words

UI = sorted((ROOT / "ui").rglob("*.py"))
SCRIPTS = sorted((ROOT / "assets" / "js").glob("*.js"))
HEAVY = ("torch", "torchvision", "transformers", "peft", "trl", "datasets", "accelerate", "sklearn")


def names_used(path: Path) -> set[str]:
    """`NAME` of every `words.NAME` in a file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    return {node.attr for node in attributes if node.value.id == "words"}


def test_every_word_of_the_page_is_used():
    known = {name for name in vars(words) if name.isupper()}
    used = set().union(*map(names_used, UI))
    assert known - used == set()
    assert used - known == set()


def test_every_word_of_the_page_is_text_that_says_something():
    for name in filter(str.isupper, vars(words)):
        said = getattr(words, name)
        assert isinstance(said, str), name
        assert said.strip() == said != "", name
        assert "  " not in said, name


def test_every_word_of_the_scripts_is_used():
    said = ROOT / "assets" / "js" / "words.js"
    known = set(re.findall(r"^export (?:const|function) (\w+)", said.read_text(), re.MULTILINE))
    assert known
    elsewhere = "\n".join(path.read_text() for path in SCRIPTS if path != said)
    assert {name for name in known if not re.search(rf"\b{name}\b", elsewhere)} == set()


@pytest.mark.parametrize("path", [*UI, *SCRIPTS], ids=lambda path: path.name)
def test_nothing_of_the_page_is_fetched_from_elsewhere(path):
    """A page that works offline: no address of another server in what it loads."""
    found = re.findall(r"https?://(?!www\.w3\.org|127\.0\.0\.1|localhost)[^\s\"'`)]+", path.read_text())
    assert not [address for address in found if re.search(r"\.(js|css|woff2?|png|svg)\b", address)]


START = f"""
import sys, urllib.request
def heavy():
    return sorted(set({HEAVY!r}) & set(sys.modules))
import app
assert not heavy(), f"import app loads {{heavy()}}"
app.warm_up_soon = lambda studio: None
page, studio, address = app.launch(block=False)
answers = lambda path: urllib.request.urlopen(address + path).status == 200
assert all(map(answers, ("", "studio/home", "studio/jobs", "studio/plotly.js", "studio/static/js/main.js")))
assert answers("studio/inspections/" + next(iter(studio.inspections)))
assert not heavy(), f"a start loads {{heavy()}}"
page.close()
"""


def test_the_page_starts_and_shows_the_demo_without_anything_heavy(tmp_path: Path):
    own = {"STUDIO_HOME": str(tmp_path), "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False"}
    environment = {**os.environ, **own, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", START], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
