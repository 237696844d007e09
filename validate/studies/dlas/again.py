"""Verdicts of two sets of runs beside each other, the second timed in turns too, and which of its cells are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roofline.markdown import markdown_table
from roofline.number_format import plural
from roofline.validate.analysis.configurations import DENSE, Configuration
from roofline.validate.campaigns.grid import Campaign
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.dlas.in_turns import CONFIDENCE, Session, configurations_in_turns
from roofline.validate.studies.dlas.runs import compared_configurations
from roofline.validate.studies.dlas.verdicts import Verdict, verdicts

BEGIN, END = "<!-- begin again -->", "<!-- end again -->"
"""Lines between which the section stands on its page."""

PLANNED = "planned"
"""What stands in a cell that no run was made of."""


Verdicts = Mapping[str, Verdict]
"""Verdicts by observation."""


def section(
    before: Sequence[Measurement],
    after: Sequence[Measurement],
    campaign: Campaign,
    sessions: Sequence[Session] = (),
) -> str:
    """Return verdicts before, after and in turns, their cases, and the cells of the campaign, in Markdown.

    Args:
        before: Records of the first runs.
        after: Records of the second ones, of any part of the campaign.
        campaign: What the second ones are the part of.
        sessions: Programs of the second ones that were timed in turns too.
    """
    found = (
        compared_configurations(before),
        compared_configurations(after),
        configurations_in_turns(after, sessions),
    )
    every = [{verdict.observation: verdict for verdict in verdicts(entries)} for entries in found]
    again = [name for name, verdict in every[1].items() if verdict.cases]
    parts = [
        _lead(after, campaign),
        _told_of_turns(sessions),
        _table(every, again),
        *(_cases(every[1][name], every[2][name]) for name in again),
        _cells(
            "Milliseconds on one thread, and between which they lie", found[1], campaign, PLANNED
        ),
        _cells("The same in turns", found[2], campaign, "–") if found[2] else "",
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


def _told_of_turns(sessions: Sequence[Session]) -> str:
    if not sessions:
        return ""
    programs = {one.point for one in sessions}
    hours = sorted({one.when[:16].replace("T", " ") for one in sessions})
    turns = sorted({len(one.seconds) for one in sessions})
    return (
        f"In turns: {len(programs)} of these programs, those of a network in one process, one after the other, "
        f"{' or '.join(map(str, turns))} turns a session; sessions began at {', '.join(hours)} UTC, and others took "
        f"{max(one.others for one in sessions):.0%} of the CPU time at most. A time is the median of the turns, its "
        f"interval that of this median at {CONFIDENCE:.0%}, over all sessions; what another search of the tuner "
        "would have found is not in it."
    )


def _table(every: Sequence[Verdicts], names: Sequence[str]) -> str:
    first, second, turns = every
    header = ["", "observation", "before", "now"]
    timed = any(verdict.cases for verdict in turns.values())
    rows: list[list[str]] = []
    for name in names:
        row = [name, second[name].claim, _outcome(first[name], mark=""), _outcome(second[name])]
        rows.append([*row, _outcome(turns[name])] if timed else row)
    return markdown_table([*header, "in turns"] if timed else header, rows)


def _outcome(verdict: Verdict, mark: str = "**") -> str:
    if not verdict.cases:
        return "no case"
    return f"{mark}{verdict.verdict}{mark} ({verdict.counts})"


def _cases(verdict: Verdict, turns: Verdict) -> str:
    lines = _case_lines(verdict)
    summary = f"{verdict.observation}: {verdict.counts}"
    if turns.cases:
        summary += f"; in turns {turns.counts}"
        lines += ["", "In turns:", "", *_case_lines(turns)]
    return f"<details><summary>{summary}</summary>\n\n" + "\n".join([*lines, "\n</details>"])


def _case_lines(verdict: Verdict) -> list[str]:
    outcome = {True: "for", False: "against", None: "undecided"}
    return [
        f"- {outcome[case.holds]}: {case.words}{' (disturbed)' if case.disturbed else ''}"
        for case in verdict.cases
    ]


def _cells(title: str, found: Sequence[Configuration], campaign: Campaign, missing: str) -> str:
    """Return the time of every cell, one line for a network and technique."""
    times = {(entry.network, entry.compression.label, _way(entry)): entry for entry in found}
    ways = list(dict.fromkeys(_way(point) for point in campaign.points))
    lines = dict.fromkeys((point.network, point.compression.label) for point in campaign.points)
    known = {(point.network, point.compression.label, _way(point)) for point in campaign.points}
    rows: list[list[str]] = []
    for network, variant in lines:
        cells = [
            _time(times.get((network, variant, way)), missing)
            if (network, variant, way) in known
            else ""
            for way in ways
        ]
        rows.append([network, variant or DENSE, *cells])
    header = ["network", "compression", *(" ".join(way) for way in ways)]
    return f"{title}:\n\n{markdown_table(header, rows, numbers_from=2)}"


def _way(point: RunRequest | Configuration) -> tuple[str, ...]:
    backend = "" if point.backend == "tvm" else point.backend
    algorithm = "" if point.algorithm == "default" else point.algorithm
    tuning = "" if point.tuning in {Tuning.NONE, Tuning.BACKEND_DEFAULT} else point.tuning.value
    return tuple(word for word in (backend, algorithm, tuning) if word)


def _time(entry: Configuration | None, missing: str) -> str:
    if entry is None:
        return missing
    mark = "*" if entry.disturbed else ""
    return f"{entry.seconds * 1e3:.3g}{mark} ({entry.low_s * 1e3:.3g}–{entry.high_s * 1e3:.3g})"
