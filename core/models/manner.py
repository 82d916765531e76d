"""How models are asked that hold no conversation: Florence-2, BLIP and PaliGemma answer one question about pictures.

Their makers publish no chat template; theirs here writes the question as it is. What else they do otherwise:

    Florence-2   an encoder reads picture and question, a decoder writes the answer behind an opening of its own
    BLIP         question and answer begin with a token that the tokenizer does not put there, as in `generate`

What it does not do: make tokens or batches (`core.data.batches`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.models.classes import WITHOUT_WORDS

_QUESTION = (
    "{% for message in messages if message['role'] != 'system' %}{% for content in message['content'] %}"
    "{% if content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endfor %}"
)
_PICTURES_AND_QUESTION = _QUESTION.replace(
    "{% endif %}", "{% elif content['type'] == 'image' %}<image>{% endif %}"
)  # which PaliGemma's processor moves to the front
TEMPLATES = {
    "BlipProcessor": _QUESTION,
    "Florence2Processor": _QUESTION,
    "PaliGemmaProcessor": _PICTURES_AND_QUESTION,
}
"""By the class of the processor; Florence-2's puts the tokens of the picture in by itself."""
_NAME = "studio_manner"


@dataclass(frozen=True)
class Manner:
    """How one model is asked."""

    single: bool = False
    """Whether it reads one picture a question, no more and no fewer."""
    opening: tuple[int, ...] = ()
    """Tokens before the answer in a decoder of its own; empty where the answer follows the question."""
    first: int | None = None
    """Token that question and answer begin with, in the place of the tokenizer's."""


def settle_manner(processor: Any, config: Any) -> None:
    """Gives the processor a template where its makers give it none, and keeps beside it what the config says.

    Args:
        processor: of any model; those that hold conversations are left as they are.
        config: the model's.
    """
    kind = type(processor).__name__
    classes = getattr(config, "architectures", None) or ()
    if kind not in TEMPLATES or WITHOUT_WORDS.keys() & set(classes):
        return
    if not getattr(processor, "chat_template", None):
        processor.chat_template = TEMPLATES[kind]
    text = config.get_text_config()
    if kind == "Florence2Processor":  # BART's decoder: the end of a text, then its beginning (arXiv:1910.13461)
        start = config.text_config.decoder_start_token_id
        setattr(processor, _NAME, Manner(single=True, opening=(start, config.text_config.bos_token_id)))
    if kind == "BlipProcessor":
        setattr(processor, _NAME, Manner(single=True, first=text.bos_token_id))
        if processor.tokenizer.eos_token_id is None:  # BERT's tokenizer calls it a separator
            processor.tokenizer.eos_token = processor.tokenizer.convert_ids_to_tokens(text.sep_token_id)


def manner_of(processor: Any) -> Manner:
    """What `settle_manner` has kept."""
    found: Manner = getattr(processor, _NAME, Manner())
    return found
