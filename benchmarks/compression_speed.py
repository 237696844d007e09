"""What half the channels gain in ONNX Runtime: both networks of a pair run in turns, in one process and one thread.

`compression_table.py` drives it; every network is made and timed in processes of its own, so that memory is given back.
"""

from __future__ import annotations

import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from roofline.child import start_python
from roofline.precision import DatatypeKind
from roofline.validate.measuring.environment import (
    Busy,
    available_cores,
    cpu_name,
    package_version,
)
from roofline.validate.records.record import DISTURBED_SHARE, DRIFT_LIMIT

THREADS = 1
SHARE = 0.5
SEED = 0
MOST_ROUNDS = 150
BATCHED_S = 0.01
"""A round repeats a network until it takes this long: shorter spans are not read exactly."""
LEAST_CPU = 0.9
"""CPU seconds per second below which the run waited for the processor."""


@dataclass(frozen=True, slots=True)
class PairTimes:
    """Two networks timed in turns; seconds per inference, one entry for each round."""

    dense_s: tuple[float, ...]
    small_s: tuple[float, ...]
    others_share: float
    """CPU time that other processes and the hypervisor took, beyond what idle cores could serve."""
    cpu_per_wall: float
    """CPU seconds of this process per second."""

    @property
    def speedup(self) -> float:
        """Median over median."""
        return statistics.median(self.dense_s) / statistics.median(self.small_s)

    @property
    def ratios(self) -> tuple[float, float]:
        """Least and greatest speed-up of the middle half of the rounds."""
        rounds = [dense / small for dense, small in zip(self.dense_s, self.small_s, strict=True)]
        low, high = np.quantile(rounds, [0.25, 0.75])
        return float(low), float(high)

    @property
    def flag(self) -> str:
        """What disturbed the run, in a few words; empty when nothing did."""
        found = [f"others took {self.others_share:.0%}"] * (self.others_share > DISTURBED_SHARE)
        if self.cpu_per_wall < LEAST_CPU:
            found.append(f"waited: {self.cpu_per_wall:.2f} CPU seconds per second")
        half = len(self.dense_s) // 2
        for name, seconds in (("dense", self.dense_s), ("half", self.small_s)):
            change = statistics.median(seconds[half:]) / statistics.median(seconds[:half]) - 1
            if abs(change) > DRIFT_LIMIT:
                found.append(f"{name} drifts {change:+.0%}")
        return "; ".join(found)


def in_turns(
    dense: Callable[[], object],
    small: Callable[[], object],
    *,
    seconds: float,
    least: int,
    most: int = MOST_ROUNDS,
) -> PairTimes:
    """Time two functions in alternating rounds, each round in the other order than the one before.

    Args:
        dense: Runs the one network once.
        small: Runs the other.
        seconds: After this no further round is started.
        least: Rounds that are run whatever they take; at least two.
        most: Rounds after which it ends.
    """
    pair = (dense, small)
    repeats = [max(1, math.ceil(BATCHED_S / _warm_up(run))) for run in pair]
    found: tuple[list[float], list[float]] = ([], [])
    before, cpu, start = Busy.now(), time.process_time(), time.perf_counter()
    while len(found[0]) < max(2, least) or (
        time.perf_counter() - start < seconds and len(found[0]) < most
    ):
        for place in (0, 1) if len(found[0]) % 2 == 0 else (1, 0):
            found[place].append(_span_s(pair[place], repeats[place]) / repeats[place])
    used = (time.process_time() - cpu) / (time.perf_counter() - start)
    after = Busy.now()
    shares = None if before is None or after is None else after.shares_since(before)
    idle = 1 - THREADS / available_cores()
    taken = max(0.0, sum(shares or (0.0,)) - idle)
    return PairTimes(tuple(found[0]), tuple(found[1]), taken, used)


def measure(key: str, *, seconds: float, least: int) -> dict[str, Any]:
    """Return the measured columns of one network, from fresh processes for making and for timing it."""
    with TemporaryDirectory(prefix="roofline-") as folder:
        made = _in_a_process("make", key, folder)
        found = _in_a_process("time", folder, seconds, least)
        timed, resident = PairTimes(**found["timed"]), found["peak_bytes"]
    low, high = timed.ratios
    return {
        "dense_ms": statistics.median(timed.dense_s) * 1e3,
        "half_ms": statistics.median(timed.small_s) * 1e3,
        "rounds": len(timed.dense_s), "measured": timed.speedup, "measured_q1": low, "measured_q3": high,
        "flag": timed.flag, "peak_gb": max(made, resident) / 1e9,
    }  # fmt: skip


def make(key: str, folder: str) -> int:
    """Write a network with random weights and its half as ``dense.onnx`` and ``half.onnx``; return the peak memory."""
    from roofline.compress.channels import prune
    from roofline.workloads import build

    whole = build(key, weights="random", seed=SEED)
    Path(folder, "dense.onnx").write_bytes(whole.SerializeToString())
    Path(folder, "half.onnx").write_bytes(prune(whole, SHARE).model.SerializeToString())
    return _peak_bytes()


def environment() -> dict[str, Any]:
    """Return what the figures belong to."""
    return {
        "cpu": cpu_name(), "cores": available_cores(), "threads": THREADS, "seed": SEED,
        "onnxruntime": package_version("onnxruntime"), "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }  # fmt: skip


def _time(folder: str, seconds: float, least: int) -> dict[str, Any]:
    runs = [_runner(Path(folder, f"{name}.onnx")) for name in ("dense", "half")]
    timed = in_turns(runs[0], runs[1], seconds=seconds, least=least)
    return {"timed": asdict(timed), "peak_bytes": _peak_bytes()}


def _runner(path: Path) -> Callable[[], object]:
    from roofline.graph import read, resolve
    from roofline.validate.backends.onnxruntime import OnnxRuntimeSession

    session = OnnxRuntimeSession(path, THREADS)
    chance = np.random.default_rng(SEED)
    feed: dict[str, Any] = {}
    for tensor in resolve(read(path), name=path.stem).inputs:
        shape = tuple(size or 1 for size in tensor.shape or ())
        floating = tensor.dtype is not None and tensor.dtype.kind is DatatypeKind.FLOAT
        feed[tensor.name] = (
            chance.standard_normal(shape).astype(np.float32)
            if floating
            else chance.integers(0, 2, shape)
        )
    session.bind(feed)
    return session.step


def _in_a_process(step: str, *arguments: object) -> Any:
    """Return what a step gives that is done in a process of its own."""
    words = [json.dumps(argument) for argument in arguments]
    with start_python(__file__, step, *words, stdout=PIPE) as process:
        written = process.communicate()[0]
    if process.returncode:
        raise SystemExit(process.returncode)
    return json.loads(written)


def _warm_up(run: Callable[[], object]) -> float:
    _span_s(run, 2)
    return _span_s(run, 1)


def _span_s(run: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return time.perf_counter() - start


def _peak_bytes() -> int:
    # Linux gives kilobytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    step, *words = sys.argv[1:]
    print(json.dumps({"make": make, "time": _time}[step](*map(json.loads, words))))
