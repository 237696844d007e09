"""The page of measured DLAS runs: its generated sections, each computed from the records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import Any

from roofline.errors import OptionError
from roofline.markdown import markdown_records
from roofline.number_format import plural
from roofline.validate.analysis.configurations import Ran, footprints, pairs, scaling, tuning_gains
from roofline.validate.records.flag import joined
from roofline.validate.records.record import Measurement
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.dlas.figures import LEAST_MB, measured_figures, representative
from roofline.validate.studies.dlas.runs import compared, printed_range
from roofline.validate.studies.dlas.verdicts import verdicts

_SECTION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def regenerated(page: str, runs: Sequence[Measurement]) -> str:
    """Return the page with its generated sections made anew.

    A section stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

    Args:
        page: The page as it is.
        runs: The records it is made from.

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
        return f"{match.group(1)}{SECTIONS[match.group(2)](runs)}\n{match.group(3)}"

    return _SECTION.sub(section, page)


def _machine(runs: Sequence[Measurement]) -> str:
    from roofline.validate.campaigns.grid import load

    places = [run.environment for run in runs]
    versions: dict[str, set[str]] = {}
    for place in places:
        for name, version in place.versions.items():
            versions.setdefault(name, set()).add(version)
    software = ", ".join(f"{name} {_either(found)}" for name, found in sorted(versions.items()))
    days = sorted({run.timestamp[:10] for run in runs})
    ways = {run.job.protocol for run in runs}
    protocol = "; ".join(
        f"batch 1, the first run discarded, median of up to {way.runs} runs within {way.sampling_s:g} s"
        for way in sorted(ways, key=repr)
    )
    targets = {run.compiled_for for run in runs if run.job.backend == "tvm" and run.compiled_for}
    tuned = {(r.job.trials, r.job.tuning_budget_s) for r in runs if r.job.tuning is Tuning.TUNED}
    tuning = "; ".join(
        f"{trials} schedules per kernel, at most {budget:g} s per program"
        for trials, budget in sorted(tuned)
    )
    well = [run for run in runs if run.ok]
    marked = [one for one in compared(well) if one.disturbed]
    rounds = {one.rounds for one in compared(well)}
    rows = [
        ("processor", _either({place.cpu for place in places})),
        ("cores", _either({str(place.cores) for place in places})),
        ("memory", _either({f"{place.memory_bytes / 1e9:.0f} GB" for place in places})),
        ("system and software", software),
        ("TVM's target", _either({target.split(" -num-cores")[0] for target in targets})),
        ("tuning", tuning),
        ("protocol", protocol),
        ("days", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else ""),
        (
            "runs",
            f"{len(runs)} of {len(load('dlas-reduced'))}: {len(well)} ended well, "
            f"{len(runs) - len(well)} did not; {len(marked)} disturbed",
        ),
        ("rounds", _either({str(number) for number in rounds})),
    ]
    return _table([{"": f"**{name}**", "this machine": value} for name, value in rows if value])


def _either(values: Iterable[str]) -> str:
    return " or ".join(sorted(value for value in values if value))


def _observations(runs: Sequence[Measurement]) -> str:
    decided = verdicts(compared(runs))
    rows = [
        {
            "": one.observation,
            "observation": one.claim,
            "verdict": f"**{one.verdict}**",
            "cases": one.counts,
        }
        for one in decided
    ]
    parts = [_table(rows)]
    for one in decided:
        parts.append(f"### {one.observation}: {one.verdict}")
        remark = f" {one.remark[0].upper()}{one.remark[1:]}." if one.remark else ""
        parts.append(f"{one.claim[0].upper()}{one.claim[1:]}. *{one.rule}*{remark}")
        if one.cases:
            lines = [
                f"- {_OUTCOME[case.holds]}{' (disturbed)' if case.disturbed else ''}: {case.words}"
                for case in one.cases
            ]
            listed = "\n".join(lines)
            if len(lines) > _FOLDED:
                listed = f"<details><summary>{one.counts}</summary>\n\n{listed}\n\n</details>"
            parts.append(listed)
    return "\n\n".join(parts)


_FOLDED = 8
"""Cases up to which they are shown without a click."""

_OUTCOME = {True: "for", False: "against", None: "undecided"}


def _pictured(
    runs: Sequence[Measurement], rows: Sequence[Mapping[str, Any]], **pictures: str
) -> str:
    """Return pictures that the runs have data for, each with its title, and a table."""
    drawn = measured_figures(compared(runs))
    shown = [
        f"![{title}](images/dlas_{name}.png)" for name, title in pictures.items() if name in drawn
    ]
    return "\n\n".join([*shown, _table(rows)])


def _speedups(runs: Sequence[Measurement]) -> str:
    rows: list[dict[str, Any]] = []
    for base, one in pairs(compared(runs)):
        gain = base.seconds / one.seconds
        printed = printed_range(one)
        rows.append(
            {
                **_named(one),
                "dense, ms": _short(base.seconds * 1e3),
                "ms": _short(one.seconds * 1e3),
                "expected": f"{_short(one.expected)}x",
                "achieved": f"{_short(gain)}x",
                "between": f"{_short(base.low_s / one.high_s)} and {_short(base.high_s / one.low_s)}",
                "share": f"{100 * gain / one.expected:.0f} %",
                "the paper's CPUs": f"{printed[0]:g} to {printed[1]:g} %" if printed else "",
                "disturbed": "yes" if base.disturbed or one.disturbed else "",
            }
        )
    return _pictured(
        runs,
        rows,
        speedup_tuned="Expected and achieved speed-up of tuned programs",
        speedup_untuned="Expected and achieved speed-up of untuned programs",
    )


def _named(one: Ran) -> dict[str, Any]:
    algorithm = one.algorithm.replace("_", " ") if one.algorithm != "default" else one.backend
    tuning = f" {one.tuning}" if one.tuning is not Tuning.NONE else ""
    return {
        "network": one.network,
        "technique": one.shown_technique,
        "algorithm": f"{algorithm}{tuning}",
    }


def _threads(runs: Sequence[Measurement]) -> str:
    rows = [
        {
            "network": row["network"],
            "run by": row["backend"],
            "threads": row["threads"],
            "frames/s": _short(row["measured_fps"]),
            "speed-up": f"{row['thread_speedup']:.2f}x",
            "per thread": f"{100 * row['parallel_efficiency']:.0f} %",
        }
        for row in scaling(compared(runs))
    ]
    return _pictured(runs, rows, threads="Throughput over threads")


def _tuning(runs: Sequence[Measurement]) -> str:
    rows = [
        {
            "network": row["network"],
            "technique": row["technique"],
            "algorithm": row["backend"].split()[-1].replace("_", " "),
            "threads": row["threads"],
            "untuned, ms": _short(row["untuned_ms"]),
            "tuned, ms": _short(row["tuned_ms"]),
            "gain": f"{_short(row['tuning_speedup'])}x",
        }
        for row in tuning_gains(compared(runs))
    ]
    title = "Time by network, technique, algorithm and tuning"
    return _pictured(runs, rows, algorithms=title)


def _memory(runs: Sequence[Measurement]) -> str:
    found = footprints(representative(compared(runs)))
    rows = [
        {
            "network": row["network"],
            "technique": row["technique"],
            "run by": row["backend"],
            "needed, MB": f"{row['predicted_mb']:.1f}",
            "resident, MB": f"{row['measured_mb']:.0f}",
            "needed beyond the least, MB": f"{row['predicted_beyond_least_mb']:.1f}",
            "resident beyond the least, MB": f"{row['measured_beyond_least_mb']:.1f}",
        }
        for row in found
    ]
    return f"{_pictured(runs, rows, memory='Resident and needed memory')}\n\n{_copies(found)}"


def _copies(found: Sequence[Mapping[str, Any]]) -> str:
    """Return by how much the resident set grows with what is needed, for each backend."""
    growth: dict[str, list[float]] = {}
    for row in found:
        if row["predicted_beyond_least_mb"] >= LEAST_MB:
            share = row["measured_beyond_least_mb"] / row["predicted_beyond_least_mb"]
            growth.setdefault(row["backend"].split()[0], []).append(share)
    return "\n".join(
        f"- {backend}: the resident set grows by {_short(min(shares))} to {_short(max(shares))} MB "
        f"(median {_short(median(shares))}) for each MB that is needed more."
        for backend, shares in growth.items()
    )


def _troubles(runs: Sequence[Measurement]) -> str:
    lines = [f"- {_title(run)}: {run.status.value}: {run.reason}" for run in runs if not run.ok]
    lines += [
        f"- {_title(run)}: {joined(run.disturbances)}"
        for run in runs
        if run.ok and run.disturbances
    ]
    return "\n".join(lines) or "None."


def _title(run: Measurement) -> str:
    job = run.job
    words = (job.network, job.compression.label if job.compression.pruned else "",
             job.datatype if job.datatype != "fp32" else "", job.backend, job.algorithm, job.tuning,
             plural(job.threads, "thread"))  # fmt: skip
    return " ".join(word for word in words if word not in {"", "default", "none"})


def _short(value: float) -> str:
    """Return a number of three digits, without an exponent."""
    return f"{float(f'{value:.3g}'):.15g}"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table; columns that are empty in every row are left out."""
    if not rows:
        return "No run of the records speaks to it."
    names = [name for name in rows[0] if any(row[name] != "" for row in rows)]
    return markdown_records([{name: row[name] for name in names} for row in rows])


SECTIONS: Mapping[str, Callable[[Sequence[Measurement]], str]] = MappingProxyType(
    {
        "machine": _machine,
        "observations": _observations,
        "speedups": _speedups,
        "threads": _threads,
        "tuning": _tuning,
        "memory": _memory,
        "troubles": _troubles,
    }
)
"""What makes each section of the page from the records."""
