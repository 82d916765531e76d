"""Where a model comes from: text into a source, and a source into a folder with its config, refused when unsafe.

What it does not do: load weights (`loading.py`), talk to the Hub (`hub.py`), or understand a config (`inspection.py`).
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import SourceError, SourceNotFound, SourceRefused
from core.models import hub
from core.models.repository import SETTINGS_FILES, asked_for, clip, refuse_pickles
from core.spec import Source

DEMO_MODEL = Source("demo", "demo-vlm")
ASSETS = Path(__file__).resolve().parents[2] / "assets" / "demo"
ROOT_VARIABLE = "STUDIO_MODEL_ROOT"
"""When set, folders outside of it are refused."""
MAX_CONFIG_BYTES = 4 * 1024 * 1024
"""Real configs have 1 to 100 kB."""
_TOKENIZERS = ("tokenizer*", "vocab.*", "*.model", "spiece*", "tekken.json")
_PICTURE_SETTINGS = ("processor_config.json", "preprocessor_config.json")
_HUB_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}")
_MAX_HUB_ID = 96


class WellKnown(NamedTuple):
    """A model of the Hub that is worth a try."""

    name: str
    size: str
    """Parameters."""
    note: str
    gated: bool = False
    """Whether its terms must be agreed to on its page."""


WELL_KNOWN: tuple[WellKnown, ...] = (
    WellKnown("HuggingFaceTB/SmolVLM-256M-Instruct", "0.26 B", "The smallest; learns on a laptop"),
    WellKnown("HuggingFaceTB/SmolVLM-500M-Instruct", "0.51 B", "Small, with better answers"),
    WellKnown("OpenGVLab/InternVL3-1B-hf", "0.94 B", "Strong for its size; reads documents"),
    WellKnown("Qwen/Qwen3-VL-2B-Instruct", "2.1 B", "Recent all-rounder; text, charts, places in the picture"),
    WellKnown("Qwen/Qwen2-VL-2B-Instruct", "2.2 B", "All-rounder; pictures of any size"),
    WellKnown("Qwen/Qwen2.5-VL-3B-Instruct", "3.8 B", "Documents, forms and tables"),
    WellKnown("google/gemma-3-4b-it", "4.3 B", "Many languages", gated=True),
    WellKnown("llava-hf/llava-1.5-7b-hf", "7.1 B", "The classic of the field"),
)


@dataclass(frozen=True)
class Resolved:
    """A source whose config lies on this machine."""

    source: Source
    """With the revision pinned to a commit."""
    folder: Path
    """Holds `config.json`, and for the demo and for folders the weights if there are any."""
    config: dict[str, Any]
    config_bytes: bytes


def parse_source(text: str, revision: str | None = None) -> Source:
    """The source that a person names.

    Args:
        text: `demo`, a folder, a Hub id `owner/name`, `owner/name@revision`, or the address of its page.
        revision: a branch, tag or commit of a Hub id.

    Raises:
        SourceNotFound: it has the form of none of these.
        SourceRefused: it climbs out with `..`.

    >>> parse_source("owner/name@main").revision
    'main'
    """
    text = text.strip()
    if text.lower() in ("demo", DEMO_MODEL.name):
        return DEMO_MODEL
    if not text or not text.isprintable():
        raise SourceNotFound(
            asked_for(text), "that is no name of a model", "Give a Hub id such as owner/name, or a folder"
        )
    if _is_folder(text):
        return Source("folder", text.removesuffix("config.json") if text.endswith("/config.json") else text)
    name, found = _split(re.sub(r"^https?://(www\.)?(huggingface\.co|hf\.co)/", "", text))
    revision = revision or found
    _check_hub_id(name)
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise SourceNotFound(
            asked_for(text), f"“{clip(revision)}” is no revision", "Give a branch, a tag or a commit, or leave it out"
        )
    return Source("hub", name, revision)


def resolve(source: Source, offline: bool = False, token: bool = True) -> Resolved:
    """The source's config on this machine, fetched from the Hub where needed.

    Args:
        source: what `parse_source` made.
        offline: take only what is already here; the network is not asked.
        token: whether the Hub may be asked with this machine's token; not for strangers on a shared server.

    Raises:
        SourceNotFound: an unknown id, no network, no such folder, no config.json.
        SourceRefused: code of its own, weights only as pickle, a path outside the model root, no real config.
    """
    if source.kind == "hub":
        _check_hub_id(source.name)
        source, folder = hub.cached(source) if offline else hub.fetch(source, token)
    elif source.kind == "demo":
        folder = ASSETS / "model"
    else:
        folder = _folder(source)
    refuse_pickles(source, [entry.name for entry in folder.iterdir()])
    config, raw = _settings(source, folder)
    return Resolved(source, folder, config, raw)


def check_trainable(source: Source) -> None:
    """Looks, for a folder, whether the files are there that training needs beside the config; opens none.

    Raises:
        SourceNotFound: there is no such folder, or it has no weights or no processor files.
        SourceRefused: weights only as pickle, a path outside the model root.
    """
    if source.kind != "folder":
        return
    folder = _folder(source)
    refuse_pickles(source, [entry.name for entry in folder.iterdir()])
    weights = any(not path.name.startswith("adapter_") for path in folder.glob("*.safetensors"))
    pictures = any((folder / name).is_file() for name in _PICTURE_SETTINGS)
    tokenizer = any(path.is_file() for pattern in _TOKENIZERS for path in folder.glob(pattern))
    missing = [name for name, there in (("weights", weights), ("processor files", pictures and tokenizer)) if not there]
    if missing:
        raise SourceNotFound(
            f"Training “{clip(folder.name)}” was asked for",
            f"the folder has no {' and no '.join(missing)}",
            "It can be looked at but not trained; put the model's safetensors and processor files into it",
        )


def _split(text: str) -> tuple[str, str | None]:
    """Name and revision of `name@revision`, or of the path of a Hub page `name/tree/revision`."""
    for mark in ("@", "/tree/"):
        if mark in text:
            name, _, revision = text.partition(mark)
            return name, revision
    return text.rstrip("/"), None


def _is_folder(text: str) -> bool:
    """Whether the text is meant as a folder: by its form, or because there is one where folders are allowed."""
    if text.startswith(("/", "./", "../", "~", ".\\", "..\\")) or text in (".", "..") or re.match(r"[A-Za-z]:\\", text):
        return True
    try:
        return _allowed(Path(text).resolve()) and Path(text).is_dir()
    except (OSError, ValueError, RuntimeError):
        return False


def _allowed(path: Path) -> bool:
    root = os.environ.get(ROOT_VARIABLE)
    return not root or path.is_relative_to(Path(root).expanduser().resolve())


def _check_hub_id(name: str) -> None:
    """The rules of the Hub for a model's name.

    Raises:
        SourceNotFound: no such name can exist.
        SourceRefused: it climbs out with `..`.
    """
    if ".." in name:
        raise SourceRefused(asked_for(name), "a name may not climb with “..”", "Give a Hub id such as owner/name")
    if len(name) > _MAX_HUB_ID:
        raise SourceNotFound(
            asked_for(name), f"a Hub id has at most {_MAX_HUB_ID} characters and this has {len(name)}", "Check the name"
        )
    ends = any(part.endswith((".", "-", ".git")) for part in name.split("/"))
    if not _HUB_ID.fullmatch(name) or "--" in name or ends:
        raise SourceNotFound(
            asked_for(name),
            "it is neither a folder here nor a Hub id",
            "A Hub id is owner/name, in letters, digits, “-”, “_” and “.”, such as Qwen/Qwen2-VL-2B-Instruct",
        )


def _folder(source: Source) -> Path:
    """The real folder of a folder source.

    Raises:
        SourceRefused: it lies outside the model root.
        SourceNotFound: there is no such folder.
    """
    asked = asked_for(source.name)
    with suppress(OSError, ValueError, RuntimeError):  # a path that cannot be looked at is not there
        folder = Path(source.name).expanduser().resolve()
        if not _allowed(folder):
            raise SourceRefused(asked, "it lies outside the folder of models", "Put the model into that folder")
        if folder.is_dir():
            return folder
    raise SourceNotFound(asked, "there is no such folder that can be read", "Check the path")


def _settings(source: Source, folder: Path) -> tuple[dict[str, Any], bytes]:
    """The config and its bytes, after a look at every small file for code of its own.

    Raises:
        SourceNotFound: there is no config.json.
        SourceRefused: a file is no JSON object, too large, or wants code of its own.
    """
    if not (folder / "config.json").is_file():
        found = (folder / "adapter_config.json").is_file()
        reason = "it is an adapter, not a model" if found else "it has no config.json"
        remedy = "Give the model that it was trained on" if found else "Give a model in the format of transformers"
        raise SourceNotFound(asked_for(source.name), reason, remedy)
    config, raw = _json(source, folder, "config.json")
    for name in SETTINGS_FILES:
        settings = config if name == "config.json" else {}
        if name != "config.json" and (folder / name).is_file():
            settings, _ = _json(source, folder, name)
        if settings.get("auto_map"):
            raise SourceRefused(
                asked_for(source.name),
                f"its {name} (auto_map) brings Python code of its own, which is never run here",
                "Look for a version of this model for transformers, often named with “-hf”",
            )
    return config, raw


def _json(source: Source, folder: Path, name: str) -> tuple[dict[str, Any], bytes]:
    """One settings file as an object.

    Raises:
        SourceRefused: it leads out of the model root, is too large, or is no JSON object.
    """
    path, asked = folder / name, asked_for(source.name)
    if source.kind == "folder" and not _allowed(path.resolve()):
        raise SourceRefused(asked, f"its {name} leads out of the folder of models", "Put the file itself there")
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            limit = MAX_CONFIG_BYTES // 2**20
            raise SourceRefused(
                asked, f"its {name} has more than {limit} MiB", "Take the file as its makers published it"
            )
        raw = path.read_bytes()
        data = json.loads(raw)
    except (ValueError, RecursionError):  # JSONDecodeError, UnicodeDecodeError and numbers of 5,000 digits
        raise SourceRefused(asked, f"its {name} is not valid JSON", "Download it again") from None
    except OSError as error:
        reason = f"its {name} cannot be read ({error.strerror})"
        raise SourceError(asked, reason, "Check the rights of the file") from None
    if not isinstance(data, dict):
        raise SourceRefused(asked, f"its {name} holds no JSON object", "Download it again")
    return data, raw
