"""What is known of the coefficients of the time law before a fit, and what else is chosen before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from roofline.model._core import Floats
from roofline.model._forward import PARTS
from roofline.model._run_facts import LEVELS, Facts
from roofline.model._run_features import FEATURES
from roofline.model._time_law import Term
from roofline.validate.evidence.layer_fit import LayerShrinkage
from roofline.validate.evidence.surface import Shrinkage

ONE_LEVEL = (
    "cores", "peak", "class_peak", "on_chip", "unfed", "half", "phone", "mobile_year",
)  # fmt: skip
"""Features of machines: a class has too few machines for a slope of its own."""

MADE_OF = frozenset({"products", "windows"})
"""Features of what networks are made of."""

START = {"a": 0.7, "w": 0.0, "k": 0.3, "t": float(np.log(2e-4))}
"""Where the coefficients of everything start from; loosely held."""


NOTHING = -25.0
"""The logarithm of what takes no time."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is chosen before the fit."""

    power: float = 1.5
    slopes: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "a": (
                "depthwise", "grouped", "attention", "work", "int8", "w8a16", "activations_per_mac",
                "parameters_per_mac", "batch", "cores", "throughput", "class_peak", "class_bandwidth",
                "unfed", "half", "phone", "mobile_year", "products", "windows", "eager",
            ),
            "w": ("work", "parameters_per_mac"),
            "k": ("on_chip", "eager"),
            "t": ("throughput", "peak", "phone", "launches", "eager"),
        }
    )  # fmt: skip
    """The features each part has a slope over."""
    level: dict[str, float] = field(
        default_factory=lambda: {
            "all": 3.0, "family": 0.3, "runtime": 0.2, "class": 0.3, "class/runtime": 0.3,
        }
    )  # fmt: skip
    """Prior standard deviation of the constants of each level."""
    weights: float = 0.6
    """Times that, of the constants of weights: all reach more alike a share of a bandwidth than of a peak."""
    slope: float = 0.3
    """Prior standard deviation of slopes."""
    class_slope: float = 0.1
    """The same of what a class adds to a slope: some classes have runs of few machines only."""
    peak_slope: float = 0.1
    """The same of a slope over the peak within a class."""
    made_of: float = 0.15
    """The same of slopes over what a network is made of beyond its counts, which not all runs tell of."""
    machine: float = 0.3
    """The same of a machine's deviation in each part."""
    way: float = 0.3
    """The same of what one of several datatypes of a machine adds to the time of its runs."""
    on_chip: float = -1.0
    """Prior mean of the slope of activation time beyond the ratio at which a machine keeps them on chip."""
    spread: float = 0.2
    """Standard deviation of a run around its machine's law that the robust loss takes as given."""
    pooled: float = 10.0
    """How many runs of its own the spread of any machine counts as in that of one."""
    limit: float = 0.3
    """Residual beyond which a run counts by its size alone."""
    effective: int = 80
    """Runs that one machine counts as at most."""
    most: int = 80
    """Runs of one machine that the fit looks at; a fixed sample, since one machine's runs say one machine's law."""
    reported: float = 0.07
    """How far reported runs move a coefficient that published tables have runs of: its standard deviation around what
    they say."""
    without: frozenset[str] = frozenset()
    """Parts that take no time at all."""
    surface: Shrinkage | None = field(default_factory=Shrinkage)
    """How the surface beside the law is fitted, to all runs; None for none."""
    layers: LayerShrinkage | None = field(default_factory=LayerShrinkage)
    """How the law of layers beside it is fitted, to runs of networks whose layers are known; None for none."""

    def constant(self, part: str, level: str) -> float:
        """Return the prior standard deviation of what a level adds to a part."""
        return self.level[level] * (self.weights if part == "w" else 1.0)

    def slope_of(self, feature: str) -> float:
        """Return the prior standard deviation of a slope over a feature."""
        if feature in MADE_OF:
            return self.made_of
        return self.peak_slope if feature == "class_peak" else self.slope


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of each coefficient before the fit."""

    terms: tuple[Term, ...]
    mean: Floats
    deviation: Floats


def centres(facts: Facts) -> dict[str, tuple[float, float]]:
    """Return the median log peak and log bandwidth of each class, each machine counted once."""
    found: dict[str, list[tuple[float, float]]] = {}
    for machine in np.unique(facts.machine):
        rows = np.flatnonzero(facts.machine == machine)
        pair = tuple(
            float(np.median(np.log(facts.numbers[name][rows]))) for name in ("peak", "bandwidth")
        )
        found.setdefault(str(facts.machine_class[rows[0]]), []).append((pair[0], pair[1]))
    return {name: middle(dict(enumerate(pairs))) for name, pairs in found.items()}


def middle(pairs: Mapping[Any, tuple[float, float]]) -> tuple[float, float]:
    """Return the medians of the first and of the second of pairs."""
    return (
        float(np.median([x for x, _ in pairs.values()])),
        float(np.median([y for _, y in pairs.values()])),
    )


def prior(facts: Facts, options: Options) -> Prior:
    """Return the terms of the law for the classes and runtimes that evidence has, and what is known of each."""
    entries: list[tuple[Term, float, float]] = []
    labels = {level: sorted(set(facts.labels(level))) for level in LEVELS if level != "all"}
    for part in PARTS:
        if part in options.without:
            entries.append((Term(part, "one", "all", ""), NOTHING, 1e-3))
            continue
        entries.append((Term(part, "one", "all", ""), START[part], options.level["all"]))
        for level, found in labels.items():
            deviation = options.constant(part, level)
            entries += [(Term(part, "one", level, label), 0.0, deviation) for label in found]
        for feature in options.slopes[part]:
            deviation = options.slope_of(feature)
            mean = options.on_chip if feature == "on_chip" else 0.0
            entries.append((Term(part, feature, "all", ""), mean, deviation))
            if feature not in ONE_LEVEL:
                entries += [
                    (Term(part, feature, "class", label), 0.0, options.class_slope)
                    for label in labels["class"]
                ]
    return Prior(
        tuple(entry[0] for entry in entries),
        np.asarray([entry[1] for entry in entries]),
        np.asarray([entry[2] for entry in entries]),
    )


def unseen_priors(options: Options) -> tuple[tuple[str, tuple[int, ...], float], ...]:
    """Return what coefficients of a class, a runtime or both that no run is of are taken to be like.

    Of each level its name, the coefficients (place of the feature times four plus that of the part), and their standard
    deviation.
    """
    parts = [place for place, part in enumerate(PARTS) if part not in options.without]
    one = FEATURES.index("one") * len(PARTS)
    slopes = tuple(
        FEATURES.index(feature) * len(PARTS) + place
        for place in parts
        for feature in options.slopes[PARTS[place]]
        if feature not in ONE_LEVEL
    )
    levels = [
        (level, (one + place,), options.constant(PARTS[place], level))
        for level in LEVELS
        if level != "all"
        for place in parts
    ]
    return (*levels, ("class", slopes, options.class_slope))


def design(facts: Facts, values: Mapping[str, Floats], terms: Sequence[Term]) -> dict[str, Floats]:
    """Return the matrix of each part: one row per run, one column per term of that part."""
    labels = {level: facts.labels(level) for level in LEVELS if level != "all"}
    columns: dict[str, list[Floats]] = {part: [] for part in PARTS}
    for term in terms:
        value = values[term.feature]
        if term.level != "all":
            value = value * (labels[term.level] == term.label)
        columns[term.part].append(value)
    return {
        part: np.stack(found, 1) if found else np.zeros((len(facts), 0))
        for part, found in columns.items()
    }
