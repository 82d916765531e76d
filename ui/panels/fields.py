"""What stands in the settings' form under Advanced: groups of fields, and what a list offers.

What it does not do: make widgets (`ui.panels.settings`), or know what is in range (core.spec.Settings).
"""

from __future__ import annotations

from ui import words

AUTO = "auto"
"""What a list holds where the studio chooses."""
MAY_BE_EMPTY = {
    "max_tokens": words.LONGEST_ROW_NONE,
    "warmup_steps": words.WARMUP_STEPS_NONE,
    "at_once": words.CHOSEN,
    "patience": words.PATIENCE_NONE,
}
"""Numbers that may be left empty, and what is meant then."""
OFFERED: dict[str, tuple[tuple[str, str], ...]] = {
    "optimizer": (
        (words.OPTIMIZER_ADAMW, "adamw"),
        (words.OPTIMIZER_8BIT, "adamw_8bit"),
        (words.OPTIMIZER_PAGED, "paged_adamw"),
        (words.OPTIMIZER_PAGED_8BIT, "paged_adamw_8bit"),
    ),
    "schedule": (("cosine", "cosine"), ("linear", "linear"), ("constant", "constant")),
    "order": ((words.ORDER_ROWS, "rows"), (words.ORDER_PICTURES, "pictures")),
    "precision": ((words.CHOSEN, AUTO), (words.PRECISION_BF16, "bf16"), (words.PRECISION_FP32, "fp32")),
    "attention": (
        (words.CHOSEN, AUTO),
        (words.ATTENTION_SDPA, "sdpa"),
        (words.ATTENTION_EAGER, "eager"),
        (words.ATTENTION_FLASH, "flash_attention_2"),
    ),
    "quantization": (
        (words.QUANTIZATION_NONE, "none"),
        (words.QUANTIZATION_8BIT, "8bit"),
        (words.QUANTIZATION_4BIT, "4bit"),
    ),
    "quantized_part": ((words.QUANTIZED_ALL, "all"), (words.QUANTIZED_LANGUAGE, "language")),
    "checkpointing": ((words.CHOSEN, AUTO), (words.ON, "on"), (words.OFF, "off")),
    "workers": ((words.CHOSEN, AUTO), (words.WORKERS_NONE, "0"), *((n, n) for n in ("1", "2", "4", "8", "16"))),
    "metric": (
        (words.CHOSEN, AUTO),
        (words.METRIC_EXACT, "exact_match"),
        (words.METRIC_F1, "token_f1"),
        (words.METRIC_ANLS, "anls"),
        (words.METRIC_CER, "cer"),
        (words.METRIC_WER, "wer"),
    ),
    "keep": ((words.KEEP_BEST, "best"), (words.KEEP_LAST, "last")),
    "report_to": (
        (words.REPORT_NONE, "none"),
        (words.REPORT_TRACKIO, "trackio"),
        (words.REPORT_TENSORBOARD, "tensorboard"),
        (words.REPORT_WANDB, "wandb"),
    ),
    "augment": (
        (words.AUGMENT_COLOUR, "colour"),
        (words.AUGMENT_ROTATION, "rotation"),
        (words.AUGMENT_CROP, "crop"),
        (words.AUGMENT_BLUR, "blur"),
        (words.AUGMENT_JPEG, "jpeg"),
    ),
    "levers": (
        (words.LEVER_ANSWERS, "answers_only"),
        (words.LEVER_FROZEN, "frozen_first"),
        (words.LEVER_CACHE, "vision_cache"),
        (words.LEVER_SHARED, "shared_pictures"),
        (words.LEVER_PACKING, "packing"),
        (words.LEVER_FUSED, "fused_lora"),
        (words.LEVER_LAST, "last_layer"),
        (words.LEVER_KERNELS, "kernels"),
    ),
}
"""As shown -> as core.spec.Settings, or the form, has them."""
SEVERAL = ("augment", "levers")
"""Of which any number may be ticked."""
Field = tuple[str, str, str | None]
"""Name of the widget, label, what it means."""
Group = tuple[str, str, tuple[tuple[Field, ...], ...]]
"""Title, a sentence, rows of fields."""
GROUPS: tuple[Group, ...] = (
    (
        words.LEARNS,
        words.LEARNS_LEAD,
        (
            (
                ("optimizer", words.OPTIMIZER, words.OPTIMIZER_INFO),
                ("schedule", words.SCHEDULE, words.SCHEDULE_INFO),
                ("order", words.ORDER, words.ORDER_INFO),
            ),
            (
                ("warmup_share", words.WARMUP, words.WARMUP_INFO),
                ("warmup_steps", words.WARMUP_STEPS, words.WARMUP_STEPS_INFO),
                ("accumulation", words.ACCUMULATION, words.ACCUMULATION_INFO),
            ),
            (
                ("weight_decay", words.DECAY, words.DECAY_INFO),
                ("max_grad_norm", words.CLIP, words.CLIP_INFO),
                ("lora_plus", words.LORA_PLUS, words.LORA_PLUS_INFO),
            ),
            (
                ("neftune", words.NEFTUNE, words.NEFTUNE_INFO),
                ("label_smoothing", words.SMOOTHING, words.SMOOTHING_INFO),
                ("max_tokens", words.LONGEST_ROW, words.LONGEST_ROW_INFO),
            ),
            (("augment", words.AUGMENT, words.AUGMENT_INFO),),
        ),
    ),
    (
        words.SPEED,
        words.SPEED_LEAD,
        (
            (
                ("precision", words.PRECISION, words.PRECISION_INFO),
                ("attention", words.ATTENTION, words.ATTENTION_INFO),
                ("checkpointing", words.CHECKPOINTING, words.CHECKPOINTING_INFO),
            ),
            (
                ("quantization", words.QUANTIZATION, words.QUANTIZATION_INFO),
                ("quantized_part", words.QUANTIZED_PART, words.QUANTIZED_PART_INFO),
            ),
            (
                ("at_once", words.AT_ONCE, words.AT_ONCE_INFO),
                ("workers", words.WORKERS, words.WORKERS_INFO),
            ),
            (("levers", words.LEVER_CHOICE, words.LEVER_CHOICE_INFO),),
        ),
    ),
    (
        words.WATCHING,
        words.WATCHING_LEAD,
        (
            (
                ("eval_every", words.EVAL_EVERY, words.EVAL_EVERY_INFO),
                ("eval_rows", words.EVAL_ROWS, words.EVAL_ROWS_INFO),
                ("final_rows", words.FINAL_ROWS, words.FINAL_ROWS_INFO),
            ),
            (
                ("sample_count", words.SAMPLES, words.SAMPLES_INFO),
                ("max_new_tokens", words.ANSWER_LENGTH, words.ANSWER_LENGTH_INFO),
                ("metric", words.METRIC, words.METRIC_INFO),
            ),
            (
                ("patience", words.PATIENCE, words.PATIENCE_INFO),
                ("keep", words.KEEP, words.KEEP_INFO),
            ),
        ),
    ),
    (
        words.REPORTS,
        words.REPORTS_LEAD,
        (
            (
                ("name", words.JOB_NAME, words.JOB_NAME_INFO),
                ("report_to", words.REPORT, words.REPORT_INFO),
            ),
        ),
    ),
)
"""What is folded under Advanced."""
