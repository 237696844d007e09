"""Fits the time law of `expected` to evidence: shrunken coefficients, one deviation per machine, a robust loss."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from roofline.model._core import Floats
from roofline.model._forward import PARTS, forward
from roofline.model._law_estimates import Effect
from roofline.model._run_facts import LEVELS, Facts
from roofline.model._run_features import features
from roofline.model._time_law import TimeLaw
from roofline.validate.evidence.descent import Problem, class_blocks
from roofline.validate.evidence.evidence import Evidence, Mask, Names, Rows
from roofline.validate.evidence.layer_fit import fit_layers, places_where_parted
from roofline.validate.evidence.priors import (
    Options,
    Prior,
    centres,
    design,
    middle,
    prior,
    unseen_priors,
)
from roofline.validate.evidence.reported import REPORTED
from roofline.validate.evidence.surface import Bumps


def sample(evidence: Evidence, most: int) -> Rows:
    """Return the rows that a fit looks at: at most so many of a machine, sorted by machine.

    Which of a machine's runs depends on what they are alone, so that evidence of others does not change them.
    """
    facts = evidence.facts
    drawn_by = (
        facts.machine,
        evidence.network,
        facts.setting,
        facts.numbers["batch"],
        evidence.fps,
    )
    order = np.asarray([_lot(words) for words in zip(*drawn_by, strict=True)])
    chosen: list[Rows] = []
    for machine in np.unique(evidence.facts.machine):
        rows = np.flatnonzero(evidence.facts.machine == machine)
        chosen.append(np.sort(rows[np.argsort(order[rows])[:most]]))
    return np.concatenate(chosen)


def _lot(words: Iterable[object]) -> int:
    """Return a number that is drawn by what a run is."""
    text = "/".join(map(str, words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])


def _with_settings(effects: Mapping[str, Effect], facts: Facts) -> dict[str, Effect]:
    """Return what is known of machines with the settings of all their runs, also of those no fit looks at."""
    ran: dict[str, set[str]] = {}
    for machine, setting in zip(facts.machine, facts.setting, strict=True):
        ran.setdefault(machine, set()).add(setting)
    return {
        name: replace(effect, settings=frozenset(ran[name])) for name, effect in effects.items()
    }


def peers_of(evidence: Evidence, rows: Rows) -> dict[str, int]:
    """Return of how many kinds of silicon some runs are, at each class, runtime and datatype."""
    facts = evidence.facts
    at = facts.machine_class + np.asarray(["/"], object) + facts.setting
    pairs = set(zip(at[rows], evidence.silicon[rows], strict=True))
    return dict(Counter(name for name, _ in sorted(pairs)))


class Fitting:
    """Evidence made ready for many fits, each to some of its runs."""

    def __init__(self, evidence: Evidence, options: Options | None = None) -> None:
        """Build the matrices once.

        Args:
            evidence: All the runs.
            options: What is chosen before the fit.
        """
        self.options = options or Options()
        self._all = evidence
        self._sampled = sample(evidence, self.options.most)
        self._sample = evidence.take(self._sampled)
        self._reported = self._sample.source == REPORTED
        """Which runs of the sample are reported: what they say is added to what published tables say."""
        facts = self._sample.facts
        self._centres = centres(facts.take(self._reported)) | centres(facts.take(~self._reported))
        self._prior = prior(self._sample.facts, self.options)
        facts = evidence.facts
        centre = np.asarray([self._centres[name] for name in facts.machine_class])
        values = features(facts, centre)
        matrices = design(facts, values, self._prior.terms)
        self._part = np.asarray([PARTS.index(term.part) for term in self._prior.terms])
        self._whole = np.hstack([matrices[part] for part in PARTS])
        self._matrix = self._whole[self._sampled]
        shrinkage = self.options.surface
        self._bumps = None if shrinkage is None else Bumps(facts, values, shrinkage)
        self._start: Floats | None = None

    def fit(
        self, left_out: Names | None = None, by: Names | None = None, *, layers: bool = True
    ) -> TimeLaw:
        """Return the law of the evidence without what is left out.

        Args:
            left_out: Labels whose runs are not looked at.
            by: The label of each run.
            layers: Whether the law of layers is fitted too, which says nothing of machines that are left out.
        """
        keep = np.ones(len(self._all), bool)
        if left_out is not None and by is not None:
            keep = ~np.isin(by.astype(str), left_out.astype(str))
        rows = np.flatnonzero(keep[self._sampled])
        first = self._start is None
        published = rows[~self._reported[rows]]
        law, coefficients = self._solve(published, self._prior, self._start, 25 if first else 12)
        if first and keep.all():
            self._start = coefficients
        if len(published) < len(rows):
            before, mask = law.uncertainty, self._select_published(published)
            law, _ = self._solve(rows, self._build_prior(coefficients, mask), coefficients, 12)
            # Reports narrow nothing that tables are unsure of.
            unsure = law.uncertainty.copy()
            unsure[np.ix_(mask, mask)] = before[np.ix_(mask, mask)]
            law = replace(law, uncertainty=unsure)
        rows = np.flatnonzero(keep)
        law = replace(
            law, effects=_with_settings(law.effects, self._all.facts.take(rows)),
            peers=peers_of(self._all, rows),
        )  # fmt: skip
        residual = self._residual(law)
        if self._bumps is not None:
            law = replace(law, surface=self._bumps.fit(residual, rows))
        law = replace(
            law, ways=self._ways(residual[rows] - law.beside(self._all.facts.take(rows)), rows)
        )
        if not layers or self.options.layers is None:
            return law
        return replace(law, layers=fit_layers(self._all, law, rows, self.options.layers))

    def _ways(self, left: Floats, rows: Rows) -> dict[str, float]:
        """Return what is left of the runs of each machine and runtime at each of several datatypes, shrunk."""
        facts, chosen = self._all.facts.take(rows), self.options
        left = np.clip(left, -2 * chosen.limit, 2 * chosen.limit)
        return {
            label: float(left[places].sum() / (len(places) + (chosen.spread / chosen.way) ** 2))
            for label, places in places_where_parted(facts.own_at, facts.own).items()
        }

    def _residual(self, law: TimeLaw) -> Floats:
        """Return what a law leaves of the logarithm of every run's time."""
        coefficients, facts = law.coefficients, self._all.facts
        logarithms = np.stack(
            [self._whole[:, self._part == p] @ coefficients[self._part == p] for p in range(4)], 1
        )
        none = np.zeros(len(PARTS))
        means = {name: effect.mean for name, effect in law.effects.items()}
        logarithms += np.stack([means.get(name, none) for name in facts.machine])
        return self._all.log_time - forward(logarithms, facts.terms, law.power)[0]

    def _select_published(self, published: Rows) -> Mask:
        """Return which terms are of labels that runs of published tables have."""
        facts = self._sample.facts.take(published)
        labels = {level: set(facts.labels(level)) for level in LEVELS if level != "all"}
        return np.asarray(
            [term.level == "all" or term.label in labels[term.level] for term in self._prior.terms]
        )

    def _build_prior(self, coefficients: Floats, mask: Mask) -> Prior:
        """Return what published tables leave open: near what they say of the labels they have, and free for others."""
        before = self._prior
        return replace(
            before,
            mean=np.where(mask, coefficients, before.mean),
            deviation=np.where(
                mask, np.minimum(self.options.reported, before.deviation), before.deviation
            ),
        )

    def _solve(
        self, rows: Rows, known: Prior, start: Floats | None, steps: int
    ) -> tuple[TimeLaw, Floats]:
        o = self.options
        facts, log_time = self._sample.facts.take(rows), self._sample.log_time[rows]
        # Sorted by class first: within a class most columns are zero, and the products leave them out.
        placed = (facts.machine_class + np.asarray(["\t"], object) + facts.machine).astype(str)
        machines, index, count = np.unique(placed, return_inverse=True, return_counts=True)
        order = np.argsort(index, kind="stable")
        counted = np.minimum(1, o.effective / count)[index][order]
        problem = Problem(
            self._matrix[rows][order], self._part, facts.take(order).terms, log_time[order], index[order],
            np.concatenate([[0], np.cumsum(count)[:-1]]), counted / o.spread**2, known, o,
            class_blocks(facts.machine_class[order], self._matrix[rows][order]),
        )  # fmt: skip
        state = problem.at(known.mean if start is None else start, np.zeros((len(machines), 4)))
        state, blocks = problem.descend(state, steps)
        inside = float(
            np.sqrt(np.average(np.clip(state.residual, -0.6, 0.6) ** 2, weights=counted))
        )
        posterior = np.linalg.inv(blocks)
        deviations = state.machines
        between = np.sqrt((deviations**2 + np.diagonal(posterior, axis1=1, axis2=2)).mean(0))
        seen = set(facts.machine_class)
        squares = np.add.reduceat(np.clip(state.residual, -0.6, 0.6) ** 2, problem.starts)
        spreads = np.sqrt((squares + o.pooled * inside**2) / (count + o.pooled))
        effects = {
            name.split("\t", 1)[1]: Effect(mean, covariance, float(spread))
            for name, mean, covariance, spread in zip(
                machines, deviations, posterior, spreads, strict=True
            )
        }
        middles = {name: pair for name, pair in self._centres.items() if name in seen}
        middles[""] = middle(middles)
        law = TimeLaw(
            o.power, known.terms, state.coefficients, middles, between, inside, effects,
            uncertainty=problem.uncertainty(state), priors=unseen_priors(o),
        )  # fmt: skip
        return law, state.coefficients
