"""Weights packed by bitsandbytes, really packed on the CPU: those of the chosen part, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.data.batches.collate import Encoder
from core.data.batches.conversations import stop_ids
from core.data.rows import PictureInMemory, ask
from core.evaluation.scores import token_losses
from core.lora.plan import make_plan
from core.lora.selection import available_cells
from core.lora.wrap import wrap
from core.memory.estimate import estimate
from core.memory.workload import Workload
from core.models.inspection import inspect_source
from core.models.loading import load_model, load_processor
from core.models.packing import SEEING, left_whole
from core.models.relabel import relabelled
from core.models.source import DEMO_MODEL, resolve
from core.spec import Inspection, Recipe, Selection, Source
from tests.memory.measuring import plan_of
from tests.memory.small_models import small_model
from tests.models.families import CONFIGS, write_config
from tests.training.short_jobs import COLOURS

BITS = ("4bit", "8bit")
PARTS = ("all", "language")
SAVED = ("llava", "qwen2_5_vl", "smolvlm", "mllama")


def inspected(family: str, folder: Path) -> Inspection:
    return inspect_source(Source("folder", str(write_config(folder / family, CONFIGS[family]))))


def packed_in(model: Any) -> set[str]:
    """Names of the modules that bitsandbytes has packed."""
    names = {"Linear4bit", "Linear8bitLt"}
    return {name for name, module in model.named_modules() if type(module).__name__ in names}


def saved(family: str, folder: Path) -> Source:
    """A small model of a family with random weights, on disk."""
    small_model(family).save_pretrained(folder)
    return Source("folder", str(folder))


@pytest.mark.parametrize("family", CONFIGS)
def test_what_is_left_whole_is_said_by_few_names_that_take_in_nothing_of_the_part(family: str, tmp_path: Path) -> None:
    inspection = inspected(family, tmp_path)
    names = left_whole(inspection, "language")
    assert left_whole(inspection, "all") == ()
    assert 1 <= len(names) <= 4
    for module in inspection.modules:
        left = any(f"{module.name}.".startswith(f"{name}.") or module.name.endswith(name) for name in names)
        assert left is (module.component in SEEING), module.name


def test_a_part_goes_by_the_labels_as_the_person_has_put_them_right(tmp_path: Path) -> None:
    inspection = inspected("llava", tmp_path)
    other = relabelled(inspection, {"model.multi_modal_projector": "language"})
    assert left_whole(inspection, "language") == ("model.vision_tower", "model.multi_modal_projector")
    assert left_whole(other, "language") == ("model.vision_tower",)


def test_a_name_that_ends_like_one_of_the_part_is_written_out(tmp_path: Path) -> None:
    """transformers leaves whole whatever ends like a name that it is told."""
    inspection = inspected("llava", tmp_path)
    short = {"model.vision_tower": "tower", "model.language_model": "model.language.tower"}

    def renamed(name: str) -> str:
        return next((new + name.removeprefix(old) for old, new in short.items() if name.startswith(old)), name)

    last = replace(inspection.modules[-1], name="model.language.tower", component="language")
    modules = tuple(replace(module, name=renamed(module.name)) for module in inspection.modules)
    names = left_whole(replace(inspection, modules=(*modules, last)), "language")
    assert "tower" not in names
    assert any(name.startswith("tower.") for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("family", SAVED)
def test_the_packed_modules_are_those_of_the_part_and_take_what_the_estimate_says(
    family: str, part: str, bits: str, tmp_path: Path
) -> None:
    source = saved(family, tmp_path)
    inspection, resolved = inspect_source(source), resolve(source)
    whole = left_whole(inspection, part)
    model = load_model(source, "cpu", torch.float32, quantization=bits, whole=whole)
    components = {module.name: module.component for module in inspection.modules}
    linear = {module.name for module in inspection.modules if module.kind == "Linear" and module.role != "head"}
    expected = {name for name in linear if part == "all" or components[name] not in SEEING}
    assert packed_in(model) == expected
    assert {components[name] for name in packed_in(model)} >= {"language"}
    work = Workload(batch=1, image_size=(112, 112), text_tokens=16, supervised_tokens=4, quantization=bits)
    memory = estimate(resolved, plan_of(resolved, "language"), work.but(quantize_vision=part == "all"))
    assert memory.term("weights") == pytest.approx(_bytes_of(model), rel=0.001)


def _bytes_of(model: Any) -> int:
    """Bytes of all weights as they lie in memory, with the scales that belong to packed ones."""
    total = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    for module in model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None:
            inner = state.state2
            extra = (state.absmax, state.code, state.offset, inner.absmax, inner.code)
            total += sum(tensor.nbytes for tensor in extra)
        scales = getattr(getattr(module, "weight", None), "SCB", None)
        total += 0 if scales is None else scales.nbytes
    return total


@pytest.fixture(scope="module")
def batch() -> tuple[dict[str, Any], Encoder]:
    """Questions about coloured pictures with answers that the demo model does not expect."""
    from PIL import Image

    model, processor = load_model(DEMO_MODEL, "cpu", torch.float32), load_processor(DEMO_MODEL)
    encoder = Encoder(processor, stop_ids(model, processor))
    rows = [
        ask(PictureInMemory(Image.new("RGB", (48, 48), rgb)), "What colour is it?", word)
        for word, rgb in COLOURS.items()
    ]
    return encoder.training(rows), encoder


def loss_of(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    losses, targets = token_losses(model, batch)
    return losses.sum() / (targets != -100).sum()


@pytest.mark.slow
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("part", PARTS)
def test_a_packed_model_begins_near_the_whole_one_and_learns_on_every_component(
    part: str, bits: str, batch: tuple[dict[str, Any], Encoder], tmp_path: Path
) -> None:
    from peft import PeftModel

    inputs, _ = batch
    inspection = inspect_source(DEMO_MODEL)
    cells = tuple(cell for cell in available_cells(inspection) if not cell.endswith((".embedding", ".head", ".norm")))
    plan = make_plan(inspection, Selection(cells=cells), Recipe(rank=4))
    whole = left_whole(inspection, part)

    def loaded(quantization: str) -> Any:
        return load_model(DEMO_MODEL, "cpu", torch.float32, quantization=quantization, whole=whole)

    with torch.no_grad():
        plain = float(loss_of(loaded("none"), inputs))
    model = wrap(loaded(bits), plan).train()
    assert float(loss_of(model, inputs).detach()) == pytest.approx(plain, rel=0.2 if bits == "4bit" else 0.05)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {parameter.dtype for parameter in trained.values()} == {torch.float32}
    optimizer = torch.optim.AdamW(trained.values(), lr=3e-3)
    losses = []
    for _ in range(6):
        loss = loss_of(model, inputs)
        loss.backward()
        losses.append(float(loss.detach()))
        assert all(parameter.grad is not None for parameter in trained.values())
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.8 * losses[0]
    _moved(trained, {module.name: module.component for module in inspection.modules})
    model.eval().save_pretrained(tmp_path)
    with torch.no_grad():
        here = float(loss_of(model, inputs))
        again = float(loss_of(PeftModel.from_pretrained(loaded(bits), tmp_path).eval(), inputs))
        unpacked = float(loss_of(PeftModel.from_pretrained(loaded("none"), tmp_path).eval(), inputs))
    assert again == pytest.approx(here, rel=1e-5)
    assert unpacked == pytest.approx(here, rel=0.35, abs=0.05)
    assert unpacked < plain


def _moved(trained: dict[str, torch.Tensor], components: dict[str, str]) -> None:
    """Every B, which began at zero, has moved, in each component."""
    later = {name: parameter for name, parameter in trained.items() if "lora_B" in name}
    assert all(parameter.abs().max() > 0 for parameter in later.values())
    names = {name.removeprefix("base_model.model.").split(".lora_B")[0] for name in later}
    assert {components[name] for name in names} == {"vision", "projector", "language"}
