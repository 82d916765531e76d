"""What a model's config says about the pictures that it takes: sizes, patches, special tokens.

What it does not do: know one architecture from another. A field is looked for by its usual names, in the config of the
vision side first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.models.labels.words import key_component


class PictureFacts:
    """The fields of one config that have to do with pictures.

    Args:
        config: of the whole model.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self._parts = list(_vision_first(config))

    def find(self, *names: str) -> Any:
        """The first field of one of these names that is set; None where none is.

        What a tower of timm is made with (`model_args`) counts like fields of its config.
        """
        for part in self._parts:
            for name in names:
                value = _field(part, name)
                if value is None:
                    value = (getattr(part, "model_args", None) or {}).get(name)
                if value is not None:
                    return value
        return None

    def number(self, *names: str, otherwise: int = 1) -> int:
        """The same as a whole number; of a pair the first."""
        value = self.find(*names)
        if isinstance(value, (list, tuple)) and value:
            value = value[-1]
        return value if isinstance(value, int) and value > 0 else otherwise

    @property
    def patch(self) -> int:
        """Pixels of a patch's side."""
        return self.number("patch_size", "spatial_patch_size", otherwise=16)

    @property
    def channels(self) -> int:
        """Colours of a pixel."""
        return self.number("in_channels", "num_channels", "in_chans", otherwise=3)

    @property
    def merge(self) -> int:
        """Patches along the side of what becomes one token."""
        return self.number("spatial_merge_size", "merge_size", "spatial_merge_unit", "merge_kernel_size")

    @property
    def temporal(self) -> int:
        """Frames of a patch."""
        return self.number("temporal_patch_size", "patch_temporal")

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width that every picture is made to have; None where the model takes any."""
        value = self.find("image_size", "img_size")
        if isinstance(value, dict):
            value = [value.get("height"), value.get("width")]
        if isinstance(value, int) and value > 0:
            return value, value
        if isinstance(value, (list, tuple)) and len(value) >= 2 and all(isinstance(side, int) for side in value[-2:]):
            return value[-2], value[-1]
        return None

    def special_tokens(self) -> set[int]:
        """Every id that a config gives a meaning of its own."""
        found: set[int] = set()
        for part in self._parts:
            for name, value in vars(part).items():
                if name.endswith(("_token_id", "_token_index", "_token_ids")):
                    found.update(item for item in (value if isinstance(value, list) else [value]) if type(item) is int)
        return found

    @property
    def image_token(self) -> int | None:
        """The token that stands for a piece of a picture."""
        value = self.find("image_token_id", "image_token_index", "media_placeholder_token_id", "image_patch_id")
        return value if isinstance(value, int) else None

    @property
    def vocabulary(self) -> int:
        """Tokens that the language side knows."""
        text = self.config.get_text_config()
        return int(getattr(text, "vocab_size", None) or self.find("vocab_size") or 256)


def _vision_first(config: Any) -> Iterator[Any]:
    """The configs of the vision side, the whole, and the rest, each in turn with its own vision side first."""
    names = dict.fromkeys((*getattr(config, "sub_configs", ()), *vars(config)))
    parts = {name: part for name in names if hasattr(part := _field(config, name), "to_dict")}
    for name, part in parts.items():
        if key_component(name) == "vision":
            yield from _vision_first(part)
    yield config
    for name, part in parts.items():
        if key_component(name) != "vision":
            yield from _vision_first(part)


def _field(config: Any, name: str) -> Any:
    """A field's value; None where there is none, or where each layer has one of its own."""
    if name in (getattr(config, "per_layer_attributes", None) or ()):
        return None  # transformers raises when such a field is asked of the whole
    return getattr(config, name, None)
