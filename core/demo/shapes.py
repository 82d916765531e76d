"""The outlines of the eight shapes, as points; what paints them, and how, is for the callers to decide.

Coordinates are in a unit box: x to the right and y down, both within -1..1.
"""

from __future__ import annotations

import math

Point = tuple[float, float]

SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "diamond", "cross", "star", "heart", "moon")


def outline(shape: str) -> list[Point]:
    """The closed outline of a shape, as points in order.

    >>> len(outline("square"))
    4
    """
    return _OUTLINES[shape]()


def placed(points: list[Point], centre: Point, radius: float, turn: float) -> list[Point]:
    """The points turned by `turn` radians, scaled by `radius` pixels and moved to `centre`."""
    cos, sin = math.cos(turn), math.sin(turn)
    return [(centre[0] + radius * (x * cos - y * sin), centre[1] + radius * (x * sin + y * cos)) for x, y in points]


def _arc(radius: float, start: float, end: float, x: float = 0.0, steps: int = 40) -> list[Point]:
    angles = [start + (end - start) * i / steps for i in range(steps + 1)]
    return [(x + radius * math.cos(a), radius * math.sin(a)) for a in angles]


def _circle() -> list[Point]:
    return _arc(0.95, 0.0, 2 * math.pi)


def _square() -> list[Point]:
    return [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)]


def _triangle() -> list[Point]:
    return [(0.0, -0.95), (0.95, 0.8), (-0.95, 0.8)]


def _diamond() -> list[Point]:
    return [(0.0, -1.0), (0.8, 0.0), (0.0, 1.0), (-0.8, 0.0)]


def _cross() -> list[Point]:
    a, b = 0.32, 0.95
    return [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)]


def _star() -> list[Point]:
    radii = (1.0, 0.42)
    angles = [-math.pi / 2 + i * math.pi / 5 for i in range(10)]
    return [(radii[i % 2] * math.cos(a), radii[i % 2] * math.sin(a)) for i, a in enumerate(angles)]


def _heart() -> list[Point]:
    ts = [2 * math.pi * i / 60 for i in range(60)]
    return [
        (
            16 * math.sin(t) ** 3 / 17,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) + 2.5) / 16,
        )
        for t in ts
    ]


def _moon() -> list[Point]:
    outer = _arc(0.95, 0.3 * math.pi, 1.7 * math.pi, x=0.15)
    tip = outer[0]
    inner_x = 0.62
    inner_radius = math.hypot(tip[0] - inner_x, tip[1])
    angle = math.atan2(tip[1], tip[0] - inner_x)
    return outer + _arc(inner_radius, 2 * math.pi - angle, angle, x=inner_x)


_OUTLINES = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "cross": _cross,
    "star": _star,
    "heart": _heart,
    "moon": _moon,
}
