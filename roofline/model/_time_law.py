"""The time law behind `expected`: how the terms of Equation 1 become the time of a real run.

    T = t + ((C exp a)^p + (W exp w + A exp k)^p)^(1/p)

C is the time of the multiply-accumulates at the peak, W and A those of the weights and the activations (one write and
one read of each element) at the bandwidth of the outermost memory, all for one batch; weights that a memory on the chip
holds are read once and for all and cost nothing, and where it holds all of them neither do activations. t is a floor.
The logarithms a, w, k and t are sums of few coefficients: of everything, of a family of machine classes, of a runtime
on it, of a class and of a runtime on a class, some of them times a feature of the network, the machine or the runtime.
Each coefficient is shrunk towards zero, so that what is not known of a class is that of its parents. A machine deviates
from its class by four numbers, one for each of a, w, k and t; figures measured on it say which. A smooth surface over
the counts (`_surface`) is added to the logarithm of T; on machines whose runs are known, a law of the network's layers
(`_layer_law`) moves it where those are known; and like runs inherit what figures leave unexplained (`_own_figures`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats
from roofline.model._forward import PARTS, forward
from roofline.model._law_estimates import (
    BESIDE,
    FAR,
    FEW,
    FEW_LAYERED,
    MANY,
    MANY_LAYERED,
    NEW,
    Effect,
    Estimates,
    deviation_among,
)
from roofline.model._law_figures import Apart, likeliest_deviation, with_figures
from roofline.model._layer_law import COVERED, SHARE, LayerLaw, machines_alone, time_of_layers
from roofline.model._own_figures import kinds_shared, own_figures
from roofline.model._run_facts import FAMILIES, Facts
from roofline.model._run_features import FEATURES, features, of_batch
from roofline.model._surface import Surface, places_of

USUAL_BATCH = 8.0
"""The batch at which it is asked how sure coefficients are: it changes that little."""


@dataclass(frozen=True, slots=True)
class Term:
    """One coefficient: of a part, at a level, times a feature."""

    part: str
    feature: str
    level: str
    label: str


@dataclass(frozen=True)
class TimeLaw:
    """The fitted law: coefficients and what is left unexplained."""

    power: float
    """p."""
    terms: tuple[Term, ...]
    coefficients: Floats
    references: Mapping[str, tuple[float, float]]
    """Median log peak and log bandwidth of the machines of each class; ``""`` is the median of the classes."""
    machine_deviation: Floats
    """Standard deviation of (a, w, k, t) between machines of one class."""
    row_deviation: float
    """Standard deviation of the logarithm of a run's time around its machine's law."""
    effects: Mapping[str, Effect] = field(default_factory=dict[str, Effect])
    """What is known of single machines, by key."""
    surface: Surface = field(default_factory=Surface)
    """What runs of like networks add to the logarithm of a time."""
    uncertainty: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """Covariance of the coefficients; empty for coefficients that are certain."""
    priors: tuple[tuple[str, tuple[int, ...], float], ...] = ()
    """What coefficients of a label that the fit has no runs of are taken to be like: level, which of them (feature
    times four plus part), and their standard deviation."""
    peers: Mapping[str, int] = field(default_factory=dict[str, int])
    """Kinds of silicon that the fit has runs of at each class, runtime and datatype, ``cpu/openvino/int8``."""
    ways: Mapping[str, float] = field(default_factory=dict[str, float])
    """What runs at one of several datatypes of a machine and runtime (``t4/trt/int8``) add to the logarithm of a time
    beside the law of counts and its surface."""
    layers: LayerLaw = field(default_factory=LayerLaw)
    """What layers say of networks on the machines of the fit."""

    def features(self, facts: Facts) -> dict[str, Floats]:
        """Return each feature of each run."""
        centre = np.asarray(
            [self.references.get(name, self.references[""]) for name in facts.machine_class]
        ).reshape(-1, 2)
        return features(facts, centre)

    def logarithms(self, facts: Facts) -> Floats:
        """Return (a, w, k, t) of each run without what its machine adds; (runs, 4)."""
        columns, found = _columns(self.features(facts)), np.empty((len(facts), len(PARTS)))
        for machine_class, runtime, rows in _by_setting(facts):
            found[rows] = columns[rows] @ self._slopes(machine_class, runtime)
        return found

    def _find_terms(self, machine_class: str, runtime: str) -> list[int]:
        """Return the places of the terms that apply to a class under a runtime, over all levels."""
        family = FAMILIES.get(machine_class, "")
        labels = {
            "family": family, "runtime": f"{family}/{runtime}", "class": machine_class,
            "class/runtime": f"{machine_class}/{runtime}",
        }  # fmt: skip
        return [
            place
            for place, term in enumerate(self.terms)
            if term.level == "all" or labels[term.level] == term.label
        ]

    def _slopes(self, machine_class: str, runtime: str) -> Floats:
        """Return what each feature adds to (a, w, k, t) on a class under a runtime, over all levels; (features, 4)."""
        known = self._known_slopes.get((machine_class, runtime))
        if known is not None:
            return known
        slopes = np.zeros((len(FEATURES), len(PARTS)))
        for place in self._find_terms(machine_class, runtime):
            term = self.terms[place]
            slopes[FEATURES.index(term.feature), PARTS.index(term.part)] += self.coefficients[
                place
            ]
        return self._known_slopes.setdefault((machine_class, runtime), slopes)

    @cached_property
    def _seen(self) -> frozenset[str]:
        """Each class and runtime that the fit has runs of, ``cpu/openvino``."""
        return frozenset(at.rsplit("/", 1)[0] for at in self.peers)

    @cached_property
    def _known_slopes(self) -> dict[tuple[str, str], Floats]:
        return {}

    def estimate(self, facts: Facts, effects: Mapping[str, Effect] | None = None) -> Estimates:
        """Return the time of each run; machines of `effects` (by default those of the fit) by what is known of them."""
        means, covariances, spread, known = self._machines(facts, effects)
        found = self._estimates(
            self.logarithms(facts) + means, facts.terms, covariances, spread, known
        )
        found = self._as_new(found, facts)
        found = self._by_layers(found.shift(self.beside(facts)), facts, means, spread)
        if not any(effect.figures for effect in (effects or {}).values()):
            return found
        each = self._effects_of(facts.machine, facts.setting, effects)
        return with_figures(found, each, self.features(facts), spread)

    def _machines(
        self, facts: Facts, effects: Mapping[str, Effect] | None
    ) -> tuple[Floats, Floats, Floats, NDArray[np.int8]]:
        """Return of each run what its machine adds, how sure that is, the spread around it, and what is known of it."""
        each = self._effects_of(facts.machine, facts.setting, effects)
        means = np.zeros((len(facts), len(PARTS)))
        covariances = np.empty((len(facts), len(PARTS), len(PARTS)))
        for place, effect in enumerate(each):
            if effect is not None:
                means[place], covariances[place] = effect.mean, effect.covariance
        others = np.asarray([effect is None for effect in each], np.bool_)
        if others.any():
            covariances[others] = self.unknown(facts.take(others))
        spread = [(effect and effect.spread) or self.row_deviation for effect in each]
        state = [
            self._state(effect, where, at)
            for effect, where, at in zip(each, facts.where, facts.setting, strict=True)
        ]
        return means, covariances, np.asarray(spread, np.float64), np.asarray(state, np.int8)

    def _effects_of(
        self,
        machines: NDArray[np.object_],
        settings: NDArray[np.object_],
        effects: Mapping[str, Effect] | None,
    ) -> list[Effect | None]:
        """Return what is known of the machine of each run.

        Figures say nothing of another runtime or datatype that the machine's runs in the fit are of.
        """
        if effects is None:
            return [self.effects.get(name) for name in machines]
        found: list[Effect | None] = []
        for name, setting in zip(machines, settings, strict=True):
            whole, before = effects.get(name), self.effects.get(name)
            effect = None if whole is None else whole.under(setting)
            apart = effect and effect.figures and setting not in effect.figures.settings
            ran = apart and before is not None and setting in before.settings
            found.append(before if ran else effect)
        return found

    def _state(self, effect: Effect | None, where: str, setting: str) -> int:
        if effect is None or effect.spread is None:
            return NEW if where in self._seen else FAR
        if setting not in effect.settings:
            return BESIDE
        return MANY if effect.many else FEW

    def unknown(self, facts: Facts) -> Floats:
        """Return the covariance of (a, w, k, t) of each run on a machine that nothing is known of; (runs, 4, 4).

        How machines of a class differ, and how sure the coefficients of its class and runtime are for such a run.
        """
        found = np.broadcast_to(np.diag(self.machine_deviation**2), (len(facts), 4, 4)).copy()
        if not self.uncertainty.size:
            return found
        values = self.features(facts)
        values["batch"] = of_batch(np.full(len(facts), USUAL_BATCH))
        columns = _columns(values)
        for machine_class, runtime, rows in _by_setting(facts):
            doubt = self._doubts(machine_class, runtime)
            x = columns[rows]
            found[rows] += np.einsum("nf,ng,fpgq->npq", x, x, doubt, optimize=True)
        return found

    def _doubts(self, machine_class: str, runtime: str) -> Floats:
        """Return the covariance of what `_slopes` returns; (features, 4, features, 4)."""
        known = self._known_doubts.get((machine_class, runtime))
        if known is not None:
            return known
        rows = self._find_terms(machine_class, runtime)
        slots = [
            FEATURES.index(self.terms[row].feature) * len(PARTS)
            + PARTS.index(self.terms[row].part)
            for row in rows
        ]
        into = np.zeros((len(rows), len(FEATURES) * len(PARTS)))
        into[np.arange(len(rows)), slots] = 1.0
        doubt = into.T @ self.uncertainty[np.ix_(rows, rows)] @ into
        # A class or a runtime that no run is of has no coefficients: they differ from others' as any do.
        present = {self.terms[row].level for row in rows}
        for level, absent, deviation in self.priors:
            if level not in present:
                doubt[absent, absent] += deviation**2
        doubt = doubt.reshape(len(FEATURES), len(PARTS), len(FEATURES), len(PARTS))
        return self._known_doubts.setdefault((machine_class, runtime), doubt)

    @cached_property
    def _known_doubts(self) -> dict[tuple[str, str], Floats]:
        return {}

    def _by_layers(
        self, found: Estimates, facts: Facts, means: Floats, spread: Floats
    ) -> Estimates:
        """Return estimates moved towards what the layers say, where the law of layers applies."""
        ran = np.isin(found.known, (FEW, MANY, BESIDE))
        rows = np.flatnonzero(ran & self.layers.applies(facts))
        if not len(rows):
            return found
        part = facts.take(rows)
        log_time, shares = self._time_of_layers(part, means[rows])
        moved, shared = found.log_time.copy(), found.shares.copy()
        covered = self.layers.coverage(part)
        share = SHARE * covered
        moved[rows] += share * (log_time - moved[rows])
        shared[rows] += share[:, None] * (shares - shared[rows])
        deviation, known = found.deviation.copy(), found.known.copy()
        own = self.layers.spread(part.own)
        many, here = np.isfinite(own), (known[rows] != BESIDE) & (covered >= COVERED)
        # A machine with many runs, few of them of known layers, is as sure as by its other runs.
        few = np.where(known[rows] == MANY, MANY, FEW_LAYERED)
        known[rows[here]] = np.where(many, MANY_LAYERED, few)[here]
        between = np.maximum(deviation[rows] ** 2 - spread[rows] ** 2, 0)
        deviation[rows] = np.where(many & here, np.sqrt(between + own**2), deviation[rows])
        return Estimates(moved, shared, deviation, known)

    def _time_of_layers(self, facts: Facts, means: Floats) -> tuple[Floats, Floats]:
        """Return what the law of layers says of runs: the logarithm of their seconds, and the shares of `PARTS`."""
        assert facts.layers is not None
        log_time, _, shares = time_of_layers(
            self.logarithms(machines_alone(facts)) + means, self.layers.of(facts), facts.terms, facts.layers,
        )  # fmt: skip
        return log_time, shares

    def _of_ways(self, facts: Facts) -> Floats:
        """Return what the way that a machine is run in adds to the logarithm of each run's time."""
        return np.asarray([self.ways.get(at, 0.0) for at in facts.own_at], np.float64)

    def beside(self, facts: Facts) -> Floats:
        """Return what the surface and the way that a machine is run in add to the logarithm of each run's time."""
        return self.surface.at(facts.where, facts.own, self.features(facts)) + self._of_ways(facts)

    def at_batches(
        self, runs: Facts, batches: Floats, effects: Mapping[str, Effect] | None = None
    ) -> Estimates:
        """Return the time of runs at many batches, as `estimate` does of as many runs.

        Args:
            runs: What is known of each run; its batch is not looked at.
            batches: Items under way; (runs, batches).
            effects: What is known of single machines; by default those of the fit.

        Returns:
            The batches of each run behind those of the one before.
        """
        means, covariances, spread, known = self._machines(runs, effects)
        covariances, spread = covariances[:, None], spread[:, None]
        # Of all features the batch changes one, by its logarithm: two batches say what all others do.
        least, more = (self.logarithms(runs.at(np.full(len(runs), at))) for at in (1.0, np.e))
        slopes, constants = (more - least)[:, None], (least + means)[:, None]
        logarithms = constants + np.log(batches)[..., None] * slopes
        columns = replace(runs, numbers={name: n[:, None] for name, n in runs.numbers.items()})
        rows, items = batches.size, batches.shape[1]
        found = self._estimates(
            logarithms.reshape(rows, 4),
            [np.broadcast_to(term, batches.shape).reshape(rows) for term in columns.at(batches).terms],
            np.broadcast_to(covariances, (*batches.shape, 4, 4)).reshape(rows, 4, 4),
            np.broadcast_to(spread, batches.shape).reshape(rows),
            np.repeat(known, items),
        )  # fmt: skip
        values = {name: np.repeat(value, items) for name, value in self.features(runs).items()}
        values["batch"] = of_batch(batches.reshape(rows))
        found = found.shift(
            self.surface.at(np.repeat(runs.where, items), np.repeat(runs.own, items), values)
        )
        each = np.repeat(np.arange(len(runs)), items)
        found = self._as_new(found.shift(self._of_ways(runs)[each]), runs, each)
        around = spread.ravel()[each]
        if self.layers.applies(runs).any():
            at = runs.take(each).at(batches.reshape(rows))
            found = self._by_layers(found, at, means[each], around)
        known_of = self._effects_of(runs.machine[each], runs.setting[each], effects)
        return with_figures(found, known_of, values, around)

    def _estimates(
        self,
        logarithms: Floats,
        terms: Sequence[Floats],
        covariances: Floats,
        spread: Floats,
        known: NDArray[np.int8],
    ) -> Estimates:
        log_time, shares = forward(logarithms, terms, self.power)
        between = np.einsum("ni,nij,nj->n", shares, covariances, shares)
        return Estimates(log_time, shares, np.sqrt(between + spread**2), known)

    def _as_new(
        self, found: Estimates, facts: Facts, each: NDArray[np.int64] | None = None
    ) -> Estimates:
        """Return estimates with the deviation of machines that nothing is known of, by how many like them are.

        Args:
            found: The estimates.
            facts: The runs.
            each: The run of each estimate; by default one of each.
        """
        at = facts.machine_class + np.asarray(["/"], object) + facts.setting
        peers = np.asarray([self.peers.get(name, 0) for name in at], np.float64)
        new = deviation_among(peers if each is None else peers[each])
        return replace(found, deviation=np.where(found.known == NEW, new, found.deviation))

    def correct(self, facts: Facts, log_time: Floats, prior: Effect | None = None) -> Effect:
        """Return a machine's deviation given figures of it: the mode under the law, and its curvature.

        Args:
            facts: The runs, all of one machine.
            log_time: Logarithm of their measured seconds per batch.
            prior: What was known of it before; by default what is known of any machine of a class.
        """
        prior = prior or Effect(np.zeros(4), self.unknown(facts).mean(0))
        base, terms = self.logarithms(facts), facts.terms
        places = places_of(self.features(facts))
        # What stands beside the law of counts is left as it is for the machine before.
        measured = log_time
        before = self.estimate(facts, dict.fromkeys(facts.machine, prior)).log_time
        log_time = log_time - (before - forward(base + prior.mean, terms, self.power)[0])
        mean, covariance = likeliest_deviation(
            base, terms, self.power, log_time, prior, Apart(kinds_shared(places, places), self.row_deviation)
        )  # fmt: skip
        effect = replace(prior, mean=mean, covariance=covariance, figures=None)
        found = self.estimate(facts, dict.fromkeys(facts.machine, effect))
        figures = own_figures(
            places, found.shares, prior.covariance,
            (prior.spread or self.row_deviation) ** 2, measured - found.log_time,
        )  # fmt: skip
        given = Counter(str(setting) for setting in facts.setting)
        several = facts.runtime[facts.numbers["throughput"] > 0]
        figures = replace(figures, settings=given, in_flight=frozenset(several))
        return replace(effect, figures=figures, settings=prior.settings | set(given))


def _columns(values: Mapping[str, Floats]) -> Floats:
    """Return the features of runs as columns, in the order of `FEATURES`."""
    return np.stack([values[name] for name in FEATURES], 1)


def _by_setting(facts: Facts) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield each class and runtime, and which runs are of them."""
    for machine_class, runtime in dict.fromkeys(
        zip(facts.machine_class, facts.runtime, strict=True)
    ):
        yield (
            machine_class,
            runtime,
            (facts.machine_class == machine_class) & (facts.runtime == runtime),
        )
