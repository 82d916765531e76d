"""Classes that answer and have nothing to learn from are refused before a launch, with the reason."""

from __future__ import annotations

import pytest
import transformers

from core.errors import SourceRefused
from core.models.classes import check_teachable


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Qwen2_5OmniForConditionalGeneration", "no step of its own"),
        ("Qwen3OmniMoeForConditionalGeneration", "no step of its own"),
        ("DiffusionGemmaForBlockDiffusion", "a block of its answer at once"),
        ("CLIPModel", "writes no text"),
    ],
)
def test_what_cannot_be_taught_is_refused_with_its_reason(name: str, words: str) -> None:
    with pytest.raises(SourceRefused, match=words):
        check_teachable(getattr(transformers, name), "It was asked for")


def test_the_part_that_reads_and_writes_can_be_taught() -> None:
    check_teachable(transformers.Qwen2_5OmniThinkerForConditionalGeneration, "It was asked for")
