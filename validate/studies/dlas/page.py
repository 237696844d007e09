"""The page of measured DLAS runs: its generated sections, each computed from the records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from types import MappingProxyType

from roofline.errors import OptionError
from roofline.markdown import markdown_records
from roofline.number_format import plural
from roofline.tables import Record, Row
from roofline.validate.analysis.configurations import Configuration, pairs
from roofline.validate.analysis.derived import Footprint, footprints, scaling, tuning_gains
from roofline.validate.campaigns.grid import load
from roofline.validate.records.flag import join_flags
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import SPREAD_S
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.dlas.figures import LEAST_MB, measured_figures, representative
from roofline.validate.studies.dlas.run_set import PageRuns
from roofline.validate.studies.dlas.runs import compared_configurations, printed_range
from roofline.validate.studies.dlas.verdict_tables import (
    CAMPAIGN,
    comparison,
    imagenet,
    observations,
    times,
)

_SECTION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def regenerate(page: str, shown: PageRuns) -> str:
    """Return the page with its generated sections made anew.

    A section stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

    Args:
        page: The page as it is.
        shown: The runs it is made from.

    Raises:
        OptionError: The page names a section that is none of `SECTIONS`, or lacks one of them.
    """
    named = [match.group(2) for match in _SECTION.finditer(page)]
    if sorted(named) != sorted(SECTIONS):
        raise OptionError(
            f"the page has the sections {', '.join(named) or 'none'}",
            repair=f"It must have each of these once: {', '.join(SECTIONS)}",
        )

    def section(match: re.Match[str]) -> str:
        return f"{match.group(1)}{SECTIONS[match.group(2)](shown)}\n{match.group(3)}"

    return _SECTION.sub(section, page)


def _spread_text(runs: Sequence[Measurement]) -> str:
    """Return over how long the samples of runs by one protocol are spread, and how many are not."""
    least = min(SPREAD_S, runs[0].job.protocol.sampling_s)
    timed = [run.wall_s for run in runs if run.ok and run.wall_s is not None]
    rushed = sum(wall < 0.95 * least for wall in timed)
    if rushed == len(timed):
        return ""
    exception = f", of {rushed} cells one after the other" if rushed else ""
    return f", spread over {least:g} s at least{exception}"


def _machine(shown: PageRuns) -> str:
    runs = shown.here.runs
    places = [run.environment for run in runs]
    versions: dict[str, set[str]] = {}
    for place in places:
        for name, version in place.versions.items():
            versions.setdefault(name, set()).add(version)
    software = ", ".join(
        f"{name} {_alternatives(found)}" for name, found in sorted(versions.items())
    )
    days = sorted({run.timestamp[:10] for run in runs})
    ways = {run.job.protocol for run in runs}
    protocol = "; ".join(
        f"batch 1, the first run discarded, median of up to {way.runs} runs within {way.sampling_s:g} s"
        f"{_spread_text([run for run in runs if run.job.protocol == way])}"
        for way in sorted(ways, key=repr)
    )
    targets = {run.compiled_for for run in runs if run.job.backend == "tvm" and run.compiled_for}
    tuned = {(r.job.trials, r.job.tuning_budget_s) for r in runs if r.job.tuning is Tuning.TUNED}
    tuning = "; ".join(
        f"{trials} schedules per kernel, at most {budget:g} s per program"
        for trials, budget in sorted(tuned)
    )
    well = [run for run in runs if run.ok]
    marked = [entry for entry in compared_configurations(well) if entry.disturbed]
    rounds = {entry.rounds for entry in compared_configurations(well)}
    rows = [
        ("processor", _alternatives({place.cpu for place in places})),
        ("cores", _alternatives({str(place.cores) for place in places})),
        ("memory", _alternatives({f"{place.memory_bytes / 1e9:.0f} GB" for place in places})),
        ("system and software", software),
        ("TVM's target", _alternatives({target.split(" -num-cores")[0] for target in targets})),
        ("tuning", tuning),
        ("protocol", protocol),
        ("days", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else ""),
        (
            "runs",
            f"{len(runs)} of {len(load(CAMPAIGN))}: {len(well)} ended well, "
            f"{len(runs) - len(well)} did not; {len(marked)} disturbed",
        ),
        ("rounds", _alternatives({str(number) for number in rounds})),
    ]
    return _table([{"": f"**{name}**", "this machine": value} for name, value in rows if value])


def _alternatives(values: Iterable[str]) -> str:
    return " or ".join(sorted(value for value in values if value))


def _pictures(runs: Sequence[Measurement], rows: Sequence[Row], **pictures: str) -> str:
    """Return pictures that the runs have data for, each with its title, and a table."""
    drawn = measured_figures(compared_configurations(runs))
    shown = [
        f"![{title}](images/dlas_{name}.png)" for name, title in pictures.items() if name in drawn
    ]
    return "\n\n".join([*shown, _table(rows)])


def _speedups(shown: PageRuns) -> str:
    runs = shown.here.runs
    rows: list[Record] = []
    for base, entry in pairs(compared_configurations(runs)):
        gain = base.seconds / entry.seconds
        printed = printed_range(entry)
        rows.append(
            {
                **_name_cells(entry),
                "dense, ms": _three_digits(base.seconds * 1e3),
                "ms": _three_digits(entry.seconds * 1e3),
                "expected": f"{_three_digits(entry.expected)}x",
                "achieved": f"{_three_digits(gain)}x",
                "between": f"{_three_digits(base.low_s / entry.high_s)} and {_three_digits(base.high_s / entry.low_s)}",
                "share": f"{100 * gain / entry.expected:.0f} %",
                "the paper's CPUs": f"{printed[0]:g} to {printed[1]:g} %" if printed else "",
                "disturbed": "yes" if base.disturbed or entry.disturbed else "",
            }
        )
    return _pictures(
        runs,
        rows,
        speedup_tuned="Expected and achieved speed-up of tuned programs",
        speedup_untuned="Expected and achieved speed-up of untuned programs",
    )


def _name_cells(entry: Configuration) -> Record:
    algorithm = (
        entry.algorithm.replace("_", " ") if entry.algorithm != "default" else entry.backend
    )
    tuning = f" {entry.tuning}" if entry.tuning is not Tuning.NONE else ""
    return {
        "network": entry.network,
        "technique": entry.shown_technique,
        "algorithm": f"{algorithm}{tuning}",
    }


def _threads(shown: PageRuns) -> str:
    runs = shown.here.runs
    rows = [
        {
            "network": entry.configuration.network,
            "run by": entry.configuration.run_by,
            "threads": entry.configuration.threads,
            "frames/s": _three_digits(entry.measured_fps),
            "speed-up": f"{entry.thread_speedup:.2f}x",
            "per thread": f"{100 * entry.parallel_efficiency:.0f} %",
        }
        for entry in scaling(compared_configurations(runs))
    ]
    return _pictures(runs, rows, threads="Throughput over threads")


def _tuning(shown: PageRuns) -> str:
    runs = shown.here.runs
    rows = [
        {
            "network": entry.configuration.network,
            "technique": entry.configuration.shown_technique,
            "algorithm": entry.configuration.algorithm.replace("_", " "),
            "threads": entry.configuration.threads,
            "untuned, ms": _three_digits(entry.untuned_ms),
            "tuned, ms": _three_digits(entry.tuned_ms),
            "gain": f"{_three_digits(entry.tuning_speedup)}x",
        }
        for entry in tuning_gains(compared_configurations(runs))
    ]
    title = "Time by network, technique, algorithm and tuning"
    return _pictures(runs, rows, algorithms=title)


def _memory(shown: PageRuns) -> str:
    runs = shown.here.runs
    found = footprints(representative(compared_configurations(runs)))
    rows = [
        {
            "network": entry.configuration.network,
            "technique": entry.configuration.shown_technique,
            "run by": entry.configuration.run_by,
            "needed, MB": f"{entry.predicted_mb:.1f}",
            "resident, MB": f"{entry.measured_mb:.0f}",
            "needed beyond the least, MB": f"{entry.predicted_beyond_least_mb:.1f}",
            "resident beyond the least, MB": f"{entry.measured_beyond_least_mb:.1f}",
        }
        for entry in found
    ]
    parts = [_pictures(runs, rows, memory="Resident and needed memory"), _copies(found)]
    return "\n\n".join(part for part in parts if part)


def _copies(found: Sequence[Footprint]) -> str:
    """Return by how much the resident set grows with what is needed, for each backend."""
    growth: dict[str, list[float]] = {}
    for entry in found:
        if entry.predicted_beyond_least_mb >= LEAST_MB:
            share = entry.measured_beyond_least_mb / entry.predicted_beyond_least_mb
            growth.setdefault(entry.configuration.backend, []).append(share)
    return "\n".join(
        f"- {backend}: the resident set grows by {_three_digits(min(shares))} to {_three_digits(max(shares))} MB "
        f"(median {_three_digits(median(shares))}) for each MB that is needed more."
        for backend, shares in growth.items()
    )


def _troubles(shown: PageRuns) -> str:
    runs = shown.here.runs
    lines = [f"- {_title(run)}: {run.status.value}: {run.reason}" for run in runs if not run.ok]
    lines += [
        f"- {_title(run)}: {join_flags(run.disturbances)}"
        for run in runs
        if run.ok and run.disturbances
    ]
    return "\n".join(lines) or "None."


def _title(run: Measurement) -> str:
    job = run.job
    words = (job.network, job.compression.label if job.compression.is_pruned else "",
             job.datatype if job.datatype != "fp32" else "", job.backend, job.algorithm, job.tuning,
             plural(job.threads, "thread"))  # fmt: skip
    return " ".join(word for word in words if word not in {"", "default", "none"})


def _three_digits(value: float) -> str:
    """Return a number of three digits, without an exponent."""
    return f"{float(f'{value:.3g}'):.15g}"


def _table(rows: Sequence[Row]) -> str:
    """Return a Markdown table; columns that are empty in every row are left out."""
    if not rows:
        return "No run of the records speaks to it."
    names = [name for name in rows[0] if any(row[name] != "" for row in rows)]
    return markdown_records([{name: row[name] for name in names} for row in rows])


SECTIONS: Mapping[str, Callable[[PageRuns], str]] = MappingProxyType(
    {
        "machine": _machine,
        "verdicts": comparison,
        "observations": observations,
        "times": times,
        "imagenet": imagenet,
        "speedups": _speedups,
        "threads": _threads,
        "tuning": _tuning,
        "memory": _memory,
        "troubles": _troubles,
    }
)
"""What makes each section of the page from the records."""
