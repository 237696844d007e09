"""Every verb that measures works wherever a user stands: what lies there is never taken for a package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .cli_process import obey_permissions

pytest.importorskip("onnxruntime", reason="the runs are ONNX Runtime's")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.prefix) / "bin" / "roofline"
"""The installed command, as a user starts it."""
HOSTILE = "import os, sys\nsys.stderr.write('imported ' + __file__)\nos._exit(99)\n"
NAMES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "roofline",
    "sitecustomize",
    "usercustomize",
    "json",
    "tvm",
)
CAMPAIGN = """
schema_version: 1
network: [mlp]
backend: [onnxruntime]
threads: [1]
protocol: {runs: 2, sampling_s: 0.1}
"""
FLEET = """
schema_version: 1
network: [mlp_12_5]
batch: [1]
tuning: untuned
target: board
boards: {{board: {{key: {key}}}}}
protocol: {{runs: 2, sampling_s: 0.1, time_limit_s: 120}}
"""
SHORT = ("--backend", "onnxruntime", "--runs", "2", "--sampling-s", "0.1")
ROOFS = ("--seconds", "0.5", "--threads", "1")
VERBS = {
    "measure": ("measure", "mlp", *SHORT),
    "calibrate": ("calibrate", *ROOFS, "--backend", "none", "-o", "{results}/machine.yaml"),
    "validate": ("validate", "mlp", "-p", "i7-3820", *SHORT),
    "campaign": ("campaign", "run", "{results}/campaign.yaml"),
}


def clone(folder: Path) -> None:
    """Make a folder that has the sources of the program where a checkout has them."""
    for name in ("roofline", "validate", "platforms", "workloads"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    # A checkout that is run instead of what is installed shows itself.
    (folder / "roofline" / "__init__.py").write_text(HOSTILE)


def hostile(folder: Path) -> None:
    for name in NAMES:
        (folder / f"{name}.py").write_text(HOSTILE)


def read_only(folder: Path) -> None:
    folder.chmod(0o555)


PLACES = {
    "clone": ("clone", clone),
    "hostile": ("hostile", hostile),
    "read-only": ("read-only", read_only),
    "spaces and letters": ("größe ß 網路 of mine", hostile),
}


def standing(place: str, tmp_path: Path) -> Path:
    """Make a place and return it."""
    name, prepare = PLACES[place]
    folder = tmp_path / name
    folder.mkdir()
    prepare(folder)
    return folder


def run(folder: Path, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, with nothing in the environment that makes Python careful."""
    careful = ("PYTHONSAFEPATH", "PYTHONPATH", "PYTHONNOUSERSITE")
    results = folder.parent / "results"
    results.mkdir(exist_ok=True)
    (results / "campaign.yaml").write_text(CAMPAIGN)
    environment = {name: value for name, value in os.environ.items() if name not in careful}
    environment |= {
        "HOME": str(results),
        "ROOFLINE_CACHE": str(results / "cache"),
        "XDG_DATA_HOME": str(results / "data"),
    }
    words = [word.replace("{results}", str(results)) for word in arguments]
    return subprocess.run(
        [PROGRAM, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout,
        check=False, preexec_fn=obey_permissions,
    )  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_works_where_one_stands(verb: str, place: str, tmp_path: Path) -> None:
    folder = standing(place, tmp_path)
    before = sorted(folder.rglob("*"))
    done = run(folder, *VERBS[verb])
    folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "imported" not in done.stderr
    assert done.stdout.strip() or (folder.parent / "results" / "machine.yaml").is_file()
    assert sorted(folder.rglob("*")) == before


PROBED = ("smallest operator", "conv 64-64 3x3 at 14", "matmul 1x256x256", "alone: Relu")
"""Microbenchmarks that are run here; all 600 take minutes, and many more where others are busy."""


def test_a_profile_is_calibrated_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roofline.validate.calibration.microbenchmarks import kept_file
    from roofline.validate.calibration.probes import probes
    from roofline.validate.measuring.environment import package_version

    folder = standing("spaces and letters", tmp_path)
    monkeypatch.setenv("ROOFLINE_CACHE", str(tmp_path / "results" / "cache"))
    # What an earlier calibration could not run is not run again.
    kept = kept_file("onnxruntime", package_version("onnxruntime"), 1)
    kept.parent.mkdir(parents=True, exist_ok=True)
    left = [probe.name for probe in probes() if probe.name not in PROBED]
    lines = [json.dumps({"name": name, "round": 0, "failed": "left out"}) for name in left]
    kept.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = run(folder, "calibrate", *ROOFS, "-o", "{results}/machine.yaml")
    assert done.returncode == 0, done.stderr
    assert "imported" not in done.stderr
    written = (tmp_path / "results" / "machine.yaml").read_text(encoding="utf-8")
    assert f" {len(PROBED)} probes, difference of two lengths" in " ".join(written.split())


@pytest.mark.tvm
@pytest.mark.parametrize("place", PLACES)
def test_a_fleet_works_where_one_stands(place: str, tmp_path: Path) -> None:
    for package in ("tvm", "tornado", "cloudpickle"):
        pytest.importorskip(package)
    from .rpc_fleet import KEY, running

    folder, results = standing(place, tmp_path), tmp_path / "results"
    results.mkdir()
    before = sorted(folder.rglob("*"))
    (results / "fleet.yaml").write_text(FLEET.format(key=KEY))
    with running(results, cwd=folder) as (tracker, _):
        done = run(
            folder, "campaign", "run", "{results}/fleet.yaml", "--rpc-tracker", str(tracker)
        )
    folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "imported" not in done.stderr
    assert "fleet: 1 run: 1 ok" in done.stdout
    assert sorted(folder.rglob("*")) == before


@pytest.mark.tvm
@pytest.mark.parametrize("place", ["clone", "spaces and letters"])
def test_the_demo_works_where_one_stands(place: str, tmp_path: Path) -> None:
    folder = standing(place, tmp_path)
    done = run(folder, "demo", "--minutes", "1", timeout=900)
    assert done.returncode == 0, done.stderr
    assert (folder / "roofline-demo" / "index.html").is_file()
