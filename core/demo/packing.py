"""Many questions about many pictures in one batch, without padding between them and without seeing each other.

A row holds several segments, one a picture: the prompt's start with the nine image tokens, then blocks, one a
question with its answer. A block sees its own past and its picture; positions restart after the picture, so
each block is token for token what the chat template makes of a conversation with that one question.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from core.demo.architecture import AROUND_IMAGE, END, GLOBAL_IMAGE, IMAGE, IMAGE_TOKENS, START
from core.demo.questions import Question

ROW = 192
IGNORED = -100


@dataclass(frozen=True)
class Packed:
    """One batch of R rows of T tokens, with N pictures in the order of their image tokens."""

    ids: torch.Tensor
    """[R, T] token ids."""
    positions: torch.Tensor
    """[R, T] positions, restarting with every segment and block."""
    mask: torch.Tensor
    """[R, 1, T, T] who sees whom, bool."""
    labels: torch.Tensor
    """[R, T] the next token where it belongs to an answer, else -100."""
    blocks: torch.Tensor
    """[R, T] number of the question in `questions`, -1 elsewhere."""
    questions: list[Question]
    pictures: list[int]
    """Which scenes were placed, in the order of their image tokens."""


class Packer:
    """Turns scenes' questions into `Packed` batches; keeps tokenised sentences, which repeat."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, row: int = ROW) -> None:
        self._row = row
        self._encode = lru_cache(maxsize=None)(lambda text: tuple(tokenizer(text, add_special_tokens=False).input_ids))
        around = f"{START}User:{AROUND_IMAGE}{GLOBAL_IMAGE}{IMAGE * IMAGE_TOKENS}{AROUND_IMAGE}"
        self.prefix = self._encode(around)

    def pack(self, asked: list[list[Question]]) -> Packed:
        """First fit: a scene that fits no open row opens a new one.

        Raises:
            ValueError: one scene's questions are longer than a row.
        """
        rows: list[_Row] = []
        placed: list[list[int]] = []
        for scene, questions in enumerate(asked):
            blocks = [self._block(q) for q in questions]
            need = len(self.prefix) + sum(len(ids) for ids, _ in blocks)
            if need > self._row:
                raise ValueError(f"{len(questions)} questions need {need} tokens, a row has {self._row}: ask fewer")
            at = next((i for i, r in enumerate(rows) if len(r.ids) + need <= self._row), len(rows))
            if at == len(rows):
                rows.append(_Row())
                placed.append([])
            rows[at].add(self.prefix, blocks, questions)
            placed[at].append(scene)
        return self._finish(rows, [scene for row in placed for scene in row])

    def _block(self, question: Question) -> tuple[tuple[int, ...], int]:
        """Tokens of a question and its answer, and how many of them come before the answer."""
        before = self._encode(f"{question.text}{END}\nAssistant:")
        answer = self._encode(f" {question.answer}{END}")
        return before + answer, len(before)

    def _finish(self, rows: list[_Row], pictures: list[int]) -> Packed:
        length = max(len(r.ids) for r in rows)
        questions = [q for r in rows for q in r.questions]
        ids, positions, labels, segments, blocks = (
            np.full((len(rows), length), fill, np.int64) for fill in (0, 0, IGNORED, -1, -1)
        )
        offset = 0
        for i, row in enumerate(rows):
            n = len(row.ids)
            ids[i, :n], positions[i, :n], labels[i, :n] = row.ids, row.positions, row.labels
            segments[i, :n] = row.segments
            local = np.array(row.blocks)
            blocks[i, :n] = np.where(local >= 0, local + offset, -1)
            offset += len(row.questions)
        mask = torch.from_numpy(_mask(segments, blocks))
        tokens, places, wanted, numbers = (torch.from_numpy(a) for a in (ids, positions, labels, blocks))
        return Packed(tokens, places, mask, wanted, numbers, questions, pictures)


class _Row:
    def __init__(self) -> None:
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.labels: list[int] = []
        self.segments: list[int] = []
        self.blocks: list[int] = []
        self.questions: list[Question] = []
        self._segment = 0

    def add(
        self, prefix: tuple[int, ...], blocks: list[tuple[tuple[int, ...], int]], questions: list[Question]
    ) -> None:
        self._extend(prefix, 0, [IGNORED] * len(prefix), -1)
        for (ids, before), question in zip(blocks, questions, strict=True):
            labels = [IGNORED] * (before - 1) + list(ids[before:]) + [IGNORED]
            self._extend(ids, len(prefix), labels, len(self.questions))
            self.questions.append(question)
        self._segment += 1

    def _extend(self, ids: tuple[int, ...], start: int, labels: list[int], block: int) -> None:
        self.ids += ids
        self.positions += range(start, start + len(ids))
        self.labels += labels
        self.segments += [self._segment] * len(ids)
        self.blocks += [block] * len(ids)


def _mask(segments: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """[R, T] segments and blocks -> [R, 1, T, T]: the past of the own block and of the own picture."""
    same_segment = segments[:, :, None] == segments[:, None, :]
    seen_block = (blocks[:, None, :] == -1) | (blocks[:, :, None] == blocks[:, None, :])
    causal = np.tril(np.ones((segments.shape[1],) * 2, bool))
    allowed: np.ndarray = (same_segment & seen_block & causal)[:, None]
    return allowed
