"""What is commonly used, as data: `presets.toml`, read and checked.

What it does not do: know a model (`presets.py`), or say what is best.
"""

from __future__ import annotations

import tomllib
from dataclasses import field
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from core.errors import PlanError, SpecError
from core.spec import Component, Recipe, Role, Settings, from_dict, to_dict
from core.spec.text import STRICT

FILE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True, config=STRICT)
class Preset:
    """A named choice of components and roles, with the numbers that commonly go with it."""

    name: str
    title: str
    why: str
    components: tuple[Component, ...]
    roles: tuple[Role, ...]
    projections: tuple[str, ...] = ()
    """Narrows the towers to some projections, such as q and v; all of them where none is named."""
    recipe: Recipe | None = None
    """None leaves rank, alpha and the rest as they are."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Some of `Settings`' values; the learning rate is that of models with billions of parameters."""
    new_pictures: bool = False
    """Whether it is meant for pictures unlike those that the model knows."""

    def __post_init__(self) -> None:
        from_dict(Settings, {**to_dict(Settings()), **with_length(self.settings)})


@dataclass(frozen=True, config=STRICT)
class RankUse:
    """What ranks of a range are commonly used for."""

    low: int
    high: int
    use: str


@dataclass(frozen=True, config=STRICT)
class RowLimit:
    """The highest rank that so many rows commonly fill."""

    rank: int
    below: int | None = None
    """Rows; None for all that are more."""


@dataclass(frozen=True, config=STRICT)
class Rate:
    """Learning rates that are commonly used for models of a size."""

    rate: float
    most: float
    low: float
    """Of the rate times the update's scale."""
    high: float
    below: int | None = None
    """Parameters; None for all that are larger."""


@dataclass(frozen=True, config=STRICT)
class Conventions:
    """All of `presets.toml`."""

    parts: tuple[Preset, ...]
    tasks: tuple[Preset, ...]
    ranks: tuple[RankUse, ...]
    rows: tuple[RowLimit, ...]
    rates: tuple[Rate, ...]
    projections: dict[Role, dict[str, frozenset[str]]]
    """Role -> what a projection is called here -> what models call it."""
    suggested: dict[str, str]
    """Demo data set -> preset."""

    def __post_init__(self) -> None:
        names = [preset.name for preset in self.parts + self.tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        known = {word for words in self.projections.values() for word in words}
        strange = {word for preset in self.tasks for word in preset.projections} - known
        wrong = [*twice, *sorted(strange), *sorted(set(self.suggested.values()) - set(names))]
        open_ended = self.rates and self.rows and self.rates[-1].below is self.rows[-1].below is None
        if wrong or not open_ended:
            reason = "the last of its rates, or of its rows, is not for all that are left"
            reason = f"“{wrong[0]}” stands there twice or means nothing" if wrong else reason
            raise SpecError("The presets were read", reason, "Correct the file")


def with_length(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the other way to say how long taken back, since exactly one is given."""
    if "steps" in settings:
        return {"epochs": None} | settings
    return {"steps": None} | settings if "epochs" in settings else dict(settings)


def read_conventions(path: Path = FILE) -> Conventions:
    """The presets of a file.

    Raises:
        SpecError: it cannot be read, or something in it is unknown, missing or out of range.
    """
    asked = f"The presets in {path.name} were read"
    try:
        return from_dict(Conventions, tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpecError(asked, error.strerror or "it cannot be read", "Check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(asked, f"it is not TOML ({error})", "Correct the file") from None
    except (SpecError, PlanError) as error:
        raise SpecError(asked, f"{error.asked}: {error.reason}", "Correct the file") from None


CONVENTIONS = read_conventions()
