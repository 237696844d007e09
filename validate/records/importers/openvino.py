"""OpenVINO's benchmark_app: the report as CSV with semicolons, or as JSON (``-json_stats``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from roofline.errors import TableError
from roofline.validate.records.importers._registry import (
    Facts,
    Imported,
    Importer,
    importers,
    needed,
    parse_json,
)
from roofline.validate.records.record import Job, Measurement, Reported, Status


def _csv(path: Path, text: str, facts: Facts) -> Imported:
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(";")
        values.setdefault(name.strip().lower(), value.split(";")[0].strip())
    return _run(path, facts, values)


def _json(path: Path, text: str, facts: Facts) -> Imported:
    document = parse_json(path, text)
    held = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    results = held.get("execution_results", {})
    return _run(
        path,
        facts,
        {name.lower(): str(value) for name, value in cast("dict[str, Any]", results).items()},
    )


def _first(values: Mapping[str, str], *names: str) -> float | None:
    for name in names:
        try:
            return float(values[name])
        except (KeyError, ValueError):
            continue
    return None


def _run(path: Path, facts: Facts, values: Mapping[str, str]) -> Imported:
    needed(facts, path)
    throughput = _first(values, "throughput (fps)", "throughput", "throughput, fps")
    latency = _first(values, "median latency (ms)", "latency_median", "latency (ms)", "latency")
    if throughput is None and latency is None:
        raise TableError(
            f"{path}: neither a throughput nor a latency",
            repair="Write it with benchmark_app -report_type",
        )
    # Throughput mode keeps several requests in flight, so throughput × latency is more than one batch.
    inflight = 1
    if throughput and latency:
        inflight = max(1, round(throughput * latency / 1e3 / facts.batch))
    reported = Reported(
        f"benchmark_app, {path.name}",
        latency_s=None if latency is None else latency / 1e3,
        throughput_fps=throughput,
        concurrency=inflight,
    )
    job = Job(
        facts.network,
        "openvino",
        datatype=facts.datatype or "fp32",
        batch=facts.batch,
        target=facts.machine,
    )
    return Imported(
        (
            Measurement(
                job, Status.OK, machine=facts.machine, executed=facts.datatype, reported=reported
            ),
        )
    )


importers.add(
    "openvino-csv",
    Importer(
        "openvino-csv",
        "OpenVINO benchmark_app's report",
        lambda path, head: path.suffix == ".csv" and "Execution results" in head and ";" in head,
        _csv,
    ),
)
importers.add(
    "openvino-json",
    Importer(
        "openvino-json",
        "OpenVINO benchmark_app -json_stats",
        lambda _, head: '"execution_results"' in head,
        _json,
    ),
)
