"""The papers' figures, drawn from the published tables with the charts that serve any data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roofline.chart import Chart, Options, charts, save
from roofline.errors import OptionError
from roofline.validate.records.record import Measurement
from roofline.validate.studies import reproduce
from roofline.validate.studies.dlas import runs as dlas_runs
from roofline.validate.studies.dlas.figures import measured_figures
from roofline.validate.studies.dlas.published import speedup
from roofline.validate.studies.networks import required
from roofline.validate.studies.qutibench.figures import qutibench_figures
from roofline.workloads.published import table

_TURNER = ("vgg16_cifar10", "resnet18_cifar10", "mobilenet_v1_cifar10")
_SUFFIXES = (".png", ".svg")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a paper."""

    name: str
    """Of the file, without its suffix: ``fig06_latency_throughput``."""
    chart: Chart


def figures(
    paper: str, runs: Path | None = None, *, records: Sequence[Measurement] | None = None
) -> tuple[Figure, ...]:
    """Return every figure of a paper that data allows.

    Args:
        paper: ``qutibench``, ``turner`` or ``dlas``.
        runs: For QuTiBench the portal's own table of measurements; without it figures over batches show the two or
            three batches of each configuration that are shipped.
        records: For DLAS the measured runs that are drawn; None is those shipped.

    Raises:
        OptionError: No paper has that name, or it takes no runs.
        TableError: The table of measurements cannot be read.
    """
    if runs is not None and paper != "qutibench":
        raise OptionError(
            f"{paper} has no table of measurements to read", repair="Leave out --runs"
        )
    rows = [
        {"table": held.name.split(" (")[0], "cell": cell.cell, "published": cell.published, "ours": cell.ours,
         "agrees": str(cell.agrees)}
        for held in (reproduce(paper) if records is None else dlas_runs.tables(records))
        for cell in held.cells
    ]  # fmt: skip
    title = "Recomputed figures over published ones"
    scorecard = Figure("scorecard", charts.get("agreement").compute(rows, Options(title=title)))
    own = {
        "qutibench": lambda: qutibench_figures(runs),
        "turner": _turner,
        "dlas": lambda: _dlas(records),
    }[paper]()
    return (*(Figure(name, chart) for name, chart in own.items()), scorecard)


def draw_figures(
    paper: str,
    folder: Path,
    runs: Path | None = None,
    report: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
    *,
    records: Sequence[Measurement] | None = None,
) -> list[Path]:
    """Draw every figure of a paper as PNG and SVG.

    Args:
        paper: ``qutibench``, ``turner`` or ``dlas``.
        folder: Where to; it is made when it is absent.
        runs: See `figures`.
        report: Is told the name of each figure before it is drawn, how many are done, and how many there are.
        records: See `figures`.

    Returns:
        The files.

    Raises:
        OptionError: The folder cannot be made or written.
        MissingPackageError: matplotlib is not installed.
    """
    drawn = figures(paper, runs, records=records)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"cannot make the folder {folder}: {error.strerror}", repair="Name another"
        ) from error
    paths: list[Path] = []
    for number, figure in enumerate(drawn):
        report(figure.name, number, len(drawn))
        picture = figure.chart.figure()
        for suffix in _SUFFIXES:
            paths.append(folder / f"{figure.name}{suffix}")
            save(picture, paths[-1])
    return paths


def _turner() -> Mapping[str, Chart]:
    rows = [
        {"network": key, "ops": required(key).ops, "parameters": required(key).weights}
        for key in _TURNER
    ]
    title = "Operations and weights of the networks of Turner et al."
    return {"requirements": charts.get("requirements").compute(rows, Options(title=title))}


def _dlas(records: Sequence[Measurement] | None) -> Mapping[str, Chart]:
    runs = dlas_runs.shipped() if records is None else records
    measured = measured_figures(dlas_runs.compared(runs))
    return {**_printed(), **{f"measured_{name}": chart for name, chart in measured.items()}}


def _printed() -> Mapping[str, Chart]:
    expected = {
        row["technique"]: speedup(row["technique"], row["removed_share"])
        for row in table("dlas_expected")
    }
    rows = [
        {
            "network": row["dataset"], "platform": row["platform"],
            "backend": "tuned" if row["tuned"] == "yes" else "untuned", "technique": row["technique"],
            "expected_speedup": expected[row["technique"]], "achieved_percent": row["achieved_percent"],
            "achieved_speedup": expected[row["technique"]] * row["achieved_percent"] / 100,
            "device": row["device"],
        }
        for row in table("dlas_achieved")
        if row["achieved_percent"]
    ]  # fmt: skip
    shares = [
        {
            "platform": f"{row['network']} {row['platform']} {row['backend']}", "network": row["technique"],
            "achieved_percent": row["achieved_percent"],
        }
        for row in rows
    ]  # fmt: skip
    options = Options(title="Achieved percent of the expected speed-up", value="achieved_percent")
    found: dict[str, Chart] = {"achieved_percent": charts.get("heatmap").compute(shares, options)}
    for device in ("cpu", "gpu"):
        # Networks were pruned to different shares of their channels, so their mean percentage is of no one speed-up.
        own = [r for r in rows if r["device"] == device and r["technique"] != "channel pruning"]
        options = Options(title=f"Expected and achieved speed-up, {device.upper()}")
        found[f"speedup_{device}"] = charts.get("speedup").compute(own, options)
    return found


__all__ = ["Figure", "draw_figures", "figures"]
