"""What nobody comes back for is taken away, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.ui.bringing import begin, bring, client_of, said, send, stored, vqa, waited
from tests.ui.parts import ANNA, BEN, make_studio
from ui.data.sweeping import DRAFTS_KEPT, ENDED_KEPT, sweep
from ui.studio import Studio


@pytest.fixture
def shared(tmp_path: Path) -> Studio:
    """A server that many use."""
    return make_studio(tmp_path, shared=True)


def age(folder: Path, seconds: float) -> None:
    """Makes all that is there look older."""
    then = time.time() - seconds
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))


def test_an_upload_that_stopped_is_gone_after_a_day_and_no_sooner(shared: Studio):
    anna, ben = client_of(shared, ANNA), client_of(shared, BEN)
    old, new = begin(anna, ("a.zip", 10)), begin(ben, ("a.zip", 10))
    for client, upload in ((anna, old), (ben, new)):
        said(send(client, upload, b"12345"))
    sweep(shared)
    assert anna.get(f"/studio/uploads/{old}").status_code == 200
    age(shared.data(ANNA) / "uploads", ENDED_KEPT + 60)
    sweep(shared)
    assert anna.get(f"/studio/uploads/{old}").status_code == 404
    assert not list((shared.data(ANNA) / "uploads").iterdir())
    assert ben.get(f"/studio/uploads/{new}").status_code == 200


def test_a_stored_draft_goes_before_one_that_is_not_stored_and_its_set_stays(shared: Studio):
    anna = client_of(shared, ANNA)
    name = stored(anna, vqa(6))
    waiting = bring(anna, vqa(7))["id"]
    waited(anna, waiting)
    age(shared.data(ANNA) / "drafts", ENDED_KEPT + 60)
    sweep(shared)
    assert [each["id"] for each in said(anna.get("/studio/drafts"))["drafts"]] == [waiting]
    age(shared.data(ANNA) / "drafts", DRAFTS_KEPT - 60)
    said(anna.get(f"/studio/drafts/{waiting}"))
    sweep(shared)
    assert anna.get(f"/studio/drafts/{waiting}").status_code == 200
    age(shared.data(ANNA), DRAFTS_KEPT + 60)
    sweep(shared)
    assert said(anna.get("/studio/drafts")) == {"drafts": []}
    assert anna.get(f"/studio/drafts/{waiting}").status_code == 404
    assert [card["key"] for card in said(anna.get("/studio/sets"))["sets"]] == [f"stored:{name}"]


def test_one_damaged_folder_does_not_keep_the_others_from_being_swept(shared: Studio):
    client_of(shared, BEN).get("/studio/drafts")
    bring(client_of(shared, ANNA), vqa(6))
    (shared.data("somebody else")).mkdir(parents=True)
    (shared.data("somebody else") / "uploads").write_text("no folder")
    age(shared.data(ANNA), DRAFTS_KEPT + 60)
    sweep(shared)
    assert said(client_of(shared, ANNA).get("/studio/drafts")) == {"drafts": []}


def test_a_server_without_data_has_nothing_to_sweep(shared: Studio, tmp_path: Path):
    sweep(shared)
    assert shared.everybodys_data() == ()
