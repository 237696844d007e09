"""Which machines this computer has: its processor, and the accelerators that their vendors' tools list."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from roofline.spec.finding import platform_keys
from roofline.spec.matching import find_match

TIME_LIMIT_S = 20.0
"""How long a vendor's tool may take; one that hangs is as good as absent."""
DEVICE_MODEL = Path("/proc/device-tree/model")
"""Where Linux on Arm says which board it runs on."""

Run = Callable[[Sequence[str]], str | None]
"""Runs a tool and returns what it prints; None where it is absent or fails."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One machine that was found."""

    name: str
    """What the operating system or the driver calls it."""
    via: str
    """What said so: ``cpuinfo``, ``nvidia-smi``, ``rocm-smi``, ``device-tree``."""
    capacity: float | None
    """Its memory in B, where that was said."""
    platform: str | None
    """The key of the shipped machine, with its present mode where that is known; None if none is shipped."""


def detect(
    cpu: str | None, run: Run | None = None, model: Path = DEVICE_MODEL
) -> tuple[Detection, ...]:
    """Return the machines of this computer.

    Args:
        cpu: What the operating system calls the processor.
        run: Runs a vendor's tool; tests give another.
        model: The file in which Linux names a board.
    """
    ask = run or run_tool
    found: list[Detection] = []
    if cpu:
        found.append(Detection(cpu, "cpuinfo", None, find_match(cpu)))
    found += _jetson(model, ask)
    found += _nvidia(ask)
    found += _rocm(ask)
    return tuple(found)


def run_tool(command: Sequence[str]) -> str | None:
    """Return what a tool on the path prints; None where it is absent, fails or takes too long."""
    tool = shutil.which(command[0])
    if tool is None:
        return None
    try:
        done = subprocess.run(
            [tool, *command[1:]], capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None


def _jetson(model: Path, run: Run) -> Iterator[Detection]:
    try:
        name = model.read_bytes()[:200].split(b"\0")[0].decode(errors="replace").strip()
    except OSError:
        return
    key = find_match(name)
    if key is not None:
        # "NV Power Mode: MODE_30W" on the first line.
        mode = (run(["nvpmodel", "-q"]) or "").partition("NV Power Mode:")[2].split("\n")[0]
        moded = f"{key}:{mode.strip().lower().removeprefix('mode_')}"
        key = moded if moded in platform_keys() else key
    yield Detection(name, "device-tree", None, key)


def _nvidia(run: Run) -> Iterator[Detection]:
    text = run(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"])
    for row in csv.reader((text or "").splitlines()):
        if row and row[0].strip():
            size = row[1].strip() if len(row) > 1 else ""
            capacity = float(size) * 2**20 if size.isdecimal() else None
            name = row[0].strip()
            yield Detection(name, "nvidia-smi", capacity, find_match(name, capacity))


def _rocm(run: Run) -> Iterator[Detection]:
    text = run(["rocm-smi", "--showproductname", "--showmeminfo", "vram", "--json"])
    try:
        cards: Any = json.loads(text or "{}")
    except ValueError:
        return
    for card in cast("dict[str, object]", cards).values() if isinstance(cards, dict) else ():
        if not isinstance(card, dict):
            continue
        fields = {
            str(key).lower(): str(value)
            for key, value in cast("dict[object, object]", card).items()
        }
        name = fields.get("card series") or fields.get("card model")
        if name:
            size = fields.get("vram total memory (b)", "")
            capacity = float(size) if size.isdecimal() else None
            yield Detection(name, "rocm-smi", capacity, find_match(name, capacity))
