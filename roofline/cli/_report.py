"""Joins the files a user gives to ``report`` with the roofs of the machines they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from roofline import predict
from roofline._load import decoder
from roofline.chart import read_rows
from roofline.decoding.request import Phase, Request
from roofline.errors import RooflineError, TableError
from roofline.progress import Report
from roofline.reading import JsonObject, exists, is_folder, read_head, read_json, read_text
from roofline.report import ReportData, load_rows
from roofline.report.data import Row, check_rows, on_chip
from roofline.spec import Platform, platform
from roofline.tables import TOKENS, Column, Holds, comparable_row, number_in
from roofline.units import scale
from roofline.validate.analysis.compare import backend_label
from roofline.validate.analysis.counting import compress_network, count_network
from roofline.validate.records.record import Measurement
from roofline.validate.records.store import open_for_reading
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies import studies
from roofline.workload import Workload


def gather(data: Sequence[str], title: str, report: Report | None = None) -> ReportData:
    """Read every file and look up the roofs of the machines in it.

    Raises:
        TableError: A file cannot be read, no file holds a row, or published data are mixed with a user's own.
    """
    for name in data:
        make = _study_report(name)
        if make is not None:
            if len(data) > 1:
                raise TableError(f"{name!r} stands for a page of its own", repair="Give it alone")
            page = make()
            return replace(page, title=title) if title else page
    rows = tuple(row for path in data for row in _rows(Path(path), report))
    if not rows:
        raise TableError(
            f"{', '.join(data)}: no rows to report", repair="Predict or measure something first"
        )
    stated = [row for path in data for row in _stated_rows(Path(path))]
    roofs, requirements = tuple(_roofs(rows, stated)), tuple(_requirements(rows, stated))
    return ReportData(
        title or "Roofline report", rows, roofs, requirements, " ".join(_conventions(data, rows))
    )


def _study_report(name: str) -> Callable[[], ReportData] | None:
    """Return what makes the page of a study that a user names; None for a file, or a study without one."""
    if Path(name).suffix or exists(name):
        return None
    study = studies.find(name)
    return None if study is None else study.report


def _conventions(data: Sequence[str], rows: Sequence[Row]) -> Iterable[str]:
    """Yield what a reader has to know: conventions, the traffic that predictions assume, and doubts about machines."""
    yield "One multiply-accumulate is two operations."
    assumed: list[str] = []
    doubts: list[str] = []
    for path in map(Path, data):
        if path.suffix.lower() == ".json":
            document: Any = read_json(read_text(path, "table"), str(path))
            if isinstance(document, dict):
                held = cast("JsonObject", document)
                stated = cast("JsonObject", held.get("conventions") or {}).get("traffic")
                assumed += [f"{path.name} {stated or 'does not say'}"]
                doubts += map(str, held.get("notes") or ())
        elif _is_store(path):
            assumed += [f"{path.name} weights: weights only (Equation 1)"]
        else:
            assumed += [f"{path.name} does not say"]
    if any(row.get("predicted_fps") for row in rows):
        yield f"Traffic with memory that predictions assume: {'; '.join(assumed)}."
    for key in sorted({row["platform"] for row in rows}):
        try:
            own = _machine(key).specification.doubts
        except RooflineError:
            continue
        # A calibration that was disturbed says so in the file that it writes.
        doubts += [f"{key}: {doubt}" for doubt in own]
    yield from dict.fromkeys(doubts)


def _rows(path: Path, report: Report | None) -> tuple[Row, ...]:
    """Read a CSV or JSON file, or a record store."""
    return check_rows(stored_rows(path, report), str(path)) if _is_store(path) else load_rows(path)


_STORE_SUFFIXES = frozenset({".db", ".sqlite", ".sqlite3"})


def _is_store(path: Path) -> bool:
    """Tell a record store by its name or its content; what is only named like one is an error when it is read."""
    return not is_folder(path) and (
        path.suffix.lower() in _STORE_SUFFIXES
        or read_head(path, "table or record store", 16) == b"SQLite format 3\0"
    )


def stored_rows(path: Path, report: Report | None = None) -> list[dict[str, object]]:
    """Return the runs of a record store, each with its prediction where network and machine are known.

    Raises:
        StoreError: The file is no record store, or was written by a newer version.
    """
    rows: list[dict[str, object]] = []
    predictions: dict[tuple[object, ...], Mapping[str, object]] = {}
    with open_for_reading(path) as store:
        total = len(store)
        for number, run in enumerate(store.records(), 1):
            if report is not None and number % _STEP == 0:
                report("reading the records", number, total)
            reported, job = run.reported, run.job
            # Each case is predicted once, however many runs there are of it.
            case = (job.shown, job.compression.label, run.machine, run.operands, job.batch)
            if case not in predictions:
                predictions[case] = _predict(run)
            flags = [] if run.ok else [run.status.value]
            flags += ["untuned"] if job.tuning is Tuning.UNTUNED else []
            rows.append(
                {
                    "platform": run.machine or "this machine", "network": job.shown, "datatype": run.operands,
                    "pruning": job.compression.label, "batch": job.batch, "backend": backend_label(run),
                    "rate": TOKENS if job.phase else None,
                    "measured_fps": scale(run.throughput_fps, job.tokens_per_item or 1) if run.ok else None,
                    "latency_ms": 1e3 * run.median_s if run.ok and run.median_s else None,
                    "power_w": reported.power_w if reported else None,
                    "accuracy": 100 * reported.accuracy if reported and reported.accuracy else None,
                    "flag": "; ".join([*flags, *(flag.label for flag in run.flags)]),
                    "source": (reported.source if reported else "") or "measured",
                    **predictions[case],
                }
            )  # fmt: skip
    return rows


_STEP = 200
"""Progress is told after as many records."""


def _predict(run: Measurement) -> Mapping[str, object]:
    """Return the columns of what Equation 1 predicts for a run; none where a part of its case is not known."""
    job = run.job
    if job.compression.other or job.compression.sparsity or job.compression.sparse_layers:
        return {}
    if job.options.get("devices", 1) != 1:
        # The bound is of one machine.
        return {}
    try:
        phase = _phase(job.network, job.phase, job.context, job.batch) if job.phase else None
        work = (
            count_network(job.network, job.compression, "", 1)
            if phase is None
            else compress_network(phase, job.compression, "")
        )
        # Narrow weights of decoders are most of what is read: they are predicted as they are stored.
        datatype = run.asked if job.phase and not run.is_emulated else run.operands
        found = predict(work, _machine(run.machine), datatype=datatype, batch=job.batch)
    except (RooflineError, ValueError):
        return {}
    each = job.tokens_per_item or 1
    return {
        "predicted_fps": scale(found.throughput_fps, each), "peak_fps": scale(found.peak_fps, each),
        "bound": found.bound.value, "intensity": found.intensity,
    }  # fmt: skip


@cache
def _phase(network: str, phase: str, context: int, batch: int) -> Workload | None:
    """Return what a part of answering a request requires of a decoder."""
    found = decoder(network)
    if found is None:
        return None
    request = Request(context=context, phase=Phase(phase))
    return (found.step if request.phase is Phase.DECODE else found.prompt)(request, batch)


@cache
def _machine(key: str) -> Platform:
    return platform(key)


def _stated_rows(path: Path) -> list[dict[str, object]]:
    """Return peak, bandwidth and requirements where a file itself states them, as predictions and comparisons do."""
    if _is_store(path):
        return []
    held: list[dict[str, object]] = []
    for number, written in enumerate(read_rows(path), 1):
        row, where = comparable_row(written), f"{path} row {number}"
        rate, peak, bandwidth, done, ops, batch, intensity = (
            number_in(row.get(column.name), column, where) for column in _STATED
        )
        if rate is None and not row.get("phase"):
            rate = number_in(row.get("throughput_fps"), _STATED[0], where)
        # Of a decoder's prediction one item is a token, or a prompt.
        each = done / rate if done and rate else ops / batch if ops and batch else None
        if peak and each and row.get("platform") and row.get("network"):
            held.append(
                {
                    "platform": row["platform"], "datatype": row.get("unit") or row.get("datatype"),
                    "peak_op_s": peak, "bandwidth_b_s": bandwidth, "network": row["network"],
                    "pruning": row.get("pruning") or "dense", "for": row.get("datatype"), "ops": each,
                    "intensity": intensity,
                }
            )  # fmt: skip
    return held


_STATED = tuple(
    Column(name, meaning, required=False, holds=Holds.POSITIVE)
    for name, meaning in (
        ("predicted_fps", "predicted throughput in frames per second"), ("peak_op_s", "peak performance in OP/s"),
        ("bandwidth_b_s", "memory bandwidth in B/s"), ("performance_op_s", "predicted performance in OP/s"),
        ("ops", "operations of the batch"), ("batch", "items per batch"),
        ("intensity", "operational intensity in OP/B"),
    )
)  # fmt: skip


def _roofs(
    rows: Sequence[Row], stated: Sequence[Mapping[str, object]]
) -> Iterable[dict[str, object]]:
    for key in sorted({row["platform"] for row in rows}):
        try:
            machine = platform(key)
        except RooflineError:
            # A calibrated machine's file is its user's; what its predictions state stands for it. Measured tables may
            # name machines that nobody describes; they are shown without a roof.
            own = [row for row in stated if row["platform"] == key]
            roofs = {
                row["datatype"]: {
                    name: row[name]
                    for name in ("platform", "datatype", "peak_op_s", "bandwidth_b_s")
                }
                for row in own
            }
            yield from roofs.values()
            continue
        for datatype in machine.peaks:
            yield {
                "platform": key,
                "datatype": datatype,
                "peak_op_s": machine.peak(datatype),
                "bandwidth_b_s": machine.bandwidth,
                "tdp_w": machine.tdp,
                **on_chip(machine),
            }


def _requirements(
    rows: Sequence[Row], stated: Sequence[Mapping[str, object]]
) -> Iterable[dict[str, object]]:
    """Take each network's operations from predictions, or recover them from throughput at the compute peak."""
    seen: set[tuple[Any, ...]] = set()
    for row in stated:
        identity = (row["network"], row["pruning"], row["for"])
        if identity not in seen and row["intensity"] is not None:
            seen.add(identity)
            yield {
                "network": row["network"],
                "pruning": row["pruning"],
                "datatype": row["for"],
                "ops": row["ops"],
                "intensity": row["intensity"],
            }
    for row in rows:
        identity = (row["network"], row["pruning"], row["datatype"])
        if row["intensity"] is None or row["peak_fps"] is None or identity in seen:
            continue
        try:
            peak = platform(row["platform"]).peak(row["datatype"])
        except RooflineError:
            continue
        seen.add(identity)
        yield {
            "network": row["network"],
            "pruning": row["pruning"],
            "datatype": row["datatype"],
            "ops": peak / row["peak_fps"],
            "intensity": row["intensity"],
        }
