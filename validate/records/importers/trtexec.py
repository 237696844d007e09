"""NVIDIA's trtexec: single inference times (``--exportTimes``) and layer times (``--exportProfile``)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from roofline.errors import TableError
from roofline.number_format import plural
from roofline.reading import JsonObject, read_json
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


def _entries(path: Path, text: str) -> list[JsonObject]:
    return entries(path, read_json(text, str(path)), "trtexec's entries")


@importer("trtexec-times", "trtexec --exportTimes", with_keys("computeMs"))
def _times(path: Path, text: str, facts: Facts) -> ImportedFile:
    """Read one sample per inference: GPU compute time, in milliseconds in the file."""
    check_named(facts, path)
    samples = [ms / 1e3 for ms in times(path, _entries(path, text), "computeMs")]
    if not samples:
        raise TableError(
            f"{path}: no entry with computeMs", repair="Write it with trtexec --exportTimes"
        )
    run = replace(
        imported_run(facts, "tensorrt"),
        samples_s=tuple(samples),
        reported=Reported(f"trtexec --exportTimes, {path.name}"),
        notes=("GPU compute time, transfers left out",),
    )
    return ImportedFile((run,))


@importer("trtexec-profile", "trtexec --exportProfile", with_keys("averageMs"))
def _profile(path: Path, text: str, facts: Facts) -> ImportedFile:
    """Read layer averages; their sum is the time of one inference."""
    check_named(facts, path)
    layers = times(path, _entries(path, text), "averageMs")
    if not layers:
        raise TableError(
            f"{path}: no layer with averageMs", repair="Write it with trtexec --exportProfile"
        )
    total = sum(layers) / 1e3
    run = replace(
        imported_run(facts, "tensorrt"),
        reported=Reported(f"trtexec --exportProfile, {path.name}", latency_s=total),
        notes=(
            f"sum of the averages of {plural(len(layers), 'layer')}; profiling slows a run down",
        ),
    )
    return ImportedFile((run,))
