"""Rows that share their pictures share a prefix: the same loss, the same gradients, fewer tokens; or it stays off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.data.batches.collate import IGNORED, Batch, Encoder
from core.data.batches.eyes import GLIMPSES
from core.data.rows import Row, Turn, ask
from core.spec import Settings
from core.training.levers import packed as packed_batches
from core.training.levers.layout import in_one_row, laid_out, lengths_of
from core.training.levers.packed import LAYOUT, packed
from core.training.levers.packing import Together, put_together
from core.training.levers.plain_pass import plain_pass
from core.training.levers.row_proof import pick
from core.training.levers.shared_pictures import ShuffledPictures, groups_of, sharing
from core.training.levers.vision_proof import open_vision_cache, tried_rows
from tests.data.tiny_families import Family, internvl, llava, mllama, paligemma, qwen2_5_vl, qwen2_vl
from tests.matrix.families import glm4v, llava_onevision, smolvlm
from tests.training.levers.same_work import (
    EVERYTHING,
    FAMILIES,
    LANGUAGE,
    adapted,
    assert_alike,
    encoder_of,
    loss_and_gradients,
    picture,
)

ALL = dict(FAMILIES) | {
    "qwen2_vl": qwen2_vl, "internvl": internvl, "llava_onevision": llava_onevision, "smolvlm": smolvlm, "glm4v": glm4v
}  # fmt: skip
PICTURES = Settings(batch_size=8, order="pictures")
FIRST, SECOND, THIRD = picture(0), picture(1, (56, 28)), picture(2, (28, 84))


def talk(shown: object, *parts: str) -> Row:
    """A conversation about a picture: question, answer, question, answer, ..."""
    turns = [Turn("user" if at % 2 == 0 else "assistant", (part,)) for at, part in enumerate(parts)]
    return Row((Turn("user", (shown, *turns[0].parts)), *turns[1:]))


def rows() -> list[Row]:
    """Groups of four, two and one, a row without a picture, and conversations whose beginnings are alike."""
    return [
        ask(FIRST, "What is it?", "stripes"),
        ask(SECOND, "What is it?", "more stripes"),
        ask(FIRST, "How many are there?", "12"),
        talk(FIRST, "Where?", "here", "And what is it?", "a picture"),
        ask((), "What is 1 + 1?", "two"),
        talk(FIRST, "Where?", "here", "And which colour is it?", "red"),
        ask(THIRD, "What?", "a long one"),
        ask(SECOND, "Which of the two?", "this"),
    ]


def decided(model: object, encoder: Encoder, learned: list[Row], settings: Settings = PICTURES) -> Together:
    return put_together(model, encoder, learned, settings, lambda: None)


def both_ways(encoder: Encoder, learned: list[Row], together: Together, **changes: Any) -> tuple[Batch, Batch]:
    """The rows as they are, and the same ones with a layout."""
    assert together.arranger is not None, [lever.reason for lever in together.levers]
    encoded = [encoder.whole(row, keep=True) for row in learned]
    layout = replace(together.arranger, **changes)(learned, encoded)
    assert layout is not None
    return encoder.joined(learned, encoded), encoder.joined(learned, encoded, layout.seeing) | {LAYOUT: layout}


def in_one(encoder: Encoder, learned: list[Row], together: Together) -> tuple[Batch, Batch]:
    """The rows as they are, and all of them in one packed row, whatever that costs."""
    assert together.arranger is not None
    encoded = [encoder.whole(row, keep=True) for row in learned]
    lengths, sees = lengths_of(encoded), [bool(row.pictures) for row in learned]
    packed_rows = in_one_row(lengths, groups_of(learned, encoded, together.arranger.signs))
    layout = laid_out(packed_rows, lengths, sees, pick(encoded, together.arranger.positions), encoder.pad_id)
    return encoder.joined(learned, encoded), encoder.joined(learned, encoded, layout.seeing) | {LAYOUT: layout}


def reason(together: Together, lever: str) -> str:
    """Why a lever is off."""
    (found,) = [applied for applied in together.levers if applied.lever == lever]
    assert not found.on, found.reason
    return found.reason


@pytest.mark.parametrize("targets", [LANGUAGE, EVERYTHING], ids=["language", "everything"])
@pytest.mark.parametrize("name", ALL)
def test_loss_and_gradients_are_those_of_the_rows_by_themselves(name: str, targets: str) -> None:
    family = ALL[name]()
    model, encoder, learned = adapted(family.model, targets), encoder_of(family), rows()
    together = decided(model, encoder, learned)
    assert all(lever.on for lever in together.levers), together.levers
    plain, joined = in_one(encoder, learned, together)
    layout = joined[LAYOUT]
    assert len(layout.seeing) == 3, "each picture is given once"
    assert int((layout.rows >= 0).sum()) < int(plain["attention_mask"].sum())
    made = packed(model, joined)
    assert int((made["labels"][:, 1:] != IGNORED).sum()) == int((plain["labels"] != IGNORED).sum())
    assert_alike(loss_and_gradients(model, plain), loss_and_gradients(model, made))


@pytest.mark.parametrize("name", FAMILIES)
def test_shared_pictures_come_from_the_cache_as_well(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]()
    model, encoder, plain_encoder = adapted(family.model), encoder_of(family), encoder_of(family)
    few = tried_rows(encoder, rows())
    before = plain_pass(model, encoder.training(few)).losses
    applied = open_vision_cache(model, encoder, few, PICTURES, "here", tmp_path, before)
    assert applied.on, applied.reason
    together = decided(model, encoder, rows())
    assert all(lever.on for lever in together.levers), together.levers
    expected = loss_and_gradients(model, plain_encoder.training(rows()))
    for _ in range(2):  # the second time, nothing is computed by the tower
        _, joined = in_one(encoder, rows(), together)
        assert len(joined[GLIMPSES]) == 3
        assert_alike(expected, loss_and_gradients(model, packed(model, encoder.seen(joined))))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_both_implementations_of_attention_take_the_mask(attention: str) -> None:
    family = qwen2_5_vl()
    family.model.set_attn_implementation(attention)
    model, encoder = adapted(family.model), encoder_of(family)
    plain, joined = both_ways(encoder, rows(), decided(model, encoder, rows()))
    mask = packed(model, joined)["attention_mask"]
    masks = mask.values() if isinstance(mask, dict) else [mask]
    assert {each.dtype for each in masks} == {torch.bool if attention == "sdpa" else torch.float32}
    assert_alike(loss_and_gradients(model, plain), loss_and_gradients(model, packed(model, joined)))


def test_four_questions_about_a_picture_are_one_row_of_its_length_and_theirs() -> None:
    family = qwen2_5_vl()
    model, encoder = adapted(family.model), encoder_of(family)
    learned = [ask(FIRST, f"What is {number}?", "it") for number in range(4)]
    plain, joined = both_ways(encoder, learned, decided(model, encoder, learned), pack=False)
    tokens = packed(model, joined)["input_ids"]
    length = plain["input_ids"].shape[1]
    (group,) = groups_of(learned, [encoder.whole(row, keep=True) for row in learned], [5])
    assert tokens.shape == (1, group.prefix + 4 * (length - group.prefix))


def test_what_is_learned_first_is_predicted_by_a_token_of_its_own_row() -> None:
    """Even where all rows are the same, or their first answers are."""
    family = llava()
    encoder = encoder_of(family)
    same = [ask(FIRST, "What?", "this")] * 2
    alike = [talk(FIRST, "Where?", "here", f"And {number}?", "so") for number in (1, 2)]
    for learned in (same, alike):
        encoded = [encoder.whole(row, keep=True) for row in learned]
        (group,) = groups_of(learned, encoded, [4])
        first = int((encoded[0]["labels"][0] != IGNORED).nonzero()[0])
        assert group.prefix == first - 1


def test_other_words_before_the_picture_share_nothing() -> None:
    family = qwen2_vl()
    model, encoder = adapted(family.model), encoder_of(family)
    learned = [Row((Turn("user", (word, FIRST)), Turn("assistant", ("so",)))) for word in ("What?", "Where?")]
    assert "other words stand before" in reason(decided(model, encoder, learned), "shared_pictures")


@pytest.mark.parametrize(
    ("family", "lever", "why"),
    [
        (paligemma, "shared_pictures", "look at the question"),
        (mllama, "shared_pictures", "layers of their own"),
        (mllama, "packing", "layers of their own"),
    ],
)
def test_families_that_would_learn_something_else_are_refused(
    family: Callable[[], Family], lever: str, why: str
) -> None:
    made = family()
    learned = [ask(FIRST, "What?", "a"), ask(FIRST, "Where is it?", "b"), ask(SECOND, "What?", "c")]
    assert why in reason(decided(made.model, encoder_of(made), learned), lever)


def test_layers_with_a_memory_of_other_rows_are_refused() -> None:
    family = qwen2_vl()
    family.model.config.text_config.layer_types = ["linear_attention", "full_attention"]
    assert "remember what came before" in reason(decided(family.model, encoder_of(family), rows()), "packing")


def test_dropout_and_noise_are_refused() -> None:
    from peft import LoraConfig, get_peft_model

    family = llava()
    encoder = encoder_of(family)
    noisy = decided(family.model, encoder, rows(), replace(PICTURES, neftune=5.0))
    assert "Noise" in reason(noisy, "shared_pictures")
    dropping = get_peft_model(family.model, LoraConfig(r=2, lora_dropout=0.1, target_modules=["q_proj"]))
    for lever in ("shared_pictures", "packing"):
        assert "the adapter's" in reason(decided(dropping, encoder, rows()), lever)
    family.model.config.text_config.attention_dropout = 0.1
    assert "attention_dropout" in reason(decided(llava_with(0.1), encoder, rows()), "shared_pictures")


def llava_with(dropout: float) -> object:
    model = llava().model
    model.config.text_config.attention_dropout = dropout
    return model


def test_what_makes_it_pointless_is_said() -> None:
    family = llava()
    encoder = encoder_of(family)

    def why(learned: list[Row], **changes: object) -> str:
        return reason(decided(family.model, encoder, learned, replace(PICTURES, **changes)), "shared_pictures")

    assert "one at a time" in why(rows(), batch_size=1)
    assert "No two rows" in why([ask(FIRST, "What?", "a"), ask(SECOND, "What?", "b")])
    assert "of their own" in why(rows(), augment=("colour",))
    assert "settings leave it off" in why(rows(), without=("shared_pictures",))


def test_a_model_that_gives_something_else_leaves_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions that are counted on from row to row instead of beginning anew."""
    family = llava()
    monkeypatch.setattr(
        packed_batches, "_positions", lambda model, given, rows, places: torch.arange(rows.shape[1]).expand_as(rows)
    )
    together = decided(family.model, encoder_of(family), rows())
    assert "not the same" in reason(together, "shared_pictures")
    assert together.arranger is None or not together.arranger.share


def test_sixteen_bits_are_judged_by_what_they_can_tell_apart() -> None:
    family = qwen2_5_vl()
    together = decided(adapted(family.model.to(torch.bfloat16)), encoder_of(family), rows())
    assert all(lever.on for lever in together.levers), together.levers


def test_rows_of_a_picture_come_together_in_an_order_of_chance() -> None:
    learned = [ask(picture(at % 5), f"What is {at}?", "a") for at in range(20)] + [
        ask((), "1?", "1"),
        ask((), "2?", "2"),
    ]
    known = sharing(learned, None, lambda: None)
    assert (known.rows, known.pictures, known.mean) == (20, 5, 4.0)
    assert known.pairs == tuple((at, at + 5) for at in range(5))
    sampler, again = ShuffledPictures(known.keys, 3), ShuffledPictures(known.keys, 3)
    first, second = list(sampler), list(sampler)
    again.set_epoch(1)
    assert sorted(first) == sorted(second) == list(range(22))
    assert first != second == list(again)
    runs = [key for at, key in enumerate(known.keys[first].tolist()) if at == 0 or key != known.keys[first][at - 1]]
    assert len(runs) == len(set(runs)) == 7


def test_pictures_of_one_name_are_one_in_the_order_only() -> None:
    """Two pictures in memory of the same name: their rows come together, but share no prefix."""
    family = llava()
    encoder = encoder_of(family)
    learned = [ask(picture(0), "What?", "a"), ask(picture(0), "Where?", "b")]
    assert groups_of(learned, [encoder.whole(row, keep=True) for row in learned], [4]) == []


def test_only_rows_that_share_bring_the_word_about_the_other_order() -> None:
    family = llava()
    encoder = encoder_of(family)
    four = [ask(FIRST, f"What is {number}?", "a") for number in range(4)]
    by_rows = replace(PICTURES, order="rows")
    (note,) = decided(family.model, encoder, four, by_rows).notes
    assert note.startswith("4.0 rows share a picture on average: with pictures shuffled")
    assert decided(family.model, encoder, four).notes == ()
    alone = [ask(FIRST, "What?", "a"), ask(SECOND, "What?", "b")]
    assert decided(family.model, encoder, alone, by_rows).notes == ()
    together = decided(family.model, encoder, alone)
    assert "no two rows share" in together.notes[0]
    assert together.keys is None


@pytest.mark.parametrize("accumulation", [1, 2])
def test_training_gives_the_same_losses_with_and_without(accumulation: int, tmp_path: Path) -> None:
    from core.training.trainer import make_trainer

    learned = rows() * 2 + [ask(THIRD, "And now, what is it?", "it")]
    settings = replace(
        PICTURES, steps=8, batch_size=4, accumulation=accumulation, learning_rate=3e-3, checkpointing=accumulation == 2
    )

    def losses(without: tuple[str, ...]) -> list[float]:
        family = qwen2_5_vl()
        model, encoder = adapted(family.model, EVERYTHING), encoder_of(family)
        chosen = replace(settings, without=without)
        together = decided(model, encoder, learned, chosen)
        assert (together.arranger is None) is bool(without)
        trainer = make_trainer(model, encoder, learned, chosen, tmp_path, "cpu", bf16=False, together=together)
        trainer.train()
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    torch.testing.assert_close(losses(()), losses(("shared_pictures", "packing")), rtol=1e-4, atol=1e-4)
