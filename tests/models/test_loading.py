"""Loading weights and processors: what is there loads, and every fault is a sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import InspectionError, SourceError, SourceNotFound, SourceRefused
from core.models.inspection import inspect_source
from core.models.loading import load_model, load_processor, public_name
from core.models.source import ASSETS, DEMO_MODEL, check_trainable
from core.models.threads import SMALL, choose_threads, settle_threads, threads_for
from core.spec import Source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the demo model to be damaged."""
    return Path(shutil.copytree(ASSETS / "model", tmp_path / "model"))


def load(folder: Path) -> torch.nn.Module:
    return load_model(Source("folder", str(folder)), "cpu", torch.float32)


def test_the_demo_loads_as_it_was_inspected() -> None:
    model = load_model(DEMO_MODEL, "cpu", torch.float32)
    made = inspect_source(DEMO_MODEL)
    assert type(model).__name__ == made.model_class
    assert sum(parameter.numel() for parameter in model.parameters()) == made.total_params
    assert not model.training
    assert model.dtype == torch.float32


def test_the_precision_is_the_one_asked_for() -> None:
    assert load_model(DEMO_MODEL, "cpu", torch.bfloat16).dtype == torch.bfloat16


@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_the_output_embedding_is_not_packed_whatever_its_name(quantization: str, tmp_path: Path) -> None:
    from transformers import GitConfig, GitForCausalLM

    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
    vision = {**size, "image_size": 32, "patch_size": 8}
    GitForCausalLM(GitConfig(vision_config=vision, vocab_size=160, **size)).save_pretrained(tmp_path)
    query = "git.encoder.layer.0.attention.self.query"
    source = Source("folder", str(tmp_path))
    model = load_model(source, "cpu", torch.float32, quantization=quantization, whole=(query,))
    assert model.get_output_embeddings() is model.output
    assert type(model.output) is type(model.get_submodule(query)) is torch.nn.Linear
    assert type(model.get_submodule(query.replace("query", "key"))) is not torch.nn.Linear


def test_the_processor_can_pad(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("pad_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_processor(Source("folder", str(folder))).tokenizer
    assert tokenizer.pad_token_id is not None


def test_weights_that_leave_a_gap_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "q_proj" in name)
    del weights[name]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SourceRefused, match=r"lack 1 of its parameters.*q_proj"):
        load(folder)


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "q_proj" in name)
    weights[name] = weights[name][:, :-1].contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SourceError):
        load(folder)


def test_damaged_weights_are_refused(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError) as caught:
        load(folder)
    assert str(folder.parent / "other") not in str(caught.value)


def test_missing_weights_are_said_in_words(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(SourceError):
        load(folder)


def test_a_pickle_is_never_opened(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SourceRefused, match="pickle"):
        load(folder)


def test_code_of_its_own_is_never_run(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForImageTextToText": "modeling.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling.py").write_text("raise SystemExit('ran')")
    for loader in (load, lambda folder: load_processor(Source("folder", str(folder)))):
        with pytest.raises(SourceRefused, match="code"):
            loader(folder)


def test_a_missing_tokenizer_is_said_in_words(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(SourceError):
        load_processor(Source("folder", str(folder)))


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (("config.json",), "the folder has no weights and no processor files. It can be looked at but not trained"),
        (
            ("config.json", "*token*", "processor_config.json", "adapter_model.safetensors"),
            "the folder has no weights.",
        ),
        (("config.json", "*.safetensors"), "the folder has no processor files."),
        (("config.json", "*.safetensors", "*token*"), "the folder has no processor files."),
        (("config.json", "*.safetensors", "processor_config.json"), "the folder has no processor files."),
    ],
)
def test_a_folder_that_cannot_be_trained_says_what_it_lacks(folder: Path, kept: tuple[str, ...], words: str) -> None:
    check_trainable(Source("folder", str(folder)))
    (folder / "adapter_model.safetensors").touch()
    for path in folder.iterdir():
        if not any(path.match(pattern) for pattern in kept) or ("adapter_" in path.name and path.name not in kept):
            path.unlink()
    with pytest.raises(SourceNotFound) as caught:
        check_trainable(Source("folder", str(folder)))
    assert str(caught.value).startswith("Training “model” was asked for: ")
    assert words in str(caught.value)


def test_the_demo_the_hub_and_a_folder_of_pickles_before_training(folder: Path) -> None:
    check_trainable(DEMO_MODEL)
    check_trainable(Source("hub", "owner/name"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SourceRefused, match="pickle"):
        check_trainable(Source("folder", str(folder)))


def test_a_folder_without_its_files_is_not_told_of_a_connection(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != "config.json":
            path.unlink()
    with pytest.raises(SourceError) as caught:
        load_processor(Source("folder", str(folder)))
    assert "connection" not in str(caught.value)


def test_a_model_that_writes_no_text_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["Idefics3VisionTransformer"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError):
        load(folder)


@pytest.mark.parametrize("names", [None, ["NoSuchClassOfTransformers"]])
def test_what_is_loaded_is_what_was_inspected_whatever_class_the_config_names(
    folder: Path, names: list[str] | None
) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"architectures": names}
    (folder / "config.json").write_text(json.dumps(config))
    if names is None:
        assert type(load(folder)).__name__ == inspect_source(Source("folder", str(folder))).model_class
        return
    for ask in (load, lambda folder: inspect_source(Source("folder", str(folder)))):
        with pytest.raises(InspectionError, match="NoSuchClass"):
            ask(folder)


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(SourceNotFound):
        load(Path("/no/such/folder"))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (DEMO_MODEL, "assets/demo/model"),
        (Source("hub", "owner/name", "abc"), "owner/name"),
        (Source("folder", "/home/someone/models/mine/"), "mine"),
    ],
)
def test_the_public_name_holds_no_path_of_this_machine(source: Source, name: str) -> None:
    assert public_name(source) == name


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_only_the_worker_sets_the_threads_for_good() -> None:
    load_model(DEMO_MODEL, "cpu", torch.float32)
    assert torch.get_num_threads() == 2, "a server that compares has other work too"
    with threads_for(SMALL - 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with threads_for(SMALL):
        assert torch.get_num_threads() == 2
    settle_threads(SMALL - 1)
    assert torch.get_num_threads() == 1


def test_small_models_compute_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert choose_threads(SMALL - 1)[0] == 1
    assert choose_threads(SMALL)[0] is None
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert choose_threads(1)[0] is None
