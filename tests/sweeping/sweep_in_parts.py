"""Does a small sweep part by part; started by tests that kill it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import roofline as rl
from roofline.sweeping import Folder, Grid, run


def small_grid() -> Grid:
    """Return 400 rows in 40 parts."""
    return Grid(
        (rl.load("mlp"),), ("mlp",), (rl.platform("tx2:maxn"), rl.platform("ncs")), datatypes=("fp16",),
        batches=range(1, 201), part_rows=10,
    )  # fmt: skip


if __name__ == "__main__":
    folder, grid = Folder(Path(sys.argv[1])), small_grid()
    done = folder.begin(grid)
    left = [index for index in range(grid.parts) if index not in done]
    run(grid, folder, left, lambda *_: time.sleep(float(sys.argv[2])))
