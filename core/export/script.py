"""A plain script for transformers, PEFT and TRL that does what the studio's worker does, put together for one plan.

What it does not do: look at held-out rows, follow a stop, or write anything but the adapter and a log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from core.errors import PlanError
from core.export import script_parts as parts
from core.export.context import Context, Exported
from core.export.data_parts import data_blocks, data_constants, with_imports
from core.export.learning_parts import is_adalora, learning_arguments, rates_of, trainer_blocks
from core.export.model_parts import (
    config_call,
    dropouts_of,
    left_whole_lines,
    loading,
    model_blocks,
    saving,
    table,
    targets,
    template,
)
from core.lora.budget import budget
from core.lora.limits import NAMES
from core.lora.plan import peft_config
from core.lora.portable import listed, rewrites
from core.lora.tensors import CHANGES_WEIGHTS
from core.models.relabel import relabelled
from core.spec import Inspection, Plan

LAST_NOTE = (
    "The script looks at no held-out rows: it never ends early, and the weights of its last step become the adapter "
    "(the settings' keep: last)."
)
NO_CONVERSATION = ("blip", "florence2")
"""Types of models that are asked in a way of their own (`core.models.manner`)."""
NO_DATA = "my-data"
"""Where the script looks for rows when none were chosen."""
NO_DATA_NOTE = (
    f"The script looks for its rows in ./{NO_DATA}: train/metadata.jsonl with one picture, one question and one answer "
    "a line. Data in any other form have to be written so first."
)
PACKAGES = "torch torchvision transformers peft trl datasets accelerate pillow"


def export_script(plan: Plan, inspection: Inspection, context: Context) -> Exported:
    """The script.

    Raises:
        PlanError: AdaLoRA without a number of steps, the plan does not fit the model, or it holds no conversation.
    """
    if inspection.model_type in NO_CONVERSATION:
        raise PlanError(
            f"A script for {inspection.model_class} was asked for",
            "it holds no conversation, and TRL's trainer knows no other way to ask a model",
            "Train it here, or take the PEFT config",
        )
    labelled = relabelled(inspection, context.selection.relabels)
    trainable = budget(labelled, plan).trainable
    listing = bool(plan.target_modules) and not is_adalora(plan) and rewrites(inspection.model_type)
    plan = listed(plan, inspection.model_type) if listing else plan
    heads = ["lm_head", *(module.name for module in inspection.modules if module.role == "head")]
    dropouts = dropouts_of(plan)
    constants = [
        *_constants(context, trainable),
        *data_constants(context.settings),
        *left_whole_lines(plan, labelled, heads, context.settings),
        *(targets(plan, listing) if plan.target_modules else ()),
        *table("RATES", "learning rate", rates_of(plan)),
        *table("DROPOUT", "dropout", dropouts),
    ]
    blocks = [
        "\n".join([_head(plan, inspection, context, trainable), *constants]),
        *data_blocks(context.settings),
        *trainer_blocks(plan, context.settings),
        *model_blocks(plan),
        _main(plan, inspection, context, bool(dropouts)),
    ]
    text = "\n\n\n".join(block.strip("\n") for block in blocks if block) + "\n"
    return Exported(text, "train.py", tuple(_notes(context)))


def _notes(context: Context) -> Iterator[str]:
    """What the script does otherwise than the worker."""
    settings = context.settings
    if not context.data:
        yield NO_DATA_NOTE
    if settings.keep == "best" or settings.patience is not None:
        yield LAST_NOTE
    if settings.augment and settings.workers:
        yield "The script prepares its rows in its own process, since their pictures are changed in an order."


def _head(plan: Plan, inspection: Inspection, context: Context, trainable: int) -> str:
    packed = context.settings.quantization != "none"
    name = re.sub(r"[^\w./@ -]", "_", context.model)  # it stands in a docstring
    title = f"Train {trainable:,} parameters of {name} with {NAMES[plan.method]}, rank {plan.rank}."
    config = type(peft_config(plan, context.total_steps or 1)).__name__
    classes = sorted({"AutoProcessor", inspection.model_class, "set_seed"}, key=str.lower)
    classes += ["BitsAndBytesConfig"] * packed + ["TrainerCallback"] * is_adalora(plan)
    lines = [
        *(["import bitsandbytes"] * ("8bit" in context.settings.optimizer and bool(plan.full_modules))),
        "from datasets import Dataset",
        f"from peft import {config}, get_peft_model" + (", EvaConfig" if plan.start == "eva" else ""),
        *(["from peft.tuners.lora.eva import get_eva_state_dict"] if plan.start == "eva" else []),
        *(["from peft.utils import ModulesToSaveWrapper"] if plan.full_modules else []),
        "from PIL import Image, ImageOps",
        "from torch.nn.functional import cross_entropy",
        f"from transformers import {', '.join(sorted(classes, key=str.lower))}",
        "from trl import SFTConfig, SFTTrainer",
    ]
    with_bytes = packed or context.settings.optimizer != "adamw"
    others = [context.settings.report_to] * (context.settings.report_to != "none") + ["bitsandbytes"] * with_bytes
    packages = " ".join((PACKAGES, *others))
    head = with_imports(parts.HEAD.format(title=title, packages=packages, imports="\n".join(lines)), context.settings)
    last = "import random\n" if context.settings.augment else "import json\n"
    return head.replace(last, f"{last}import re\n", 1) if _uses_re(plan) else head


def _uses_re(plan: Plan) -> bool:
    return bool(rates_of(plan) or dropouts_of(plan))


def _constants(context: Context, trainable: int) -> Iterator[str]:
    settings = context.settings
    yield f"MODEL = {json.dumps(context.model)}"
    if context.revision:
        yield f"REVISION = {json.dumps(context.revision)}"
    yield f"DATA = {json.dumps(context.data or NO_DATA)}"
    yield f"SEED = {settings.seed}"
    yield f"LEARNING_RATE = {settings.learning_rate!r}"
    if settings.lora_plus != 1:
        yield f"LORA_PLUS = {settings.lora_plus!r}"
    yield f"TRAINABLE = {trainable}  # parameters; anything else is refused"


def _main(plan: Plan, inspection: Inspection, context: Context, dropouts: bool) -> str:
    settings = context.settings
    wrapped = ["set_dropout(model)"] * dropouts + ["keep_precise(model)"] * bool(plan.full_modules)
    if is_adalora(plan):  # PEFT lets the numbers of the ranks learn on a model in bfloat16
        wrapped += ["for name, parameter in model.named_parameters():", '    if name.endswith(".ranknum.default"):']
        wrapped += ["        parameter.requires_grad_(False)  # PEFT counts the ranks in a parameter"]
    length = f"max_steps={settings.steps}" if settings.steps else f"num_train_epochs={settings.epochs}"
    before = ["trainer.add_callback(RankAllocation(model))"] if is_adalora(plan) else []
    before += ["collator.changing = True"] * bool(settings.augment)
    if settings.quantization != "none":
        wrapped_float = "for parameter in model.parameters():  # TRL makes them bfloat16, where small steps get lost"
        before += [wrapped_float, "    if parameter.requires_grad:", "        parameter.data = parameter.data.float()"]
    if plan.start in CHANGES_WEIGHTS:
        before += [
            'model.peft_config["default"].init_lora_weights = True',
            'model.save_pretrained(options.out / "start")  # what it begins with was taken out of the weights',
        ]
    return parts.MAIN.format(
        revision=", revision=REVISION" if context.revision else "",
        template=_indented(template(inspection), "\n"),
        load=_indented(loading(inspection, context)),
        config=config_call(plan, context),
        wrapped=_indented(wrapped, "\n"),
        start=_indented([f"start_from_data(model, collator, len(rows), {settings.batch_size})"] * _eva(plan), "\n"),
        length=length,
        **learning_arguments(settings),
        checkpointing=bool(settings.checkpointing),
        checkpointing_how=" " * 12 + 'gradient_checkpointing_kwargs={"use_reentrant": False},\n'
        if settings.checkpointing
        else "",
        before=_indented(before, "\n"),
        save=saving(plan),
    )


def _eva(plan: Plan) -> bool:
    return plan.start == "eva"


def _indented(lines: Iterable[str], end: str = "") -> str:
    text = "\n".join("    " + line for line in lines)
    return text + end if text else ""
