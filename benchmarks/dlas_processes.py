"""Why a program's time differs from process to process: one program of `dlas-tuned` in many, under four conditions.

    python benchmarks/dlas_processes.py --rounds 12 --write docs/dlas.md

Conditions take turns. Each process loads the kept program, times 60 runs one after the other, as the campaign once did,
and then all runs of two seconds. Every 12 ms it looks at its core: a fixed number of independent 512-bit multiply-adds
takes longer where another thread of the same physical core has some of its units; a chain of dependent multiplications
does not, but would at a lower clock. What was timed is kept (`--kept`): a call adds `--rounds` processes to each
condition. Needs a C compiler, AVX-512 and the GNU C library; other programs on the machine should be paused.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kept_runs import read_kept
from tvm_ladder import into_page

from roofline.child import start_python
from roofline.markdown import markdown_table
from roofline.user_folders import cache_folder
from roofline.validate.campaigns.grid import load
from roofline.validate.measuring.environment import cpu_name
from roofline.validate.records.request import SPREAD_S, RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.writing import write_whole

FIXED, SHIFTED = "the same addresses in each", "arrays at other offsets"
CONDITIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "as it is": {},
        "pages of 2 MB": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
        FIXED: {},
        SHIFTED: {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=0"},
    }
)
"""Variables of each condition; `FIXED` and `SHIFTED` do something more in the process."""

RUNS = 60
LOOK_S = 0.012
SHARED = 1.25
"""Times what the probe takes at best from which the core counts as shared."""

_NO_RANDOMIZATION = 0x0040000
_PROBES = r"""
#include <immintrin.h>
#include <stdint.h>
#include <time.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
double latency(void) {
  uint64_t x = 3;
  double begin = now();
  for (int i = 0; i < 15000; i++) __asm__ volatile("imul %0,%0" : "+r"(x));
  return now() - begin;
}
double units(void) {
  __m512 v[12], half = _mm512_set1_ps(0.5f);
  for (int k = 0; k < 12; k++) v[k] = _mm512_set1_ps(k);
  double begin = now();
  for (int i = 0; i < 12000; i++) {
    for (int k = 0; k < 12; k++) v[k] = _mm512_fmadd_ps(v[k], half, half);
    for (int k = 0; k < 12; k++) __asm__ volatile("" : "+v"(v[k]));
  }
  return now() - begin;
}
"""

Row = Mapping[str, Any]
"""What one process found: its condition, seconds in a row, spread and of the fastest tenth, and of both probes."""


def probes() -> ctypes.CDLL:
    """Return the probes, compiled for this processor."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "probes.c", Path(folder) / "probes.so"
        source.write_text(_PROBES, encoding="utf-8")
        flags = ("-O2", "-march=native", "-shared", "-fPIC")
        subprocess.run(["cc", *flags, str(source), "-o", str(library)], check=True)
        found = ctypes.CDLL(str(library))
    found.latency.restype = found.units.restype = ctypes.c_double
    return found


def fix_addresses() -> None:
    """Have the program that this process starts next loaded at addresses that are always the same (Linux)."""
    ctypes.CDLL(None).personality(_NO_RANDOMIZATION)


def time_here(condition: str, point: RunRequest) -> Row:
    """Time a point's program in this process."""
    from dlas_turns import step_of

    if condition == SHIFTED:
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        for _ in range(5):
            libc.malloc(ctypes.c_size_t(64 * random.randrange(1, 64)))
    probe, step, clock = probes(), step_of(point), time.perf_counter
    step()
    gc.disable()
    taken: list[tuple[float, float]] = []
    looks: list[tuple[float, float]] = []
    start, looked = clock(), 0.0
    while clock() - start < SPREAD_S or len(taken) < RUNS:
        begin = clock()
        step()
        taken.append((begin - start, clock() - begin))
        if len(taken) >= RUNS and clock() - looked > LOOK_S:
            looks.append((probe.units(), probe.latency()))
            looked = clock()
    seconds = [one for _, one in taken]
    due = [next(s for t, s in taken if t >= slot * taken[-1][0] / RUNS) for slot in range(RUNS)]
    return {
        "condition": condition,
        "row_s": statistics.median(seconds[:RUNS]),
        "spread_s": statistics.median(due),
        "fast_s": sorted(seconds)[len(seconds) // 10],
        "units_s": [units for units, _ in looks],
        "latency_s": [latency for _, latency in looks],
    }


def markdown(rows: Sequence[Row], title: str, cpu: str) -> str:
    """Return what the processes found as a Markdown table."""
    best = sorted(one for row in rows for one in row["units_s"])
    free = best[len(best) // 20]
    shares = [shared_share(row, free) for row in rows]
    clock = sorted(one for row in rows for one in row["latency_s"])
    agree = statistics.correlation([row["spread_s"] for row in rows], shares)
    header = [
        "condition",
        "processes",
        f"{RUNS} runs in a row, ms",
        f"{RUNS} runs over {SPREAD_S:g} s, ms",
    ]
    header += ["fastest tenth, ms", "core shared"]  # fmt: skip
    cells: list[list[str]] = []
    for condition in dict.fromkeys(row["condition"] for row in rows):
        own = [number for number, row in enumerate(rows) if row["condition"] == condition]
        times = [
            _range_text([rows[n][name] for n in own]) for name in ("row_s", "spread_s", "fast_s")
        ]
        between = [shares[number] for number in own]
        cells.append([condition, str(len(own)), *times, f"{min(between):.0%}–{max(between):.0%}"])
    early, late = (1e6 * clock[place] for place in (len(clock) // 20, -len(clock) // 20))
    lead = (
        f"{cpu}; {title}. Least–greatest median of the processes, greatest over least. *Core shared*: the share of a "
        f"process's looks in which independent multiply-adds took more than {SHARED:g} times their 5 % quantile, "
        f"{1e6 * free:.3g} µs. Over the {len(rows)} processes it and the median of the spread runs correlate by "
        f"{agree:.2f}. Dependent multiplications took {early:.3g} to {late:.3g} µs (5 % and 95 % of the looks).\n\n"
    )
    return f"{lead}{markdown_table(header, cells, numbers_from=1)}\n"


def shared_share(row: Row, free: float) -> float:
    """Return the share of a process's looks in which its core was shared, by what the probe takes when it is not."""
    return sum(one > SHARED * free for one in row["units_s"]) / len(row["units_s"])


def _range_text(seconds: Sequence[float]) -> str:
    low, high = min(seconds), max(seconds)
    return f"{1e3 * low:.3f}–{1e3 * high:.3f} ({high / low - 1:+.0%})"


def main() -> None:
    """Add processes to what is kept, then print and write all."""
    campaign = load("dlas-tuned")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="mobilenet_v1_cifar10")
    parser.add_argument("--algorithm", default="gemm")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--kept", type=Path, default=cache_folder() / "dlas-processes.json")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--one", choices=CONDITIONS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    point = next(
        point
        for point in campaign.points
        if (point.network, point.algorithm) == (given.network, given.algorithm)
        and point.compression.nothing
        and point.tuning is Tuning.TUNED
        and point.threads == 1
    )
    if given.one:
        print(json.dumps(time_here(given.one, point)), flush=True)
        # TVM may hang while it is torn down.
        os._exit(0)
    for _ in range(given.rounds):
        for condition, variables in CONDITIONS.items():
            asked = (
                "--one",
                condition,
                "--network",
                given.network,
                "--algorithm",
                given.algorithm,
            )
            here = {
                "PYTHONPATH": str(Path(__file__).parent),
                "TVM_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            }
            own = {**here, **variables}
            # What is set between fork and exec holds for the program that is then loaded.
            before = fix_addresses if condition == FIXED else None
            with start_python(
                __file__, *asked,
                variables=own, stdout=subprocess.PIPE, text=True, preexec_fn=before,
            ) as child:  # fmt: skip
                row = json.loads(child.communicate()[0].splitlines()[-1])
            kept = read_kept(given.kept)
            kept.setdefault(point.key, []).append(row)
            write_whole(given.kept, json.dumps(kept).encode())
    content = markdown(read_kept(given.kept)[point.key], point.title, cpu_name())
    print(content)
    if given.write:
        into_page(given.write, "processes", content)


if __name__ == "__main__":
    main()
