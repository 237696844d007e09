"""Digits: what pruned and narrow weights gain with kernels that use them, accuracy beside speed, for one page.

    python benchmarks/digits_kernels.py digits --write docs/digits.md

The folder is that of `python -m roofline.validate.studies.digits -o digits`; networks that it lacks are trained. Every
variant is run by ONNX Runtime, by TVM tuned, and, where weights are pruned, by TVM with its sparse kernels, on one
thread. Times are the shortest of many runs: of microseconds, some fit between what others do on the machine. What was
run is kept in the folder: a run that was ended goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kept_runs import KeptRuns

from roofline.markdown import markdown_table, with_section
from roofline.validate.measuring.measure import measure
from roofline.validate.records.compression import compression_of
from roofline.validate.records.flag import FlagKind, join_flags
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.digits.data import load
from roofline.validate.studies.digits.experiment import (
    BATCHES,
    Plan,
    VariantFile,
    check_packages,
    make_all,
)
from roofline.validate.studies.digits.networks import TITLES
from roofline.validate.studies.digits.variants import VARIANTS
from roofline.writing import write_whole

KEYS = ("dense", "sparsity_0.9", "sparsity_0.95", "w4a32", "w2a32_trained")
"""The variants: what they keep of the weights, or how narrow they store them."""

NARROW_WEIGHTS = ("w4a32", "w2a32")

TRIALS = 8


@dataclass(frozen=True)
class Way:
    """One way to run a variant."""

    name: str
    backend: str
    sparse_format: str = "dense"


ORT = Way("ONNX Runtime", "onnxruntime")
TVM = Way("TVM", "tvm")
CSR = Way("TVM, sparse rows", "tvm", "csr")

Runs = Mapping[int, Measurement]
"""A record for each batch."""


def run_settings(made: VariantFile) -> tuple[Way, ...]:
    """Return how a variant is run."""
    return (ORT, TVM, CSR) if made.variant.request.sparsity is not None else (ORT, TVM)


def request(made: VariantFile, way: Way, batch: int, sampling_s: float) -> RunRequest:
    """Return one run of a variant."""
    base = RunRequest(
        str(made.path), way.backend, threads=1, batch=batch, compression=compression_of(made.variant.request),
        datatype=made.variant.datatype,
        protocol=Protocol(runs=2000, warmup=20, sampling_s=sampling_s, time_limit_s=600.0),
    )  # fmt: skip
    if way.backend != "tvm":
        return base
    if base.datatype in NARROW_WEIGHTS:
        # TVM takes a file as it is stored: its weights are narrow, its activations fp32.
        base = replace(base, datatype="")
    options = {} if way.sparse_format == "dense" else {"sparse_format": way.sparse_format}
    return replace(base, tuning=Tuning.TUNED, trials=TRIALS, options=options)


def subject(made: VariantFile, way: Way) -> list[str]:
    """Return what a line of the table is about, its accuracy in percent included."""
    accuracy = made.accuracy.record()
    half = (accuracy["accuracy_high"] - accuracy["accuracy_low"]) / 2
    return [made.network, made.variant.key, f"{accuracy['accuracy']:.1f} ± {half:.1f}", way.name]


def row(made: VariantFile, way: Way, runs: Runs, dense: Runs) -> list[str]:
    """Return a line of the table: shortest times, and gains over the dense network in the same program."""
    cells = subject(made, way)
    first = next(iter(runs.values()))
    cells.append(first.executed.label if first.ok else f"{first.status.value}: {first.reason}")
    for batch, run in runs.items():
        base = dense[batch].min_s
        gain = f"{base / run.min_s:.2f}x" if base and run.min_s else ""
        cells += ["" if run.min_s is None else f"{1e6 * run.min_s:.3g}", gain]
    flags = {
        flag.kind: flag
        for run in runs.values()
        for flag in run.flags
        if flag.kind is not FlagKind.UNTUNED
    }
    return [*cells, join_flags(flags.values()) or "none"]


def page(rows: Sequence[Sequence[str]], runs: Sequence[Measurement]) -> str:
    """Return the table with what it was measured on."""
    run = runs[-1]
    known = {name: v for entry in runs for name, v in entry.environment.versions.items()}
    versions = ", ".join(f"{name} {v}" for name, v in sorted(known.items()))
    header = [
        "network", "variant", "accuracy, %", "run by", "runs in",
        *(cell for batch in BATCHES for cell in (f"batch {batch}, µs", "over dense")), "flags",
    ]  # fmt: skip
    lead = (
        f"{run.environment.cpu}, 1 thread, {run.timestamp[:10]}; {versions}; {TRIALS} schedules a kernel. "
        "Shortest of up to 2,000 runs, which other load hardly lengthens; a gain is "
        "over the dense network run by the same program.\n\n"
    )
    return f"{lead}{markdown_table(header, rows, numbers_from=5)}\n"


def main() -> None:
    """Train what is missing, run everything, print the table and put it on the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", nargs="+", default=list(TITLES), choices=list(TITLES))
    parser.add_argument("--sampling-s", type=float, default=0.5, help="seconds of timing each run")
    parser.add_argument(
        "--kept-only", action="store_true", help="run nothing more: the table of what was run"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page to write the table into")
    given = parser.parse_args()
    by_key = {variant.key: variant for variant in VARIANTS}
    plan = Plan(networks=tuple(given.networks), variants=tuple(by_key[key] for key in KEYS))
    check_packages(plan)

    def report(line: str) -> None:
        print(f"  {line}", file=sys.stderr, flush=True)

    rows: list[list[str]] = []
    all_runs: list[Measurement] = []
    dense: dict[tuple[str, str], Runs] = {}
    for made in make_all(plan, load(), given.folder / "models", report):
        kept = KeptRuns(given.folder / f"kernels-{made.network}.json")
        for way in run_settings(made):
            runs: dict[int, Measurement] = {}
            for batch in BATCHES:
                name = f"{made.network} {made.variant.key}, {way.name}, batch {batch}"
                make = partial(measure, request(made, way, batch, given.sampling_s))
                run = kept.find(name) if given.kept_only else kept.run(name, make)
                if run is not None:
                    runs[batch] = run
            all_runs += runs.values()
            if len(runs) < len(BATCHES):
                rows.append([*subject(made, way), "planned", *[""] * (2 * len(BATCHES) + 1)])
                continue
            dense.setdefault((made.network, way.backend), runs)
            rows.append(row(made, way, runs, dense[made.network, way.backend]))
            report(" | ".join(rows[-1]))
    content = page(rows, all_runs)
    print(content)
    if given.write is not None:
        text = given.write.read_text(encoding="utf-8")
        made = with_section(text, content, "<!-- begin kernels -->", "<!-- end kernels -->")
        write_whole(given.write, made.encode())


if __name__ == "__main__":
    main()
