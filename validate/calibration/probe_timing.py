"""Times microbenchmarks with a backend, in a process of their own: many are loaded, and timed in turn."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from roofline.progress import Report, tell_nobody
from roofline.temporary import temporary_folder
from roofline.validate.calibration.probes import Probe, probes_of
from roofline.validate.calibration.probes.graph import normal
from roofline.validate.calibration.steadiness import Steadiness, Step
from roofline.validate.measuring import environment
from roofline.validate.measuring.backend import Artifact, Request, backends
from roofline.validate.measuring.steps import Microbenchmarks, ProbePrograms, Share
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.tvm.tuning.program import FEW_TILES

REFERENCE = "matmul 256x64x64"
"""The probe of some microseconds that is repeated throughout: it tells whether the machine is slowed."""
LEAST_RUNS = 5
"""Runs of each model where bursts do not agree."""

_SAMPLING_S = {"onnxruntime": 0.014, "torch": 0.014, "tvm": 0.03}
"""Seconds for which a model of a probe is run in all where bursts do not agree."""
_PATIENCE_S = 15.0
"""Seconds that each process may lose to a slowed machine before it takes what it gets."""
_LONGEST_S = 0.5
"""Seconds of one probe after which nothing is taken again."""
_WARM_UP = 2
BUILT = -1
"""The round in which probes are compiled, before any is timed."""
_TRIALS = 4
"""Schedules tried of a kernel that is not on blocks."""


def time_probes(asked: Microbenchmarks, report: Report) -> Share:
    """Time probes in this process, one line of a file for each.

    Args:
        asked: Which, with what, and where to.
        report: Told of each probe.

    Returns:
        What others took of the CPU time meanwhile.
    """
    known = {probe.name: probe for probe in probes_of(asked.backend)}
    busy = environment.Busy.now()
    steadiness = watch(asked.backend, asked.threads, _PATIENCE_S, asked.usual_s, asked.programs)
    groups = max(round(len(asked.names) / asked.together), 1)
    done = 0
    # Kinds follow one another in the list: a group holds some of each, so that a slow minute meets no kind alone.
    for number in range(groups):
        group = [known[name] for name in asked.names[number::groups]]
        for place, probe in enumerate(group):
            report(probe.name, done + place, len(asked.names))
        lines = _time_group(asked, group, steadiness)
        with asked.into.open("a", encoding="utf-8") as file:
            for line in lines:
                whole = {**line, "round": asked.round, "usual": steadiness.usual_s}
                file.write(json.dumps(whole) + "\n")
        done += len(group)
    return Share(environment.share_taken_since(busy))


def compile_probes(asked: ProbePrograms, report: Report) -> Share:
    """Compile both lengths of probes in this process, one line of a file for each: how long it took, or what failed.

    Args:
        asked: Which, with what, and where to.
        report: Told of each probe.

    Returns:
        What others took of the CPU time meanwhile.
    """
    known = {probe.name: probe for probe in probes_of(asked.backend)}
    busy = environment.Busy.now()
    for place, name in enumerate(asked.names):
        report(name, place, len(asked.names))
        probe, begin = known[name], time.monotonic()
        line: dict[str, Any] = {"name": name, "round": BUILT}
        try:
            for copies in _lengths(probe):
                made = _program(asked.backend, asked.threads, probe.build(copies), asked.programs)
                line["target"] = made[1].compiled_for
        except Exception as error:
            line["failed"] = _reason(error)
        line["took"] = time.monotonic() - begin
        with asked.into.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return Share(environment.share_taken_since(busy))


def watch(
    backend: str,
    threads: int,
    patience_s: float,
    usual_s: float = 0.0,
    programs: Path | None = None,
) -> Steadiness:
    """Return what tells whether the machine is slowed, by the reference probe in this process.

    Args:
        backend: Name of a measurement backend.
        threads: Threads it runs on; times are CPU time with one thread and wall time with several.
        patience_s: Seconds that may be lost to a slowed machine.
        usual_s: Seconds that the reference usually took before; 0 where it was never watched.
        programs: Where a backend that compiles keeps the programs of probes; None where nothing is kept.
    """
    probe = next(probe for probe in probes_of(backend) if probe.name == REFERENCE)
    clock = time.process_time if threads == 1 else time.perf_counter
    return Steadiness(
        _step(backend, threads, probe, 1, programs), clock, patience_s, usual_s or np.inf
    )


def _time_group(
    asked: Microbenchmarks, group: Sequence[Probe], steadiness: Steadiness
) -> list[dict[str, object]]:
    """Return a line for each probe: its bursts, or why it could not be built."""
    failed: list[dict[str, object]] = []
    works: dict[str, list[Step]] = {}
    for probe in group:
        try:
            works[probe.name] = [
                _step(asked.backend, asked.threads, probe, copies, asked.programs)
                for copies in _lengths(probe)
            ]
        except Exception as error:
            # Whatever a runtime raises for an operator that it lacks: the kind is left out, and said so.
            failed.append({"name": probe.name, "failed": _reason(error)})
    bursts = steadiness.bursts(
        list(works.values()), _SAMPLING_S.get(asked.backend, 0.05),
        least_runs=LEAST_RUNS, longest_s=_LONGEST_S,
    )  # fmt: skip
    return failed + [
        {"name": name, "bursts": [[burst.seconds, burst.reference_s] for burst in taken]}
        for name, taken in zip(works, bursts, strict=True)
    ]


def _lengths(probe: Probe) -> tuple[int, int]:
    """Return the copies of the two models of a probe."""
    return 1, 1 + probe.copies


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _step(name: str, threads: int, probe: Probe, copies: int, programs: Path | None) -> Step:
    """Return what runs a probe of one length once, loaded and bound to random inputs, warm."""
    content = probe.build(copies)
    with temporary_folder() as folder:
        session = backends.get(name).load(*_program(name, threads, content, programs or folder))
    session.bind({name: normal(shape) for name, shape in probe_inputs(content).items()})
    for _ in range(_WARM_UP):
        session.step()
    return session.step


def _program(name: str, threads: int, content: bytes, folder: Path) -> tuple[Request, Artifact]:
    """Return what is loaded to run a model, made where it is not among what the folder keeps."""
    backend = backends.get(name)
    folder.mkdir(parents=True, exist_ok=True)
    # Of this process alone: another may be compiling other probes.
    path = folder / f"probe-{os.getpid()}.onnx"
    path.write_bytes(content)
    job = run_request("probe", name, threads, batch=1)
    request = Request(job, path, folder, fresh=False, in_turn=True)
    as_it_is = backend.capabilities.loads_models
    return request, Artifact(path) if as_it_is else backend.prepare(request, tell_nobody)


def run_request(network: str, backend: str, threads: int, batch: int = 0) -> RunRequest:
    """Return the request of a run as the model is written; a backend that compiles is told its operands' datatype.

    One that seeks schedules does so quickly, for networks and probes alike: the best of a few tiles of each kernel on
    blocks, and of a few schedules of any other.
    """
    asked = RunRequest(network, backend, datatype="fp32", threads=threads, batch=batch)
    if not compiles(backend):
        return asked
    return replace(asked, tuning=Tuning.TUNED, trials=_TRIALS, options={FEW_TILES: True})


def compiles(backend: str) -> bool:
    """Return whether a backend seeks schedules, and is so slow to load a model that programs are made beforehand."""
    return backend in backends and Tuning.TUNED in backends.get(backend).capabilities.tunings


def how_programs_are_made(backend: str, threads: int) -> str:
    """Return how the programs of a backend that compiles are made, in words; empty of others.

    Networks that are estimated from its profile are to be made so.
    """
    if not compiles(backend):
        return ""
    asked = run_request("probe", backend, threads)
    return (
        f"{asked.tuning}: {asked.algorithm} algorithms, the best of a few tiles of each kernel on blocks, the best of "
        f"{asked.trials} schedules of others"
    )


def probe_inputs(content: bytes) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of a probe's inputs, all of them in single precision."""
    import onnx

    graph = onnx.load_from_string(content).graph
    return {
        entry.name: tuple(size.dim_value for size in entry.type.tensor_type.shape.dim)
        for entry in graph.input
    }
