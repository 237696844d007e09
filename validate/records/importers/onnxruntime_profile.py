"""ONNX Runtime's profile: a list of trace events, one ``model_run`` for every inference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from roofline.errors import TableError
from roofline.reading import read_json
from roofline.validate.records.importers._registry import (
    Facts,
    ImportedFile,
    check_named,
    entries,
    imported_run,
    importer,
    times,
    with_keys,
)
from roofline.validate.records.record import Reported


@importer("onnxruntime-profile", "ONNX Runtime's profile", with_keys("cat", "Session"))
def _read(path: Path, text: str, facts: Facts) -> ImportedFile:
    check_named(facts, path)
    events = entries(path, read_json(text, str(path)), "trace events")
    whole = [event for event in events if event.get("name") == "model_run"]
    runs = [us / 1e6 for us in times(path, whole, "dur")]
    if not runs:
        raise TableError(
            f"{path}: no model_run event",
            repair="Run the session at least once before ending the profile",
        )
    kept = runs[1:] or runs
    run = replace(
        imported_run(facts, "onnxruntime"),
        samples_s=tuple(kept),
        first_s=runs[0] if len(runs) > 1 else None,
        reported=Reported(f"onnxruntime profile, {path.name}"),
        notes=("profiling slows a run down",),
    )
    return ImportedFile((run,))
