"""Memory of a run with TVM beside what the network needs: weights and the largest set of activations alive at once.

    python benchmarks/tvm_memory.py mlp cnv mobilenet_v1 vgg16_cifar10 resnet50 --write docs/tvm.md

The peak is that of the process that loads the program and runs it, TVM's own code included; the last line is how much
the peak grows with what is needed, by least squares over the networks. Kernels on blocks have guessed tiles: their
memory is that of tuned ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from tvm_ladder import into_page

import roofline
from roofline.markdown import markdown_table
from roofline.validate.measuring.measure import measure
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning


def needed_bytes(network: str) -> int:
    """Return the bytes of weights and of the largest set of activations, in fp32."""
    totals = roofline.load(network)
    return int(totals.weight_bytes + totals.peak_activation_bytes)


def main() -> None:
    """Run every network once and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="+", metavar="NETWORK")
    parser.add_argument("--write", type=Path, help="page to write the table into")
    given = parser.parse_args()
    rows: list[tuple[str, str, str]] = []
    points: list[tuple[float, float]] = []
    for network in given.networks:
        run = measure(
            RunRequest(
                network, "tvm", tuning=Tuning.UNTUNED, algorithm="blocked", threads=1,
                protocol=Protocol(runs=3, sampling_s=1.0),
            )
        )  # fmt: skip
        if not run.ok or run.peak_rss_bytes is None:
            rows.append((network, "", f"{run.status.value}: {run.reason}"))
            continue
        points.append((needed_bytes(network) / 1e6, run.peak_rss_bytes / 1e6))
        rows.append((network, f"{points[-1][0]:.1f}", f"{points[-1][1]:.0f}"))
        print(*rows[-1], file=sys.stderr, flush=True)
    table = markdown_table(["network", "needed, MB", "peak of the run, MB"], rows, numbers_from=1)
    if len(points) > 2:
        slope, base = np.polyfit(*zip(*points, strict=True), 1)
        table += f"\n\n{base:.0f} MB and {slope:.2f} MB for each MB needed."
    print(table)
    if given.write is not None:
        into_page(given.write, "memory", f"{table}\n")


if __name__ == "__main__":
    main()
