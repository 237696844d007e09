"""Networks that torch ran on a GPU, beside what Equation 1 bounds and what `expected` estimates.

Usage:
    python benchmarks/gpu_networks.py [RECORDS.csv]

RECORDS.csv: records of runs against a shipped machine, written by `roofline export`; by default `h200_torch.csv` beside
this script. docs/gpu.md holds the table, and says how the runs were made.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from roofline import load
from roofline.model import predict
from roofline.spec import platform
from roofline.validate.records.files import import_csv
from roofline.validate.records.record import Measurement

RUNS = Path(__file__).parent / "h200_torch.csv"
RUNTIMES = {"tuned": "pt-compile", "untuned": "pt-eager"}
"""What published runs call torch, compiled and eager."""


def table(runs: list[Measurement]) -> Iterator[str]:
    """Yield the lines of a table: measured, the bound and its share, the estimate and whether its interval held.

    The estimate is that for the runtime of the run; `expected` by itself names the class's fastest.
    """
    yield "| network | datatype | batch | median ms | measured fps | bound fps | share | expected fps (80 %) | inside |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for run in runs:
        machine, workload = platform(run.machine), load(run.job.network)
        asked = {"datatype": run.operands, "batch": run.job.batch}
        bound = predict(workload, machine, **asked).throughput_fps
        estimate = predict(
            workload, machine, model="expected", runtime=RUNTIMES[run.job.tuning], **asked
        )
        interval, fps, median = estimate.interval_fps, run.throughput_fps, run.median_s
        if bound is None or interval is None or fps is None or median is None:
            continue
        low, high = interval
        yield (
            f"| {run.job.network} | {run.operands} | {run.job.batch} | {1e3 * median:.3g} | {fps:,.0f} | {bound:,.0f} "
            f"| {fps / bound:.1%} | {estimate.throughput_fps:,.0f} ({low:,.0f}–{high:,.0f}) "
            f"| {'yes' if low <= fps <= high else 'no'} |"
        )


if __name__ == "__main__":
    print(
        "\n".join(
            table(
                import_csv(
                    (Path(sys.argv[1]) if sys.argv[1:] else RUNS).read_text(encoding="utf-8")
                )
            )
        )
    )
