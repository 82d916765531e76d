"""A batch as the worker would hand it to a model, made from the model's config and code alone.

The form of the pictures is the first that the model accepts; how many tokens stand for a picture is what its
`get_image_features` returns, or what its forward says was missing.
What it does not do: use a processor, or run with real numbers.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from core.memory.dry_run.facts import PictureFacts
from core.memory.dry_run.layouts import Layout, Pictures, layouts
from core.memory.dry_run.pretend import OutOfTime
from core.memory.dry_run.repeats import NotRepeatable
from core.memory.dry_run.step import IGNORED
from core.memory.workload import Workload

log = logging.getLogger("studio")
POSITIONS = "image_embeds_position_mask"
"""Says where pictures stand in models whose vocabulary has no token for a piece of one."""
QUESTION = "qformer_input_ids"
"""The text once more, for a vision side that reads it."""
_SAID = re.compile(r"tokens:? *(\d+).*?features:? *(?:torch\.Size\(\[)?(\d+)", re.IGNORECASE | re.DOTALL)
"""How models say that the number of image tokens is wrong."""


@dataclass(frozen=True)
class Known:
    """What is known of a model from an earlier attempt with pictures of the same size."""

    choice: int
    """Which of the forms it accepts."""
    image_tokens: int
    """Of one row."""
    width: int | None
    """See `Batch`."""


class NoLayout(Exception):
    """No known form of pictures is accepted; says what the last one met."""


@dataclass(frozen=True)
class Batch:
    """Inputs of one step, with `labels`."""

    inputs: dict[str, Any]
    image_tokens: int
    """Of one row; 0 where pictures take no place among the tokens."""
    layout: Layout
    choice: int
    """Which of the possible forms it is."""
    width: int | None = None
    """Numbers of one vector that the pictures become; None where the model does not say."""


class BatchMaker:
    """Finds out what a model wants.

    Args:
        model: PEFT model whose tensors are fake.
        workload: the step.
        attempt: runs something with the model under the fake mode.
        processed: the pictures as the model's own processor makes them, for a forward with arguments of these names.
    """

    def __init__(
        self,
        model: Any,
        workload: Workload,
        attempt: Callable[[Callable[[], Any]], Any],
        processed: Callable[[frozenset[str]], Layout | None] = lambda names: None,
    ) -> None:
        self._processed = processed
        self._model, self._workload, self._attempt = model.get_base_model(), workload, attempt
        self._facts = PictureFacts(self._model.config)
        self._names = frozenset(inspect.signature(self._model.forward).parameters)

    def make(self, known: Known | None = None) -> Batch:
        """The batch; nothing is tried where it is known what the model accepts.

        Raises:
            NoLayout: the model accepts none of the known forms.
        """
        pictures = Pictures(self._workload.batch, self._workload.images, self._workload.image_size)
        if not pictures.count:
            return self._batch(Layout("no pictures", {}), 0, 0)
        reasons: list[str] = []
        for choice, layout in enumerate(self._forms(pictures)):
            if known is not None:
                if choice == known.choice:
                    return replace(self._batch(layout, known.image_tokens, choice), width=known.width)
                continue
            try:
                return self._accepted(layout, choice)
            except (NotRepeatable, OutOfTime):
                raise
            except Exception as error:  # whatever a model raises at inputs that are not its own
                reasons.append(f"as {layout.name}: {(str(error).splitlines() or [''])[0] or type(error).__name__}")
        raise NoLayout(reasons[0] if reasons else "its forward takes no pictures in a form that is known here")

    def _forms(self, pictures: Pictures) -> Iterator[Layout]:
        """The forms to try, the surest first."""
        own = self._processed(self._names)
        if own is not None:
            yield own
        yield from layouts(self._facts, pictures, self._names)

    def _accepted(self, layout: Layout, choice: int) -> Batch:
        """The batch with pictures of this form; raises whatever the model raises if it does not take them."""
        if POSITIONS in self._names:
            return self._batch(layout, self._workload.images * self._facts.number("latent_query_num"), choice)
        try:
            features = self._features(layout)
        except (NotRepeatable, OutOfTime):
            raise
        except Exception as error:  # the forward may still take it, and is asked next
            if self._facts.image_token is None:
                raise
            log.debug("get_image_features refuses %s: %s", layout.name, error)
            features = None
        if features is not None:
            count, width = features
            return replace(self._batch(layout, count // self._workload.batch, choice), width=width)
        batch = self._batch(layout, 0 if self._facts.image_token is None else 1, choice)
        try:
            self._attempt(lambda: self._model(**_without_labels(batch.inputs), use_cache=False))
        except (ValueError, RuntimeError) as error:
            if (said := _SAID.search(str(error))) is None:
                raise
            batch = self._batch(layout, int(said[2]) // self._workload.batch, choice)
            self._attempt(lambda: self._model(**_without_labels(batch.inputs), use_cache=False))
        return batch

    def _features(self, layout: Layout) -> tuple[int, int | None] | None:
        """How many vectors the pictures become, and how wide each is; None where the model does not say.

        It does not where it takes them elsewhere.
        """
        model: Any = self._model if hasattr(self._model, "get_image_features") else getattr(self._model, "model", None)
        if not hasattr(model, "get_image_features") or self._facts.image_token is None:
            return None
        wanted = inspect.signature(model.get_image_features).parameters
        named = {key: value for key, value in layout.inputs.items() if key in wanted}
        if QUESTION in wanted:
            named[QUESTION] = torch.ones(self._workload.batch, self._workload.text_tokens, dtype=torch.long)
        try:
            output = self._attempt(lambda: model.get_image_features(**named))
        except TypeError:  # an argument that its signature hides
            output = self._attempt(lambda: model.get_image_features(**layout.inputs))
        found = getattr(output, "pooler_output", None)
        if found is None:
            found = getattr(output, "last_hidden_state", output)
        tensors = [leaf for leaf in tree_leaves(found) if isinstance(leaf, torch.Tensor)]
        if not tensors:  # it hands them on under a name of its own (Granite Vision's, layer by layer)
            return None
        widths = {tensor.shape[-1] for tensor in tensors}
        width = widths.pop() if len(widths) == 1 else None
        return sum(tensor.numel() // tensor.shape[-1] for tensor in tensors), width

    def _batch(self, layout: Layout, image_tokens: int, choice: int) -> Batch:
        """Rows of a first token, the pictures' tokens and text, with everything that goes by token."""
        work, facts = self._workload, self._facts
        plain = next(token for token in range(3, facts.vocabulary) if token not in facts.special_tokens())
        row = torch.full((work.text_tokens + image_tokens,), plain)
        stands = torch.zeros_like(row)
        for places in _places(image_tokens, work.images, len(row)):
            row[places], stands[places] = facts.image_token or 0, 1
        ids = row.expand(work.batch, -1).contiguous()
        labels = torch.full_like(ids, IGNORED)
        labels[:, -work.supervised_tokens :] = plain
        inputs: dict[str, Any] = {"input_ids": ids, "labels": labels, **layout.inputs}
        inputs.update(self._by_token(ids, stands.expand(work.batch, -1).contiguous(), layout))
        return Batch(inputs, image_tokens, layout, choice)

    def _by_token(self, ids: torch.Tensor, stands: torch.Tensor, layout: Layout) -> Iterator[tuple[str, Any]]:
        """What goes by token beside the ids and labels, as far as the model takes it."""
        if "attention_mask" in self._names:
            yield "attention_mask", torch.ones_like(ids)
        for name in ("mm_token_type_ids", "token_type_ids", POSITIONS):
            if name in self._names:
                yield name, stands
        if "cross_attention_mask" in self._names and "aspect_ratio_mask" in layout.inputs:
            shape = layout.inputs["aspect_ratio_mask"].shape
            yield "cross_attention_mask", torch.ones(*ids.shape, *shape[1:], dtype=torch.long)
        if {"image_attention_mask", "image_encoder_embeddings"} <= self._names:  # which pictures a token looks at
            yield "image_attention_mask", torch.ones(*ids.shape, max(1, self._workload.images), dtype=torch.long)
        if QUESTION in self._names:
            yield QUESTION, ids[:, -self._workload.text_tokens :]
        if "decoder_input_ids" in self._names:
            yield "decoder_input_ids", ids


def _places(image_tokens: int, images: int, length: int) -> Iterator[slice]:
    """Where the pictures' tokens stand in a row: after its first token, one apart if there is room."""
    if not image_tokens:
        return
    each = image_tokens // images
    gap = int(image_tokens + images + 1 <= length and each * images == image_tokens)
    if not gap:
        yield slice(1, 1 + image_tokens)
        return
    for picture in range(images):
        start = 1 + picture * (each + 1)
        yield slice(start, start + each)


def _without_labels(inputs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if key != "labels"}
