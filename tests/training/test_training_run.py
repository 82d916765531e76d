"""A job that runs to its end: what it writes, and that the adapter is what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.data.source import load_dataset
from core.evaluation.answers import generate_answers
from core.lora.budget import budget
from core.models.loading import load_model, load_processor
from core.spec import Source, Spec, read
from core.training.looks import choose_rows
from core.training.worker import run
from tests.training.short_jobs import demo_inspection, make_spec, of_kind, same, series, status_of


def spec_of(folder: Path) -> Spec:
    return read(Spec, folder / "spec.json")


def shown_rows(folder: Path) -> list:
    spec = spec_of(folder)
    held_out = choose_rows(load_dataset(spec.data).heldout, spec.settings)
    return [held_out.rows[index] for index in held_out.shown]


def test_the_loss_falls_and_the_job_finishes(finished: Path) -> None:
    losses = [point["loss"] for point in of_kind(finished, "train")]
    status = status_of(finished)
    assert status.state == "finished"
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])
    assert status.before is not None
    assert status.after is not None
    assert status.after.loss < status.before.loss
    assert status.after.rows == status.before.rows == 6


def test_the_status_says_how_it_went(finished: Path) -> None:
    status, spec = status_of(finished), spec_of(finished)
    assert (status.step, status.total_steps, status.trainable) == (12, 12, spec.trainable)
    assert status.pid
    assert status.started <= status.updated
    assert "CPU" in status.device or "cuda" in status.device.lower()
    assert status.steps_per_second > 0
    assert status.error is None
    assert 1 / 3 <= status.majority <= 0.5


def test_every_step_stands_once_and_in_order(finished: Path) -> None:
    assert [point["step"] for point in of_kind(finished, "train")] == list(range(1, 13))
    assert [point["step"] for point in of_kind(finished, "eval")] == [0, 2, 4, 6, 8, 10, 12]
    assert [point["step"] for point in of_kind(finished, "answers")] == [0, 2, 4, 6, 8, 10, 12]
    times = [point["time"] for point in series(finished)]
    assert times == sorted(times)


def test_every_point_has_its_keys(finished: Path) -> None:
    for point in of_kind(finished, "train"):
        assert set(point) == {
            *("kind", "time", "step", "epoch", "loss", "learning_rate", "grad_norm"),
            *("rows_per_second", "tokens_per_second", "device_memory", "host_memory"),
        }
    for point in of_kind(finished, "eval"):
        assert set(point) == {"kind", "time", "step", "loss", "exact_match", "rows", "metrics", "metric"}
        assert point["rows"] == 4
    assert all(point["text"] for point in of_kind(finished, "note"))


def test_looks_are_judged_by_the_measure_that_suits_the_data(finished: Path) -> None:
    (chosen,) = [point for point in of_kind(finished, "choice") if point["name"] == "metric"]
    assert (chosen["value"], chosen["by"]) == ("accuracy", "studio")
    assert "3 different answers" in chosen["reason"]
    for point in of_kind(finished, "eval"):
        assert point["metric"] == "accuracy"
        assert point["metrics"]["accuracy"] == point["exact_match"]
        assert 0 < point["metrics"]["majority"] < 1
    for score in (status_of(finished).before, status_of(finished).after):
        assert score.interval[0] <= score.metrics["accuracy"] <= score.interval[1]


def test_what_changed_is_proved(finished: Path) -> None:
    proof = json.loads((finished / "proof.json").read_text())
    assert proof["frozen"]["same"], proof["words"]
    changed = {name: part["update"] > 0 for name, part in proof["components"].items()}
    assert changed == {"vision": False, "projector": False, "language": True}
    assert proof["words"] in (finished / "adapter" / "README.md").read_text()


def test_samples_name_pictures_in_the_data_folder_and_each_look_answers_them(finished: Path) -> None:
    (samples,) = of_kind(finished, "samples")
    folder = Path(spec_of(finished).data.name)
    assert len(samples["samples"]) == 3
    held_out = choose_rows(load_dataset(spec_of(finished).data).heldout, spec_of(finished).settings)
    different = {row.answer for row in held_out.rows[: held_out.quick]}
    assert {sample["expected"] for sample in samples["samples"]} == different, "different answers are shown first"
    for sample in samples["samples"]:
        assert (folder / sample["picture"]).is_file()
        assert sample["picture"].startswith("heldout/")
    for point in of_kind(finished, "answers"):
        assert [one["index"] for one in point["answers"]] == [sample["index"] for sample in samples["samples"]]


def test_base_answers_are_those_of_a_freshly_loaded_base_model(finished: Path) -> None:
    (samples,) = of_kind(finished, "samples")
    spec = spec_of(finished)
    model = load_model(spec.model, "cpu", torch.float32)
    answers = generate_answers(model, load_processor(spec.model), shown_rows(finished), spec.settings.max_new_tokens)
    assert [sample["base"] for sample in samples["samples"]] == answers


def test_plain_peft_reproduces_the_result(finished: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    from core.data.batches.collate import Encoder
    from core.data.batches.conversations import stop_ids
    from core.evaluation.measures import measures_for
    from core.evaluation.scores import look_at, score
    from core.models.source import ASSETS

    spec, status = spec_of(finished), status_of(finished)
    model = AutoModelForImageTextToText.from_pretrained(ASSETS / "model")
    model = PeftModel.from_pretrained(model, finished / "adapter").eval()
    processor = load_processor(spec.model)
    rows = choose_rows(load_dataset(spec.data).heldout, spec.settings).rows
    encoder = Encoder(processor, stop_ids(model, processor))
    batches = rows[:4], rows[4:]  # as the job looked: the quick rows first
    outcomes = [outcome for part in batches for outcome in look_at(model, encoder, part, 4)]
    assert same(score(outcomes, measures_for(load_dataset(spec.data))), status.after)
    shown = [answer["answer"] for answer in of_kind(finished, "answers")[-1]["answers"]]
    assert generate_answers(model, processor, shown_rows(finished), 4) == shown


def test_the_adapter_folder_is_whole_and_as_large_as_promised(finished: Path) -> None:
    names = {path.name for path in (finished / "adapter").iterdir()}
    assert names == {"adapter_model.safetensors", "adapter_config.json", "README.md", "curves.svg"}
    promised = budget(demo_inspection(), spec_of(finished).plan).adapter_bytes
    assert (finished / "adapter" / "adapter_model.safetensors").stat().st_size == promised
    assert not (finished / "adapter.tmp").exists()


def test_nothing_in_the_adapter_names_a_folder_of_this_machine(finished: Path) -> None:
    config = json.loads((finished / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "assets/demo/model"
    root = str(Path(__file__).resolve().parents[2]).encode()
    for path in (finished / "adapter").iterdir():
        content = path.read_bytes()
        assert root not in content, path.name
        assert b"private" not in content, path.name
        assert str(finished).encode() not in content, path.name


def test_the_same_seed_gives_the_same_bytes(new_job: Callable[..., Path]) -> None:
    def files(name: str, seed: int) -> list[bytes]:
        folder = new_job(name, steps=3, eval_every=2, seed=seed)
        assert run(folder) == 0
        return [
            (folder / "adapter" / file).read_bytes() for file in ("adapter_model.safetensors", "adapter_config.json")
        ]

    first, again, other = files("first", 7), files("again", 7), files("other", 8)
    assert first == again
    assert first[0] != other[0]


def test_epochs_say_how_long_as_well(new_job: Callable[..., Path]) -> None:
    folder = new_job(steps=None, epochs=0.5)
    assert run(folder) == 0
    assert status_of(folder).total_steps == 3  # half of 24 rows, 4 at a time
    assert [point["step"] for point in of_kind(folder, "train")] == [1, 2, 3]


def test_a_second_attempt_starts_its_series_anew(new_job: Callable[..., Path]) -> None:
    folder = new_job(steps=2)
    assert run(folder) == 0
    assert run(folder) == 0
    assert [point["step"] for point in of_kind(folder, "train")] == [1, 2]


@pytest.mark.parametrize("cells", [("vision.attention",), ("projector.mlp",), ("language.mlp",)])
def test_only_the_adapter_learns(colours: Source, tmp_path: Path, cells: tuple[str, ...]) -> None:
    from core.data.batches.collate import Encoder
    from core.data.batches.conversations import stop_ids
    from core.training.preparing import wrap
    from core.training.trainer import make_trainer

    spec = make_spec(colours, cells=cells, steps=2)
    processor = load_processor(spec.model)
    model = wrap(load_model(spec.model, "cpu", torch.float32), spec, rows=24)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    encoder = Encoder(processor, stop_ids(model, processor))
    rows = load_dataset(spec.data).train
    make_trainer(model, encoder, rows, spec.settings, tmp_path, "cpu", bf16=False).train()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(".lora_" in name for name in changed)
    targets = {name.removeprefix("base_model.model.").split(".lora_")[0] for name in changed}
    assert targets == set(spec.plan.target_modules)
