"""Two real steps of every architecture of the zoo that can be built small, on what the studio selects by default.

The batch is made from the model's config as the memory estimate makes its own, with random pixels.
What it does not do: use a processor; the families of `test_matrix` go through the worker with theirs.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from core.errors import PlanError, StudioError
from core.evaluation.scores import token_losses
from core.lora.limits import refuse_impossible
from core.lora.plan import make_plan
from core.lora.presets import usual_cells
from core.lora.wrap import wrap
from core.memory.dry_run.inputs import NoLayout
from core.memory.workload import Workload
from core.models.build import build_on_meta
from core.models.inspection import inspect_model
from core.models.trainable import refuse_unteachable
from core.models.zoo import Architecture, as_source
from core.spec import Inspection, Plan, Recipe, Selection
from tests.matrix.shrinking import MOST_PARAMETERS, small_configs
from tests.memory.measuring import made_batch
from tests.memory.small_models import CONFIGS

WORK = Workload(batch=2, image_size=(56, 56), text_tokens=12, supervised_tokens=4)
Outcome = Literal["trained", "refused", "not run"]


@dataclass(frozen=True)
class Verdict:
    """What became of one architecture."""

    name: str
    outcome: Outcome
    detail: str
    """How much learned, or why not."""

    def line(self) -> str:
        """Of the table in the documentation."""
        return f"| {self.name} | {self.outcome} | {self.detail} |"


def two_steps(architecture: Architecture) -> Verdict:
    """Trains it, or says why not, as the studio says it before a launch."""
    try:
        with as_source(architecture.name, architecture.config) as resolved:
            made = inspect_model(build_on_meta(resolved), resolved.source)
        refuse_unteachable(made)
        plan_of(made)
    except StudioError as refusal:
        return Verdict(architecture.name, "refused", refusal.reason)
    reasons: list[str] = []
    gc.collect()
    for config in _configs(architecture):
        try:
            return Verdict(architecture.name, "trained", _trained(architecture, config))
        except PlanError as refusal:
            return Verdict(architecture.name, "refused", refusal.reason)
        except Exception as error:  # whatever a model raises that was made too small
            reasons.append(_plain(error))
    return Verdict(architecture.name, "not run", reasons[0])


def _configs(architecture: Architecture) -> Iterator[dict[str, Any]]:
    """Those that the memory estimate is measured with, else the default one made small."""
    known = CONFIGS.get(architecture.name)
    return iter([known]) if known else small_configs(architecture)


def _plain(error: Exception) -> str:
    """What a model raised, short and on one line of a table."""
    if isinstance(error, NoLayout):
        return f"no pictures that it takes could be made from its config ({_short(error)})"
    if isinstance(error, StudioError):
        return _short(Exception(error.reason))
    return f"made small it does not fit together ({_short(error)})"


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()).replace("|", "/")
    return text if len(text) <= 110 else f"{text[:109]}…"


def plan_of(made: Inspection) -> Plan:
    """LoRA on what the studio selects by default.

    Raises:
        StudioError: nothing is selected, or it cannot be trained.
    """
    plan = make_plan(made, Selection(cells=usual_cells(made)), Recipe(rank=4, alpha=8.0))
    refuse_impossible(plan, made)
    return plan


def _trained(architecture: Architecture, config: dict[str, Any]) -> str:
    with as_source(architecture.name, config) as resolved:
        small = build_on_meta(resolved)
        made = inspect_model(small, resolved.source)
    if sum(parameter.numel() for parameter in small.parameters()) > MOST_PARAMETERS:
        raise ValueError("it is not small")
    torch.manual_seed(0)
    model = type(small)(small.config)
    plan = plan_of(made)
    wrapped = wrap(model, plan)
    losses = _steps(wrapped, made_batch(wrapped, WORK))
    if not all(map(math.isfinite, losses)):
        raise ValueError(f"its loss is {losses}")
    return _learned(wrapped, plan)


def _steps(wrapped: Any, batch: dict[str, Any], steps: int = 2) -> list[float]:
    trained = [parameter for parameter in wrapped.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)
    losses = []
    for _ in range(steps):
        nats, targets = token_losses(wrapped.train().get_base_model(), batch)
        loss = nats.sum() / (targets != -100).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def _learned(wrapped: Any, plan: Plan) -> str:
    """How many of the targets have moved: LoRA's second matrix begins at zero."""
    second = [value for name, value in wrapped.named_parameters() if ".lora_B." in name or ".lora_embedding_A." in name]
    moved = sum(bool(value.detach().abs().sum() > 0) for value in second)
    return f"{moved} of {len(second)}"
