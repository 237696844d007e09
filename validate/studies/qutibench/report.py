"""The rows of the interactive page for QuTiBench's published data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from roofline.precision import DATATYPES
from roofline.report import ReportData
from roofline.report.data import check_rows, on_chip
from roofline.spec import platform
from roofline.tables import Record
from roofline.validate.studies.qutibench.rows import WIDTHS, task_of
from roofline.workloads.published import Row, table

_GIGA = 1e9

_Key = tuple[Any, ...]


def qutibench_report() -> ReportData:
    """Return the published measurements beside the published predictions, with roofs and requirements.

    A configuration has up to three rows: its smallest and largest batch, and the one of its best throughput.
    """
    predictions = {_key(row): row for row in table("qutibench_predictions")}
    requirements = {
        (row["network"], row["keep_channels"]): row for row in table("qutibench_requirements")
    }
    peaks = {(row["platform"], row["datatype"]): row["peak_op_s"] for row in _roofs()}
    rows = [
        built
        for measured in table("qutibench_measured")
        for built in _rows(measured, predictions, requirements, peaks)
    ]
    return ReportData(
        "QuTiBench: predicted and measured",
        check_rows(rows, "QuTiBench"),
        tuple(_roofs()),
        tuple(_requirements()),
        "One multiply-accumulate is two operations. Predictions are Equation 1 as published (Blott et al. 2021): an "
        "upper bound with weights read once for every frame, so networks whose weights stay on the chip or are "
        "shared by a batch exceed it.",
    )


def _key(row: Row) -> _Key:
    return row["platform"], row["network"], row["keep_channels"], row["datatype"]


def _rows(
    measured: Row,
    predictions: Mapping[_Key, Row],
    requirements: Mapping[_Key, Row],
    peaks: Mapping[_Key, float],
) -> Iterator[Record]:
    predicted = predictions.get(_key(measured))
    need = requirements.get((measured["network"], measured["keep_channels"]))
    peak = peaks.get((measured["platform"], measured["datatype"]))
    flags = [measured[name] for name in ("flag", "power_flag") if measured[name]]
    common = {
        "platform": measured["platform"],
        "network": measured["network"],
        "task": task_of(measured["network"]),
        "datatype": measured["datatype"],
        "pruning": _pruning(measured),
        "predicted_fps": predicted["throughput_fps"] if predicted is not None else None,
        "peak_fps": peak / (need["ops_used_gop"] * _GIGA) if peak and need is not None else None,
        "power_w": measured["power_w"],
        "accuracy": measured["top1_percent"],
        "intensity": need[f"intensity_{measured['datatype']}"] if need is not None else None,
        "backend": "published",
        "flag": "; ".join(flags),
        "source": measured["source"],
    }
    points = {
        measured["batch_smallest"]: (
            measured["throughput_smallest_fps"],
            measured["latency_smallest_ms"],
        ),
        measured["batch"]: (measured["throughput_fps"], measured["latency_ms"]),
    }
    for batch, (throughput, latency) in points.items():
        # Threads each work on a frame of their own, so a latency is of one frame whatever their number.
        kept = latency if measured["sweep"] != "thread" else None
        yield {**common, "batch": batch, "measured_fps": throughput, "latency_ms": kept}


def _pruning(row: Row) -> str:
    return "dense" if row["keep_channels"] == 1 else f"keep-channels={row['keep_channels']:g}"


def _roofs() -> Iterator[Row]:
    for row in table("qutibench_platforms"):
        for datatype in WIDTHS:
            peak = row[f"peak_{datatype}_tops"]
            if peak:
                bandwidth = row["bandwidth_gb_s"]
                yield {
                    "platform": row["platform"],
                    "datatype": datatype,
                    "peak_op_s": peak * 1e12,
                    "bandwidth_b_s": bandwidth * _GIGA if bandwidth else None,
                    **on_chip(platform(row["platform"])),
                }


def _requirements() -> Iterator[Record]:
    for row in table("qutibench_requirements"):
        for datatype in WIDTHS:
            yield {
                "network": row["network"],
                "pruning": _pruning(row),
                "datatype": datatype,
                "ops": row["ops_used_gop"] * _GIGA,
                "weight_bytes": row["weights_m"] * 1e6 * DATATYPES[datatype].bits / 8,
                "intensity": row[f"intensity_{datatype}"],
            }
