"""Print the table of `docs/compression.md`: every shipped network with half its channels.

Run: python benchmarks/compression_table.py
"""

from __future__ import annotations

import roofline
from roofline.compress import Pruning, Request
from roofline.compress.channels import prune
from roofline.spec import platform
from roofline.speedup import speed_up
from roofline.workloads import build, networks

MACHINES = ("tx2:maxn", "hikey970-cpu")
HALF = Request(Pruning(0.5))


def row(key: str) -> str:
    """Return one network's row."""
    dense = roofline.load(key)
    half = HALF.under(dense)
    fixed = prune(build(key), 0.5).plan.fixed
    gains = [speed_up(dense, HALF, platform(machine)) for machine in MACHINES]
    predicted = " | ".join(f"{gain.predicted:.2f}x" for gain in gains)
    return (
        f"| `{key}` | {dense.macs / 1e6:,.1f} | {half.macs / 1e6:,.1f} | {dense.parameters / 1e6:,.3f} | "
        f"{half.parameters / 1e6:,.3f} | {dense.macs / half.macs:.2f}x | {predicted} | {len(fixed)} |"
    )


def main() -> None:
    """Print the table."""
    shown = " | ".join(f"Equation 1, {machine}" for machine in MACHINES)
    print(
        f"| key | MMAC | at 0.5 | Mparameters | at 0.5 | fewer MACs | {shown} | layers kept whole |"
    )
    print("|---|---:|---:|---:|---:|---:|" + "---:|" * (len(MACHINES) + 1))
    for key in networks:
        print(row(key), flush=True)


if __name__ == "__main__":
    main()
