"""A tiny real model with a real adapter, made here: random weights, so that the adapter changes what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.adapters.bundle import write_card
from core.spec import Plan, Score, Selection, Settings, Source, Spec, Status, write

SERIES = [
    {"kind": "note", "text": "Computing on CPU."},
    {"kind": "eval", "step": 0, "loss": 3.2, "exact_match": 0.05, "rows": 40},
    *({"kind": "train", "step": step, "loss": 3 / step} for step in range(1, 41)),
    {"kind": "train", "step": 41, "loss": None},
    {"kind": "eval", "step": 40, "loss": 0.4, "exact_match": 0.875, "rows": 40},
]
STATUS = Status(
    state="finished",
    step=40,
    total_steps=40,
    before=Score(0.05, 2, 40, 3.2),
    after=Score(0.875, 35, 40, 0.4),
    majority=0.15,
    trainable=1280,
    device="CPU with 32-bit floats",
)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny vision-language model."""
    from core.demo.architecture import make_model, make_processor, train_tokenizer

    folder = tmp_path_factory.mktemp("private") / "tiny-model"
    tokenizer = train_tokenizer(seed=0, scenes=50)
    make_model(tokenizer, seed=0).save_pretrained(folder)
    make_processor(tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def job_dir(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished job on that model."""
    from peft import LoraConfig, get_peft_model

    from core.models.loading import load_model

    folder = tmp_path_factory.mktemp("job")
    source = Source("folder", str(base))
    model = load_model(source, "cpu", torch.float32)
    targets = [name for name, _ in model.named_modules() if name.endswith("v_proj") and ".text_model." in name]
    torch.manual_seed(1)
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=16, target_modules=targets, init_lora_weights=False))
    trainable = tuned.get_nb_trainable_parameters()[0]
    tuned.save_pretrained(folder / "adapter")
    spec = Spec(
        name="Digits <b>|</b> 1",
        model=source,
        data=Source("demo", "digits"),
        selection=Selection(cells=("language.attention",)),
        plan=Plan(target_modules=tuple(targets), rank=4),
        settings=Settings(max_new_tokens=8),
        trainable=trainable,
    )
    write(spec, folder / "spec.json")
    write_card(folder, spec, STATUS, SERIES, {"vision": 0, "projector": 0, "language": trainable})
    return folder
