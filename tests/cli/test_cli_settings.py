"""The flags of the settings: each setting has one, and what is given is what is trained with."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from core import cli
from core.cli.settings_flags import NAMED_OTHERWISE, add_settings_flags, with_settings
from core.errors import SpecError
from core.spec import LEVERS, Settings

ROOT = Path(__file__).parents[2]
FLAGS: dict[str, tuple[str, Any]] = {
    "--batch 4": ("batch_size", 4),
    "--accumulation 2": ("accumulation", 2),
    "--seed 7": ("seed", 7),
    "--optimizer paged_adamw_8bit": ("optimizer", "paged_adamw_8bit"),
    "--schedule constant": ("schedule", "constant"),
    "--warmup-share 0.1": ("warmup_share", 0.1),
    "--warmup-steps 25": ("warmup_steps", 25),
    "--weight-decay 0.01": ("weight_decay", 0.01),
    "--max-grad-norm 0.5": ("max_grad_norm", 0.5),
    "--lora-plus 16": ("lora_plus", 16.0),
    "--neftune 5": ("neftune", 5.0),
    "--label-smoothing 0.1": ("label_smoothing", 0.1),
    "--order pictures": ("order", "pictures"),
    "--max-tokens 512": ("max_tokens", 512),
    "--augment blur,jpeg": ("augment", ("blur", "jpeg")),
    "--precision bf16": ("precision", "bf16"),
    "--attention sdpa": ("attention", "sdpa"),
    "--quantization 4bit": ("quantization", "4bit"),
    "--quantized-part language": ("quantized_part", "language"),
    "--checkpointing": ("checkpointing", True),
    "--no-checkpointing": ("checkpointing", False),
    "--at-once 2": ("at_once", 2),
    "--workers 0": ("workers", 0),
    "--without packing,kernels": ("without", ("packing", "kernels")),
    "--eval-every 5": ("eval_every", 5),
    "--eval-rows 8": ("eval_rows", 8),
    "--final-rows 9": ("final_rows", 9),
    "--sample-count 3": ("sample_count", 3),
    "--max-new-tokens 64": ("max_new_tokens", 64),
    "--metric wer": ("metric", "wer"),
    "--patience 3": ("patience", 3),
    "--keep last": ("keep", "last"),
    "--report-to tensorboard": ("report_to", "tensorboard"),
}


def read(text: str, base: Settings) -> Settings:
    parser = argparse.ArgumentParser()
    add_settings_flags(parser)
    return with_settings(parser.parse_args(text.split()), base)


@pytest.mark.parametrize("text", FLAGS)
def test_a_flag_changes_one_setting(text: str):
    name, value = FLAGS[text]
    base = Settings(schedule="linear", workers=4, checkpointing=True if value is False else None)
    assert read(text, base) == replace(base, **{name: value})


def test_every_setting_has_a_flag_that_readme_tells_of():
    told = (ROOT / "README.md").read_text()
    for field in fields(Settings):
        flag = NAMED_OTHERWISE.get(field.name, field.name).replace("_", "-")
        assert f"`--{flag}`" in told, flag
        if field.name not in ("steps", "epochs", "learning_rate"):
            assert field.name in {name for name, _ in FLAGS.values()}


def test_no_flag_changes_nothing():
    base = Settings(epochs=2.0, steps=None, without=("packing",), workers=0, patience=3)
    assert read("", base) == base


def test_steps_and_epochs_take_the_place_of_each_other():
    assert read("--epochs 2", Settings(steps=50)).total_steps(16) == 2
    assert read("--steps 50", Settings(steps=None, epochs=2.0)).total_steps(None) == 50
    with pytest.raises(SpecError, match="exactly one"):
        read("--steps 50 --epochs 2", Settings())


@pytest.mark.parametrize("text", ["--without magic", "--augment mirror", "--workers many", "--precision fp8"])
def test_what_is_no_value_is_said(text: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        read(text, Settings())
    assert text.split()[1] in capsys.readouterr().err


def test_levers_are_named_in_the_help(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["train", "--help"])
    told = capsys.readouterr().out
    assert all(lever in told for lever in LEVERS)
