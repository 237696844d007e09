"""Times the microbenchmarks with a backend, in processes of their own, and keeps what is done until all is.

A round times every probe once; rounds follow one another, so that a slow minute of the machine meets one round and not
all samples of one kind. Samples count that were taken while the machine was not slowed, as a small fixed product says
that is timed between them; of rounds, the least time counts: what others take only ever adds.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roofline.errors import MeasurementError
from roofline.number_format import plural
from roofline.progress import Report, tell_nobody
from roofline.temporary import temporary_folder
from roofline.user_folders import cache_folder
from roofline.validate.calibration.probes import Probe, probes
from roofline.validate.calibration.steadiness import (
    AGREE,
    ENOUGH,
    SLOWED,
    Steadiness,
    usual_s,
)
from roofline.validate.measuring import environment
from roofline.validate.measuring.backend import (
    Artifact,
    Request,
    Session,
    backends,
)
from roofline.validate.measuring.process import run_step
from roofline.validate.measuring.steps import Microbenchmarks, Share
from roofline.validate.records.request import RunRequest

ROUNDS = 2
"""Times that every probe is measured; those whose rounds disagree are measured once more."""
SAMPLING_S = {"onnxruntime": 0.018, "torch": 0.018, "tvm": 0.03}
"""Seconds for which a model of a probe is run at a time."""
STEADY = 0.15
"""Logarithm of the ratio of two rounds' differences up to which they agree."""
REFERENCE = "matmul 256x64x64"
"""The probe of some microseconds that is repeated throughout: it tells whether the machine is slowed."""

_PATIENCE_S = 8.0
"""Seconds that each process may lose to a slowed machine before it takes what it gets."""
_SLOWED_SPREAD, _ALIKE_SLOWED = 0.25, 0.85
"""Spread of what was only seen slowed, and the share of the slowing, in the logarithm, that is put back: 0.87 was the
median of 167 probes seen both ways."""
_SINGLE_SPREAD = STEADY
"""Spread of what one round alone saw at full speed, whose bursts did not agree: as much as two rounds may lie apart."""
_LONGEST_S = 0.5
"""Seconds of one probe after which nothing is taken again."""
_LEAST_RUNS, _WARM_UP = 5, 2
_AGAIN_UNTIL_S = {"onnxruntime": 130.0}
"""Seconds after which no further round is begun."""
_LIMIT_S = {"tvm": 7200.0}
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class ProbeTimes:
    """What was measured of one probe."""

    one_s: float
    """Seconds of the model with one copy: the least of all rounds."""
    many_s: float
    """Seconds of the model with all copies."""
    copies: int
    """Copies in the difference of the two."""
    spread: float = 0.0
    """Logarithm of the ratio of two rounds' differences; no less than `_SLOWED_SPREAD` where the machine was slowed."""

    @property
    def copy_s(self) -> float:
        """Seconds of one copy; not above zero where the difference is lost in noise."""
        return (self.many_s - self.one_s) / self.copies


@dataclass(frozen=True, slots=True)
class Times:
    """What was measured of all probes, with one backend and number of threads."""

    backend: str
    version: str
    threads: int
    of: Mapping[str, ProbeTimes]
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Probes that could not be built or run, with the reason."""
    drift: float = 1.0
    """Time of the reference over its usual one, beside the slowest quarter of what was taken."""
    taken: float = 0.0
    """Share of the machine's CPU time that others took meanwhile, the worst round."""
    seconds: float = 0.0
    """How long all of it took, what was kept from before aside."""

    @property
    def protocol(self) -> str:
        """How times were taken, in words."""
        clock = "CPU time of the process" if self.threads == 1 else "wall time"
        return (
            f"{clock}, low quantile of runs while the machine was not slowed, until {ENOUGH} bursts lie within "
            f"{AGREE:.0%} or for a while, at least {_LEAST_RUNS} runs; "
            f"least of {ROUNDS} or more rounds; "
            f"{plural(len(self.of), 'probe')}, difference of two lengths"
        )


def measure_times(backend: str, threads: int, *, report: Report | None = None) -> Times:
    """Time all microbenchmarks; what an earlier call that was ended had measured is not measured again.

    Args:
        backend: Name of a measurement backend.
        threads: Threads it runs on; times are CPU time with one thread and wall time with several.
        report: Told of progress.

    Raises:
        MeasurementError: The backend is not installed, or no probe could be run.
    """
    entry = backends.get(backend)
    if entry.missing():
        raise MeasurementError(
            f"calibrating with {backend} needs {entry.missing()}, which is not installed",
            repair=f"Install it: pip install {entry.missing()}",
        )
    version = environment.package_version({"tvm": "apache-tvm"}.get(backend, backend))
    version = version or next(iter(entry.versions().values()), "") or "unknown"
    kept = kept_file(backend, version, threads)
    begin = time.monotonic()
    names = [probe.name for probe in probes()]
    rounds = Rounds(backend, threads, kept, report)
    for number in range(ROUNDS):
        rounds.run(number, rounds.unsure(names), total=ROUNDS * len(names))
    for number in (ROUNDS, ROUNDS + 1):
        if time.monotonic() - begin < _AGAIN_UNTIL_S.get(backend, math.inf):
            rounds.run(number, rounds.doubtful(names), total=ROUNDS * len(names))
    of, failed = rounds.collected(names)
    if not of:
        reason = next(iter(failed.values()), "nothing was measured")
        raise MeasurementError(f"no microbenchmark could be run with {backend}: {reason}")
    return Times(
        backend, version, threads, of, failed, rounds.drift, rounds.taken, time.monotonic() - begin
    )


def forget(times: Times) -> None:
    """Remove what was kept of a calibration: it is complete, and written."""
    kept_file(times.backend, times.version, times.threads).unlink(missing_ok=True)


def kept_file(backend: str, version: str, threads: int) -> Path:
    """Return the file that holds what has been measured until a calibration is complete."""
    probed = "".join(f"{probe.name}:{probe.copies};" for probe in probes())
    told = f"{environment.cpu_name()}|{environment.available_cores()}|{probed}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"calibration-{backend}-{version}-{threads}-{digest}")
    return cache_folder() / f"{name}.jsonl"


class Rounds:
    """The rounds of one calibration and the file that keeps them."""

    def __init__(
        self, backend: str, threads: int, kept: Path, report: Report | None = None
    ) -> None:
        """Go on where a file was left.

        Args:
            backend: Name of a measurement backend.
            threads: Threads it runs on.
            kept: What has been measured, one line for each probe and round; a day old, it is forgotten.
            report: Told of progress.
        """
        self._backend, self._threads, self._kept, self._report = backend, threads, kept, report
        kept.parent.mkdir(parents=True, exist_ok=True)
        if kept.exists() and time.time() - kept.stat().st_mtime > _DAY_S:
            kept.unlink()
        self.taken = 0.0

    def run(self, number: int, names: Sequence[str], *, total: int) -> None:
        """Time probes in one round; a probe that ends the process is noted and passed over."""
        while True:
            lines = self._lines()
            done = {line["name"] for line in lines if line["round"] == number}
            done |= {line["name"] for line in lines if "failed" in line}
            left = [name for name in names if name not in done]
            if not left:
                return
            before = sum(1 for line in lines if line["round"] != number) + len(done)
            asked = Microbenchmarks(self._backend, self._threads, tuple(left), number, self._kept)
            outcome = run_step(
                asked,
                environment=_variables(self._backend, self._threads),
                time_limit_s=_LIMIT_S.get(self._backend, 600.0),
                report=None if self._report is None else self._report_from(before, total),
            )
            if outcome.answer is not None:
                self.taken = max(self.taken, outcome.answer.taken)
                continue
            done = {line["name"] for line in self._lines() if line["round"] == number}
            culprit = next((name for name in left if name not in done), None)
            if culprit is not None:
                _append(self._kept, {"name": culprit, "round": number, "failed": outcome.reason})

    def _report_from(self, before: int, total: int) -> Report:
        report = self._report
        assert report is not None
        return lambda what, done, _: report(what, min(before + done, total), total)

    def unsure(self, names: Sequence[str]) -> list[str]:
        """Return the probes but those of which bursts agreed, at full speed: another round says nothing new of them."""
        sure = {line["name"] for line in self._lines() if line.get("agreed")}
        return [name for name in names if name not in sure]

    def doubtful(self, names: Sequence[str]) -> list[str]:
        """Return the probes whose rounds disagree, or whose difference is not above zero."""
        found = self.collected(names)[0]
        known = {probe.name: probe for probe in probes()}
        return [
            name
            for name, timed in found.items()
            if timed.copy_s <= 0
            or timed.spread > STEADY
            or (known[name].role != "sample" and timed.spread > STEADY / 2)
        ]

    def collected(self, names: Sequence[str]) -> tuple[dict[str, ProbeTimes], dict[str, str]]:
        """Return the least times of all rounds, and the reasons of failures."""
        lines = self._lines()
        copies = {probe.name: probe.copies for probe in probes()}
        usual = self._usual_s(lines)
        found: dict[str, ProbeTimes] = {}
        for name in names:
            own = [line for line in lines if line["name"] == name and "one" in line]
            if not own:
                continue
            fast = [line for line in own if line["reference"] < SLOWED * usual]
            used = fast or [_at_full_speed(min(own, key=lambda line: line["reference"]), usual)]
            # A slowed machine takes longer: what it took is never less than at full speed.
            one, many = (min(line[part] for line in (*used, *own)) for part in ("one", "many"))
            spread = _distance_apart([line["many"] - line["one"] for line in used], many - one)
            if len(used) == 1:
                spread = max(spread, AGREE if used[0].get("agreed") else _SINGLE_SPREAD)
            if not fast:
                spread = max(spread, _SLOWED_SPREAD)
            found[name] = ProbeTimes(one, many, copies[name], spread)
        failed = {line["name"]: line["failed"] for line in lines if "failed" in line}
        return found, {name: why for name, why in failed.items() if name not in found}

    @property
    def drift(self) -> float:
        """Time of the reference over its usual one, beside the slowest quarter of what was taken."""
        lines = self._lines()
        found = [line["reference"] for line in lines if "one" in line]
        return float(np.quantile(found, 0.75) / self._usual_s(lines)) if found else 1.0

    def _usual_s(self, lines: Sequence[Mapping[str, Any]]) -> float:
        found = sorted(line["reference"] for line in lines if "one" in line)
        return usual_s(found or [1.0], self._threads)

    def _lines(self) -> list[dict[str, Any]]:
        if not self._kept.exists():
            return []
        found: list[dict[str, Any]] = []
        for line in self._kept.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                # The line that was being written when the process was ended.
                continue
        return found


def _distance_apart(differences: Sequence[float], taken: float) -> float:
    """Return how far the two least differences of rounds, and the one that is taken, lie apart, as a logarithm."""
    near = [*sorted(differences)[:2], taken]
    return float(np.log(max(near) / min(near))) if min(near) > 0 else 1.0


def _at_full_speed(line: Mapping[str, Any], usual: float) -> dict[str, Any]:
    """Return times as they were beside a reference of its usual time: what slows it slows all work about as much."""
    factor = (usual / line["reference"]) ** _ALIKE_SLOWED
    return {**line, "one": line["one"] * factor, "many": line["many"] * factor}


def _variables(backend: str, threads: int) -> Mapping[str, str]:
    job = RunRequest("probe", backend, threads=threads)
    return dict(backends.get(backend).environment(job))


def _append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def time_probes(asked: Microbenchmarks, report: Report) -> Share:
    """Time probes in this process, one line of a file for each.

    Args:
        asked: Which, with what, and where to.
        report: Told of each probe.

    Returns:
        What others took of the CPU time meanwhile.
    """
    known = {probe.name: probe for probe in probes()}
    sampling = SAMPLING_S.get(asked.backend, 0.05)
    busy = environment.Busy.now()
    steadiness = watch(asked.backend, asked.threads, _PATIENCE_S)
    for place, name in enumerate(asked.names):
        report(name, place, len(asked.names))
        times = _time_probe(asked, known[name], sampling, steadiness)
        _append(asked.into, {"name": name, "round": asked.round, **times})
    return Share(environment.share_taken_since(busy))


def watch(backend: str, threads: int, patience_s: float) -> Steadiness:
    """Return what tells whether the machine is slowed, by the reference probe in this process.

    Args:
        backend: Name of a measurement backend.
        threads: Threads it runs on; times are CPU time with one thread and wall time with several.
        patience_s: Seconds that may be lost to a slowed machine.
    """
    probe = next(probe for probe in probes() if probe.name == REFERENCE)
    clock = time.process_time if threads == 1 else time.perf_counter
    return Steadiness(_step(backend, threads, probe, 1), clock, patience_s, threads)


def _time_probe(
    asked: Microbenchmarks, probe: Probe, sampling: float, steadiness: Steadiness
) -> dict[str, Any]:
    try:
        steps = [
            _step(asked.backend, asked.threads, probe, copies) for copies in (1, 1 + probe.copies)
        ]
        found = steadiness.sample(steps, sampling, least_runs=_LEAST_RUNS, longest_s=_LONGEST_S)
    except Exception as error:
        # Whatever a runtime raises for an operator that it lacks: the kind is left out, and said so.
        return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    one, many = found.seconds
    return {"one": one, "many": many, "reference": found.reference_s, "agreed": found.agreed}


def _step(name: str, threads: int, probe: Probe, copies: int) -> Callable[[], None]:
    """Return what runs a probe of one length once, loaded and bound to random inputs, warm."""
    backend = backends.get(name)
    content = probe.build(copies)
    with temporary_folder() as folder:
        path = folder / "probe.onnx"
        path.write_bytes(content)
        request = Request(RunRequest("probe", name, threads=threads, batch=1), path, folder)
        as_it_is = backend.capabilities.loads_models
        made = Artifact(path) if as_it_is else backend.prepare(request, tell_nobody)
        session: Session = backend.load(request, made)
    random = np.random.default_rng(1)
    session.bind(
        {
            name: random.standard_normal(shape).astype(np.float32)
            for name, shape in probe_inputs(content).items()
        }
    )
    for _ in range(_WARM_UP):
        session.step()
    return session.step


def probe_inputs(content: bytes) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of a probe's inputs, all of them in single precision."""
    import onnx

    graph = onnx.load_from_string(content).graph
    return {
        entry.name: tuple(size.dim_value for size in entry.type.tensor_type.shape.dim)
        for entry in graph.input
    }
