"""What the card says of the measures, of how the job ran and of what it changed."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.adapters.bundle import write_card
from core.adapters.card import card_text
from core.adapters.card_proof import proof_section, read_proof, run_rows
from core.adapters.card_results import results_section
from core.adapters.curves import curves_svg
from core.spec import Score, Settings, Spec, Status, read
from tests.adapters.conftest import SERIES, STATUS

PROOF = {
    "frozen": {
        "tensors": 12,
        "bytes": 345,
        "before": "ab" * 32,
        "after": "ab" * 32,
        "same": True,
        "count_changed": 0,
        "changed": [],
    },
    "modules": [{"name": "a", "component": "vision", "role": "mlp", "layer": 0, "used": 0.5}],
    "components": {
        "vision": {"chosen": True, "update": 0.25, "weight": 10.0, "ratio": 0.025, "modules": 7, "trained": 4},
        "language": {"chosen": False, "update": 0.0, "weight": 10.0, "ratio": 0.0, "modules": 9, "trained": 0},
    },
    "words": "Vision changed; language did not.",
}


def status_with(metric: str, before: dict[str, float], after: dict[str, float], **others: object) -> Status:
    first = Score(0.05, 2, 40, 3.2, before, metric, (0.01, 0.165))
    return replace(STATUS, before=first, after=Score(0.875, 35, 40, 0.4, after, metric, (0.739, 0.945)), **others)


def test_classes_stand_beside_the_majority_with_their_interval() -> None:
    text = results_section(status_with("accuracy", {"accuracy": 0.05}, {"accuracy": 0.875}), "pictures")
    assert "| | accuracy | correct | held-out loss |" in text
    assert "| the model as it came | 5.0% (1.0 to 16.5%) | 2 of 40 | 3.200 |" in text
    assert "| **with this adapter** | 87.5% (73.9 to 94.5%) | 35 of 40 | 0.400 |" in text
    assert "| always the most common answer | 15.0% | | |" in text
    assert "95% interval" in text
    assert "| measure |" not in text, "one measure needs no second table"


def test_text_that_is_read_is_judged_by_its_errors() -> None:
    before, after = {"cer": 0.5, "wer": 1.25, "anls": 0.4}, {"cer": 0.1, "wer": 0.2, "anls": 0.9}
    text = results_section(status_with("cer", before, after), "pictures")
    assert "| | character error rate | correct |" in text
    assert "| word error rate, lower is better | 125.0% | 20.0% |" in text
    assert "| ANLS | 40.0% | 90.0% |" in text
    assert "Of the character error rate, lower is better." in text
    assert "most common answer" not in text, "it says nothing of an error rate"


def test_token_f1_is_called_rough() -> None:
    text = results_section(status_with("token_f1", {"token_f1": 0.1}, {"token_f1": 0.6}), "pictures")
    assert "a rough measure" in text


def test_scores_of_older_jobs_are_shown_as_they_were() -> None:
    text = results_section(STATUS, "pictures")
    assert "| | exact match | correct | held-out loss |" in text
    assert "| the model as it came | 5.0% | 2 of 40 | 3.200 |" in text
    assert "interval" not in text


def test_the_best_weights_are_named_by_their_step() -> None:
    assert "holds the weights of step 30" in results_section(replace(STATUS, kept_step=30), "pictures")
    assert "holds the weights" not in results_section(replace(STATUS, kept_step=40), "pictures")


def test_weights_of_a_training_that_came_apart_are_not_called_the_best() -> None:
    failed = replace(STATUS, state="failed", step=22, total_steps=40, after=None)
    apart = results_section(replace(failed, kept_step=18), "pictures")
    assert "came apart after step 22 of 40" in apart
    assert "holds the weights of step 18, the last that were sound" in apart
    assert "**with this adapter** | not measured" in apart
    assert "best" not in apart
    broken_off = results_section(failed, "pictures")
    assert "broke off after step 22 of 40" in broken_off
    assert "holds the weights" not in broken_off


def test_the_proof_is_a_table_of_components_with_both_hashes() -> None:
    text = proof_section(PROOF, [])
    assert PROOF["words"] in text
    assert "| vision | yes | 0.25 | 2.5% | 4 of 7 |" in text
    assert "| language | no | 0 | 0% | 0 of 9 |" in text
    assert text.count("abababababababab…") == 1
    assert "make use of 50% of the rank" in text
    other = {**PROOF, "frozen": {**PROOF["frozen"], "after": "cd" * 32}}
    assert "`abababababababab…` and `cdcdcdcdcdcdcdcd…`" in proof_section(other, [])


def test_numbers_that_are_none_do_not_break_the_card() -> None:
    part = {**PROOF["components"]["vision"], "update": None, "ratio": None}
    text = proof_section({**PROOF, "components": {"vision": part}, "modules": []}, [])
    assert "| vision | yes | no number | no number | 4 of 7 |" in text


def test_where_adaloras_rank_went_is_told_by_component() -> None:
    modules = [{"name": str(n), "component": part, "role": "mlp", "layer": n} for n, part in enumerate("vvl")]
    series = [
        {"kind": "rank_modules", "modules": modules},
        {"kind": "ranks", "step": 0, "ranks": [6, 6, 6]},
        {"kind": "ranks", "step": 9, "ranks": [1, 4, 7]},
    ]
    text = proof_section(PROOF, series)
    assert "| v | 2.50 | 1 | 4 |" in text
    assert "| l | 7.00 | 7 | 7 |" in text
    assert "AdaLoRA" not in proof_section(PROOF, series[:1])


def test_levers_and_choices_stand_in_a_line_each_the_last_word_counts() -> None:
    series = [
        {"kind": "choice", "name": "precision", "value": "bf16", "reason": "", "by": "studio"},
        {"kind": "choice", "name": "checkpointing", "value": False, "reason": "", "by": "studio"},
        {"kind": "choice", "name": "metric", "value": "cer", "reason": "", "by": "studio"},
        {"kind": "lever", "name": "answers_only", "on": True, "reason": ""},
        {"kind": "lever", "name": "vision_cache", "on": True, "reason": ""},
        {"kind": "lever", "name": "vision_cache", "on": False, "reason": ""},
    ]
    assert run_rows(series) == {
        "chosen for this machine": "precision 16 bits (bfloat16), checkpointing off",
        "levers": "on: only answers go through the head; off: a frozen vision part sees each picture once",
    }
    assert run_rows([]) == {}


def test_settings_that_are_not_usual_are_in_the_table(job_dir: Path) -> None:
    spec = read(Spec, job_dir / "spec.json")
    settings = Settings(
        optimizer="adamw_8bit", lora_plus=16.0, warmup_steps=7, neftune=5.0, patience=3, quantization="4bit",
        quantized_part="language",
    )  # fmt: skip
    text = card_text(replace(spec, settings=settings), STATUS)
    for line in ("optimizer | AdamW, 8 bits", "LoRA+ ratio | 16.0", "(NEFTune) | 5.0", "end it | 3", "warm-up 7 steps"):
        assert line in text
    assert "double quantization) by bitsandbytes, in the language model alone" in text
    assert "| optimizer |" not in card_text(spec, STATUS)


def test_the_card_of_a_job_holds_its_proof(job_dir: Path, tmp_path: Path) -> None:
    spec = read(Spec, job_dir / "spec.json")
    assert read_proof(tmp_path) is None
    (tmp_path / "proof.json").write_text("{ torn")
    assert read_proof(tmp_path) is None
    (tmp_path / "proof.json").write_text(json.dumps(PROOF))
    card = write_card(tmp_path, spec, STATUS, SERIES, proof=read_proof(tmp_path))
    assert "## What changed" in card.read_text()
    assert "## What changed" not in write_card(tmp_path, spec, STATUS, SERIES).read_text()


@pytest.mark.parametrize(("metric", "title"), [("accuracy", "Accuracy (%)"), ("cer", "Character error rate (%)")])
def test_the_curve_is_of_the_main_measure(metric: str, title: str) -> None:
    def circles(value: float) -> list[float]:
        point = {"kind": "eval", "step": 10, "loss": 1.0, "exact_match": 0.0, "metrics": {metric: value}}
        drawing = ET.fromstring(curves_svg([{**point, "metric": metric}]))  # noqa: S314 - made above
        texts = [each.text for each in drawing.iter("{http://www.w3.org/2000/svg}text")]
        assert title in texts
        found = list(drawing.iter("{http://www.w3.org/2000/svg}circle"))
        return [float(each.get("cy", "nan")) for each in found if float(each.get("cx", "0")) > 450]

    (low,), (high,), (beyond,) = circles(0.25), circles(0.75), circles(3.0)
    assert low > high > beyond >= 0


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        ({}, "A LoRA adapter"),
        ({"method": "rslora"}, "An rsLoRA adapter"),
        ({"method": "dora"}, "A DoRA adapter"),
        ({"method": "adalora"}, "An AdaLoRA adapter"),
        ({"start": "pissa"}, "A LoRA adapter that began from PiSSA"),
        ({"full_modules": ("model.projector",)}, "A LoRA adapter, with parts trained in full,"),
        ({"full_modules": ("model.projector",), "target_modules": ()}, "An adapter of parts trained in full"),
    ],
)
def test_the_adapter_is_called_by_its_method(job_dir: Path, plan: dict[str, Any], kind: str) -> None:
    spec = read(Spec, job_dir / "spec.json")
    spec = replace(spec, plan=replace(spec.plan, **{"target_parameters": (), "start": "default"} | plan))
    assert f"\n\n{kind} for `tiny-model`, trained on" in card_text(spec, STATUS)
