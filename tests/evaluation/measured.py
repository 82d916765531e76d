"""Measures by name, for tests."""

from __future__ import annotations

from core.evaluation.measures import Measures


def measures(*names: str, kind: str = "questions") -> Measures:
    return Measures(kind, names, names[0], "for a test")
