"""Sweeps of any size: a grid, its parts as Parquet files in one folder, here or on a cluster."""

from roofline.sweeping.columns import parquet, tables
from roofline.sweeping.folder import Folder, run, shard
from roofline.sweeping.grid import PART_ROWS, Assumptions, Grid, Variant
from roofline.sweeping.plan import Plan, check_room, plan

__all__ = [
    "PART_ROWS",
    "Assumptions",
    "Folder",
    "Grid",
    "Plan",
    "Variant",
    "check_room",
    "parquet",
    "plan",
    "run",
    "shard",
    "tables",
]
