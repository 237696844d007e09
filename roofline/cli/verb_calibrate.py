"""``roofline calibrate``: measure this machine's roofs and what a backend reaches of them, as a platform file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from roofline.cli._groups import command
from roofline.cli._measuring import MOST_THREADS
from roofline.cli._output import Format, FormatOption, ResultOptions, as_table, output_option
from roofline.number_format import plural
from roofline.tables import Record, Row
from roofline.writing import write_whole

if TYPE_CHECKING:
    from roofline.validate.calibration.calibrate import Roofs
    from roofline.validate.calibration.profiling import TimedProfile

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationOptions:
    """What is measured of this machine, and where it goes."""

    output: Annotated[Path, output_option("the platform file", ".yaml", ".yml")] = Path(
        "my-machine.yaml"
    )
    backend: str = "onnxruntime"
    """Runs the microbenchmarks of the profile: onnxruntime, torch, tvm, ... none measures the roofs alone."""
    seconds: Annotated[float, typer.Option(min=0.5, max=3600)] = 20.0
    """Time for measuring the roofs."""
    threads: Annotated[list[int] | None, typer.Option(min=1, max=MOST_THREADS)] = None
    """Threads to measure at; repeatable, or several by commas. Default: the roofs at 1 and all, the profile at all."""
    correct: Path | None = None
    """Measure nothing: correct the file's profile by networks measured on this machine, a CSV with the columns network,
    latency_ms and, where known, family and batch."""


@command(app)
def calibrate(
    *,
    options: CalibrationOptions,
    form: FormatOption = Format.TABLE,
) -> None:
    """Measure this machine: its peaks and bandwidths, and what a runtime reaches of them (about three minutes).

    The file holds a profile, from which `predict --model calibrated` estimates what any network takes here. A
    calibration that is interrupted goes on where it was. With tvm it compiles for a quarter of an hour or more first.
    """
    from roofline.cli._progress import progress
    from roofline.validate.calibration.calibrate import calibrate as run
    from roofline.validate.calibration.calibrate import platform_yaml
    from roofline.validate.calibration.microbenchmarks import forget

    if options.correct is not None:
        _correct(options.output, options.correct, form)
        return
    key = platform_key(options.output)
    chosen = None if options.backend == "none" else _check_backend(options.backend)
    with progress("calibrating") as report:
        roofs = run(seconds=options.seconds, threads=options.threads or (), report=report)
    measured: list[TimedProfile] = []
    if chosen is not None:
        from roofline.validate.calibration.profiling import measure_profile

        for entry in roofs if options.threads else roofs[-1:]:
            with progress(f"{chosen}, {entry.mode}") as report:
                measured.append(measure_profile(chosen, entry, report=report))
    remarks = [remark for profile in measured for remark in profile.remarks]
    text = platform_yaml(roofs, key, [profile.entry for profile in measured], remarks)
    write_whole(options.output, text.encode())
    for profile in measured:
        forget(profile.times)
    rows, profiles = _roof_rows(roofs, key), _profile_rows(measured)
    ResultOptions(form=form).emit(
        document=lambda: {"file": str(options.output), "roofs": rows, "profiles": profiles},
        rows=lambda: rows,
        table=lambda: _table(rows, profiles, roofs, remarks, options.output),
    )


def _correct(platform_file: Path, table: Path, form: Format) -> None:
    from roofline.validate.calibration.correcting import correct_file

    found = correct_file(platform_file, table)
    rows = [
        {"class of work": name, "factor": f"{value:.3f}"} for name, value in found.factors.items()
    ]
    remarks = [
        f"mean error on {found.networks} networks: {found.before:.1%} before, {found.after:.1%} after on the same, "
        f"{found.left_out:.1%} on families left out of the fit, each of {found.families} in turn",
    ]
    if found.left_out > found.before:
        remarks.insert(
            0, "warning: networks of other families were predicted better without these factors"
        )
    ResultOptions(form=form).emit(
        document=lambda: {
            "file": str(platform_file),
            "networks": found.networks,
            "families": found.families,
            "mape_before": found.before,
            "mape_after": found.after,
            "mape_family_left_out": found.left_out,
            "corrections": dict(found.factors),
        },
        rows=lambda: rows,
        table=lambda: as_table(rows, remarks=remarks, notes=[f"written to {platform_file}"]),
    )


def _check_backend(backend: str) -> str:
    """Return the name of a backend that is installed.

    Raises:
        MeasurementError: It is not known, not installed, or runs on another machine.
    """
    from roofline.errors import MeasurementError
    from roofline.validate.measuring.backend import backends

    entry = backends.get(backend)
    if entry.missing():
        raise MeasurementError(
            f"calibrating with {backend} needs {entry.missing()}, which is not installed",
            repair=f"Install it (pip install {entry.missing()}), or measure the roofs alone with --backend none",
        )
    return next(name for name in backends if backends.get(name) is entry)


def platform_key(path: Path) -> str:
    """Return a key that can be typed, made of a file's name."""
    return re.sub(r"[^a-z0-9.]+", "-", path.stem.lower()).strip("-.") or "my-machine"


def _roof_rows(roofs: Sequence[Roofs], key: str) -> list[Record]:
    return [
        {
            "platform": f"{key}:{entry.mode}" if len(roofs) > 1 else key,
            "threads": entry.threads,
            **{f"{name}_gop_s": rate / 1e9 for name, rate in sorted(entry.peaks.items())},
            "memory_gb_s": entry.memory / 1e9,
            "cache_gb_s": None if entry.cache is None else entry.cache / 1e9,
        }
        for entry in roofs
    ]


class _ProfileRow(TypedDict):
    backend: str
    version: str
    threads: int
    kinds: int
    samples: int
    failed: dict[str, str]
    lanes: int
    seconds: float


def _profile_rows(measured: Sequence[TimedProfile]) -> list[_ProfileRow]:
    return [
        {
            "backend": found.times.backend,
            "version": found.times.version,
            "threads": found.times.threads,
            "kinds": len(found.profile.samples),
            "samples": sum(len(samples) for samples in found.profile.samples.values()),
            "failed": dict(found.times.failed),
            "lanes": found.profile.lanes,
            "seconds": found.times.seconds,
        }
        for found in measured
    ]


def _table(
    rows: Sequence[Row], profiles: Sequence[_ProfileRow], roofs: Sequence[Roofs], remarks: Sequence[str],
    output: Path,
) -> str:  # fmt: skip
    from roofline.validate.calibration.calibrate import warnings

    lower = [name for name, way in roofs[-1].sources.items() if way == "library"]
    lines = [*warnings(roofs), *remarks]
    lines += [
        f"{row['backend']} {row['version']}, {plural(row['threads'], 'thread')}: "
        f"{plural(row['samples'], 'shape')} of {plural(row['kinds'], 'kind')} "
        f"in {row['seconds']:.0f} s; predict with --model calibrated"
        for row in profiles
    ]
    if lower:
        lines.append(f"lower bounds, from library matrix products: {', '.join(lower)}")
    return as_table(rows, remarks=lines, notes=[f"written to {output}: use it with -p {output}"])
