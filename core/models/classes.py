"""The class of transformers that a config means: one answer for the inspection and for loading the weights.

What it does not do: build a model, or run code that a repository brings along.
"""

from __future__ import annotations

import inspect
from typing import Any

from core.errors import InspectionError, SourceRefused
from core.models.repository import asked_for, clip
from core.models.source import Resolved

MAPPINGS = (
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES",
    "MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING_NAMES",
    "MODEL_FOR_VISUAL_QUESTION_ANSWERING_MAPPING_NAMES",
)
"""Of `transformers.models.auto.modeling_auto`; the first that names a type decides its usual class."""
WITHOUT_WORDS = {
    "BlipForQuestionAnswering": "gives a loss and not what each word would be, so that nothing can be learned from it",
    "DiffusionGemmaForBlockDiffusion": "learns a block of its answer at once, and not each word from those before",
    "GitForCausalLM": "puts places for its picture before its words, so that the loss would look at the wrong ones",
}
"""Classes that generate and still cannot be taught as all others are, and why."""
_REMEDY_CLASS = "Take a version of the model made for transformers (often “-hf”), or a newer transformers"


def named_class(resolved: Resolved, config: Any) -> Any:
    """The class that `architectures` names, else the one for pictures and text of this type of model.

    Raises:
        InspectionError: transformers has neither.
    """
    import transformers

    names = resolved.config.get("architectures")
    name = names[0] if isinstance(names, list) and names else usual_class(config.model_type)
    found = getattr(transformers, name, None) if isinstance(name, str) and name.isidentifier() else None
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
        return found
    missing = f"class {clip(str(name))}" if name else f"class for pictures and text of the type “{config.model_type}”"
    raise InspectionError(
        asked_for(str(resolved.source)), f"transformers {transformers.__version__} has no {missing}", _REMEDY_CLASS
    )


def usual_class(model_type: str) -> str | None:
    """The name of the class for pictures and text of a type of model, by the first mapping that has one."""
    from transformers.models.auto import modeling_auto

    found = (getattr(modeling_auto, mapping).get(model_type) for mapping in MAPPINGS)
    return next((name for name in found if isinstance(name, str)), None)


def class_name(resolved: Resolved) -> str | None:
    """The name of the class that `named_class` gives, as far as the config says it; transformers is asked where not."""
    names = resolved.config.get("architectures")
    name = names[0] if isinstance(names, list) and names else usual_class(str(resolved.config.get("model_type")))
    return name if isinstance(name, str) and name.isidentifier() else None


def read_config(resolved: Resolved) -> Any:
    """The config as transformers understands it.

    Raises:
        InspectionError: transformers does not know this type of model.
    """
    import transformers

    kind = resolved.config.get("model_type")
    if not isinstance(kind, str) or kind not in transformers.CONFIG_MAPPING:
        reason = f"transformers {transformers.__version__} knows no type of model “{clip(str(kind))}”"
        if kind is None:
            reason = "its config.json names no model_type"
        raise InspectionError(asked_for(str(resolved.source)), reason, _REMEDY_CLASS)
    return transformers.AutoConfig.from_pretrained(str(resolved.folder), trust_remote_code=False, local_files_only=True)


def check_writes(found: Any, asked: str) -> None:
    """Looks whether a class of transformers answers in words, as all that is trained here must.

    Args:
        found: the class. CLIP's and FLAVA's, say, give a score for a picture and a text.
        asked: what a refusal says first.

    Raises:
        SourceRefused: it cannot generate.
    """
    if not found.can_generate():
        raise SourceRefused(
            asked,
            f"its class {found.__name__} writes no text, so it cannot answer in words",
            "Take a model that answers, such as the chat or instruct version of this one",
        )


def has_step(found: Any) -> bool:
    """Whether a class has a forward pass; that of a model whose parts run one by one (Qwen2.5-Omni) is torch's own."""
    return bool(found.forward.__name__ != "_forward_unimplemented")


def needs_more(found: Any) -> str | None:
    """What a class wants beside pictures and text, which rows here do not hold, as a reason; None where it is nothing.

    Its own words tell: the senses that it lists, and the arguments of its forward pass (UDOP's boxes).
    """
    senses = found.input_modalities
    if "video" in senses and "image" not in senses:
        return "sees videos alone, and no single picture"
    if "bbox" in inspect.signature(found.forward).parameters:
        return "must be told where on the page each word stands, and rows here hold no such boxes"
    return None


def check_teachable(found: Any, asked: str) -> None:
    """Looks whether a class of transformers can be trained here, as `check_writes` whether it can be loaded.

    Raises:
        SourceRefused: it cannot generate, or its answers cannot be taught.
    """
    check_writes(found, asked)
    if not has_step(found):
        raise SourceRefused(
            asked,
            f"its class {found.__name__} only answers, part after part, and has no step of its own to learn from",
            "Take the part of it that reads and writes, often called its thinker",
        )
    if reason := needs_more(found):
        raise SourceRefused(asked, f"its class {found.__name__} {reason}", "Take a chat model that reads pictures")
    if found.__name__ in WITHOUT_WORDS:
        raise SourceRefused(
            asked, f"its class {found.__name__} {WITHOUT_WORDS[found.__name__]}", "Take a chat model, or Florence-2"
        )
