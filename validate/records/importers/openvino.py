"""OpenVINO's benchmark_app: the report as CSV with semicolons, or as JSON (``-json_stats``)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from roofline.errors import TableError
from roofline.reading import JsonObject, as_object, read_json, real_number
from roofline.validate.records.importers._registry import (
    Facts,
    ImportedFile,
    check_named,
    imported_run,
    importer,
    with_keys,
)
from roofline.validate.records.record import Reported


def _is_report(path: Path, head: str) -> bool:
    return path.suffix == ".csv" and "Execution results" in head and ";" in head


@importer("openvino-csv", "OpenVINO benchmark_app's report", _is_report)
def _csv(path: Path, text: str, facts: Facts) -> ImportedFile:
    values: dict[str, str] = {}
    for cells in csv.reader(io.StringIO(text, newline=""), delimiter=";"):
        name, value = [*cells, "", ""][:2]
        values.setdefault(name.strip().lower(), value.strip())
    return _run(path, facts, values)


@importer("openvino-json", "OpenVINO benchmark_app -json_stats", with_keys("execution_results"))
def _json(path: Path, text: str, facts: Facts) -> ImportedFile:
    document = read_json(text, str(path))
    held = as_object(document)
    results = held.get("execution_results")
    if not isinstance(results, dict):
        raise TableError(f"{path}: execution_results is not an object")
    found = cast("JsonObject", results)
    return _run(path, facts, {name.lower(): str(value) for name, value in found.items()})


def _read_first(path: Path, values: Mapping[str, str], *names: str) -> float | None:
    """Return the first of some figures that the report states; it writes N/A for what it did not take."""
    stated = ((name, values[name]) for name in names if name in values)
    taken = next((entry for entry in stated if entry[1] not in {"", "N/A"}), None)
    if taken is None:
        return None
    return real_number(taken[1], f"{path}: {taken[0]}", least=0, error=TableError)


def _run(path: Path, facts: Facts, values: Mapping[str, str]) -> ImportedFile:
    check_named(facts, path)
    throughput = _read_first(path, values, "throughput (fps)", "throughput", "throughput, fps")
    latency = _read_first(
        path, values, "median latency (ms)", "latency_median", "latency (ms)", "latency"
    )
    if throughput is None and latency is None:
        raise TableError(
            f"{path}: neither a throughput nor a latency",
            repair="Write it with benchmark_app -report_type",
        )
    # Throughput mode keeps several requests in flight, so throughput × latency is more than one batch.
    inflight, batch = 1, facts.batch or 1
    if throughput and latency:
        inflight = max(1, round(throughput * latency / 1e3 / batch))
    reported = Reported(
        f"benchmark_app, {path.name}",
        latency_s=None if latency is None else latency / 1e3,
        throughput_fps=throughput,
        concurrency=inflight,
    )
    run = imported_run(replace(facts, batch=batch), "openvino")
    return ImportedFile((replace(run, reported=reported),))
