"""The studio without its page: the same values, one small function a command.

    python -m core.cli inspect demo Qwen/Qwen2-VL-2B-Instruct ./folder --jsonl
    python -m core.cli budget demo --targets vision.attention,language.mlp --rank 16 --json
    python -m core.cli data check photos.zip
    python -m core.cli export demo --preset few_shot --format script --data ./my-data --out train.py

What it does not do: anything that the packages below it cannot do.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from core.cli import budget, data, export, inspecting, jobs, zoo
from core.errors import StudioError
from core.models.libraries import hush

INTERRUPTED = 130
"""The exit status that a shell gives to what Ctrl-C ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrongly called."""
    options = _parser().parse_args(arguments)
    hush()
    try:
        status: int = options.run(options)
    except StudioError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before a job began; later ones are the job's to obey
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core.cli", description="VLM LoRA Studio without its page.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for part in (inspecting, budget, export, data, jobs, zoo):
        part.add_commands(commands)
    return parser
