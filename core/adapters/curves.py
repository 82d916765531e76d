"""The learning curves as a small SVG, drawn by hand so that the card needs no plotting library and no browser code.

What it does not do: smooth, or show anything that was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.evaluation.measures import LABELS

Point = tuple[float, float]
"""(step, value)"""

WIDTH, HEIGHT = 860, 320
_TOP, _BOTTOM = 56, 262
_INK, _FAINT, _PAPER = "#1f2933", "#d9dee4", "#ffffff"


@dataclass(frozen=True)
class Line:
    """One measured series."""

    label: str
    colour: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class _Panel:
    title: str
    left: float
    right: float
    steps: float
    """Where the step axis ends."""
    low: float
    high: float

    def x(self, step: float) -> float:
        return self.left + (self.right - self.left) * step / self.steps

    def y(self, value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (value - self.low) / (self.high - self.low)


def curves_svg(series: Sequence[Mapping[str, Any]]) -> str:
    """Loss and held-out loss at the left, the main measure on held-out rows at the right, over optimizer steps.

    `series` are the points of `metrics.jsonl`: `train` points have a loss, `eval` points a loss and measures.
    """
    losses = (
        Line("training loss", "#2563a8", _points(series, "train", "loss")),
        Line("held-out loss", "#c2571a", _points(series, "eval", "loss")),
    )
    main, match = _main_measure(series)
    matches = (Line("held-out rows", "#2c7a4b", match),)
    title = LABELS.get(main, main)
    steps = max((step for line in (*losses, *matches) for step, _ in line.points), default=1.0) or 1.0
    highest = max((value for line in losses for _, value in line.points), default=1.0)
    ticks = nice_ticks(0.0, highest)
    panels = [
        *_panel(_Panel("Loss (nats per answer token)", 52, 410, steps, 0.0, max(ticks[-1], highest)), ticks, losses),
        *_panel(
            _Panel(f"{title[:1].upper()}{title[1:]} (%)", 482, 840, steps, 0.0, 100.0), [0, 25, 50, 75, 100], matches
        ),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        f' font-family="system-ui, sans-serif" font-size="12" fill="{_INK}" role="img">'
        f"<title>Learning curves: loss and {title} over optimizer steps</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{_PAPER}"/>'
    )
    return "\n".join([head, *panels, "</svg>", ""])


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers from `low` up to the first at or above `high`, about `wanted` of them.

    >>> nice_ticks(0, 3.1)
    [0.0, 1.0, 2.0, 3.0, 4.0]
    >>> nice_ticks(0, 120)
    [0.0, 50.0, 100.0, 150.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low, low + 1.0]
    scale = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(scale * factor for factor in (1, 2, 5, 10, 20) if span / (scale * factor) <= wanted)
    return [round(low + step * index, 10) for index in range(math.ceil(span / step - 1e-9) + 1)]


def _main_measure(series: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[Point, ...]]:
    """Its name, and its values in percent; error rates above 100 are drawn at the top."""
    evals = [point for point in series if point.get("kind") == "eval"]
    main = str(evals[-1].get("metric") or "exact_match") if evals else "exact_match"
    found = [{**point, **(point.get("metrics") or {})} for point in evals]
    return main, tuple((step, 100 * value) for step, value in _points(found, "eval", main))


def _points(series: Sequence[Mapping[str, Any]], kind: str, key: str) -> tuple[Point, ...]:
    found = [(point.get("step"), point.get(key)) for point in series if point.get("kind") == kind]
    numbers = [(step, value) for step, value in found if _is_number(step) and _is_number(value)]
    return tuple((float(step), float(value)) for step, value in numbers)  # type: ignore[arg-type]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _panel(panel: _Panel, ticks: Sequence[float], lines: Sequence[Line]) -> list[str]:
    parts = [f'<text x="{panel.left}" y="22" font-size="14" font-weight="600">{panel.title}</text>']
    for tick in ticks:
        y = panel.y(tick)
        parts.append(f'<path d="M{panel.left} {y:.1f}H{panel.right}" stroke="{_FAINT}"/>')
        parts.append(f'<text x="{panel.left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in nice_ticks(0.0, panel.steps):
        if tick <= panel.steps:
            parts.append(f'<text x="{panel.x(tick):.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    middle = (panel.left + panel.right) / 2
    parts.append(f'<path d="M{panel.left} {_BOTTOM}H{panel.right}" stroke="{_INK}"/>')
    parts.append(f'<text x="{middle}" y="{_BOTTOM + 40}" text-anchor="middle">optimizer step</text>')
    for index, line in enumerate(lines):
        parts += _line(panel, line, panel.left + 140 * index)
    return parts


def _line(panel: _Panel, line: Line, legend: float) -> list[str]:
    label = line.label if line.points else f"{line.label}: not measured"
    key = f'<rect x="{legend}" y="33" width="14" height="4" fill="{line.colour}"/>'
    parts = [key, f'<text x="{legend + 20}" y="40">{label}</text>']
    places = [(panel.x(step), panel.y(min(value, panel.high))) for step, value in line.points]
    if len(places) > 1:
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path d="M{path}" fill="none" stroke="{line.colour}" stroke-width="2" stroke-linejoin="round"/>')
    if len(places) <= 40:
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{line.colour}"/>' for x, y in places]
    return parts
