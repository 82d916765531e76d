"""Models and data sets that are named wrongly, or are not what they say: a sentence, before anything is loaded."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from core.data.hub import checked
from core.data.storing.drafts import Drafts
from core.errors import InspectionError, SourceError, SourceNotFound, SourceRefused, StudioError
from core.models.inspection import inspect_source
from core.models.loading import load_processor
from core.models.source import check_trainable, parse_source, resolve
from tests.bad_inputs.ground import ROOT, plain, watched

LLAVA: dict[str, Any] = {
    "model_type": "llava",
    "architectures": ["LlavaForConditionalGeneration"],
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
    },
    "text_config": {
        "model_type": "llama",
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "vocab_size": 64,
    },
}


@pytest.fixture(scope="module", autouse=True)
def _torch_loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A good model first: what is measured later is the input's memory, not that of imports."""
    inspect_source(parse_source(model(tmp_path_factory.mktemp("good"))))


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def model(home: Path, config: object = LLAVA, **files: bytes) -> str:
    """A folder with a model."""
    folder = home / "model"
    folder.mkdir(exist_ok=True)
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    (folder / "config.json").write_bytes(text)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return str(folder)


def sentence(home: Path, error: StudioError, *said: str) -> None:
    plain(str(error), home.parent / "nowhere", *said)


@pytest.mark.parametrize("name", ["pytorch_model__bin", "model__pt", "model__ckpt"])
def test_ids_01_pickle_weights(home: Path, name: str) -> None:
    trap = home / "it_was_opened"
    folder = model(home, **{name: pickle.dumps(Trap(trap))})
    with watched(home):
        for use in (resolve, check_trainable):
            with pytest.raises(SourceRefused) as caught:
                use(parse_source(folder))
            sentence(home, caught.value, "safetensors")
    assert not trap.exists()


def test_ids_02_auto_map(home: Path) -> None:
    trap = home / "it_was_run"
    code = f"open({str(trap)!r}, 'w')\nclass C: pass\n".encode()
    for name, content in (
        ("config__json", {**LLAVA, "auto_map": {"AutoConfig": "code.C"}}),
        ("preprocessor_config__json", {"auto_map": {"AutoProcessor": "code.C"}}),
        ("tokenizer_config__json", {"auto_map": {"AutoTokenizer": "code.C"}}),
    ):
        folder = model(home, code__py=code, **{name: json.dumps(content).encode()})
        with watched(home), pytest.raises(SourceRefused) as caught:
            inspect_source(parse_source(folder))
        sentence(home, caught.value, name.replace("__", "."), "Python code of its own, which is never run here")
        (Path(folder) / name.replace("__", ".")).unlink()
    assert not trap.exists()


@pytest.mark.parametrize("number", [10**9, 10**30, -5, 0, 1e308, "many", None])
@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_ids_03_huge_config_numbers(home: Path, number: object, key: str) -> None:
    folder = model(home, {**LLAVA, "text_config": {**LLAVA["text_config"], key: number}})
    with watched(home):
        try:
            inspect_source(parse_source(folder))
        except (InspectionError, SourceError) as error:
            sentence(home, error)
        else:
            assert number in (0, -5) or key != "num_hidden_layers", "a model of so many layers cannot be built"


def test_ids_03_huge_config_numbers_of_digits_and_depth(home: Path) -> None:
    for text in (b'{"model_type": "llava", "x": ' + b"9" * 10_000 + b"}", b"[" * 100_000, b'{"a":' * 50_000):
        with watched(home), pytest.raises(SourceError) as caught:
            inspect_source(parse_source(model(home, text)))
        sentence(home, caught.value, "config.json")
    with watched(home), pytest.raises(SourceRefused) as caught:
        inspect_source(parse_source(model(home, b'{"a": "' + b"x" * 5_000_000 + b'"}')))
    sentence(home, caught.value, "more than 4 MiB")


def test_ids_04_missing_tokenizer(home: Path) -> None:
    folder = model(home, model__safetensors=b"", preprocessor_config__json=b"{}")
    with watched(home), pytest.raises(SourceError) as caught:
        check_trainable(parse_source(folder))
    sentence(home, caught.value, "the folder has no processor files")
    with watched(home), pytest.raises(SourceError) as caught_loading:
        load_processor(parse_source(folder))
    sentence(home, caught_loading.value)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
        {"model_type": "no_such_type", "architectures": ["NoSuchModel"]},
        {"model_type": "llama", "architectures": ["LlavaForConditionalGeneration"]},
        {"model_type": ["llava"]},
        {},
    ],
    ids=["text-only", "unknown", "contradicting", "a list", "empty"],
)
def test_ids_05_wrong_architecture(home: Path, config: dict[str, object]) -> None:
    with watched(home), pytest.raises((InspectionError, SourceError)) as caught:
        inspect_source(parse_source(model(home, config)))
    sentence(home, caught.value)


def test_ids_06_a_local_path_where_none_is_allowed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = home / "allowed"
    inside.mkdir()
    outside = model(home)
    monkeypatch.setenv("STUDIO_MODEL_ROOT", str(inside))
    monkeypatch.setenv("STUDIO_DATA_ROOT", str(inside))
    for path in (outside, "/etc", f"{inside}/../model", str(ROOT)):
        with watched(home):
            with pytest.raises(SourceRefused) as caught:
                resolve(parse_source(path))
            assert "it lies outside the folder of models" in str(caught.value)
            with pytest.raises(StudioError) as caught_data:
                Drafts(home).from_folder(path)
            assert str(caught_data.value).endswith(".")
    monkeypatch.delenv("STUDIO_DATA_ROOT")
    with watched(home), pytest.raises(SourceRefused):
        Drafts(home, shared=True).from_folder(outside)


@pytest.mark.parametrize("name", ["a/../../b", "../b", "a/..", "a/b/../../c", "a/..%2f..%2fb", "a/b@../../c"])
def test_ids_07_climbing(home: Path, name: str) -> None:
    with watched(home):
        with pytest.raises(SourceError) as caught:
            resolve(parse_source(name))
        sentence(home, caught.value)
        with pytest.raises(StudioError) as caught_data:
            checked(name, None, None)
        sentence(home, caught_data.value)
        with pytest.raises(StudioError):
            checked("owner/name", "../../b", None)


def test_ids_08_300_characters(home: Path) -> None:
    for name in ("o/" + "x" * 300, "x" * 300, "o" * 300 + "/x", "o/x@" + "y" * 300):
        with watched(home):
            with pytest.raises(SourceNotFound) as caught:
                resolve(parse_source(name))
            sentence(home, caught.value)
            assert len(str(caught.value)) < 400
            with pytest.raises(StudioError) as caught_data:
                checked(*name.split("@")[:1], *(name.split("@")[1:] or [None]), None)
            sentence(home, caught_data.value)
