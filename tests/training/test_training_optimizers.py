"""What each parameter learns by, against PEFT's LoRA+, torch's AdamW and schedules computed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.integrations.neftune import activate_neftune

from core.data.batches.collate import Encoder
from core.data.batches.conversations import stop_ids
from core.data.source import load_dataset
from core.errors import PlanError, TrainingError
from core.evaluation.scores import row_losses, token_losses
from core.lora import limits
from core.lora.limits import refuse_impossible, refuse_on_device
from core.lora.plan import make_plan
from core.lora.wrap import parameter_groups, wrap
from core.models.loading import load_model, load_processor
from core.models.source import DEMO_MODEL
from core.spec import Knobs, Plan, Recipe, Selection, Settings, Source
from core.training.noise import check_noise
from core.training.optimizers import faster_ones, make_optimizer
from core.training.trainer import StudioTrainer, make_trainer
from tests.training.levers.same_work import FAMILIES, adapted, encoder_of, rows
from tests.training.short_jobs import demo_inspection, make_spec

RATE, DECAY = 1e-3, 0.01
ATTENTION = Selection(cells=("vision.attention", "language.attention"))
TABLE = "model.vision_model.embeddings.position_embedding"
NORM = "model.text_model.norm"


def planned(selection: Selection = ATTENTION, recipe: Recipe | None = None) -> Plan:
    return make_plan(demo_inspection(), selection, recipe or Recipe(4, 8.0))


def wrapped(plan: Plan) -> Any:
    return wrap(load_model(DEMO_MODEL, "cpu", torch.float32), plan)


def arguments(folder: Path, **values: Any) -> TrainingArguments:
    usual = {
        "output_dir": str(folder),
        "learning_rate": RATE,
        "weight_decay": DECAY,
        "use_cpu": True,
        "report_to": "none",
    }
    return TrainingArguments(**usual | values)


def rates_by_name(model: Any, optimizer: torch.optim.Optimizer, what: str = "lr") -> dict[str, float]:
    """What each trained parameter learns by; none is there twice."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [(names[id(parameter)], group[what]) for group in optimizer.param_groups for parameter in group["params"]]
    assert len(found) == len(dict(found))
    assert dict(found).keys() == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return dict(found)


@pytest.mark.parametrize("recipe", [Recipe(4, 8.0), Recipe(4, 8.0, method="dora"), Recipe(4, 8.0, lora_bias=True)])
def test_lora_plus_lets_those_learn_faster_that_peft_lets(recipe: Recipe, tmp_path: Path):
    model = wrapped(planned(recipe=recipe))
    theirs = create_loraplus_optimizer(model, torch.optim.AdamW, lr=RATE, loraplus_lr_ratio=16.0)
    ours = make_optimizer(model, arguments(tmp_path), set(), lora_plus=16.0)
    assert rates_by_name(model, ours) == rates_by_name(model, theirs)
    assert set(rates_by_name(model, ours).values()) == {RATE, 16 * RATE}


def test_lora_plus_leaves_embeddings_and_what_is_trained_in_full_alone(tmp_path: Path):
    learning = Selection(cells=ATTENTION.cells, include=(TABLE,), full=("projector",))
    plan = planned(learning, Recipe(4, 8.0, full_learning_rate=1e-5))
    model = wrapped(plan)
    made = make_optimizer(model, arguments(tmp_path), set(), parameter_groups(model, plan, RATE), 16.0)
    found = rates_by_name(model, made)
    assert {rate for name, rate in found.items() if "lora_embedding" in name} == {RATE}
    assert {rate for name, rate in found.items() if "modules_to_save" in name} == {1e-5}
    assert {rate for name, rate in found.items() if ".lora_B." in name} == {16 * RATE}
    assert {rate for name, rate in found.items() if ".lora_A." in name} == {RATE}


def test_lora_plus_multiplies_the_rate_of_a_component(tmp_path: Path):
    plan = planned(recipe=Recipe(4, 8.0, components={"vision": Knobs(learning_rate=1e-4)}))
    model = wrapped(plan)
    found = rates_by_name(
        model, make_optimizer(model, arguments(tmp_path), set(), parameter_groups(model, plan, RATE), 4.0)
    )
    for side, rate in (("vision_model", 1e-4), ("text_model", RATE)):
        assert {value for name, value in found.items() if side in name and ".lora_A." in name} == {rate}
        assert {value for name, value in found.items() if side in name and ".lora_B." in name} == {4 * rate}


def test_without_lora_plus_nothing_is_faster_and_decay_spares_norms_and_biases(tmp_path: Path):
    plan = planned(Selection(cells=ATTENTION.cells, full=(NORM,)), Recipe(4, 8.0, lora_bias=True))
    model = wrapped(plan)
    trainer = Trainer(model, arguments(tmp_path))
    made = make_optimizer(model, trainer.args, set(trainer.get_decay_parameter_names(model)))
    assert set(rates_by_name(model, made).values()) == {RATE}
    ours, theirs = (rates_by_name(model, each, "weight_decay") for each in (made, trainer.create_optimizer()))
    assert ours == theirs
    assert {decay for name, decay in ours.items() if "norm" in name or name.endswith("bias")} == {0.0}
    assert {decay for name, decay in ours.items() if ".lora_A." in name} == {DECAY}


def test_a_first_step_moves_b_so_much_farther(tmp_path: Path):
    """AdamW's first step is the rate long, whatever the gradient (arXiv:1412.6980, section 2.1)."""
    model = wrapped(planned())
    made = make_optimizer(model, arguments(tmp_path, weight_decay=0.0), set(), lora_plus=16.0)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    before = {name: parameter.detach().clone() for name, parameter in trained.items()}
    for parameter in trained.values():
        parameter.grad = torch.ones_like(parameter)
    made.step()
    for name, parameter in trained.items():
        moved = RATE * (16 if ".lora_B." in name else 1)
        torch.testing.assert_close(before[name] - parameter.detach(), torch.full_like(parameter, moved))


def test_eight_bit_adamw_packs_its_state_and_steps_like_adamw_on_a_cpu(tmp_path: Path):
    """bitsandbytes 0.50 computes it there; tensors of less than 4,096 numbers keep 32 bits."""
    torch.manual_seed(0)
    plan = planned(Selection(cells=("language.mlp",)), Recipe(32, 64.0))
    models = [wrapped(plan) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    names = ("adamw_torch", "adamw_bnb_8bit")
    made = [
        make_optimizer(model, arguments(tmp_path, optim=name), set()) for model, name in zip(models, names, strict=True)
    ]
    trained = [[p for p in model.parameters() if p.requires_grad] for model in models]
    start = [parameter.detach().clone() for parameter in trained[0]]
    for _ in range(10):
        for parameter, twin in zip(*trained, strict=True):
            parameter.grad = torch.randn_like(parameter)
            twin.grad = parameter.grad.clone()
        for optimizer in made:
            optimizer.step()
    large = [parameter for parameter in trained[1] if parameter.numel() >= 4096]
    small = [parameter for parameter in trained[1] if parameter.numel() < 4096]
    assert {made[1].state[parameter]["state1"].dtype for parameter in large} == {torch.uint8}
    assert {made[1].state[parameter]["state1"].dtype for parameter in small} <= {torch.float32}
    ours, theirs = (
        torch.cat([(p.detach() - s).flatten() for p, s in zip(group, start, strict=True)]) for group in trained
    )
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.99


def test_a_table_that_is_trained_in_full_keeps_a_precise_state(tmp_path: Path):
    class Wordy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.matrix = torch.nn.Embedding(128, 64), torch.nn.Linear(128, 64)

    model = Wordy()
    made = make_optimizer(model, arguments(tmp_path, optim="adamw_bnb_8bit"), set())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    made.step()
    assert made.state[model.table.weight]["state1"].dtype == torch.float32
    assert made.state[model.matrix.weight]["state1"].dtype == torch.uint8


@pytest.mark.parametrize("name", ["paged_adamw", "paged_adamw_8bit"])
def test_a_paged_optimizer_is_refused_on_a_cpu(name):
    """bitsandbytes would fall back to one that is not paged."""
    with pytest.raises(PlanError, match="paged optimizer"):
        refuse_on_device(planned(), Settings(optimizer=name), "cpu")
    refuse_on_device(planned(), Settings(optimizer=name), "cuda")
    refuse_on_device(planned(), Settings(optimizer="adamw_8bit"), "cpu")


def test_an_optimizer_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "find_spec", lambda name: None)
    refuse_on_device(planned(), Settings(), "cpu")
    with pytest.raises(PlanError, match="not installed"):
        refuse_on_device(planned(), Settings(optimizer="adamw_8bit"), "cpu")


@pytest.mark.parametrize(
    ("selection", "recipe", "said"),
    [
        (ATTENTION, Recipe(4, 8.0, method="adalora"), "AdaLoRA"),
        (Selection(full=("projector",)), Recipe(4, 8.0), "nothing learns with LoRA"),
    ],
)
def test_lora_plus_where_it_means_nothing_is_refused(selection: Selection, recipe: Recipe, said: str):
    plan = planned(selection, recipe)
    refuse_impossible(plan, demo_inspection(), Settings())
    with pytest.raises(PlanError, match=said):
        refuse_impossible(plan, demo_inspection(), Settings(lora_plus=16.0))


def test_names_say_what_learns_faster():
    many, one = torch.nn.Parameter(torch.zeros(4, 2)), torch.nn.Parameter(torch.zeros(4))
    table = {"e.lora_embedding_A.default": many, "e.lora_embedding_B.default": many}
    assert faster_ones({**table, "e.lora_magnitude_vector.default.weight": one}) == set()
    assert faster_ones({"q.lora_magnitude_vector.default.weight": one}) == {"q.lora_magnitude_vector.default.weight"}


def trainer_of(folder: Path, data: Source, **settings: Any) -> StudioTrainer:
    spec = make_spec(data, **settings)
    processor, model = load_processor(spec.model), wrapped(spec.plan)
    encoder = Encoder(processor, stop_ids(model, processor))
    return make_trainer(model, encoder, load_dataset(data).train, spec.settings, folder, "cpu", bf16=False)


def cosine(step: int, warm: int, steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


SHAPES: dict[str, Callable[[int, int, int], float]] = {
    "cosine": cosine,
    "linear": lambda step, warm, steps: (steps - step) / (steps - warm),
    "constant": lambda step, warm, steps: 1.0,
}


@pytest.mark.parametrize("schedule", SHAPES)
@pytest.mark.parametrize(
    ("warming", "warm"),
    [({"warmup_share": 0.0}, 0), ({"warmup_share": 0.25}, 5), ({"warmup_share": 0.01}, 1), ({"warmup_steps": 4}, 4),
     ({"warmup_steps": 0, "warmup_share": 0.5}, 0), ({"warmup_steps": 1}, 1)],
    ids=str,
)  # fmt: skip
def test_the_rate_rises_and_falls_as_computed_by_hand(schedule, warming, warm: int, colours: Source, tmp_path: Path):
    steps = 20
    trainer = trainer_of(
        tmp_path, colours, steps=steps, schedule=schedule, learning_rate=RATE, lora_plus=4.0, **warming
    )
    trainer.create_optimizer_and_scheduler(steps)
    found = []
    for _ in range(steps):
        found.append(sorted({group["lr"] for group in trainer.optimizer.param_groups}))  # type: ignore[union-attr]
        trainer.optimizer.step()  # type: ignore[union-attr]
        trainer.lr_scheduler.step()
    for step, lowest_and_highest in enumerate(found):
        share = step / warm if step < warm else SHAPES[schedule](step, warm, steps)
        assert lowest_and_highest == pytest.approx(sorted({RATE * share, 4 * RATE * share}), abs=1e-12), step


class Gradients(TrainerCallback):
    """The norm of all gradients right before each step."""

    def __init__(self, model: Any) -> None:
        self.model, self.norms = model, []  # type: ignore[var-annotated]

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        gradients = [parameter.grad.flatten() for parameter in self.model.parameters() if parameter.grad is not None]
        self.norms.append(float(torch.cat(gradients).norm()))


def test_a_gradient_is_no_longer_than_it_may_be(colours: Source, tmp_path: Path):
    trainer = trainer_of(tmp_path, colours, steps=2, max_grad_norm=0.01, accumulation=2)
    seen = Gradients(trainer.model)
    trainer.add_callback(seen)
    trainer.train()
    before = [entry["grad_norm"] for entry in trainer.state.log_history if "grad_norm" in entry]
    assert min(before) > 0.01
    assert seen.norms == pytest.approx([0.01, 0.01], rel=1e-3)


def test_smoothed_labels_are_torchs(colours: Source, tmp_path: Path):
    """Of share e, each token's loss is (1 - e) of its own and e of the mean over all tokens."""
    trainer = trainer_of(tmp_path, colours, label_smoothing=0.2)
    batch = next(iter(trainer.get_train_dataloader()))
    model = trainer.model.eval()
    with torch.no_grad():
        losses, targets = token_losses(model, dict(batch), 0.2)
        plain, _ = token_losses(model, dict(batch))
        logits = model(**batch).logits[:, :-1]
        wanted = batch["labels"][:, 1:]
        theirs = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), wanted, ignore_index=-100, label_smoothing=0.2, reduction="sum"
        )
        chances = logits.log_softmax(-1)[wanted != -100]
        by_hand = 0.8 * plain.sum() - 0.2 * chances.mean(-1).sum()
        count = (targets != -100).sum()
        torch.testing.assert_close(losses.sum(), theirs)
        torch.testing.assert_close(losses.sum(), by_hand)
        torch.testing.assert_close(trainer.compute_loss(model, dict(batch)), theirs / count)
    assert losses.sum() > plain.sum()


def embeddings(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """What the language model gets, [B, L, D]."""
    base = model.get_base_model()
    inner = next(m for name, m in base.named_modules() if name.endswith(("language_model", "text_model")))
    seen: list[torch.Tensor] = []

    def keep(_: Any, args: Any, kwargs: Any) -> None:
        seen.append(kwargs["inputs_embeds"].detach().clone())

    handle = inner.register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        model(**batch, use_cache=False)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_noise_is_on_the_tokens_alone_and_while_training_alone(name: str):
    """Uniform in +-alpha / sqrt(L x D) (arXiv:2310.05914, algorithm 1), and none where a picture stands."""
    family = FAMILIES[name]()
    encoder = encoder_of(family)
    batch = {key: value for key, value in encoder.training(rows((40, 40), (40, 40))).items() if key != "labels"}
    model = adapted(family.model)
    check_noise(model, 5.0)
    model.train()
    plain = embeddings(model, batch)
    handle = activate_neftune(model, 5.0)
    torch.manual_seed(3)
    noise = embeddings(model, batch) - plain
    config = family.model.config
    signs = batch["input_ids"] == getattr(config, "image_token_id", getattr(config, "image_token_index", None))
    assert signs.any()
    assert not noise[signs].any(), "pictures are as they were"
    limit = 5.0 / math.sqrt(plain.shape[1] * plain.shape[2])
    heard = noise[~signs]
    assert 0.9 * limit < heard.abs().max() <= limit * 1.001
    assert heard.std() == pytest.approx(limit / math.sqrt(3), rel=0.1)
    model.eval()
    assert torch.equal(embeddings(model, batch), plain)
    handle.remove()


def test_looks_hear_no_noise_and_none_stays_after_training(colours: Source, tmp_path: Path):
    trainer = trainer_of(tmp_path, colours, steps=2, neftune=5.0, learning_rate=1e-9)
    encoder = trainer.data_collator._encoder
    held_out = load_dataset(colours).heldout[:4]
    before = row_losses(trainer.model, encoder, held_out)
    heard: list[Any] = []

    class Looks(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            heard.extend(row_losses(trainer.model, encoder, held_out))

    trainer.add_callback(Looks())
    trainer.train()
    losses = [loss for loss, _ in heard]
    assert losses == pytest.approx([loss for loss, _ in before] * 2, rel=1e-5)
    table = trainer.model.get_base_model().get_input_embeddings()
    assert not hasattr(table, "neftune_noise_alpha")


@pytest.mark.parametrize("how", [{"target_modules": ["embed_tokens"]}, {"modules_to_save": ["embed_tokens"]}], ids=str)
def test_noise_finds_an_embedding_that_learns_itself(how: dict[str, Any]):
    usual = {"target_modules": r".*text_model.*q_proj"}
    found = get_peft_model(load_model(DEMO_MODEL, "cpu", torch.float32), LoraConfig(**usual | how))
    check_noise(found, 5.0)
    handle = activate_neftune(found, 5.0)
    ids = torch.tensor([[5, 6, 7]])
    table = found.get_base_model().get_input_embeddings()
    assert not torch.equal(table.train()(ids), table(ids))
    assert torch.equal(table.eval()(ids), table(ids))
    handle.remove()


def test_a_model_without_an_embedding_of_tokens_gets_no_noise(monkeypatch: pytest.MonkeyPatch):
    model = wrapped(planned())
    base = model.get_base_model()
    monkeypatch.setattr(base, "get_input_embeddings", lambda: torch.nn.Conv2d(3, 8, 2))
    check_noise(model, 0.0)
    with pytest.raises(TrainingError, match="Noise on the embeddings"):
        check_noise(model, 5.0)


def test_every_trained_parameter_is_in_one_group(tmp_path: Path):
    plan = planned(recipe=Recipe(4, 8.0, components={"vision": Knobs(learning_rate=1e-4)}))
    model = wrapped(plan)
    made = make_optimizer(model, arguments(tmp_path), set(), parameter_groups(model, plan, RATE), 2.0)
    inside = list(chain.from_iterable(group["params"] for group in made.param_groups))
    assert len({id(parameter) for parameter in inside}) == len(inside)
    assert all(group["params"] for group in made.param_groups)
