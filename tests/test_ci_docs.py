"""The workflow of the page on continuous integration runs as it is printed."""

from __future__ import annotations

import re
import shlex
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
