"""Compare what the program says of published runs, through platform files and graphs, with what was published.

    python benchmarks/check_expected.py --evidence evidence.csv [--machines] [--write]

A run is looked at where its machine has a platform file and its network's counts are those of a shipped graph. The
estimate is that of the verb `predict`: nothing of the run but its datatype, batch and runtime is told.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from roofline.errors import RooflineError
from roofline.model.expected import estimate
from roofline.validate.evidence.by_graph import place_runs, predictions
from roofline.validate.evidence.evidence import Evidence, RunContext
from roofline.validate.evidence.published import IN_FLIGHT, read_published
from roofline.validate.evidence.summaries import add_part

ROOT = Path(__file__).parents[1]

Compared = tuple[str, str, str, str, float, float, bool]
"""Class, machine, network, datatype, published and expected fps, and whether the interval holds the published."""


def compare_runs(evidence: Evidence, graphs: Sequence[RunContext]) -> Iterator[Compared]:
    """Yield what was published of each run that can be placed, beside what is expected."""
    facts = evidence.facts
    for i, (row, where) in enumerate(zip(evidence.rows, graphs, strict=True)):
        machine, datatype = facts.machine[i], facts.datatype[i]
        in_flight = row["mode"] in IN_FLIGHT
        try:
            found = estimate(
                where.workload, where.platform, datatype=datatype, batch=int(float(row["batch"])),
                runtime=row["runtime"],
            )  # fmt: skip
        except RooflineError:
            continue
        if found is None:
            continue
        # A single run is judged by the rate of single runs.
        fps, (low, high) = found.fps, found.interval_fps
        if not in_flight and found.latency_s is not None and found.interval_latency_s is not None:
            batch = float(row["batch"])
            fps = batch / found.latency_s
            low, high = (batch / end for end in found.interval_latency_s[::-1])
        yield (
            facts.machine_class[i], machine, where.workload.name, datatype, float(row["fps"]), fps,
            low <= float(row["fps"]) <= high,
        )  # fmt: skip


def row(model: str, entries: Sequence[tuple[str, float, float]]) -> dict[str, Any]:
    """Return the score of a model: of each run the machine, what was published and what is said of it."""
    off = np.asarray([abs(np.log(estimate / true)) for _, true, estimate in entries])
    machine = np.asarray([name for name, _, _ in entries])
    each = [np.exp(np.median(off[machine == name])) for name in np.unique(machine)]
    return {
        "model": model, "n": len(off), "machines": len(each), "factor_machines": float(np.mean(each)),
        "factor_rows": float(np.exp(np.median(off))), "within 2x": float((off < np.log(2)).mean()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--machines", action="store_true", help="One line per machine.")
    parser.add_argument("--write", action="store_true", help="Into the page on expected.")
    arguments = parser.parse_args()
    whole = read_published(arguments.evidence)
    found = place_runs(whole)
    graphs = tuple(entry for entry in found if entry is not None)
    there = np.asarray([entry is not None for entry in found])
    evidence = replace(whole.take(there), placed=graphs)
    every = list(compare_runs(evidence, graphs))
    if arguments.write:
        names = [str(name) for name in evidence.facts.machine]
        rows = [
            row(model, [
                (name, float(fps), outcome.throughput_fps)
                for name, fps, outcome in zip(names, evidence.fps, predictions(evidence, model), strict=True)
                if outcome is not None and outcome.throughput_fps
            ])
            for model in ("equation1", "layerwise")
        ]  # fmt: skip
        rows.append(row("expected", [(entry[1], entry[4], entry[5]) for entry in every]))
        add_part(ROOT, "graphs", rows)
    groups: dict[str, list[Compared]] = defaultdict(list)
    for entry in every:
        groups[entry[1] if arguments.machines else entry[0]].append(entry)
    print(f"{'':26} runs  machines  median factor  geometric  bias  in 80 % interval")
    for label, entries in sorted(groups.items()):
        off = np.asarray([np.log(entry[5] / entry[4]) for entry in entries])
        print(
            f"{label:26} {len(off):4}  {len({entry[1] for entry in entries}):8}  {np.exp(np.median(abs(off))):13.2f}  "
            f"{np.exp(np.mean(abs(off))):9.2f}  {np.exp(off.mean()):4.2f}  {np.mean([e[6] for e in entries]):16.0%}"
        )


if __name__ == "__main__":
    main()
