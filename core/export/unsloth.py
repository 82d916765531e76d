"""The closest call of Unsloth's `FastVisionModel.get_peft_model`, and what it would miss on this model.

What it does not do: run Unsloth. What its four boxes mean is compared by this studio's labels; its own regex goes by
names and, in most architectures, reaches no projector at all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from core.export.context import Context, Exported
from core.export.learning_parts import trainers_part
from core.lora.selection import by_parameter, cell
from core.models.relabel import relabelled
from core.spec import Inspection, Module, Plan
from core.spec.text import plain_number, plural

SIDES = ("vision", "language")
KINDS = ("attention", "mlp")


def export_unsloth(plan: Plan, inspection: Inspection, context: Context) -> Exported:
    """The call, with what it would miss as comments."""
    made = relabelled(inspection, context.selection.relabels)
    names = set(plan.target_modules)
    cells = {cell(module) for module in made.modules if module.name in names}
    sides = {side: any(name.startswith(f"{side}.") for name in cells) for side in SIDES}
    kinds = {kind: any(f"{side}.{kind}" in cells for side in SIDES) for kind in KINDS}
    missed = (*_modules_missed(plan, made, sides, kinds), *_words_missed(plan, sides["vision"]))
    if said := trainers_part(context.settings):
        missed += (f"what belongs to its trainer: {said}",)
    if context.settings.quantization != "none" and context.settings.quantized_part == "language":
        missed += ("that only the language model is packed",)
    notes = tuple(f"{words[0].upper()}{words[1:]}." for words in missed)
    comments = [f"# - {note}" for note in notes] or ["# - Nothing: its boxes mean the same modules on this model."]
    lines = [
        "from unsloth import FastVisionModel",
        "",
        f"model, processor = FastVisionModel.from_pretrained({_loaded(context)})",
        "# What this call would miss of the plan:",
        *comments,
        "model = FastVisionModel.get_peft_model(",
        "    model,",
        f"    finetune_vision_layers={sides['vision']},",
        f"    finetune_language_layers={sides['language']},",
        f"    finetune_attention_modules={kinds['attention']},",
        f"    finetune_mlp_modules={kinds['mlp']},",
        f"    r={plan.rank},",
        f"    lora_alpha={plain_number(plan.alpha).replace(',', '')},",
        f"    lora_dropout={plan.dropout},",
        '    bias="none",',
        f"    random_state={context.settings.seed},",
        f"    use_rslora={plan.method == 'rslora'},",
        ")",
    ]
    return Exported("\n".join(lines) + "\n", "unsloth.py", notes)


def _loaded(context: Context) -> str:
    return f"{json.dumps(context.model)}, load_in_4bit={context.settings.quantization == '4bit'}"


def _modules_missed(plan: Plan, made: Inspection, sides: dict[str, bool], kinds: dict[str, bool]) -> Iterator[str]:
    """Modules that the boxes cannot reach, and modules that they would take along."""
    names = set(plan.target_modules)
    meant = {
        module.name
        for module in made.modules
        if module.adaptable and not by_parameter(module) and _in_boxes(module, sides, kinds)
    }
    left_out = [module for module in made.modules if module.name in names - meant]
    too_many = [module for module in made.modules if module.name in meant - names]
    if left_out:
        yield f"it leaves out {_counted(left_out)}: its boxes know vision and language, attention and MLP only"
    if too_many:
        why = "it has no layer ranges and no single modules, and each box is for both sides"
        yield f"it trains {_counted(too_many)} as well: {why}"


def _in_boxes(module: Module, sides: dict[str, bool], kinds: dict[str, bool]) -> bool:
    component, _, role = cell(module).partition(".")
    return sides.get(component, False) and kinds.get(role, False)


def _words_missed(plan: Plan, vision: bool) -> Iterator[str]:
    """What the call has no argument for."""
    ranks = any((o.rank, o.alpha) != (plan.rank, plan.alpha) for o in plan.overrides)
    if ranks:
        yield "one rank and alpha for all: " + ", ".join(
            f"{o.component} has rank {o.rank}, alpha {o.alpha:g}" for o in plan.overrides
        )
    if any(o.dropout != plan.dropout for o in plan.overrides):
        yield "one dropout for all"
    if any(o.learning_rate for o in plan.overrides) or plan.full_learning_rate:
        yield "learning rates of single parts"
    if plan.method in ("dora", "adalora"):
        name = {"dora": "DoRA", "adalora": "AdaLoRA"}[plan.method]
        yield f"{name}{', which it refuses while vision is on' if plan.method == 'dora' and vision else ''}"
    if plan.start != "default":
        yield f"the start “{plan.start}”"
    if plan.lora_bias:
        yield "the bias of LoRA's second matrix"
    if plan.target_parameters:
        yield f"{plural(len(plan.target_parameters), 'parameter')} reached by name (experts, bare projector matrices)"
    if plan.full_modules:
        yield f"{plural(len(plan.full_modules), 'module')} trained in full"


def _counted(modules: Iterable[Module]) -> str:
    """Such as `4 of projector.mlp, 12 of language.mlp`."""
    counts = Counter(cell(module) for module in modules)
    return ", ".join(f"{count} of {name}" for name, count in counts.items())
