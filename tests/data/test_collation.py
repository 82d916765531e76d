"""The collation matrix: processors of many families, each with every form that a row can have.

What a family cannot do is refused in a sentence; everything else is held to the same properties.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from PIL import Image

from core.data.batches.collate import IGNORED, Batch, Encoder
from core.data.batches.conversations import encode_prompts, stop_ids
from core.data.rows import PictureInMemory, Row, Turn, ask
from core.errors import DataError
from core.evaluation.answers import generate_answers
from core.evaluation.scores import row_losses
from tests.data.templates import THINKING_TEMPLATE
from tests.data.tiny_families import (
    Family,
    demo,
    demo_in_tiles,
    gemma3,
    internvl,
    llava,
    mllama,
    paligemma,
    qwen2_5_vl,
    qwen2_vl,
    qwen3_vl,
)

FAMILIES: dict[str, Callable[[], Family]] = {
    "idefics3": demo,
    "idefics3_tiles": demo_in_tiles,
    "llava": llava,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "paligemma": paligemma,
    "gemma3": gemma3,
    "internvl": internvl,
    "mllama": mllama,
    "thinking": lambda: qwen2_vl(THINKING_TEMPLATE),
}


def picture(number: int, size: tuple[int, int]) -> PictureInMemory:
    return PictureInMemory(Image.effect_noise(size, 80).convert("RGB"), f"{number}.png")


def talk(*parts: tuple[str, ...]) -> Row:
    """A row of several turns: (what the user says, what the assistant says), ..."""
    turns = []
    for question, answer in parts:
        turns += [Turn("user", question if isinstance(question, tuple) else (question,)), Turn("assistant", (answer,))]
    return Row(tuple(turns))


ONE, TWO, THREE = picture(1, (48, 48)), picture(2, (90, 40)), picture(3, (30, 61))
SINGLE = [ask(ONE, "What is it?", "a red star"), ask(TWO, "Which colour does it have?", "blue")]
TEXT = [ask((), "What is 1 + 1?", "2"), ask((), "Say good morning in French.", "bonjour")]
FORMS: dict[str, list[Row]] = {
    "single": SINGLE,
    "multi_turn": [
        talk(((ONE, "What is it? Say red."), "red"), ("Say red again, and nothing else: red", "red"), ("More?", "no.")),
        talk((("And here: ", TWO, "what?"), "a cat, 2 m\nlong"), ("Sure?", "yes")),
    ],
    "picture_later": [talk(("Hello. yes", "yes"), (("Then this: ", ONE, "?"), "yes"), ((TWO, "And this?"), "no"))],
    "two_pictures": [ask((ONE, TWO), "Which is larger?", "the second"), ask((TWO, THREE), "Same?", "no")],
    "mixed_sizes": [ask(THREE, "What is it?", "7"), ask((ONE, THREE, TWO), "How many?", "three"), SINGLE[1]],
    "text_only": TEXT,
    "mixed": [TEXT[0], SINGLE[0], TEXT[1], ask((TWO, THREE), "Same?", "no")],
    "system": [ask(ONE, "What is it?", "a star", system="Answer in one word."), *SINGLE[:1]],
    "system_text": [ask((), "What is 2 + 2?", "4", system="Answer in one word.")],
    "long_answer": [ask(ONE, "Tell a story.", "Once upon a time there was a star. " * 12 + "The end")],
}
CANNOT = {
    ("paligemma", "multi_turn"): "several answers",
    ("paligemma", "picture_later"): "several answers",
    ("paligemma", "text_only"): "no picture",
    ("paligemma", "mixed"): "no picture",
    ("paligemma", "system_text"): "no picture",
    ("mllama", "mixed"): "cannot read together",
}
TRL_IS_NOT_RIGHT = {"llava", "paligemma", "mllama", "thinking"}
"""See `test_where_trl_is_not_right`."""
ENDS_NO_TURN = {"llava"}
"""Families whose template ends no turn of the assistant: only the last answer teaches the model to stop."""


@cache
def family_of(name: str) -> Family:
    torch.manual_seed(0)
    return FAMILIES[name]()


@cache
def encoder_of(name: str) -> Encoder:
    made = family_of(name)
    return Encoder(made.processor, stop_ids(made.model, made.processor))


CASES = [pytest.param(name, form, id=f"{name}-{form}") for name in FAMILIES for form in FORMS]
GOOD = [case for case in CASES if tuple(case.values) not in CANNOT]


@pytest.mark.parametrize(("name", "form"), [case for case in CASES if tuple(case.values) in CANNOT])
def test_what_a_family_cannot_do_is_refused_in_a_sentence(name: str, form: str) -> None:
    with pytest.raises(DataError, match=CANNOT[name, form]):
        encoder_of(name).training(FORMS[form])


@pytest.mark.parametrize(("name", "form"), GOOD)
def test_every_answer_carries_loss_and_nothing_else(name: str, form: str) -> None:
    tokenizer, stops = family_of(name).processor.tokenizer, encoder_of(name).stop_ids
    batch = encoder_of(name).training(FORMS[form])
    for row, ids, labels in zip(FORMS[form], batch["input_ids"], batch["labels"], strict=True):
        answers = [turn.text for turn in row.turns if turn.speaker == "assistant"]
        pieces = learned(labels)
        assert [tokenizer.decode(piece, skip_special_tokens=True).strip() for piece in pieces] == answers
        assert torch.equal(labels[labels != IGNORED], ids[labels != IGNORED])
        ended = [piece[-1] in stops for piece in pieces]
        assert ended == [name not in ENDS_NO_TURN] * (len(answers) - 1) + [True]
        assert all(token not in stops for piece in pieces for token in piece[:-1])


@pytest.mark.parametrize(("name", "form"), GOOD)
def test_the_prompt_is_what_generation_reads(name: str, form: str) -> None:
    batch = encoder_of(name).training(FORMS[form])
    for row, ids in zip(FORMS[form], batch["input_ids"], strict=True):
        asked = encode_prompts(family_of(name).processor, [row])["input_ids"][0]
        assert torch.equal(ids[: len(asked)], asked)


@pytest.mark.parametrize(("name", "form"), GOOD)
def test_padding_is_on_the_right_and_no_text_begins_twice(name: str, form: str) -> None:
    tokenizer = family_of(name).processor.tokenizer
    batch = encoder_of(name).training(FORMS[form])
    mask = batch["attention_mask"]
    assert (mask[:, 0] == 1).all()
    assert (mask[:, 1:] <= mask[:, :-1]).all(), "once padding has begun it goes on"
    assert ((batch["labels"] != IGNORED) <= (mask == 1)).all()
    if tokenizer.bos_token_id is not None:
        assert (batch["input_ids"] == tokenizer.bos_token_id).sum(dim=1).tolist() == [1] * len(mask)


@pytest.mark.parametrize(("name", "form"), GOOD)
def test_the_model_takes_the_batch_and_a_row_does_not_feel_the_others(name: str, form: str) -> None:
    model, encoder, rows = family_of(name).model, encoder_of(name), FORMS[form]
    together = row_losses(model, encoder, rows)
    alone = [row_losses(model, encoder, [row])[0] for row in rows]
    assert [count for _, count in together] == [count for _, count in alone]
    assert [nats for nats, _ in together] == pytest.approx([nats for nats, _ in alone], rel=2e-4)


SEEING = [case for case in GOOD if case.values[1] not in {"text_only", "system_text"}]


@pytest.mark.parametrize(("name", "form"), [case for case in SEEING if case.values[0] != "mllama"])
def test_the_tokens_of_pictures_are_as_many_as_the_model_makes_of_them(name: str, form: str) -> None:
    made, batch = family_of(name), encoder_of(name).training(FORMS[form])
    inputs = {key: value for key, value in batch.items() if key in PICTURE_KEYS}
    with torch.no_grad():
        features = made.model.get_image_features(**inputs, return_dict=True).pooler_output
    made_of_them = sum(part.shape[:-1].numel() for part in features)
    assert int((batch["input_ids"] == image_id(made)).sum()) == made_of_them


@pytest.mark.parametrize(("name", "form"), [case for case in SEEING if case.values[0] == "mllama"])
def test_a_picture_that_is_no_tokens_has_one_sign_for_each(name: str, form: str) -> None:
    batch = encoder_of(name).training(FORMS[form])
    signs = (batch["input_ids"] == image_id(family_of(name))).sum(dim=1)
    assert signs.tolist() == [len(row.pictures) for row in FORMS[form]]


@pytest.mark.parametrize(("name", "form"), [case for case in GOOD if case.values[1] in {"system", "system_text"}])
def test_a_system_prompt_is_read_once_before_the_question(name: str, form: str) -> None:
    row = FORMS[form][0]
    text = family_of(name).processor.tokenizer.decode(encoder_of(name).training([row])["input_ids"][0])
    assert text.count(row.turns[0].text) == 1
    assert text.index(row.turns[0].text) < text.index(row.question)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "paligemma"])
@pytest.mark.parametrize("form", ["mixed", "multi_turn"])
def test_answers_do_not_depend_on_the_batch(name: str, form: str) -> None:
    """Mllama's too: where rows cannot be read together they are asked apart."""
    made = family_of(name)
    together = generate_answers(made.model, made.processor, FORMS[form], max_new_tokens=4)
    alone = [generate_answers(made.model, made.processor, [row], max_new_tokens=4)[0] for row in FORMS[form]]
    assert together == alone


PICTURE_KEYS = {"pixel_values", "pixel_attention_mask", "image_grid_thw", "image_sizes"}


def image_id(made: Family) -> int:
    config = made.model.config
    return next(value for key in ("image_token_id", "image_token_index") if (value := getattr(config, key, None)))


def learned(labels: torch.Tensor) -> list[list[int]]:
    """The pieces of tokens that carry loss."""
    pieces: list[list[int]] = []
    before = IGNORED
    for label in labels.tolist():
        if label != IGNORED:
            if before == IGNORED:
                pieces.append([])
            pieces[-1].append(label)
        before = label
    return pieces


def test_a_row_that_is_too_long_is_named_and_never_cut() -> None:
    made = family_of("qwen2_5_vl")
    row = Row(SINGLE[0].turns, origin="stars.csv, line 12")
    length = encoder_of("qwen2_5_vl").training([row])["input_ids"].shape[1]
    stops = stop_ids(made.model, made.processor)
    assert Encoder(made.processor, stops, limit=length).training([row])["input_ids"].shape[1] == length
    with pytest.raises(DataError, match=rf"stars.csv, line 12.*{length} tokens and the limit is {length - 1}"):
        Encoder(made.processor, stops, limit=length - 1).training([row])


def test_a_template_that_refuses_a_conversation_is_told_in_words() -> None:
    row = Row((Turn("user", ("One",)), Turn("user", ("Two",)), Turn("assistant", ("three",))), origin="a.json, row 3")
    with pytest.raises(DataError, match=r"a.json, row 3.*roles must alternate"):
        encoder_of("gemma3").training([row])


@pytest.mark.parametrize("turn", ["question", "answer"])
def test_a_text_that_would_end_its_turn_is_refused_in_words(turn: str) -> None:
    """Else the answer would be cut at the sign, without a word."""
    texts = {"question": "What is it?", "answer": "a star", turn: "It says </s> here"}
    with pytest.raises(DataError, match="holds “</s>”, which ends a turn"):
        encoder_of("llava").training([ask(ONE, texts["question"], texts["answer"])])


def test_what_does_not_end_with_an_answer_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="does not end with an answer"):
        encoder_of("llava").training([Row((Turn("user", ("Hello",)),))])


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in TRL_IS_NOT_RIGHT])
@pytest.mark.parametrize("form", ["single", "two_pictures"])
def test_trls_batches_are_ours_where_it_is_right(name: str, form: str) -> None:
    """TRL 1.16 on single questions: the same tokens, the same loss, but for what follows the end of the answer."""
    theirs, ours = trls(name, FORMS[form]), encoder_of(name).training(FORMS[form])
    for index in range(len(FORMS[form])):
        length = int(ours["attention_mask"][index].sum())
        assert torch.equal(theirs["input_ids"][index, :length], ours["input_ids"][index, :length])
        assert torch.equal(theirs["labels"][index, :length], ours["labels"][index, :length])
    for key in PICTURE_KEYS & ours.keys():
        assert torch.equal(theirs[key], ours[key])


def test_where_trl_is_not_right() -> None:
    """TRL 1.16: no token begins or ends LLaVA 1.5's text, Mllama's answers have no place in the mask of its pictures,
    PaliGemma's answers are given to its processor, which takes no text without a picture, and an answer does not stand
    where a template asks for it, if that opens it in another way."""
    tokenizer = family_of("llava").processor.tokenizer
    assert not torch.isin(trls("llava", SINGLE)["input_ids"], torch.tensor([tokenizer.bos_token_id])).any()
    assert not torch.isin(trls("llava", SINGLE)["labels"], torch.tensor([tokenizer.eos_token_id])).any()
    theirs, ours = trls("mllama", SINGLE), encoder_of("mllama").training(SINGLE)
    assert theirs["cross_attention_mask"].shape[1] < theirs["input_ids"].shape[1]
    assert ours["cross_attention_mask"].shape[1] == ours["input_ids"].shape[1]
    with pytest.raises(ValueError, match="images"):
        trls("paligemma", SINGLE)
    decode = family_of("thinking").processor.tokenizer.decode
    assert "<think>" not in decode(trls("thinking", SINGLE)["input_ids"][0])
    assert "<think>" in decode(encoder_of("thinking").training(SINGLE)["input_ids"][0])


def trls(name: str, rows: list[Row]) -> Batch:
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collator = DataCollatorForVisionLanguageModeling(family_of(name).processor, completion_only_loss=True)
    return collator(
        [
            {
                "images": [each.open() for each in row.pictures],
                "prompt": [{"role": "user", "content": row.question}],
                "completion": [{"role": "assistant", "content": row.answer}],
            }
            for row in rows
        ]
    )
