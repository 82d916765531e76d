"""The tuned model beside the original: one model in memory, asked twice, once with its adapter switched off.

What it does not do: train, judge an answer, or keep more than the adapter that was opened last; and not even that
once `release_comparison` was called, as whoever starts a job should before.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image

from core.adapters.bundle import adapter_folder
from core.data.files.pictures import MAX_PIXELS
from core.data.rows import PictureInMemory, Row, ask
from core.errors import AdapterError
from core.job_files import SPEC, WEIGHTS
from core.models.out_of_memory import is_out_of_memory
from core.models.packing import left_whole
from core.models.relabel import relabelled
from core.models.threads import threads_for
from core.spec import Spec, read

MAX_QUESTION = 2000
"""Characters."""
_TURN = threading.Lock()
"""Held while a model answers: switching its adapter and torch's threads concern everyone who asks at the same time."""


@dataclass(frozen=True)
class Answers:
    """What both say to the same question about the same picture."""

    base: str
    tuned: str


class Comparison:
    """Base model and adapter of one job. Safe to use from many threads; they take turns.

    Raises:
        AdapterError: there is no adapter, it does not fit its model, or the memory does not suffice.
        SourceError: the base model cannot be loaded.
    """

    def __init__(self, job_dir: Path, token: bool = True) -> None:
        from peft import PeftModel

        from core.models.loading import load_processor

        self.spec = read(Spec, job_dir / SPEC)
        folder = adapter_folder(job_dir)
        with _memory_in_words("The adapter was opened", "Wait until a running job has ended, or take a smaller model"):
            self._processor = load_processor(self.spec.model, token)
            base = _loaded(self.spec, token)
            try:
                self._model = PeftModel.from_pretrained(base, str(folder)).eval()
            except (ValueError, RuntimeError) as error:  # PEFT: modules that are not there, shapes that differ
                if is_out_of_memory(error):
                    raise
                raise _does_not_fit(str(error).splitlines()[0]) from error
        _check_whole(self._model, folder)

    def answer(self, picture: Image, question: str) -> Answers:
        """Both answers, greedy, as the evaluation of the job takes them.

        Raises:
            AdapterError: the question is empty or too long, the picture too large, or the memory did not suffice.
        """
        return self.answer_row(_checked(picture, question))

    def answer_row(self, row: Row) -> Answers:
        """Both answers to a row of the data, with all its pictures and turns; see `answer`."""
        rows = [row]
        with (
            _memory_in_words("An answer was asked for", "Take a smaller picture or end a running job"),
            _TURN,
            threads_for(self._model.num_parameters()),
        ):
            tuned = self._ask(rows)
            with self._model.disable_adapter():
                base = self._ask(rows)
        return Answers(base, tuned)

    def _ask(self, rows: list[Row]) -> str:
        from core.evaluation.answers import generate_answers

        return generate_answers(self._model, self._processor, rows, self.spec.settings.max_new_tokens, batch_size=1)[0]


def open_comparison(job_dir: Path, token: bool = True) -> Comparison:
    """The comparison of a job; the one opened last stays in memory, the one before is let go.

    Without `token` the base model is fetched as by someone who is not logged in to the Hub.

    Raises:
        AdapterError, SourceError: see `Comparison`.
    """
    return _latest.open(job_dir.resolve(), token)


def release_comparison() -> None:
    """Lets the model of the last comparison go, so that a job has its memory; the next question loads it again.

    An answer that is being given keeps the model until it is done. Costs nothing when there is none.
    """
    _latest.release()


class _Latest:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[Path, int] | None = None
        self._comparison: Comparison | None = None

    def open(self, job_dir: Path, token: bool) -> Comparison:
        key = (job_dir, (adapter_folder(job_dir) / WEIGHTS).stat().st_mtime_ns)
        with self._lock:
            if self._comparison is None or self._key != key:
                if self._comparison is not None:  # the old model goes before the new one needs its memory
                    self._comparison = None
                    _free()
                self._comparison, self._key = Comparison(job_dir, token), key
            return self._comparison

    def release(self) -> None:
        with self._lock:
            if self._comparison is None:
                return
            self._comparison = self._key = None
        _free()


_latest = _Latest()


def _free() -> None:
    """Gives memory back that nothing uses any more: models hold themselves in circles, CUDA keeps what it once had."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def _memory_in_words(asked: str, remedy: str) -> Iterator[None]:
    """Turns running out of memory into a sentence."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise AdapterError(asked, "the memory did not suffice", remedy) from None


def _checked(picture: Image, question: str) -> Row:
    from PIL import ImageOps

    asked = "An answer was asked for"
    words = question.strip()
    if not words:
        raise AdapterError(asked, "the question is empty", "Write a question")
    if len(words) > MAX_QUESTION:
        raise AdapterError(asked, f"the question has {len(words):,} characters", f"Keep it under {MAX_QUESTION:,}")
    if picture.width * picture.height > MAX_PIXELS:
        limit = f"the limit is {MAX_PIXELS // 1_000_000} megapixels"
        raise AdapterError(
            asked, f"the picture has {picture.width:,} × {picture.height:,} pixels and {limit}", "Shrink it"
        )
    return ask(PictureInMemory(ImageOps.exif_transpose(picture).convert("RGB")), words)


def _check_whole(model: Any, folder: Path) -> None:
    """PEFT only warns when a file lacks weights or holds others: the tuned side would silently be half the base."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, "pt") as file:
        stored = set(file.keys())
    if stored != set(get_peft_model_state_dict(model, save_embedding_layers=False)):
        raise _does_not_fit("its file holds the weights of other modules")


def _loaded(spec: Spec, token: bool) -> Any:
    """The base model as the worker loads it, so that the answers are those that were measured."""
    from core.models.device import choose_device
    from core.models.inspection import inspect_source
    from core.models.loading import load_model

    settings = spec.settings
    inspection = relabelled(inspect_source(spec.model, token=token), spec.selection.relabels)
    device, dtype, _ = choose_device(settings.precision, inspection.total_params)
    whole = (*spec.plan.full_modules, *left_whole(inspection, settings.quantized_part))
    attention = "eager" if settings.attention == "eager" else None  # flash attention may not be on this machine
    return load_model(spec.model, device, dtype, token, settings.quantization, whole, attention)


def _does_not_fit(reason: str) -> AdapterError:
    return AdapterError(
        "The adapter was opened", f"it does not fit its base model ({reason})", "Train it again on this model"
    )
