"""What the loss sees: the answer and the end of its turn, and nothing else, for families that differ in every way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from core.data.batches.collate import IGNORED, Encoder
from core.data.batches.conversations import encode_prompts, stop_ids
from core.data.files.pictures import PictureFile
from core.data.rows import Row, ask
from core.errors import DataError
from core.evaluation.answers import generate_answers
from core.evaluation.scores import row_losses
from tests.data.templates import THINKING_TEMPLATE
from tests.data.tiny_families import Family, demo, demo_in_tiles, gemma3, llava, mllama, paligemma, qwen2_vl

FAMILIES = {
    "demo": demo,
    "tiles": demo_in_tiles,
    "llava": llava,
    "gemma3": gemma3,
    "mllama": mllama,
    "paligemma": paligemma,
    "qwen2_vl": qwen2_vl,
    "thinking": lambda: qwen2_vl(THINKING_TEMPLATE),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]()


def test_tiles_are_counted_for_each_row(rows: list[Row]) -> None:
    made = demo_in_tiles()
    alone = [encode_prompts(made.processor, [row])["pixel_values"].shape[1] for row in rows]
    assert len(set(alone)) > 1, "the case that joining cannot cover"
    assert encoder_of(made).training(rows)["pixel_values"].shape[:2] == (3, max(alone))


def test_tiles_are_processed_once(rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    made = demo_in_tiles()
    encoder = encoder_of(made)
    first = encoder.training(rows)
    seen: list[int] = []

    def counted(processor: object, part: list[Row]) -> dict:
        seen.append(len(part))
        return encode_prompts(processor, part)

    monkeypatch.setattr("core.data.batches.collate.encode_prompts", counted)
    again = encoder.training(rows)
    assert seen == [], "the first batch has shown that zeros fill up"
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Pictures of different sizes, questions and answers of different lengths."""
    folder = tmp_path_factory.mktemp("rows")
    made = []
    for index, (size, question, answer) in enumerate(
        [
            ((48, 48), "What is it?", "a red star"),
            ((90, 40), "Which colour does the thing at the left have?", "blue"),
            ((30, 61), "How many?", "2"),
        ]
    ):
        path = folder / f"{index}.png"
        Image.effect_noise(size, 80).convert("RGB").save(path)
        made.append(ask(PictureFile(path, path.name), question, answer))
    return made


def encoder_of(family: Family) -> Encoder:
    return Encoder(family.processor, stop_ids(family.model, family.processor))


def test_the_loss_sees_the_answer_and_its_end_only(family: Family, rows: list[Row]) -> None:
    batch = encoder_of(family).training(rows)
    tokenizer = family.processor.tokenizer
    for row, ids, labels in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        seen = labels != IGNORED
        assert torch.equal(labels[seen], ids[seen])
        first, last = seen.nonzero()[0].item(), seen.nonzero()[-1].item()
        assert seen[first : last + 1].all(), "one piece"
        assert tokenizer.decode(labels[first:last]).strip() == row.answer
        assert labels[last].item() in stop_ids(family.model, family.processor)
        assert (labels[first:last, None] != torch.tensor(sorted(encoder_of(family).stop_ids))).all()


def test_no_answer_token_sees_a_later_one(family: Family, rows: list[Row]) -> None:
    batch = encoder_of(family).training(rows[:1])
    last = int((batch["labels"][0] != IGNORED).nonzero()[-1])
    changed = {key: value.clone() for key, value in batch.items()}
    changed["input_ids"][0, last] = changed["input_ids"][0, last - 1]
    with torch.no_grad():
        one, other = (family.model(**inputs, use_cache=False).logits[0, :last] for inputs in (batch, changed))
    assert torch.equal(one, other)


def test_the_prompt_is_what_generation_reads(family: Family, rows: list[Row]) -> None:
    batch = encoder_of(family).training(rows)
    for index, row in enumerate(rows):
        asked = encode_prompts(family.processor, [row])["input_ids"][0]
        assert torch.equal(batch["input_ids"][index, : len(asked)], asked)
        assert (batch["labels"][index, : len(asked)] == IGNORED).all()
        assert batch["labels"][index, len(asked)] != IGNORED


def test_no_token_begins_a_text_twice(family: Family, rows: list[Row]) -> None:
    bos = family.processor.tokenizer.bos_token_id
    if bos is None:
        return
    counts = (encoder_of(family).training(rows)["input_ids"] == bos).sum(dim=1)
    assert counts.tolist() == [1, 1, 1]


def test_padding_changes_no_loss(family: Family, rows: list[Row]) -> None:
    encoder = encoder_of(family)
    together = row_losses(family.model, encoder, rows)
    alone = [row_losses(family.model, encoder, [row])[0] for row in rows]
    assert [count for _, count in together] == [count for _, count in alone]
    assert [nats for nats, _ in together] == pytest.approx([nats for nats, _ in alone], rel=1e-4)


def test_the_loss_is_the_models_own(family: Family, rows: list[Row]) -> None:
    encoder = encoder_of(family)
    nats, tokens = zip(*row_losses(family.model, encoder, rows), strict=True)
    with torch.no_grad():
        own = family.model(**encoder.training(rows)).loss.item()
    assert sum(nats) / sum(tokens) == pytest.approx(own, rel=1e-4)


def test_answers_do_not_depend_on_the_batch(family: Family, rows: list[Row]) -> None:
    together = generate_answers(family.model, family.processor, rows, max_new_tokens=5)
    alone = [generate_answers(family.model, family.processor, [row], max_new_tokens=5)[0] for row in rows]
    assert together == alone


def test_a_processed_row_is_kept(family: Family, rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of(family)
    first = encoder.training(rows[:1])

    def never(*_: object) -> None:
        raise AssertionError("processed again")

    monkeypatch.setattr("core.data.batches.collate.encode_prompts", never)
    again = encoder.training(rows[:1])
    assert first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_without_room_nothing_is_kept(rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.data.batches.collate.CACHE_BYTES", 10)
    encoder = encoder_of(llava())
    encoder.training(rows)
    assert encoder._prompts == {}


def test_the_demos_batches_are_trls_but_for_what_follows_the_end(tmp_path: Path) -> None:
    """TRL 1.16 also trains the line break that the template puts behind the end of the turn."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    made = demo()
    rows = []
    for index, answer in enumerate(["a red star", "7", "blue circle"]):
        Image.new("RGB", (48, 48), (80 * index, 0, 90)).save(tmp_path / f"{index}.png")
        rows.append(ask(PictureFile(tmp_path / f"{index}.png", f"{index}.png"), "What is it?", answer))
    trls = DataCollatorForVisionLanguageModeling(made.processor, completion_only_loss=True)(
        [
            {
                "image": row.picture.open(),
                "prompt": [{"role": "user", "content": row.question}],
                "completion": [{"role": "assistant", "content": row.answer}],
            }
            for row in rows
        ]
    )
    ours = encoder_of(made).training(rows)
    assert torch.equal(ours["pixel_values"], trls["pixel_values"])
    for index in range(len(rows)):
        length = int(ours["attention_mask"][index].sum())
        assert torch.equal(ours["input_ids"][index, :length], trls["input_ids"][index, :length])
        assert torch.equal(ours["labels"][index, :length], trls["labels"][index, :length])
        rest = trls["labels"][index, length:]
        assert made.processor.tokenizer.decode(rest[rest != IGNORED]) == "\n"


def test_a_model_without_a_chat_template_is_refused_in_words() -> None:
    made = llava()
    made.processor.chat_template = None
    with pytest.raises(DataError, match="chat template"):
        encoder_of(made)


@pytest.mark.parametrize("key", ["question", "answer"])
def test_a_text_that_holds_the_sign_for_a_picture_is_refused_in_words(rows: list[Row], key: str) -> None:
    texts = {"question": "What is it?", "answer": "a cat", key: "an <image> in the text"}
    row = ask(rows[0].pictures, **texts)
    with pytest.raises(DataError, match="stands for a picture"):
        encoder_of(llava()).training([row])
