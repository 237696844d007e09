"""Memory of a run with TVM beside what the network needs: weights and the largest set of activations alive at once.

    python benchmarks/tvm_memory.py mlp cnv mobilenet_v1 vgg16_cifar10 resnet50 --write docs/tvm.md

The peak is that of the process that loads the program and runs it, TVM's own code included; the last line is how much
the peak grows with what is needed, by least squares over the networks. Kernels on blocks have guessed tiles: their
memory is that of tuned ones. What was run is kept: a run that was ended goes on, and networks can be added one by one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from kept_runs import read_kept
from tvm_ladder import into_page

import roofline
from roofline.markdown import markdown_table
from roofline.user_folders import cache_folder
from roofline.validate.measuring.measure import measure
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.writing import write_whole


def needed_bytes(network: str) -> int:
    """Return the bytes of weights and of the largest set of activations, in fp32."""
    totals = roofline.load(network)
    return int(totals.weight_bytes + totals.peak_activation_bytes)


def memory_of(network: str) -> dict[str, Any]:
    """Run a network once, and return what it needs and what its process held, in bytes, or why there is nothing."""
    run = measure(
        RunRequest(
            network, "tvm", tuning=Tuning.UNTUNED, algorithm="blocked", threads=1,
            protocol=Protocol(runs=3, sampling_s=1.0, time_limit_s=900.0),
        )
    )  # fmt: skip
    here = {"cpu": run.environment.cpu, "date": run.timestamp[:10]}
    if not run.ok or run.peak_rss_bytes is None:
        return here | {"reason": f"{run.status.value}: {run.reason}"}
    return here | {"needed": needed_bytes(network), "peak": run.peak_rss_bytes}


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table, and how much the peak grows with what is needed."""
    rows: list[tuple[str, ...]] = []
    points: list[tuple[float, float]] = []
    for network, entry in sorted(found.items(), key=lambda entry: entry[1].get("needed", 0)):
        if "reason" in entry:
            rows.append((network, "", entry["reason"], ""))
            continue
        needed, peak = entry["needed"] / 1e6, entry["peak"] / 1e6
        points.append((needed, peak))
        rows.append((network, f"{needed:.1f}", f"{peak:.0f}", f"{peak - needed:.0f}"))
    fitted = len(points) > 2
    header = ["network", "needed, MB", "peak of the run, MB", "beside what is needed, MB"]
    last = ""
    if fitted:
        needs, peaks = [needed for needed, _ in points], [peak for _, peak in points]
        slope, base = (float(number) for number in np.polyfit(needs, peaks, 1))
        header.append("line, MB")
        rows = [
            (*row[:4], f"{base + slope * float(row[1]):.0f}" if row[1] else "") for row in rows
        ]
        off = max(abs(base + slope * needed - peak) / peak for needed, peak in points)
        last = (
            f"\n\nThe line, by least squares over the {len(points)} networks: {base:.0f} MB and {slope:.2f} MB "
            f"for each MB needed; it misses a peak by {off:.0%} at most."
        )
    places = sorted({f"{entry['cpu']}, {entry['date']}" for entry in found.values()})
    lead = f"{'; '.join(places)}; 1 thread. Memory does not depend on other load.\n\n"
    return f"{lead}{markdown_table(header, rows, numbers_from=1)}{last}\n"


def main() -> None:
    """Run the networks that were not run yet, and write the table of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument(
        "--kept", type=Path, default=cache_folder() / "tvm-memory.json", help="what was run"
    )
    parser.add_argument("--write", type=Path, help="page to write the table into")
    given = parser.parse_args()
    for network in given.networks:
        if network in read_kept(given.kept):
            continue
        entry = memory_of(network)
        print(network, entry, file=sys.stderr, flush=True)
        given.kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(
            given.kept, json.dumps({**read_kept(given.kept), network: entry}, indent=1).encode()
        )
    table = page(read_kept(given.kept))
    print(table)
    if given.write is not None:
        into_page(given.write, "memory", table)


if __name__ == "__main__":
    main()
