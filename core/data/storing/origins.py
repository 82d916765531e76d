"""Where data come from: which folders of the server may be read, and what data are called at first.

What it does not do: read any of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from core.data.files.archives import is_archive
from core.data.tables import is_table
from core.errors import SourceNotFound, SourceRefused

ROOT_VARIABLE = "STUDIO_DATA_ROOT"
"""When set, folders of the server must lie inside of it; on a shared server none is read without it."""


def allowed_folder(path: str, shared: bool = False) -> Path:
    """A folder of the server that may be read, with links resolved.

    Raises:
        SourceRefused: it lies outside of STUDIO_DATA_ROOT, or the server is shared and has none.
        SourceNotFound: there is no such folder.
    """
    asked = f"The folder “{path[:200]}” was asked for"
    root = os.environ.get(ROOT_VARIABLE, "").strip()
    if shared and not root:
        raise SourceRefused(asked, "folders of this server are not open to its visitors", "Upload the files instead")
    try:
        folder = (Path(root).expanduser() / Path(path).expanduser() if root else Path(path).expanduser()).resolve()
        inside = not root or folder.is_relative_to(Path(root).expanduser().resolve())
        found = inside and folder.is_dir()
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL, links in a circle, an unknown user
        inside, found = True, False
    if not inside:
        raise SourceRefused(asked, "it lies outside of the folder that this server opens", "Choose one inside of it")
    if not path.strip() or not found:
        raise SourceNotFound(asked, "there is no such folder", "Check the path")
    return folder


def called(names: Sequence[str]) -> tuple[str, str]:
    """What uploaded files come from, in words, and the name that their title is made of.

    That is the folder which all of them share, else the file that holds rows or other files, else the first one.

    >>> called(["000.png", "street signs.csv"])
    ('street signs.csv and 1 more file', 'street signs.csv')
    """
    folders = {name.replace("\\", "/").rpartition("/")[0].partition("/")[0] for name in names}
    if len(names) > 1 and len(folders) == 1 and (folder := folders.pop()):
        return f"{_base(folder)}, {len(names):,} files", _base(folder)
    telling = (name for holds in (is_archive, is_table) for name in names if holds(name))
    name = _base(next(telling, names[0]))
    more = f" and {len(names) - 1:,} more file{'s' if len(names) > 2 else ''}" if len(names) > 1 else ""
    return f"{name}{more}", name


def first_title(name: str) -> str:
    """A first title: the name without its ending.

    >>> first_title("street_signs.tar.gz")
    'street signs'
    """
    return re.sub(r"(\.[A-Za-z]\w{0,7}){1,2}$", "", name).replace("_", " ").strip()[:200] or "My data"


def _base(name: str) -> str:
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1][:200]
