"""Writes assets/docs/training.md: `python -m tests.matrix.table`, in about five minutes of one core.

With names of architectures only their lines are made again: `python -m tests.matrix.table kosmos-2.5 llama4`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

from core.models.zoo import Architecture, architectures
from tests.matrix.families import EXPERTS, FAMILIES
from tests.matrix.shrinking import FIELDS
from tests.matrix.two_steps import Verdict, two_steps
from tests.memory.small_models import CONFIGS

FILE = Path(__file__).resolve().parents[2] / "assets" / "docs" / "training.md"
HEAD = """# What can be trained

Made by `python -m tests.matrix.table`; tests hold it against the code.

## Families that go the whole way in the tests

{families}: a small model of each with its own processor is trained by the worker with vision only, language only,
projector only and all of it (BLIP has no projector), its adapter is reloaded by plain PEFT, and merged; what differs
from the base then, weight by weight, is what was chosen. {experts} are trained with their fused experts.

## Every other architecture

Two real steps with LoRA of rank 4 on what the studio selects by default, with a batch made from the config alone and
random pixels: {counts}. No processor and no published weights take part.
The models of {own} architectures have small configs of their own (`tests/memory/small_models.py`). All others are made
small from the default config of transformers: two layers, widths divided by 8 or by the first of 4, 16 and 2 that runs;
{filled} of these have fields filled in that the default leaves out or that do not fit (`FIELDS` in
`tests/matrix/shrinking.py`).

- **trained**: how many of the targets have moved after two steps. Where not all did, the last layers of a tower are not
  read, a gate begins closed in a model that was never trained (Mllama's, IDEFICS'), or a part takes no place in such a
  batch (sound, experts that no token was sent to).
- **refused**: before a launch, with this reason.
- **not run**: it is not known whether it trains: its config could not be made small, or no batch was found that it
  takes, for the reason given. With its own files such a model is tried on real rows before its weights are loaded.

| architecture | verdict | targets that learned, or the reason |
| --- | --- | --- |
"""
_LINE = re.compile(r"^\| (\S+) \| (trained|refused|not run) \| (.+) \|$", re.MULTILINE)


def read_verdicts(text: str) -> dict[str, Verdict]:
    """The lines of the table, by name."""
    return {found[1]: Verdict(found[1], found[2], found[3]) for found in _LINE.finditer(text)}  # type: ignore[arg-type]


def others() -> list[Architecture]:
    """The zoo."""
    return list(architectures())


def main() -> int:
    """Writes the file."""
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()  # default configs have remarks about themselves
    torch.set_num_threads(1)
    known = read_verdicts(FILE.read_text(encoding="utf-8")) if sys.argv[1:] else {}
    kept = {name: verdict for name, verdict in known.items() if name not in sys.argv[1:]}
    verdicts = [kept.get(architecture.name) or two_steps(architecture) for architecture in others()]
    number = Counter(verdict.outcome for verdict in verdicts)
    head = HEAD.format(
        families=", ".join(FAMILIES),
        experts=" and ".join(EXPERTS),
        own=sum(verdict.name in CONFIGS for verdict in verdicts if verdict.outcome == "trained"),
        filled=sum(verdict.name in FIELDS for verdict in verdicts if verdict.outcome == "trained"),
        counts=f"{number['trained']} trained, {number['refused']} refused, {number['not run']} not run",
    )
    FILE.write_text(head + "\n".join(verdict.line() for verdict in verdicts) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
