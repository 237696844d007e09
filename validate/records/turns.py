"""Which of the records of a campaign count."""

from __future__ import annotations

from collections.abc import Iterable

from roofline.validate.records.record import Measurement


def latest(runs: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Return the last attempt of every round of a campaign's points, and all runs outside of campaigns."""
    kept: dict[object, Measurement] = {}
    for number, run in enumerate(runs):
        turn = run.turn
        place = number if turn is None else (turn.point, turn.round)
        before = kept[place].turn if place in kept else None
        if turn is None or before is None or turn.attempt > before.attempt:
            kept[place] = run
    return tuple(kept.values())
