"""Imports run one way: ui and the command line on top, the errors at the bottom, and nothing of a page in core."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    {"errors", "files", "job_files"},
    {"spec"},
    {"models"},
    {"data", "lora"},
    {"memory", "export"},
    {"evaluation"},
    {"adapters"},
    {"serving", "jobs", "training"},
    {"cli", "ui"},
    {"app"},
)
"""From the bottom to the top; a layer imports only from those below it, and from itself."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted([*(ROOT / "core").rglob("*.py"), *(ROOT / "ui").rglob("*.py"), *ROOT.glob("app.py")])


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module in ("core", "ui"))


def part(module: str) -> str | None:
    """The layer's name of a module of ours: `core.lora.plan` -> `lora`."""
    names = module.split(".")
    if names[0] in ("ui", "app"):
        return names[0]
    return names[1] if names[0] == "core" and len(names) > 1 else None


def part_of(path: Path) -> str | None:
    return part(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_from_layers_below_its_own(path):
    own = part_of(path)
    if own in (None, "__init__", "demo"):  # demo makes what is shipped in assets, and may use everything
        return
    assert own in LEVEL, f"core/{own} has no place in the layers"
    for module in imports(path):
        used = part(module)
        if used is None or used == own:
            continue
        assert LEVEL.get(used, 99) < LEVEL[own], f"{own} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_page_stays_out_of_core_and_torch_out_of_the_page(path):
    used = {module.split(".")[0] for module in imports(path)}
    if path.is_relative_to(ROOT / "core"):
        assert not used & {"gradio", "plotly"}
    if path.is_relative_to(ROOT / "ui"):
        assert not used & {"torch", "transformers", "peft", "trl"}


def test_importing_the_command_line_loads_no_heavy_library():
    import subprocess
    import sys

    code = "import sys, core.cli; assert not {'torch', 'transformers', 'peft', 'gradio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_two_modules_import_each_other_not_even_by_way_of_others():
    import graphlib

    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    graph = {
        name: {used for module in imports(path) for used in (module, module.rpartition(".")[0]) if used in names}
        | {used for used in _from_packages(path) if used in names}
        for name, path in names.items()
    }
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert set(order) == set(names)


def _from_packages(path: Path) -> Iterator[str]:
    """Modules imported as names of their package: `from core.models import hub`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
