"""One function starts every Python process, so that none imports from the folder the user stands in."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roofline.child import environment

from ..cli_process import run_python

ROOT = Path(__file__).parents[2]
FOLDERS = ("roofline", "platforms", "workloads", "validate", "tests", "benchmarks")
HOME = ROOT / "roofline" / "child.py"

STARTERS = {"ProcessPoolExecutor", "popen_pool", "PopenPoolExecutor", "PopenWorker"}
PYTHON = re.compile(r"(\S*/)?python[\d.]*(\s+-[mc]\b.*)?", re.DOTALL)
SPAWNING = re.compile(
    r"(Popen|run|call|check_call|check_output|system|popen|exec\w+|p?spawn\w*|posix_spawnp?)"
)


def breaches(source: str) -> Iterator[int]:
    """Yield the lines that name this interpreter, a package that starts it, or a command that does."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            package = ast.unparse(node.value)
            # Its processes start anew by default; those that it forks have imported what they need.
            started = package == "multiprocessing" and node.attr != "get_context"
            if started or (package, node.attr) == ("sys", "executable"):
                yield node.lineno
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            packages = (node.module or "").split(".")
            rules = {"multiprocessing": {"get_context"}, "sys": names - {"executable"}}
            if {*packages, *names} & STARTERS or names - rules.get(packages[0], names):
                yield node.lineno
        elif isinstance(node, ast.Call):
            words = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)]
            name = (
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            )
            python = any(isinstance(word, str) and PYTHON.fullmatch(word) for word in words)
            if (SPAWNING.fullmatch(name) and python) or (
                name == "get_context" and words != ["fork"]
            ):
                yield node.lineno


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nsubprocess.run([sys.executable, '-m', 'roofline'])",
        "from sys import executable",
        "subprocess.Popen(['python3', '-c', ''])",
        "os.system('python -m roofline')",
        "os.execv('/usr/bin/python3.11', [])",
        "import multiprocessing\nmultiprocessing.Pool()",
        "from multiprocessing import Process",
        "from multiprocessing.pool import Pool",
        "context = multiprocessing.get_context('spawn')",
        "from concurrent.futures import ProcessPoolExecutor",
        "from tvm.support.popen_pool import PopenWorker",
    ],
)
def test_other_ways_to_start_python_are_seen(source: str) -> None:
    assert list(breaches(source))


def test_python_is_started_in_one_place() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path not in {HOME, Path(__file__)}
        for line in breaches(path.read_text(encoding="utf-8"))
    ]
    assert not found


HOSTILE = "import os, sys; sys.stderr.write('imported ' + __file__); os._exit(99)"


def test_nothing_is_imported_from_where_one_stands(tmp_path: Path) -> None:
    for name in ("numpy", "onnx", "roofline", "sitecustomize", "usercustomize", "json", "child"):
        (tmp_path / f"{name}.py").write_text(HOSTILE)
    grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import json, roofline'], check=True)"
    script = tmp_path / "script.py"
    script.write_text("import json, numpy, onnx, roofline, roofline.validate\n" + grandchild)
    for path in ("", ".", f"{os.pathsep}/no/such/folder", f"{os.pathsep}."):
        for arguments in (
            ("-c", script.read_text()),
            ("-m", "roofline", "--version"),
            (str(script),),
        ):
            done = run_python(*arguments, cwd=tmp_path, variables={"PYTHONPATH": path})
            assert done.returncode == 0, (path, arguments, done.stderr)


def test_folders_that_are_asked_for_by_name_stay(tmp_path: Path) -> None:
    (tmp_path / "asked.py").write_text("print('here')")
    path = os.pathsep.join(["", str(tmp_path), "relative"])
    done = run_python("-c", "import asked", variables={"PYTHONPATH": path}, check=True)
    assert done.stdout == "here\n"
    assert environment({"PYTHONPATH": path})["PYTHONPATH"] == str(tmp_path)


def test_a_child_is_in_the_same_virtual_environment() -> None:
    done = run_python("-c", "import sys; print(sys.prefix)", check=True)
    assert done.stdout.strip() == sys.prefix
