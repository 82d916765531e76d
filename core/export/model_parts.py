"""What the exported script says of its model: how it is loaded, which modules learn, PEFT's config, how it is saved.

What it does not do: say how it learns (`learning_parts`), or read rows (`data_parts`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from core.export.context import Context
from core.export.learning_parts import is_adalora
from core.lora.plan import peft_config, target_regex
from core.lora.tensors import CHANGES_WEIGHTS
from core.models.manner import TEMPLATES
from core.models.packing import left_whole
from core.spec import Inspection, Plan, Settings

DROPOUT = '''
def set_dropout(model):
    """PEFT has one dropout for all layers; here parts of the model have their own."""
    for name, module in model.get_base_model().named_modules():
        share = next((share for pattern, share in DROPOUT if re.match(pattern, name)), None)
        if share is not None and hasattr(module, "lora_dropout"):
            module.lora_dropout["default"] = torch.nn.Dropout(share) if share else torch.nn.Identity()
'''

FULL = '''
def keep_precise(model):
    """What is trained without LoRA learns in 32-bit floats, where small steps are not rounded away."""
    for module in model.modules():
        if isinstance(module, ModulesToSaveWrapper):
            dtype = next(module.original_module.parameters()).dtype
            if dtype != torch.float32:
                copy = module.modules_to_save["default"].to(torch.float32)
                to_precise = lambda _, args, kwargs: cast((args, kwargs), torch.float32)
                copy.register_forward_pre_hook(to_precise, with_kwargs=True)
                copy.register_forward_hook(lambda _, args, output, dtype=dtype: cast(output, dtype))


def cast(value, dtype):
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if type(value) in (tuple, list):
        return type(value)(cast(part, dtype) for part in value)
    return {key: cast(part, dtype) for key, part in value.items()} if type(value) is dict else value
'''

EVA = '''
def start_from_data(model, collator, count, batch_size):
    """Puts LoRA's first matrices onto the principal directions of what their layers see (EVA, arXiv:2410.07170)."""

    class Batches:
        def __len__(self):
            return -(-count // batch_size)

        def __iter__(self):
            while True:
                for start in range(0, count, batch_size):
                    batch = collator([{"row": row} for row in range(start, min(count, start + batch_size))])
                    batch.pop("labels")
                    yield {
                        key: value.to(model.device, model.dtype if value.is_floating_point() else None)
                        for key, value in batch.items()
                    }

    found = get_eva_state_dict(
        model,
        Batches(),
        forward_fn=lambda wrapped, inputs: wrapped(**inputs, use_cache=False),
        prepare_model_inputs_fn=lambda inputs, config: None,
        prepare_layer_inputs_fn=lambda inputs, *_: inputs[0].detach().float().reshape(-1, inputs[0].shape[-1]),
        show_progress_bar=False,
    )
    with torch.no_grad():
        for name, directions in found.items():
            model.get_submodule(name).lora_A["default"].weight.copy_(directions)
'''


def model_blocks(plan: Plan) -> Iterator[str]:
    """Functions for what PEFT has no option for."""
    yield DROPOUT if dropouts_of(plan) else ""
    yield FULL if plan.full_modules else ""
    yield EVA if plan.start == "eva" else ""


def left_whole_lines(plan: Plan, labelled: Inspection, heads: Sequence[str], settings: Settings) -> Iterator[str]:
    """The modules that stay as they are, where weights are packed."""
    if settings.quantization == "none":
        return
    names = (*heads, *left_whole(labelled, settings.quantized_part), *plan.full_modules)
    yield from ("# Left as they are when the weights are packed.", "WHOLE = [")
    yield from (f"    {json.dumps(name)}," for name in dict.fromkeys(names))
    yield "]"


def targets(plan: Plan, listing: bool) -> list[str]:
    """The modules that LoRA adapts: one regex, or `listing` them all."""
    if listing:  # see `core.lora.portable`
        names = [f"    {json.dumps(name)}," for name in plan.target_modules]
        return [
            "# Exactly these modules: on this model PEFT would reduce a regex to the ends of names.",
            "TARGETS = [",
            *names,
            "]",
        ]
    what = "# Exactly these modules: PEFT matches a string as one regex on the whole name."
    return [what, f"TARGETS = {_raw(target_regex(plan.target_modules))}"]


def table(name: str, what: str, rows: Sequence[tuple[str, float]]) -> Iterator[str]:
    """Regexes of modules with a number of their own, if there are any."""
    if rows:
        yield from (f"# Parts of the model with a {what} of their own.", f"{name} = [")
        yield from (f"    ({_raw(pattern)}, {value!r})," for pattern, value in rows)
        yield "]"


def _raw(pattern: str) -> str:
    """A regex as a literal."""
    return f'r"{pattern}"' if '"' not in pattern and pattern.isprintable() else repr(pattern)


def dropouts_of(plan: Plan) -> list[tuple[str, float]]:
    """Regexes of modules whose dropout PEFT's config does not set, and that dropout."""
    config = 0.0 if plan.target_parameters else plan.dropout
    own = {target: override.dropout for override in plan.overrides for target in override.targets}
    by_share: dict[float, list[str]] = {}
    for name in plan.target_modules:
        by_share.setdefault(own.get(name, plan.dropout), []).append(name)
    return [(target_regex(names), share) for share, names in by_share.items() if share != config]


def template(inspection: Inspection) -> list[str]:
    """A template of ours for a model whose makers publish none."""
    if inspection.model_type != "paligemma":
        return []
    template = TEMPLATES["PaliGemmaProcessor"]
    half = template.index("{% for content")
    return [
        "if not processor.chat_template:  # its makers publish none: this one writes the question as it is",
        "    processor.chat_template = (",
        f"        {json.dumps(template[:half])}",
        f"        {json.dumps(template[half:])}",
        "    )",
    ]


def saving(plan: Plan) -> str:
    """The lines that write the adapter."""
    if is_adalora(plan):
        whole = 'model.peft_config["default"].rank_pattern = None  # matrices stay whole, as when training began'
        return f"{whole}\n    model.save_pretrained(options.out, save_embedding_layers=False)"
    if plan.start not in CHANGES_WEIGHTS:
        return "model.save_pretrained(options.out, save_embedding_layers=False)"
    return """model.save_pretrained(
        options.out,
        save_embedding_layers=False,
        path_initial_model_for_weight_conversion=str(options.out / "start"),
    )"""


def loading(inspection: Inspection, context: Context) -> Iterator[str]:
    """The lines that load the model, packed where the settings ask for it."""
    quantization = context.settings.quantization
    yield f"model = {inspection.model_class}.from_pretrained("
    yield "    options.model,"
    if context.revision:
        yield "    revision=REVISION,"
    yield "    dtype=dtype,"
    yield "    use_safetensors=True,"
    if context.settings.attention not in ("auto", "sdpa"):  # SDPA is transformers' own choice where a model has it
        yield f'    attn_implementation="{context.settings.attention}",'
    if quantization == "none":
        yield ").to(device)"
        return
    yield '    device_map={"": device},'
    if quantization == "8bit":
        yield "    quantization_config=BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=WHOLE),"
    else:
        yield "    quantization_config=BitsAndBytesConfig("
        yield "        load_in_4bit=True,"
        yield '        bnb_4bit_quant_type="nf4",'
        yield "        bnb_4bit_use_double_quant=True,"
        yield "        bnb_4bit_compute_dtype=dtype,"
        yield "        llm_int8_skip_modules=WHOLE,"
        yield "    ),"
    yield ")"


def config_call(plan: Plan, context: Context) -> str:
    """PEFT's config as a call, without what has PEFT's own default."""
    config = peft_config(plan, context.total_steps)
    given = {"total_step": config.total_step} if is_adalora(plan) else {"r": config.r}
    usual = vars(type(config)(**given))
    values = given | {"lora_alpha": config.lora_alpha}
    values |= {key: value for key, value in vars(config).items() if value != usual[key]}
    lines = [f"        {key}={_literal(key, value, plan)}," for key, value in values.items()]
    return "\n".join([f"{type(config).__name__}(", *lines, "    )"])


def _literal(key: str, value: Any, plan: Plan) -> str:
    if key == "target_modules" and plan.target_modules:
        return "TARGETS"
    if key.endswith("_pattern"):
        inside = "".join(f"\n            {_raw(pattern)}: {number!r}," for pattern, number in value.items())
        return f"{{{inside}\n        }}"
    if key == "eva_config":
        return f"EvaConfig(rho={value.rho})"  # the rest is PEFT's default
    plain = getattr(value, "value", value)
    if isinstance(plain, list):
        return "[" + "".join(f"\n            {json.dumps(each)}," for each in plain) + "\n        ]"
    return json.dumps(plain) if isinstance(plain, str) else repr(plain)
