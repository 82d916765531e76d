"""The flags that say what learns and how, the same for every command: a file, a preset, and what a person adds.

A file comes first, a preset takes its place, and single flags change what both say:

    --targets vision.attention,language --layers vision=-8: --rank vision=8,language=16 --full projector
    --preset few_shot --rank 4
    --config plan.yaml --method dora

What it does not do: count, or run anything.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from core.cli.settings_flags import add_settings_flags, with_settings
from core.data.rows import Dataset
from core.data.source import DEMO_DATA, load_dataset
from core.data.storing.stored import SETS
from core.errors import PlanError
from core.export.choice_file import read_choice
from core.jobs.home import LOCAL_OWNER, Home, data_home
from core.lora.advice import confirming, guessed
from core.lora.limits import parse_start, refuse_impossible
from core.lora.plan import make_plan
from core.lora.presets import PRESETS, TASKS, find_preset, preset_choice, usual_rate
from core.lora.selection import layers_of, parse_targets
from core.models.defaults import defaults_note
from core.models.inspection import inspect_source
from core.models.relabel import relabelled
from core.models.repository import clip
from core.models.source import parse_source
from core.spec import (
    COMPONENTS,
    Component,
    Inspection,
    Knobs,
    LayerRange,
    Method,
    Plan,
    Recipe,
    Selection,
    Settings,
    Source,
    from_dict,
    to_dict,
)

USUAL = Recipe(rank=16, alpha=32.0)
"""Where neither a file nor a preset says otherwise."""
NOTHING_LEARNS = "What learns was not said: add --targets all, or one of --preset NAME, --config FILE and --full NAME."
STORED = "stored:"
"""Before the hash of a data set that `data import` has stored."""
SOURCE_HELP = "demo, a folder, or a Hub id (owner/name@revision)"

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Chosen:
    """What the flags mean on a model."""

    inspection: Inspection
    """With the labels as they were made."""
    labelled: Inspection
    """With the labels as the person has put them right."""
    selection: Selection
    recipe: Recipe
    settings: Settings
    plan: Plan
    data: str | None
    """A folder or the name of a demo data set, where a flag or the file gives one."""
    notes: tuple[str, ...]
    """What differs from the preset on this model, what its config leaves out, and what is guessed; a sentence each."""


def add_choice_flags(parser: argparse.ArgumentParser) -> None:
    """SOURCE and every flag of a choice."""
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument(
        "--targets", help="component.role joined by commas; a component alone means its attention and MLP"
    )
    names = ", ".join(preset.name for preset in (*PRESETS, *TASKS))
    parser.add_argument("--preset", metavar="NAME", help=f"a usual choice: {names}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a choice as `export --format yaml` prints it")
    parser.add_argument("--layers", metavar="C=A:B,...", help="layers of components, such as vision=-8:,language=0:16")
    parser.add_argument("--full", metavar="NAME,...", help="components or modules trained without LoRA")
    parser.add_argument(
        "--relabel", action="append", default=[], metavar="NAME=COMPONENT", help="what a module really is; repeatable"
    )
    parser.add_argument("--rank", metavar="N or C=N,...", help="16 unless told; also for single components")
    parser.add_argument("--alpha", metavar="N or C=N,...", help="twice the rank unless told; costs nothing")
    parser.add_argument("--dropout", metavar="N or C=N,...", help="0 unless told")
    parser.add_argument("--method", choices=get_args(Method), help="lora unless told")
    parser.add_argument("--start", metavar="NAME", help="default, gaussian, pissa, olora or eva")
    parser.add_argument("--lora-bias", action=argparse.BooleanOptionalAction, help="train a bias of LoRA's B as well")
    parser.add_argument("--learning-rate", metavar="N or C=N,...", help="peak of the schedule")
    parser.add_argument("--full-learning-rate", type=float, metavar="N", help="of what is trained in full; as the rest")
    add_settings_flags(parser)
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep inspections here")
    parser.set_defaults(parser=parser)


def chosen(options: argparse.Namespace) -> Chosen:
    """What the flags mean; exits with 2 when they say nothing of what learns.

    Raises:
        StudioError: in words.
    """
    if not (options.targets or options.targets == "" or options.preset or options.config or options.full):
        options.parser.exit(2, f"{NOTHING_LEARNS}\n{options.parser.prog} --help lists all flags.\n")
    made = inspect_source(parse_source(options.source), options.cache)
    data = None
    notes: tuple[str, ...] = ()
    usual = Settings(learning_rate=usual_rate(made.total_params).rate)
    selection, recipe, settings = Selection(), USUAL, usual
    if options.config:
        file = read_choice(options.config)
        selection, recipe, settings, data = file.selection, file.recipe, file.settings, file.data
    relabels = {**selection.relabels, **_pairs(options.relabel, "--relabel")}
    labelled = relabelled(made, relabels)
    if options.preset:
        choice = preset_choice(labelled, find_preset(options.preset))
        notes, selection, recipe = choice.notes, choice.selection, choice.recipe or recipe
        settings = from_dict(Settings, {**to_dict(settings), **choice.settings})
    selection = _selection(options, replace(selection, relabels=relabels), labelled)
    recipe, settings = _recipe(options, recipe), _settings(options, settings)
    plan = make_plan(made, selection, recipe)
    refuse_impossible(plan, labelled, settings)
    data = getattr(options, "data", None) or data
    said = (*notes, *filter(None, [defaults_note(made)]), *guess_note(labelled, plan))
    return Chosen(made, labelled, selection, recipe, settings, plan, data, said)


def data_source(text: str) -> Source:
    """Data as a person names them: a demo data set by its name, a stored one by its hash, else a folder.

    >>> data_source("digits").kind, data_source("./digits").kind, data_source("stored:0123").name
    ('demo', 'folder', '0123')
    """
    if text.startswith(STORED):
        return Source("stored", text.removeprefix(STORED))
    is_demo = text.isprintable() and "/" not in text and (DEMO_DATA / text / "dataset.json").is_file()
    return Source("demo" if is_demo else "folder", text)


def load_named(source: Source) -> Dataset:
    """The data of a source; stored ones are those of this data folder. Raises like `load_dataset`."""
    sets = Home(data_home()).data(LOCAL_OWNER) / SETS
    return load_dataset(source, sets if source.kind == "stored" else None)


def guess_note(labelled: Inspection, plan: Plan) -> tuple[str, ...]:
    """A sentence about the trained modules whose component is a guess, if there are any."""
    modules = guessed(labelled, plan)
    if not modules:
        return ()
    labels = [f"{name}={component}" for name, component in confirming(labelled, modules).items()]
    shown = ", ".join(labels[:3]) + (", ..." if len(labels) > 3 else "")
    return (f"Guessed, please look: {len(modules)} of the modules that learn ({shown}); --relabel puts them right.",)


def say(notes: tuple[str, ...]) -> None:
    """Notes on stderr."""
    for note in notes:
        print(f"Note: {note}", file=sys.stderr, flush=True)


def _selection(options: argparse.Namespace, base: Selection, labelled: Inspection) -> Selection:
    if options.targets is not None:
        cells = parse_targets(options.targets, labelled)
        base = replace(base, cells=cells, include=(), exclude=())
    if options.layers is not None:
        layers = parse_layers(options.layers)
        base = replace(base, layers={**base.layers, **layers}, include=_inside(base.include, layers, labelled))
    if options.full is not None:
        base = replace(base, full=tuple(filter(None, (name.strip() for name in options.full.split(",")))))
    return base


def _inside(names: tuple[str, ...], layers: Mapping[Component, LayerRange], labelled: Inspection) -> tuple[str, ...]:
    """The single modules of a preset or a file that lie in these layers; a range by itself narrows cells only."""
    kept = {component: layers_of(labelled, component)[slice(*ends)] for component, ends in layers.items()}
    outside = {
        m.name for m in labelled.modules if m.layer is not None and m.layer not in kept.get(m.component, [m.layer])
    }
    return tuple(name for name in names if name not in outside)


def _recipe(options: argparse.Namespace, base: Recipe) -> Recipe:
    """The recipe with what the flags change; alpha follows the rank where only the rank is given."""
    rank, ranks = per_component(options.rank, int, "--rank")
    alpha, alphas = per_component(options.alpha, float, "--alpha")
    dropout, dropouts = per_component(options.dropout, float, "--dropout")
    _, rates = per_component(options.learning_rate, float, "--learning-rate")
    if rank is not None and alpha is None:
        alpha = base.alpha * rank / base.rank
    common: dict[str, Any] = {
        "rank": rank,
        "alpha": alpha,
        "dropout": dropout,
        "method": options.method,
        "start": None if options.start is None else parse_start(options.start),
        "lora_bias": options.lora_bias,
        "full_learning_rate": options.full_learning_rate,
    }
    components = dict(base.components)
    for component in dict.fromkeys((*ranks, *alphas, *dropouts, *rates)):
        knobs = components.get(component, Knobs())
        if component in ranks:  # alpha follows, unless it is given as well
            knobs = replace(knobs, rank=ranks[component], alpha=None)
        changes = {"alpha": alphas, "dropout": dropouts, "learning_rate": rates}
        found: dict[str, Any] = {name: given[component] for name, given in changes.items() if component in given}
        components[component] = replace(knobs, **found)
    given = {name: value for name, value in common.items() if value is not None}
    return replace(base, components=components, **given)


def _settings(options: argparse.Namespace, base: Settings) -> Settings:
    rate, _ = per_component(options.learning_rate, float, "--learning-rate")
    settings = with_settings(options, base)
    return settings if rate is None else replace(settings, learning_rate=rate)


def per_component(
    text: str | None, kind: Callable[[str], Number], flag: str
) -> tuple[Number | None, dict[Component, Number]]:
    """A number for all, and numbers for single components.

    Raises:
        PlanError: a part is no number, or names no component.

    >>> per_component("16,vision=8", int, "--rank")
    (16, {'vision': 8})
    """
    common: Number | None = None
    own: dict[Component, Number] = {}
    for part in filter(None, (text or "").split(",")):
        name, equals, number = part.rpartition("=")
        try:
            value = kind(number)
        except ValueError:
            raise PlanError(
                f"{flag} {clip(text or '')} was given",
                f"“{clip(number)}” is no {'whole ' if kind is int else ''}number",
                f"Write {flag} 16 or {flag} vision=8,language=16",
            ) from None
        if equals:
            own[_component(name.strip(), flag)] = value
        else:
            common = value
    return common, own


def parse_layers(text: str) -> dict[Component, LayerRange]:
    """Ranges of layers.

    Raises:
        PlanError: a part is no range, or names no component.

    >>> parse_layers("vision=-8:,language=0:16")
    {'vision': (-8, None), 'language': (0, 16)}
    """
    found: dict[Component, LayerRange] = {}
    for part in filter(None, text.split(",")):
        name, _, span = part.partition("=")
        start, colon, stop = span.partition(":")
        try:
            ends = (int(start) if start.strip() else None, int(stop) if stop.strip() else None)
        except ValueError:
            colon = ""
        if not colon:
            raise PlanError(
                f"--layers {clip(text)} was given",
                f"“{clip(part)}” is no range of layers",
                "Write --layers vision=-8: for the last eight, language=0:16 for the first sixteen",
            )
        found[_component(name.strip(), "--layers")] = ends
    return found


def _pairs(texts: list[str], flag: str) -> Mapping[str, Component]:
    """NAME=COMPONENT of each text."""
    return {
        name: _component(component.strip(), flag) for name, _, component in (text.rpartition("=") for text in texts)
    }


def _component(name: str, flag: str) -> Component:
    for component in COMPONENTS:
        if name.replace("-", "_") == component:
            return component
    raise PlanError(
        f"{flag} was given for “{clip(name)}”", "that is no component", f"Use one of {', '.join(COMPONENTS)}"
    )
