"""What a model is trained to say at each position is what its own `generate` says there, token by token.

The tokens of an answer are forced on `generate`, as the product calls it; the probabilities that it had for each of
them give the losses of training, whose batches are padded on the other side and hold other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from PIL import Image

from core.data.batches.collate import IGNORED, Encoder
from core.data.batches.conversations import stop_ids
from core.data.rows import PictureInMemory, ask
from core.evaluation.answers import answers_of_batch
from core.evaluation.scores import token_losses
from core.models.loading import load_processor
from tests.matrix.families import FAMILIES
from tests.matrix.line import Base, loaded

COLOURS = [PictureInMemory(Image.new("RGB", (48, 40), colour), colour) for colour in ("red", "blue", "white")]
ROWS = [
    ask(COLOURS[0], "Colour?", "red"),
    ask(COLOURS[1], "Which one is it?", "deep blue"),
    ask(COLOURS[2], "?", "w"),
]


class Forced:
    """Lets `generate` say these tokens alone; what it would have said is in the raw logits."""

    def __init__(self, answer: Sequence[int]) -> None:
        self._rest = list(answer)

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self._rest.pop(0)] = 0.0
        return forced


def said(model: Any, encoder: Encoder, row: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[int]]:
    """The losses (nats) of the answer's tokens in `generate`, and the tokens that stand there in the end."""
    answer, outputs, original = encoder.answer(row), [], model.generate

    def generate(*args: Any, **kwargs: Any) -> torch.Tensor:
        more = {"logits_processor": [Forced(answer)], "output_logits": True, "return_dict_in_generate": True}
        outputs.append(original(*args, **kwargs, **more))
        return outputs[-1].sequences

    with monkeypatch.context() as patch:
        patch.setattr(model, "generate", generate)
        answers_of_batch(model, encoder, [row], len(answer))
    logits = torch.stack(outputs[0].logits)[:, 0].float()  # [A, V]
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="none")
    return losses.tolist(), outputs[0].sequences[0, -len(answer) :].tolist()


@pytest.mark.parametrize("name", FAMILIES)
def test_training_asks_at_each_position_what_generate_answers_there(
    name: str, base_of: Callable[[str], Base], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(name)
    model, processor = loaded(base.source), load_processor(base.source)
    encoder = Encoder(processor, stop_ids(model, processor))
    with torch.no_grad():
        losses, targets = token_losses(model, encoder.training(ROWS))
    for row, line, labels in zip(ROWS, losses, targets, strict=True):
        expected, tokens = said(model, encoder, row, monkeypatch)
        assert tokens == encoder.answer(row) == labels[labels != IGNORED].tolist()
        assert tokens[-1] in encoder.stop_ids
        assert line[labels != IGNORED].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)
