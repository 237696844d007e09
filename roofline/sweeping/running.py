"""Doing the parts of a sweep that are left, here or on a cluster, into one folder."""

from __future__ import annotations

from collections.abc import Sequence

from roofline.progress import Report
from roofline.sweeping.columns import parquet
from roofline.sweeping.folder import Folder
from roofline.sweeping.grid import Grid


def run(grid: Grid, folder: Folder, parts: Sequence[int], report: Report) -> None:
    """Do parts of a sweep one after the other in this process.

    Args:
        grid: What is asked.
        folder: Where each part is written when it is done.
        parts: Which of its parts.
        report: Told what is done.
    """
    for count, index in enumerate(parts):
        report(folder.part(index).name, count, len(parts))
        folder.write(index, parquet(grid, index))
    report("done", len(parts), len(parts))
