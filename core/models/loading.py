"""Weights and processor of a source, loaded so that no foreign code runs and no pickle is opened.

What it does not do: split over devices, or choose the device, the precision and the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import SourceError, SourceNotFound, SourceRefused, StudioError
from core.models.classes import check_writes, named_class, read_config
from core.models.manner import settle_manner
from core.models.out_of_memory import is_out_of_memory
from core.models.packing import keep_packing, packing_options
from core.models.source import Resolved, resolve
from core.spec import Quantization, Source

if TYPE_CHECKING:
    import torch

PUBLIC_DEMO_NAME = "assets/demo/model"
"""How the demo model is named in what leaves this machine."""


def load_model(
    source: Source,
    device: str,
    dtype: torch.dtype,
    token: bool = True,
    quantization: Quantization = "none",
    whole: Sequence[str] = (),
    attention: str | None = None,
) -> Any:
    """The model with its weights, in evaluation mode.

    Args:
        source: the demo, a Hub id or a folder with `config.json` and safetensors.
        device: `cpu` or `cuda`.
        dtype: precision of the weights; of quantized ones, of what they are computed in.
        token: whether the Hub may be asked with this machine's token.
        quantization: of the linear layers, by bitsandbytes; the output embedding is left whole.
        whole: names of modules that are left whole as well.
        attention: how attention is computed, in transformers' words; None: as transformers chooses for each part.

    Raises:
        SourceNotFound, SourceRefused, SourceError, InspectionError: in words.
    """
    resolved = resolve(source, token=token)
    with _in_words(f"The model “{source}” was loaded", source):
        model, report = _model_class(resolved).from_pretrained(
            _place(resolved),
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **_options(resolved, token),
            **packing_options(resolved, quantization, device, dtype, whole),
            **({} if attention is None else {"attn_implementation": attention}),
        )
        _refuse_gaps(source, report)
        if quantization == "none":
            model.to(device)
        keep_packing(model)
        return model.eval()


def load_processor(source: Source, token: bool = True) -> Any:
    """The processor (pictures, tokens, chat template), able to pad. `token` as in `load_model`.

    Raises:
        SourceNotFound, SourceRefused, SourceError: in words.
    """
    from transformers import AutoProcessor

    asked = f"The processor of “{source}” was loaded"
    resolved = resolve(source, token=token)
    with _in_words(asked, source):
        processor = AutoProcessor.from_pretrained(_place(resolved), **_options(resolved, token))
        settle_manner(processor, read_config(resolved))
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None:
        raise SourceRefused(asked, "it has no tokenizer beside its picture settings", "Take a vision-language model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return processor


def public_name(source: Source) -> str:
    """The model's name for an adapter that goes elsewhere: never a path of this machine."""
    if source.kind == "demo":
        return PUBLIC_DEMO_NAME
    return source.name if source.kind == "hub" else Path(source.name).expanduser().resolve().name


def _refuse_gaps(source: Source, report: dict[str, Any]) -> None:
    """Refuses weights that leave a part of the model as random numbers, which transformers only warns of."""
    gaps = sorted(map(str, report.get("missing_keys") or ())) + sorted(map(str, report.get("mismatched_keys") or ()))
    if gaps:
        raise SourceRefused(
            f"The model “{source}” was loaded",
            f"its weights lack {len(gaps)} of its parameters, such as {gaps[0]}",
            "Take the files as their makers published them",
        )


def _place(resolved: Resolved) -> str:
    """What `from_pretrained` is given first: a Hub id or a folder."""
    return resolved.source.name if resolved.source.kind == "hub" else str(resolved.folder)


def _options(resolved: Resolved, token: bool) -> dict[str, Any]:
    """What every `from_pretrained` is told: the pinned commit, the network for the Hub only, no foreign code."""
    options: dict[str, Any] = {"trust_remote_code": False}
    if resolved.source.kind == "hub":
        return options | {"revision": resolved.source.revision} | ({} if token else {"token": False})
    return options | {"local_files_only": True}


def _model_class(resolved: Resolved) -> Any:
    """The class that was inspected.

    Raises:
        SourceRefused: it cannot generate.
    """
    found = named_class(resolved, read_config(resolved))
    check_writes(found, f"The model “{resolved.source}” was loaded")
    return found


@contextmanager
def _in_words(asked: str, source: Source) -> Iterator[None]:
    """Turns what transformers raises into a sentence."""
    try:
        yield
    except StudioError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise  # who loads it has the words
        raise _sentence(asked, source, error) from error


def _sentence(asked: str, source: Source, error: Exception) -> SourceError:
    """The sentence for one failure; the cause itself stays in the log."""
    text = str(error)
    kind = type(error).__name__
    if kind == "GatedRepoError" or "gated repo" in text:
        return SourceNotFound(asked, "its owner lets in only who has agreed to the terms", "Agree on its page first")
    if "trust_remote_code" in text:
        return SourceRefused(asked, "it brings Python code of its own, which is never run", "Take another model")
    if "safetensors" in text.lower():
        return SourceRefused(asked, "it has no complete weights in safetensors", "Convert it to safetensors first")
    if isinstance(error, OSError):
        hub = source.kind == "hub"
        remedy = "Check the name and the connection" if hub else "Put all files of the model into its folder"
        return SourceNotFound(asked, "its files were not found or cannot be read", remedy)
    if "model type" in text or isinstance(error, KeyError):
        return SourceRefused(asked, "this kind of model is not known here", "Take a newer version of transformers")
    return SourceError(asked, f"its files do not fit together ({kind})", "Download it again")
