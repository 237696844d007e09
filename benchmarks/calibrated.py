"""How good the model `calibrated` is on real networks: measured once, scored as often as wanted.

Usage:
    python benchmarks/calibrated.py run FOLDER... --record RECORD.json [--networks open held_out] [--threads 1]
        [--backend onnxruntime] [--budget SECONDS] [--summary SUMMARY.json] [--page docs/calibrated.md]
    python benchmarks/calibrated.py score FOLDER... --record RECORD.json... [--summary SUMMARY.json]
        [--machine NAME] [--page PAGE.md]
    python benchmarks/calibrated.py page --summary SUMMARY.json --page docs/calibrated.md

FOLDER: where the files of `benchmarks/networks/*.csv` lie, anywhere below; they are known by their digest.
`run` calibrates and times networks in turn, some probes after some networks, so that a machine that drifts does so for
both; whatever is measured is kept, and what ended early, or after its budget, goes on where it was. Samples count that
were taken while the machine was not slowed; how far rounds of one network lie apart is the floor below which no error
means anything. `score` fits the profile to what was kept. The page is generated from the summary.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from calibrated_runs import KeptFigures, Network, Record, format_record, measure, networks, read
from calibrated_scores import (
    MARKS,
    NOMINAL,
    first_scores,
    outcome_row,
    outcomes,
    page,
    score,
    write_page,
)

from roofline import Workload, load
from roofline.model.machine_profile import Profile
from roofline.number_format import plural
from roofline.validate.calibration.fitting import fit_profile


def count_network(network: Network) -> Workload:
    """Return the counts of a network at the shapes it is run at."""
    return load(str(network.path), inputs=dict(network.inputs), values=dict(network.values))


def without_fusion(profile: Profile) -> Profile:
    """Return the profile of a machine on which every operator runs alone."""
    none = frozenset[str]()
    samples = {
        kind: found for kind, found in profile.samples.items() if not kind.startswith("layout.")
    }
    return replace(
        profile,
        absorbed=none,
        after_product=none,
        packed=none,
        patterns=none,
        samples=samples,
        fusion="",
    )


def models(record: Record) -> dict[str, Profile]:
    """Return the profile of a record, and what it is without one of its parts."""
    whole = fit_profile(record.times, record.roofs, record.machine)
    return {
        "calibrated": whole,
        "no padding": fit_profile(record.times, record.roofs, record.machine, padding=False),
        "no hierarchy of caches": replace(whole, streams=()),
        "no fusion": without_fusion(whole),
        "no layers among others": replace(whole, switches=(), among=()),
        "no start of runs and layers": replace(whole, run_s=1e-12, layer_s=1e-12, switches=()),
    }


def summary(record: Record, lists: Mapping[str, Sequence[Network]]) -> dict[str, Any]:
    """Return what the tables of a record say: scores, intervals and networks of each list, and how it was measured."""
    profiles = models(record)
    scored: dict[str, Any] = {}
    for name, found in lists.items():
        works = {n.name: (n, count_network(n)) for n in found if n.name in record.rounds}
        if not works:
            continue
        made = {model: outcomes(profile, works, record) for model, profile in profiles.items()}
        own = made["calibrated"]
        scored[name] = {
            "scores": [{"model": model} | score(made[model]) for model in made],
            "intervals": [
                {
                    "interval for": f"{share:.0%}",
                    f"holds of {len(own)}": f"{np.mean([entry.holds(share) for entry in own]):.0%}",
                }
                for share in NOMINAL
            ],
            "networks": [outcome_row(entry) for entry in own],
        }
    apart, times = record.apart, record.times
    told = (
        f"{record.machine}, {record.date}, {times.backend} {times.version}, threads: {record.threads}; "
        f"{times.protocol}. Roofs and probes took {record.took_s:.0f} s. "
        f"Rounds of one network lie {np.median(apart):.1%} (median) and {np.quantile(apart, 0.9):.1%} (nine of ten) "
        f"apart: the floor of any error. The fixed work took {times.drift:.2f} times its usual time beside the slowest "
        "quarter of the probes."
    )
    return {"told": told, "lists": scored}


def publish(
    records: Iterable[Record],
    lists: Mapping[str, Sequence[Network]],
    machine: str | None,
    summary_path: Path | None,
    page_path: Path | None,
    marks: tuple[str, str] = MARKS,
) -> None:
    """Print the scores of records; add them to a summary, and write the tables of a page, where there are these.

    Args:
        records: What was measured.
        lists: The networks, by list.
        machine: Its name in the summary; else what its system calls the processor.
        summary_path: Scores by machine, backend and threads, to add to.
        page_path: The page.
        marks: Between which the tables stand on it.
    """
    machines: dict[str, Any] = {}
    if summary_path is not None and summary_path.exists():
        machines = json.loads(summary_path.read_text(encoding="utf-8"))
    for record in records:
        runs = machines.setdefault(machine or record.machine, {})
        title = f"{record.times.backend}, {plural(record.threads, 'thread')}"
        before, made = runs.get(title, {}), summary(record, lists)
        runs[title] = made | {"first": first_scores(before, made["lists"])}
    print(page(machines))
    if summary_path is not None:
        summary_path.write_text(json.dumps(machines, indent=1) + "\n", encoding="utf-8")
    if page_path is not None:
        write_page(page_path, machines, marks)


def main() -> None:
    """Measure and keep, score what was kept, or write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("run", "score", "page"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--networks", nargs="+", default=["open", "held_out"])
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds of a call")
    parser.add_argument("--record", "-o", type=Path, nargs="+", default=[])
    parser.add_argument(
        "--machine", help="its name in the summary; else what its system calls the processor"
    )
    parser.add_argument(
        "--summary", type=Path, help="scores by machine, backend and threads, to add to"
    )
    parser.add_argument("--page", type=Path, help="write the tables between its marks")
    asked = parser.parse_args()
    if asked.what == "page":
        write_page(asked.page, json.loads(asked.summary.read_text(encoding="utf-8")))
        return
    lists = {name: networks(name, asked.folders) for name in asked.networks}
    if asked.what == "run":
        every = [network for found in lists.values() for network in found]
        made = measure(
            every, asked.backend, asked.threads, KeptFigures(asked.record[0]), asked.budget
        )
        if made is None:
            print("The budget is spent: call again to go on.", file=sys.stderr)
            return
        asked.record[0].write_text(format_record(made), encoding="utf-8")
    publish(map(read, asked.record), lists, asked.machine, asked.summary, asked.page)


if __name__ == "__main__":
    main()
