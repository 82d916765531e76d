"""Naming a model, and every way in which one cannot be used: a plain sentence, nothing half-made."""

from __future__ import annotations

import json
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub import errors

from core.errors import InspectionError, SourceError, SourceNotFound, SourceRefused, StudioError
from core.models import hub
from core.models.inspection import inspect_source
from core.models.source import DEMO_MODEL, WELL_KNOWN, parse_source, resolve
from core.spec import Source
from tests.models.families import CONFIGS, write_config

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("demo", DEMO_MODEL),
        (" Demo-VLM ", DEMO_MODEL),
        ("owner/name", Source("hub", "owner/name")),
        ("owner/name@main", Source("hub", "owner/name", "main")),
        ("owner/name@refs/pr/1", Source("hub", "owner/name", "refs/pr/1")),
        ("https://huggingface.co/owner/na.me_1-x/tree/v2", Source("hub", "owner/na.me_1-x", "v2")),
        ("https://huggingface.co/owner/name/", Source("hub", "owner/name")),
        ("/some/where", Source("folder", "/some/where")),
        ("./here", Source("folder", "./here")),
        ("~/there", Source("folder", "~/there")),
    ],
)
def test_text_becomes_a_source(text, source):
    assert parse_source(text) == source


def test_an_existing_folder_is_taken_before_a_hub_id_of_the_same_name(tmp_path, monkeypatch):
    write_config(tmp_path / "owner" / "name", CONFIGS["llava"])
    monkeypatch.chdir(tmp_path)
    assert parse_source("owner/name").kind == "folder"


def test_well_known_models_are_valid_hub_ids():
    for model in WELL_KNOWN:
        assert parse_source(model.name) == Source("hub", model.name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name-alone",
        "a/../../b",
        "owner/..",
        "owner/na me",
        "owner/name/more",
        "owner/name@",
        "owner/name@a..b",
        "owner/" + "x" * 300,
        "owner/na\x00me",
        "owner/name\nmore",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "-owner/name",
        "owner/name.git",
        "owner/na--me",
        "öwner/name",
        "owner/<script>",
    ],
)
def test_no_such_name_can_exist(text):
    with pytest.raises(SourceError) as caught:
        parse_source(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["x" * 5000, "a/" * 3000, "/" + "x" * 5000, "\x00"])
def test_absurdly_long_names_are_refused_without_being_repeated(text):
    with pytest.raises(StudioError) as caught:
        resolve(parse_source(text))
    assert len(str(caught.value)) < 400


def folder(tmp_path, text: str | bytes) -> Source:
    (tmp_path / "model").mkdir(exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "model" / "config.json").write_bytes(data)
    return parse_source(str(tmp_path / "model"))


def test_folders_that_are_none(tmp_path):
    for name in ("nowhere", "file"):
        (tmp_path / "file").write_text("x")
        with pytest.raises(SourceNotFound, match="no such folder"):
            resolve(parse_source(str(tmp_path / name)))


def test_folder_without_a_config(tmp_path):
    with pytest.raises(SourceNotFound, match=r"no config\.json"):
        resolve(parse_source(str(tmp_path)))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(SourceNotFound, match="it is an adapter"):
        resolve(parse_source(str(tmp_path)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1, 2]",
        "null",
        "NaN",
        '"llava"',
        b"\xff\xfe{}",
        "[" * 100_000,
        '{"a": ' * 100_000,
        '{"num_hidden_layers": ' + "9" * 5000 + "}",
        '{"a": "' + "x" * (5 * 2**20) + '"}',
    ],
    ids=lambda text: repr(text[:10]),
)
def test_config_that_is_none(text, tmp_path):
    with pytest.raises(SourceRefused, match=r"config\.json"):
        resolve(folder(tmp_path, text))


@pytest.mark.parametrize("name", ["config.json", "processor_config.json", "tokenizer_config.json"])
def test_code_of_its_own_is_refused(name, tmp_path):
    source = folder(tmp_path, json.dumps(CONFIGS["llava"]))
    path = tmp_path / "model" / name
    settings = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**settings, "auto_map": {"AutoModel": "modeling.Evil"}}))
    with pytest.raises(SourceRefused, match=rf"{name} \(auto_map\)"):
        resolve(source)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt", "consolidated.00.pth"])
def test_weights_only_as_pickle_are_refused(name, tmp_path):
    source = folder(tmp_path, json.dumps(CONFIGS["llava"]))
    (tmp_path / "model" / name).write_bytes(b"x")
    with pytest.raises(SourceRefused, match="pickle"):
        resolve(source)
    (tmp_path / "model" / "model.safetensors").write_bytes(b"x")
    assert resolve(source).source == source


def test_pickles_of_a_trainer_are_no_weights(tmp_path):
    source = folder(tmp_path, json.dumps(CONFIGS["llava"]))
    for name in ("training_args.bin", "optimizer.pt", "rng_state_0.pth"):
        (tmp_path / "model" / name).write_bytes(b"x")
    assert resolve(source).config["model_type"] == "llava"


def test_folders_outside_the_model_root_are_refused_whether_they_exist_or_not(tmp_path, monkeypatch):
    source = folder(tmp_path, json.dumps(CONFIGS["llava"]))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "model")
    inside = write_config(tmp_path / "root" / "inside", CONFIGS["llava"])
    monkeypatch.setenv("STUDIO_MODEL_ROOT", str(tmp_path / "root"))
    outside = (source.name, str(tmp_path / "nowhere"), str(tmp_path / "root" / "link"), f"{inside}/../../model")
    for name in outside:
        with pytest.raises(SourceRefused, match="outside"):
            resolve(Source("folder", name))
    assert resolve(parse_source(str(inside))).folder == inside.resolve()


def test_a_config_that_links_out_of_the_model_root_is_refused(tmp_path, monkeypatch):
    folder(tmp_path, json.dumps(CONFIGS["llava"]))
    (tmp_path / "root" / "model").mkdir(parents=True)
    (tmp_path / "root" / "model" / "config.json").symlink_to(tmp_path / "model" / "config.json")
    monkeypatch.setenv("STUDIO_MODEL_ROOT", str(tmp_path / "root"))
    with pytest.raises(SourceRefused, match="leads out"):
        resolve(Source("folder", str(tmp_path / "root" / "model")))


LLAMA = {"model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 16}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({**LLAMA, "architectures": ["LlamaForCausalLM"]}, "text-only"),
        (LLAMA, "no class for pictures and text"),
        ({"model_type": "vit", "architectures": ["ViTModel"]}, "reads or writes text"),
        ({"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]}, "sees pictures"),
        ({}, "names no model_type"),
        ({"model_type": "no_such_type"}, "knows no type"),
        ({"model_type": ["llava"]}, "knows no type"),
        ({**CONFIGS["llava"], "architectures": ["LlavaLlamaForCausalLM"]}, "no class LlavaLlamaForCausalLM"),
        ({**CONFIGS["llava"], "architectures": ["__import__('os')"]}, "no class"),
        ({**CONFIGS["llava"], "architectures": ["AutoConfig"]}, "no class"),
        ({**CONFIGS["llava"], "text_config": {**LLAMA, "hidden_size": -3}}, "cannot be built"),
        (
            {**CONFIGS["llava"], "text_config": {**LLAMA, "hidden_size": "many"}},
            "text_config.hidden_size is not of the type int, but str",
        ),
        ({**CONFIGS["llava"], "text_config": {**LLAMA, "num_hidden_layers": 10**9}}, "num_hidden_layers"),
        (
            {**CONFIGS["llava"], "vision_config": {"model_type": "clip_vision_model", "hidden_size": 10**15}},
            "hidden_size",
        ),
        ({**CONFIGS["llava"], "num_labels": 10**9}, "num_labels"),
    ],
)
def test_configs_that_make_no_vision_language_model(config, sentence, tmp_path):
    with pytest.raises(InspectionError, match=sentence) as caught:
        inspect_source(folder(tmp_path, json.dumps(config)), tmp_path / "cache")
    assert "Traceback" not in str(caught.value)
    assert not (tmp_path / "cache").exists(), "nothing half-made is kept"


def answer(status: int) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request("GET", "https://huggingface.co/x?token=hf_canary"))


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (errors.RepositoryNotFoundError("hf_canary", response=answer(404)), SourceNotFound, "no model has this name"),
        (errors.GatedRepoError("hf_canary", response=answer(403)), SourceRefused, "agreement"),
        (errors.RevisionNotFoundError("hf_canary", response=answer(404)), SourceNotFound, "no such revision"),
        (errors.HfHubHTTPError("hf_canary", response=answer(401)), SourceRefused, "does not let"),
        (errors.HfHubHTTPError("hf_canary", response=answer(503)), SourceNotFound, "error 503"),
        (errors.OfflineModeIsEnabled("hf_canary"), SourceNotFound, "stay offline"),
        (httpx.ConnectError("hf_canary"), SourceNotFound, "cannot be reached"),
        (TimeoutError("hf_canary"), SourceNotFound, "cannot be reached"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence_without_tokens(error, kind, sentence, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", fail)
    with pytest.raises(kind, match=sentence) as caught:
        resolve(Source("hub", "nobody/nothing"))
    assert "hf_canary" not in str(caught.value)


@pytest.fixture
def fake_hub(tmp_path, monkeypatch):
    """A Hub with one model, whose files lie in a snapshot as the real cache keeps them."""
    snapshot = write_config(tmp_path / "snapshots" / COMMIT, CONFIGS["llava"])
    files = ["config.json", "model.safetensors", "README.md"]
    info = SimpleNamespace(sha=COMMIT, siblings=[SimpleNamespace(rfilename=name) for name in files])
    asked: list[str] = []

    def download(_repo: str, name: str, revision: str, **_: object) -> str:
        asked.append(f"{name}@{revision}")
        return str(snapshot / name)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: info)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    return SimpleNamespace(info=info, asked=asked)


def test_hub_models_are_pinned_to_a_commit_and_only_small_files_fetched(fake_hub):
    found = resolve(Source("hub", "owner/name", "main"))
    assert found.source == Source("hub", "owner/name", COMMIT)
    assert found.config["model_type"] == "llava"
    assert fake_hub.asked == [f"config.json@{COMMIT}"]
    assert inspect_source(Source("hub", "owner/name")).source.revision == COMMIT


def test_hub_models_with_pickles_only_are_refused_before_any_download(fake_hub):
    fake_hub.info.siblings[1].rfilename = "pytorch_model.bin"
    with pytest.raises(SourceRefused, match="pickle"):
        resolve(Source("hub", "owner/name"))
    assert not fake_hub.asked


def test_hub_models_without_config_are_not_found(fake_hub):
    fake_hub.info.siblings[0].rfilename = "params.json"
    with pytest.raises(SourceNotFound, match=r"no config\.json"):
        resolve(Source("hub", "owner/name"))


def test_what_was_fetched_before_needs_no_network(tmp_path, monkeypatch):
    snapshot = write_config(tmp_path / "snapshots" / COMMIT, CONFIGS["llava"])

    def cache(_repo: str, name: str, revision: str | None = None) -> str | None:
        return str(snapshot / name) if revision in (None, COMMIT) else None

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", cache)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: pytest.fail("the network was asked"))
    assert hub.fetch(Source("hub", "owner/name", COMMIT))[1] == snapshot
    assert resolve(Source("hub", "owner/name"), offline=True).source.revision == COMMIT
