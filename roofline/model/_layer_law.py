"""What the layers of a network say of its time on a machine whose runs are known: a second law beside that of counts.

The time of a batch is the sum over layers of

    ((C a kind (WIDE / narrow)^n)^3 + (W w s + A k m)^3)^(1/3) + t u,    and t v once.

C, W and A are a layer's part of the network's terms of the time law (`_time_law`); a, w, k and t are what that law
says of the machine, the runtime, the datatype and the batch, whatever the network. Beside them stand a number for each
kind of layer that multiplies, and seven more: n for layers narrower than `WIDE` channels, s for their weights, m for
what they move, u for their calls and v for that of the network; m and u are others for layers that do not multiply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats
from roofline.model._layer_groups import (
    ARITHMETIC,
    ELEMENTS,
    KIND,
    MACS,
    NARROW,
    TIMES,
    WEIGHTS,
    LayerGroups,
)
from roofline.model._run_facts import Facts

LAYER_PARTS = (
    *ARITHMETIC, "narrow", "weights", "moved", "other moved", "calls", "other calls", "call of all",
)  # fmt: skip
"""The logarithms that make up the law, beside those of the time law."""

POWER = 3.0
"""How sharply a layer's time goes over from its arithmetic to its memory."""

EVERYTHING = ""
"""The label of the parts of all runs."""

SHARE = 0.75
"""Share of the law of layers in an estimate, in logarithms; the rest is that of the law of counts. Networks of families
that neither had seen were estimated best by three quarters, of a half and the whole. It is less by the arithmetic that
no run of the machine tells of."""

COVERED = 0.5
"""Coverage from which an estimate is as sure as others by layers."""

_RUNS = 20_000
"""Runs that are worked out at once: their groups are some fifteen times as many numbers."""


@dataclass(frozen=True)
class LayerLaw:
    """The law of layers on the machines whose runs are known."""

    parameters: Mapping[str, Floats] = field(default_factory=dict[str, "Floats"])
    """Logarithms of `LAYER_PARTS` by label: of `EVERYTHING`, and what is added to them by a class and runtime
    (``cpu/openvino``), a machine and runtime (``i5-8500/openvino``), and one of several datatypes there
    (``i5-8500/openvino/int8``)."""
    spreads: Mapping[str, float] = field(default_factory=dict[str, float])
    """Of machines and runtimes with many runs, the standard deviation of the logarithm of a run's time around estimates
    that had not seen its family of networks."""
    seen: Mapping[str, Floats] = field(default_factory=dict[str, "Floats"])
    """Of machines and runtimes, how many whole networks the arithmetic of each of `ARITHMETIC` makes up in its runs."""

    def knows(self, machine: str, runtime: str) -> bool:
        """Return whether the law is known of a machine under a runtime."""
        return f"{machine}/{runtime}" in self.parameters

    def applies(self, facts: Facts) -> NDArray[np.bool_]:
        """Return of which runs the law has something to say: layers known and in sequence, on a known machine."""
        layered = facts.layered & ~facts.pipelined
        layered[layered] = [label in self.parameters for label in facts.own[layered]]
        return layered

    def coverage(self, facts: Facts) -> Floats:
        """Return how much of each run's arithmetic is of kinds that its machine's runs tell of; 0 to 1."""
        assert facts.layers is not None
        none = np.zeros(len(ARITHMETIC))
        seen = np.stack([self.seen.get(label, none) for label in facts.own])
        return (kinds_of(facts.layers) * seen / (seen + 1)).sum(1)

    def spread(self, own: NDArray[np.object_]) -> Floats:
        """Return the spread of each machine and runtime; NaN for those with few runs."""
        return np.asarray([self.spreads.get(label, np.nan) for label in own], np.float64)

    def of(self, facts: Facts) -> Floats:
        """Return the logarithms of the parts for each run of machines whose law is known; (runs, parts)."""
        known = self.parameters
        found = np.tile(known[EVERYTHING], (len(facts), 1))
        for labels in (facts.where, facts.own, facts.own_at):
            for label in set(labels) & known.keys():
                found[labels == label] += known[label]
        return found


def kinds_of(layers: LayerGroups) -> Floats:
    """Return the share of each of `ARITHMETIC` in the multiply-accumulates of each run's network; (runs, kinds)."""
    kinds, runs = len(ARITHMETIC), len(layers.counts)
    place = layers.values[:, KIND].astype(np.int64)
    own = place < kinds
    at = layers.run[own] * kinds + place[own]
    summed = np.bincount(at, layers.values[own, MACS], minlength=runs * kinds)
    return summed.astype(np.float64).reshape(runs, kinds)


def machines_alone(facts: Facts) -> Facts:
    """Return facts of the same machines with a network at which all features of networks are zero."""
    giga = np.full(len(facts), 2e9)
    none = np.zeros(len(facts))
    counts = {"macs": giga, "activations": 4e-3 * giga, "parameters": 5e-3 * giga}
    kinds = dict.fromkeys(("depthwise", "grouped", "attention"), none)
    return replace(facts, numbers={**facts.numbers, **counts, **kinds}, layers=None)


def time_of_layers(
    machines: Floats, parts: Floats, terms: Sequence[Floats], layers: LayerGroups
) -> tuple[Floats, Floats, Floats]:
    """Return of each run the logarithm of its seconds, its derivatives by `LAYER_PARTS`, and shares of (a, w, k, t).

    Args:
        machines: What the time law says of (a, w, k, t) of each run, whatever its network; (runs, 4).
        parts: Logarithms of `LAYER_PARTS`; (runs, parts).
        terms: C, W and A of each run, in seconds.
        layers: The layers of each run's network.
    """
    found = [
        _time_of_layers(
            machines[rows], parts[rows], [term[rows] for term in terms], layers.take(rows)
        )
        for start in range(0, len(machines), _RUNS)
        for rows in [np.arange(start, min(start + _RUNS, len(machines)))]
    ]
    times, derivatives, shares = zip(*found, strict=True)
    return np.concatenate(times), np.concatenate(derivatives), np.concatenate(shares)


def _time_of_layers(
    machines: Floats, parts: Floats, terms: Sequence[Floats], layers: LayerGroups
) -> tuple[Floats, Floats, Floats]:
    run, runs, values = layers.run, len(machines), layers.values.T
    place = np.minimum(values[KIND].astype(np.int64), len(ARITHMETIC) - 1)
    multiplies = values[KIND] < len(ARITHMETIC)
    kinds = parts[:, : len(ARITHMETIC)]
    narrow, weighs, moves, moves_other, calls, calls_other, call = (
        parts[:, column] for column in range(len(ARITHMETIC), len(LAYER_PARTS))
    )
    a, w, k, t = (machines[:, column] for column in range(4))

    def seconds(logarithm: Floats, of_one: Floats) -> Floats:
        return np.exp(np.clip(logarithm, -25, 12)) * of_one

    width = values[NARROW]
    compute = seconds(
        (a[:, None] + kinds)[run, place] - width * narrow[run], terms[0][run] * values[MACS]
    )
    weights = seconds((w + weighs)[run], terms[1][run] * values[WEIGHTS])
    moving: Floats = np.where(multiplies, (k + moves)[run], (k + moves_other)[run])
    calling: Floats = np.where(multiplies, (t + calls)[run], (t + calls_other)[run])
    moved = seconds(moving, terms[2][run] * values[ELEMENTS])
    called = seconds(calling, values[TIMES])
    once = seconds(t + call, np.ones(runs))

    memory = weights + moved
    highest = np.maximum(np.maximum(compute, memory), 1e-300)
    by_compute, by_memory = (compute / highest) ** POWER, (memory / highest) ** POWER
    roof = highest * (by_compute + by_memory) ** (1 / POWER)
    by_compute = roof * by_compute / np.maximum(by_compute + by_memory, 1e-300)
    in_memory = (roof - by_compute) / np.maximum(memory, 1e-300)

    def sum_runs(each: Floats) -> Floats:
        return np.bincount(run, each, minlength=runs).astype(np.float64)

    of_kinds = np.bincount(
        run * len(ARITHMETIC) + place, by_compute, minlength=runs * len(ARITHMETIC)
    ).reshape(runs, len(ARITHMETIC))
    weighed, moved_all, called_all = (
        sum_runs(in_memory * weights),
        sum_runs(in_memory * moved),
        sum_runs(called),
    )
    moved_own, called_own = sum_runs(in_memory * moved * multiplies), sum_runs(called * multiplies)
    computed = of_kinds.sum(1)
    total = computed + weighed + moved_all + called_all + once
    derivatives = np.stack(
        [
            *of_kinds.T, sum_runs(-width * by_compute), weighed, moved_own, moved_all - moved_own,
            called_own, called_all - called_own, once,
        ],
        1,
    )  # fmt: skip
    shares = np.stack([computed, weighed, moved_all, called_all + once], 1)
    return np.log(total), derivatives / total[:, None], shares / total[:, None]
