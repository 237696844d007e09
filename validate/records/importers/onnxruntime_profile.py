"""ONNX Runtime's profile: a list of trace events, one ``model_run`` for every inference."""

from __future__ import annotations

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


def _read(path: Path, text: str, facts: Facts) -> Imported:
    needed(facts, path)
    document = parse_json(path, text)
    events = cast("list[dict[str, Any]]", document if isinstance(document, list) else [])
    runs = [float(event["dur"]) / 1e6 for event in events if event.get("name") == "model_run"]
    if not runs:
        raise TableError(
            f"{path}: no model_run event",
            repair="Run the session at least once before ending the profile",
        )
    kept = runs[1:] or runs
    run = Measurement(
        Job(facts.network, "onnxruntime", datatype=facts.datatype or "fp32", batch=facts.batch, target=facts.machine),
        Status.OK, machine=facts.machine, executed=facts.datatype, samples_s=tuple(kept),
        first_s=runs[0] if len(runs) > 1 else None, reported=Reported(f"onnxruntime profile, {path.name}"),
        notes=("profiling slows a run down",),
    )  # fmt: skip
    return Imported((run,))


importers.add(
    "onnxruntime-profile",
    Importer(
        "onnxruntime-profile",
        "ONNX Runtime's profile",
        lambda _, head: '"cat"' in head and '"Session"' in head,
        _read,
    ),
)
