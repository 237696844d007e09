"""The options that every verb which measures shares, and how its runs are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._options import labels
from roofline.errors import OptionError, printable
from roofline.number_format import number, percent
from roofline.validate.records.request import Protocol

if TYPE_CHECKING:
    from roofline.validate.records.compression import Compression
    from roofline.validate.records.record import Measurement
    from roofline.validate.records.request import RunRequest, Scalar

BackendsOption = Annotated[
    list[str] | None,
    typer.Option("--backend", help="tvm, onnxruntime, or a third party's; repeatable."),
]
TuningOption = Annotated[
    str,
    typer.Option(
        "--tuning",
        help="For TVM: tuned, or untuned (default lowering; says nothing about the machine).",
    ),
]
AlgorithmOption = Annotated[
    str,
    typer.Option(
        "--algorithm",
        help="How TVM computes convolutions: direct, gemm, spatial_pack, winograd, blocked, or best of them per layer.",
    ),
]
PerLayerOption = Annotated[
    bool,
    typer.Option("--per-layer", help="Time single kernels too, and map them to the layers (TVM)."),
]
TrialsOption = Annotated[
    int, typer.Option("--trials", min=1, help="Schedules tried per kernel when tuning.")
]
MOST_SECONDS = 1e8
"""Three years: no run is waited for longer."""
MOST_THREADS = 4096

BudgetOption = Annotated[
    float,
    typer.Option(
        "--budget-s",
        min=0,
        max=MOST_SECONDS,
        help="Seconds tuning may take; 0: until all trials are done.",
    ),
]
ThreadsOption = Annotated[
    int,
    typer.Option(
        "--threads", min=0, max=MOST_THREADS, help="Threads; 0: every core this process may use."
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="cpu|cuda",
        help="What the backend runs on; left out, a GPU where it finds one.",
    ),
]
RunsOption = Annotated[int, typer.Option("--runs", min=1, help="Timed runs.")]
SamplingOption = Annotated[
    float,
    typer.Option(
        "--sampling-s", min=0, max=MOST_SECONDS, help="Seconds after which no run is started."
    ),
]
TimeLimitOption = Annotated[
    float,
    typer.Option(
        "--time-limit", min=0, max=MOST_SECONDS, help="Seconds after which a run is given up."
    ),
]
MemoryLimitOption = Annotated[
    float,
    typer.Option(
        "--memory-limit-gb", min=0, max=1e6, help="Memory at which a run is ended; 0: 90 %."
    ),
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="Record store; default: the user's own.")
]

TrackerOption = Annotated[
    str,
    typer.Option(
        "--rpc-tracker",
        metavar="HOST:PORT",
        envvar="ROOFLINE_RPC_TRACKER",
        help="RPC tracker of the boards.",
    ),
]

CONVENTIONS = {
    "time": "the first run is discarded; the median of the rest is the time of a whole batch",
    "check": "outputs are compared with ONNX Runtime's, not optimized, on the same input",
}
"""The conventions of every measured figure."""


def make_protocol(
    runs: int, sampling_s: float, time_limit: float, memory_limit_gb: float
) -> Protocol:
    """Return how runs are timed from the options of the command line."""
    memory = round(memory_limit_gb * 1e9)
    return Protocol(
        runs=runs, sampling_s=sampling_s, time_limit_s=time_limit, memory_limit_bytes=memory
    )


def on_device(device: str) -> dict[str, Scalar]:
    """Return the options of a request by which a backend runs on a device; empty leaves it the choice."""
    from roofline.validate.measuring.backend import DEVICE

    return {DEVICE: device} if device else {}


def at_board(tracker: str, key: str, target: str = "") -> None:
    """Check that a board is there before anything is compiled, and let every process know its tracker.

    Args:
        tracker: The tracker's address.
        key: The key of the board's server.
        target: The board's processor, as `parse_target` reads it; empty when the board is to be asked.

    Raises:
        OptionError: The tracker's address is missing or malformed, or the processor is.
        BoardError: The tracker does not answer, or nobody serves the key.
    """
    from roofline.validate.tvm.boards.target import parse_target
    from roofline.validate.tvm.boards.tracker import parse_tracker, use_tracker

    if not tracker:
        raise OptionError("a board needs its tracker", repair="Add --rpc-tracker HOST:PORT")
    if target:
        parse_target(target, 1)
    found = parse_tracker(tracker)
    found.check(key)
    use_tracker(found)


def run_each(
    asked: RunRequest,
    models: Sequence[str],
    variants: Sequence[tuple[str, Compression]],
    backends: Sequence[str],
    store: Path | None,
    *,
    machine: str = "",
    per_layer: bool = False,
    fresh: bool = False,
) -> list[Measurement]:
    """Run every network on every backend, and keep each record as soon as there is one.

    Args:
        asked: How they are run; network, backend and compression are those of the other arguments.
        models: What the user named, each once.
        variants: For each of them the file to run, and what was taken from it.
        backends: Names of backends.
        store: The record store; None is the user's own.
        machine: Key of the platform they run on, for the records.
        per_layer: Whether single kernels are timed too, where a backend can.
        fresh: Whether kept compiled programs and tuning results are made again.

    Returns:
        The records, in which files of one name in several folders are told apart.

    Raises:
        RooflineError: A model cannot be read, or a backend cannot run as asked.
    """
    from dataclasses import replace

    from roofline.cli._progress import progress
    from roofline.validate.measuring.measure import measure
    from roofline.validate.records.store import Store, default_store

    done: list[Measurement] = []
    names = labels([printable(Path(model).stem) for model in models], list(models))
    with Store(store or default_store()) as kept:
        for label, (model, compression) in zip(names, variants, strict=True):
            for name in backends:
                one = replace(asked, network=model, backend=name, compression=compression)
                with progress(f"{label} on {name}") as report:
                    request = for_backend(one, per_layer=per_layer)
                    record = measure(request, machine=machine, fresh=fresh, report=report)
                if label != record.job.network:
                    record = replace(record, job=replace(record.job, network=label))
                kept.add(record)
                done.append(record)
    return done


def for_backend(request: RunRequest, *, per_layer: bool = False) -> RunRequest:
    """Return a request with a tuning that its backend knows, when the other one asked for has none.

    A sparse format for which the backend has kernels is asked of it; others only decide what is predicted.
    Times of single kernels are asked of backends that can give them.

    Raises:
        MeasurementError: No backend has that name.
        OptionError: The backend tunes, but not like this, or runs on no such device.
    """
    from dataclasses import replace

    from roofline.validate.measuring.backend import DEVICE, backends

    able = backends.get(request.backend).capabilities
    device = request.options.get(DEVICE, able.devices[0])
    if device not in able.devices:
        raise OptionError(
            f"{request.backend} runs on no --device {device}",
            repair=f"Use --device {' or '.join(able.devices)}",
        )
    form = request.compression.sparse_format
    if form in able.sparse_formats:
        request = replace(request, options={**request.options, "sparse_format": form})
    if per_layer and able.times_kernels:
        request = replace(request, options={**request.options, "per_layer": True})
    if request.tuning and request.tuning not in able.tunings:
        if able.tunings == ("none",):
            return replace(request, tuning="")
        known = " or ".join(able.tunings)
        raise OptionError(f"--tuning {request.tuning} is not known", repair=f"Use {known}")
    return request


def cells(run: Measurement) -> dict[str, Any]:
    """Return a run as a row of the table for people."""
    job = run.job
    tuned = f" {job.tuning}" if job.tuning != "none" else ""
    ok = run.ok
    return {
        "network": job.network,
        "backend": f"{job.backend}{tuned}",
        "datatype": datatype_cell(run),
        "batch": job.batch,
        "threads": job.threads,
        "fps": number(run.throughput_fps) if ok else None,
        "median ms": _scaled(run.median_s, 1e3) if ok else None,
        "p5 ms": _scaled(run.quantile_s(0.05), 1e3) if ok else None,
        "p95 ms": _scaled(run.quantile_s(0.95), 1e3) if ok else None,
        "runs": len(run.samples_s),
        "peak MB": _scaled(run.peak_rss_bytes, 1e-6),
        "rel. error": _error(run.check.max_rel_error),
        "status": run.status.value,
    }


def datatype_cell(run: Measurement) -> str:
    """Return the datatype asked for, with the one that ran where that is another: ``int4 (ran in fp32)``."""
    if not run.emulated:
        return run.operands
    own = run.executed.emulated
    return f"{run.asked} (emulated)" if own else f"{run.asked} (ran in {run.operands})"


def kernel_cells(run: Measurement) -> list[dict[str, Any]]:
    """Return the kernels of a run as rows of a table for people, in the order of their calls."""
    total = sum(time.seconds for time in run.kernel_times)
    return [
        {
            "layer": time.layer,
            "kernel": time.kernel,
            "ms": _scaled(time.seconds, 1e3),
            "share": percent(time.seconds / total),
            "GOP/s": number(2e-9 * time.macs / time.seconds) if time.macs else None,
        }
        for time in run.kernel_times
    ]


def remarks(runs: Sequence[Measurement]) -> list[str]:
    """Return what is to be said below the table: failures, flags, untuned kernels."""
    notes: list[str] = []
    for run in runs:
        name = f"{run.job.network} on {run.job.backend} {run.job.tuning}".removesuffix(" none")
        notes += [f"{name}: {run.reason}"] if run.reason else []
        notes += [f"{name}: {flag.label}" for flag in run.flags]
        if run.job.tuning == "tuned" and run.untuned_kernels:
            notes.append(f"{name}: no schedule for {', '.join(run.untuned_kernels)}")
        notes += [f"{name}: {note}" for note in run.notes]
    return list(dict.fromkeys(notes))


def _error(value: float | None) -> str | None:
    return None if value is None else f"{value:.0e}" if value else "0"


def _scaled(value: float | None, factor: float) -> str | None:
    return None if value is None else number(value * factor)
