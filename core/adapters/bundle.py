"""The adapter as a person takes it home: its folder made complete, one zip, a copy. No path of this machine in any.

What it does not do: train or load a model; it reads the job's folder and writes beside it.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from core.adapters.card import card_text
from core.adapters.curves import curves_svg
from core.adapters.published import published_spec
from core.data.storing.stored import read_about
from core.errors import AdapterError
from core.files import taking_the_place_of
from core.job_files import ADAPTER, CARD, CONFIG, CURVES, SPEC, WEIGHTS
from core.models.loading import public_name
from core.spec import Spec, Status, read, to_json

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the zip, so that the same adapter gives the same bytes."""


def write_card(
    job_dir: Path,
    spec: Spec,
    status: Status,
    series: Sequence[Mapping[str, Any]],
    by_component: Mapping[str, int] | None = None,
    sets: Path | None = None,
    proof: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `README.md` and `curves.svg` into the job's adapter folder; returns the card's path.

    `series` are the points of `metrics.jsonl`; `by_component` the trainable parameters of each component, if counted;
    `sets` the folder of the stored data sets that the job keeps; `proof` what the worker has proved.
    """
    stored = read_about(sets, spec.data.name) if sets and spec.data.kind == "stored" else None
    folder = job_dir / ADAPTER
    folder.mkdir(exist_ok=True)
    (folder / CURVES).write_text(curves_svg(series), encoding="utf-8")
    (folder / CARD).write_text(card_text(spec, status, by_component, stored, series, proof), encoding="utf-8")
    return folder / CARD


def zip_adapter(job_dir: Path) -> Path:
    """The adapter as one zip in the job's folder, made anew only when something in it changed.

    Raises:
        AdapterError: there is no adapter, or no room for the zip.
    """
    spec = read(Spec, job_dir / SPEC)
    target = job_dir / f"{_slug(spec.name)}-adapter.zip"
    newest = max(file.stat().st_mtime_ns for file in _present(job_dir))
    if target.exists() and target.stat().st_mtime_ns >= newest:
        return target
    try:
        with taking_the_place_of(target) as staged:
            with zipfile.ZipFile(staged, "w", zipfile.ZIP_STORED) as archive:
                for name, content in _contents(job_dir, spec).items():
                    _add(archive, name, content)
            os.utime(staged, ns=(newest, newest))  # what changes while it is made counts as newer
    except OSError as error:
        raise AdapterError(
            "A download was asked for", f"the zip cannot be written ({error.strerror})", "Make room and try again"
        ) from None
    return target


def copy_adapter(job_dir: Path, target: Path) -> Path:
    """The same files as in the zip, in a folder of their own; files of these names there are replaced.

    Raises:
        AdapterError: there is no adapter, or the folder cannot be written.
    """
    contents = _contents(job_dir, read(Spec, job_dir / SPEC))
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with _opened(content) as source, (target / name).open("wb") as out:
                shutil.copyfileobj(source, out)
    except OSError as error:
        raise AdapterError(
            f"The adapter was to be copied to {target}", str(error.strerror), "Name a folder that you may write"
        ) from None
    return target


def adapter_folder(job_dir: Path) -> Path:
    """The job's adapter as PEFT loads it.

    Raises:
        AdapterError: there is none, or only a part of one.
    """
    if not has_adapter(job_dir):
        raise AdapterError(
            "The adapter was asked for", "the job has not made one", "Wait until it has finished, or start it again"
        )
    return job_dir / ADAPTER


def has_adapter(job_dir: Path) -> bool:
    """Whether the job has saved an adapter that PEFT can load."""
    return all((job_dir / ADAPTER / name).is_file() for name in (WEIGHTS, CONFIG))


def _present(job_dir: Path) -> list[Path]:
    folder = adapter_folder(job_dir)
    return [file for name in (WEIGHTS, CONFIG, CARD, CURVES) if (file := folder / name).is_file()]


def _contents(job_dir: Path, spec: Spec) -> dict[str, Path | bytes]:
    contents: dict[str, Path | bytes] = {file.name: file for file in _present(job_dir)}
    contents[CONFIG] = _published_config(job_dir / ADAPTER / CONFIG, spec)
    contents[SPEC] = (to_json(published_spec(spec), indent=2) + "\n").encode()
    return contents


def _published_config(path: Path, spec: Spec) -> bytes:
    """PEFT's config with the base model named as others know it instead of where it lay here."""
    config = json.loads(path.read_bytes())
    config["base_model_name_or_path"] = public_name(spec.model)
    config["revision"] = spec.model.revision
    return (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()


def _add(archive: zipfile.ZipFile, name: str, content: Path | bytes) -> None:
    info = zipfile.ZipInfo(name, date_time=_EPOCH)
    info.external_attr = 0o644 << 16
    with _opened(content) as source, archive.open(info, "w", force_zip64=True) as out:
        shutil.copyfileobj(source, out)


def _opened(content: Path | bytes) -> IO[bytes]:
    return content.open("rb") if isinstance(content, Path) else io.BytesIO(content)


def _slug(name: str) -> str:
    """A file name that every system takes.

    >>> _slug("Digits: 8 × 8!"), _slug("數字")
    ('digits-8-8', 'vlm')
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "vlm"
