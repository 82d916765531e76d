"""Measures the exported model folder and writes what came out: `evaluation.json` and the card, `README.md`.

Every number in the card is measured or counted here; what falls short is listed as what the model cannot do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from core.demo.heldout import CLAIMED_FROM, Score, evaluate_folder, heldout_examples
from core.demo.scenes import COLOUR_NAMES, PLACES, find_fonts, font_families
from core.demo.shapes import SHAPES

EXAMPLES: dict[str, str] = {
    "shape": "What shape is this?",
    "colour": "What colour is this?",
    "digit": "What digit is this?",
    "colour of a named shape": "What colour is the star?",
    "shape of a named colour": "Which shape is red?",
    "where": "Where is the star?",
    "what is at a place": "What is at the top left?",
    "count": "How many shapes are there?",
    "is there": "Is there a star?",
    "list": "List the shapes.",
    "caption": "Describe the picture.",
}


def measure_and_describe(folder: Path, seed: int, steps: dict[str, int], per_type: int) -> dict[str, Any]:
    """Evaluate the folder on held-out questions and write `evaluation.json` and `README.md` into it."""
    scores = evaluate_folder(folder, heldout_examples(seed, per_type))
    facts = {
        "seed": seed,
        "steps": steps,
        "fonts": font_families(find_fonts()),
        "metric": "exact match of the greedy answer, bfloat16-trained weights run in float32",
        "parameters": count_parameters(folder),
        "safetensors_bytes": (folder / "model.safetensors").stat().st_size,
        **summary(scores),
    }
    (folder / "evaluation.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(card(facts), "utf-8")
    return facts


def summary(scores: dict[str, Score]) -> dict[str, Any]:
    """Per-type figures, and the overall figure of the types that are good enough to be claimed."""
    claimed = {t: s for t, s in scores.items() if s.share >= CLAIMED_FROM}
    overall = Score(sum(s.right for s in claimed.values()), sum(s.asked for s in claimed.values()))
    return {
        "claimed": {"questions": overall.asked, "right": overall.right, "accuracy": round(overall.share, 4)},
        "types": {
            t: {"questions": s.asked, "right": s.right, "accuracy": round(s.share, 4), "claimed": t in claimed}
            for t, s in scores.items()
        },
    }


def count_parameters(folder: Path) -> dict[str, int]:
    """Parameters per component, counted in the saved file."""
    parts = {"vision": "model.vision_model.", "projector": "model.connector.", "language": "model.text_model."}
    counts = dict.fromkeys(parts, 0)
    total = 0
    with safe_open(folder / "model.safetensors", "pt") as file:
        for key in file.keys():  # noqa: SIM118 - not a dict
            size = file.get_tensor(key).numel()
            total += size
            for part, prefix in parts.items():
                counts[part] += size * key.startswith(prefix)
    assert sum(counts.values()) == total, "a tensor belongs to no component"  # noqa: S101
    return {**counts, "total": total}


def card(facts: dict[str, Any]) -> str:
    """The model card, from the figures in `evaluation.json` and the folder's configuration."""
    return "\n\n".join(
        [FRONT, _opening(facts), _use(), _architecture(facts), _training(facts), _accuracy(facts), _limits(facts)]
    ) + "\n"  # fmt: skip


FRONT = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: image-text-to-text
tags: [vision-language, idefics3, tiny, demo]
---"""


def _opening(facts: dict[str, Any]) -> str:
    size = facts["safetensors_bytes"] / 1e6
    return f"""\
# The demo model of VLM LoRA Studio

A real vision-language model, small enough to train with LoRA on a laptop's processor in a minute:
{facts["parameters"]["total"]:,} parameters, {size:.1f} MB. It was trained from nothing by `core/demo/pretrain.py` on \
pictures of a little
world drawn by `core/demo/scenes.py`, and it answers {facts["claimed"]["accuracy"]:.1%} of \
{facts["claimed"]["questions"]:,} held-out questions about that world exactly."""


def _use() -> str:
    return """\
## Use

```python
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

processor = AutoProcessor.from_pretrained("assets/demo/model")
model = AutoModelForImageTextToText.from_pretrained("assets/demo/model")
picture = Image.open("picture.png")
content = [{"type": "image", "image": picture}, {"type": "text", "text": "What shape is this?"}]
inputs = processor.apply_chat_template(
    [{"role": "user", "content": content}],
    add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
)
answer = model.generate(**inputs, max_new_tokens=40)[:, inputs["input_ids"].shape[1]:]
print(processor.batch_decode(answer, skip_special_tokens=True)[0])
```"""


def _architecture(facts: dict[str, Any]) -> str:
    counts = facts["parameters"]
    return f"""\
## Architecture

Idefics3, the class behind SmolVLM, without image splitting. Pictures become 48x48 pixels, 36 patches, 9 image tokens.

| component | what it is | parameters |
| --- | --- | --- |
| vision | transformer over 8x8 patches | {counts["vision"]:,} |
| projector | pixel shuffle by 2, one linear layer | {counts["projector"]:,} |
| language | Llama, input and output embeddings shared | {counts["language"]:,} |

Widths and depths are in `config.json`. The tokenizer is a byte-level BPE of its own."""


def _training(facts: dict[str, Any]) -> str:
    steps = facts["steps"]
    return f"""\
## Data and training

Drawn scenes only. A scene is a 3x3 grid with one to four shapes, or one big shape, or one big printed digit.

- Shapes: {", ".join(SHAPES)}
- Colours: {", ".join(COLOUR_NAMES)}
- Places: {", ".join(PLACES)}
- Fonts of the digits: {", ".join(facts["fonts"])}

No handwriting, no photographs, no text from anywhere else.

| stage | steps | what learns |
| --- | --- | --- |
| read | {steps["read"]:,} | language, from perfect image tokens out of throw-away tables |
| see | {steps["see"]:,} | vision and projector, to make such tokens from pictures |
| speak | {steps["speak"]:,} | everything, from pictures to answers |

Seed {facts["seed"]}. Weight matrices with Muon, the rest with AdamW, bfloat16 autocast on a CPU. Again:
`python -m core.demo.pretrain --out pretrain-run --seed {facts["seed"]}`. The last digits of the weights depend on the
processor and the number of threads."""


def _accuracy(facts: dict[str, Any]) -> str:
    rows = [
        f"| {t} | {EXAMPLES[t]} | {v['questions']} | {v['accuracy']:.1%} |"
        for t, v in facts["types"].items()
        if v["claimed"]
    ]
    claimed = facts["claimed"]
    total = f"| **all of these** | | **{claimed['questions']:,}** | **{claimed['accuracy']:.1%}** |"
    head = """\
## Accuracy

Exact match on held-out scenes (other scenes, and other painted variants of shapes and digits, than in training), asked
of this folder through the chat template with greedy generation. The figures are also in `evaluation.json`.

| question type | for example | questions | right |
| --- | --- | --- | --- |
"""
    return head + "\n".join([*rows, total])


def _limits(facts: dict[str, Any]) -> str:
    weak = [f'- {t} ("{EXAMPLES[t]}"): {v["accuracy"]:.1%}' for t, v in facts["types"].items() if not v["claimed"]]
    missing = "Asked of it in the same measurement, but not good enough to claim:\n\n" + "\n".join(weak) + "\n\n"
    return f"""\
## What it cannot do

{missing if weak else ""}\
It was shown nothing outside its world: no photographs, no handwriting, no outline drawings, no letters or words in
pictures, no numbers of two digits, no more than four shapes, no conversation of several turns. It is made to be
fine-tuned and looked into, not to be relied on."""
