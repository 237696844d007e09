"""Schedules that were tried of a kernel, kept for every program that has the same kernel.

Networks by several algorithms, pruned or not, share kernels: a depthwise convolution is direct by all of them. What was
tried of a kernel for a target is one file, in the order of trying, so that a program that asks for fewer schedules
takes the first of them, as it would have tried itself.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roofline.validate.tvm.setup import kept_folder
from roofline.writing import write_whole


@dataclass(frozen=True, slots=True)
class KernelRecords:
    """What was tried of kernels for one target."""

    folder: Path
    """Where the kernels of all targets are kept."""
    target: Any
    known: bool = True
    """Whether what other programs tried is taken; else everything is tried anew, and kept."""

    def take(self, kernel: Any, database: Any, have: int, most: int) -> None:
        """Add to a database what was tried of a kernel beyond what it has.

        Args:
            kernel: An extracted kernel.
            database: MetaSchedule's database of a program.
            have: Schedules that it has of the kernel.
            most: Schedules that the program asks for: no more are taken.
        """
        module = kernel.dispatched[0]
        path = self._path(module)
        if not self.known or have >= most or not path.exists():
            return
        ms: Any = importlib.import_module("tvm.s_tir.meta_schedule")
        ffi: Any = importlib.import_module("tvm_ffi")
        kept = json.loads(path.read_text(encoding="utf-8"))
        found = ms.database.Workload.from_json(kept["workload"])
        if not ffi.structural_equal(found.mod, module):
            return
        workload = database.commit_workload(module)
        for record in kept["records"][have:most]:
            database.commit_tuning_record(ms.database.TuningRecord.from_json(record, workload))

    def keep(self, kernel: Any, workloads: Path, records: Path) -> None:
        """Keep what a database's files hold of a kernel, where that is more than is known.

        Args:
            kernel: An extracted kernel.
            workloads: The database's file of kernels.
            records: Its file of schedules.
        """
        module = kernel.dispatched[0]
        path = self._path(module)
        place, workload = _find(module, workloads)
        if workload is None:
            return
        tried = [record for of, record in _lines(records) if of == place]
        known: list[Any] = (
            json.loads(path.read_text(encoding="utf-8"))["records"] if path.exists() else []
        )
        if len(tried) > len(known):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps({"workload": workload, "records": tried}).encode())

    def _path(self, module: Any) -> Path:
        ffi: Any = importlib.import_module("tvm_ffi")
        what = [str(ffi.structural_hash(module)), str(self.target)]
        return kept_folder(self.folder, what, []).with_suffix(".json")


def _find(module: Any, workloads: Path) -> tuple[int, Sequence[str] | None]:
    """Return a kernel's line in a file of kernels, and what it says; None where it is not there."""
    ffi: Any = importlib.import_module("tvm_ffi")
    wanted = str(ffi.structural_hash(module))
    for place, workload in enumerate(_lines(workloads)):
        if str(workload[0]) == wanted:
            return place, workload
    return -1, None


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
