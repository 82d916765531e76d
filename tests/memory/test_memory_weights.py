"""Bytes of packed weights and of optimizer states, beside those that bitsandbytes and torch really make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.memory.optimizers import MIN_8BIT, Trained, state_bytes, step_bytes
from core.memory.weights import packed_bytes, quantizable, stored_bytes
from tests.growth import times_as_long
from tests.memory.small_models import small_model


def bytes_of(module: torch.nn.Module) -> int:
    """The packed weight of a bitsandbytes Linear with everything that belongs to it."""
    weight = module.weight
    if hasattr(weight, "SCB"):
        return weight.nbytes + weight.SCB.nbytes
    state = weight.quant_state
    parts = (weight, state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code)
    return sum(part.nbytes for part in parts)


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
@pytest.mark.parametrize("shape", [(192, 512), (512, 192), (96, 320), (2000, 192)], ids=str)
def test_a_packed_weight_takes_what_bitsandbytes_takes(kind: str, shape: tuple[int, int]) -> None:
    import bitsandbytes as bnb

    out, width = shape
    linear = torch.nn.Linear(width, out, bias=False, dtype=torch.bfloat16)
    if kind == "4bit":
        packed = bnb.nn.Linear4bit(width, out, False, torch.bfloat16, compress_statistics=True, quant_type="nf4")
    else:
        packed = bnb.nn.Linear8bitLt(width, out, False, has_fp16_weights=False)
    packed.load_state_dict(linear.state_dict())
    assert bytes_of(packed.to("cpu")) == packed_bytes(torch.Size(shape), kind)


@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_a_packed_model_takes_what_it_takes_once_loaded(kind: str, tmp_path: Path) -> None:
    from core.models.loading import load_model
    from core.spec import Source

    model = small_model("qwen2_5_vl").to(torch.bfloat16)
    expected = stored_bytes(model, torch.bfloat16, kind, ())
    names = set(quantizable(model, ()))
    model.save_pretrained(tmp_path)
    loaded = load_model(Source("folder", str(tmp_path)), "cpu", torch.bfloat16, quantization=kind)
    packed = {name: module for name, module in loaded.named_modules() if "bitsandbytes" in type(module).__module__}
    assert names == {name for name, module in packed.items() if isinstance(module, torch.nn.Linear)}
    weights = {id(module.weight) for module in packed.values()}
    rest = sum(tensor.nbytes for tensor in (*loaded.parameters(), *loaded.buffers()) if id(tensor) not in weights)
    assert rest + sum(map(bytes_of, packed.values())) == pytest.approx(expected, rel=0.001)


@pytest.mark.parametrize(
    "left", [("model.vision_tower.encoder.layers.1",), ("up_proj", "model.language_model"), ()], ids=str
)
def test_the_modules_left_whole_are_those_that_transformers_leaves(left: tuple[str, ...]) -> None:
    from transformers.quantizers.base import get_keys_to_not_convert
    from transformers.quantizers.quantizers_utils import should_convert_module

    model = small_model("llava")
    patterns = ["lm_head", *get_keys_to_not_convert(model), *left]
    linears = [name for name, module in model.named_modules() if type(module) is torch.nn.Linear]
    assert set(quantizable(model, left)) == {name for name in linears if should_convert_module(name, patterns)}


def test_ten_times_the_tied_weights_take_about_ten_times_as_long() -> None:
    """A regex for each pair of names would take a hundred times as long, over ten seconds."""

    def tied(count: int) -> Callable[[], object]:
        model = small_model("llava")
        model.all_tied_weights_keys = {f"model.twin.{n}.weight": f"model.other.{n}.weight" for n in range(count)}
        return lambda: quantizable(model, ())

    assert tied(1000)()
    assert times_as_long(tied(1000), tied(100)) < 30


def test_the_vision_side_can_be_left_whole() -> None:
    model = small_model("llava")
    whole = ("model.vision_tower", "model.multi_modal_projector")
    names = quantizable(model, whole)
    assert names
    assert not any(name.startswith(whole) for name in names)
    assert "lm_head" not in names


def test_adamw_keeps_and_needs_what_torch_does() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(numbers)) for numbers in (100, 5000)]
    optimizer = torch.optim.AdamW(parameters)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    kept = sum(value.nbytes for state in optimizer.state.values() for value in state.values() if value.numel() > 1)
    assert kept == state_bytes([Trained(100, 4), Trained(5000, 4)], "adamw")


def test_eight_bits_keep_small_parameters_as_they_are() -> None:
    small, large = Trained(MIN_8BIT - 1, 4), Trained(MIN_8BIT, 4)
    assert state_bytes([small], "adamw_8bit") == state_bytes([small], "adamw")
    assert state_bytes([large], "adamw_8bit") == 2 * (MIN_8BIT + 4 * MIN_8BIT // 256)
    assert state_bytes([large], "paged_adamw_8bit") == state_bytes([large], "sgd") == 0
    assert step_bytes([small, large], "adamw", "cuda") == small.nbytes + large.nbytes
