"""What every bad input needs: a folder of the owner with something secret beside it, and libraries that are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_inputs.ground import brought, good, taken, things, zipped

SECRET = b"hf_canary_that_nobody_may_read"


@pytest.fixture(scope="session", autouse=True)
def _loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A good upload first: what is measured later is the input's memory, not that of imports."""
    home = tmp_path_factory.mktemp("first") / "owner"
    assert taken(home, brought(home, {"data.zip": zipped(good())})) == things(0, 1, 2, 3, 4, 5)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The owner's folder; a picture and a text that are none of theirs lie beside it."""
    from tests.bad_inputs.ground import png

    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "secret.png").write_bytes(png(99))
    (tmp_path / "owner").mkdir()
    return tmp_path / "owner"
