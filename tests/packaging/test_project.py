"""What the project says of itself agrees: version, licence, packages, changelog."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

from ..cli_process import run_roofline

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_version_is_the_same_everywhere() -> None:
    declared = PROJECT["project"]["version"]
    assert version("roofline") == declared
    assert f"version: {declared}" in (ROOT / "CITATION.cff").read_text()


def test_every_package_folder_is_packaged() -> None:
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    folders = {
        "roofline": ROOT / "roofline",
        "roofline.platforms": ROOT / "platforms",
        "roofline.workloads": ROOT / "workloads",
        "roofline.validate": ROOT / "validate",
    }
    found = {
        ".".join([package, *path.parent.relative_to(folder).parts])
        for package, folder in folders.items()
        for path in folder.rglob("__init__.py")
    }
    assert found == listed


def test_the_ffi_pin_is_kept() -> None:
    # TVM 0.27 with ffi 0.1.15 ends the process in every MetaSchedule context.
    assert (
        "apache-tvm-ffi==0.1.14.post1" in PROJECT["project"]["optional-dependencies"]["validate"]
    )


def test_command_line_reports_the_version() -> None:
    done = run_roofline("--version", check=True)
    assert re.fullmatch(r"roofline \d+\.\d+\.\d+\n", done.stdout)
