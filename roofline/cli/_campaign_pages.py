"""How ``campaign`` writes what is left to run, and what has been run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.cli._measuring import cells
from roofline.cli._output import as_table
from roofline.number_format import plural
from roofline.tables import Record

if TYPE_CHECKING:
    from roofline.validate.campaigns.grid import Campaign
    from roofline.validate.campaigns.runner import State, Task
    from roofline.validate.records.record import Measurement
    from roofline.validate.records.request import RunRequest

CONVENTIONS = {
    "time": "the first run is discarded; the median of the rest is the time of a whole batch",
    "record": "the last attempt of every round of every point",
    "disturbed": "others took the CPU, the run waited, or it drifted more than 10 % within itself or between rounds",
}
"""The conventions of every figure of a campaign."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be run, with an estimate of how long it takes."""

    campaign: Campaign
    before: State
    tasks: Sequence[Task]

    @property
    def same(self) -> int:
        """How many combinations are the same as another for their backend."""
        campaign = self.campaign
        return campaign.combinations - campaign.excluded - len(campaign.points)

    def document(self) -> dict[str, object]:
        """Return the plan under its stable names."""
        campaign = self.campaign
        return {
            "campaign": campaign.name,
            "combinations": campaign.combinations,
            "excluded": campaign.excluded,
            "same": self.same,
            "points": len(campaign.points),
            "rounds": campaign.rounds,
            "recorded": len(self.before.records_in_order()),
            "runs": len(self.tasks),
            "estimate_h": hours(self.before, self.tasks),
            "tasks": self.rows(),
        }

    def rows(self) -> list[Record]:
        """Return one row per run."""
        from roofline.validate.campaigns.grid import point_row

        return [
            {**point_row(task.point), "round": task.round, "attempt": task.attempt}
            for task in self.tasks
        ]

    def table(self) -> str:
        """Return the plan for people."""
        campaign = self.campaign
        notes = [
            f"{plural(campaign.combinations, 'combination')}: {campaign.excluded} excluded by rules, {self.same} the "
            f"same as another for their backend, {plural(len(campaign.points), 'point')} in "
            f"{plural(campaign.rounds, 'round')}",
            f"{plural(len(self.tasks), 'run')} left, roughly {duration(hours(self.before, self.tasks))}",
        ]
        return as_table(self.rows(), title=campaign.title, notes=notes)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a store holds of a campaign."""

    found: State

    def document(self) -> dict[str, object]:
        """Return all records under their stable names."""
        campaign = self.found.campaign
        return {
            "campaign": campaign.name,
            "conventions": CONVENTIONS,
            "runs": len(campaign),
            **self.found.counts(),
            "records": self.rows(),
        }

    def rows(self) -> list[Record]:
        """Return one row per record."""
        from roofline.validate.campaigns.grid import point_row

        return [
            {
                **point_row(point),
                "round": number,
                **record.to_row(),
                "disturbed": self.found.disturbance(point, number),
            }
            for point, number, record in self.found.runs()
            if record is not None
        ]

    def table(self) -> str:
        """Return the records for people, with what failed or was disturbed below."""
        campaign = self.found.campaign
        counts = self.found.counts()
        parts = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        recorded = [
            (point, number, record)
            for point, number, record in self.found.runs()
            if record is not None
        ]
        notes: list[str] = []
        for point, number, record in recorded:
            if record.reason:
                notes.append(f"{point.title}: {record.status.value}: {record.reason}")
            elif flag := self.found.disturbance(point, number):
                notes.append(f"{point.title}: {flag}")
        return as_table(
            [_cells(point, record) for point, _, record in recorded],
            title=f"{campaign.name}: {plural(len(campaign), 'run')}: {parts}",
            remarks=notes,
        )


def hours(before: State, tasks: Sequence[Task]) -> float:
    """Return an estimate of how long runs take, in hours."""
    from roofline.validate.campaigns.estimate import estimate

    known = [(point, record) for point, _, record in before.runs() if record is not None]
    return estimate([task.point for task in tasks], known) / 3600 if tasks else 0.0


def duration(length_h: float) -> str:
    """Return a number of hours for people."""
    return f"{length_h:.1f} h" if length_h >= 1 else f"{max(1, round(length_h * 60))} min"


def _cells(point: RunRequest, record: Measurement) -> Record:
    row = cells(record)
    kept = {name: row[name] for name in ("batch", "threads", "fps", "median ms", "status")}
    emulated = " (emulated)" if record.is_emulated else ""
    return {
        "network": row["network"],
        "compression": point.compression.label,
        "algorithm": point.algorithm,
        "backend": row["backend"],
        "datatype": f"{record.asked}{emulated}",
        **kept,
    }
