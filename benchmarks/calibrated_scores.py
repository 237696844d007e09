"""Scores of the model `calibrated` against what `calibrated_runs.py` measured, and the tables of its page."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.model.machine_profile import Profile
from roofline.model.network_time import calibrated_time
from roofline.workload import Workload

if TYPE_CHECKING:
    from calibrated_runs import Network, Record

NOMINAL = (0.5, 0.8, 0.9, 0.95)
"""Shares that intervals are to hold."""
MARKS = ("<!-- tables -->", "<!-- end of tables -->")
"""Between which the tables stand on the page."""
OVERVIEW = (
    "networks", "families", "MAPE", "median", "within 10 %", "within 20 %", "bias", "80 % interval holds",
    "its high/low",
)  # fmt: skip
"""Of the scores of a list, those that the first table of the page holds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prediction beside its measurement."""

    network: Network
    measured_s: float
    predicted_s: float
    intervals: Mapping[float, tuple[float, float]]
    """By the share they are to hold."""
    borrowed: float

    @property
    def ratio(self) -> float:
        """Predicted over measured time."""
        return self.predicted_s / self.measured_s

    def holds(self, nominal: float) -> bool:
        """Return whether an interval holds what was measured."""
        low, high = self.intervals[nominal]
        return low <= self.measured_s <= high


def outcomes(
    profile: Profile, works: Mapping[str, tuple[Network, Workload]], record: Record
) -> list[Outcome]:
    """Return the predictions of a profile beside what was measured."""
    found: list[Outcome] = []
    for name, (network, work) in works.items():
        estimate = calibrated_time(work, profile)
        if estimate is None:
            print(f"no basis: {name}", file=sys.stderr)
            continue
        shares = {basis.value: share for basis, share in estimate.shares().items()}
        borrowed = shares.get("borrowed", 0.0) + shares.get("estimated", 0.0)
        intervals = {share: estimate.interval_at(share) for share in NOMINAL}
        seconds = record.measured_s(name)
        found.append(Outcome(network, seconds, estimate.seconds, intervals, borrowed))
    return found


def score(found: Sequence[Outcome]) -> dict[str, Any]:
    """Return the scores of predictions as a row of a table."""
    ratios = np.array([entry.ratio for entry in found])
    errors = np.abs(ratios - 1.0)
    widths = [entry.intervals[0.8][1] / entry.intervals[0.8][0] for entry in found]
    order = [
        np.argsort(np.argsort(values))
        for values in (
            [entry.predicted_s for entry in found],
            [entry.measured_s for entry in found],
        )
    ]
    return {
        "networks": len(found),
        "families": len({entry.network.family for entry in found}),
        "MAPE": f"{errors.mean():.1%}",
        "median": f"{np.median(errors):.1%}",
        "within 10 %": f"{(errors <= 0.1).mean():.0%}",
        "within 20 %": f"{(errors <= 0.2).mean():.0%}",
        "bias": f"x{np.exp(np.log(ratios).mean()):.2f}",
        "order": f"{np.corrcoef(*order)[0, 1]:.3f}",
        "80 % interval holds": f"{np.mean([entry.holds(0.8) for entry in found]):.0%}",
        "its high/low": f"{np.median(widths):.2f}",
        "borrowed": f"{np.mean([entry.borrowed for entry in found]):.1%}",
    }


Runs = Mapping[str, Mapping[str, Any]]
"""Summaries of one machine, by backend and number of threads."""


def page(machines: Mapping[str, Runs]) -> str:
    """Return the tables of summaries: all scores on one page first, then each machine's networks."""
    parts = [_markdown(_overview(machines))]
    for machine, runs in machines.items():
        for title, entry in runs.items():
            parts.append(f"### {machine}: {title}\n")
            for name, found in entry["lists"].items():
                parts.append(f"`{name}`:\n")
                parts += [_markdown(found[table]) for table in ("scores", "intervals", "networks")]
            parts.append(f"{entry['told']}\n")
    return "\n".join(parts)


def _overview(machines: Mapping[str, Runs]) -> Iterator[Mapping[str, Any]]:
    """Yield the scores of each list on each machine, after its first ones there where those were others."""
    for machine, runs in machines.items():
        for title, entry in runs.items():
            first = entry.get("first", {})
            for name, found in entry["lists"].items():
                place = {"machine": machine, "runs with": title}
                now = next(row for row in found["scores"] if row["model"] == "calibrated")
                own = {key: now[key] for key in OVERVIEW}
                if first.get(name, own) != own:
                    yield {**place, "list": f"`{name}`, first score", **first[name]}
                yield {**place, "list": f"`{name}`", **own}


def first_scores(before: Mapping[str, Any], scored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores of lists on one machine as they came first, which no later law changes.

    Args:
        before: The summary that there was of the same machine and runs; empty where there was none.
        scored: The lists of the summary that replaces it.
    """
    known = before.get("lists", {})
    new = {
        name: {key: row[key] for key in OVERVIEW}
        for name, found in scored.items()
        if name not in known
        for row in found["scores"]
        if row["model"] == "calibrated"
    }
    return new | dict(before.get("first", {}))


def write_page(path: Path, machines: Mapping[str, Runs], marks: tuple[str, str] = MARKS) -> None:
    """Write the tables between a page's marks."""
    before, rest = path.read_text(encoding="utf-8").split(marks[0])
    after = rest.split(marks[1])[1]
    text = f"{before}{marks[0]}\n\n{page(machines)}\n{marks[1]}{after}"
    path.write_text(text, encoding="utf-8")


def outcome_row(entry: Outcome) -> dict[str, str]:
    """Return a prediction beside its measurement as a row of a table."""
    low, high = entry.intervals[0.8]
    return {
        "network": entry.network.name,
        "measured ms": f"{1e3 * entry.measured_s:.3f}",
        "predicted ms": f"{1e3 * entry.predicted_s:.3f}",
        "80 % interval": f"{1e3 * low:.3f} … {1e3 * high:.3f}",
        "ratio": f"{entry.ratio:.2f}",
        "borrowed": f"{entry.borrowed:.0%}",
    }


def _markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    listed = list(rows)
    head = list(listed[0])
    lines = [head, ["---"] * len(head), *([str(row[name]) for name in head] for row in listed)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
