"""A made-up architecture, of no family: what the labels make of it is not tuned on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaModel, PreTrainedConfig, PreTrainedModel

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def eye() -> CLIPVisionModel:
    return CLIPVisionModel(CLIPVisionConfig(**SIZES, image_size=16, patch_size=8))


def mouth(**more: Any) -> LlamaModel:
    sizes = {**SIZES, "hidden_size": 40, "vocab_size": 60, **more}
    return LlamaModel(LlamaConfig(**sizes, pad_token_id=0, bos_token_id=1, eos_token_id=2))


class Attention(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))


class Layer(nn.Module):
    def __init__(self, width: int = 40):
        super().__init__()
        self.mixing = Attention(width)
        self.mlp = nn.Sequential(nn.Linear(width, 48), nn.GELU(), nn.Linear(48, width))


class Config(PreTrainedConfig):
    """Holds the configs of the parts under whatever keys it is given."""

    model_type = "made_up"


class Model(PreTrainedModel):
    """Holds whatever parts it is given."""

    config_class = Config

    def __init__(self, configs: dict[str, Any], parts: dict[str, nn.Module], table: nn.Embedding | None = None):
        config = Config()
        for key, value in configs.items():
            setattr(config, key, value)
        super().__init__(config)
        self.table_of_words = [table]
        for name, part in parts.items():
            setattr(self, name, part)

    def get_input_embeddings(self) -> nn.Module:
        return self.table_of_words[0]

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing learns here."""


def model(eye_key: str = "vision_config", eye_name: str = "a", mouth_name: str = "b", **more: nn.Module) -> Model:
    """A tower under one name, a language model under another, and more parts between them."""
    sees, speaks = eye(), mouth()
    configs = {eye_key: sees.config, "text_config": speaks.config}
    parts = {eye_name: sees, mouth_name: speaks, **more}
    torch.manual_seed(0)
    return Model(configs, parts, speaks.embed_tokens)
