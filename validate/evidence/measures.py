"""What is said of predictions beside runs: errors, order, bias, coverage, over all of them and by what they are of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from roofline.model._core import Floats
from roofline.validate.evidence.evidence import Evidence, Mask, Names
from roofline.validate.evidence.score import Scoring, makers_of
from roofline.validate.evidence.scores import Overall, RunScores, ScoreHead, Scores, ScoresByLabel

ORDER_RANGE = (1.2, 3.0)
"""Two machines that differ by less on one network are alike; by more, any model orders them right."""


def summary(scored: Scoring) -> RunScores:
    """Return the whole score as plain data: of all runs, and by class, machine, runtime and kind of network."""
    facts, asked = scored.evidence.facts, scored.asked & np.isfinite(scored.predicted)
    early = asked & scored.early & (scored.leave == "none")
    inside = asked & scored.in_sample & ~early
    outside = asked & ~scored.in_sample & ~early
    head: ScoreHead = {
        "model": scored.model,
        "model_version": scored.version,
        "leave": scored.leave,
        "evidence": {
            "sha256": scored.evidence.sha256,
            "runs": len(scored.evidence),
            "machines": len(set(facts.machine)),
            "silicon": len(set(scored.evidence.silicon)),
        },
        "conventions": {
            "factor": "exp of the median of |log(predicted / measured)|; over machines: the mean of each machine's",
            "errors": "|predicted - measured| / measured in fps; 1.0 is 100 %",
            "bias": "geometric mean of predicted / measured",
            "order": f"pairs of machines that differ by {ORDER_RANGE[0]} to {ORDER_RANGE[1]} on one network",
            "coverage": "share of runs in the 80 % interval; over machines: the mean of each machine's",
        },
    }
    overall: Overall = {}
    if inside.any():
        overall["in_sample"] = scores(scored, inside)
    if early.any():
        overall["early"] = scores(scored, early)
    if outside.any():
        overall["all"] = scores(scored, outside)
    elif inside.any():
        overall["all"] = None
    rows = next((found for found in (outside, inside) if found.any()), early)

    def by(labels: Names, *, ordered: bool = False) -> ScoresByLabel:
        return {
            label: scores(scored, rows & (labels == label), ordered=ordered)
            for label in sorted(set(labels[rows]))
        }

    document: RunScores = {
        **head,
        **overall,
        "by_class": by(facts.machine_class, ordered=True),
        "by_runtime": by(facts.where),
        "by_kind": by(kinds_of(scored.evidence)),
        "by_machine": by(facts.machine),
    }
    if scored.leave == "maker":
        document["by_maker"] = by(makers_of(scored.evidence))
    return document


def scores(scored: Scoring, rows: Mask, *, ordered: bool = True) -> Scores:
    """Return the score of some runs."""
    evidence = scored.evidence
    fps, predicted = evidence.fps[rows], scored.predicted[rows]
    machine = evidence.facts.machine[rows]
    off = np.abs(np.log(predicted / fps))
    error = np.abs(predicted - fps) / fps
    _, index = np.unique(machine.astype(str), return_inverse=True)
    groups = [np.flatnonzero(index == i) for i in range(index.max() + 1)]

    def over_machines(values: Floats) -> float:
        return float(np.mean([values[found].mean() for found in groups]))

    result: Scores = {
        "n": int(rows.sum()),
        "machines": len(groups),
        "factor_rows": float(np.exp(np.median(off))),
        "factor_machines": float(np.mean([np.exp(np.median(off[found])) for found in groups])),
        "mape": float(error.mean()),
        "median_ape": float(np.median(error)),
        "within_10": float((error <= 0.1).mean()),
        "within_20": float((error <= 0.2).mean()),
        "within_2x": float((off <= np.log(2)).mean()),
        "bias": float(np.exp(np.log(predicted / fps).mean())),
    }
    if ordered:
        result["order"], result["order_pairs"] = order(evidence.take(rows), predicted)
        result["spearman"] = spearman(evidence.take(rows), predicted)
    if scored.coverage:
        width = scored.high[rows] / scored.low[rows]
        inside = scored.coverage[0.8][rows]
        result["coverage"] = float(inside.mean())
        result["coverage_machines"] = over_machines(inside.astype(float))
        result["coverage_deviation"] = _estimate_clustered_error(
            [inside[found] for found in groups]
        )
        result["coverage_curve"] = {
            f"{nominal:g}": over_machines(held[rows].astype(float))
            for nominal, held in scored.coverage.items()
        }
        result["width"] = float(np.median(width))
        result["width_machines"] = float(np.median([np.median(width[found]) for found in groups]))
    return result


def _estimate_clustered_error(held: Iterable[Mask]) -> float | None:
    """Return the standard error of the mean coverage of machines."""
    each = np.asarray([values.mean() for values in held])
    return float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else None


def order(evidence: Evidence, predicted: Floats) -> tuple[float | None, int]:
    """Return how many pairs of machines are ordered right on one network, and how many pairs there are."""
    facts = evidence.facts
    groups: dict[tuple[str, str, float], list[int]] = {}
    for place, key in enumerate(
        zip(evidence.network, facts.datatype, facts.numbers["batch"], strict=True)
    ):
        groups.setdefault(key, []).append(place)
    right = pairs = 0
    low, high = np.log(ORDER_RANGE)
    for found in groups.values():
        # One run per machine: its fastest.
        best: dict[str, int] = {}
        for place in found:
            name = facts.machine[place]
            if name not in best or evidence.fps[place] > evidence.fps[best[name]]:
                best[name] = place
        if len(best) < 2:
            continue
        rows = np.asarray(list(best.values()))
        true = np.subtract.outer(np.log(evidence.fps[rows]), np.log(evidence.fps[rows]))
        margin = np.subtract.outer(np.log(predicted[rows]), np.log(predicted[rows]))
        useful = (true >= low) & (true <= high)
        pairs += int(useful.sum())
        right += int((useful & (margin > 0)).sum())
    return (right / pairs if pairs else None), pairs


def spearman(evidence: Evidence, predicted: Floats) -> float | None:
    """Return the median over machines of the rank correlation of at least 10 networks at one datatype and batch."""
    facts = evidence.facts
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, key in enumerate(
        zip(
            facts.machine, facts.runtime, facts.datatype, facts.numbers["batch"], facts.numbers["throughput"],
            facts.numbers["cores"], strict=True,
        )
    ):  # fmt: skip
        groups.setdefault(key, []).append(place)
    found = [
        float(np.corrcoef(_ranks(evidence.fps[rows]), _ranks(predicted[rows]))[0, 1])
        for rows in groups.values()
        if len(rows) >= 10 and len(set(evidence.fps[rows])) > 1 and len(set(predicted[rows])) > 1
    ]
    return float(np.median(found)) if found else None


def _ranks(values: Floats) -> Floats:
    """Return ranks, equal values sharing the mean of theirs."""
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count).astype(np.float64)
    return (last - (count - 1) / 2)[index]


def kinds_of(evidence: Evidence) -> Names:
    """Return the kind of each network by what most marks its arithmetic."""
    n = evidence.facts.numbers
    return np.where(
        n["attention"] > 0, "attention",
        np.where(n["depthwise"] > 0, "depthwise", np.where(n["grouped"] > 0, "grouped", "plain")),
    ).astype(object)  # fmt: skip
