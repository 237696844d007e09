"""The process of one step: reads a request from a folder, does it, and writes the result there.

`roofline.validate.measuring.process` starts it, with its folder and its parent's process id as arguments.
Whatever happens here, a crash included, is one failed record there.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from roofline.decoding.request import Phase
from roofline.errors import RooflineError
from roofline.progress import Report as Progress
from roofline.reading import JsonObject
from roofline.validate.measuring import environment, steps
from roofline.validate.measuring.backend import (
    AcceleratedSession,
    Artifact,
    DistantSession,
    KernelTimer,
    Request,
    RunError,
    Samples,
    Session,
    backends,
)
from roofline.validate.measuring.decoder_model import Stage
from roofline.validate.measuring.output_check import coarsest, compare_outputs
from roofline.validate.measuring.runnable_model import (
    Runnable,
    load_arrays,
    make_runnable,
    save_arrays,
)
from roofline.validate.measuring.steps import Action, RaisedError, Report
from roofline.validate.records.failure import Failure, FailureKind, of_disk
from roofline.validate.records.plain import from_plain, to_json, to_plain
from roofline.validate.records.record import Check, KernelTime, Status
from roofline.validate.records.request import SPREAD_S, Protocol
from roofline.writing import write_whole

_MAGNITUDE = "magnitude"
"""Name of the reference's largest intermediate value beside its outputs."""
_DATATYPES = "datatypes"
"""Name of the datatypes that the file's own products multiply."""

MINIMUM_RUNS = 3
"""Timed runs that are taken even when the sampling time is up."""


def main(folder: Path) -> None:
    """Do what ``request.json`` asks and write ``result.json``."""
    document = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    # Standard output carries progress alone; whatever libraries print goes to the log.
    channel = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def report(what: str, done: int, total: int) -> None:
        channel.write(json.dumps([what, done, total]) + "\n")

    write_whole(folder / "result.json", to_json(_perform(document, report)).encode())
    sys.stderr.flush()
    # Runtimes may hang or crash while they are torn down; the result is safe, so none of that runs.
    os._exit(0)


def _perform(document: JsonObject, progress: Progress) -> Report:
    """Do what is asked, and return what came of it."""
    try:
        kind, act = _ACTIONS[document["action"]]
        return Report(
            Status.OK, answer=to_plain(act(from_plain(kind, document["request"]), progress))
        )
    except RooflineError as error:
        raised = RaisedError(type(error).__name__, *error.texts)
        return Report(Status.FAILED, Failure(_kind(error), str(error)), raised=raised)
    except MemoryError:
        detail = "the process could not get the memory it asked for"
        return Report(Status.OUT_OF_MEMORY, Failure(FailureKind.MEMORY, detail))
    except Exception as error:
        detail = f"{type(error).__name__}: {_first_line(error)}"
        return Report(Status.FAILED, Failure(_kind(error), detail))


def _kind(error: Exception) -> FailureKind:
    if isinstance(error, RunError):
        return error.kind
    return FailureKind.DISK_FULL if of_disk(error) else FailureKind.ERROR


def _make(asked: steps.Make, report: Progress) -> Runnable:
    report("reading the model", 0, 1)
    stage = Stage(Phase(asked.phase), asked.context) if asked.phase else None
    return make_runnable(
        asked.model, binding=asked.binding, stage=stage, seed=asked.seed, folder=asked.folder
    )


def _compress(asked: steps.Compress, report: Progress) -> steps.WrittenFile:
    from roofline.validate.measuring.compressed_model import write

    report("compressing", 0, 1)
    return steps.WrittenFile(write(asked.model, asked.compression, asked.folder, seed=asked.seed))


def _refer(asked: steps.Refer, report: Progress) -> steps.WrittenFile:
    from roofline.validate.backends.onnxruntime import reference

    report("computing the reference", 0, 1)
    found = reference(asked.model, load_arrays(asked.inputs))
    arrays = {f"{number:04d}": output for number, output in enumerate(found.outputs)}
    facts = {_MAGNITUDE: np.array(found.magnitude), _DATATYPES: np.array(found.datatypes)}
    save_arrays(asked.outputs, {**arrays, **facts})
    return steps.WrittenFile(asked.outputs)


def _prepare(asked: steps.Prepare, report: Progress) -> Artifact:
    return backends.get(asked.request.job.backend).prepare(asked.request, report)


def _run(asked: steps.Run, report: Progress) -> steps.RunResult:
    report("running", 0, 1)
    request, artifact = asked.request, asked.artifact
    backend = backends.get(request.job.backend)
    session = backend.load(request, artifact)
    session.bind(load_arrays(asked.inputs))
    load = environment.load_average()
    begin = time.perf_counter()
    session.step()
    first = time.perf_counter() - begin
    kinds = (artifact.executed.datatype or request.job.datatype, *artifact.executed.others)
    check = _check(session, asked, kinds)
    right, taken = check.passed is not False, Samples()
    if isinstance(session, DistantSession):
        if right:
            report("timing", 0, 1)
            taken = session.sample(request.job.protocol)
        there = session.environment(backend.versions())
        return steps.RunResult(first, check, there, session.peak_rss_bytes(), taken)
    if right:
        taken = sample(session, request.job.protocol, first, report)
    here = environment.describe(backend.versions(), taken.shares, load)
    if isinstance(session, AcceleratedSession):
        here = replace(here, accelerator=session.accelerator)
    return steps.RunResult(
        first,
        check,
        here,
        environment.peak_rss_bytes(),
        taken,
        tuple(_kernel_times(session, request)) if right else (),
    )


def _kernel_times(session: Session, asked: Request) -> Sequence[KernelTime]:
    """Time single kernels after everything else, so that it disturbs nothing, and name their layers."""
    from roofline.validate.measuring.kernel_times import PER_LAYER, map_to_layers

    if not isinstance(session, KernelTimer) or not asked.job.options.get(PER_LAYER):
        return ()
    from roofline import load

    network = load(str(asked.model), values=asked.job.values)
    return map_to_layers(session.kernel_times(), network)


def _check(session: Session, asked: steps.Run, executed: Iterable[str]) -> Check:
    if asked.reference is None:
        return Check(why=asked.reference_note)
    kept = load_arrays(asked.reference)
    magnitude = float(kept.pop(_MAGNITUDE))
    datatype = coarsest(executed, map(str, kept.pop(_DATATYPES)))
    wanted = [kept[name] for name in sorted(kept)]
    return compare_outputs(
        session.outputs(), wanted, by=asked.reference_note, datatype=datatype, magnitude=magnitude
    )


def sample(session: Session, protocol: Protocol, first: float, report: Progress) -> Samples:
    """Time a session by its protocol.

    Runs that would be done sooner are spread evenly over `SPREAD_S`: between two timed ones the session runs untimed,
    so that what it keeps in caches stays there.

    Args:
        session: Bound to its inputs, and run once.
        protocol: How many warm-up and timed runs, and for how long.
        first: Seconds the first run took; it counts as one of the warm-up runs.
        report: Told how far it is, about twenty times.

    Returns:
        The samples, wall and CPU time from the first to the last, and how busy the machine was with other work.
    """
    for _ in range(protocol.warmup - 1):
        session.step()
    clock = time.perf_counter
    step = session.step
    samples: list[float] = []
    apart = min(SPREAD_S, protocol.sampling_s) / protocol.runs
    every = max(1, int(0.2 / max(first, apart, 1e-9)))
    gc.collect()
    gc.disable()
    busy, cpu = environment.Busy.now(), time.process_time()
    start = clock()
    while len(samples) < protocol.runs:
        begin = clock()
        step()
        end = clock()
        samples.append(end - begin)
        if end - start > protocol.sampling_s and len(samples) >= MINIMUM_RUNS:
            break
        if len(samples) % every == 0:
            report("timing", len(samples), protocol.runs)
        while clock() - start < len(samples) * apart:
            step()
    wall, cpu = clock() - start, time.process_time() - cpu
    after = environment.Busy.now()
    gc.enable()
    shares = after.shares_since(busy) if busy is not None and after is not None else None
    return Samples(tuple(samples), wall, cpu, shares)


def _probe(asked: steps.Probe, report: Progress) -> steps.Rates:
    from roofline.validate.calibration import library_probe as probe

    threads, seconds = asked.threads, asked.seconds
    report(asked.kind, 0, 1)
    busy = environment.Busy.now()
    if asked.kind == "streams":
        found = dict(probe.bandwidths(threads, seconds / 2))
    elif asked.kind == "peaks":
        from roofline.validate.calibration.fma_probe import peaks

        found = dict(peaks(threads, seconds))
    else:
        found = {
            name: probe.integer_product(threads, seconds)
            if name == "int8"
            else probe.matrix_product(seconds, name)
            for name in asked.datatypes
        }
    return steps.Rates(found, environment.share_taken_since(busy))


def _microbenchmarks(asked: steps.Microbenchmarks, report: Progress) -> steps.Share:
    from roofline.validate.calibration.probe_timing import time_probes

    return time_probes(asked, report)


def _probe_programs(asked: steps.ProbePrograms, report: Progress) -> steps.Share:
    from roofline.validate.calibration.probe_timing import compile_probes

    return compile_probes(asked, report)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TVM puts its trace before the message, ONNX Runtime the message first.
    named = [line for line in lines if "Error" in line]
    return (named[-1] if named else lines[0] if lines else type(error).__name__)[:500]


_ACTIONS: Mapping[str, tuple[type[Action[Any]], Callable[[Any, Progress], object]]] = {
    kind.title(): (kind, act)
    for kind, act in (
        (steps.Compress, _compress),
        (steps.Make, _make),
        (steps.Microbenchmarks, _microbenchmarks),
        (steps.ProbePrograms, _probe_programs),
        (steps.Refer, _refer),
        (steps.Prepare, _prepare),
        (steps.Run, _run),
        (steps.Probe, _probe),
    )
}

if __name__ == "__main__":
    environment.end_with_parent(int(sys.argv[2]))
    main(Path(sys.argv[1]))
