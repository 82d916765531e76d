"""What the preview shows is what trains: the same tokens, the same loss, the picture as the model gets it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.data.batches.collate import IGNORED
from core.data.batches.conversations import stop_ids, stop_ids_in
from core.data.previewing.preview import encoder_of, preview
from core.data.rows import PictureInMemory, Row, ask
from core.errors import DataError
from core.models.classes import read_config
from core.models.source import DEMO_MODEL, resolve
from core.spec import Source
from tests.data.test_collation import CANNOT, FAMILIES, FORMS, family_of
from tests.data.test_collation import encoder_of as encoder_for

CASES = [(name, form) for name in FAMILIES for form in ("single", "multi_turn", "two_pictures", "mixed", "system")]
GOOD = [case for case in CASES if case not in CANNOT or case == ("mllama", "mixed")]


@pytest.mark.parametrize(("name", "form"), GOOD)
def test_the_tokens_are_those_of_the_batch(name: str, form: str) -> None:
    encoder, tokenizer = encoder_for(name), family_of(name).processor.tokenizer
    for row in FORMS[form]:
        shown, batch = preview(encoder, row), encoder.training([row])
        labels = batch["labels"][0] != IGNORED
        assert sum(token.count for token in shown.tokens) == len(labels) == shown.image + shown.words
        assert [token.learned for token in shown.tokens for _ in range(token.count)] == labels.tolist()
        assert shown.learned == int(labels.sum())
        written = "".join(token.text for token in shown.tokens if token.kind == "text")
        assert written.replace(" ", "") == without_pictures(tokenizer, batch["input_ids"][0], shown).replace(" ", "")
        assert row.question in written
        assert row.answer in written


def without_pictures(tokenizer, ids, shown) -> str:
    kinds = [token.kind for token in shown.tokens for _ in range(token.count)]
    return tokenizer.decode([int(token) for token, kind in zip(ids, kinds, strict=True) if kind == "text"])


@pytest.mark.parametrize("name", FAMILIES)
def test_each_picture_is_one_run_of_tokens(name: str) -> None:
    shown = preview(encoder_for(name), FORMS["two_pictures"][0])
    runs = [token for token in shown.tokens if token.kind == "image"]
    at_once = name in {"paligemma", "idefics3", "idefics3_tiles", "mllama"}  # their templates write nothing in between
    assert len(runs) == (1 if at_once else 2)
    assert not any(token.learned for token in runs)
    assert sum(token.count for token in runs) == shown.image > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_the_picture_is_shown_as_the_model_gets_it(name: str) -> None:
    """A picture that is red at the left and blue at the right is still so, at the model's size."""
    image = Image.new("RGB", (64, 32), (200, 30, 30))
    image.paste((30, 30, 200), (32, 0, 64, 32))
    (seen,) = preview(encoder_for(name), ask(PictureInMemory(image), "What?", "two")).pictures
    assert seen.image is not None, seen.note
    assert "pixels" in seen.note
    pixels = np.asarray(seen.image.crop((0, 0, *first_piece(seen.note))), dtype=float)
    whole = np.asarray(seen.image, dtype=float)
    left = pixels[4:12, 2:6].reshape(-1, 3).mean(axis=0)
    assert left == pytest.approx((200, 30, 30), abs=12)
    assert any(np.abs(whole - (30, 30, 200)).max(axis=2).ravel() < 12)


def first_piece(note: str) -> tuple[int, int]:
    width, height = note.removesuffix(" pixels").split(" of ")[-1].split(" × ")
    return int(width), int(height)


def test_qwens_patches_are_the_resized_picture() -> None:
    """Held to the picture that the same processor would resize: nothing is out of its place."""
    image = Image.effect_noise((64, 32), 90).convert("RGB").resize((640, 320)).resize((64, 32))
    (seen,) = preview(encoder_for("qwen2_5_vl"), ask(PictureInMemory(image), "What?", "it")).pictures
    expected = image.resize(seen.image.size, Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(seen.image, dtype=float) - np.asarray(expected, dtype=float)).mean() < 3


def test_another_layout_comes_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    row = FORMS["single"][0]
    from core.data.previewing.pictures_seen import seen

    made = encoder_for("qwen2_vl")._encode(row, keep=True).prompt
    monkeypatch.setattr(encoder_for("qwen2_vl").processor.image_processor, "merge_size", None, raising=False)
    (found,) = seen(encoder_for("qwen2_vl").processor, row, made)
    assert found.image is None
    assert "layout of its own" in found.note


def test_a_long_row_is_shown_and_said_to_be_too_long() -> None:
    encoder = encoder_of(DEMO_MODEL, max_tokens=20)
    assert encoder.limit == 20
    shown = preview(encoder, FORMS["single"][0])
    assert shown.is_too_long
    with pytest.raises(DataError, match="the limit is 20"):
        encoder.training(FORMS["single"][:1])
    assert encoder_of(DEMO_MODEL, max_tokens=10**6).limit == 512, "the model's own"


def test_pictures_are_changed_as_training_changes_them() -> None:
    row = ask(PictureInMemory(Image.effect_noise((48, 48), 90).convert("RGB")), "What?", "noise")
    encoder = encoder_of(DEMO_MODEL)
    plain, one, other = (
        np.asarray(preview(encoder, row, augment, key).pictures[0].image, dtype=float)
        for augment, key in (((), "a"), (("rotation",), "a"), (("rotation",), "b"))
    )
    assert np.abs(plain - one).mean() > 1
    assert np.abs(one - other).mean() > 1


def test_pieces_of_a_letter_are_one_token() -> None:
    row = ask((), "Say 猫 in Greek, and show a cat 🐈.", "γάτα 🐈")
    shown = preview(encoder_for("gemma3"), row)
    text = "".join(token.text for token in shown.tokens)
    assert "猫" in text
    assert "γάτα 🐈" in text
    assert "\ufffd" not in text


@pytest.mark.parametrize("name", ["gemma3", "qwen2_5_vl", "llava"])
def test_the_ends_of_turns_are_known_without_the_weights(name: str, tmp_path) -> None:
    made = family_of(name)
    made.model.save_pretrained(tmp_path)
    made.processor.save_pretrained(tmp_path)
    resolved = resolve(Source("folder", str(tmp_path)))
    for weights in tmp_path.glob("*.safetensors"):
        weights.unlink()
    expected = stop_ids(made.model, made.processor)
    assert stop_ids_in(resolved.folder, read_config(resolved), made.processor) == expected


def test_what_a_model_cannot_learn_is_refused_in_the_preview_too() -> None:
    with pytest.raises(DataError, match="no picture"):
        preview(encoder_for("paligemma"), Row(FORMS["text_only"][0].turns))
