"""What the model card says of a stored data set: its name, its hash, what it was made of, how, and what was left out.

What it does not do: name a folder of this machine, or a row.
"""

from __future__ import annotations

from core.adapters.card_text import one_line
from core.spec import Finding, Imported, Reading

_FORMATS = {
    "messages": "conversations (messages)",
    "sharegpt": "conversations (ShareGPT / LLaVA)",
    "prompt_completion": "prompts and completions",
    "vqa": "pictures, questions and answers",
    "captions": "pictures and captions",
    "coco": "pictures and captions (COCO)",
    "classes": "pictures in classes",
    "ocr": "pictures and the text in them",
    "pairs": "pairs of a picture and a text",
}
SHORT_HASH = 12


def stored_data(stored: Imported) -> str:
    """The data set in a sentence: its title, and the beginning of its hash."""
    return f"“{one_line(stored.title)}” (data set `{stored.name[:SHORT_HASH]}`)"


def data_section(stored: Imported) -> str:
    """The section about the data, as Markdown."""
    reading = stored.reading
    rows = {
        "title": one_line(stored.title),
        "sha256": f"`{stored.name}`",
        "made of": one_line(stored.origin),
        "rows": f"{stored.train:,} to learn from, {stored.heldout:,} held out",
        "pictures": f"{stored.pictures:,}",
        "read as": _FORMATS[reading.format],
        "held out": _held_out(reading),
        "read": f"the first {reading.limit:,} rows at most" if reading.limit else "",
        "left out": "; ".join(map(_left_out, (each for each in stored.report.findings if each.left_out))),
        "pictures made smaller": f"to {reading.max_side:,} pixels" if reading.max_side else "",
        "licence": one_line(stored.licence),
        "to be named": one_line(stored.attribution),
    }
    lines = ["## Data", "", "| | |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in rows.items() if text)])


def _held_out(reading: Reading) -> str:
    """How the held-out rows were chosen."""
    split = reading.split
    ways = {
        "share": f"a share of {split.share:.3g}, seed {split.seed}",
        "column": "as a column says",
        "folders": "as folders or files say",
    }
    return ways[split.by] + (", groups kept together" if split.group else "")


def _left_out(finding: Finding) -> str:
    some = "" if finding.left_out == finding.count else f"{finding.left_out:,} of: "
    return some + one_line(finding.title)
