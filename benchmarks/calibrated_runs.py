"""Runs of real networks and of the microbenchmarks that `calibrated` rests on, timed in turn and kept.

For `benchmarks/calibrated.py` and `calibrated_tvm.py`. Probes are timed between rounds of the networks, so that a
machine that drifts does so for both, and samples count that were taken while it was not slowed. Whatever is measured is
kept, one line for each figure, and what ended early goes on where it was.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from roofline.progress import tell_nobody
from roofline.temporary import temporary_folder
from roofline.validate.calibration.calibrate import Roofs, calibrate
from roofline.validate.calibration.microbenchmarks import ProbeTimes, Rounds, Times
from roofline.validate.calibration.probe_timing import run_request, watch
from roofline.validate.calibration.probes import probes_of
from roofline.validate.calibration.steadiness import Burst, Step, summarize_bursts
from roofline.validate.measuring.backend import Artifact, Request, backends
from roofline.validate.measuring.environment import cpu_name, package_version

LISTS = Path(__file__).parent / "networks"
ROOFS_S = 10.0
"""Seconds of `roofline calibrate` for the roofs of one number of threads."""
_SAMPLING_S, _LEAST, _LONGEST_S, _PATIENCE_S, _WARM_UP = 0.2, 4, 2.0, 30.0, 2
_TOGETHER = 8
"""Networks that are loaded at a time and run in turn."""
_BLOCKS = 2
"""Parts of the probes: all networks are timed before each, and after the last."""
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
    values: Mapping[str, int | Sequence[int]]


@dataclass(frozen=True, slots=True)
class Record:
    """What one session measured."""

    machine: str
    date: str
    threads: int
    roofs: Roofs
    times: Times
    took_s: float
    """Of the calibration."""
    rounds: Mapping[str, Sequence[float]]
    """Seconds of a run of each network, once a round."""

    def measured_s(self, name: str) -> float:
        """Return the seconds that predictions of a network are judged by: the median of its rounds."""
        return float(np.median(self.rounds[name]))

    @property
    def apart(self) -> Sequence[float]:
        """By how much rounds of each network lie apart."""
        return [max(found) / min(found) - 1 for found in self.rounds.values()]


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


def step_of(network: Network, name: str, threads: int) -> Step:
    """Return what runs a network once with a backend, warm."""
    backend = backends.get(name)
    with temporary_folder() as folder:
        job = run_request(network.name, name, threads)
        asked = Request(job, network.path, folder, fresh=False, in_turn=True)
        as_it_is = backend.capabilities.loads_models
        made = Artifact(network.path) if as_it_is else backend.prepare(asked, tell_nobody)
        session = backend.load(asked, made)
    session.bind(inputs_of(network))
    for _ in range(_WARM_UP):
        session.step()
    return session.step


class KeptFigures:
    """What has been measured so far, one line for each figure, beside the record."""

    def __init__(self, record: Path) -> None:
        """Go on where a file was left; the probes have one of their own."""
        self._path = record.with_suffix(".networks.jsonl")
        self.probes = record.with_suffix(".probes.jsonl")

    def lines(self) -> list[dict[str, Any]]:
        """Return what was written."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def probing_s(self) -> float:
        """Return the seconds that the probes took so far."""
        return sum(line.get("took", 0.0) for line in self.lines() if "roofs" not in line)

    def add(self, **line: Any) -> None:
        """Write a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


MakeStep = Callable[[Network, str, int], Step]
"""Returns what runs a network once with a backend on so many threads, warm."""


def measure(
    every: Sequence[Network], backend: str, threads: int, kept: KeptFigures, budget_s: float,
    step: MakeStep = step_of,
) -> Record | None:  # fmt: skip
    """Time networks and microbenchmarks in turn; None where the budget ended before all were timed."""
    end = time.monotonic() + budget_s
    rounds = Rounds(backend, threads, kept.probes)
    names = [probe.name for probe in probes_of(backend)]
    if not any("roofs" in line for line in kept.lines()):
        begin = time.monotonic()
        (roofs,) = calibrate(seconds=ROOFS_S, threads=[threads])
        kept.add(roofs=asdict(roofs), took=time.monotonic() - begin)
    for block in range(_BLOCKS + 1):
        if not _time_networks(every, block, rounds, threads, kept, end, step):
            return None
        begin = time.monotonic()
        if block < _BLOCKS:
            rounds.run(0, names[block::_BLOCKS], total=len(names))
        else:
            rounds.repeat(names, kept.probing_s())
        kept.add(took=time.monotonic() - begin)
        if time.monotonic() > end and block < _BLOCKS:
            return None
    return _make_record(backend, threads, kept, rounds)


def _time_networks(
    every: Sequence[Network],
    number: int,
    rounds: Rounds,
    threads: int,
    kept: KeptFigures,
    end: float,
    step: MakeStep,
) -> bool:
    """Time networks in one round, but those that were; return whether there was time for all."""
    done = {line["network"] for line in kept.lines() if line.get("round") == number}
    left = [network for network in every if network.name not in done]
    usual = min((line["usual"] for line in kept.lines() if "usual" in line), default=0.0)
    backend = rounds.backend
    steadiness = watch(backend, threads, _PATIENCE_S, usual, rounds.programs) if left else None
    groups = -(-len(left) // _TOGETHER)
    for place in range(groups):
        if time.monotonic() > end:
            return False
        assert steadiness is not None
        works: dict[str, list[Step]] = {}
        for network in left[place::groups]:
            try:
                works[network.name] = [step(network, backend, threads)]
            except Exception as error:
                # A backend that lacks an operator says so in its own way; the others count.
                print(
                    f"{network.name}: {type(error).__name__}: {str(error)[:150]}", file=sys.stderr
                )
                kept.add(network=network.name, round=number, failed=type(error).__name__)
        found = steadiness.bursts(
            list(works.values()),
            _SAMPLING_S,
            least_runs=_LEAST,
            longest_s=_LONGEST_S,
            until_agreed=False,
        )
        for name, bursts in zip(works, found, strict=True):
            taken = [[burst.seconds, burst.reference_s] for burst in bursts]
            kept.add(network=name, round=number, usual=steadiness.usual_s, bursts=taken)
    return True


def _make_record(backend: str, threads: int, kept: KeptFigures, rounds: Rounds) -> Record:
    lines = kept.lines()
    of, failed = rounds.collect([probe.name for probe in probes_of(backend)])
    version = package_version({"tvm": "apache-tvm"}.get(backend, backend)) or "unknown"
    took = sum(line.get("took", 0.0) for line in lines)
    times = Times(
        backend, version, threads, of, failed, rounds.drift, rounds.taken, took, rounds.target
    )
    seconds: dict[str, list[float]] = {}
    usual = min(line["usual"] for line in lines if "usual" in line)
    for line in lines:
        if "bursts" in line:
            bursts = [Burst(tuple(taken), tuple(beside)) for taken, beside in line["bursts"]]
            seconds.setdefault(line["network"], []).append(
                summarize_bursts(bursts, usual).seconds[0]
            )
    roofs = next(Roofs(**line["roofs"]) for line in lines if "roofs" in line)
    date = datetime.now(UTC).date().isoformat()
    return Record(cpu_name(), date, threads, roofs, times, took, seconds)


def format_record(record: Record) -> str:
    """Return a record as text."""
    return json.dumps(asdict(record), indent=1)


def read(path: Path) -> Record:
    """Return a record that `written` gave."""
    found = json.loads(path.read_text(encoding="utf-8"))
    times = found["times"]
    of = {name: ProbeTimes(**entry) for name, entry in times["of"].items()}
    return Record(
        **{**found, "roofs": Roofs(**found["roofs"]), "times": Times(**{**times, "of": of})}
    )
