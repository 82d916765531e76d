"""The digits demo from the command line: exact match before and after, and the seconds it takes on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from tests.benchmarks.figure import Figure
from tests.browser.conftest import ROOT


def measure() -> Iterator[Figure]:
    """Seconds of the whole command, imports included."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as home:
        command = [sys.executable, "-m", "core.cli", "train", "--demo", "digits", "--json"]
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "STUDIO_HOME": home}, capture_output=True, text=True, check=True
        )
        took = time.monotonic() - began
    result = json.loads(done.stdout.strip().splitlines()[-1])
    before, after = result["before"], result["after"]
    more = (
        f"exact match {before['exact_match']:.1%} before, {after['exact_match']:.1%} after, "
        f"of {after['rows']} held-out rows; the command as a whole, cold"
    )
    yield Figure("digits demo", took, "s", None, more=more)
