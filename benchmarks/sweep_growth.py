"""How a sweep's time and memory grow with its size, beside the floor that numpy sets on the same numbers.

    python benchmarks/sweep_growth.py [--most 7] [--model equation1]

Each size runs in a process of its own, so that its peak memory is its own. Columns: the predictions; the seconds of the
law alone (every figure of every row as arrays); of numpy's ``minimum(peak, bandwidth * intensity) / ops`` on arrays of
the same rows; their ratio; the further seconds of the whole table and of writing Parquet; and the peak memory. 10^8
takes minutes and gigabytes of disk: ask for it with ``--most 8``.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

import roofline as rl
from roofline.child import start_python
from roofline.sweeping import Assumptions, Folder, Grid, run
from roofline.sweeping.columns import blocks, tables

NETWORKS = ("resnet50", "mobilenet_v1", "cnv")
MACHINES = ("tx2:maxn", "h100-sxm", "a100-sxm-80gb", "edgetpu-usb:fast")


def grid_of(rows: int, model: str) -> Grid:
    """Return a grid of as many rows: three networks, four machines, two datatypes, and batches from 1 on."""
    points = len(NETWORKS) * len(MACHINES) * 2
    return Grid(
        tuple(rl.load(name) for name in NETWORKS), NETWORKS,
        tuple(rl.platform(key) for key in MACHINES), datatypes=("int8", "fp16"),
        batches=range(1, max(2, -(-rows // points) + 1)), assumed=Assumptions(model=model),
    )  # fmt: skip


def floor_s(rows: int) -> float:
    """Return the seconds that numpy takes for Equation 1 alone on arrays of as many rows."""
    generator = np.random.default_rng(0)
    peak, bandwidth, intensity, ops = generator.uniform(1.0, 2.0, (4, min(rows, 10_000_000)))
    begun = time.perf_counter()
    for _ in range(max(1, rows // len(peak))):
        np.minimum(peak, bandwidth * intensity) / ops
    return time.perf_counter() - begun


def print_size(rows: int, model: str) -> None:
    """Print the line of one size."""
    grid = grid_of(rows, model)
    next(iter(tables(grid, 0)))
    begun = time.perf_counter()
    for part in range(grid.parts):
        for _ in blocks(grid, part):
            pass
    law_s = time.perf_counter() - begun
    begun = time.perf_counter()
    for part in range(grid.parts):
        for _ in tables(grid, part):
            pass
    table_s = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        run(grid, Folder(Path(folder)), range(grid.parts), lambda *_: None)
        write_s = time.perf_counter() - begun
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    # Last, since its whole arrays would be the peak.
    floor = floor_s(grid.rows)
    print(
        f"{grid.rows:>12,} {law_s:>9.3f} {floor:>9.3f} {law_s / floor:>6.1f} {table_s - law_s:>9.2f} "
        f"{write_s - table_s:>9.2f} {size / 1e6:>9.1f} {memory:>7.3f}",
        flush=True,
    )


def main() -> None:
    """Print a line for every power of ten."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=7, help="largest power of ten")
    parser.add_argument("--model", default="equation1")
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.rows:
        print_size(asked.rows, asked.model)
        return
    print(" predictions     law s   numpy s  ratio   table s   write s        MB  GB peak")
    for power in range(4, asked.most + 1):
        with start_python(__file__, "--rows", str(10**power), "--model", asked.model) as process:
            process.wait()


if __name__ == "__main__":
    main()
