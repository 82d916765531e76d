"""TRL's SFTTrainer, set up for one job.

Different from TRL's defaults: gradient checkpointing only when asked for, 16-bit only where the device computes it, no
checkpoints on disk, nothing reported elsewhere, and no sequence is ever cut, since image tokens would be lost.
The loss is the same cross entropy; only positions with something to learn go through the head, on a CPU too.
What it does not do: look at held-out rows (see `looks`), or save.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from math import ceil
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset as RowTable
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from core.data.batches.augmentation import augmented
from core.data.batches.collate import IGNORED, Batch, Encoder
from core.data.rows import Row
from core.evaluation.scores import token_losses
from core.spec import Settings
from core.training.beside import Beside, raise_failed
from core.training.levers.frozen import no_input_hooks, take_off_input_hooks
from core.training.levers.last_layer import tell_narrowing
from core.training.levers.packed import LAYOUT, packed
from core.training.levers.packing import Arranger, Together
from core.training.levers.shared_pictures import ShuffledPictures
from core.training.methods import orthogonality
from core.training.optimizers import NAMES, Rates, make_optimizer

CHUNK = 4096
"""Row numbers that are plain integers at a time."""
SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


class StudioTrainer(SFTTrainer):
    """SFTTrainer whose loss is the mean over the answer tokens of the whole optimizer step."""

    optimizer: torch.optim.Optimizer | None
    rates: Rates | None = None
    """Parameters and their learning rates where the plan has several; None gives all the settings' one."""
    lora_plus: float = 1.0
    """How many times faster LoRA's B learns than its A."""
    smoothing: float = 0.0
    """Of the labels; see `token_losses`."""
    everywhere: bool = False
    """Whether every position goes through the head; see `token_losses`."""
    seen: Callable[[Batch], Batch] = staticmethod(lambda batch: batch)
    """Puts features that are known into a batch; see `Encoder.seen`."""
    frozen_first: bool = True
    """Whether what nothing before it trains stays out of the backward pass."""
    picture_keys: torch.Tensor | None = None
    """For each row a number that stands for its pictures, where those are shuffled instead of rows."""
    before_batch: Callable[[Batch], None] | None = None
    """Is given each batch before it goes through the model."""
    filling: Callable[[], float] | None = None
    """Seconds so far that went into what the later epochs find ready; None where nothing is kept."""
    before_clipping: Callable[[], None] | None = None
    """Is called once an optimizer step, when all gradients are there and none is clipped."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._trained: list[torch.nn.Parameter] | None = None
        self.model_accepts_loss_kwargs = True  # `compute_loss` divides by the step's tokens, accumulation included

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        """The order of transformers' own sampler, without a list of all rows."""
        if self.picture_keys is not None:
            return ShuffledPictures(self.picture_keys, self.args.data_seed)
        return ShuffledRows(len(self.train_dataset), self.args.data_seed)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The settings' AdamW, with a learning rate for each group of parameters; see `make_optimizer`."""
        if self.optimizer is None:
            decayed = set(self.get_decay_parameter_names(self.model))
            self.optimizer = make_optimizer(self.model, self.args, decayed, self.rates, self.lora_plus)
        return super().create_optimizer(model)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Trains; no hook that asks for gradients of the inputs is left on the model."""
        with no_input_hooks(self.model) if self.frozen_first else nullcontext():
            try:
                return super().train(*args, **kwargs)
            finally:
                take_off_input_hooks(self.model)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """Answer tokens of an optimizer step; a batch that could not be made ends the training here."""
        raise_failed(batch_samples)
        return super()._get_num_items_in_batch(batch_samples, device)

    def training_step(self, model: Any, inputs: Batch, num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward of one batch."""
        if self.before_batch is not None:
            self.before_batch(inputs)
        return super().training_step(model, inputs, num_items_in_batch)

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clips the gradients; after that one that is no number has spread to all of them."""
        if self.before_clipping is not None:
            self.before_clipping()
        if self._trained is None:  # walking through the whole model in every step takes a GPU's time
            self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return self.accelerator.clip_grad_norm_(self._trained, self.args.max_grad_norm)

    def floating_point_ops(self, inputs: Batch) -> int:
        """Not counted: nothing here says them, and counting walks through the whole model in every step."""
        return 0

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Summed cross entropy (nats) divided by the number of answer tokens in the optimizer step."""
        batch = packed(model, self.seen(inputs))
        tell_narrowing(self.model, batch)
        losses, targets = token_losses(model, batch, self.smoothing, self.everywhere)
        count = (targets != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        loss = losses.sum() / torch.as_tensor(count, device=losses.device).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        if (regularization := orthogonality(self.model)) is not None:
            # The loss is a share of the step's tokens already; this is as large for each batch that is added up.
            loss = loss + regularization / self.current_gradient_accumulation_steps
        return (loss, {}) if return_outputs else loss


class ShuffledRows(torch.utils.data.Sampler[int]):
    """The numbers of the rows, shuffled anew in each epoch, exactly as accelerate's SeedableRandomSampler orders them.

    Theirs makes a Python list of all of them; this one keeps eight bytes a row while an epoch lasts.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed, self._epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next, counted from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        order = torch.randperm(self._count, generator=generator)  # [N]
        for start in range(0, self._count, CHUNK):
            yield from order[start : start + CHUNK].tolist()
        self._epoch += 1


class Collator:
    """Rows as batches of one job; pictures are changed a little where the settings say so, each time in another way."""

    def __init__(self, encoder: Encoder, settings: Settings, count: int, arranger: Arranger | None = None) -> None:
        self._encoder, self._kinds, self._seed = encoder, settings.augment, settings.seed
        self._count, self._size = count, settings.batch_size
        self._arranger = arranger
        self._batches = 0

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """The batch, `input_ids` and `labels` [B, T]; see `Encoder.training`. With a layout where that saves some."""
        first = self._first()
        self._batches += 1
        changed = [augmented(row, self._kinds, f"{self._seed}:{first + at}") for at, row in enumerate(rows)]
        encoded = [self._encoder.whole(row, keep=not self._kinds) for row in changed]
        layout = self._arranger(changed, encoded) if self._arranger is not None else None
        if layout is None:
            return self._encoder.joined(changed, encoded)
        return self._encoder.joined(changed, encoded, layout.seeing) | {LAYOUT: layout}

    def _first(self) -> int:
        """How many rows were trained on before this batch, over all epochs, however many processes prepare them.

        Of W processes the w-th prepares the batches w, w + W, ... of an epoch.
        """
        worker = torch.utils.data.get_worker_info()
        place, step = (worker.id, worker.num_workers) if worker else (0, 1)
        epoch, turn = divmod(self._batches, len(range(place, ceil(self._count / self._size), step)))
        return epoch * self._count + (turn * step + place) * self._size


class EpochsDraw(TrainerCallback):
    """Draws the number at random that torch draws for each epoch, but not where the loader's processes stay.

    What is left to chance in the model, such as dropout, comes from the same numbers then, with and without them.
    """

    def __init__(self) -> None:
        self._begun = False

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The first time torch draws it itself, for the processes that it starts."""
        if self._begun:
            torch.empty((), dtype=torch.int64).random_()
        self._begun = True


def make_trainer(
    model: Any,
    encoder: Encoder,
    rows: Sequence[Row],
    settings: Settings,
    folder: Path,
    device: str,
    bf16: bool,
    together: Together | None = None,
) -> StudioTrainer:
    """A trainer ready for `train()`.

    Args:
        model: PEFT model on its device.
        encoder: the processor with its cache.
        rows: to learn from.
        settings: how.
        folder: the job's.
        device: `cpu` or `cuda`.
        bf16: whether the adapter computes in bfloat16.
        together: which rows share a prefix or are packed; None leaves every batch as it is.
    """
    collate = Collator(encoder, settings, len(rows), together.arranger if together else None)
    frozen_first = "frozen_first" not in settings.without
    with _any_head(model), no_input_hooks(model) if frozen_first else nullcontext():
        trainer = StudioTrainer(
            model=model,
            args=_arguments(settings, folder, device, bf16),
            data_collator=Beside(collate) if settings.workers else collate,
            train_dataset=RowTable.from_dict({"image": [""]}),  # TRL looks at one row to see that there are pictures
            processing_class=encoder.processor,
        )
    trainer.train_dataset = rows
    if settings.workers:
        trainer.add_callback(EpochsDraw())
    trainer.picture_keys = together.keys if together else None
    trainer.seen, trainer.filling = encoder.seen, encoder.eyes.spent if encoder.eyes else None
    trainer.everywhere, trainer.frozen_first = "answers_only" in settings.without, frozen_first
    trainer.lora_plus, trainer.smoothing = settings.lora_plus, settings.label_smoothing
    for parameter in model.parameters():  # TRL puts them into bfloat16 on a quantized model, where small steps get lost
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return trainer


@contextmanager
def _any_head(model: Any) -> Iterator[None]:
    """Lets TRL take a model with an adapter on its output embedding.

    It refuses one, since its own loss multiplies by the head's weight directly; ours goes through the head.
    """
    model.get_output_embeddings = lambda: None
    try:
        yield
    finally:
        del model.get_output_embeddings


def _arguments(settings: Settings, folder: Path, device: str, bf16: bool) -> SFTConfig:
    """The settings in TRL's words."""
    length = {"max_steps": settings.steps} if settings.steps else {"num_train_epochs": settings.epochs}
    return SFTConfig(
        output_dir=str(folder / "checkpoints"),
        **length,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=SCHEDULES[settings.schedule],
        warmup_steps=settings.warmup_steps  # below 1 it is a share of all steps
        if settings.warmup_steps is not None
        else min(settings.warmup_share, 0.999),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim=NAMES[settings.optimizer],
        neftune_noise_alpha=settings.neftune or None,
        seed=settings.seed,
        data_seed=settings.seed,
        use_cpu=device == "cpu",
        bf16=bf16,
        gradient_checkpointing=bool(settings.checkpointing),
        gradient_checkpointing_kwargs={"use_reentrant": False} if settings.checkpointing else None,
        max_length=None,
        completion_only_loss=True,
        remove_unused_columns=False,
        dataloader_num_workers=settings.workers or 0,
        dataloader_persistent_workers=bool(settings.workers),
        dataloader_pin_memory=device != "cpu",
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is no number has to be seen, not averaged away
        report_to="none",
        disable_tqdm=True,
        log_level="warning",
    )
