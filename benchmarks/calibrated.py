"""How good the model `calibrated` is on real networks: one calibration and one measurement of each, in one go.

Usage:
    python benchmarks/calibrated.py FOLDER... [--networks open held_out] [--threads 1] [--rounds 3] [-o TABLE.md]

FOLDER: where the files of `benchmarks/networks/*.csv` lie, anywhere below; they are known by their digest.
Networks are timed before and after the calibration, in rounds: the least of their rounds is what predictions are judged
by, and how far rounds lie apart is the floor below which no error means anything.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from roofline import Workload, load
from roofline.markdown import markdown_records
from roofline.model.machine_profile import Profile
from roofline.model.network_time import calibrated_time
from roofline.temporary import temporary_folder
from roofline.validate.calibration.calibrate import Roofs, calibrate
from roofline.validate.calibration.fitting import fitted
from roofline.validate.calibration.microbenchmarks import measure_times
from roofline.validate.measuring.backend import Artifact, Request, backends
from roofline.validate.measuring.environment import cpu_name
from roofline.validate.records.request import RunRequest

LISTS = Path(__file__).parent / "networks"
_SAMPLING_S, _LEAST, _QUANTILE, _WARM_UP = 0.25, 3, 0.2, 3
_DATATYPES = {
    1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Network:
    """One network of the lists, with its file."""

    name: str
    family: str
    path: Path
    inputs: Mapping[str, tuple[int, ...]]
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prediction beside its measurement."""

    network: Network
    measured_s: float
    predicted_s: float
    low_s: float
    high_s: float
    borrowed: float

    @property
    def ratio(self) -> float:
        """Predicted over measured time."""
        return self.predicted_s / self.measured_s


def networks(name: str, folders: Iterable[Path]) -> list[Network]:
    """Return the networks of a list whose files are below the folders."""
    at = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path
        for folder in folders
        for path in sorted(folder.rglob("*.onnx"))
    }
    with (LISTS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [
        Network(
            row["model"], row["family"], at[row["sha256"]],
            {key: tuple(shape) for key, shape in json.loads(row["input_shapes"]).items()},
            json.loads(row["values"] or "{}"),
        )
        for row in rows
        if row["sha256"] in at
    ]  # fmt: skip
    print(f"{name}: {len(found)} of {len(rows)} files are at hand", file=sys.stderr)
    return found


def inputs_of(network: Network) -> dict[str, Any]:
    """Return random inputs of a network."""
    import onnx

    model = onnx.load(network.path, load_external_data=False)
    stored = {entry.name for entry in model.graph.initializer}
    random = np.random.default_rng(0)
    longest = max((max(shape, default=1) for shape in network.inputs.values()), default=1)
    found: dict[str, Any] = {}
    for entry in model.graph.input:
        if entry.name in stored:
            continue
        given = tuple(max(size.dim_value, 1) for size in entry.type.tensor_type.shape.dim)
        shape = network.inputs.get(entry.name, given)
        dtype = np.dtype(_DATATYPES[entry.type.tensor_type.elem_type])
        if entry.name in network.values:
            found[entry.name] = np.full(shape, network.values[entry.name], dtype)
        elif dtype.kind == "f":
            found[entry.name] = random.standard_normal(shape).astype(dtype)
        elif "len" in entry.name.lower():
            found[entry.name] = np.full(shape, longest, dtype)
        else:
            found[entry.name] = random.integers(1, 3, shape).astype(dtype)
    return found


def timed(network: Network, threads: int) -> float:
    """Return a low quantile of the seconds of a run: CPU time with one thread, wall time with more."""
    clock = time.process_time if threads == 1 else time.perf_counter
    with temporary_folder() as folder:
        asked = Request(
            RunRequest(network.name, "onnxruntime", threads=threads), network.path, folder
        )
        session = backends.get("onnxruntime").load(asked, Artifact(network.path))
    session.bind(inputs_of(network))
    step = session.step
    for _ in range(_WARM_UP):
        step()
    found: list[float] = []
    end = time.perf_counter() + _SAMPLING_S
    while len(found) < _LEAST or (time.perf_counter() < end and len(found) < 400):
        begin = clock()
        step()
        found.append(clock() - begin)
    return float(np.quantile(found, _QUANTILE))


def counted(network: Network) -> Workload:
    """Return the counts of a network at the shapes it is run at."""
    return load(str(network.path), inputs=dict(network.inputs), values=dict(network.values))


def outcomes(
    profile: Profile, works: Mapping[str, tuple[Network, Workload]], measured: Mapping[str, float]
) -> list[Outcome]:
    """Return the predictions of a profile beside what was measured."""
    found: list[Outcome] = []
    for name, (network, work) in works.items():
        estimate = calibrated_time(work, profile)
        if estimate is None:
            print(f"no basis: {name}", file=sys.stderr)
            continue
        shares = {basis.value: share for basis, share in estimate.shares().items()}
        borrowed = shares.get("borrowed", 0.0) + shares.get("estimated", 0.0)
        found.append(
            Outcome(network, measured[name], estimate.seconds, *estimate.interval_s, borrowed)
        )
    return found


def score(found: Sequence[Outcome]) -> dict[str, Any]:
    """Return the scores of predictions as a row of a table."""
    ratios = np.array([entry.ratio for entry in found])
    errors = np.abs(ratios - 1.0)
    held = [entry.low_s <= entry.measured_s <= entry.high_s for entry in found]
    widths = [entry.high_s / entry.low_s for entry in found]
    order = [
        np.argsort(np.argsort(values))
        for values in (
            [entry.predicted_s for entry in found],
            [entry.measured_s for entry in found],
        )
    ]
    return {
        "networks": len(found),
        "families": len({entry.network.family for entry in found}),
        "MAPE": f"{errors.mean():.1%}",
        "median": f"{np.median(errors):.1%}",
        "within 10 %": f"{(errors <= 0.1).mean():.0%}",
        "within 20 %": f"{(errors <= 0.2).mean():.0%}",
        "bias": f"x{np.exp(np.log(ratios).mean()):.2f}",
        "order": f"{np.corrcoef(*order)[0, 1]:.3f}",
        "80 % interval holds": f"{np.mean(held):.0%}",
        "its high/low": f"{np.median(widths):.2f}",
        "borrowed": f"{np.mean([entry.borrowed for entry in found]):.1%}",
    }


def without_fusion(profile: Profile) -> Profile:
    """Return the profile of a machine on which every operator runs alone."""
    none = frozenset[str]()
    samples = {kind: found for kind, found in profile.samples.items() if kind != "layout.convert"}
    return replace(
        profile, absorbed=none, after_product=none, packed=none, patterns=none, samples=samples
    )


def main() -> None:
    """Calibrate, measure, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--networks", nargs="+", default=["open"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args()
    lists = {name: networks(name, asked.folders) for name in asked.networks}
    every = [network for found in lists.values() for network in found]
    rounds: list[dict[str, float]] = [{n.name: timed(n, asked.threads) for n in every}]
    begin = time.monotonic()
    (roofs,) = calibrate(seconds=10.0, threads=[asked.threads])
    times = measure_times("onnxruntime", asked.threads)
    took = time.monotonic() - begin
    rounds += [{n.name: timed(n, asked.threads) for n in every} for _ in range(asked.rounds - 1)]
    measured = {n.name: min(found[n.name] for found in rounds) for n in every}
    apart = [np.log(max(r[n.name] for r in rounds) / measured[n.name]) for n in every]
    models = {
        "calibrated": lambda roofs: fitted(times, roofs, cpu_name()),
        "no padding": lambda roofs: fitted(times, roofs, cpu_name(), padding=False),
        "no cold weights": lambda roofs: replace(fitted(times, roofs, cpu_name()), streams=()),
        "no fusion": lambda roofs: without_fusion(fitted(times, roofs, cpu_name())),
    }
    text = tables(lists, measured, models, roofs)
    text += (
        f"\n{cpu_name()}, ONNX Runtime {times.version}, {asked.threads} threads; {times.protocol}.\n"
        f"Calibrated in {took:.0f} s. Rounds of one network lie {np.expm1(np.median(apart)):.1%} (median) and "
        f"{np.expm1(np.quantile(apart, 0.9)):.1%} (nine of ten) apart: the floor of any error.\n"
    )
    print(text)
    if asked.output is not None:
        asked.output.write_text(text, encoding="utf-8")


def tables(
    lists: Mapping[str, Sequence[Network]], measured: Mapping[str, float], models: Mapping[str, Any], roofs: Roofs
) -> str:  # fmt: skip
    """Return one table of scores for each list, and one of its networks."""
    parts: list[str] = []
    profiles = {name: make(roofs) for name, make in models.items()}
    for name, found in lists.items():
        works = {network.name: (network, counted(network)) for network in found}
        scores = {
            model: score(outcomes(profile, works, measured)) for model, profile in profiles.items()
        }
        rows = [{"model": model, **row} for model, row in scores.items()]
        parts.append(f"## {name}\n\n{markdown_records(rows)}\n\n")
        own = outcomes(profiles["calibrated"], works, measured)
        table = markdown_records(
            [
                {
                    "network": entry.network.name,
                    "measured ms": f"{1e3 * entry.measured_s:.3f}",
                    "predicted ms": f"{1e3 * entry.predicted_s:.3f}",
                    "80 % interval": f"{1e3 * entry.low_s:.3f} … {1e3 * entry.high_s:.3f}",
                    "ratio": f"{entry.ratio:.2f}",
                    "borrowed": f"{entry.borrowed:.0%}",
                }
                for entry in own
            ]
        )
        parts.append(f"{table}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
