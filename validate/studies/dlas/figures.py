"""Figures of measured DLAS runs, drawn with the charts that serve any data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from roofline.chart import Chart, Options, charts, save
from roofline.chart._panels import facets
from roofline.chart.heatmap import compute as heatmap
from roofline.errors import OptionError
from roofline.tables import Record
from roofline.validate.analysis.configurations import Configuration, pairs
from roofline.validate.analysis.derived import footprints, rows, scaling
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.dlas.runs import order_of_way

TECHNIQUES = ("channel pruning", "weight pruning", "int8", "fp16")
"""In the order shown."""

LEAST_MB = 1.0
"""Smaller differences drown in those of the runtime itself."""


def measured_figures(found: Sequence[Configuration]) -> Mapping[str, Chart]:
    """Return the figures that the runs have data for, by name.

    Args:
        found: Configurations, as `dlas_runs.compared` returns them.
    """
    drawn: dict[str, Chart] = {}
    for tuning in (Tuning.TUNED, Tuning.UNTUNED):
        gains = list(_gains(found, tuning))
        if gains:
            options = Options(title=f"Expected and achieved speed-up, {tuning}")
            drawn[f"speedup_{tuning}"] = facets(charts.get("speedup"), gains, options, "network")
    times = list(_times(found))
    if times:
        options = Options(title="Time of an inference, one thread", value="median_ms")
        drawn["algorithms"] = replace(heatmap(times, options), across=_columns(found))
    threads = rows(scaling(found))
    if threads:
        options = Options(title="Throughput over threads")
        drawn["threads"] = charts.get("curves").compute(threads, options)
    memory = list(_memory(found))
    if memory:
        title = "Memory beyond the run that needs least"
        x, y = "predicted_beyond_least_mb", "measured_beyond_least_mb"
        options = Options(title=title, x=x, y=y)
        drawn["memory"] = charts.get("curves").compute(memory, options)
    return drawn


def draw_measured(found: Sequence[Configuration], folder: Path) -> list[Path]:
    """Draw the figures as PNG: ``dlas_threads.png``.

    Raises:
        OptionError: The folder cannot be made.
        MissingPackageError: matplotlib is not installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"cannot make the folder {folder}: {error.strerror}") from error
    paths: list[Path] = []
    for name, chart in measured_figures(found).items():
        paths.append(folder / f"dlas_{name}.png")
        save(chart.figure(), paths[-1])
    return paths


def _gains(found: Iterable[Configuration], tuning: Tuning) -> Iterable[Record]:
    # What has no tuning stands beside the tuned: both are what a user would run.
    wanted = {Tuning.TUNED, Tuning.NONE} if tuning is Tuning.TUNED else {tuning}
    chosen = [
        (base, entry)
        for base, entry in pairs(found)
        if entry.threads == 1 and entry.tuning in wanted and entry.technique in TECHNIQUES
    ]
    of_network = Counter(entry.network for _, entry in chosen)
    for base, entry in sorted(chosen, key=lambda pair: TECHNIQUES.index(pair[1].technique)):
        # A panel of one bar compares nothing; the table beside the picture has it.
        if of_network[entry.network] == 1:
            continue
        yield {
            "network": entry.network,
            "technique": entry.shown_technique,
            "backend": entry.algorithm.replace("_", " ")
            if entry.backend == "tvm"
            else entry.backend,
            "expected_speedup": entry.expected,
            "achieved_speedup": base.seconds / entry.seconds,
        }


def _times(found: Iterable[Configuration]) -> Iterable[Record]:
    order = ("dense", *TECHNIQUES)
    chosen = [entry for entry in found if entry.threads == 1 and entry.technique in order]
    networks = list(dict.fromkeys(entry.network for entry in chosen))
    for entry in sorted(
        chosen, key=lambda entry: (networks.index(entry.network), order.index(entry.technique))
    ):
        yield {
            "platform": f"{entry.network}  {entry.shown_technique}",
            "network": _column(entry),
            "median_ms": entry.seconds * 1e3,
        }


def _columns(found: Iterable[Configuration]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_column(entry) for entry in sorted(found, key=order_of_way)))


def _column(entry: Configuration) -> str:
    if entry.backend != "tvm":
        return entry.backend
    return f"{entry.tuning} {entry.algorithm.replace('_', ' ')}"


def representative(found: Iterable[Configuration]) -> list[Configuration]:
    """Return one run for each network, technique and backend: memory hardly depends on the algorithm or on tuning.

    Direct convolution where it was tuned, else the first that was.
    """
    chosen: dict[tuple[str, str, str, str], Configuration] = {}
    for entry in found:
        if entry.threads != 1 or entry.tuning is Tuning.UNTUNED:
            continue
        key = (entry.network, entry.technique, entry.variant, entry.backend)
        if key not in chosen or entry.algorithm == "direct":
            chosen[key] = entry
    return list(chosen.values())


def _memory(found: Iterable[Configuration]) -> Iterable[Record]:
    columns = ("predicted_beyond_least_mb", "measured_beyond_least_mb")
    reached: list[float] = []
    for entry in footprints(representative(found)):
        needed, resident = entry.predicted_beyond_least_mb, entry.measured_beyond_least_mb
        if needed >= LEAST_MB and resident > 0:
            reached.append(needed)
            yield {
                "network": entry.configuration.network,
                "backend": entry.configuration.backend,
                **dict(zip(columns, (needed, resident), strict=True)),
            }
    for needed in sorted({min(reached), max(reached)}) if reached else ():
        yield {"network": "as needed", "backend": "", **dict.fromkeys(columns, needed)}
