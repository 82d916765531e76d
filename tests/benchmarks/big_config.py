"""The folder of a model of 72 billion parameters, which needs its config only."""

from __future__ import annotations

from pathlib import Path


def write_big_config(folder: Path) -> Path:
    """Qwen2.5-VL as transformers has it by default, 80 layers of width 8192, into this folder."""
    from transformers import Qwen2_5_VLConfig

    config = Qwen2_5_VLConfig(architectures=["Qwen2_5_VLForConditionalGeneration"])
    config.save_pretrained(folder)
    return folder
