"""How long a job will take: by the owner's own run that was like it, and by nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.jobs.home import LOCAL_OWNER
from core.spec import Status, write
from tests.ui.parts import PLAN, SPEC, good_choice, good_form, make_job, make_studio
from ui.panels.settings import settings_of
from ui.questions.routes import question_routes
from ui.studio import OWNER_COOKIE, OWNER_LENGTH, Studio

DEVICE = "CPU with 32-bit floats"


def ran(root: Path, owner: str) -> None:
    """A finished job with the settings of the form."""
    folder = make_job(root / "home", owner, plan=PLAN, settings=settings_of(good_form()), data=SPEC.data)
    write(Status(state="finished", step=40, steps_per_second=2.0, device=DEVICE), folder / "status.json")


def asked(studio: Studio, **cookies: str) -> Any:
    client = TestClient(Starlette(routes=question_routes(studio)), cookies=cookies)
    choice = {**good_choice(studio), "form": good_form(), "row_tokens": 100}
    return client.post("/studio/pace", json=choice).json()["pace"]


def test_without_a_run_like_it_nothing_is_said(tmp_path: Path):
    assert asked(make_studio(tmp_path)) is None


def test_a_run_like_it_tells_time_tokens_and_disk(tmp_path: Path):
    ran(tmp_path, LOCAL_OWNER)
    found = asked(make_studio(tmp_path))
    settings = settings_of(good_form())
    assert found["hours"] == pytest.approx(settings.total_steps(1) / 2.0 / 3600)
    assert found["tokens_per_second"] == pytest.approx(2.0 * settings.batch_size * settings.accumulation * 100)
    assert found["disk_bytes"] > 0
    assert DEVICE in found["source"]


def test_nobody_sees_the_pace_of_another_s_run(tmp_path: Path):
    owner = "a" * OWNER_LENGTH
    ran(tmp_path, owner)
    studio = make_studio(tmp_path, shared=True)
    assert asked(studio, **{OWNER_COOKIE: owner}) is not None
    assert asked(studio, **{OWNER_COOKIE: "b" * OWNER_LENGTH}) is None
    assert asked(studio) is None
