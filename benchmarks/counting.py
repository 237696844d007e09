"""Whole-process cost of counting: CPU seconds and resident memory of ``roofline count`` beside other tools.

Run it with the Python of an environment that has the peers (onnx-tool, onnxsim); nothing is installed here:

    python benchmarks/counting.py --peers /path/to/peers/bin/python

Every figure is the best of some runs of a whole process, interpreter start and imports included. Memory is the
largest resident set, which Linux reports for a child; children are started from a small process of their own, because
a child is also charged with what its parent held when it was started.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from roofline.child import command as python_command
from roofline.child import start_python
from roofline.markdown import markdown_table

STARTER = """
import json, os, sys
null = os.open(os.devnull, os.O_WRONLY)
log = os.open(sys.argv[1] + ".out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=actions)
_, status, usage = os.wait4(pid, 0)
json.dump([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3],
          open(sys.argv[1], "w"))
"""

LIGHT = (
    "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19",
    "zfnet512",
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """One whole process: its exit code, CPU seconds, resident megabytes, and what it wrote."""

    code: int
    cpu_s: float
    rss_mb: float
    digest: str


def run(command: Sequence[str], folder: Path) -> Cost:
    """Run a command to its end, at most ten minutes."""
    report = folder / "report.json"
    with start_python("-S", "-c", STARTER, str(report), *command, cwd=folder) as starter:
        starter.communicate(timeout=600)
    code, cpu_s, rss_mb = json.loads(report.read_text())
    written = Path(f"{report}.out").read_bytes()
    return Cost(code, cpu_s, rss_mb, hashlib.sha256(written).hexdigest())


def best_run(command: Sequence[str], folder: Path, runs: int) -> Cost:
    """Return the run that took least CPU time; the first one warms the file cache."""
    return min(
        (run(command, folder) for _ in range(runs)), key=lambda cost: (cost.code != 0, cost.cpu_s)
    )


def own_command(model: Path, *options: str) -> list[str]:
    return [str(word) for word in python_command("-m", "roofline", "count", str(model), *options)]


def peers(python: str | None) -> dict[str, Callable[[Path], list[str]]]:
    """Return the command of each peer, as its users type it."""
    if python is None:
        return {}
    simplifier = str(Path(python).parent / "onnxsim")
    return {
        "onnx-tool": lambda model: [
            python,
            "-m",
            "onnx_tool",
            "-i",
            str(model),
            "-f",
            f"{model}.csv",
        ],
        "onnxsim": lambda model: [simplifier, str(model), f"{model}.simplified.onnx"],
    }


def light(folder: Path) -> dict[str, Path]:
    """Copy the light models of the installed onnx, so that peers can write beside them."""
    import onnx

    source = Path(onnx.__file__).parent / "backend/test/data/light"
    found = {}
    for name in LIGHT:
        target = folder / f"light_{name}.onnx"
        target.write_bytes((source / target.name).read_bytes())
        found[f"light {name}"] = target
    return found


def vgg19(light_model: Path, folder: Path) -> Path:
    """Write VGG-19 with real, random weights (575 MB) from the light model, whose weights are ConstantOfShape calls."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    target = folder / "vgg19.onnx"
    model = onnx.load(light_model)
    shapes = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    dice = np.random.default_rng(0)
    kept = []
    for call in model.graph.node:
        if call.op_type == "ConstantOfShape":
            values = dice.standard_normal(tuple(shapes[call.input[0]]), dtype=np.float32)
            model.graph.initializer.append(numpy_helper.from_array(values, call.output[0]))
        else:
            kept.append(call)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    # Until version 3 every stored tensor had to be an input as well.
    model.ir_version = 8
    onnx.save(model, target)
    return target


def chain(nodes: int, folder: Path) -> Path:
    """Write a graph of so many calls: blocks of a product, a bias, an activation and a residual sum."""
    from onnx import helper

    calls, stored = [], []
    for block in range(nodes // 4):
        h, name = f"h{block}", f"b{block}"
        stored += [
            helper.make_tensor(f"w{block}", 1, [8, 8], bytes(256), raw=True),
            helper.make_tensor(f"c{block}", 1, [8], bytes(32), raw=True),
        ]
        calls += [
            helper.make_node("MatMul", [h, f"w{block}"], [f"{name}m"]),
            helper.make_node("Add", [f"{name}m", f"c{block}"], [f"{name}a"]),
            helper.make_node("Relu", [f"{name}a"], [f"{name}r"]),
            helper.make_node("Add", [f"{name}r", h], [f"h{block + 1}"]),
        ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        calls, "chain", [value("h0", 1, [4, 8])], [value(f"h{nodes // 4}", 1, [4, 8])], stored
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    target = folder / f"chain{nodes}.onnx"
    target.write_bytes(model.SerializeToString())
    return target


def cell(cost: Cost) -> str:
    return f"{cost.cpu_s:.2f} / {cost.rss_mb:,.0f}" + (
        "" if cost.code == 0 else f" (exit {cost.code})"
    )


def compare(models: dict[str, Path], python: str | None, folder: Path, runs: int) -> None:
    """Print CPU seconds and megabytes of every tool on every model, and how many times ours each took."""
    others = peers(python)
    rows = []
    for name, path in models.items():
        mine = best_run(own_command(path), folder, runs)
        row = [name, cell(mine)]
        for peer in others.values():
            cost = best_run(
                peer(path), folder, min(runs, 2) if path.stat().st_size > 1e8 else runs
            )
            row.append(
                f"{cell(cost)} (x{cost.cpu_s / mine.cpu_s:.1f}, x{cost.rss_mb / mine.rss_mb:.1f})"
            )
        rows.append(row)
        print(f"  {name}: {row[1:]}", file=sys.stderr)
    print("CPU seconds / resident MB of the whole process; in brackets how many times ours\n")
    print(markdown_table(["model", "roofline count", *others], rows), end="\n\n")


def curve(folder: Path, runs: int) -> None:
    """Print the cost by the number of calls, which is to be a straight line."""
    print("Cost by number of calls in the graph\n")
    rows, floor = [], None
    for nodes in (1_000, 3_000, 10_000, 30_000, 100_000):
        cost = best_run(own_command(chain(nodes, folder)), folder, runs)
        floor = floor or (nodes, cost.cpu_s)
        slope = (
            ""
            if nodes == floor[0]
            else f"{(cost.cpu_s - floor[1]) / (nodes - floor[0]) * 1e6:.0f}"
        )
        rows.append([f"{nodes:,}", f"{cost.cpu_s:.2f}", f"{cost.rss_mb:,.0f}", slope])
        print(f"  {rows[-1]}", file=sys.stderr)
    header = ["calls", "CPU s", "resident MB", "µs per further call"]
    print(markdown_table(header, rows), end="\n\n")


def count_identical(models: dict[str, Path], folder: Path) -> None:
    """Print for how many models two runs write the same bytes."""
    same = 0
    for path in models.values():
        digests = {
            run(own_command(path, "--fused", "--format", "json"), folder).digest for _ in range(2)
        }
        same += len(digests) == 1
    print(f"Two runs byte-identical: {same} of {len(models)} models\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peers", metavar="PYTHON", help="Python of an environment with onnx-tool and onnxsim"
    )
    parser.add_argument(
        "--runs", type=int, default=3, help="runs of each process; the best counts"
    )
    parser.add_argument(
        "--no-vgg19", action="store_true", help="leave out the model with 575 MB of weights"
    )
    arguments = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = light(folder)
        count_identical(models, folder)
        if not arguments.no_vgg19:
            models["VGG-19, 575 MB of weights"] = vgg19(models["light vgg19"], folder)
        compare(models, arguments.peers, folder, arguments.runs)
        curve(folder, arguments.runs)


if __name__ == "__main__":
    main()
