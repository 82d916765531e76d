"""The same points for Trackio, TensorBoard or Weights & Biases, where one of them was asked for and is installed.

Our own curves need none of them, and whatever goes wrong over there is a note here, never the end of a job. Only
numbers, the job's name and its settings are handed on: no path, no token; what a library would collect of the machine
by itself is switched off. Whether it talks to a network is its own affair, by its own settings (WANDB_MODE,
TRACKIO_SPACE_ID); Trackio asks the Hub for the name of whoever is logged in. Read against Trackio 0.43, W&B 0.31,
TensorBoard 2.21 with torch's writer, and tensorboardX 2.6.
What it does not do: install a library, or hand on pictures and answers.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.spec import Spec, to_dict
from core.spec.settings import Reporter

PROJECT = "vlm-lora-studio"
TENSORBOARD = "tensorboard"
"""Folder of its files inside of a job's."""
HANDED_ON = ("train", "eval", "norms")
"""Kinds of points that have numbers for a curve."""
_PACKAGES: dict[Reporter, tuple[str, ...]] = {
    "trackio": ("trackio",),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
}
_NAMES: dict[Reporter, str] = {"trackio": "Trackio", "tensorboard": "TensorBoard", "wandb": "Weights & Biases"}


@dataclass(frozen=True)
class _Open:
    """A report that has begun."""

    write: Callable[[dict[str, float], int], object]
    close: Callable[[], object]


class Report:
    """Hands points on to one library.

    Args:
        spec: of the job.
        folder: of the job.
        note: is told in words what becomes of it.
    """

    def __init__(self, spec: Spec, folder: Path, note: Callable[[str], None]) -> None:
        self._kind, self._note = spec.settings.report_to, note
        self._open: _Open | None = None
        if self._kind == "none":
            return
        if not installed(self._kind):
            adds = f"`pip install {_PACKAGES[self._kind][0]}` adds it"
            note(f"{self.name} was asked for and is not installed here: {adds}. The curves on this page need it not.")
            return
        self._open = self._tried(lambda: _BEGIN[self._kind](spec, folder))
        if self._open is not None:
            note(f"The curves go to {self.name} as well.")

    @property
    def name(self) -> str:
        """Of the library, as its makers write it."""
        return _NAMES[self._kind]

    def point(self, kind: str, values: Mapping[str, Any]) -> None:
        """Hands the numbers of a point on; of other kinds than curves nothing."""
        opened, step = self._open, values.get("step")
        if opened is None or kind not in HANDED_ON or step is None:
            return
        numbers = dict(flattened(kind, values))
        self._tried(lambda: opened.write(numbers, step))

    def close(self) -> None:
        """Ends it; twice is once."""
        opened, self._open = self._open, None
        if opened is not None:
            self._tried(opened.close)

    def _tried(self, action: Callable[[], Any]) -> Any:
        """Does something over there; when it fails, that ends the report and not the job."""
        try:
            return action()
        except (Exception, SystemExit) as error:
            for frame in traceback.extract_tb(
                error.__traceback__
            ):  # the job's log; no words, in which a token may stand
                print(f"{frame.filename}, line {frame.lineno}, in {frame.name}", file=sys.stderr, flush=True)
            self._open = None
            self._note(
                f"{self.name} does not take the curves any more ({type(error).__name__}); the job goes on without it, "
                "and its log has the details."
            )
            return None


def installed(kind: Reporter) -> bool:
    """Whether a library is there."""
    return kind == "none" or any(importlib.util.find_spec(package) is not None for package in _PACKAGES[kind])


def flattened(prefix: str, values: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The numbers of a point under names with slashes, its step and time left out.

    >>> flattened("norms", {"step": 3, "grad": {"vision": 0.5, "language": None}})
    [('norms/grad/vision', 0.5)]
    """
    found: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += flattened(f"{prefix}/{name}", value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and name not in ("step", "time"):
            found.append((f"{prefix}/{name}", float(value)))
    return found


def _facts(spec: Spec) -> dict[str, Any]:
    """What is said of a job: numbers and words of its settings, without the folders of this machine."""
    facts = {name: value for name, value in to_dict(spec.settings).items() if name != "report_to"}
    hub = spec.model.name if spec.model.kind in ("hub", "demo") else None
    return facts | {"model": hub, "method": spec.plan.method, "rank": spec.plan.rank, "trainable": spec.trainable}


def _trackio(spec: Spec, folder: Path) -> _Open:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    trackio: Any = importlib.import_module("trackio")
    # Left alone it records processor, memory, disks and GPU every ten seconds; older releases know no such switch.
    known = inspect.signature(trackio.init).parameters
    left_out = {name: False for name in ("auto_log_gpu", "auto_log_cpu") if name in known}
    trackio.init(project=PROJECT, name=spec.name, config=_facts(spec), **left_out)
    return _Open(lambda numbers, step: trackio.log(numbers, step=step), trackio.finish)


def _tensorboard(spec: Spec, folder: Path) -> _Open:
    own = importlib.util.find_spec("tensorboard") is not None
    library: Any = importlib.import_module("torch.utils.tensorboard" if own else "tensorboardX")
    shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)  # an earlier attempt's curves would be drawn into these
    writer = library.SummaryWriter(log_dir=str(folder / TENSORBOARD))
    writer.add_text("settings", "\n\n".join(f"{name}: {value}" for name, value in _facts(spec).items()))

    def write(numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    return _Open(write, writer.close)


def _wandb(spec: Spec, folder: Path) -> _Open:
    wandb: Any = importlib.import_module("wandb")
    # Not what it collects by itself of the console, the code, git and the machine: more than curves.
    left_out = {"disable_git": True, "disable_code": True, "x_save_requirements": False}
    machine = {"x_disable_meta": True, "x_disable_stats": True, "x_disable_machine_info": True, "host": ""}
    settings = wandb.Settings(console="off", **left_out, **machine)
    run = wandb.init(project=PROJECT, name=spec.name, config=_facts(spec), dir=str(folder), settings=settings)
    return _Open(lambda numbers, step: run.log(numbers, step=step), run.finish)


_BEGIN: dict[Reporter, Callable[[Spec, Path], _Open]] = {
    "trackio": _trackio,
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
