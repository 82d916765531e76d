"""`export`: a choice in the words of other tools.

What it does not do: run what it writes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.cli.choice import Chosen, add_choice_flags, chosen, data_source, load_named, say
from core.data.source import DEMO_DATA, is_plain
from core.errors import AdapterError
from core.export.plan_export import FORMATS, Context, Format, export
from core.files import taking_the_place_of
from core.models.source import ASSETS
from core.spec import Source


def add_commands(commands: Any) -> None:
    """Adds `export` to the parsers of the command line."""
    parser = commands.add_parser("export", help="a choice for PEFT, for a plain script, for Unsloth, or as YAML")
    add_choice_flags(parser)
    parser.add_argument("--format", required=True, choices=FORMATS, help="what to write")
    parser.add_argument("--data", metavar="FOLDER", help="rows and pictures in the plain format, or a demo's name")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there instead of to stdout")
    parser.set_defaults(run=run_export)


def run_export(options: argparse.Namespace) -> int:
    """The export on stdout or in a file; what it cannot say, on stderr."""
    choice = chosen(options)
    beside = context(choice, options.format)
    made = export(choice.plan, choice.inspection, beside, options.format)
    other = choice.data if options.format == "script" and beside.data is None else None
    say((*choice.notes, *made.notes, *([f"It cannot read {other}, which is in another form."] if other else [])))
    if options.out is None:
        print(made.text, end="")
        return 0
    try:
        with taking_the_place_of(options.out) as staged:
            staged.write_text(made.text, encoding="utf-8")
    except OSError as error:
        asked, why = f"{options.out} was to be written", error.strerror or "it cannot be"
        raise AdapterError(asked, why, "Name a file that you may write") from None
    return 0


def context(choice: Chosen, form: Format) -> Context:
    """What an export says beside the plan; YAML names model and data as the command line does, all others by folder.

    Data that the exported script could not read are not named in it; how many rows they have is known all the same.

    Raises:
        StudioError: the data were named and cannot be read.
    """
    source, data = choice.inspection.source, choice.data
    by_name = form == "yaml"
    made = Context(
        model=_model(source, by_name),
        selection=choice.selection,
        recipe=choice.recipe,
        settings=choice.settings,
        revision=source.revision,
        data=data,
    )
    if data is None:
        return made
    of_rows = data_source(data)
    rows = len(load_named(of_rows).train)
    if by_name:
        return replace(made, rows=rows)
    folder = DEMO_DATA / data if of_rows.kind == "demo" else Path(data)
    readable = of_rows.kind != "stored" and is_plain(folder)
    return replace(made, rows=rows, data=str(folder) if readable else None)


def _model(source: Source, by_name: bool) -> str:
    if source.kind != "demo":
        return source.name
    return "demo" if by_name else str(ASSETS / "model")
