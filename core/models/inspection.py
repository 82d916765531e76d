"""What a model is made of: a source becomes an inspection, built from its config on the meta device, without weights.

What it does not do: load a weight, or run code that a model brings along. Importing this file costs nothing: torch and
transformers are imported where a model is really built.

    python -m core.models.inspection --write-demo    writes anew what is shipped for the demo
"""

from __future__ import annotations

import hashlib
import logging
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.errors import InspectionError, SourceError, SpecError
from core.models.build import build_on_meta
from core.models.labels.components import LABELS_VERSION
from core.models.repository import asked_for, is_commit
from core.models.rows import module_rows
from core.models.senses import refuse_one_sense, refuse_text_only
from core.models.source import ASSETS, DEMO_MODEL, Resolved, resolve
from core.spec import Inspection, Source, read, write

SHIPPED = ASSETS / "inspections"
"""Inspections that come with the studio."""
log = logging.getLogger("studio")


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
    modules = tuple(module_rows(model))
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
            asked_for(str(source)), "its modules do not add up to its parameters", "Please report this model as a fault"
        )
    refuse_one_sense(made, model.config)
    return made


def config_hash(config_bytes: bytes) -> str:
    """SHA-256 of a config's bytes (its class is named there) and of the version of the labels."""
    return hashlib.sha256(b"labels %d\n" % LABELS_VERSION + config_bytes).hexdigest()


def _inspect(resolved: Resolved) -> Inspection:
    refuse_text_only(resolved)
    return inspect_model(build_on_meta(resolved), resolved.source, config_hash(resolved.config_bytes))


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
