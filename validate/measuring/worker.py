"""The process of one step: reads a request from a folder, does it, and writes the result there.

`roofline.validate.measuring.process` starts it, with its folder and its parent's process id as arguments.
Whatever happens here, a crash included, is one failed record there.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from roofline.errors import RooflineError
from roofline.graph.reading.declared import Request as Binding
from roofline.validate.measuring import environment
from roofline.validate.measuring.backend import (
    Artifact,
    Backend,
    DistantSession,
    KernelTimer,
    Report,
    Request,
    RunError,
    Session,
    backends,
)
from roofline.validate.measuring.output_check import coarsest, compare_outputs
from roofline.validate.measuring.runnable_model import load_arrays, make_runnable, save_arrays
from roofline.validate.records.compression import Compression
from roofline.validate.records.failure import Failure, FailureKind, of_disk
from roofline.validate.records.plain import from_plain, to_plain
from roofline.validate.records.record import Check, Status
from roofline.validate.records.request import Protocol, RunRequest
from roofline.writing import write_whole

_MAGNITUDE = "magnitude"
"""Name of the reference's largest intermediate value beside its outputs."""
_DATATYPES = "datatypes"
"""Name of the datatypes that the file's own products multiply."""

MINIMUM_RUNS = 3
"""Timed runs that are taken even when the sampling time is up."""


def main(folder: Path) -> None:
    """Do what ``request.json`` asks and write ``result.json``."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    # Standard output carries progress alone; whatever libraries print goes to the log.
    channel = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def report(what: str, done: int, total: int) -> None:
        channel.write(json.dumps([what, done, total]) + "\n")

    status, failure, result = Status.OK, None, None
    try:
        result = _ACTIONS[request["action"]](request, report)
    except RooflineError as error:
        status, failure = Status.FAILED, Failure(_kind(error), str(error))
        result = {"error": type(error).__name__, "message": error.message, "repair": error.repair}
    except MemoryError:
        detail = "the process could not get the memory it asked for"
        status, failure = Status.OUT_OF_MEMORY, Failure(FailureKind.MEMORY, detail)
    except Exception as error:
        detail = f"{type(error).__name__}: {_first_line(error)}"
        status, failure = Status.FAILED, Failure(_kind(error), detail)
    told = None if failure is None else to_plain(failure)
    document = {"status": status, "failure": told, "result": result}
    write_whole(folder / "result.json", json.dumps(document).encode())
    sys.stderr.flush()
    # Runtimes may hang or crash while they are torn down; the result is safe, so none of that runs.
    os._exit(0)


def _kind(error: Exception) -> FailureKind:
    if isinstance(error, RunError):
        return error.kind
    return FailureKind.DISK_FULL if of_disk(error) else FailureKind.ERROR


def _make(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    report("reading the model", 0, 1)
    made = make_runnable(
        request["model"],
        binding=Binding(request["batch"], request["dims"], request["inputs"], request["values"]),
        seed=request["seed"],
        folder=Path(request["folder"]),
    )
    return {**asdict(made), "model": str(made.model), "inputs": str(made.inputs)}


def _compress(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    from roofline.validate.measuring.compressed_model import write

    report("compressing", 0, 1)
    compression = from_plain(Compression, request["compression"])
    folder, seed = Path(request["folder"]), request["seed"]
    return {"model": str(write(request["model"], compression, folder, seed=seed))}


def _reference(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    from roofline.validate.backends.onnxruntime import reference

    report("computing the reference", 0, 1)
    found = reference(Path(request["model"]), load_arrays(Path(request["inputs"])))
    arrays = {f"{number:04d}": output for number, output in enumerate(found.outputs)}
    facts = {_MAGNITUDE: np.array(found.magnitude), _DATATYPES: np.array(found.datatypes)}
    save_arrays(Path(request["reference"]), {**arrays, **facts})
    return {}


def _prepare(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    backend, asked = _asked(request)
    made = backend.prepare(asked, report)
    return to_plain(made)


def _run(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    report("running", 0, 1)
    backend, asked = _asked(request)
    artifact = from_plain(Artifact, request["artifact"])
    session = backend.load(asked, artifact)
    session.bind(load_arrays(Path(request["inputs"])))
    load = environment.load_average()
    begin = time.perf_counter()
    session.step()
    first = time.perf_counter() - begin
    check = _checked(session, request, artifact.executed.datatype or asked.job.datatype)
    timed: dict[str, Any] = {}
    if isinstance(session, DistantSession):
        if check.passed is not False:
            report("timing", 0, 1)
            timed = dict(session.sample(asked.job.protocol))
        return {
            "first_s": first,
            "check": asdict(check),
            "environment": asdict(session.environment(backend.versions())),
            "peak_rss_bytes": session.peak_rss_bytes(),
            **timed,
        }
    if check.passed is not False:
        timed = sample(session, asked.job.protocol, first, report)
    shares = timed.pop("shares", None)
    return {
        "first_s": first,
        "check": asdict(check),
        "environment": asdict(environment.describe(backend.versions(), shares, load)),
        "peak_rss_bytes": _peak_rss_bytes(),
        **timed,
        "kernel_times": _kernel_times(session, asked) if check.passed is not False else [],
    }


def _kernel_times(session: Session, asked: Request) -> list[dict[str, Any]]:
    """Time single kernels after everything else, so that it disturbs nothing, and name their layers."""
    from roofline.validate.measuring.kernel_times import PER_LAYER, mapped

    if not isinstance(session, KernelTimer) or not asked.job.options.get(PER_LAYER):
        return []
    from roofline import load

    network = load(str(asked.model), values=asked.job.values)
    return [asdict(time) for time in mapped(session.kernel_times(), network)]


def _checked(session: Session, request: Mapping[str, Any], datatype: str) -> Check:
    path = request["reference"]
    if not path:
        return Check(why=request["why_unchecked"])
    kept = load_arrays(Path(path))
    magnitude = float(kept.pop(_MAGNITUDE))
    datatype = coarsest(datatype, map(str, kept.pop(_DATATYPES)))
    wanted = [kept[name] for name in sorted(kept)]
    by = request["reference_by"]
    return compare_outputs(
        session.outputs(), wanted, by=by, datatype=datatype, magnitude=magnitude
    )


def sample(session: Session, protocol: Protocol, first: float, report: Report) -> dict[str, Any]:
    """Time a session by its protocol.

    Args:
        session: Bound to its inputs, and run once.
        protocol: How many warm-up and timed runs, and for how long.
        first: Seconds the first run took; it counts as one of the warm-up runs.
        report: Told how far it is, about twenty times.

    Returns:
        The samples, wall and CPU time of all of them, and how busy the machine was with other work.
    """
    for _ in range(protocol.warmup - 1):
        session.step()
    clock = time.perf_counter
    step = session.step
    samples: list[float] = []
    every = max(1, int(0.2 / max(first, 1e-9)))
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
    wall, cpu = clock() - start, time.process_time() - cpu
    after = environment.Busy.now()
    gc.enable()
    shares = after.shares_since(busy) if busy is not None and after is not None else None
    return {"samples_s": samples, "wall_s": wall, "cpu_s": cpu, "shares": shares}


def _probe(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    from roofline.validate.calibration import library_probe as probe

    threads, seconds = request["threads"], request["seconds"]
    report(request["kind"], 0, 1)
    busy = environment.Busy.now()
    if request["kind"] == "streams":
        found = dict(probe.bandwidths(threads, seconds / 2))
    elif request["kind"] == "peaks":
        from roofline.validate.calibration.fma_probe import peaks

        found = dict(peaks(threads, seconds))
    else:
        found = {
            name: probe.integer_product(threads, seconds)
            if name == "int8"
            else probe.matrix_product(seconds, name)
            for name in request["datatypes"]
        }
    after = environment.Busy.now()
    shares = after.shares_since(busy) if after is not None and busy is not None else None
    return {"rates": found, "taken": sum(shares) if shares else 0.0}


def _microbenchmarks(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    from roofline.validate.calibration.microbenchmarks import time_probes

    return time_probes(request, report)


def _asked(request: Mapping[str, Any]) -> tuple[Backend, Request]:
    job = from_plain(RunRequest, request["job"])
    asked = Request(job, Path(request["model"]), Path(request["folder"]), request["fresh"])
    return backends.get(job.backend), asked


def _peak_rss_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TVM puts its trace before the message, ONNX Runtime the message first.
    named = [line for line in lines if "Error" in line]
    return (named[-1] if named else lines[0] if lines else type(error).__name__)[:500]


_ACTIONS = {
    "compress": _compress,
    "make": _make,
    "microbenchmarks": _microbenchmarks,
    "reference": _reference,
    "prepare": _prepare,
    "run": _run,
    "probe": _probe,
}

if __name__ == "__main__":
    environment.end_with_parent(int(sys.argv[2]))
    main(Path(sys.argv[1]))
