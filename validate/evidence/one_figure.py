"""How good predictions of decoders are where one measured run of the same installation is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from roofline.model.decoder_laws import Figure, LawRun, shipped_laws
from roofline.validate.evidence.decoder_fit import leave_machines_out
from roofline.validate.evidence.decoder_rows import Table

_MOST = 20
"""Runs of an installation that each of its others is predicted from, in turn: evenly spread over them."""


def with_one_figure(table: Table) -> dict[str, dict[str, dict[str, float]]]:
    """Return the score of each quantity with no figure of an installation (``0``) and with one of it (``1``).

    Laws are fitted without the run's machine. Each run is predicted from each other run of its installation (machine,
    host, software) in turn, and counts as one; runs whose installation has no other are left aside in both.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for entry in leave_machines_out(table):
        quantity = entry.rows.quantity
        law = shipped_laws()[quantity]
        figures = [
            Figure(
                LawRun(quantity, group, of, entry.runs.of(np.arange(len(entry.off)) == place)),
                -float(off),
            )
            for place, (group, of, off) in enumerate(
                zip(entry.rows.groups, entry.formats, entry.off, strict=True)
            )
        ]
        places = np.array(entry.installations)
        scores: dict[str, list[tuple[float, float, float]]] = {"0": [], "1": []}
        for place, figure in enumerate(figures):
            others = np.flatnonzero(places == places[place])
            others = others[others != place]
            if not len(others):
                continue
            chosen = others[np.unique(np.linspace(0, len(others) - 1, _MOST).astype(int))]
            scores["0"].append((figure.off, law.width(figure.run.group), 1.0))
            for other in map(int, chosen):
                shift, width = law.correct(figure.run, [figures[other]])
                scores["1"].append((figure.off - shift, width, 1 / len(chosen)))
        found[quantity] = {name: _score(each) for name, each in scores.items()}
    return found


def _score(runs: list[tuple[float, float, float]]) -> dict[str, float]:
    off, width, weight = (np.array(part) for part in zip(*runs, strict=True))
    return {
        "runs": round(float(weight.sum())),
        "factor": float(np.exp(_median(np.abs(off), weight))),
        "coverage": float(np.average(np.abs(off) <= width, weights=weight)),
        "width": float(np.exp(2 * _median(width, weight))),
    }


def _median(values: Any, weight: Any) -> float:
    order = np.argsort(values)
    mass = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(mass, mass[-1] / 2)])
