"""What the exported script says of its trainer: the loss, the optimizer's groups, the order of the rows, the numbers.

What it does not do: say what learns (`model_parts`), or read rows (`data_parts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.lora.plan import target_regex
from core.spec import Plan, Settings

SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
OPTIMIZERS = {
    "adamw": "adamw_torch",
    "adamw_8bit": "adamw_bnb_8bit",
    "paged_adamw": "paged_adamw_32bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
}
"""The settings' words in transformers' words."""
BF16 = {
    "auto": "cuda and torch.cuda.is_bf16_supported(including_emulation=False)",
    "bf16": "True",
    "fp32": "False",
}

TRAINER = '''
class AnswerTrainer(SFTTrainer):
    """The loss is the cross entropy of the answers' tokens, averaged over all of them in an optimizer step."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = True

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")[:, 1:]  # position t predicts token t + 1
        columns = (labels != -100).any(dim=0).nonzero().squeeze(1)  # only these need to go through the head
        if "logits_to_keep" in inspect.signature(self.model.get_base_model().forward).parameters:
            logits = model(**inputs, use_cache=False, logits_to_keep=columns).logits
        else:
            logits = model(**inputs, use_cache=False).logits[:, columns]
        labels = labels[:, columns].to(logits.device)
        loss = cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=-100, reduction="sum"{smoothing})
        count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
        loss = loss / torch.as_tensor(count, device=loss.device).clamp(min=1)
{regularization}        return (loss, {{}}) if return_outputs else loss
'''

GROUPS = '''
    def create_optimizer(self, model=None):
        """AdamW with a learning rate of its own for some of the parameters."""
        decayed = set(self.get_decay_parameter_names(self.model))
        groups = {{}}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                decay = self.args.weight_decay if name in decayed else 0.0
                groups.setdefault(({rate}, decay), []).append(parameter)
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        options.pop("lr", None)
        groups = [{{"params": inside, "lr": rate, "weight_decay": decay}} for (rate, decay), inside in groups.items()]
        self.optimizer = kind(groups, **options)
{precise}        return self.optimizer
'''

PRECISE = """        for module in self.model.modules():  # a table learns unstably with a state of 8 bits
            if isinstance(module, torch.nn.Embedding) and module.weight.requires_grad:
                bitsandbytes.optim.GlobalOptimManager.get_instance().override_config(module.weight, "optim_bits", 32)
"""

RATES = '''

def learning_rate_of(name):
    """The learning rate of a parameter, by the module that it belongs to."""
    module = name.removeprefix("base_model.model.").replace(".base_layer", "")
    module = re.split(r"\\.(?:lora_|modules_to_save\\.)", module)[0]
    return next((rate for pattern, rate in RATES if re.match(pattern, module)), LEARNING_RATE)
'''

LORA_PLUS = '''

def faster(name, parameter, model):
    """How many times faster LoRA+ lets a parameter learn (arXiv:2402.12354): B, and DoRA's magnitudes."""
    layer, lora, rest = name.partition(".lora_")
    b_like = rest.startswith("B.") or (rest.startswith("magnitude_vector.") and parameter.dim() == 1)
    table = bool(lora) and bool(len(model.get_submodule(layer).lora_embedding_A))  # there A begins at zero, not B
    return LORA_PLUS if b_like and not table else 1.0
'''

SAMPLER = """
    def _get_train_sampler(self, train_dataset=None):
        return ShuffledPictures([row[0].name for row in self.data_collator.rows])
"""

PICTURES = '''
class ShuffledPictures(torch.utils.data.Sampler):
    """The numbers of the rows, shuffled anew in each epoch so that the rows of a picture stay together."""

    def __init__(self, names):
        keys = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
        keys = torch.tensor([int.from_bytes(key, "big", signed=True) for key in keys])
        alone = len(keys.unique()) == len(keys)  # no two rows share a picture
        self.pictures = None if alone else keys.unique(return_inverse=True)[1]
        self.count, self.epoch = len(names), 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.count

    def __iter__(self):
        generator = torch.Generator().manual_seed(SEED + self.epoch)
        order = torch.randperm(self.count, generator=generator)
        if self.pictures is not None:
            places = torch.randperm(int(self.pictures.max()) + 1, generator=generator)
            order = order[torch.argsort(places[self.pictures[order]], stable=True)]
        yield from order.tolist()
        self.epoch += 1
'''

ADALORA = '''
def orthogonality(model):
    """AdaLoRA's regularization (arXiv:2303.10512, equation 4)."""
    distances = []
    for name, parameter in model.named_parameters():
        if ".lora_A.default" in name or ".lora_B.default" in name:
            rows = parameter if ".lora_A." in name else parameter.T
            gram = rows @ rows.T
            distances.append(torch.linalg.norm(gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)))
    return [model.peft_config["default"].orth_reg_weight * torch.stack(distances).mean()]


class RankAllocation(TrainerCallback):
    """Lets AdaLoRA move its rank to where it matters, after each optimizer step."""

    def __init__(self, model):
        self.model = model

    def on_optimizer_step(self, args, state, control, **kwargs):
        for parameter in self.model.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.model.base_model.update_and_allocate(state.global_step + 1)
'''

ORTHOGONALITY = """        for regularization in orthogonality(self.model):
            share = regularization / self.current_gradient_accumulation_steps
            loss = loss + share - share.detach()  # its gradient counts, its value is not the loss
"""


def is_adalora(plan: Plan) -> bool:
    """Whether the plan adapts something with AdaLoRA."""
    return plan.method == "adalora" and bool(plan.target_modules or plan.target_parameters)


def trainer_blocks(plan: Plan, settings: Settings) -> Iterator[str]:
    """The trainer's class, and what it uses."""
    own_rates, faster, pictures = bool(rates_of(plan)), settings.lora_plus != 1, settings.order == "pictures"
    trainer = TRAINER.format(
        regularization=ORTHOGONALITY if is_adalora(plan) else "",
        smoothing=f", label_smoothing={settings.label_smoothing!r}" if settings.label_smoothing else "",
    )
    rate = "learning_rate_of(name)" if own_rates else "LEARNING_RATE"
    if faster:
        rate += " * faster(name, parameter, self.model)"
    precise = PRECISE if "8bit" in settings.optimizer and plan.full_modules else ""
    yield (
        trainer
        + (SAMPLER if pictures else "")
        + (GROUPS.format(rate=rate, precise=precise) if own_rates or faster else "")
    )
    yield RATES if own_rates else ""
    yield LORA_PLUS if faster else ""
    yield PICTURES if pictures else ""
    yield ADALORA if is_adalora(plan) else ""


def trainers_part(settings: Settings) -> str:
    """What of the settings belongs to a trainer and is not as usual, in words; for forms that say none of it."""
    usual = Settings()
    words = {
        "optimizer": f"the optimizer ({OPTIMIZERS[settings.optimizer]})",
        "lora_plus": f"LoRA+ ({settings.lora_plus:g})",
        "neftune": f"noise on the embeddings ({settings.neftune:g})",
        "label_smoothing": f"label smoothing ({settings.label_smoothing:g})",
        "order": "the order of the rows",
        "augment": "changes of the pictures",
    }
    return ", ".join(said for name, said in words.items() if getattr(settings, name) != getattr(usual, name))


def learning_arguments(settings: Settings) -> dict[str, Any]:
    """What stands in the trainer's arguments."""
    at_once = _at_once(settings)
    warmup, share = str(settings.warmup_steps), ""
    if settings.warmup_steps is None:
        warmup, share = str(min(settings.warmup_share, 0.999)), "  # below 1: a share of all steps"
    return {
        "bf16": BF16[settings.precision],
        "batch_size": at_once,
        "accumulation": settings.accumulation * (settings.batch_size // at_once),
        "schedule": SCHEDULES[settings.schedule],
        "warmup": warmup,
        "share": share,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "optimizer": OPTIMIZERS[settings.optimizer],
        "noise": _option("neftune_noise_alpha", settings.neftune or None),
        "report_to": settings.report_to,
        "workers": _option("dataloader_num_workers", None if settings.augment else settings.workers or None),
    }


def _at_once(settings: Settings) -> int:
    """Rows at a time: the most of at most so many that a batch can be cut into, as a job has it."""
    most = min(settings.at_once or settings.batch_size, settings.batch_size)
    return next(rows for rows in range(most, 0, -1) if settings.batch_size % rows == 0)


def _option(name: str, value: object) -> str:
    """A line of the trainer's arguments; none where its own default does."""
    return "" if value is None else " " * 12 + f"{name}={value!r},\n"


def rates_of(plan: Plan) -> list[tuple[str, float]]:
    """Regexes of modules and their learning rates, where they have other ones than the rest."""
    found = []
    for override in plan.overrides:
        if override.learning_rate is not None:
            parameters = set(plan.target_parameters)
            names = dict.fromkeys(t.rpartition(".")[0] if t in parameters else t for t in override.targets)
            found.append((target_regex(names), override.learning_rate))
    if plan.full_modules and plan.full_learning_rate is not None:
        found.append((target_regex(plan.full_modules), plan.full_learning_rate))
    return found
