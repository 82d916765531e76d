"""The whole zoo, built once for all tests of this folder, and given back after them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from core.errors import InspectionError
from core.models.build import build_on_meta
from core.models.inspection import inspect_model
from core.models.zoo import Architecture, architectures, as_source
from core.spec import Inspection


@dataclass(frozen=True)
class Built:
    """One architecture of the zoo."""

    architecture: Architecture
    model: Any
    """On the meta device; whoever changes it puts it back."""
    made: Inspection | None
    refusal: InspectionError | None = None
    """Why it has no inspection."""


@contextmanager
def without_collecting() -> Iterator[None]:
    """Hundreds of thousands of modules stay; to look through them again and again takes minutes."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture(scope="package")
def built_zoo() -> dict[str, Built]:
    """Every architecture by name, with its model and its inspection."""
    with without_collecting():
        return {architecture.name: build(architecture) for architecture in architectures()}


def build(architecture: Architecture) -> Built:
    """The model and what is said of it, or the refusal."""
    model = None
    with as_source(architecture.name, architecture.config) as resolved:
        try:
            model = build_on_meta(resolved)
            return Built(architecture, model, inspect_model(model, resolved.source))
        except InspectionError as refusal:
            return Built(architecture, model, None, refusal)
