"""Each recipe of CONTRIBUTING.md is one file (a study: one folder) that is put in its place, and no other edit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..cli_process import run_python

ROOT = Path(__file__).parents[2]

OPERATOR = """
from roofline.ops import Role, define
from roofline.ops._counts import per_output
from roofline.ops._shapes import same_type

define("Softsquare", cost=per_output(2), shape=same_type, role=Role.ELEMENTWISE)
"""

NETWORK = """
from roofline.workloads._network import network

@network("my_network", "Mine", source="nobody", dataset="none")
def my_network(net):
    net.output(net.gemm(net.relu(net.gemm(net.input(4), 8, bias=False)), 2, bias=False))
"""

BACKEND = """
from roofline.validate.measuring.backend import Capabilities, backends
from roofline.validate.records.tuning import Tuning

class Mine:
    title = "my runtime"
    capabilities = Capabilities(tunings=(Tuning.UNTUNED, Tuning.TUNED))

    def missing(self):
        return ""

backends.add("mine", Mine())
"""

CHART = """
from roofline.chart._registry import table_chart
from roofline.tables import Column

@table_chart("mine", "what I see", (Column("fps", "frames per second"),))
def compute(table):
    return None
"""

STUDY = """
from roofline.validate.studies.cells import Cell, Table
from roofline.validate.studies.study import Study, studies

def tables():
    return (Table("Speeds", (Cell("a", 1.0, 1.0, True),), "equal"),)

studies.add("mine", Study("Me, 2026", tables, dict))
"""

VERB = '''
"""``roofline greet``: says hello."""
import typer

app = typer.Typer()

@app.command()
def greet() -> None:
    """Say hello."""
    typer.echo("hello")
'''

FILES = {
    "ops/softsquare.py": OPERATOR,
    "workloads/mine.py": NETWORK,
    "validate/backends/mine.py": BACKEND,
    "chart/mine.py": CHART,
    "validate/studies/mine/__init__.py": "",
    "validate/studies/mine/study.py": STUDY,
    "cli/verb_greet.py": VERB,
}

PARTS = ("platforms", "workloads", "validate")
"""Parts of the package that lie beside it in the checkout."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A package in which every recipe has been followed; the variables by which a child imports it."""
    folder = tmp_path_factory.mktemp("recipes")
    board = (ROOT / "platforms/ncs.yaml").read_text().replace("key: ncs", "key: my-board", 1)
    for name, text in {**FILES, "platforms/my-board.yaml": board}.items():
        path = folder / "roofline" / name
        _open(folder / "roofline", path.parent)
        # Nothing may be written through a link into the checkout.
        assert path.parent.resolve().is_relative_to(folder.resolve())
        path.write_text(text)
    return {"PYTHONPATH": str(folder)}


def _open(package: Path, folder: Path) -> None:
    """Make a folder that holds links to what the program has there, and can hold more; its parents first."""
    if folder != package:
        _open(package, folder.parent)
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        return
    folder.mkdir(parents=True)
    inner = folder.relative_to(package).parts
    split = inner and inner[0] in PARTS
    own = ROOT.joinpath(*inner) if split else ROOT.joinpath("roofline", *inner)
    for entry in own.iterdir() if own.is_dir() else ():
        (folder / entry.name).symlink_to(entry)
    if folder == package:
        for part in PARTS:
            (folder / part).symlink_to(ROOT / part)


def _told(installed: dict[str, str], code: str) -> object:
    done = run_python("-c", code, variables=installed, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_an_operator_is_counted_fused_and_pruned_through(installed: dict[str, str]) -> None:
    code = """
import json
import numpy as np
from onnx import helper, numpy_helper, TensorProto
import roofline as rl
from roofline.compress import compress, Pruning, Request

sizes = {"a": (8, 16), "b": (16, 4)}
weights = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in sizes.items()]
nodes = [helper.make_node("MatMul", ["x", "a"], ["h"], "first"), helper.make_node("Softsquare", ["h"], ["s"], "mine"),
         helper.make_node("MatMul", ["s", "b"], ["y"], "second")]
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], weights)
model = helper.make_model(graph)
found = rl.Workload.from_onnx(model)
half = compress(model, Request(Pruning(0.5))).counted
print(json.dumps([found.cost.other_ops, len(found.fused_layers), found.macs, half.macs]))
"""
    # 2 operations for each of 16 elements; one layer for the first product and what follows it, one for the second;
    # 8 x 16 + 16 x 4 products, and half of both when half of the 16 stay.
    assert _told(installed, code) == [32, 2, 192, 96]


def test_a_platform_predicts(installed: dict[str, str]) -> None:
    code = (
        "import roofline as rl, json; machine = rl.platform('my-board');"
        "print(json.dumps([machine.key, rl.predict(rl.load('mlp'), machine, datatype='fp16').platform]))"
    )
    assert _told(installed, code) == ["my-board", "my-board"]


def test_a_network_is_counted(installed: dict[str, str]) -> None:
    code = "import roofline as rl, json; print(json.dumps(rl.load('my_network').macs))"
    assert _told(installed, code) == 4 * 8 + 8 * 2


def test_a_backend_is_asked_what_it_can_do(installed: dict[str, str]) -> None:
    code = (
        "from roofline.validate.measuring.series import for_backend\n"
        "from roofline.validate.records.request import RunRequest\n"
        "import json; print(json.dumps(for_backend(RunRequest('mlp', 'mine', tuning='tuned')).tuning))"
    )
    assert _told(installed, code) == "tuned"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["plot"], "what I see"),
        (["reproduce", "mine"], "Speeds"),
        (["greet"], "hello"),
    ],
)
def test_the_command_line_has_it(
    installed: dict[str, str], words: list[str], expected: str
) -> None:
    done = run_python("-m", "roofline", *words, variables=installed, check=True)
    assert expected in done.stdout
