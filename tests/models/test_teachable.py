"""Classes that answer and have nothing to learn from are refused before a launch, with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import transformers

from core import cli
from core.cli.jobs import demo_spec
from core.errors import SourceRefused
from core.jobs.local import LocalBackend
from core.models.build import build_on_meta
from core.models.classes import check_teachable
from core.models.inspection import inspect_model
from core.models.trainable import refuse_unteachable, writes_words
from core.models.zoo import as_source
from core.spec import Inspection, Source, write


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Qwen2_5OmniForConditionalGeneration", "no step of its own"),
        ("Qwen3OmniMoeForConditionalGeneration", "no step of its own"),
        ("DiffusionGemmaForBlockDiffusion", "a block of its answer at once"),
        ("CLIPModel", "writes no text"),
        ("InstructBlipVideoForConditionalGeneration", "videos alone"),
        ("UdopForConditionalGeneration", "where on the page each word stands"),
    ],
)
def test_what_cannot_be_taught_is_refused_with_its_reason(name: str, words: str) -> None:
    with pytest.raises(SourceRefused, match=words):
        check_teachable(getattr(transformers, name), "It was asked for")


def test_the_part_that_reads_and_writes_can_be_taught() -> None:
    check_teachable(transformers.Qwen2_5OmniThinkerForConditionalGeneration, "It was asked for")


def _inspected(model_type: str, **fields: object) -> Inspection:
    with as_source(model_type, {"model_type": model_type, **fields}) as resolved:
        return inspect_model(build_on_meta(resolved), resolved.source)


def test_a_head_that_writes_codes_of_pictures_is_told_by_its_rows() -> None:
    text = {"num_hidden_layers": 2}
    made = _inspected("glm_image", architectures=["GlmImageForConditionalGeneration"], text_config=text)
    assert not writes_words(made)
    with pytest.raises(SourceRefused, match="16,512 codes") as refused:
        refuse_unteachable(made)
    assert "glm_image" in refused.value.asked
    same = _inspected(
        "glm_image",
        architectures=["GlmImageForConditionalGeneration"],
        text_config={**text, "vocab_size": 16_512, "pad_token_id": 0},
    )
    refuse_unteachable(same)
    assert writes_words(same), "the rows decide, not the name"


def test_a_model_of_words_that_reads_more_than_it_writes_is_taught() -> None:
    """Mllama reads eight tokens more than its head has rows."""
    made = _inspected("mllama", text_config={"num_hidden_layers": 4, "cross_attention_layers": [1]})
    refuse_unteachable(made)
    assert writes_words(made)


def test_the_command_line_refuses_it_before_a_worker_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(LocalBackend, "submit", lambda *_: pytest.fail("a worker was to be started"))
    model = {
        "model_type": "udop",
        "architectures": ["UdopForConditionalGeneration"],
        "num_layers": 1,
        "num_decoder_layers": 1,
    }
    (tmp_path / "udop").mkdir()
    (tmp_path / "udop" / "config.json").write_text(json.dumps(model))
    spec = replace(demo_spec("digits"), model=Source("folder", str(tmp_path / "udop")))
    write(spec, tmp_path / "spec.json")
    assert cli.main(["train", str(tmp_path / "spec.json")]) == 1
    assert "where on the page each word stands" in capsys.readouterr().err
