"""Reading files that another process is writing."""

from __future__ import annotations

from pathlib import Path

from core.jobs import series
from core.jobs.home import data_home, open_home
from core.jobs.series import last_error, read_points, read_words
from core.jobs.stopping import Patience


def test_a_torn_last_line_is_left_for_the_next_read(tmp_path: Path):
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"step": 1}\n{"ste')
    points, offset = read_points(file, 0)
    assert (points, offset) == ([{"step": 1}], 12)
    with file.open("ab") as out:
        out.write(b'p": 2}\n')
    assert read_points(file, offset) == ([{"step": 2}], 24)


def test_a_damaged_line_is_left_out_and_reading_goes_on(tmp_path: Path):
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"step": 1}\n\x00\xff\n[1]\n{"step": 2}\n')
    assert [point["step"] for point in read_points(file, 0)[0]] == [1, 2]


def test_a_large_file_is_read_in_pieces(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(series, "MAX_BYTES", 30)
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"step": 1}\n' * 2 + b"x" * 100 + b'\n{"step": 3}\n')
    found, offset = [], 0
    for _ in range(10):
        points, offset = read_points(file, offset)
        found += [point["step"] for point in points]
    assert found == [1, 1, 3]
    assert offset == file.stat().st_size


def test_a_missing_file_and_one_that_got_shorter_begin_anew(tmp_path: Path):
    file = tmp_path / "metrics.jsonl"
    assert read_points(file, 0) == ([], 0)
    file.write_bytes(b'{"step": 1}\n')
    assert read_points(file, 500) == ([{"step": 1}], 12)
    assert read_points(file, -3) == ([{"step": 1}], 12)


def test_a_letter_of_several_bytes_is_never_cut(tmp_path: Path):
    file = tmp_path / "worker.log"
    file.write_bytes("é".encode()[:1])
    assert read_words(file, 0) == ("", 0)
    file.write_bytes("é!".encode())
    assert read_words(file, 0) == ("é!", 3)
    assert last_error(tmp_path / "none") == ""


def test_a_log_is_read_without_this_machines_folders_also_in_pieces(tmp_path: Path):
    file = tmp_path / "worker.log"
    line = 'File "/home/anna/secret/core/x.py", line 3; /tmp/secret/a and https://hub.co/a/b 1/2 or [/opt/secret/b]\n'
    text, offset = "", 0
    for letter in line:
        with file.open("a") as out:
            out.write(letter)
        more, offset = read_words(file, offset)
        text += more
    assert text == 'File "…/x.py", line 3; …/a and https://hub.co/a/b 1/2 or […/b]\n'
    assert read_words(file, 0) == (text, len(line.encode()))


def test_the_error_that_ended_a_log_is_its_class_alone(tmp_path: Path):
    file = tmp_path / "worker.log"
    file.write_text('Traceback:\n  File "/secret/x.py", line 3\nsafetensors.SafetensorError: /secret\nsecond line\n')
    assert last_error(file) == "SafetensorError"
    file.write_text("all went well: Error\n")
    assert last_error(file) == ""


def test_patience_waits_then_asks_then_kills():
    now = [0.0]
    patience = Patience(term_after=10, kill_after=5, clock=lambda: now[0])
    signals = []
    for second in range(18):
        now[0] = second
        signals.append(patience.due("job"))
    assert [(second, number.name) for second, number in enumerate(signals) if number] == [
        (10, "SIGTERM"),
        (15, "SIGKILL"),
        (16, "SIGKILL"),
        (17, "SIGKILL"),
    ]
    patience.forget("job")
    assert patience.due("job") is None


def test_the_data_folder_is_the_one_named_else_in_the_home_folder(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "named"))
    assert data_home() == tmp_path / "named"
    monkeypatch.delenv("STUDIO_HOME")
    assert data_home() == Path.home() / ".vlm-lora-studio"
    home = open_home(tmp_path / "new")
    assert home.jobs.is_dir()
    assert home.cache.is_dir()
    assert list(home.jobs.iterdir()) == []
