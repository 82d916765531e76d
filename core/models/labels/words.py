"""Words in the names of modules, classes and configs, and the component that they speak of.

What it does not do: look at a model. Words are the second opinion; what a model's configs say comes first
(`evidence.py`).
"""

from __future__ import annotations

import re

from core.spec import Component

Table = tuple[tuple[Component, frozenset[str]], ...]

KEYS: Table = (
    ("other", frozenset({"talker", "token2wav", "code2wav", "vocoder", "multimodal", "fusion", "dit", "action"})),
    ("projector", frozenset({"qformer", "projector", "perceiver", "connector", "resampler", "merger", "adapter"})),
    ("vision", frozenset({"vision", "visual", "image", "video", "vit", "sam", "vq", "vqgan"})),
    ("audio", frozenset({"audio", "speech", "sound"})),
    ("language", frozenset({"text", "language", "llm", "decoder"})),
)
"""Words in the key of a part's config, such as `vision` in `vision_config`; the first that matches decides. Other is
what speaks or acts out the answer, or joins pictures and text in an encoder of its own."""
_WORDS: Table = (
    (
        "vision",
        frozenset({"vision", "visual", "image", "img", "video", "frame", "multiframe", "vit", "vqmodel", "vqgan"})
        | {"patch", "patches", "pixel", "pixels"},
    ),
    ("audio", frozenset({"audio", "speech", "sound", "mel"})),
    ("language", frozenset({"text", "language", "llm", "lm"})),
    ("other", frozenset({"talker", "token2wav", "code2wav", "vocoder", "action"})),
)
"""Words in a name or class; one that speaks of two components speaks of none."""
WRITER = "decoder"
"""Speaks of language only in models that write text: others decode boxes or masks."""
_PROJECTOR = re.compile(
    r"projector|connector|merger|resampler|perceiver|q_?former|abstractor|aligner|modality_proj|mm_proj|adapter|"
    r"adaptor|pixel_?shuffle|multi_?modal_?(embed|proj|adapt|align|connect)",
    re.IGNORECASE,
)
_BESIDE = re.compile(r"(^|_)(projection|proj)$", re.IGNORECASE)
"""Only beside the towers: inside them, attention has projections of its own."""
_AROUND = re.compile(r"(^|_)(projection|proj)($|_)", re.IGNORECASE)
"""Only right in what holds a tower and its projector together."""
_CROSS = re.compile(r"cross_?att|(^|_)encoder_attn$|enc_?dec_?att", re.IGNORECASE)


def tokens(text: str) -> set[str]:
    """The words of a name, in small letters.

    >>> sorted(tokens("vision_tower")), sorted(tokens("SAMVisionNeck"))
    (['tower', 'vision'], ['neck', 'sam', 'vision'])
    """
    found = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text)}
    return found | {word.lower() for word in re.findall(r"[A-Za-z]+2[A-Za-z]+", text)}


def key_component(key: str) -> Component | None:
    """The component that the key of a config speaks of."""
    words = tokens(key)
    return next((component for component, meant in KEYS if meant & words), None)


def spoken_of(text: str, writes: bool = False) -> Component | None:
    """The one component that the words of a name speak of; none where they speak of two.

    Args:
        text: name of a module or class.
        writes: whether the model writes text.

    >>> spoken_of("image_encoder"), spoken_of("image_text_fusion"), spoken_of("decoder", writes=True)
    ('vision', None, 'language')
    """
    words = tokens(text)
    found = {component for component, meant in _WORDS if meant & words}
    if writes and WRITER in words:
        found.add("language")
    return found.pop() if len(found) == 1 else None


def is_projector(text: str) -> bool:
    """Whether a name or class is that of a projector, wherever it stands outside of layers."""
    return bool(_PROJECTOR.search(text))


def is_projection(text: str, around: bool = False) -> bool:
    """Whether a name is that of a projection, which beside the towers is a projector.

    Args:
        text: name of a module.
        around: it stands right in a part that holds a tower too.
    """
    return bool((_AROUND if around else _BESIDE).search(text))


def is_cross_attention(text: str) -> bool:
    """Whether a name or class is that of attention from the text to other input."""
    return bool(_CROSS.search(text))


def leaf(name: str) -> str:
    """The last part of a full name."""
    return name.rpartition(".")[2]


def a(kind: str) -> str:
    """A class with its article."""
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"
