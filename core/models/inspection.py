"""What a model is made of: a source becomes an inspection, built from its config on the meta device, without weights.

What it does not do: load a weight, or run code that a model brings along. Importing this file costs nothing: torch and
transformers are imported where a model is really built.

    python -m core.models.inspection --write-demo    writes anew what is shipped for the demo
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.errors import InspectionError, SourceError, SpecError
from core.models.classes import named_class, read_config
from core.models.components import LABELS_VERSION, component_labels
from core.models.evidence import output_embedding
from core.models.reach import reached_by_name, unreachable
from core.models.repository import clip, is_commit
from core.models.roles import Chain, chain, layer_of, role_of
from core.models.source import ASSETS, DEMO_MODEL, Resolved, resolve
from core.spec import Component, Inspection, Module, Parameter, Role, Source, read, write

SHIPPED = ASSETS / "inspections"
"""Inspections that come with the studio."""
MAX_MODULES = 200_000
"""The largest published models have about 70,000 modules, most of them experts."""
MAX_SECONDS = 30.0
MAX_LAYERS = 1_000
MAX_EXPERTS = 10_000
MAX_COUNT = 1_000_000
MAX_NUMBER = 1_000_000_000
log = logging.getLogger("studio")
_BUILDING = threading.Lock()
"""Building switches weight initialization off for the whole process: one at a time."""


def inspect_source(source: Source, cache_dir: Path | None = None, token: bool = True) -> Inspection:
    """The module tree of a source, from the cache or built anew.

    Args:
        source: what `parse_source` made.
        cache_dir: where inspections are kept; None keeps none. One that cannot be written is a line in the log.
        token: whether the Hub may be asked with this machine's token.

    Raises:
        SourceNotFound, SourceRefused: see `resolve`.
        InspectionError: the config cannot be built, or is not of a vision-language model.
    """
    resolved = resolve(source, token=token)
    if (found := _read_cache(resolved, cache_dir)) is not None:
        return found
    made = _inspect(resolved)
    if cache_dir is not None:
        _keep(made, cache_dir)
    return made


def cached_inspection(source: Source, cache_dir: Path | None = None) -> Inspection | None:
    """The inspection if it is on this machine already; asks no network and imports neither torch nor transformers.

    None too for a Hub id without a commit: only the Hub knows which commit that means now.
    """
    if source.kind == "hub" and not is_commit(source.revision):
        return None
    try:
        return _read_cache(resolve(source, offline=True), cache_dir)
    except SourceError:
        return None


def inspect_model(model: Any, source: Source, config_hash: str = "") -> Inspection:
    """The module tree of a model that is built already, on any device.

    Raises:
        InspectionError: nothing in it sees pictures, or nothing in it reads text.
    """
    modules = tuple(_modules(model))
    made = Inspection(
        source=source,
        model_class=type(model).__name__,
        model_type=str(getattr(model.config, "model_type", "")),
        total_params=sum(parameter.numel() for parameter in model.parameters()),
        modules=modules,
        config_hash=config_hash,
    )
    if sum(module.params for module in modules) != made.total_params:
        raise InspectionError(
            _asked(source), "its modules do not add up to its parameters", "Please report this model as a fault"
        )
    _refuse_one_sense(made)
    return made


def config_hash(config_bytes: bytes) -> str:
    """SHA-256 of a config's bytes (its class is named there) and of the version of the labels."""
    return hashlib.sha256(b"labels %d\n" % LABELS_VERSION + config_bytes).hexdigest()


def build_on_meta(resolved: Resolved) -> Any:
    """The model without weights, its shared weights tied.

    Raises:
        InspectionError: in words, whatever a config makes transformers raise.
    """
    asked = _asked(resolved.source)
    _refuse_absurd(resolved.config, asked)
    try:
        with _BUILDING:
            return _build(resolved)
    except InspectionError:
        raise
    except ImportError as error:
        reason = f"it needs a package that is missing ({_first_line(error)})"
        raise InspectionError(asked, reason, "Install it, or take another model") from None
    except Exception as error:
        remedy = "Check its config.json, or take a version of the model made for transformers"
        raise InspectionError(asked, f"its config cannot be built ({_first_line(error)})", remedy) from None


def _inspect(resolved: Resolved) -> Inspection:
    return inspect_model(build_on_meta(resolved), resolved.source, config_hash(resolved.config_bytes))


def _build(resolved: Resolved) -> Any:
    import torch
    from transformers.initialization import no_init_weights

    config = read_config(resolved)
    model_class = named_class(resolved, config)
    with torch.device("meta"), no_init_weights(), _bounded(_asked(resolved.source)):
        model = model_class(config)
    model.tie_weights()  # initialization, which would tie, was switched off
    return model.eval()


def _modules(model: Any) -> Iterator[Module]:
    """Every module that holds parameters of its own, in the order of the model."""
    labels = component_labels(model)
    modules = dict(model.named_modules())
    head = output_embedding(model)
    holders: dict[int, str] = {}
    for name, module in modules.items():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        around = chain(name, modules)
        twin = next((holders[id(parameter)] for parameter in own.values() if id(parameter) in holders), None)
        params = sum(parameter.numel() for parameter in own.values() if id(parameter) not in holders)
        holders.update((id(parameter), name) for parameter in own.values() if id(parameter) not in holders)
        label = labels[name]
        role, role_why = role_of(around, label.component, module is head)
        parameters = _parameters(own, around, label.component, role)
        reached = any(parameter.adaptable for parameter in parameters)
        blocked = None if reached else unreachable(around, role, module is head, twin)
        yield Module(
            name=name,
            kind=type(module).__name__,
            shape=_shape(module, own),
            component=label.component,
            role=role,
            layer=layer_of(around),
            params=params,
            adaptable=blocked is None,
            reason=f"{label.reason(name)}. {role}: {role_why}." + (f" Not adaptable: {blocked}." if blocked else ""),
            confidence=label.confidence,
            root=label.root,
            parameters=parameters,
        )


def _parameters(own: dict[str, Any], around: Chain, component: Component, role: Role) -> tuple[Parameter, ...]:
    transposed = bool(getattr(around[0][1], "is_transposed", False))
    return tuple(
        Parameter(
            name,
            tuple(map(int, parameter.shape)),
            reached_by_name(around, name, parameter, component, role),
            transposed and parameter.dim() == 3,
        )
        for name, parameter in own.items()
    )


def _shape(module: Any, own: dict[str, Any]) -> tuple[int, ...]:
    """Of the weight, outputs first; of the first parameter where none has that name."""
    weight = own.get("weight")
    shape = tuple(int(size) for size in (next(iter(own.values())) if weight is None else weight).shape)
    return shape[::-1] if type(module).__name__ == "Conv1D" else shape  # GPT-2's layer stores inputs first


def _refuse_one_sense(made: Inspection) -> None:
    """Refuses what is not a vision-language model."""
    components = {module.component for module in made.modules}
    remedy = "Take a vision-language model, such as the demo or HuggingFaceTB/SmolVLM-256M-Instruct"
    if "vision" not in components:
        kind = "an audio" if "audio" in components else "a text-only"
        reason = f"it looks like {kind} model ({made.model_class}): nothing in it sees pictures"
        raise InspectionError(_asked(made.source), reason, remedy)
    if "language" not in components:
        raise InspectionError(_asked(made.source), f"nothing in it ({made.model_class}) reads or writes text", remedy)


def _refuse_absurd(value: Any, asked: str, key: str = "") -> None:
    """Refuses numbers that would keep the machine busy for hours, before anything is built from them."""
    if isinstance(value, dict):
        for inner, part in value.items():
            _refuse_absurd(part, asked, str(inner))
    elif isinstance(value, list):
        for part in value:
            _refuse_absurd(part, asked, key)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > (limit := _limit(key)):
        raise InspectionError(
            asked,
            f"its config has {clip(key)} = {value:.3g}, and the most that makes sense is {limit:,}",
            "Check the config",
        )


def _limit(key: str) -> int:
    if re.search(r"layers$|depths?$|blocks?$|n_layer$|stages$", key):
        return MAX_LAYERS
    if "expert" in key:
        return MAX_EXPERTS
    if "theta" in key:
        return MAX_NUMBER**2
    return MAX_COUNT if key.startswith("num_") else MAX_NUMBER


@contextmanager
def _bounded(asked: str) -> Iterator[None]:
    """Ends the building of a model that grows beyond all published ones."""
    from torch.nn.modules import module as hooks

    me, end, made = threading.get_ident(), time.monotonic() + MAX_SECONDS, 0

    def count(*_: Any) -> None:
        nonlocal made
        if threading.get_ident() != me:
            return
        made += 1
        if made > 4 * MAX_MODULES or time.monotonic() > end:
            raise InspectionError(
                asked, "building it takes more modules or time than any known model", "Check the config"
            )

    handles = (
        hooks.register_module_module_registration_hook(count),
        hooks.register_module_parameter_registration_hook(count),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _read_cache(resolved: Resolved, cache_dir: Path | None) -> Inspection | None:
    """The cached inspection of this config, with the source that was asked for."""
    key = config_hash(resolved.config_bytes)
    places = [SHIPPED / f"{key}.json"] if cache_dir is None else [SHIPPED / f"{key}.json", cache_dir / _cache_name(key)]
    for path in places:
        try:
            made = read(Inspection, path)
        except SpecError:
            continue
        return Inspection(
            resolved.source, made.model_class, made.model_type, made.total_params, made.modules, made.config_hash
        )
    return None


def _keep(made: Inspection, cache_dir: Path) -> None:
    """Writes the inspection into the cache; a full disk costs the next look some time and this one nothing."""
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        write(made, cache_dir / _cache_name(made.config_hash))
    except OSError as error:
        log.warning("the inspection of %s is not kept: %s", made.source, error.strerror)


def _cache_name(key: str) -> str:
    """Another version of transformers may name the modules of the same config in another way."""
    return f"{key}-transformers-{version('transformers')}.json"


def _asked(source: Source) -> str:
    return f"The model “{clip(str(source))}” was asked for"


def _first_line(error: Exception) -> str:
    """What an error says, without paths of this machine."""
    line = (str(error).strip().splitlines() or [""])[0]
    return clip(f"{type(error).__name__}: {re.sub(r'(/[^/ ]+){2,}', '…', line)}", 160)


def _write_demo() -> None:
    SHIPPED.mkdir(exist_ok=True)
    made = _inspect(resolve(DEMO_MODEL))
    for old in SHIPPED.glob("*.json"):
        old.unlink()
    write(made, SHIPPED / f"{made.config_hash}.json")
    print(f"{len(made.modules)} modules, {made.total_params:,} parameters: {made.config_hash}.json")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write-demo"]:
        sys.exit("python -m core.models.inspection --write-demo")
    _write_demo()
