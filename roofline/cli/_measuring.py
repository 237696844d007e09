"""The options that every verb which measures shares, and how its runs are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._compression import CompressionOptions, write_models
from roofline.number_format import number, percent
from roofline.tables import Record
from roofline.validate.records.request import PROTOCOL, TRIALS, Protocol, RunRequest
from roofline.validate.records.tuning import Tuning

if TYPE_CHECKING:
    from roofline.binding import Binding
    from roofline.validate.measuring.decoder_model import Stage
    from roofline.validate.records.record import Measurement

PerLayerOption = Annotated[
    bool, typer.Option(help="Time single kernels too, and map them to the layers (TVM).")
]
MOST_SECONDS = 1e8
"""Three years: no run is waited for longer."""
MOST_THREADS = 4096

ThreadsOption = Annotated[
    int, typer.Option(min=0, max=MOST_THREADS, help="Threads; 0: every core this process may use.")
]
StoreOption = Annotated[Path | None, typer.Option(help="Record store; default: the user's own.")]

FreshOption = Annotated[bool, typer.Option(help="Compile and tune again, whatever is kept.")]
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


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """How networks are run on this machine or on a board."""

    backend: list[str] | None = None
    """tvm (what measure takes), onnxruntime (what validate takes), torch, or a third party's; repeatable, or several by
    commas."""
    tuning: str = ""
    """tuned, or untuned (default lowering; says nothing about the machine); none where a backend has nothing to tune.
    Default: the backend's own: of tvm tuned."""
    algorithm: str = "default"
    """How TVM computes convolutions: default (blocked if tuned, else TVM's own), direct, gemm, spatial_pack, winograd,
    blocked, or best of them per layer."""
    trials: Annotated[int, typer.Option(min=1)] = TRIALS
    """Schedules tried per kernel when tuning."""
    budget_s: Annotated[float, typer.Option(min=0, max=MOST_SECONDS)] = 0.0
    """Seconds tuning may take; 0: until all trials are done."""
    threads: ThreadsOption = 0
    device: Annotated[str, typer.Option(metavar="cpu|cuda")] = ""
    """What the backend runs on; left out, a GPU where it finds one."""
    runs: Annotated[int, typer.Option(min=1)] = PROTOCOL.runs
    """Timed runs."""
    sampling_s: Annotated[float, typer.Option(min=0, max=MOST_SECONDS)] = PROTOCOL.sampling_s
    """Seconds after which no run is started."""
    time_limit: Annotated[float, typer.Option(min=0, max=MOST_SECONDS)] = PROTOCOL.time_limit_s
    """Seconds after which a run is given up."""
    memory_limit_gb: Annotated[float, typer.Option(min=0, max=1e6)] = 0.0
    """Memory at which a run is ended; 0: 90 %."""

    def request(self, binding: Binding, *, threads: int = 0) -> RunRequest:
        """Return what is asked of every run; network, backend and compression are still to be put in.

        Args:
            binding: Sizes and values that the networks leave open.
            threads: How many where none are asked for.
        """
        from roofline.validate.measuring.backend import DEVICE

        return RunRequest(
            "",
            batch=binding.batch or 0,
            threads=self.threads or threads,
            dims=binding.dims,
            inputs=binding.inputs,
            values=binding.values,
            tuning=Tuning.of(self.tuning),
            trials=self.trials,
            tuning_budget_s=self.budget_s,
            algorithm=self.algorithm,
            options={DEVICE: self.device} if self.device else {},
            protocol=Protocol(
                runs=self.runs,
                sampling_s=self.sampling_s,
                time_limit_s=self.time_limit,
                memory_limit_bytes=round(self.memory_limit_gb * 1e9),
            ),
        )


def check_store(path: Path | None) -> None:
    """Refuse a store that is there and cannot be read, before anything is run."""
    from roofline.reading import exists
    from roofline.validate.records.store import open_for_reading

    if path is not None and exists(path):
        with open_for_reading(path):
            pass


def run_models(
    asked: RunRequest,
    models: Sequence[str],
    backends: Sequence[str],
    compression: CompressionOptions,
    binding: Binding,
    store: Path | None,
    *,
    machine: str,
    per_layer: bool,
    fresh: bool = False,
    stages: Sequence[Stage] = (),
) -> list[Measurement]:
    """Run every network under the compression flags on every backend, each record kept in the store.

    The arguments and errors are those of `measure_each`; without a store it is the user's own.
    """
    from roofline.cli._progress import progress
    from roofline.validate.measuring.series import measure_each
    from roofline.validate.records.store import Store, default_store

    with (
        write_models(models, compression, binding) as variants,
        Store(store or default_store()) as kept,
    ):
        return measure_each(
            asked, models, variants, backends, kept, machine=machine, per_layer=per_layer, fresh=fresh,
            stages=stages, progress=progress,
        )  # fmt: skip


def cells(run: Measurement) -> Record:
    """Return a run as a row of the table for people."""
    job = run.job
    tuned = f" {job.tuning}" if job.tuning is not Tuning.NONE else ""
    ok = run.ok
    return {
        "network": job.shown,
        "backend": f"{job.backend}{tuned}",
        "datatype": datatype_cell(run),
        "batch": job.batch,
        "threads": job.threads,
        rate_name(run): number(run.tokens_per_s if job.phase else run.throughput_fps)
        if ok
        else None,
        "median ms": _scaled_number(run.median_s, 1e3) if ok else None,
        "p5 ms": _scaled_number(run.quantile_s(0.05), 1e3) if ok else None,
        "p95 ms": _scaled_number(run.quantile_s(0.95), 1e3) if ok else None,
        "runs": len(run.samples_s),
        "peak MB": _scaled_number(run.peak_rss_bytes, 1e-6),
        "rel. error": _error(run.check.max_rel_error),
        "status": run.status.value,
    }


def rate_name(run: Measurement) -> str:
    """Return what a run's rate counts: tokens of a decoder, else frames."""
    return "tokens/s" if run.job.phase else "fps"


def datatype_cell(run: Measurement) -> str:
    """Return the datatype asked for, with the one that ran where that is another: ``int4 (ran in fp32)``."""
    if not run.is_emulated:
        return run.asked if run.job.phase else run.operands
    own = run.executed.emulated
    return f"{run.asked} (emulated)" if own else f"{run.asked} (ran in {run.operands})"


def kernel_cells(run: Measurement) -> list[Record]:
    """Return the kernels of a run as rows of a table for people, in the order of their calls."""
    total = sum(time.seconds for time in run.kernel_times)
    return [
        {
            "layer": time.layer,
            "kernel": time.kernel,
            "ms": _scaled_number(time.seconds, 1e3),
            "share": percent(time.seconds / total),
            "GOP/s": number(2e-9 * time.macs / time.seconds) if time.macs else None,
        }
        for time in run.kernel_times
    ]


def remarks(runs: Sequence[Measurement]) -> list[str]:
    """Return what is to be said below the table: failures, flags, untuned kernels."""
    notes: list[str] = []
    for run in runs:
        name = run.job.brief
        notes += [f"{name}: {run.reason}"] if run.reason else []
        notes += [f"{name}: {flag.label}" for flag in run.flags]
        if run.job.tuning is Tuning.TUNED and run.untuned_kernels:
            notes.append(f"{name}: no schedule for {', '.join(run.untuned_kernels)}")
        notes += [f"{name}: {note}" for note in run.notes]
    return list(dict.fromkeys(notes))


def _error(value: float | None) -> str | None:
    return None if value is None else f"{value:.0e}" if value else "0"


def _scaled_number(value: float | None, factor: float) -> str | None:
    return None if value is None else number(value * factor)
