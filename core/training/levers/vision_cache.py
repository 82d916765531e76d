"""The lever `vision_cache`: a frozen vision tower sees each picture once; what it says is kept, in memory and on disk.

Kept by row: the pictures of one row, in their order, are one entry, since some models look at a picture otherwise when
others stand beside it. An entry's name is a hash of the bytes of the pictures, of the weights of everything that
computes it, of the precision and the device, and of the processor's settings, so that nothing else can answer to it.
What it does not do: decide whether it may be used (see `vision_proof`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import transformers

from core.data.batches.collate import Batch, Encoder, to_device
from core.data.batches.eyes import GLIMPSES, Glimpse
from core.data.rows import Picture, Row
from core.training.levers.feature_store import FeatureStore
from core.training.levers.features import Features, mapped, nbytes, rebuilt, taken_apart, together
from core.training.levers.vision_batches import Way, apart, counted, joined_inputs

FORM = 1
"""Raised when features are computed or kept in another way."""
MEMORY_BYTES = 1 << 29
"""Of features that are kept in memory. The first ones stay: rows come in another order in each epoch."""
MANY = 100_000
"""Pictures whose hash is remembered."""


@dataclass(frozen=True)
class Kind:
    """What the tower's output is, for one model."""

    output: type
    """Its class."""
    inputs: frozenset[str]
    """Inputs that only the tower reads."""
    without: frozenset[str] = frozenset()
    """Fields of the output that nobody reads."""
    way: Way | None = None
    """How the output for several rows falls into those of each; None sends them through the tower one by one."""


class VisionCache:
    """Gives a batch the tower's output in the place of its pictures' pixels.

    Args:
        base: the model inside of PEFT's.
        encoder: makes the pixels where they are needed after all.
        kind: of the output.
        identity: of all that the output depends on beside the pictures; see `identity`.
        store: on disk.
    """

    def __init__(self, base: Any, encoder: Encoder, kind: Kind, identity: str, store: FeatureStore) -> None:
        self._base, self._encoder, self._kind, self._identity, self._store = base, encoder, kind, identity, store
        self._memory: dict[str, Features] = {}
        self._free = MEMORY_BYTES
        self._hashes: dict[Picture, bytes] = {}
        self._seconds = 0.0
        self.computed = 0
        """Rows whose pictures went through the tower."""

    def __getstate__(self) -> Mapping[str, Any]:
        """For a process that only prepares rows: without model and features."""
        return self.__dict__ | {"_base": None, "_memory": {}}

    def looking(self, way: Way) -> VisionCache:
        """The same, sending several rows through the tower at once."""
        self._kind = replace(self._kind, way=way)
        return self

    @property
    def inputs(self) -> frozenset[str]:
        """Inputs of the model that only the tower reads."""
        return self._kind.inputs

    def spent(self) -> float:
        """Seconds that computing and reading features have taken so far."""
        return self._seconds

    def known(self, row: Row) -> bool:
        """Whether the tower's output for this row's pictures is at hand."""
        key = self._key(row)
        return key in self._memory or self._store.has(key)

    def keep(self, row: Row, features: Features) -> None:
        """Keeps what the tower has said of a row's pictures elsewhere."""
        key = self._key(row)
        if self._store.get(key) is None:
            self._store.put(key, features)
        self._remember(key, features)

    def seen(self, batch: Batch) -> Batch:
        """The batch with the tower's output in the place of its glimpses, on the model's device."""
        glimpses: list[Glimpse] | None = batch.get(GLIMPSES)
        if glimpses is None:
            return batch
        started = time.monotonic()
        known = self._features(glimpses)
        parts = [known[self._key(glimpse.row)] for glimpse in glimpses]
        self._seconds += time.monotonic() - started
        rest = {name: value for name, value in batch.items() if name != GLIMPSES}
        device = self._base.device
        features = {name: mapped(value, lambda t: t.to(device)) for name, value in together(parts).items()}
        return rest | {"mm_encoder_outputs": {"image": rebuilt(self._kind.output, features)}}

    def _features(self, glimpses: Sequence[Glimpse]) -> dict[str, Features]:
        """By key: from memory, from the disk, or from the tower."""
        wanted = {self._key(glimpse.row): glimpse for glimpse in glimpses}
        known = {key: self._memory.get(key) or self._store.get(key) for key in wanted}
        missing = [key for key, features in known.items() if features is None]
        for key, features in zip(missing, self._looked([wanted[key] for key in missing]), strict=True):
            self._store.put(key, features)
            known[key] = features
        found = {key: features for key, features in known.items() if features is not None}
        for key, features in found.items():
            self._remember(key, features)
        return found

    def _remember(self, key: str, features: Features) -> None:
        """In memory, as long as there is room."""
        if key not in self._memory and (size := nbytes(features)) <= self._free:
            self._free -= size
            self._memory[key] = features

    def _looked(self, glimpses: Sequence[Glimpse]) -> list[Features]:
        """From the tower. It is the same in training and in evaluation; that has been proven."""
        self.computed += len(glimpses)
        rows = [glimpse.row for glimpse in glimpses]
        inputs = [glimpse.inputs or self._encoder.pictures(glimpse.row) for glimpse in glimpses]
        # What a look computes in inference mode could not be used in training.
        with torch.inference_mode(False), torch.no_grad():
            if self._kind.way is not None and len(rows) > 1:
                joined = joined_inputs(self._encoder, rows, inputs)
                together = self._from_tower(joined) if joined is not None else {}
                parts = apart(together, counted(self._kind.way, rows, inputs)) if together else None
                if parts is not None:
                    return parts
            return [self._from_tower(given) for given in inputs]

    def _from_tower(self, inputs: Batch) -> Features:
        return taken_apart(features_of(self._base, inputs), self._kind.without)

    def _key(self, row: Row) -> str:
        name = hashlib.sha256(self._identity.encode())
        for picture in row.pictures:
            name.update(self._hash(picture))
        return name.hexdigest()

    def _hash(self, picture: Picture) -> bytes:
        """Of the picture's bytes."""
        if picture not in self._hashes:
            if len(self._hashes) >= MANY:
                self._hashes.clear()
            self._hashes[picture] = hashlib.sha256(picture.read()).digest()
        return self._hashes[picture]


def features_of(base: Any, inputs: Mapping[str, Any]) -> Any:
    """What the model makes of the pictures of a row, before its language model reads them."""
    import inspect

    taken = inspect.signature(base.get_image_features).parameters
    given = {name: value for name, value in inputs.items() if name in taken}
    return base.get_image_features(**to_device(given, base.device, base.dtype), return_dict=True)


def identity(base: Any, processor: Any, source: str, modules: Mapping[str, Any]) -> str:
    """What the features depend on beside the pictures.

    Args:
        base: the model.
        processor: with its settings.
        source: where the model is from.
        modules: those that compute the features, by name; the weights in them and directly in what holds them count.
    """
    digest = hashlib.sha256()
    facts = [FORM, transformers.__version__, torch.__version__, type(base).__name__, source, str(base.dtype)]
    facts += [base.device.type, _attention(base), _settings(processor)]
    digest.update(json.dumps(facts, sort_keys=True, default=_kind_of).encode())
    for name, tensor in _weights(base, modules):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _weights(base: Any, modules: Mapping[str, Any]) -> list[tuple[str, torch.Tensor]]:
    """Parameters and buffers of the modules, and those directly in the modules around them (rows that end a line)."""
    around = {"", *(".".join(name.split(".")[:length]) for name in modules for length in range(1, name.count(".") + 1))}
    found: dict[str, torch.Tensor] = {}
    for places, deep in ((modules.keys(), True), (around, False)):
        for place in places:
            module = base.get_submodule(place)
            for named in (module.named_parameters(recurse=deep), module.named_buffers(recurse=deep)):
                found.update((f"{place}.{name}", tensor) for name, tensor in named)
    return sorted(found.items())


def _attention(base: Any) -> list[str]:
    """How each part of the model computes attention."""
    configs = [base.config, *(getattr(base.config, name) for name in getattr(base.config, "sub_configs", {}))]
    return [str(getattr(config, "_attn_implementation", None)) for config in configs]


def _settings(processor: Any) -> dict[str, Any]:
    """Of the processor and of its part for pictures."""
    parts = (processor, getattr(processor, "image_processor", None))
    return {type(part).__name__: part.to_dict() for part in parts if part is not None and hasattr(part, "to_dict")}


def _kind_of(value: Any) -> str:
    """What stands for a value that JSON does not know: no address of this process."""
    return str(value) if isinstance(value, (torch.dtype, set, frozenset)) else type(value).__name__
