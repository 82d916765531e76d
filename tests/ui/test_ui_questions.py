"""What is asked about a choice by POST: answers as core gives them, and a plain sentence for anything made up."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from core.export.context import FORMATS, Context
from core.export.plan_export import export
from core.lora.plan import make_plan
from core.lora.presets import TASKS
from core.lora.priorities import priorities
from core.spec import Recipe, Selection, Settings, from_dict
from tests.ui.parts import CHOSEN, DEMO, assert_nothing_private, assert_plain, good_choice, good_form
from ui.asking import MAX_BODY
from ui.panels.settings import SettingsForm, settings_of
from ui.questions.routes import question_routes
from ui.studio import Studio

PATHS = [route.path for route in question_routes(cast(Studio, None))]


@pytest.fixture
def client(studio: Studio) -> TestClient:
    return TestClient(Starlette(routes=question_routes(studio)), raise_server_exceptions=False)


def ask(client: TestClient, path: str, body: Any, code: int = 200) -> dict[str, Any]:
    answer = client.post(f"/studio/{path}", json=body)
    assert answer.status_code == code, answer.text[:300]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert_nothing_private(answer.text)
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("name", [task.name for task in TASKS])
def test_a_task_s_choice_can_be_planned_and_its_settings_taken(studio: Studio, client: TestClient, name: str):
    choice = {**good_choice(studio), "name": name}
    choice["selection"]["relabels"] = {"model.connector": "other"}
    found = ask(client, "preset", choice)
    selection, recipe = from_dict(Selection, found["selection"]), from_dict(Recipe, found["recipe"])
    assert make_plan(DEMO, selection, recipe).target_modules
    assert selection.relabels == {"model.connector": "other"}, "the person's labels stay"
    assert set(found["settings"]) <= set(SettingsForm.__dataclass_fields__)
    defaults = {"unit": "steps", "length": 5, "learning_rate": "1e-3"}
    settings_of({**defaults, **found["settings"]})
    assert found["title"]


@pytest.mark.parametrize("name", [each.name for each in priorities(DEMO)])
def test_a_priority_s_choice_can_be_planned_and_leaves_the_recipe(studio: Studio, client: TestClient, name: str):
    choice = {**good_choice(studio), "recipe": {"rank": 5, "method": "dora"}, "name": name}
    found = ask(client, "priority", choice)
    recipe = from_dict(Recipe, found["recipe"])
    assert (recipe.rank, recipe.method) == (5, "dora")
    assert make_plan(DEMO, from_dict(Selection, found["selection"]), recipe).target_modules


def advice_on(client: TestClient, studio: Studio, recipe: dict[str, Any], **selection: Any) -> dict[str, Any]:
    choice = good_choice(studio)
    choice = {**choice, "recipe": {**choice["recipe"], **recipe}, "selection": {**choice["selection"], **selection}}
    return ask(client, "advice", choice)


@pytest.mark.parametrize(
    ("control", "recipe", "selection"),
    [
        ("start", {"method": "adalora", "start": "pissa"}, {}),
        ("lora_bias", {"method": "dora", "lora_bias": True}, {}),
        ("components", {"method": "adalora", "components": {"language": {"rank": 3}}}, {}),
        ("full", {}, {"full": ["lm_head"]}),
    ],
)
def test_what_cannot_be_stands_beside_its_control_with_a_way_out(studio: Studio, client, control, recipe, selection):
    (refused,) = advice_on(client, studio, recipe, **selection)["refused"]
    assert refused["control"] == control
    assert_plain(refused["sentence"])
    change = refused["change"]
    after = advice_on(client, studio, {**recipe, **change.get("recipe", {})}, **change.get("selection", selection))
    assert after["refused"] == []


def test_advice_comes_with_reason_and_remedy_and_its_change_helps(studio: Studio, client: TestClient):
    found = {each["key"]: each for each in advice_on(client, studio, {"rank": 8, "alpha": 0.5})["advice"]}
    (key,) = [key for key in found if "alpha" in key]
    assert found[key]["reason"]
    assert found[key]["remedy"]
    change = found[key]["change"]["recipe"]
    again = advice_on(client, studio, {"rank": 8, "alpha": 0.5, **change})["advice"]
    assert key not in {each["key"] for each in again}


def test_a_form_that_is_half_typed_does_not_keep_advice_away(studio: Studio, client: TestClient):
    for form in (None, {}, [], {"learning_rate": "3e-"}, {"learning_rate": 7}, "x"):
        assert "advice" in ask(client, "advice", {**good_choice(studio), "form": form})


@pytest.mark.parametrize("form", FORMATS)
def test_a_plan_is_exported_as_core_does_it(studio: Studio, client: TestClient, form: str):
    found = ask(client, "export", {**good_choice(studio), "format": form})
    context = Context("path/to/demo", CHOSEN, Recipe(8, 16.0), Settings(), rows=None)
    expected = export(make_plan(DEMO, CHOSEN, Recipe(8, 16.0)), DEMO, context, form)  # type: ignore[arg-type]
    assert found["file_name"] == expected.file_name
    if form in ("peft", "regex"):
        assert found["text"] == expected.text
    assert found["text"].strip()


@pytest.mark.parametrize("form", FORMATS)
def test_what_cannot_be_trained_is_not_exported_either(studio: Studio, client: TestClient, form: str):
    asked = {**good_choice(studio), "recipe": {"rank": 8, "method": "dora", "start": "pissa"}, "format": form}
    assert "DoRA with PiSSA was asked for" in ask(client, "export", asked, 422)["error"]


@pytest.mark.slow
def test_the_memory_of_a_step_comes_with_its_terms_and_with_a_change_that_fits(studio: Studio, client: TestClient):
    large = {"batch_size": 2048, "at_once": "2048", "quantization": "none", "checkpointing": "off"}
    form = {**good_form(), **large}
    asked = {**good_choice(studio), "form": form, "card": "NVIDIA RTX 4060, 8 GB", "image_side": 96}
    found = ask(client, "memory", asked)
    assert found["answer"] == "does not fit"
    assert sum(term["bytes"] for term in found["terms"]) == found["peak"] > found["card"]["bytes"]
    assert all(term["why"] for term in found["terms"])
    assert found["change"] is None, "that takes longer, and is asked for by itself"
    change = ask(client, "memory", {**asked, "change": True})["change"]
    again = {**asked, "form": {**form, **change["form"]}}
    again["recipe"] = {**asked["recipe"], **change["recipe"]}
    after = ask(client, "memory", again)
    assert (after["answer"], after["peak"]) == ("fits", change["peak"])
    assert ask(client, "memory", {**good_choice(studio), "form": good_form()})["answer"] == "fits"


@pytest.mark.slow
def test_the_memory_is_that_of_the_step_as_it_would_run_and_says_what_was_chosen(studio: Studio, client: TestClient):
    form = {**good_form(), "batch_size": 2048}
    asked = {**good_choice(studio), "form": form, "card": "NVIDIA RTX 4060, 8 GB", "image_side": 96}
    found = ask(client, "memory", asked)
    assert found["answer"] == "fits"
    choices = {choice["name"]: choice for choice in found["choices"]}
    rows, times = choices["at_once"]["value"], choices["accumulation"]["value"]
    assert rows < 2048 == rows * times
    assert "GiB" in choices["at_once"]["reason"]
    assert choices["precision"]["value"] == "bf16"
    assert {choice["by"] for choice in found["choices"]} == {"studio"}
    asked["form"]["at_once"] = "1024"
    assert ask(client, "memory", asked)["choices"][3]["by"] == "you"


@pytest.mark.parametrize(
    "wrong", [{"card": "no such card"}, {"card": 3}, {"image_side": 0}, {"image_side": "x"}, {"text_tokens": -1}]
)
def test_a_memory_question_that_makes_no_sense_gets_a_sentence(studio: Studio, client: TestClient, wrong):
    assert_plain(ask(client, "memory", {**good_choice(studio), **wrong}, 422)["error"])


def test_no_export_of_another_name(studio: Studio, client: TestClient):
    for form in MADE_UP:
        assert_plain(ask(client, "export", {**good_choice(studio), "format": form}, 422)["error"])


MADE_UP: tuple[Any, ...] = ("no such name", "", None, 3, [], {}, "x" * 5000)


@pytest.mark.parametrize("path", ["preset", "priority"])
def test_what_is_made_up_gets_a_sentence(studio: Studio, client: TestClient, path: str):
    good = {**good_choice(studio), "name": "few_shot" if path == "preset" else "last_layers_first"}
    ask(client, path, good)
    for key in ("model_key", "name"):
        for value in MADE_UP:
            assert_plain(ask(client, path, {**good, key: value}, 422)["error"])
    for key in ("model_key", "selection", "recipe", "name"):
        assert_plain(ask(client, path, {name: value for name, value in good.items() if name != key}, 422)["error"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"7", b"\xff", b"[" * 100_000, b'{"model_key": NaN}'])
def test_what_is_no_json_object_gets_a_sentence(client: TestClient, path: str, body: bytes):
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert_plain(answer.json()["error"])


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_too_long_is_not_read(client: TestClient, path: str):
    answer = client.post(path, content=b" " * (MAX_BODY + 1), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "longer than" in answer.json()["error"]


@pytest.mark.parametrize("path", PATHS)
def test_another_site_s_page_can_ask_nothing(studio: Studio, client: TestClient, path: str):
    """A browser asks first when JSON is sent across sites; what it sends without asking is refused."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = client.post(path, content=json.dumps(good_choice(studio)), headers={"Content-Type": kind})
        assert answer.status_code == 422, kind
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert client.request(method, path).status_code == 405


def test_every_question_is_a_post():
    assert all(isinstance(route, Route) and route.methods == {"POST"} for route in question_routes(cast(Studio, None)))
