"""How a job trains. What is None or "auto" is chosen when the job starts, and the reason is said.

What it does not do: choose (`core.training.choices`), or know a model.
"""

from __future__ import annotations

from math import ceil
from typing import Literal

from pydantic.dataclasses import dataclass

from core.errors import SpecError
from core.spec.text import STRICT, plain_number

Quantization = Literal["none", "8bit", "4bit"]
QuantizedPart = Literal["all", "language"]
Augmentation = Literal["colour", "rotation", "crop", "blur", "jpeg"]
"""A small change of a picture that leaves every answer true, also one about text, colours or sides."""
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit"]
"""AdamW (arXiv:1711.05101), its state in 8 bits (arXiv:2110.02861), its state paged to the host's memory, or both."""
Precision = Literal["auto", "bf16", "fp32"]
Attention = Literal["auto", "sdpa", "eager", "flash_attention_2"]
Lever = Literal[
    "answers_only", "frozen_first", "vision_cache", "shared_pictures", "packing", "fused_lora", "last_layer", "kernels"
]
"""What makes the same training faster, exactly:
answers_only: head and loss on the positions that are learned alone;
frozen_first: what nothing before it trains stays out of the backward pass;
vision_cache: the frozen vision tower sees each picture once;
shared_pictures: rows that share their pictures share their prefix in one row;
packing: unrelated rows in one row, without padding;
fused_lora: a frozen layer and its LoRA in one step;
last_layer: after the last attention, only what is learned is computed;
kernels: Liger's, where they are installed."""
LEVERS: tuple[Lever, ...] = (
    "answers_only",
    "frozen_first",
    "vision_cache",
    "shared_pictures",
    "packing",
    "fused_lora",
    "last_layer",
    "kernels",
)
Metric = Literal["auto", "exact_match", "token_f1", "anls", "cer", "wer"]
Reporter = Literal["none", "trackio", "tensorboard", "wandb"]


@dataclass(frozen=True, config=STRICT)
class Settings:
    """How to train. Exactly one of `epochs` and `steps` says how long."""

    epochs: float | None = None
    steps: int | None = 120
    """Optimizer steps."""
    batch_size: int = 16
    """Rows an optimizer step sees on one device, before accumulation."""
    accumulation: int = 1
    """Batches whose gradients are added up for one optimizer step."""
    learning_rate: float = 3e-3
    """Peak of the schedule."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: float = 0.03
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    seed: int = 0
    eval_every: int = 20
    """Steps between two looks at the held-out rows."""
    eval_rows: int = 64
    """Held-out rows looked at on the way."""
    final_rows: int = 200
    """Held-out rows looked at before and after; all of them when there are fewer."""
    sample_count: int = 6
    """Held-out pictures whose answers are shown while it trains."""
    max_new_tokens: int = 32
    checkpointing: bool | None = None
    """Whether activations are computed again in the backward pass instead of being kept; None: if memory demands it."""
    quantization: Quantization = "none"
    """Of the frozen weights, by bitsandbytes: 8-bit, or 4-bit nf4 with double quantization."""
    max_tokens: int | None = None
    """Tokens of the longest row that is taken, pictures and answers included; None: as many as the model has positions.
    A longer row is refused by its name, never cut."""
    augment: tuple[Augmentation, ...] = ()
    """How pictures are changed a little each time they are trained on; none unless asked for."""
    optimizer: Optimizer = "adamw"
    lora_plus: float = 1.0
    """How many times faster LoRA's B learns than its A (LoRA+, arXiv:2402.12354); 16 is commonly used."""
    warmup_steps: int | None = None
    """Steps over which the learning rate rises, instead of a share."""
    neftune: float = 0.0
    """Noise on the embeddings while training, alpha of arXiv:2310.05914; 5 is commonly used."""
    label_smoothing: float = 0.0
    """Share of the probability that is spread over all tokens (arXiv:1512.00567, section 7)."""
    precision: Precision = "auto"
    attention: Attention = "auto"
    at_once: int | None = None
    """Rows that are computed at a time, of those of a batch; None: as many of them as the memory is likely to hold.
    What is learned is the same."""
    workers: int | None = None
    """Processes that prepare rows beside the training; None: by the machine."""
    quantized_part: QuantizedPart = "all"
    """Which of the frozen weights are packed."""
    order: Literal["rows", "pictures"] = "rows"
    """What is shuffled: single rows, or pictures, whose rows stay together; see the lever `shared_pictures`."""
    without: tuple[Lever, ...] = ()
    """Levers that are left off."""
    metric: Metric = "auto"
    """What answers are judged by first; "auto": by the kind of the data."""
    patience: int | None = None
    """Looks without improvement after which the training ends; None: never."""
    keep: Literal["best", "last"] = "best"
    """Which weights become the adapter: those of the look with the lowest held-out loss, or the last."""
    report_to: Reporter = "none"

    def total_steps(self, rows: int | None) -> int | None:
        """Optimizer steps of the whole training on so many rows, as transformers counts them; None where
        rows would have to be known.

        An epoch's last batch, and its last accumulation, may be smaller.
        """
        if self.steps is not None or self.epochs is None or rows is None:
            return self.steps
        return ceil(self.epochs * max(1, ceil(ceil(rows / self.batch_size) / self.accumulation)))

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise SpecError("Settings were given", "exactly one of epochs and steps says how long to train", "Give one")
        checks: tuple[tuple[str, float | None, str, float, float, str], ...] = (
            ("How long", self.epochs, " epochs", 0.001, 10_000, "3 is a usual start"),
            ("How long", self.steps, " steps", 1, 10_000_000, "100 to 500 is a usual start"),
            ("Batch", self.batch_size, "", 1, 4096, "4 to 16 is usual"),
            ("Accumulation", self.accumulation, "", 1, 4096, "1 is usual"),
            ("Learning rate", self.learning_rate, "", 1e-9, 1, "1e-4 is usual, 3e-3 for the small demo model"),
            ("Warm-up", self.warmup_share, "", 0, 1, "0.03 is usual"),
            ("Weight decay", self.weight_decay, "", 0, 10, "0 or 0.01 is usual"),
            ("Clip the gradient at", self.max_grad_norm, "", 1e-6, 1_000_000, "1 is usual"),
            ("Seed", self.seed, "", 0, 2**32 - 1, "0 is fine"),
            ("Look at held-out rows every", self.eval_every, " steps", 1, 10_000_000, "20 is usual"),
            ("Held-out rows on the way", self.eval_rows, "", 1, 1_000_000, "64 is usual"),
            ("Held-out rows before and after", self.final_rows, "", 1, 1_000_000, "200 is usual"),
            ("Pictures to follow", self.sample_count, "", 0, 64, "6 is usual"),
            ("Longest answer", self.max_new_tokens, " tokens", 1, 4096, "32 suits short answers"),
            ("LoRA+ ratio", self.lora_plus, "", 1, 1000, "1 for none, 16 is usual"),
            ("Warm-up", self.warmup_steps, " steps", 0, 10_000_000, "a tenth of the steps or fewer is usual"),
            ("Noise on the embeddings", self.neftune, "", 0, 1000, "0 for none, 5 is usual"),
            ("Label smoothing", self.label_smoothing, "", 0, 0.9, "0 for none, 0.1 is usual"),
            ("Rows at a time", self.at_once, "", 1, 4096, "Leave it empty for as many as fit"),
            ("Loader processes", self.workers, "", 0, 256, "Leave it empty for the machine's own"),
            ("Patience", self.patience, " looks", 1, 10_000, "3 to 5 is usual; leave it empty for none"),
            ("Longest row", self.max_tokens, " tokens", 16, 10_000_000, "Leave it empty for the model's own limit"),
        )
        for label, value, unit, low, high, hint in checks:
            if value is not None and not low <= value <= high:  # NaN is inside of nothing
                reason = f"it must be from {plain_number(low)} to {plain_number(high)}"
                raise SpecError(f"“{label}” is {plain_number(value)}{unit}", reason, hint)
        if len(set(self.augment)) < len(self.augment):
            asked = f"“Change the pictures” is {', '.join(self.augment)}"
            raise SpecError(asked, "a way of changing them stands there twice", "Name each once")
