"""Caching, the shipped inspection of the demo, and what importing and inspecting costs."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from core.models import build, inspection
from core.models.inspection import cached_inspection, inspect_source
from core.models.source import DEMO_MODEL, parse_source, resolve
from core.spec import to_dict
from tests.models.families import CONFIGS, write_config


@pytest.fixture
def source(tmp_path):
    return parse_source(str(write_config(tmp_path / "model", CONFIGS["smolvlm"])))


def test_shipped_inspection_of_the_demo_equals_a_live_one():
    shipped = cached_inspection(DEMO_MODEL)
    assert shipped is not None, "run: python -m core.models.inspection --write-demo"
    assert shipped == inspection._inspect(resolve(DEMO_MODEL))


def test_second_look_comes_from_the_cache(source, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    assert cached_inspection(source, cache) is None
    first = inspect_source(source, cache)
    monkeypatch.setattr(inspection, "build_on_meta", lambda *_: pytest.fail("built again"))
    assert inspect_source(source, cache) == first
    assert cached_inspection(source, cache) == first


def test_cache_of_the_same_config_elsewhere_names_the_source_that_was_asked_for(source, tmp_path):
    cache = tmp_path / "cache"
    inspect_source(source, cache)
    other = parse_source(str(write_config(tmp_path / "other", CONFIGS["smolvlm"])))
    found = cached_inspection(other, cache)
    assert found is not None
    assert found.source == other


def test_another_config_or_another_version_of_the_labels_is_another_key(source, monkeypatch):
    raw = resolve(source).config_bytes
    key = inspection.config_hash(raw)
    assert inspection.config_hash(raw + b" ") != key
    monkeypatch.setattr(inspection, "LABELS_VERSION", 10**6)
    assert inspection.config_hash(raw) != key


def test_damaged_cache_is_made_anew(source, tmp_path):
    cache = tmp_path / "cache"
    first = inspect_source(source, cache)
    (path,) = cache.iterdir()
    path.write_text(path.read_text()[:100])
    assert cached_inspection(source, cache) is None
    assert inspect_source(source, cache) == first
    assert json.loads(path.read_text()) == to_dict(first)


@pytest.mark.parametrize("cache", ["/proc/nowhere", "/dev/null/cache"])
def test_a_cache_that_cannot_be_written_costs_nothing(source, cache, caplog):
    assert inspect_source(source, Path(cache)) == inspect_source(source)
    assert "is not kept" in caplog.text


def test_cached_inspection_of_what_was_never_fetched_is_none(tmp_path):
    assert cached_inspection(parse_source("nobody/never-fetched")) is None
    assert cached_inspection(parse_source(str(tmp_path / "nowhere"))) is None


def test_a_branch_of_the_hub_is_never_taken_from_the_cache_unasked(monkeypatch):
    monkeypatch.setattr(inspection, "resolve", lambda *_, **__: pytest.fail("an old commit may be meant"))
    assert cached_inspection(parse_source("owner/name@main")) is None


def test_the_demo_is_shown_without_importing_torch_or_transformers():
    code = (
        "import sys; from core.models.inspection import cached_inspection; from core.models.source import DEMO_MODEL\n"
        "assert cached_inspection(DEMO_MODEL) is not None\n"
        "assert not {'torch', 'transformers', 'peft', 'gradio'} & set(sys.modules), 'slow imports'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_72_b_is_inspected_without_its_weights(tmp_path):
    """The default config of Qwen2.5-VL has the shapes of the 72 B."""
    config = {"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}
    source = parse_source(str(write_config(tmp_path / "model", config)))
    tracemalloc.start()
    made = inspect_source(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.total_params == 75_789_228_800
    assert peak < 2**28


def test_inspection_gives_up_on_a_model_that_grows_without_end(source, monkeypatch):
    monkeypatch.setattr(build, "MAX_MODULES", 5)
    with pytest.raises(inspection.InspectionError, match="more modules or time"):
        inspect_source(source)
    monkeypatch.undo()
    assert inspect_source(source).modules, "the watch is taken off again"


def test_weights_are_initialized_again_after_an_inspection(source):
    import torch

    inspect_source(source)
    assert torch.nn.Linear(3, 3).weight.abs().sum() > 0
    assert torch.nn.Linear(3, 3).weight.device.type == "cpu"
