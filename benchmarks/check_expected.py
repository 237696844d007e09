"""Compare what the program says of published runs, through platform files and graphs, with what was published.

    python benchmarks/check_expected.py --evidence evidence.csv

A run is looked at where its machine has a platform file and its network's counts are those of a shipped graph. The
estimate is that of the verb `predict`: nothing of the run but its datatype, batch and runtime is told.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

import roofline as rl
from roofline.errors import RooflineError
from roofline.model._request import at_precision
from roofline.model.expected import estimate
from roofline.spec import canonical, platform
from roofline.validate.evidence.evidence import Evidence
from roofline.validate.evidence.published import IN_FLIGHT, read_published
from roofline.workload import Workload

ALIKE = 0.04
"""How far the multiply-accumulates and the parameters of a run may be from a graph's."""

Compared = tuple[str, str, str, str, float, float, bool]
"""Class, machine, network, datatype, published and expected fps, and whether the interval holds the published."""


@cache
def at(name: str, datatype: str) -> Workload:
    """Return a shipped network at a precision."""
    return at_precision(rl.load(name), datatype)


def compared(evidence: Evidence) -> Iterator[Compared]:
    """Yield what was published of each run that can be placed, beside what is expected."""
    graphs = {
        name: rl.load(name)
        for name in rl.networks()
        if "_" not in name or "b" not in name.split("_")[-1]
    }
    counts = {name: (graph.macs / graph.batch, graph.parameters) for name, graph in graphs.items()}
    facts, most = evidence.facts, defaultdict[tuple[str, str], float](float)
    for machine, datatype, peak in zip(
        facts.machine, facts.datatype, facts.numbers["peak"], strict=True
    ):
        most[machine, datatype] = max(most[machine, datatype], peak)
    for i, row in enumerate(evidence.rows):
        machine, datatype = facts.machine[i], facts.datatype[i]
        macs, parameters = facts.numbers["macs"][i], facts.numbers["parameters"][i]
        name = next(
            (name for name, (m, p) in counts.items()
             if p and abs(np.log(macs / m)) < ALIKE and abs(np.log(parameters / p)) < ALIKE),
            None,
        )  # fmt: skip
        if (
            name is None
            or canonical(machine) is None
            or facts.numbers["peak"][i] < most[machine, datatype]
        ):
            continue
        in_flight = row["mode"] in IN_FLIGHT
        try:
            found = estimate(
                at(name, datatype), platform(machine), datatype=datatype, batch=int(float(row["batch"])),
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
            facts.machine_class[i], machine, name, datatype, float(row["fps"]), fps,
            low <= float(row["fps"]) <= high,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--machines", action="store_true", help="One line per machine.")
    arguments = parser.parse_args()
    groups: dict[str, list[Compared]] = defaultdict(list)
    for entry in compared(read_published(arguments.evidence)):
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
