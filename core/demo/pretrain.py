"""Trains the demo model from nothing, exports it, measures it and writes its card.

    python -m core.demo.pretrain --out RUN_FOLDER --seed 0 [--steps-scale X] [--resume] [--export DIR]

Counts steps, never time: the same seed and scale give the same schedule on a busy machine. A step's data depends on
the seed, the stage and the step's number alone, so a resumed run sees what the uninterrupted one would have seen.
It uses one CPU thread unless told otherwise, and no accelerator.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from core.demo.architecture import make_model, make_processor, save_folder, train_tokenizer
from core.demo.card import measure_and_describe
from core.demo.heldout import Probe, Score
from core.demo.packing import Packer
from core.demo.scenes import Sprites, find_fonts
from core.demo.stages import LOSSES, STAGES, Scaffold, Step, World, trained_parts, word_embeddings


@dataclass(frozen=True)
class Stage:
    """How one stage is trained."""

    steps: int
    scenes: int
    """Scenes a step."""
    matrix_rate: float
    """Peak learning rate of the weight matrices (Muon)."""
    rate: float
    """Peak learning rate of embeddings, norms, biases and heads (AdamW)."""


PLAN: dict[str, Stage] = {
    "read": Stage(steps=1200, scenes=32, matrix_rate=6e-3, rate=2e-3),
    "see": Stage(steps=1600, scenes=128, matrix_rate=5e-3, rate=1.5e-3),
    "speak": Stage(steps=1400, scenes=40, matrix_rate=1.5e-3, rate=5e-4),
}
WARM_UP = 40
FLOOR = 0.03
SPRITE_VARIANTS = 250


@dataclass(frozen=True)
class Settings:
    """What a run was started with."""

    out: Path
    """The run folder: checkpoint, progress."""
    seed: int = 0
    steps_scale: float = 1.0
    """Multiplies every stage's steps; 0.001 runs in seconds, for tests."""
    threads: int = 1
    """CPU threads. The last digits of the weights depend on it."""
    save_every: int = 100
    """Steps between checkpoints."""
    probe_every: int = 100
    """Steps between looks at the accuracy per question type."""
    stop_after: int | None = None
    """Stop after this many steps of this call, as if killed; for tests of resuming."""

    def steps(self, stage: str) -> int:
        """Steps of a stage at this scale."""
        return max(2, round(PLAN[stage].steps * self.steps_scale))


class Run:
    """A run's state: model, scaffold, data, and how far it has come."""

    def __init__(self, settings: Settings) -> None:
        torch.set_num_threads(settings.threads)
        self.settings = settings
        self.tokenizer = train_tokenizer(settings.seed)
        self.model = make_model(self.tokenizer, settings.seed)
        self.scaffold = Scaffold(word_embeddings(self.model, self.tokenizer))
        fonts, packer = find_fonts(), Packer(self.tokenizer)
        variants = max(4, round(SPRITE_VARIANTS * min(1.0, settings.steps_scale)))
        self.world = World(packer, Sprites(settings.seed, variants, fonts))
        self.probe = Probe(World(packer, Sprites(settings.seed + 1_000_000, 20, fonts)), settings.seed)
        self.stage, self.step = STAGES[0], 0
        self.optimizers: list[torch.optim.Optimizer] = []
        self.begin_stage(STAGES[0])

    def begin_stage(self, stage: str) -> None:
        """New optimizers for the parts that learn in this stage; the others keep still."""
        self.stage, self.step = stage, 0
        parts = trained_parts(stage, self.model, self.scaffold)
        for parameter in [*self.model.parameters(), *self.scaffold.parameters()]:
            parameter.requires_grad_(False)
        for parameter in (p for part in parts for p in part.parameters()):
            parameter.requires_grad_(True)
        self.optimizers = make_optimizers(parts, PLAN[stage])

    def train_step(self) -> float:
        """One step of the present stage; returns its loss."""
        plan, seed = PLAN[self.stage], self.settings.seed
        rng = np.random.default_rng([seed, STAGES.index(self.stage), self.step])
        total = self.settings.steps(self.stage)
        step = Step(rng, plan.scenes, self.step / total)
        with torch.autocast("cpu", torch.bfloat16):
            loss = LOSSES[self.stage](self.model, self.scaffold, self.world, step)
        loss.backward()
        groups = [g for o in self.optimizers for g in o.param_groups]
        nn.utils.clip_grad_norm_([p for g in groups for p in g["params"]], 1.0)
        for group in groups:
            group["lr"] = group["peak"] * rate_factor(self.step, total)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        return loss.item()

    def scores(self) -> dict[str, Score]:
        """Held-out accuracy of what the present stage trains."""
        with torch.autocast("cpu", torch.bfloat16):
            if self.stage == "see":
                return self.probe.cells(self.model, self.scaffold)
            return self.probe.answers(self.model, self.scaffold if self.stage == "read" else None)

    def save(self) -> None:
        """Write the checkpoint beside the old one, then swap: a kill leaves one of them whole."""
        new, kept = self.settings.out / "checkpoint.new", self.settings.out / "checkpoint"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        save_file(self._weights(), new / "weights.safetensors")
        torch.save([o.state_dict() for o in self.optimizers], new / "optimizer.pt")
        state = {"stage": self.stage, "step": self.step, "seed": self.settings.seed, "scale": self.settings.steps_scale}
        (new / "state.json").write_text(json.dumps(state), "utf-8")
        shutil.rmtree(kept, ignore_errors=True)
        os.replace(new, kept)

    def load(self) -> None:
        """Go on from the checkpoint.

        Raises:
            FileNotFoundError: the run folder has none.
            ValueError: it was made with another seed or scale.
        """
        kept = self.settings.out / "checkpoint"
        if not kept.exists() and (self.settings.out / "checkpoint.new" / "state.json").exists():
            os.replace(self.settings.out / "checkpoint.new", kept)
        state = json.loads((kept / "state.json").read_text("utf-8"))
        asked = {"seed": self.settings.seed, "scale": self.settings.steps_scale}
        if {k: state[k] for k in asked} != asked:
            raise ValueError(f"{kept} was made with {state}, not {asked}: give the same, or a new --out")
        self.begin_stage(state["stage"])
        self.step = state["step"]
        for name, tensor in load_file(kept / "weights.safetensors").items():
            self._weights()[name].copy_(tensor)
        for optimizer, held in zip(self.optimizers, torch.load(kept / "optimizer.pt", weights_only=True), strict=True):
            optimizer.load_state_dict(held)

    def _weights(self) -> dict[str, torch.Tensor]:
        parts = {"model": self.model, "scaffold": self.scaffold}
        named = {f"{k}.{n}": p.detach() for k, part in parts.items() for n, p in part.named_parameters()}
        return {n: p.contiguous() for n, p in named.items()}

    def export(self, folder: Path) -> None:
        """Write the model folder."""
        save_folder(self.model, make_processor(self.tokenizer), folder)


def make_optimizers(parts: list[nn.Module], plan: Stage) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices of the layers, AdamW for all else; embeddings are tables, not matrices."""
    owners = [(m, p) for part in parts for m in part.modules() for p in m.parameters(recurse=False)]
    matrices = [p for m, p in owners if isinstance(m, nn.Linear) and p.ndim == 2]
    others = [p for m, p in owners if not (isinstance(m, nn.Linear) and p.ndim == 2)]
    muon = torch.optim.Muon(
        [{"params": matrices, "peak": plan.matrix_rate}],
        lr=plan.matrix_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw",
    )  # fmt: skip
    adam = torch.optim.AdamW(
        [{"params": others, "peak": plan.rate}], lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    return [muon, adam]


def rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to FLOOR."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return warm * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * step / steps)))


def train(run: Run) -> None:
    """Run all the stages that are left, with checkpoints and progress lines."""
    settings, taken = run.settings, 0
    for stage in STAGES[STAGES.index(run.stage) :]:
        if stage != run.stage:
            run.begin_stage(stage)
        total, started, first = settings.steps(stage), time.monotonic(), run.step
        while run.step < total:
            loss = run.train_step()
            taken += 1
            if run.step % settings.probe_every == 0 or run.step == total:
                seconds = (time.monotonic() - started) / (run.step - first)
                report(run, total, loss, seconds)
            if run.step % settings.save_every == 0 or run.step == total or taken == settings.stop_after:
                run.save()
            if taken == settings.stop_after:
                return


def report(run: Run, total: int, loss: float, seconds: float) -> None:
    """Print and keep one line of progress: accuracy per question type, since the loss alone misleads."""
    shares = {name: round(100 * score.share, 1) for name, score in run.scores().items()}
    line = {
        "stage": run.stage, "step": run.step, "of": total, "loss": round(loss, 4),
        "seconds_a_step": round(seconds, 3), "accuracy": shares,
    }  # fmt: skip
    print(json.dumps(line), flush=True)
    with (run.settings.out / "progress.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Train (or go on, or only export), then measure the exported folder and write its card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="run folder: checkpoint and progress")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps-scale", type=float, default=1.0, help="multiplies the steps of every stage")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--resume", action="store_true", help="go on from the run folder's checkpoint")
    parser.add_argument("--export", type=Path, help="model folder to write; default: model/ in the run folder")
    parser.add_argument("--export-only", action="store_true", help="export the checkpoint as it is, without training")
    parser.add_argument("--questions", type=int, default=150, help="held-out questions per type in the measurement")
    chosen = parser.parse_args(arguments)
    settings = Settings(chosen.out, chosen.seed, chosen.steps_scale, chosen.threads)
    chosen.out.mkdir(parents=True, exist_ok=True)
    run = Run(settings)
    if chosen.resume or chosen.export_only:
        run.load()
    if not chosen.export_only:
        train(run)
    folder = chosen.export or chosen.out / "model"
    run.export(folder)
    steps = {stage: settings.steps(stage) for stage in STAGES}
    measure_and_describe(folder, settings.seed, steps, chosen.questions)


if __name__ == "__main__":
    main()
