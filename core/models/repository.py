"""What may lie in a model's folder or repository, by the names of its files; and how it is named in a sentence.

What it does not do: open a file (`source.py`) or talk to the Hub (`hub.py`).
"""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import SourceRefused
from core.spec import Source

SETTINGS_FILES = (
    "config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "tokenizer_config.json",
    "generation_config.json",
)
"""The small files that say how a model is built and used."""

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_NOT_WEIGHTS = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state\w*|random_states\w*)\.\w+")
"""Pickles that a trainer leaves beside the weights; nothing here opens them."""


def refuse_pickles(source: Source, files: list[str]) -> None:
    """Refuses weights that exist only as pickle, which can run code when opened.

    Raises:
        SourceRefused: there is a pickle and no safetensors file.
    """
    pickles = [name for name in files if name.endswith(_PICKLED) and not _NOT_WEIGHTS.fullmatch(Path(name).name)]
    if pickles and not any(name.endswith(".safetensors") for name in files):
        raise SourceRefused(
            asked_for(source.name),
            f"its weights exist only as pickle ({clip(pickles[0])}), a format that can run code when it is opened",
            "Take a model with safetensors weights, or convert it first",
        )


def is_commit(revision: str | None) -> bool:
    """Whether the revision is a whole commit, which never means something else later."""
    return re.fullmatch(r"[0-9a-f]{40}", revision or "") is not None


def clip(text: str, length: int = 80) -> str:
    """The text, safe and short enough to stand in a sentence."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= length else text[: length - 1] + "…"


def asked_for(name: str) -> str:
    """How a sentence about a model begins."""
    return f"The model “{clip(name)}” was asked for"
