"""Whether a model can be trained is known before Start, in the words that Start would use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.spec import Source
from tests.ui.parts import ROOT, assert_plain, good_choice, good_form, request_of
from ui.panels.train import start
from ui.studio import Studio, key_of
from ui.trainable import whether_trainable

FILES = ("model.safetensors", "tokenizer.json", "preprocessor_config.json")
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def folder_of(folder: Path, kind: str, files: tuple[str, ...] = FILES) -> Source:
    """A small model's folder, with empty files where the weights would be."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(text_config=SMALL, vision_config=SMALL)
    config.architectures = [f"{kind}Model" if kind == "CLIP" else f"{kind}ForConditionalGeneration"]
    config.save_pretrained(folder)
    for name in files:
        (folder / name).write_text("{}")
    return Source("folder", str(folder))


def test_the_demo_is_known_to_be_trainable_without_an_import():
    code = (
        "import sys; from core.models.inspection import cached_inspection; from core.models.source import DEMO_MODEL;"
        "from ui.trainable import whether_trainable; print(whether_trainable(cached_inspection(DEMO_MODEL)));"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str({"writes": True, "untrainable": None})


@pytest.mark.parametrize(
    ("kind", "files", "writes", "says"),
    [("CLIP", FILES, False, "cannot answer in words"), ("Llava", FILES[1:], True, "no weights")],
)
def test_what_start_would_refuse_is_said_before(studio: Studio, tmp_path: Path, kind, files, writes, says):
    made = studio.open(folder_of(tmp_path / "my-model", kind, files))
    found = whether_trainable(made)
    assert found["writes"] is writes
    assert says in str(found["untrainable"])
    assert "my-model" in str(found["untrainable"])
    assert_plain(str(found["untrainable"]))
    choice = {**good_choice(studio), "model_key": key_of(made), "confirmed": True}
    answer = json.loads(start(studio, request_of(), json.dumps(choice), *good_form().values()))
    assert answer["error"] == found["untrainable"]


def test_a_folder_that_has_its_files_may_be_started(studio: Studio, tmp_path: Path):
    made = studio.open(folder_of(tmp_path / "my-model", "Llava"))
    assert whether_trainable(made) == {"writes": True, "untrainable": None}
