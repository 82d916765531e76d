"""A job keeps the stored data set that it was started with, whatever becomes of the set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.data.files.tree import tree_of_folder
from core.data.source import load_dataset
from core.data.storing.importing import store
from core.data.storing.stored import PICTURES, delete_set
from core.errors import SourceNotFound
from core.job_files import DATA
from core.jobs.home import open_home
from core.spec import Source, Spec
from tests.data.made_data import VQA, line
from tests.data.made_data import make as make_data
from tests.jobs.job_fakes import SPEC, Make, wait_for_end


@pytest.fixture
def stored_spec(tmp_path: Path) -> Spec:
    """A spec with a stored set of Anna's."""
    sets = open_home(tmp_path / "home").data("anna") / "sets"
    folder = make_data(tmp_path / "cats", [line(number) for number in range(25)])
    made = store(tree_of_folder(folder), VQA, None, sets, "Cats", "cats")
    return replace(SPEC, data=Source("stored", made.name))


def test_a_job_has_its_data_after_the_set_was_removed(make: Make, stored_spec: Spec, tmp_path: Path) -> None:
    backend, sets = make("quick"), open_home(tmp_path / "home").data("anna") / "sets"
    job = backend.submit(stored_spec, "anna")
    name, kept = stored_spec.data.name, backend.folder(job, "anna") / DATA
    assert (kept / name / PICTURES).samefile(sets / name / PICTURES), "no byte is stored twice"
    delete_set(sets, name)
    data = load_dataset(backend.spec(job, "anna").data, kept)
    assert len(data.train) + len(data.heldout) == 25
    assert data.train[0].picture.open().size == (64, 48)
    wait_for_end(backend, job)
    backend.delete(job, "anna")
    assert not kept.exists()


def test_another_owners_set_starts_no_job_and_leaves_nothing(make: Make, stored_spec: Spec, tmp_path: Path) -> None:
    backend = make("quick")
    with pytest.raises(SourceNotFound):
        backend.submit(stored_spec, "ben")
    assert backend.jobs("ben") == []
    assert list((tmp_path / "home" / "jobs").iterdir()) == []


def test_a_removed_job_leaves_the_set(make: Make, stored_spec: Spec, tmp_path: Path) -> None:
    backend = make("quick")
    job = backend.submit(stored_spec, "anna")
    wait_for_end(backend, job)
    backend.delete(job, "anna")
    data = load_dataset(stored_spec.data, open_home(tmp_path / "home").data("anna") / "sets")
    assert data.train[0].picture.read()
