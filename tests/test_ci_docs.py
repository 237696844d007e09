"""The workflow of the page on continuous integration runs as it is printed."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from roofline import workloads

from .cli_process import run_roofline

PAGE = Path(__file__).parents[1] / "docs" / "ci.md"


@pytest.mark.slow
def test_the_workflow_runs(tmp_path: Path) -> None:
    block, _ = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    steps = yaml.safe_load(block)["jobs"]["bound"]["steps"]
    commands = [step["run"] for step in steps if step.get("run", "").startswith("roofline ")]
    assert len(commands) == 2
    (tmp_path / "model.onnx").write_bytes(workloads.build("mlp").SerializeToString())
    for command in commands:
        done = run_roofline(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("*.json")} == {"count.json", "predictions.json"}
    failing = commands[1].replace("fps<30", "fps>30")
    assert run_roofline(*shlex.split(failing)[1:], cwd=tmp_path).returncode == 1


def test_the_comparison_of_two_commits_runs(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (line,) = re.findall(r"```sh\n(.*?)\n```", page, re.DOTALL)
    _, block = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    step = yaml.safe_load(block)["jobs"]["compare"]["steps"][-1]["run"]
    for name in ("old", "new", "model"):
        (tmp_path / f"{name}.onnx").write_bytes(workloads.build("mlp").SerializeToString())
    for command in (line, step):
        done = run_roofline(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (tmp_path / "old.onnx").write_bytes(workloads.build("mlp_50").SerializeToString())
    for command in (line, step):
        assert run_roofline(*shlex.split(command)[1:], cwd=tmp_path).returncode == 1


def test_the_container_file_installs_what_the_project_declares() -> None:
    root = PAGE.parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (root / "Containerfile").read_text(encoding="utf-8")
    steps = [
        line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")
    ]
    assert [name for name, _ in steps][:3] == ["FROM", "COPY", "RUN"]
    python = re.search(r"python:(\d+)\.(\d+)", steps[0][1])
    least = re.fullmatch(r">=(\d+)\.(\d+)", project["requires-python"])
    assert python is not None
    assert least is not None
    assert tuple(map(int, python.groups())) >= tuple(map(int, least.groups()))
    extras = re.findall(r"/src\[([\w,]+)\]", steps[2][1])
    assert extras
    assert set(extras[0].split(",")) <= set(project["optional-dependencies"])
    # What it starts is a command of the project, and the page starts it by the name under which it is built.
    assert json.loads(dict(steps)["ENTRYPOINT"])[0] in project["scripts"]
    page = PAGE.read_text(encoding="utf-8")
    built = re.findall(r"podman build -t (\w+)", page + text)
    assert len(built) == 2
    assert all(f" {name} count model.onnx" in page for name in built)
