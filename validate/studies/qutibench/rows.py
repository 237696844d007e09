"""QuTiBench's tables as rows that the charts take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from roofline.number_format import percent
from roofline.precision import DATATYPES
from roofline.workloads.published import Row, table

TASKS: Mapping[str, str] = {"mlp": "MNIST", "cnv": "CIFAR-10"}
"""The data set of each network; of those that are not here it is ImageNet."""

WIDTHS = ("int2", "int4", "int8", "fp16", "fp32")
"""The datatypes of the tables, from narrow to wide."""
ChartRow = dict[str, Any]


def task_of(network: str) -> str:
    """Return the data set of a network."""
    return TASKS.get(network, "ImageNet")


def share(keep: float) -> str:
    """Return a pruning as the charts show it: ``dense``, or the share of channels kept in percent."""
    return "dense" if keep == 1 else percent(keep)


def roofs() -> list[ChartRow]:
    """Return one row per machine and datatype with peak and bandwidth, from Table 2."""
    return [
        {
            "platform": row["platform"],
            "datatype": datatype,
            "peak_op_s": 1e12 * row[f"peak_{datatype}_tops"],
            "bandwidth_b_s": 1e9 * row["bandwidth_gb_s"],
        }
        for row in table("qutibench_platforms")
        for datatype in WIDTHS
        if row[f"peak_{datatype}_tops"] and row["bandwidth_gb_s"]
    ]


def requirements() -> list[ChartRow]:
    """Return one row per network and pruning with operations and weights, from Table 4."""
    return [
        {
            "network": row["network"],
            "pruning": share(row["keep_channels"]),
            "task": task_of(row["network"]),
            "keep_channels": row["keep_channels"],
            "ops": 1e9 * row["ops_used_gop"],
            "parameters": 1e6 * row["weights_m"],
            "intensity_int8": row["intensity_int8"],
        }
        for row in table("qutibench_requirements")
    ]


def points(*, pruned: bool = True) -> list[ChartRow]:
    """Return one row per published prediction: the roof, the network's intensity and the predicted throughput."""
    held = {(row["platform"], row["datatype"]): row for row in roofs()}
    needs = {(row["network"], row["pruning"]): row for row in requirements()}
    rows: list[ChartRow] = []
    for row in table("qutibench_predictions"):
        roof = held.get((row["platform"], row["unit"]))
        need = needs.get((row["network"], share(row["keep_channels"])))
        if roof is None or need is None or not (pruned or row["keep_channels"] == 1):
            continue
        bits = DATATYPES[row["datatype"]].bits
        rows.append(
            {
                **need,
                **roof,
                "datatype": row["datatype"],
                "intensity": need["intensity_int8"] * 8 / bits,
                "predicted_fps": row["throughput_fps"],
                "required_bytes": need["parameters"] * bits / 8,
                "peak_fps": roof["peak_op_s"] / need["ops"],
            }
        )
    return rows


def accuracies() -> Mapping[tuple[str, str, str], float]:
    """Return Table 3's accuracy in percent of each network, pruning and datatype."""
    return {
        (row["network"], share(row["keep_channels"]), row["datatype"]): row["top1_percent"]
        for row in table("qutibench_accuracy")
        if row["top1_percent"] is not None
    }


@cache
def measured_rows() -> tuple[ChartRow, ...]:
    """Return the shipped measurements: a configuration's smallest batch, its best and its largest."""
    return tuple(built for row in table("qutibench_measured") for built in _sizes(row))


def best_rows(rows: tuple[ChartRow, ...] | None = None) -> list[ChartRow]:
    """Return the row of the greatest throughput of each configuration."""
    found: dict[tuple[Any, ...], ChartRow] = {}
    for row in measured_rows() if rows is None else rows:
        place = row["platform"], row["network"], row["pruning"], row["datatype"]
        if place not in found or row["measured_fps"] > found[place]["measured_fps"]:
            found[place] = row
    return list(found.values())


def portal_rows(path: Path) -> tuple[ChartRow, ...]:
    """Return every row of the portal's own table of measurements, which the user has.

    Raises:
        TableError: The file is not that table.
    """
    from roofline.validate.records.importers import read_runs
    from roofline.validate.records.importers._registry import Facts

    known = {
        (row["platform"], row["network"], row["pruning"], row["datatype"]): row
        for row in measured_rows()
    }
    _, found = read_runs(path, Facts(), form="qutibench")
    rows: list[ChartRow] = []
    for run in found.measurements:
        reported, job = run.reported, run.job
        if reported is None or reported.throughput_fps is None:
            continue
        pruned = job.compression.is_pruned
        pruning = share(job.compression.keep_channels) if pruned else "dense"
        same = known.get((run.machine, job.network, pruning, job.datatype), {})
        rows.append(
            {
                **same,
                "platform": run.machine, "network": job.network, "task": task_of(job.network),
                "datatype": job.datatype, "pruning": pruning, "batch": job.batch * reported.concurrency,
                "sweep": same.get("sweep", "batch"), "measured_fps": reported.throughput_fps,
                "latency_ms": None if reported.latency_s is None else 1e3 * reported.latency_s,
                "power_w": reported.power_w,
                "accuracy": None if reported.accuracy is None else 100 * reported.accuracy,
                "flag": "; ".join(run.notes),
            }
        )  # fmt: skip
    return tuple(rows)


def _sizes(row: Row) -> Iterator[ChartRow]:
    needs = {(need["network"], need["pruning"]): need for need in requirements()}
    peaks = {(roof["platform"], roof["datatype"]): roof["peak_op_s"] for roof in roofs()}
    pruning = share(row["keep_channels"])
    predicted = _predictions().get((row["platform"], row["network"], pruning, row["datatype"]))
    need = needs.get((row["network"], pruning))
    peak = peaks.get((row["platform"], row["datatype"]))
    common: ChartRow = {
        "platform": row["platform"], "network": row["network"], "task": task_of(row["network"]),
        "datatype": row["datatype"], "pruning": pruning, "keep_channels": row["keep_channels"], "sweep": row["sweep"],
        "predicted_fps": predicted, "accuracy": row["top1_percent"], "power_w": row["power_w"],
        "idle_power_w": row["idle_power_w"], "board_power_w": row["board_power_w"], "flag": row["flag"],
        "power_flag": row["power_flag"], "ops": need["ops"] if need else None,
        "peak_fps": peak / need["ops"] if peak and need else None,
    }  # fmt: skip
    sizes = {
        row["batch_smallest"]: (row["throughput_smallest_fps"], row["latency_smallest_ms"]),
        row["batch"]: (row["throughput_fps"], row["latency_ms"]),
    }
    if row["sweep"] == "batch" and row["batch_largest"] not in sizes and not row["flag"]:
        # The table gives the largest batch by its latency alone.
        largest = row["batch_largest"], row["latency_largest_ms"]
        sizes[largest[0]] = 1e3 * largest[0] / largest[1], largest[1]
    for batch, (fps, latency) in sorted(sizes.items()):
        yield common | {"batch": int(batch), "measured_fps": fps, "latency_ms": latency}


@cache
def _predictions() -> Mapping[tuple[str, str, str, str], float]:
    return {
        (row["platform"], row["network"], share(row["keep_channels"]), row["datatype"]): row[
            "throughput_fps"
        ]
        for row in table("qutibench_predictions")
    }
