"""A row as a conversation: what the model reads (picture, question) and what it is to write (answer, end of turn).

The prompt is made the way anyone asks the model, through its chat template, so what is trained is what is asked later.
What it does not do: make batches, cut anything to a length, or invent a template for a model that has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.data.rows import Picture, Row, Turn
from core.errors import DataError


def messages(turns: Sequence[Turn], with_pictures: bool) -> list[dict[str, Any]]:
    """The turns as a chat template takes them; `with_pictures` puts the decoded pictures in, else only their places."""

    def part(part: str | Picture) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        return {"type": "image", "image": part.open()} if with_pictures else {"type": "image"}

    return [{"role": turn.speaker, "content": [part(each) for each in turn.parts]} for turn in turns]


def encode_prompts(processor: Any, rows: Sequence[Row]) -> dict[str, Any]:
    """Tokens [B, T] padded on the left, and the pictures as the model takes them, ready for `generate`."""
    check_processor(processor)
    batch = processor.apply_chat_template(
        [messages(row.prompt, with_pictures=True) for row in rows],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left"},
    )
    return {key: value for key, value in batch.items() if key != "labels"}  # PaliGemma's brings some; ours are others


def completion_ids(processor: Any, row: Row, stop_ids: frozenset[int]) -> list[int]:
    """The answer's tokens and the token that ends the turn, which is always there and always last.

    A template that does not end the assistant's turn with a token at which `generate` stops gets the tokenizer's
    end token; without it a tuned model would answer and go on talking.
    """
    tokenizer = processor.tokenizer
    ids: list[int] = tokenizer(_completion_text(processor, row), add_special_tokens=False)["input_ids"]
    end = next((index for index, token in enumerate(ids) if token in stop_ids), None)
    return ids[: end + 1] if end is not None else [*ids, tokenizer.eos_token_id]


def stop_ids(model: Any, processor: Any) -> frozenset[int]:
    """Every token at which `generate` stops: the model's own and the tokenizer's end token."""
    own = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = set(own) if isinstance(own, (list, tuple)) else {own}
    ids.add(processor.tokenizer.eos_token_id)
    return frozenset(token for token in ids if token is not None)


def check_processor(processor: Any) -> None:
    """Raises DataError when the model cannot hold a conversation with a picture."""
    asked = "The model was asked to hold a conversation"
    if getattr(processor, "image_processor", None) is None:
        raise DataError(asked, "it comes without settings for pictures", "Take a model with a processor")
    if not getattr(processor, "chat_template", None):
        raise DataError(asked, "it comes without a chat template", "Take its chat or instruct version")
    if processor.tokenizer.eos_token_id is None:
        raise DataError(asked, "its tokenizer has no token that ends an answer", "Take its chat or instruct version")


def check_text(processor: Any, row: Row) -> None:
    """Raises DataError when the text of a row holds the sign that stands for a picture."""
    sign = getattr(processor, "image_token", None)
    if isinstance(sign, str) and (sign in row.question or sign in row.answer):
        asked = f"The row of “{row.picture_name}” was read"
        raise DataError(asked, f"its text holds “{sign}”, which stands for a picture in this model", "Take it out")


def _completion_text(processor: Any, row: Row) -> str:
    """What stands after the prompt when the template writes the whole conversation."""
    asked = messages(row.prompt, with_pictures=False)
    whole_turns = messages(row.turns, with_pictures=False)
    prompt: str = processor.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    whole: str = processor.apply_chat_template(whole_turns, tokenize=False)
    if whole.startswith(prompt):
        return whole[len(prompt) :]
    # The template opens an answer in another way than it asks for one (a "thinking" block, say). The model will be
    # asked with the prompt, so the answer follows that directly, ended the way the template ends it.
    head, found, tail = whole.rpartition(row.answer)
    return row.answer + tail if found and head else row.answer
