"""PaliGemma is published without a chat template: the exported script brings the worker's, with the same rows."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import torch

from core.data.batches.collate import Encoder
from core.data.rows import PictureInMemory, Row, Turn
from core.export.plan_export import Context, export
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.models.loading import load_processor
from core.spec import Recipe, Selection, Source
from tests.data.made_data import picture
from tests.data.tiny_families import paligemma


def test_the_script_asks_paligemma_as_the_worker_does(tmp_path: Path) -> None:
    family, folder, shown = paligemma(), tmp_path / "model", tmp_path / "1.png"
    family.processor.chat_template = None
    family.model.save_pretrained(folder)
    family.processor.save_pretrained(folder)
    picture(1).save(shown)
    source = Source("folder", str(folder))
    inspection = inspect_source(source)
    selection, recipe = Selection(cells=("language.attention",)), Recipe()
    plan = make_plan(inspection, selection, recipe)
    text = export(plan, inspection, Context(str(folder), selection, recipe), "script").text

    written = text.partition("processor.chat_template = (")[2].partition(")")[0]
    processor = type(family.processor).from_pretrained(folder)
    assert processor.chat_template is None
    processor.chat_template = "".join(ast.literal_eval(line.strip()) for line in written.split("\n") if line.strip())
    (tmp_path / "train.py").write_text(text)
    script = runpy.run_path(str(tmp_path / "train.py"), run_name="script")
    stops = {processor.tokenizer.eos_token_id}
    rows = [(shown, "what is it", "a cat"), (shown, "how many are there", "two")]
    theirs = script["Collator"](processor, rows, stops)([{"row": 0}, {"row": 1}])

    seen = PictureInMemory(picture(1))
    asked = [Row((Turn("user", (seen, question)), Turn("assistant", (answer,)))) for _, question, answer in rows]
    ours = Encoder(load_processor(source), frozenset(stops)).training(asked)
    assert torch.equal(theirs["input_ids"], ours["input_ids"])
    assert torch.equal(theirs["labels"], ours["labels"])
    assert torch.equal(theirs["token_type_ids"], ours["token_type_ids"])
