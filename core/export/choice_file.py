"""A choice as YAML for the command line, and back: strict keys, plain values, the same plan again.

    selection: {cells: [vision.attention], layers: {vision: [-8, null]}}
    recipe: {rank: 16, alpha: 32, components: {vision: {rank: 8}}}
    settings: {learning_rate: 0.0001, steps: 200}

`model` and `data` may stand beside them, as the command line names them; `spec --config` needs both.
What it does not do: keep what has its usual value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic.dataclasses import dataclass

from core.errors import PlanError, SpecError
from core.export.context import Context, Exported
from core.spec import Recipe, Selection, Settings, from_dict, to_dict
from core.spec.text import STRICT

MAX_BYTES = 4 * 1024 * 1024
"""A choice that names each of 5,000 modules has less than half a megabyte."""
HEAD = "# A choice of what learns and how; read it with: python -m core.cli budget SOURCE --config FILE\n"


@dataclass(frozen=True, config=STRICT)
class ChoiceFile:
    """What such a file holds."""

    selection: Selection
    recipe: Recipe = Recipe()
    settings: Settings = Settings()
    model: str | None = None
    data: str | None = None


def export_yaml(context: Context) -> Exported:
    """The choice without what has its usual value; rank and alpha always stand there."""
    recipe = {"rank": context.recipe.rank, "alpha": context.recipe.alpha}
    values = {
        "model": f"{context.model}@{context.revision}" if context.revision else context.model,
        **({"data": context.data} if context.data else {}),
        "selection": _unusual(context.selection, Selection()),
        "recipe": recipe | _unusual(context.recipe, Recipe()),
        "settings": _unusual(context.settings, Settings()),
    }
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    return Exported(HEAD + text, "plan.yaml")


def read_choice(path: Path) -> ChoiceFile:
    """The choice in a file.

    Raises:
        SpecError: it cannot be read, is not YAML, or holds something unknown or out of range.
    """
    asked = f"The choice in {path.name} was read"
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(asked, error.strerror or "it cannot be read", "Check the path") from None
    if len(text) > MAX_BYTES:
        raise SpecError(asked, f"it has more than {MAX_BYTES:,} bytes", "Check the path")
    return parse_choice(text, asked)


def parse_choice(text: str | bytes, asked: str = "A choice was read") -> ChoiceFile:
    """The choice in a text; raises like `read_choice`.

    >>> parse_choice("selection: {cells: [vision.mlp]}").recipe.rank
    8
    """
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise SpecError(asked, f"it is not YAML{line}", "Start from what `export --format yaml` prints") from None
    if not isinstance(values, dict):
        raise SpecError(asked, "it is not a list of keys", "Start from what `export --format yaml` prints")
    try:
        return from_dict(ChoiceFile, _with_length(values))
    except (SpecError, PlanError) as error:
        raise SpecError(asked, f"{error.asked}: {error.reason}", "Correct the file") from None


def _with_length(values: dict[str, Any]) -> dict[str, Any]:
    """`epochs` alone takes the usual number of steps back, since only one of them says how long."""
    settings = values.get("settings")
    if isinstance(settings, dict) and settings.get("epochs") is not None and "steps" not in settings:
        return {**values, "settings": {**settings, "steps": None}}
    return values


def _unusual(value: Any, usual: Any) -> dict[str, Any]:
    """What differs from the usual, as plain values, those inside of a component too."""
    plain, other = to_dict(value), to_dict(usual)
    found = {key: each for key, each in plain.items() if each != other[key]}
    if "components" in found:
        found["components"] = {
            component: {key: each for key, each in knobs.items() if each is not None}
            for component, knobs in found["components"].items()
        }
    return found
