"""Tiny models of several families whose adapter changes something, and what one batch gives: loss and gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from PIL import Image

from core.data.batches.collate import Batch, Encoder
from core.data.batches.conversations import stop_ids
from core.data.rows import PictureInMemory, Row, ask
from core.evaluation.scores import token_losses
from tests.data.tiny_families import Family, demo, gemma3, llava, qwen2_5_vl, qwen3_vl


def seeing_gemma3() -> Family:
    """Gemma 3, whose projector starts with zeros and would see nothing."""
    family = gemma3()
    torch.manual_seed(2)
    torch.nn.init.normal_(family.model.model.multi_modal_projector.mm_input_projection_weight, std=0.3)
    return family


FAMILIES: Mapping[str, Callable[[], Family]] = {
    "demo": demo,
    "gemma3": seeing_gemma3,
    "llava": llava,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
}
LANGUAGE = r".*(language_model|text_model).*(q_proj|v_proj)"
EVERYTHING = r".*(q_proj|v_proj|qkv)"
AGREE = {"rtol": 1e-5, "atol": 1e-5}


def adapted(model: Any, targets: str = LANGUAGE) -> Any:
    """With LoRA whose B is not zero: else A would have no gradient, and a fault in it would not be seen."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    wrapped = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=targets))
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return wrapped.train()


def encoder_of(family: Family) -> Encoder:
    return Encoder(family.processor, stop_ids(family.model, family.processor))


def picture(number: int, size: tuple[int, int] = (40, 40)) -> PictureInMemory:
    """Coloured stripes, so that no two parts of it look alike."""
    image = Image.new("RGB", size, (40 * number % 255, 90, 200 - 30 * number % 200))
    for column in range(0, size[0], 5 + number):
        image.paste((250 - 20 * number, 30 * number % 255, column * 5 % 255), (column, 0, column + 2, size[1]))
    return PictureInMemory(image, f"{number}.png")


def rows(*sizes: tuple[int, int]) -> list[Row]:
    """One row a size, with answers of different lengths."""
    sizes = sizes or ((40, 40), (40, 40), (40, 40))
    return [
        ask(picture(number, size), "What is it?" + " Say it." * number, "stripes " * (number + 1))
        for number, size in enumerate(sizes)
    ]


def loss_and_gradients(model: Any, batch: Batch, **options: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The mean loss of a batch and the gradient of everything that is trained."""
    model.zero_grad(set_to_none=True)
    losses, targets = token_losses(model, dict(batch), **options)
    loss = losses.sum() / (targets != -100).sum()
    loss.backward()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    return loss.detach(), {
        name: parameter.grad.clone() for name, parameter in trained.items() if parameter.grad is not None
    }


def assert_alike(
    one: tuple[torch.Tensor, dict[str, torch.Tensor]], other: tuple[torch.Tensor, dict[str, torch.Tensor]]
) -> None:
    """Loss and every gradient agree, and the gradients are no zeros."""
    torch.testing.assert_close(one[0], other[0], **AGREE)
    assert one[1]
    assert one[1].keys() == other[1].keys()
    for name, gradient in one[1].items():
        torch.testing.assert_close(gradient, other[1][name], **AGREE, msg=lambda text, name=name: f"{name}: {text}")
    assert all(gradient.abs().max() > 0 for gradient in one[1].values())
