"""The same networks counted by other tools: the table of docs/differences.md.

    python benchmarks/differences.py

Needs torch, fvcore, thop, torchinfo and onnx-tool; a tool that is not installed is left out. The torch twins are
written out here, so that everybody counts the same layers; the ONNX files are the shipped networks with random weights.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper
from torch_twins import twins

import roofline as rl
from roofline.markdown import markdown_table
from roofline.workloads import build

NETWORKS = ("resnet50_v15", "mobilenet_v2", "vit_b16", "lstm")


def lstm_file() -> onnx.ModelProto:
    """Return an LSTM of 64 on 64 inputs over 100 steps."""
    sizes = {"w": [1, 256, 64], "r": [1, 256, 64], "b": [1, 512]}
    import numpy as np

    stored = [
        onnx.numpy_helper.from_array(np.zeros(size, np.float32), name)
        for name, size in sizes.items()
    ]
    node = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=64)
    graph = helper.make_graph(
        [node], "lstm", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [100, 1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [100, 1, 1, 64])], stored,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def fvcore(module: Any, given: Any, _: Path) -> float:
    """Count with fvcore, whose flop is a multiply-accumulate."""
    return importlib.import_module("fvcore.nn").FlopCountAnalysis(module, given).total()


def thop(module: Any, given: Any, _: Path) -> float:
    """Count with thop."""
    return importlib.import_module("thop").profile(module, (given,), verbose=False)[0]


def torchinfo(module: Any, given: Any, _: Path) -> float:
    """Count with torchinfo, which calls them mult-adds."""
    return (
        importlib.import_module("torchinfo")
        .summary(module, input_data=given, verbose=0)
        .total_mult_adds
    )


def onnx_tool(_: Any, given: Any, file: Path) -> float:
    """Count with onnx-tool, from the file; it has to be given an input, a size that is left open stops it."""
    model = importlib.import_module("onnx_tool").Model(str(file))
    model.graph.shape_infer({model.graph.input[0]: given.numpy()})
    model.graph.profile()
    return float(model.graph.macs[0])


TOOLS: Mapping[str, Callable[[Any, Any, Path], float]] = {
    "fvcore": fvcore, "thop": thop, "torchinfo": torchinfo, "onnx-tool": onnx_tool,
}  # fmt: skip


def tool_versions() -> dict[str, str]:
    """Return the tools that are installed, with their versions."""
    found: dict[str, str] = {}
    for name in TOOLS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def cell(tool: str, module: Any, given: Any, file: Path, ours: int) -> str:
    """Return what a tool says of a network, and how far that is from ours."""
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            count = TOOLS[tool](module, given, file)
    except Exception as error:
        return f"fails ({type(error).__name__})"
    off = count / ours - 1
    return f"{count:,.0f} (exact)" if count == ours else f"{count:,.0f} ({off:+.2%})"


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    torch = importlib.import_module("torch")
    tools = tool_versions()
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for name, (module, shape) in twins().items():
            file = Path(folder) / f"{name}.onnx"
            model = lstm_file() if name == "lstm" else build(name, weights="random", seed=0)
            onnx.save(model, str(file))
            ours = rl.load(file).macs
            cells = [cell(tool, module, torch.zeros(shape), file, ours) for tool in tools]
            rows.append([name, f"{ours:,}", *cells])
    header = ["network", "roofline, MACs", *(f"{name} {number}" for name, number in tools.items())]
    print(markdown_table(header, rows, numbers_from=1))
    print(f"\ntorch {torch.__version__}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
