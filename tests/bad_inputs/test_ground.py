"""The ground itself: the 60 cases are all there by their names, and the watch barks."""

from __future__ import annotations

import ast
import re
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.bad_inputs.ground import brought, good, plain, watched, zipped

COUNTS = {"archives": 12, "tables": 14, "images": 14, "paths": 8, "ids": 8, "parameters": 4}


def test_all_sixty_bad_inputs_have_a_test_of_their_name():
    found: set[tuple[str, int]] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and (name := re.fullmatch(r"test_([a-z]+)_(\d\d)_\w+", node.name)):
                assert path.stem == f"test_{name[1]}"
                found.add((name[1], int(name[2])))
    assert found == {(kind, number) for kind, count in COUNTS.items() for number in range(1, count + 1)}
    assert len(found) == 60


def test_the_watch_sees_a_file_outside_that_is_read(home: Path):
    with pytest.raises(AssertionError, match="outside"), watched(home):
        (home.parent / "secret.txt").read_bytes()
    with watched(home):
        (home / "own.txt").write_text("x")


def test_the_watch_sees_a_file_outside_that_is_written(home: Path):
    with pytest.raises(AssertionError, match="outside"), watched(home):
        (home.parent / "new.txt").write_text("x")


def test_the_watch_sees_a_link_that_is_followed(home: Path):
    (home / "link").symlink_to(home.parent, target_is_directory=True)
    with pytest.raises(AssertionError, match="outside"), watched(home):
        (home / "link" / "secret.txt").read_bytes()


def test_the_watch_lets_nothing_onto_the_network(home: Path):
    with pytest.raises(AssertionError), watched(home), pytest.raises(PermissionError):
        socket.create_connection(("127.0.0.1", 9), timeout=0.1)
    with pytest.raises(AssertionError), watched(home), pytest.raises((PermissionError, urllib.error.URLError)):
        urllib.request.urlopen("http://127.0.0.1:9/")


def test_the_watch_lets_no_program_start(home: Path):
    with pytest.raises(AssertionError), watched(home), pytest.raises(PermissionError):
        subprocess.run(["true"], check=False)


def test_the_watch_sees_memory_that_is_taken_and_given_back(home: Path):
    with pytest.raises(AssertionError, match="memory grew by"), watched(home):
        assert len(b"x" * 300 * 2**20) == 300 * 2**20


def test_good_data_stay_far_below_the_limit(home: Path):
    with watched(home, most=60 * 2**20):
        brought(home, {"data.zip": zipped(good(50))})


@pytest.mark.parametrize(
    "words", ["no end", "Traceback (most recent call last).", "ValueError: x.", "it is <class 'int'>.", "a\x1bb."]
)
def test_what_is_no_plain_sentence(words, tmp_path: Path):
    with pytest.raises(AssertionError):
        plain(words, tmp_path)
