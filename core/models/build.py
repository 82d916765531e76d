"""A model built from its config on the meta device: no weights, no memory, and no config that would never end.

What it does not do: load a weight (`loading.py`), or run code that a model brings along.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import InspectionError
from core.models.classes import named_class, read_config
from core.models.repository import asked_for, clip
from core.models.source import Resolved
from core.models.unbuilt import why_unbuilt

MAX_MODULES = 200_000
"""The largest published models have about 70,000 modules, most of them experts."""
MAX_SECONDS = 30.0
MAX_LAYERS = 1_000
MAX_EXPERTS = 10_000
MAX_COUNT = 1_000_000
MAX_NUMBER = 1_000_000_000
_BUILDING = threading.Lock()
"""Building switches weight initialization off for the whole process: one at a time."""


def build_on_meta(resolved: Resolved) -> Any:
    """The model without weights, its shared weights tied.

    Raises:
        InspectionError: in words, whatever a config makes transformers raise.
    """
    asked = asked_for(str(resolved.source))
    _refuse_absurd(resolved.config, asked)
    config = None
    try:
        with _BUILDING:
            config = read_config(resolved)
            return _build(named_class(resolved, config), config, asked)
    except InspectionError:
        raise
    except Exception as error:
        why = why_unbuilt(error, resolved.config, config)
        raise InspectionError(asked, why.reason, why.remedy) from None


def _build(model_class: Any, config: Any, asked: str) -> Any:
    import torch
    from transformers.initialization import no_init_weights

    with torch.device("meta"), no_init_weights(), _bounded(asked):
        model = model_class(config)
    model.tie_weights()  # initialization, which would tie, was switched off
    return model.eval()


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
