"""The rounds of a calibration: which microbenchmarks are timed, kept until all are, and what they say together.

What others take only ever adds, and comes and goes several times a second: each probe is timed in short bursts, passes
over many probes apart. All are timed once more at the end where there is time, those first whose bursts disagree.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roofline.errors import MeasurementError
from roofline.number_format import plural
from roofline.progress import Report
from roofline.user_folders import cache_folder
from roofline.validate.calibration.probe_timing import BUILT, LEAST_RUNS, compiles
from roofline.validate.calibration.probes import probes_of
from roofline.validate.calibration.steadiness import AGREE, ENOUGH, Burst, summarize_bursts
from roofline.validate.measuring import environment
from roofline.validate.measuring.backend import backends
from roofline.validate.measuring.process import run_step
from roofline.validate.measuring.steps import Microbenchmarks, ProbePrograms
from roofline.validate.records.request import RunRequest

STEADY = 0.06
"""Deviation of a probe's time, in the logarithm, from which it is timed again."""
_TOGETHER = {"onnxruntime": 24, "torch": 24, "tvm": 24}
"""Probes that are loaded at a time; fewer of backends that are not known to load them at once."""
_BUILT_TOGETHER, _BUILDING_S = 32, 2400.0
"""Probes that one process compiles, and the seconds after which it is ended."""
_UNTIL_S = {"onnxruntime": 140.0}
"""Seconds after which nothing is timed again."""
_LIMIT_S = {"tvm": 7200.0}
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class ProbeTimes:
    """What was measured of one probe."""

    one_s: float
    """Seconds of the model with one copy."""
    many_s: float
    """Seconds of the model with all copies."""
    copies: int
    """Copies in the difference of the two."""
    spread: float = 0.0
    """Deviation of the logarithm of the difference; more where it was only seen on a slowed machine."""

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
    target: str = ""
    """What programs were compiled for; empty of a backend that takes models as they are."""

    @property
    def protocol(self) -> str:
        """How times were taken, in words."""
        clock = "CPU time of the process" if self.threads == 1 else "wall time"
        return (
            f"{clock}, low quantile of bursts of runs while the machine was not slowed, until {ENOUGH} lie within "
            f"{AGREE:.0%} or for a while, at least {LEAST_RUNS} runs; "
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
    names = [probe.name for probe in probes_of(backend)]
    rounds = Rounds(backend, threads, kept, report)
    rounds.build(names)
    rounds.run(0, names, total=len(names))
    rounds.repeat(names, time.monotonic() - begin)
    of, failed = rounds.collect(names)
    if not of:
        reason = next(iter(failed.values()), "nothing was measured")
        raise MeasurementError(f"no microbenchmark could be run with {backend}: {reason}")
    return Times(
        backend,
        version,
        threads,
        of,
        failed,
        rounds.drift,
        rounds.taken,
        time.monotonic() - begin,
        rounds.target,
    )


def forget(times: Times) -> None:
    """Remove what was kept of a calibration: it is complete, and written."""
    kept = kept_file(times.backend, times.version, times.threads)
    kept.unlink(missing_ok=True)
    shutil.rmtree(kept.with_suffix(""), ignore_errors=True)


def kept_file(backend: str, version: str, threads: int) -> Path:
    """Return the file that holds what has been measured until a calibration is complete."""
    probed = "".join(f"{probe.name}:{probe.copies};" for probe in probes_of(backend))
    setup = f"{environment.cpu_name()}|{environment.available_cores()}|{probed}"
    digest = hashlib.sha256(setup.encode()).hexdigest()[:12]
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
        self.backend, self._threads, self._kept, self._report = backend, threads, kept, report
        kept.parent.mkdir(parents=True, exist_ok=True)
        if kept.exists() and time.time() - kept.stat().st_mtime > _DAY_S:
            kept.unlink()
        self.taken = 0.0
        self.programs = kept.with_suffix("") if compiles(backend) else None

    def build(self, names: Sequence[str]) -> None:
        """Compile the probes of a backend that compiles, before any is timed; one that cannot be is passed over."""
        while self.programs is not None:
            done = {line["name"] for line in self._lines() if line["round"] == BUILT}
            left = [name for name in names if name not in done]
            if not left:
                return
            asked = ProbePrograms(
                self.backend, self._threads, tuple(left[:_BUILT_TOGETHER]), self._kept, self.programs
            )  # fmt: skip
            outcome = run_step(
                asked,
                environment=_variables(self.backend, self._threads),
                time_limit_s=_BUILDING_S,
                report=self._report_from(len(done), len(names)),
            )
            done |= {line["name"] for line in self._lines() if line["round"] == BUILT}
            culprit = next((name for name in asked.names if name not in done), None)
            if culprit is not None:
                _append(self._kept, {"name": culprit, "round": BUILT, "failed": outcome.reason})

    def run(self, number: int, names: Sequence[str], *, total: int) -> None:
        """Time probes in one round; a probe that ends the process is noted and passed over."""
        together = _TOGETHER.get(self.backend, 4)
        while True:
            lines = self._lines()
            done = {line["name"] for line in lines if line["round"] == number}
            done |= {line["name"] for line in lines if "failed" in line}
            left = [name for name in names if name not in done]
            if not left:
                return
            usual = self._usual_s(lines) if lines else 0.0
            asked = Microbenchmarks(
                self.backend, self._threads, tuple(left), number, self._kept, together, usual,
                self.programs,
            )  # fmt: skip
            outcome = run_step(
                asked,
                environment=_variables(self.backend, self._threads),
                time_limit_s=_LIMIT_S.get(self.backend, 600.0),
                report=self._report_from(len(names) - len(left), total),
            )
            if outcome.answer is not None:
                self.taken = max(self.taken, outcome.answer.taken)
                continue
            if together > 1:
                # One of those that were loaded together: alone it is found out.
                together = 1
                continue
            done = {line["name"] for line in self._lines() if line["round"] == number}
            culprit = next((name for name in left if name not in done), None)
            if culprit is not None:
                _append(self._kept, {"name": culprit, "round": number, "failed": outcome.reason})
            together = _TOGETHER.get(self.backend, 4)

    def _report_from(self, before: int, total: int) -> Report | None:
        report = self._report
        return (
            None
            if report is None
            else lambda what, done, _: report(what, min(before + done, total), total)
        )

    def doubtful(self, names: Sequence[str]) -> list[str]:
        """Return the probes whose bursts disagree, those first that do so most: what all rests on before samples."""
        found = self.collect(names)[0]
        roles = {probe.name: probe.role for probe in probes_of(self.backend)}

        def doubt(name: str) -> float:
            timed = found[name]
            own = math.inf if timed.copy_s <= 0 else timed.spread
            return own if roles[name] == "sample" else 2 * own

        return sorted((name for name in found if doubt(name) > STEADY), key=doubt, reverse=True)

    def repeat(self, names: Sequence[str], took_s: float) -> None:
        """Time probes once more: those whose bursts disagree first, then the longest, as many as there is time for.

        Bursts of a probe lie seconds apart. A neighbour that fills the caches that cores share, or the memory, for a
        minute slows all of them alike, and no fixed work of some microseconds shows it: those go through most bytes
        that run longest.

        Args:
            names: Of all probes.
            took_s: Seconds that the first round of them took.
        """
        doubtful = self.doubtful(names)
        limit = _UNTIL_S.get(self.backend)
        if limit is None:
            self.run(1, doubtful, total=len(doubtful))
            return
        found = self.collect(names)[0]
        sure = sorted(set(found) - set(doubtful), key=lambda name: found[name].many_s)
        again = [*doubtful, *reversed(sure)]
        some = int(min(max(limit - took_s, 0.0) / took_s * len(names), len(again)))
        self.run(1, again[:some], total=some)

    def collect(self, names: Sequence[str]) -> tuple[dict[str, ProbeTimes], dict[str, str]]:
        """Return what the bursts of all rounds say together, and the reasons of failures."""
        lines = self._lines()
        copies = {probe.name: probe.copies for probe in probes_of(self.backend)}
        usual = self._usual_s(lines)
        bursts: dict[str, list[Burst]] = {}
        for line in lines:
            for seconds, beside in line.get("bursts", ()):
                bursts.setdefault(line["name"], []).append(Burst(tuple(seconds), tuple(beside)))
        found: dict[str, ProbeTimes] = {}
        for name in names:
            if name in bursts:
                times = summarize_bursts(bursts[name], usual)
                short, long = times.seconds
                found[name] = ProbeTimes(short, long, copies[name], times.spread)
        failed = {line["name"]: line["failed"] for line in lines if "failed" in line}
        return found, {name: why for name, why in failed.items() if name not in found}

    @property
    def target(self) -> str:
        """What programs of probes were compiled for; empty where none was."""
        return next((line["target"] for line in self._lines() if "target" in line), "")

    @property
    def drift(self) -> float:
        """Time of the reference over its usual one, beside the slowest quarter of what was taken."""
        lines = self._lines()
        found = [max(beside) for line in lines for _, beside in line.get("bursts", ())]
        return float(np.quantile(found, 0.75) / self._usual_s(lines)) if found else 1.0

    def _usual_s(self, lines: Sequence[Mapping[str, Any]]) -> float:
        return min((line["usual"] for line in lines if "usual" in line), default=1.0)

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


def _variables(backend: str, threads: int) -> Mapping[str, str]:
    job = RunRequest("probe", backend, threads=threads)
    return dict(backends.get(backend).environment(job))


def _append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
