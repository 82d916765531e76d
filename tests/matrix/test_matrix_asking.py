"""Models that hold no conversation are trained on what they are asked with, whoever else is in the batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from PIL import Image

from core.data.batches.collate import Encoder
from core.data.batches.conversations import check_row, stop_ids
from core.data.previewing.preview import light_encoder, preview
from core.data.rows import PictureInMemory, Row, Turn
from core.errors import DataError, PlanError, SourceRefused
from core.evaluation.answers import answers_of_batch
from core.evaluation.scores import row_losses
from core.export.context import Context
from core.export.plan_export import export
from core.lora.plan import make_plan
from core.models.classes import check_teachable
from core.models.loading import load_processor
from core.models.manner import manner_of, settle_manner
from core.spec import Recipe, Selection
from tests.matrix.line import Base, loaded

SINGLE = ("florence2", "blip")
PICTURES = [PictureInMemory(Image.new("RGB", (48, 40), colour), colour) for colour in ("red", "blue", "white")]


def row(picture: PictureInMemory, question: str, answer: str) -> Row:
    return Row((Turn("user", (picture, question)), Turn("assistant", (answer,))))


ROWS = [
    row(PICTURES[0], "Colour?", "red"),
    row(PICTURES[1], "Which one is it?", "deep blue"),
    row(PICTURES[2], "?", "w"),
]


@pytest.fixture(params=SINGLE)
def asked(request: pytest.FixtureRequest, base_of: Callable[[str], Base]) -> tuple[object, Encoder, Base]:
    base = base_of(request.param)
    model, processor = loaded(base.source), load_processor(base.source)
    return model, Encoder(processor, stop_ids(model, processor)), base


def test_a_row_does_not_feel_the_others(asked) -> None:
    model, encoder, _ = asked
    together = row_losses(model, encoder, ROWS)
    alone = [row_losses(model, encoder, [each])[0] for each in ROWS]
    assert [count for _, count in together] == [count for _, count in alone] == [4, 10, 2]
    assert [nats for nats, _ in together] == pytest.approx([nats for nats, _ in alone], rel=1e-4)
    assert answers_of_batch(model, encoder, ROWS, 6) == [answers_of_batch(model, encoder, [r], 6)[0] for r in ROWS]


def test_the_opening_is_the_models_own(asked) -> None:
    model, encoder, base = asked
    manner, text = manner_of(encoder.processor), model.config.text_config
    if base.name == "florence2":
        assert manner.opening == (text.decoder_start_token_id, text.bos_token_id)
        batch = encoder.training(ROWS)
        assert batch["decoder_input_ids"].shape == batch["labels"].shape != batch["input_ids"].shape
    else:
        batch = encoder.training(ROWS)
        assert (batch["input_ids"][:, 0] == text.bos_token_id).all()
        assert ((batch["input_ids"] == text.sep_token_id).sum(dim=1) == 1).all(), "it ends the answer, not the question"


def test_several_pictures_or_answers_are_refused_in_words(asked) -> None:
    _, encoder, _ = asked
    two = Row((Turn("user", (PICTURES[0], PICTURES[1], "Same?")), Turn("assistant", ("no",))))
    with pytest.raises(DataError, match="one at a time"):
        check_row(encoder.processor, two, encoder.stop_ids)
    with pytest.raises(DataError, match="one question and one answer"):
        check_row(encoder.processor, Row((*ROWS[0].turns, *ROWS[0].turns)), encoder.stop_ids)


def test_a_preview_shows_what_is_learned(asked) -> None:
    _, encoder, base = asked
    seen = preview(light_encoder(base.source, encoder.processor), ROWS[0])
    assert seen.learned == 4
    assert "Colour?" in seen.text
    assert "".join(token.text for token in seen.tokens if token.learned).startswith("red")


def test_paligemma_as_published_has_a_template(base_of: Callable[[str], Base]) -> None:
    base = base_of("paligemma")
    processor = load_processor(base.source)
    own = Encoder(processor, frozenset({processor.tokenizer.eos_token_id})).training(ROWS)
    processor.chat_template = None
    settle_manner(processor, loaded(base.source).config)
    ours = Encoder(processor, frozenset({processor.tokenizer.eos_token_id})).training(ROWS)
    assert torch.equal(own["input_ids"], ours["input_ids"])
    assert torch.equal(own["labels"], ours["labels"])


def test_a_class_without_words_is_refused() -> None:
    from transformers import BlipForQuestionAnswering, GitForCausalLM

    for kind in (BlipForQuestionAnswering, GitForCausalLM):
        with pytest.raises(SourceRefused, match=kind.__name__):
            check_teachable(kind, "Training it was asked for")


def test_there_is_no_script_for_what_trl_cannot_ask(asked) -> None:
    _, _, base = asked
    selection, recipe = Selection(("vision.attention",)), Recipe(2, 4.0)
    plan = make_plan(base.inspection, selection, recipe)
    context = Context("model", selection, recipe)
    with pytest.raises(PlanError, match="holds no conversation"):
        export(plan, base.inspection, context, "script")
