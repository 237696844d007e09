"""Brings Apache TVM into a state in which it can tune: version checks, the intrinsics, the target."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roofline.errors import MeasurementError
from roofline.validate.measuring.environment import package_version

TargetDescription = Mapping[str, str | int | Sequence[str]]
"""A processor in TVM's own plain values: ``kind``, ``mcpu``, ``mtriple``, ``mattr``, ``num-cores``."""

_BROKEN_FFI = ("0.1.15",)
"""With these apache-tvm-ffi releases every MetaSchedule context of TVM 0.27 ends the process."""

_INTRINSICS = "tvm.s_tir.tensor_intrin"


def versions() -> dict[str, str]:
    """Return the versions of TVM's packages."""
    return {name: package_version(name) for name in ("apache-tvm", "apache-tvm-ffi")}


def kept_folder(folder: Path, what: Sequence[Any], how: Sequence[Any]) -> Path:
    """Return where a program is kept, by TVM's versions and what decides it.

    Args:
        folder: Of all programs.
        what: The model and what it is compiled for, as JSON takes them.
        how: How it is computed.
    """
    identity = json.dumps([*what, versions(), *how], sort_keys=True)
    return folder / hashlib.sha256(identity.encode()).hexdigest()[:24]


def load_tvm() -> Any:
    """Import TVM with only this processor's tensor intrinsics.

    TVM's own import of all intrinsics (GPUs, ARM, Hexagon) takes 25 s, and MetaSchedule would make it
    in every process it starts; builds then run into their time limit.

    Raises:
        MeasurementError: The installed ffi is one that crashes while tuning.
    """
    ffi = package_version("apache-tvm-ffi")
    if ffi.startswith(_BROKEN_FFI):
        raise MeasurementError(
            f"apache-tvm-ffi {ffi} crashes TVM while tuning",
            repair="Install the one that works: pip install apache-tvm-ffi==0.1.14.post1",
        )
    tvm = importlib.import_module("tvm")
    s_tir: Any = importlib.import_module("tvm.s_tir")
    if _INTRINSICS not in sys.modules:
        package = types.ModuleType(_INTRINSICS)
        package.__path__ = [os.path.join(path, "tensor_intrin") for path in s_tir.__path__]  # noqa: PTH118
        sys.modules[_INTRINSICS] = package
        s_tir.tensor_intrin = package
        local = "x86" if platform.machine() in {"x86_64", "AMD64"} else "arm_cpu"
        importlib.import_module(f"{_INTRINSICS}.{local}")
    return tvm


def local_target(tvm: Any, threads: int) -> Any:
    """Return the target of this CPU as LLVM knows it, for a number of threads.

    Raises:
        MeasurementError: LLVM does not know this CPU.
    """
    return tvm.target.Target(local_target_description(tvm, threads))


def local_target_description(tvm: Any, threads: int) -> TargetDescription:
    """Return the same target as plain values, for records and cache keys."""
    codegen = tvm.target.codegen
    cpu = str(codegen.llvm_get_system_cpu())
    # LLVM takes any name and falls back to generic code with no more than a line on standard error.
    if cpu not in {str(name) for name in codegen.llvm_get_cpu_archlist(tvm.target.Target("llvm"))}:
        raise MeasurementError(f"LLVM does not know this CPU ({cpu})")
    return {"kind": "llvm", "mcpu": cpu, "num-cores": threads}


def describe(target: TargetDescription) -> str:
    """Return a target in one line."""
    return f"{target['kind']} -mcpu={target['mcpu']} -num-cores={target['num-cores']}"


def lanes(target: Any) -> int:
    """Return how many fp32 elements the widest vector register of a target holds."""
    if has_feature(target, "avx512f"):
        return 16
    return 8 if has_feature(target, "avx2") else 4


def has_feature(target: Any, feature: str) -> bool:
    """Tell whether a target has a feature, by LLVM's name of it."""
    tvm: Any = importlib.import_module("tvm")
    return bool(tvm.target.codegen.target_has_features(feature, target))
