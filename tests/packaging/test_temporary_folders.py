"""One module makes temporary folders, so that none outlives a killed run; one makes a file's temporary neighbour."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("roofline", "platforms", "workloads", "validate")
HOMES = {"roofline/temporary.py": "mkdtemp", "roofline/writing.py": "mkstemp"}
HARMLESS = {"gettempdir", "tempdir"}


def makers(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and name of everything of `tempfile` that makes a file or a folder."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "tempfile":
            names = {node.attr}
        elif isinstance(node, ast.ImportFrom) and node.module == "tempfile":
            names = {alias.name for alias in node.names}
        else:
            continue
        for name in names - HARMLESS:
            yield node.lineno, name


@pytest.mark.parametrize(
    "source",
    ["import tempfile\ntempfile.TemporaryDirectory()", "from tempfile import NamedTemporaryFile"],
)
def test_other_makers_are_seen(source: str) -> None:
    assert list(makers(source))


def test_temporary_folders_are_made_in_one_place() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, name in makers(path.read_text(encoding="utf-8"))
        if HOMES.get(str(path.relative_to(ROOT))) != name
    ]
    assert not found
