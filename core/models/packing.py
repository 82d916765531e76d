"""Which weights bitsandbytes packs to few bits, and how transformers is told so while it loads them.

On top of the packed weights nothing is done to the model. PEFT's `prepare_model_for_kbit_training` would freeze it,
which `get_peft_model` does as well. It would turn every other 16-bit parameter into 32 bits, which doubles embeddings,
head and a tower that is left whole, and gains nothing: transformers' RMS norms compute in 32 bits inside, autocast does
so for layer norms, and the loss turns the logits into 32 bits. And it would make the embeddings' output ask for
gradients, which checkpointing without re-entrance does not need, as PEFT says itself. TRL 1.16 does not call it either;
it puts the adapter into bfloat16 on such a model, which `core.training.trainer` takes back.
On CUDA a 4-bit product computes in the precision of `bnb_4bit_compute_dtype`, which is that of the other weights; an
8-bit one computes in int8 with outliers in fp16 (LLM.int8(), arXiv:2208.07339), whatever the precision is.
What it does not do: load (`core.models.loading`), or count bytes (`core.memory.weights`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from core.models.build import build_on_meta
from core.models.source import Resolved
from core.spec import Inspection, Quantization
from core.spec.settings import QuantizedPart

if TYPE_CHECKING:
    import torch

SEEING = frozenset({"vision", "projector", "audio"})
"""Components that are left whole where only the language model is packed."""


def left_whole(inspection: Inspection, part: QuantizedPart) -> tuple[str, ...]:
    """Names of the modules that are not packed with all that lies in them: those of what is not the part.

    Each is as short as it can be without taking in a module of the part.
    """
    if part == "all":
        return ()
    packed = [module.name for module in inspection.modules if module.component not in SEEING]
    inside = {start for name in packed for start in _starts(name)}
    seeing = (module.name for module in inspection.modules if module.component in SEEING)
    return tuple(dict.fromkeys(_shortest(name, inside, packed) for name in seeing))


def _starts(name: str) -> Iterable[str]:
    """The names of a module and of all that it lies in, the outermost first."""
    parts = name.split(".")
    return (".".join(parts[: end + 1]) for end in range(len(parts)))


def _shortest(name: str, inside: set[str], packed: Sequence[str]) -> str:
    """The outermost start of a name that no packed module lies in, or ends like: transformers leaves both whole."""
    ends = tuple(packed)
    return next((s for s in _starts(name) if s not in inside and not any(end.endswith(s) for end in ends)), name)


def packing_options(
    resolved: Resolved, quantization: Quantization, device: str, dtype: torch.dtype, whole: Sequence[str]
) -> dict[str, Any]:
    """What `from_pretrained` is told to pack the linear layers: 4-bit as QLoRA does it (arXiv:2305.14314), or 8-bit.

    Args:
        resolved: the model.
        quantization: of its linear layers.
        device: `cpu` or `cuda`.
        dtype: what 4-bit weights are computed in.
        whole: names of modules that are left as they are, beside the output embedding.
    """
    if quantization == "none":
        return {}
    from transformers import BitsAndBytesConfig

    left = [*_heads(resolved), *whole]
    if quantization == "8bit":
        config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=left)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=left,
        )
    return {"quantization_config": config, "device_map": {"": device}}


def _heads(resolved: Resolved) -> list[str]:
    """The output embedding and what shares its weight; transformers finds them only where it is told no names."""
    from transformers.quantizers.base import get_keys_to_not_convert

    return ["lm_head", *sorted(get_keys_to_not_convert(build_on_meta(resolved)))]


def keep_packing(model: Any) -> None:
    """On a CPU with AVX512-BF16, bitsandbytes packs 4-bit weights anew at the first answer; then none can train."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
