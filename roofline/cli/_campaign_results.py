"""Tables of a campaign's results: what their columns mean, predictions beside them, nothing said in every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from roofline.cli._output import as_table
from roofline.tables import Record, Row

if TYPE_CHECKING:
    from roofline.validate.analysis.configurations import Configuration


def with_predictions(
    rows: Sequence[Row], found: Sequence[Configuration], platform: str
) -> list[Record]:
    """Return rows of speed-ups with that of Equation 1 on a platform beside the expected one."""
    from roofline.spec import platform as find_platform
    from roofline.validate.analysis.configurations import pairs
    from roofline.validate.analysis.gains import predicted_speedup

    machine = find_platform(platform)
    merged: list[Record] = []
    for row, (base, variant) in zip(rows, pairs(found), strict=True):
        gain = predicted_speedup(base, variant, machine)
        # Beside the expected speed-up, before what was achieved.
        place = list(row).index("expected_speedup") + 1
        cells = list(row.items())
        merged.append(dict([*cells[:place], ("predicted_speedup", gain), *cells[place:]]))
    return merged


MEANINGS: Mapping[str, Mapping[str, str]] = {
    "orthogonality": {
        "A, B, C, D": "frames per second: wide and dense, narrow and dense, wide and pruned, narrow and pruned",
        "p1, p2": "gain of pruning at the wide and at the narrow datatype: C/A, D/B",
        "q1, q2": "gain of quantization on the dense and on the pruned network: B/A, D/C",
        "orthogonality": "p2/p1, which is q2/q1 and AD/BC: 1 where the gains multiply",
    },
    "speedup": {
        "expected_speedup": "multiply-accumulates of the dense network over those left, times 32 over the bits",
        "predicted_speedup": "by Equation 1 on the platform named with -p",
        "achieved_speedup": "time of the dense network run the same way (dense_ms) over the time (median_ms)",
        "achieved_low, achieved_high": "the least and greatest that the samples, and a single round, leave possible",
        "achieved_share": "achieved over expected speed-up",
    },
    "threads": {
        "measured_fps": "frames per second",
        "thread_speedup": "throughput over that with the fewest threads",
        "parallel_efficiency": "speed-up per factor of threads: 1 is in proportion",
    },
    "tuning": {
        "trials": "schedules tried for each kernel",
        "tuning_speedup": "untuned_ms over tuned_ms",
    },
    "memory": {
        "measured_mb": "peak resident set of the process that ran it, its runtime included, in MB (10^6 bytes)",
        "predicted_mb": "weights and the largest set of live activations, in MB",
        "…_beyond_least_mb": "beyond the run of the same backend that is predicted to need least: the runtime cancels",
    },
}
"""What each column of a kind of results means, with its unit."""


def conventions(kind: str, *, predicted: bool, shortest: bool) -> dict[str, str]:
    """Return how the figures of a kind of results are meant.

    Args:
        kind: One of `MEANINGS`.
        predicted: Whether predictions stand beside what was measured.
        shortest: Whether shortest samples are compared.
    """
    time = "the shortest sample of all rounds" if shortest else "the median of the rounds' medians"
    stated = {"time": time} if kind != "memory" else {}
    stated |= MEANINGS[kind]
    if not predicted:
        stated.pop("predicted_speedup", None)
    return stated


def result_table(rows: Sequence[Row], stated: Mapping[str, str], recorded: int) -> str:
    """Return results for people, what is the same in all rows below them.

    Args:
        rows: What was compared.
        stated: How the figures are meant.
        recorded: How many runs there were to compare.
    """
    if not rows:
        return as_table([], notes=[f"none of the {recorded} recorded runs can be compared so"])
    left, same = _without_constant(rows)
    return as_table(
        left,
        notes=[f"{name}: {text}" for name, text in same.items()],
        explained=[f"{name}: {text}" for name, text in stated.items()],
    )


def _without_constant(
    rows: Sequence[Row],
) -> tuple[list[Record], dict[str, str]]:
    """Return rows without the columns that say the same of all, and what these say."""
    names = ("batch", "threads", "machine", "trials", "disturbed") if len(rows) > 1 else ()
    values = {name: {row[name] for row in rows} for name in names if name in rows[0]}
    same = {name: found.pop() for name, found in values.items() if len(found) == 1}
    left = [{name: value for name, value in row.items() if name not in same} for row in rows]
    setting = ", ".join(f"{name} {value}" for name, value in same.items() if value)
    return left, {"all rows": setting} if setting else {}
