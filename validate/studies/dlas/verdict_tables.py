"""Sections of the page about the verdicts: beside those of another machine, their cases, and the times they rest on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from roofline.markdown import markdown_table
from roofline.number_format import number, plural
from roofline.validate.analysis.configurations import DENSE, Configuration
from roofline.validate.campaigns.grid import Campaign, load
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.dlas.in_turns import Session
from roofline.validate.studies.dlas.run_set import PageRuns, RunSet
from roofline.validate.studies.dlas.runs import order_of_way
from roofline.validate.studies.dlas.verdicts import Verdict, verdicts

CAMPAIGN = "dlas-tuned"
"""The campaign that the page is about."""

IMAGENET_CAMPAIGN = "dlas-imagenet"
"""The campaign of networks of ImageNet's size."""

PLANNED = "planned"
"""What stands in a cell that no run was made of."""

FAILED = "failed"
"""What stands in a cell whose run did not end well."""

_ALONE = "each alone"

_FOLDED = 8
"""Cases up to which they are shown without a click."""

_OUTCOME = {True: "for", False: "against", None: "undecided"}

Verdicts = Mapping[str, Verdict]
"""Verdicts by observation."""


def comparison(shown: PageRuns) -> str:
    """Return what is done and what is planned, and a table of the verdicts, those of the other machine beside them."""
    campaign = load(CAMPAIGN)
    sets = [(shown.here, ""), (shown.elsewhere, f"`{_target(shown.elsewhere)}`, ")]
    columns: list[tuple[str, Verdicts]] = []
    for one, name in sets:
        judged = _judge(one) if one.runs else {}
        columns += [(f"{name}{way}", found) for way, found in judged.items()]
    parts = [
        _progress(shown.here, campaign),
        _describe_turns(shown.here.before_pairs.sessions, "In turns, judged by intervals"),
        _describe_turns(shown.here.since_pairs.sessions, "In turns, judged in pairs"),
        _describe_elsewhere(shown.elsewhere),
        _table(columns),
    ]
    return "\n\n".join(part for part in parts if part)


def observations(shown: PageRuns) -> str:
    """Return every observation with its rule and its cases."""
    judged = _judge(shown.here)
    parts: list[str] = []
    for name, verdict in judged[_ALONE].items():
        parts.append(f"### {name}: {verdict.verdict}")
        remark = f" {verdict.remark[0].upper()}{verdict.remark[1:]}." if verdict.remark else ""
        parts.append(f"{verdict.claim[0].upper()}{verdict.claim[1:]}. *{verdict.rule}*{remark}")
        parts += [
            _cases(f"{words}: {found.verdict}, {found.counts}", found)
            for words, found in ((way.capitalize(), found[name]) for way, found in judged.items())
            if found.cases
        ]
    return "\n\n".join(parts)


def times(shown: PageRuns) -> str:
    """Return the time of every cell of the campaign, alone and in turns."""
    campaign = load(CAMPAIGN)
    parts = [_cells_alone(shown.here, campaign)]
    if shown.here.sessions:
        untimed = {point.key: "–" for point in campaign.points}
        parts.append(_cells("The same in turns", shown.here.in_turns, campaign, untimed))
    return "\n\n".join(parts)


def imagenet(shown: PageRuns) -> str:
    """Return what is done of the campaign of ImageNet's networks, their times, and the cases that they make."""
    one, campaign = shown.imagenet, load(IMAGENET_CAMPAIGN)
    parts = [_progress(one, campaign), _cells_alone(one, campaign)]
    for name, found in _judge(one)[_ALONE].items():
        if found.cases:
            remark = f" ({found.remark})" if found.remark else ""
            title = f"{name}, {found.claim}: {found.verdict}, {found.counts}{remark}"
            parts.append(_cases(title, found))
    return "\n\n".join(parts)


def _cells_alone(one: RunSet, campaign: Campaign) -> str:
    """Return the time of every cell of a campaign, each timed by itself."""
    title = "Milliseconds, and between which they lie; `*` marks a disturbed run"
    failed = {run.turn.point for run in one.runs if run.turn is not None and not run.ok}
    missing = {point.key: FAILED if point.key in failed else PLANNED for point in campaign.points}
    return _cells(title, one.alone, campaign, missing)


def _judge(one: RunSet) -> dict[str, Verdicts]:
    """Return the verdicts of a machine's runs by how these were timed and judged; without turns, those alone."""
    before, since = one.before_pairs, one.since_pairs
    found = {_ALONE: _by_observation(verdicts(one.alone))}
    if before.sessions:
        found["in turns"] = _by_observation(verdicts(before.in_turns))
    if since.sessions:
        found["in pairs"] = _by_observation(verdicts(since.in_turns, since.clock))
    return found


def _by_observation(decided: Sequence[Verdict]) -> Verdicts:
    return {verdict.observation: verdict for verdict in decided}


def _processors(one: RunSet) -> str:
    cpus = " and ".join(sorted({run.environment.cpu for run in one.runs}))
    return f"{cpus} (`{_target(one)}`)"


def _target(run_set: RunSet) -> str:
    """Return the processor as LLVM names it, which tells machines apart whose own names are alike."""
    named = (re.search(r"-mcpu=(\S+)", run.compiled_for) for run in run_set.runs)
    return " and ".join(sorted({match.group(1) for match in named if match}))


def _progress(one: RunSet, campaign: Campaign) -> str:
    """Return which networks have all their cells, and what of the others is done."""
    done = {run.turn.point for run in one.runs if run.turn is not None}
    cells: dict[str, list[bool]] = {}
    for point in campaign.points:
        cells.setdefault(point.network, []).append(point.key in done)
    listed = ", ".join(f"{network} {sum(own)} of {len(own)}" for network, own in cells.items())
    tuned = [run for run in one.runs if run.ok and run.job.tuning is Tuning.TUNED]
    untuned = sum(bool(run.untuned_kernels) for run in tuned)
    ended = sum(run.tuning_finished is False for run in tuned)
    told = f"Cells done: {listed}. The others are planned, and nothing is concluded from them."
    if not tuned:
        return told
    return (
        f"{told} Of the {plural(len(tuned), 'tuned program')} {untuned} had kernels left untuned, and of {ended} the "
        "budget ended before every kernel had its schedules."
    )


def _describe_turns(sessions: Sequence[Session], judged: str) -> str:
    if not sessions:
        return ""
    programs = {one.point for one in sessions}
    hours = sorted({session.when[:16].replace("T", " ") for session in sessions})
    turns = sorted({len(session.seconds) for session in sessions})
    return (
        f"{judged}: {len(programs)} of these programs, those of a network in one process, one after the other, "
        f"{' or '.join(map(str, turns))} turns a session; sessions began at {', '.join(hours)} UTC, and others took "
        f"{max(session.others for session in sessions):.0%} of the CPU time at most."
    )


def _describe_elsewhere(run_set: RunSet) -> str:
    if not run_set.runs:
        return ""
    days = sorted({run.timestamp[:10] for run in run_set.runs})
    networks = {run.turn.point: run.job.network for run in run_set.runs if run.turn is not None}
    in_turns = sorted({networks[session.point] for session in run_set.sessions})
    also = f"; in turns those of {', '.join(in_turns)}" if in_turns else ""
    return (
        f"The last columns are of the same campaign on another machine, {_processors(run_set)}, "
        f"{' to '.join(dict.fromkeys((days[0], days[-1])))}: {plural(len(run_set.runs), 'cell')}{also}."
    )


def _table(columns: Sequence[tuple[str, Verdicts]]) -> str:
    names = list(columns[0][1]) if columns else []
    header = ["", "observation", *(title for title, _ in columns)]
    rows = [
        [name, columns[0][1][name].claim, *(_outcome(found[name]) for _, found in columns)]
        for name in names
    ]
    return markdown_table(header, rows)


def _outcome(verdict: Verdict) -> str:
    if verdict.without_rule:
        return verdict.verdict
    return f"**{verdict.verdict}** ({verdict.counts})" if verdict.cases else "no case"


def _cases(title: str, verdict: Verdict) -> str:
    lines = [
        f"- {_OUTCOME[case.holds]}{' (disturbed)' if case.disturbed else ''}: {case.words}"
        for case in verdict.cases
    ]
    listed = "\n".join(lines)
    if len(lines) > _FOLDED:
        return f"<details><summary>{title}</summary>\n\n{listed}\n\n</details>"
    return f"{title}.\n\n{listed}"


def _cells(
    title: str, found: Sequence[Configuration], campaign: Campaign, missing: Mapping[str, str]
) -> str:
    """Return the time of every cell, one line for a network and what was done to it.

    Args:
        title: What the times are.
        found: The configurations that have one.
        campaign: Whose cells these are.
        missing: What stands in a cell without a time, by the key of its point.
    """
    measured = {(_line(entry), _way(entry)): _time(entry) for entry in found}
    known = {(_line(point), _way(point)): missing[point.key] for point in campaign.points}
    shown = known | measured
    ways = list(dict.fromkeys(_way(point) for point in sorted(campaign.points, key=order_of_way)))
    rows = [
        [*line, *(shown.get((line, way), "") for way in ways)]
        for line in dict.fromkeys(_line(point) for point in campaign.points)
    ]
    header = ["network", "compression", *(" ".join(way) for way in ways)]
    return f"{title}:\n\n{markdown_table(header, rows, numbers_from=2)}"


def _line(point: RunRequest | Configuration) -> tuple[str, str]:
    label = point.compression.label
    datatype = point.compression.datatype or point.datatype
    narrow = label == DENSE and datatype not in {"", "fp32"}
    return point.network, datatype if narrow else label


def _way(point: RunRequest | Configuration) -> tuple[str, ...]:
    backend = "" if point.backend == "tvm" else point.backend
    algorithm = "" if point.algorithm == "default" else point.algorithm
    tuning = "" if point.tuning in {Tuning.NONE, Tuning.BACKEND_DEFAULT} else point.tuning.value
    threads = f"{point.threads} threads" if point.threads > 1 else ""
    return tuple(word for word in (backend, algorithm, tuning, threads) if word)


def _time(entry: Configuration) -> str:
    mark = "*" if entry.disturbed else ""
    middle, low, high = (
        number(seconds * 1e3, 3) for seconds in (entry.seconds, entry.low_s, entry.high_s)
    )
    return f"{middle}{mark} ({low}–{high})"
