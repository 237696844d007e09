"""``roofline calibrate``: measure this machine's peaks and bandwidths, and write them as a platform file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._output import Format, FormatOption, as_csv, as_json, as_table, emit, writable
from roofline.writing import write_whole

if TYPE_CHECKING:
    from roofline.validate.calibration.calibrate import Roofs

app = typer.Typer(add_completion=False)


@app.command()
def calibrate(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=writable, help="The platform file to write.")
    ] = Path("my-machine.yaml"),
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.5, help="Time for measuring, all probes together.")
    ] = 30.0,
    threads: Annotated[
        list[int] | None,
        typer.Option(
            "--threads", min=1, help="Threads to measure at; repeatable. Default: 1 and all."
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Measure the peak per datatype and the memory bandwidth of this machine (about a minute)."""
    from roofline.cli._progress import progress
    from roofline.validate.calibration.calibrate import calibrate as run
    from roofline.validate.calibration.calibrate import platform_yaml

    key = platform_key(output)
    with progress("calibrating") as report:
        roofs = run(seconds=seconds, threads=threads or (), report=report)
    write_whole(output, platform_yaml(roofs, key).encode())
    emit(_written(roofs, key, output, form), None)


def platform_key(path: Path) -> str:
    """Return a key that can be typed, made of a file's name."""
    return re.sub(r"[^a-z0-9.]+", "-", path.stem.lower()).strip("-.") or "my-machine"


def _written(roofs: Sequence[Roofs], key: str, output: Path, form: Format) -> str:
    rows: list[dict[str, Any]] = [
        {
            "platform": f"{key}:{entry.mode}" if len(roofs) > 1 else key,
            "threads": entry.threads,
            **{f"{name}_gop_s": rate / 1e9 for name, rate in sorted(entry.peaks.items())},
            "memory_gb_s": entry.memory / 1e9,
            "cache_gb_s": None if entry.cache is None else entry.cache / 1e9,
        }
        for entry in roofs
    ]
    if form is Format.JSON:
        return as_json({"file": str(output), "roofs": rows})
    if form is Format.CSV:
        return as_csv(rows)
    from roofline.validate.calibration.calibrate import warnings

    lower = [name for name, way in roofs[-1].how.items() if way == "library"]
    notes = [f"written to {output}: use it with -p {output}"]
    if lower:
        notes.append(f"lower bounds, from library matrix products: {', '.join(lower)}")
    return as_table(rows, notes=[*notes, *warnings(roofs)])
