"""What the memory decides: rows at a time, accumulation and checkpointing, with the reason in numbers.

What it does not do: search for the way that fits (`core.training.fitting`), or estimate (`core.memory.estimate`).
"""

from __future__ import annotations

from math import prod

from core.errors import StudioError
from core.memory.estimate import CPU_PROCESS, estimate
from core.memory.workload import Workload
from core.models.classes import named_class, read_config
from core.models.packing import SEEING
from core.models.source import Resolved
from core.spec import Inspection, Module, Plan, Settings
from core.training.choice import By, Choice
from core.training.computer import Computer
from core.training.fitting import Found, Way, batch_of, enough_rows, fastest, stepped, ways
from core.training.shapes import RowShape

SURE = 20
"""Times the weights in fp32 that no small step takes beside its activations."""
KEPT = 16
"""Bytes, for each number that a matrix gives and takes: four of fp32, the activation and what stands around it."""
MERGED = 16
"""Patches of a picture that become one token, at most."""


class ByMemory:
    """The choices of one job.

    Args:
        resolved: the model.
        inspection: of it.
        plan: what is trained.
        settings: what the person has set, and what not.
        computer: where it will run.
        shape: of the largest rows.
    """

    def __init__(
        self,
        resolved: Resolved,
        inspection: Inspection,
        plan: Plan,
        settings: Settings,
        computer: Computer,
        shape: RowShape,
    ) -> None:
        self._resolved, self._inspection, self._plan = resolved, inspection, plan
        self._settings, self._computer, self._shape = settings, computer, shape
        self._tokens = shape.text_tokens + (shape.image_tokens or 0)
        kind = named_class(resolved, read_config(resolved))
        self._again_works = bool(kind.supports_gradient_checkpointing)
        self._fewest = self._enough()

    def chosen(self, work: Workload) -> tuple[Choice, Choice, Choice, Workload]:
        """Rows at a time, accumulation, checkpointing, and the step that they make."""
        settings = self._settings
        rows = batch_of(settings.batch_size, settings.at_once) if settings.at_once else None
        again = settings.checkpointing if self._again_works else False
        ladders = list(ways(work, rows, again, self._tokens, self._fewest))
        if (sure := self._sure(work)) is not None:
            found, why = ladders[0][0], f"It surely fits: {sure}."
        else:
            found, why = self._estimated(work, ladders)
        return (*self._said(found, why), stepped(work, found))

    def _enough(self) -> int | None:
        """The rows that give a CPU enough to do; None where the whole batch is wanted.

        Rows that share their pictures are computed together, which saves more than any cut, and batch norms look at the
        whole batch. Where no processor was asked for the tokens of pictures, rows count as shorter than they are.
        """
        settings, modules = self._settings, self._inspection.modules
        together = settings.order == "pictures" and "shared_pictures" not in settings.without
        if self._computer.device != "cpu" or together or any("BatchNorm" in module.kind for module in modules):
            return None
        reading = sum(prod(module.shape) for module in modules if _reads(module))
        return enough_rows(settings.batch_size, self._tokens, reading, self._computer.cores)

    def _estimated(self, work: Workload, ladders: list[list[Way]]) -> tuple[Way, str]:
        """The fastest way that fits, by the estimate, and what is said of it."""
        try:
            found = fastest(work, ladders, self._computer.room, self._peak)
        except StudioError as error:
            why = f"There is no estimate of this model’s memory ({error.reason}), so the way that takes least is taken."
            return ladders[-1][-1], why
        return found.way, self._numbers(found)

    def _peak(self, work: Workload) -> int:
        found = estimate(self._resolved, self._plan, work)
        self._tokens = found.image_tokens + work.text_tokens
        return found.peak_bytes

    def _numbers(self, found: Found) -> str:
        sizes = f"the step is estimated at {_gib(found.peak)} of {_gib(self._computer.free)}, {self._computer.name}"
        if not found.fits:
            return f"Even in the way that takes least {sizes}: it may run out of memory."
        if found.peak == found.whole:
            return f"It fits: {sizes}."
        return f"So it fits: {sizes}; otherwise it would be {_gib(found.whole)}."

    def _sure(self, work: Workload) -> str | None:
        """Why a step fits without an estimate, which takes seconds: so much is free. None where that is not sure.

        The bound: some times the weights, and for each token what all matrices take and give, kept several times.
        """
        if self._shape.image_tokens is None:
            return None
        seeing, reading = self._widths()
        pictures, each = self._shape.image_tokens * MERGED, self._tokens
        activations = KEPT * work.batch * (seeing * pictures + reading * each)
        bound = SURE * 4 * self._inspection.total_params + activations + CPU_PROCESS
        if bound > self._computer.room:
            return None
        return f"{_gib(bound)} is more than such a small step can take, and {_gib(self._computer.free)} is free"

    def _widths(self) -> tuple[int, int]:
        """What the matrices that see, and all others, take and give for each token, in numbers."""
        seeing = reading = 0
        for module in self._inspection.modules:
            if len(module.shape) >= 2:
                size = module.shape[0] + prod(module.shape[1:])
                seeing, reading = (seeing + size, reading) if module.component in SEEING else (seeing, reading + size)
        return seeing, reading

    def _said(self, way: Way, why: str) -> tuple[Choice, Choice, Choice]:
        settings = self._settings
        parts = settings.batch_size // way.rows
        asked = settings.at_once is not None
        rows = f"{way.rows:,} of the batch’s {settings.batch_size:,} rows at a time"
        if asked and way.rows != settings.at_once:
            rows += f", the most under {settings.at_once:,} that it can be cut into"
        if not asked and way.rows == self._fewest != settings.batch_size:
            rows += ": the processor has enough to do with them, and more would take more memory and hardly less time"
        return (
            Choice("at_once", way.rows, f"{rows}. {why}", "you" if asked else "studio"),
            Choice(
                "accumulation",
                settings.accumulation * parts,
                _added(settings.accumulation, parts),
                "you" if parts == 1 < settings.accumulation else "studio",
            ),
            Choice("checkpointing", way.again, self._again_said(way, why), self._again_by()),
        )

    def _again_said(self, way: Way, why: str) -> str:
        if self._settings.checkpointing and not self._again_works:
            return "This model’s code cannot compute its layers again; they are kept."
        if self._again_by() == "you":
            return "As the settings ask."
        if way.again:
            return f"Layers are computed again going back, which takes about a third longer. {why}"
        if not self._again_works:
            return "This model’s code cannot compute its layers again."
        return f"Layers are kept, which is faster. {why}"

    def _again_by(self) -> By:
        return "you" if self._settings.checkpointing is not None and self._again_works else "studio"


def _reads(module: Module) -> bool:
    """Whether every token of a row goes through a matrix of this module, as far as is known from its shape."""
    return len(module.shape) == 2 and module.component not in SEEING and module.role not in ("embedding", "head")


def _added(accumulation: int, parts: int) -> str:
    """What gradients are added up over, in words."""
    if accumulation * parts == 1:
        return "Each batch is an optimizer step of its own."
    if parts == 1:
        return f"Gradients are added up over {accumulation:,} batches, as the settings ask."
    batches = f"each of {accumulation:,} batches" if accumulation > 1 else "a batch"
    return f"Gradients are added up over the {parts:,} parts of {batches}; what is learned does not change by it."


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
