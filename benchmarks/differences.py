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


def twins() -> Mapping[str, tuple[Any, tuple[int, ...]]]:
    """Return each network as a torch module, and the shape of its input."""
    torch = importlib.import_module("torch")
    nn = torch.nn

    class Bottleneck(nn.Module):
        def __init__(self, inner: int, middle: int, stride: int) -> None:
            super().__init__()
            outer = 4 * middle
            self.body = nn.Sequential(
                nn.Conv2d(inner, middle, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU(),
                nn.Conv2d(middle, middle, 3, stride, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU(),
                nn.Conv2d(middle, outer, 1, bias=False), nn.BatchNorm2d(outer),
            )  # fmt: skip
            self.short = nn.Sequential()
            if stride > 1 or inner != outer:
                self.short = nn.Sequential(
                    nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
                )
            self.act = nn.ReLU()

        def forward(self, x: Any) -> Any:
            return self.act(self.body(x) + self.short(x))

    class Inverted(nn.Module):
        def __init__(self, inner: int, outer: int, stride: int, widen: int) -> None:
            super().__init__()
            wide = inner * widen
            first = [nn.Conv2d(inner, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
            self.body = nn.Sequential(
                *(first if widen > 1 else []),
                nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(),
                nn.Conv2d(wide, outer, 1, bias=False), nn.BatchNorm2d(outer),
            )  # fmt: skip
            self.same = stride == 1 and inner == outer

        def forward(self, x: Any) -> Any:
            return x + self.body(x) if self.same else self.body(x)

    class Vit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 768, 16, 16)
            self.token = nn.Parameter(torch.zeros(1, 1, 768))
            self.places = nn.Parameter(torch.zeros(1, 197, 768))
            layer = [
                nn.TransformerEncoderLayer(
                    768,
                    12,
                    3072,
                    activation="gelu",
                    batch_first=True,
                    norm_first=True,
                    dropout=0.0,
                )
                for _ in range(12)
            ]
            self.layers = nn.Sequential(*layer)
            self.norm = nn.LayerNorm(768)
            self.head = nn.Linear(768, 1000)

        def forward(self, x: Any) -> Any:
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.token, x], 1) + self.places
            return self.head(self.norm(self.layers(x))[:, 0])

    def resnet() -> Any:
        parts = [
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
        inner = 64
        for middle, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for place in range(count):
                parts.append(Bottleneck(inner, middle, stride if place == 0 else 1))
                inner = 4 * middle
        return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))

    def mobilenet() -> Any:
        parts = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
        inner = 32
        table = (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        )  # fmt: skip
        for widen, outer, count, stride in table:
            for place in range(count):
                parts.append(Inverted(inner, outer, stride if place == 0 else 1, widen))
                inner = outer
        last = [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6()]
        return nn.Sequential(
            *parts, *last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)
        )

    image = (1, 3, 224, 224)
    return {
        "resnet50_v15": (resnet().eval(), image), "mobilenet_v2": (mobilenet().eval(), image),
        "vit_b16": (Vit().eval(), image), "lstm": (nn.LSTM(64, 64).eval(), (100, 1, 64)),
    }  # fmt: skip


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
