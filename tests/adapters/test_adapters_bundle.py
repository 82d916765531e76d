"""What a person takes home: complete, the same every time, and without a path of the machine it came from."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.adapters import bundle
from core.adapters.bundle import copy_adapter, write_card, zip_adapter
from core.adapters.card import ANY_QUESTION, card_text
from core.adapters.curves import curves_svg, nice_ticks
from core.data.source import load_dataset
from core.errors import AdapterError
from core.spec import Plan, Selection, Source, Spec, Status, read

NAMES = {"adapter_model.safetensors", "adapter_config.json", "README.md", "curves.svg", "spec.json"}


def test_the_zip_holds_everything_and_no_path_of_this_machine(job_dir: Path, base: Path):
    with zipfile.ZipFile(zip_adapter(job_dir)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == NAMES
        content = {name: archive.read(name) for name in NAMES}
    for name, data in content.items():
        assert str(base.parent).encode() not in data, name
        assert str(job_dir).encode() not in data, name
    assert json.loads(content["spec.json"])["model"]["name"] == "tiny-model"
    assert json.loads(content["adapter_config.json"])["base_model_name_or_path"] == "tiny-model"


def test_the_same_adapter_gives_the_same_bytes(job_dir: Path):
    first = zip_adapter(job_dir)
    data, made = first.read_bytes(), first.stat().st_mtime_ns
    assert zip_adapter(job_dir).stat().st_mtime_ns == made, "it is not made twice"
    first.unlink()
    assert zip_adapter(job_dir).read_bytes() == data
    assert not list(job_dir.glob(".*.tmp"))


def test_downloads_at_the_same_time_are_all_whole(job_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    job = shutil.copytree(job_dir, tmp_path / "job")
    barrier = threading.Barrier(4)
    add = bundle._add

    def together(*arguments: object) -> None:
        if arguments[1] == "README.md":
            barrier.wait(10)
        add(*arguments)

    monkeypatch.setattr(bundle, "_add", together)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: zip_adapter(job).read_bytes(), range(4)))
    assert len(set(made)) == 1
    with zipfile.ZipFile(io.BytesIO(made[0])) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == NAMES
    assert not list(job.glob(".*.tmp"))


@pytest.mark.parametrize(("error", "seen"), [(OSError(28, "No space"), AdapterError), (KeyboardInterrupt(), None)])
def test_a_zip_that_could_not_be_made_leaves_nothing(
    job_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, seen: type | None
):
    job = shutil.copytree(job_dir, tmp_path / "job")
    for old in job.glob("*.zip"):
        old.unlink()

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(bundle, "_add", broken)
    with pytest.raises(seen or type(error)):
        zip_adapter(job)
    assert not [*job.glob(".*"), *job.glob("*.zip")]


def test_a_changed_card_gives_a_new_zip(job_dir: Path, tmp_path: Path):
    job = shutil.copytree(job_dir, tmp_path / "job")
    target = zip_adapter(job)
    card = job / "adapter" / "README.md"
    card.write_text("new words")
    later = target.stat().st_mtime_ns + 10
    os.utime(card, ns=(later, later))
    with zipfile.ZipFile(zip_adapter(job)) as archive:
        assert archive.read("README.md") == b"new words"


def test_a_copy_holds_the_same_as_the_zip(job_dir: Path, tmp_path: Path):
    copy_adapter(job_dir, tmp_path / "a" / "b")
    with zipfile.ZipFile(zip_adapter(job_dir)) as archive:
        for name in NAMES:
            assert (tmp_path / "a" / "b" / name).read_bytes() == archive.read(name)


def test_half_an_adapter_is_none(job_dir: Path, tmp_path: Path):
    job = shutil.copytree(job_dir, tmp_path / "job")
    (job / "adapter" / "adapter_config.json").unlink()
    with pytest.raises(AdapterError, match="has not made one"):
        zip_adapter(job)


def test_the_card_says_what_was_measured(job_dir: Path):
    card = (job_dir / "adapter" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: peft\npipeline_tag: image-text-to-text\n")
    assert "| the model as it came | 5.0% | 2 of 40 | 3.200 |" in card
    assert "| **with this adapter** | 87.5% | 35 of 40 | 0.400 |" in card
    assert "| always the most common answer | 15.0% |" in card
    assert "| projector | 0 |" in card
    assert "# Digits &lt;b&gt;\\|&lt;/b&gt; 1" in card


def test_the_card_of_a_stopped_job_says_so_and_claims_nothing(job_dir: Path):
    card = card_text(read(Spec, job_dir / "spec.json"), Status(state="stopped", step=3, total_steps=40))
    assert "ended early, at step 3 of 40" in card
    assert card.count("not measured") == 2


def test_the_card_says_what_the_file_holds_where_it_is_not_the_rank_that_was_chosen(job_dir: Path):
    def card(**plan: object) -> str:
        spec = read(Spec, job_dir / "spec.json")
        return card_text(replace(spec, plan=replace(spec.plan, rank=4, **plan)), Status(state="finished"))

    assert "| in the file |" not in card(method="dora")
    assert "| in the file | plain LoRA of twice the rank" in card(start="pissa")
    assert "| in the file | rank 6, with which it began" in card(method="adalora")


def test_the_card_says_everything_that_was_chosen(job_dir: Path):
    spec = read(Spec, job_dir / "spec.json")
    selection = Selection(
        cells=("vision.mlp",),
        include=("a", "b"),
        layers={"vision": (-8, None)},
        full=("projector",),
        relabels={"c": "vision"},
    )
    card = card_text(replace(spec, selection=selection), Status(state="finished"))
    chosen = "vision.mlp; layers -8: of vision; in full: projector; taken in by name: 2, relabelled: 1"
    assert f"Chosen: {chosen}." in card
    quantized = replace(spec, settings=replace(spec.settings, quantization="4bit"))
    assert "| base weights | packed to 4 bits (nf4" in card_text(quantized, Status(state="finished"))


def test_a_card_of_parts_in_full_alone_speaks_of_no_rank(job_dir: Path):
    spec = replace(read(Spec, job_dir / "spec.json"), plan=Plan(full_modules=("model.projector",)))
    card = card_text(spec, Status(state="finished"))
    assert "An adapter of parts trained in full for" in card
    assert "| method | parts trained in full, without LoRA |" in card
    assert "rank" not in card.partition("## Settings")[2]


def test_a_hub_model_is_named_with_its_revision(job_dir: Path):
    spec = replace(read(Spec, job_dir / "spec.json"), model=Source("hub", "org/model", "abc123"))
    card = card_text(spec, Status(state="finished"))
    assert 'base_model: "org/model"\nbase_model_relation: adapter' in card
    assert "from_pretrained(base, revision='abc123')" in card


@pytest.mark.parametrize(
    ("model", "line", "kind"),
    [
        (
            Source("demo", "demo-vlm"),
            '"/path/to/vlm-lora-studio/assets/demo/model"  # the demo model in your checkout',
            "Idefics3ForConditionalGeneration",
        ),
        # Where the config cannot be read any more, transformers chooses the class.
        (
            Source("folder", "/home/me/mine"),
            '"/path/to/mine"  # the folder of the base model',
            "AutoModelForImageTextToText",
        ),
        (Source("hub", "org/model", "abc123"), '"org/model"', "AutoModelForImageTextToText"),
    ],
)
def test_the_code_in_the_card_names_the_model_the_adapter_and_a_question_of_the_data(
    job_dir: Path, model: Source, line: str, kind: str
):
    spec = replace(read(Spec, job_dir / "spec.json"), model=model)
    card = card_text(spec, Status(state="finished"))
    question = load_dataset(spec.data).heldout[0].question
    assert f'\nbase = {line}\nadapter = "."  # this folder\nquestion = "{question}"\n' in card
    assert ("path of `base` filled in" in card) == (model.kind != "hub")
    assert f"\nmodel = {kind}.from_pretrained(base" in card
    assert re.search(rf"(?m)^from transformers import .*\b{kind}\b", card)


def test_a_card_is_made_without_the_data_and_with_any_question(job_dir: Path, tmp_path: Path):
    spec = replace(read(Spec, job_dir / "spec.json"), data=Source("folder", str(tmp_path / "gone")))
    assert f'question = "{ANY_QUESTION}"' in card_text(spec, Status(state="finished"))
    asked = 'a "b" \\ ``` \u2028 \x1b é'
    for number in range(2):
        Image.new("RGB", (8, 8), (90 * number, 0, 0)).save(tmp_path / f"{number}.png")
    rows = [{"file_name": f"{number}.png", "question": asked, "answer": "a"} for number in range(2)]
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = card_text(replace(spec, data=Source("folder", str(tmp_path))), Status(state="finished"))
    written = re.search(r"(?m)^question = (.*)$", card.encode().decode())
    assert written is not None
    assert ast.literal_eval(written[1]) == asked


@pytest.mark.slow
def test_the_code_in_the_card_runs_with_plain_peft(job_dir: Path, base: Path, tmp_path: Path):
    copy_adapter(job_dir, tmp_path)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "picture.png")
    code = re.search(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.DOTALL)
    assert code is not None
    script, places = re.subn(r"(?m)^base = .*$", f"base = {str(base)!r}", code[1])  # all that a reader fills in
    assert places == 1
    # Nothing of this repository can be imported.
    environment = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS")} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr


def test_the_curves_are_an_svg_with_titles_axes_and_every_point(job_dir: Path):
    root = ET.parse(job_dir / "adapter" / "curves.svg").getroot()  # noqa: S314 - our own file
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Loss (nats per answer token)", "Exact match (%)", "optimizer step", "held-out rows"} <= set(texts)
    paths = [element.get("d", "") for element in root.iter("{http://www.w3.org/2000/svg}path")]
    assert max(path.count("L") for path in paths) == 39, "forty numbers; the one that is none is left out"


@pytest.mark.parametrize("series", [[], [{"kind": "train", "step": 1, "loss": float("nan")}], [{"kind": "train"}]])
def test_curves_without_a_number_say_not_measured(series: list[dict[str, object]]):
    text = curves_svg(series)
    assert ET.fromstring(text) is not None  # noqa: S314 - our own text
    assert text.count("not measured") == 3


def test_ticks_are_round_and_reach_the_top():
    for high in (0.003, 0.7, 1, 3.1, 99, 12345):
        ticks = nice_ticks(0, high)
        assert ticks[-1] >= high > ticks[-2]
        assert 3 <= len(ticks) <= 6


def test_an_adapter_folder_is_made_for_the_card(tmp_path: Path, job_dir: Path):
    spec = read(Spec, job_dir / "spec.json")
    assert write_card(tmp_path, spec, Status(state="finished"), []).read_text()
