"""Verdicts of two sets of runs beside each other, and which cells of the second one's campaign are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roofline.markdown import markdown_table
from roofline.number_format import plural
from roofline.validate.analysis.configurations import DENSE, Configuration
from roofline.validate.campaigns.grid import Campaign
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.dlas.runs import compared_configurations
from roofline.validate.studies.dlas.verdicts import Verdict, verdicts

BEGIN, END = "<!-- begin again -->", "<!-- end again -->"
"""Lines between which the section stands on its page."""

PLANNED = "planned"
"""What stands in a cell that no run was made of."""


def section(
    before: Sequence[Measurement], after: Sequence[Measurement], campaign: Campaign
) -> str:
    """Return verdicts before and after, their cases, and the cells of the campaign, in Markdown.

    Args:
        before: Records of the first runs.
        after: Records of the second ones, of any part of the campaign.
        campaign: What the second ones are the part of.
    """
    first, second = (
        {verdict.observation: verdict for verdict in verdicts(compared_configurations(runs))}
        for runs in (before, after)
    )
    again = [name for name, verdict in second.items() if verdict.cases]
    parts = [
        _lead(after, campaign),
        _table(first, second, again),
        *(_cases(second[name]) for name in again),
        _cells(compared_configurations(after), campaign),
    ]
    return "\n\n".join(part for part in parts if part)


def _lead(after: Sequence[Measurement], campaign: Campaign) -> str:
    cpus = sorted({run.environment.cpu for run in after})
    days = sorted({run.timestamp[:10] for run in after})
    well = [run for run in after if run.ok]
    disturbed = sum(bool(run.disturbances) for run in well)
    tuned = [run for run in well if run.job.trials]
    open_kernels = sum(bool(run.untuned_kernels) for run in tuned)
    budgets = sorted({(run.job.trials, run.job.tuning_budget_s) for run in tuned})
    budget = "; ".join(
        f"{trials} schedules a kernel, at most {seconds:g} s a program"
        for trials, seconds in budgets
    )
    return (
        f"{', '.join(cpus)}, {' to '.join(dict.fromkeys((days[0], days[-1])))}; {budget}. "
        f"{len(after)} of {len(campaign.points)} cells are done, {len(after) - len(well)} of them failed; the "
        "others are planned, and nothing is concluded from them. In an undecided case the intervals overlap: the "
        f"difference is within noise. Of the runs {disturbed} were disturbed; of the "
        f"{plural(len(tuned), 'tuned program')} {open_kernels} had kernels left untuned."
    )


def _table(
    first: Mapping[str, Verdict], second: Mapping[str, Verdict], names: Sequence[str]
) -> str:
    rows = [
        (
            name,
            second[name].claim,
            f"{first[name].verdict} ({first[name].counts or 'no case'})",
            f"**{second[name].verdict}** ({second[name].counts})",
        )
        for name in names
    ]
    return markdown_table(["", "observation", "before", "now"], rows)


def _cases(verdict: Verdict) -> str:
    outcome = {True: "for", False: "against", None: "undecided"}
    lines = [
        f"- {outcome[case.holds]}: {case.words}{' (disturbed)' if case.disturbed else ''}"
        for case in verdict.cases
    ]
    return f"<details><summary>{verdict.observation}: {verdict.counts}</summary>\n\n" + "\n".join(
        [*lines, "\n</details>"]
    )


def _cells(found: Sequence[Configuration], campaign: Campaign) -> str:
    """Return the time of every cell, one line for a network and technique."""
    times = {(entry.network, entry.compression.label, _way(entry)): entry for entry in found}
    ways = list(dict.fromkeys(_way(point) for point in campaign.points))
    lines = dict.fromkeys((point.network, point.compression.label) for point in campaign.points)
    known = {(point.network, point.compression.label, _way(point)) for point in campaign.points}
    rows: list[list[str]] = []
    for network, variant in lines:
        cells = [
            _time(times.get((network, variant, way))) if (network, variant, way) in known else ""
            for way in ways
        ]
        rows.append([network, variant or DENSE, *cells])
    header = ["network", "compression", *(" ".join(way) for way in ways)]
    return (
        "Milliseconds on one thread, and between which they lie:\n\n"
        f"{markdown_table(header, rows, numbers_from=2)}"
    )


def _way(point: RunRequest | Configuration) -> tuple[str, ...]:
    backend = "" if point.backend == "tvm" else point.backend
    algorithm = "" if point.algorithm == "default" else point.algorithm
    tuning = "" if point.tuning in {Tuning.NONE, Tuning.BACKEND_DEFAULT} else point.tuning.value
    return tuple(word for word in (backend, algorithm, tuning) if word)


def _time(entry: Configuration | None) -> str:
    if entry is None:
        return PLANNED
    mark = "*" if entry.disturbed else ""
    return f"{entry.seconds * 1e3:.3g}{mark} ({entry.low_s * 1e3:.3g}–{entry.high_s * 1e3:.3g})"
