"""Start and Stop as plain functions: what is clicked becomes a spec, what cannot be becomes one sentence and no job."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from core.errors import SpecError
from core.jobs.home import LOCAL_OWNER
from core.models.source import DEMO_MODEL
from core.spec import ENDED, LEVERS, Settings, Source, to_dict
from tests.ui.conftest import end_workers
from tests.ui.parts import (
    ANNA,
    BEN,
    SPEC,
    assert_plain,
    files_under,
    good_choice,
    good_form,
    make_studio,
    request_of,
    wait_for,
)
from ui.panels.fields import OFFERED, SEVERAL
from ui.panels.settings import SettingsForm, first_form, form_of, settings_of
from ui.panels.train import OTHER_MODELS, make_spec, start, stop, usual_settings
from ui.studio import Studio, key_of

NAN, INF = math.nan, math.inf


def press_start(studio: Studio, choice: Any, form: dict[str, Any], owner: str | None = None) -> dict[str, str]:
    """The handler's answer."""
    text = choice if isinstance(choice, str) else json.dumps(choice)
    answer: dict[str, str] = json.loads(start(studio, request_of(owner), text, *form.values()))
    return answer


def press_stop(studio: Studio, owner: str | None, job: Any, force: bool = False) -> str:
    """The handler's answer: why not, or nothing."""
    return stop(studio, request_of(owner), json.dumps({"job": job, "force": force}))


def assert_refused(studio: Studio, tmp_path: Path, choice: Any, form: dict[str, Any], owner: str | None = None) -> str:
    """One plain sentence, and nothing in the data folder that was not there."""
    before = files_under(tmp_path)
    answer = press_start(studio, choice, form, owner)
    assert set(answer) == {"error", "ticket"}, answer
    assert_plain(answer["error"])
    assert files_under(tmp_path) == before
    return answer["error"]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Studio]:
    studio = make_studio(tmp_path, "long", shared=True)
    yield studio
    studio.backend.close()  # type: ignore[attr-defined]
    end_workers(tmp_path)


def test_what_is_clicked_is_what_is_trained(studio: Studio):
    choice = {**good_choice(studio), "recipe": {"rank": 8, "alpha": 4.5, "dropout": 0.1}}
    form = {
        **good_form(),
        "name": "  My job  ",
        "checkpointing": "on",
        "learning_rate": " 1e-3 ",
        "length": 7,
        "seed": 3,
    }
    spec = make_spec(studio, choice, form, LOCAL_OWNER)
    assert (spec.name, spec.model, spec.data) == ("My job", DEMO_MODEL, Source("demo", "digits"))
    assert (spec.plan.rank, spec.plan.alpha, spec.plan.dropout) == (8, 4.5, 0.1)
    assert spec.trainable == choice["shown"] > 0
    assert spec.settings == Settings(steps=7, learning_rate=1e-3, seed=3, checkpointing=True)
    assert spec.plan.target_modules == SPEC.plan.target_modules


def test_epochs_and_steps_are_told_apart(studio: Studio):
    assert settings_of({**good_form(), "unit": "epochs", "length": 2.5}).epochs == 2.5
    assert settings_of({**good_form(), "unit": "epochs", "length": 2.5}).steps is None
    assert settings_of({**good_form(), "unit": "steps", "length": 9.0}).steps == 9
    assert settings_of({**good_form(), "unit": "steps", "length": 9.0}).epochs is None


def test_the_answer_bears_the_ticket_of_its_request(studio: Studio):
    for ticket in (1, "two"):
        refused = {**good_choice(studio), "ticket": ticket, "recipe": {"rank": 0}}
        assert press_start(studio, refused, good_form())["ticket"] == ticket


def test_a_decimal_comma_is_understood():
    assert settings_of({**good_form(), "learning_rate": "0,003"}).learning_rate == 0.003


def test_a_job_without_a_name_is_named_after_its_data_and_a_long_one_is_cut(studio: Studio):
    assert make_spec(studio, good_choice(studio), good_form(), LOCAL_OWNER).name == "Handwritten digits"
    assert len(make_spec(studio, good_choice(studio), {**good_form(), "name": "x" * 5000}, LOCAL_OWNER).name) == 80


FORMS: dict[str, tuple[Any, ...]] = {
    "length": (None, 0, -1, NAN, INF, -INF, 1e12, 1e300, 0.4, "soon"),
    "batch_size": (None, 0, -4, 10**9, NAN, "many"),
    "learning_rate": (
        None,
        "",
        " ",
        "nan",
        "inf",
        "-1",
        "0",
        "1e9",
        "fast",
        "1e-3; drop",
        "x" * 5000,
        "1" * 5000,
        "１e９",
    ),
    "seed": (None, -1, 2**40, NAN),
    "quantization": (None, "", "2bit", 4, []),
    "checkpointing": (None, "perhaps", 3, []),
    "accumulation": (None, 0, -1, 10**9),
    "schedule": (None, "", "cubic", 3),
    "warmup_share": (None, -0.1, 1.1, NAN),
    "weight_decay": (None, -1, 11, NAN, INF),
    "max_grad_norm": (None, 0, -1, NAN, INF),
    "eval_every": (None, 0, -1, 10**12),
    "eval_rows": (None, 0, -1, 10**12),
    "final_rows": (None, 0, -1, 10**12),
    "sample_count": (None, -1, 65, NAN),
    "max_new_tokens": (None, 0, -1, 10**6),
    "max_tokens": (3, 1.5, NAN, 10**12, "3", "1.5", "many", "9" * 5000),
    "augment": (None, ["mirror"], ["blur", "blur"], "blur", 3),
    "optimizer": (None, "", "sgd", 8),
    "lora_plus": (None, 0, 0.5, 1001, NAN, INF),
    "warmup_steps": (-1, 1.5, NAN, 10**12, "-1", "1.5", "a few"),
    "neftune": (None, -1, 1001, NAN, INF),
    "label_smoothing": (None, -0.1, 0.95, NAN),
    "precision": (None, "", "fp16", 32),
    "attention": (None, "", "flash", 2),
    "at_once": (-1, 1.5, NAN, 10**9, "-1", "all"),
    "workers": (None, "", "many", "-1", "1.5", "10000", [], "9" * 5000),
    "quantized_part": (None, "", "vision", 3),
    "order": (None, "", "answers", 3),
    "levers": (None, ["magic"], "packing", 3, [[]]),
    "metric": (None, "", "bleu", 3),
    "patience": (-1, 1.5, NAN, 10**9, "-1", "some"),
    "keep": (None, "", "first", 3),
    "report_to": (None, "", "elsewhere", 3),
    "name": ("\ud800", 7),
}


def test_every_field_of_the_form_is_tried():
    assert {*FORMS, "unit"} == {field.name for field in fields(SettingsForm)}


@pytest.mark.parametrize("field", FORMS)
def test_a_setting_that_cannot_be_is_refused_in_a_sentence(studio: Studio, tmp_path: Path, field):
    for value in FORMS[field]:
        assert_refused(studio, tmp_path, good_choice(studio), {**good_form(), field: value})


@pytest.mark.parametrize("unit", ["steps", "epochs", None, "years"])
@pytest.mark.parametrize("length", [None, NAN, INF, -1, 0, 1e9])
def test_how_long_is_checked_in_either_unit(studio: Studio, tmp_path: Path, unit, length):
    assert_refused(studio, tmp_path, good_choice(studio), {**good_form(), "unit": unit, "length": length})


def test_an_empty_field_is_named():
    with pytest.raises(SpecError, match="batch size, eval rows is empty"):
        settings_of({**good_form(), "batch_size": None, "eval_rows": None})


SELECTIONS: tuple[Any, ...] = (
    {"cells": [], "include": [], "exclude": []},
    {"cells": ["audio.attention"]},
    {"cells": ["language"]},
    {"cells": ["language.attention; rm"]},
    {"cells": ["language.attention"], "include": ["no.such.module"]},
    {"cells": ["language.attention"], "exclude": ["x" * 5000]},
    {"cells": "language.attention"},
    {"cells": None},
    {"cells": [["language.attention"]]},
    {"cell": ["language.attention"]},
    [],
    None,
    "language.attention",
)
RECIPES: tuple[Any, ...] = (
    *({"rank": rank} for rank in (0, -1, 10**6, 10**400, NAN, INF, None, "eight", [], {}, 8.5)),
    *({"alpha": alpha} for alpha in (0, -1, NAN, INF, None, "double", [])),
    *({"dropout": dropout} for dropout in (-0.1, 1, 2, NAN, INF, "x", None)),
    {"method": "magic"},
    {"start": None},
    {"components": {"eyes": {"rank": 4}}},
    {"components": {"vision": {"rank": 0}}},
    {"components": {"vision": {"colour": 4}}},
    {"full_learning_rate": 2},
    {"ranks": 8},
    [],
    None,
    8,
)
CHOICES: dict[str, tuple[Any, ...]] = {
    "model_key": ("no such key", "", None, 3, "../../etc/passwd", [], {}),
    "selection": SELECTIONS,
    "dataset": ("no such set", "", None, "..", "../../data", "/etc", "digits\0", "digits/train", 3, []),
    "recipe": RECIPES,
    "shown": (0, 1, -1, NAN, None, "", "12", [], {}),
}


@pytest.mark.parametrize("key", CHOICES)
def test_a_choice_that_cannot_be_is_refused_in_a_sentence(studio: Studio, tmp_path: Path, key):
    choice = good_choice(studio)
    for value in CHOICES[key]:
        assert_refused(studio, tmp_path, {**choice, key: value}, good_form())
    missing = {name: value for name, value in choice.items() if name != key}
    assert_refused(studio, tmp_path, missing, good_form())


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "7", '"x"', "[" * 100_000, "\0", '{"model_key": "x"'])
def test_a_choice_that_is_no_choice_is_refused_in_a_sentence(studio: Studio, tmp_path: Path, text):
    assert_refused(studio, tmp_path, text, good_form())


def test_a_form_with_too_few_or_too_many_values_is_refused(studio: Studio, tmp_path: Path):
    assert_refused(studio, tmp_path, good_choice(studio), {"unit": "steps"})
    assert_refused(studio, tmp_path, good_choice(studio), {**good_form(), "more": 1})


def test_a_count_that_the_server_does_not_share_names_both(studio: Studio, tmp_path: Path):
    choice = good_choice(studio)
    said = assert_refused(studio, tmp_path, {**choice, "shown": choice["shown"] + 1}, good_form())
    assert f"{choice['shown'] + 1:,}" in said
    assert f"{choice['shown']:,}" in said


@pytest.fixture
def guessed(studio: Studio, tmp_path: Path, monkeypatch) -> dict[str, Any]:
    """A choice on a model of which it is a guess what its language is."""
    made = studio.open(DEMO_MODEL)
    unsure = [replace(m, confidence="low", root="model.text_model") for m in made.modules if m.component == "language"]
    labels = {module.name: module for module in unsure}
    other = replace(made, modules=tuple(labels.get(module.name, module) for module in made.modules))
    monkeypatch.setattr(studio, "inspection", lambda key: other)
    return good_choice(studio)


@pytest.mark.parametrize("said", [False, None, "yes", 1, []])
def test_guessed_parts_are_trained_only_when_that_is_confirmed(studio: Studio, tmp_path: Path, guessed, said):
    refused = assert_refused(studio, tmp_path, {**guessed, "confirmed": said}, good_form())
    assert "model.text_model" in refused
    unsaid = {name: value for name, value in guessed.items() if name != "confirmed"}
    assert assert_refused(studio, tmp_path, unsaid, good_form()) == refused
    assert make_spec(studio, {**guessed, "confirmed": True}, good_form(), LOCAL_OWNER).trainable == guessed["shown"]
    agreed = {**guessed["selection"], "relabels": {"model.text_model": "language"}}
    assert make_spec(studio, {**guessed, "selection": agreed}, good_form(), LOCAL_OWNER).selection.relabels


def test_what_cannot_be_together_starts_nothing(studio: Studio, tmp_path: Path):
    choice = {**good_choice(studio), "recipe": {"rank": 8, "alpha": 16, "method": "adalora", "start": "pissa"}}
    assert "AdaLoRA" in assert_refused(studio, tmp_path, choice, good_form())


def test_start_starts_a_job_and_a_second_press_is_refused(shared: Studio, tmp_path: Path):
    job = press_start(shared, good_choice(shared), good_form(), ANNA)["job"]
    assert [row.id for row in shared.backend.jobs(ANNA)] == [job]
    assert shared.backend.spec(job, ANNA).settings.steps == 5
    for owner in (ANNA, BEN):
        assert_plain(press_start(shared, good_choice(shared), good_form(), owner)["error"])
    assert len(list(shared.backend.folder(job, ANNA).parent.iterdir())) == 1


def test_only_the_owner_stops_a_job(shared: Studio):
    job = press_start(shared, good_choice(shared), good_form(), ANNA)["job"]
    for other in (BEN, None, "", "local"):
        assert_plain(press_stop(shared, other, job))
        assert_plain(press_stop(shared, other, job, force=True))
    for made_up in ("", "..", None, "no-such-job", 7, []):
        assert_plain(press_stop(shared, ANNA, made_up))
    for garbage in ("", "{", "null", "[]", "{}", json.dumps({"job": job})):
        assert_plain(stop(shared, request_of(ANNA), garbage))
    assert not (shared.backend.folder(job, ANNA) / "stop").exists()
    assert press_stop(shared, ANNA, job) == ""
    wait_for(lambda: shared.backend.status(job, ANNA).state in ENDED)
    assert shared.backend.status(job, ANNA).state == "stopped"
    assert press_stop(shared, ANNA, job) == "", "twice does no harm"


@pytest.mark.parametrize("owner", [None, "", "local", "guess"])
def test_a_browser_of_a_shared_server_without_its_cookie_starts_nothing(shared: Studio, tmp_path: Path, owner):
    assert "cookie" in assert_refused(shared, tmp_path, good_choice(shared), good_form(), owner)


def test_a_full_disk_and_a_data_folder_that_cannot_be_written_are_said_in_words(studio: Studio, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "private"))

    monkeypatch.setattr("core.jobs.local.write", full)
    assert "No space left" in assert_refused(studio, tmp_path, good_choice(studio), good_form())


def test_the_usual_settings_fit_the_model(studio: Studio, tmp_path: Path):
    (tmp_path / "copy").mkdir()
    from core.models.source import ASSETS

    (tmp_path / "copy" / "config.json").write_bytes((ASSETS / "model" / "config.json").read_bytes())
    other = studio.open(Source("folder", str(tmp_path / "copy")))
    demo = usual_settings(studio, key_of(studio.open(DEMO_MODEL)))
    assert demo == (f"{Settings().learning_rate:g}", Settings().batch_size)
    assert usual_settings(studio, key_of(other)) == (f"{OTHER_MODELS.learning_rate:g}", OTHER_MODELS.batch_size)


ASKED: dict[str, tuple[Any, Any]] = {
    "optimizer": ("adamw_8bit", "adamw_8bit"),
    "lora_plus": (16, 16.0),
    "warmup_steps": (" 25 ", 25),
    "neftune": (5, 5.0),
    "label_smoothing": (0.1, 0.1),
    "precision": ("fp32", "fp32"),
    "attention": ("eager", "eager"),
    "at_once": (2, 2),
    "workers": ("3", 3),
    "quantized_part": ("language", "language"),
    "order": ("pictures", "pictures"),
    "metric": ("cer", "cer"),
    "patience": ("3", 3),
    "keep": ("last", "last"),
    "report_to": ("tensorboard", "tensorboard"),
    "checkpointing": ("off", False),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_field_holds_is_what_is_trained_with(name):
    shown, meant = ASKED[name]
    settings = settings_of({**good_form(), name: shown})
    assert getattr(settings, name) == meant
    assert replace(settings, **{name: getattr(Settings(), name)}) == settings_of(good_form()), "and nothing else"
    assert settings_of({**good_form(), **form_of({name: meant})}) == settings, "and back"


def test_a_field_for_a_number_that_is_emptied_leaves_it_to_the_studio():
    for nothing in (0, None, "", " ", "0"):
        empty = dict.fromkeys(("max_tokens", "warmup_steps", "at_once", "patience"), nothing)
        assert settings_of({**good_form(), **empty}) == settings_of(good_form())
    assert settings_of({**good_form(), "workers": "0"}).workers == 0, "none is a number of processes"
    assert settings_of(good_form()).workers is None


def test_a_lever_that_is_not_ticked_is_left_off():
    assert settings_of(good_form()).without == ()
    ticked = [lever for lever in LEVERS if lever not in ("packing", "kernels")]
    assert settings_of({**good_form(), "levers": ticked}).without == ("packing", "kernels")
    assert settings_of({**good_form(), "levers": []}).without == LEVERS
    assert form_of({"without": ("packing", "kernels")}) == {"levers": ticked}


def test_settings_and_form_say_the_same_both_ways():
    usual = {**first_form(), "name": None}
    assert settings_of(usual) == Settings()
    other = Settings(
        epochs=2.0, steps=None, workers=0, checkpointing=True, without=("kernels",), at_once=1, augment=("blur",)
    )
    assert settings_of({**first_form(), **form_of(to_dict(other))}) == other


def test_what_a_list_offers_can_be_trained_with():
    offered = [name for name in OFFERED if name not in SEVERAL]
    for name in offered:
        for _, value in OFFERED[name]:
            settings_of({**good_form(), name: value})
    for name in SEVERAL:
        settings_of({**good_form(), name: [value for _, value in OFFERED[name]]})
    assert [value for _, value in OFFERED["levers"]] == list(LEVERS)
    for name in ("optimizer", "precision", "attention", "metric", "report_to", "keep", "order", "schedule"):
        assert {value for _, value in OFFERED[name]} == set(get_args(get_type_hints(Settings)[name])), name


def test_the_longest_row_may_be_left_empty_and_pictures_are_changed_only_when_asked():
    plain = settings_of(good_form())
    assert (plain.max_tokens, plain.augment) == (None, ())
    asked = settings_of({**good_form(), "max_tokens": 512, "augment": ["colour", "crop"]})
    assert (asked.max_tokens, asked.augment) == (512, ("colour", "crop"))
    for wrong in ({"max_tokens": 3}, {"max_tokens": 1.5}, {"augment": ["mirror"]}, {"augment": ["blur", "blur"]}):
        with pytest.raises(SpecError):
            settings_of({**good_form(), **wrong})
