"""A machine's profile: what microbenchmarks measured with one backend, and what it says about work not measured.

Time is the speed of light of the work over the share of it that the machine reaches (its utilisation). The share is
interpolated over the logarithm of the work's shape between the microbenchmarks of the same kind, by Gaussian process
regression with fixed, wide priors: near a measured shape it is what was measured, far from all it is their trend, and
its deviation says how far. A kind that was not measured borrows from kinds whose names begin alike, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from roofline.model._prediction import Basis
from roofline.model.work import Work

Floats = NDArray[np.float64]

_LEVEL, _SLOPE, _BEND, _REACH, _NOISE = 1.0, 0.1, 0.8, 4.0, 0.08
"""Prior deviations of the logarithm of a utilisation: its level, its slope an octave, its bends, over how many octaves
bends are alike, and the noise of a measurement. Of a coarse grid, those under which microbenchmarks of one machine,
each left out in turn, were likeliest; no network was looked at."""
_BORROWED: Final[Mapping[str, float]] = {"kind": 0.0, "parent": 1.0, "class": 1.1, "any": 1.5}
"""Deviation of the logarithm that a kind without samples adds, by the step to where samples were borrowed. Each kind of
104 was left out of the probes of one machine in turn: two of three then lay within a factor of 3 of what the nearest
kinds said of them, and no nearer where these were of the same parent than of the same class."""
_BEYOND, _FAR = 2.0, 0.2
"""Octaves beyond all measured shapes to which a trend goes on, and the deviation that each octave more adds: what outer
ranges of shapes, left out of the probes, lay further off than the deviation of the trend says."""
_FEW = 2
"""Samples of a kind up to which they say nothing of one another."""
_UNKNOWN = 0.3
"""Utilisation of work of which nothing alike was measured."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured shape of one kind of work."""

    at: tuple[float, ...]
    """The shape along the axes of its kind."""
    utilisation: float
    """Speed-of-light time over measured time."""
    spread: float = 0.0
    """Deviation of its logarithm between measurements."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Time of some work, with its deviation."""

    seconds: float
    bound_s: float
    """Speed-of-light time: no machine with these roofs is faster."""
    deviation: float
    """Of the logarithm of the seconds."""
    basis: Basis
    """Interpolated between samples of its kind, borrowed from a kind like it, or estimated where none is alike."""
    memory_bound: bool
    fixed_s: float = 0.0
    """Seconds of them that do not depend on its size."""
    beyond: float = 0.0
    """Octaves that its shape lies outside of those that were measured of its kind."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """Times of some work at many batches, with their deviations; arrays with one entry per batch."""

    seconds: Floats
    bound_s: Floats
    deviation: Floats
    basis: Basis
    memory_bound: NDArray[np.bool_]
    fixed_s: float
    beyond: Floats


@dataclass(frozen=True)
class Profile:
    """What was measured on one machine with one backend and number of threads."""

    backend: str
    version: str
    threads: int
    peaks: Mapping[str, float]
    """OP/s by datatype: the roofs that utilisations refer to."""
    bandwidth: float
    """B/s of the memory."""
    run_s: float
    """Seconds a run takes beside its layers."""
    layer_s: float
    """Seconds the smallest layer takes."""
    lanes: int
    """Channels that packed kernels handle at once; 1 where no step was found."""
    samples: Mapping[str, tuple[Sample, ...]]
    """By kind."""
    absorbed: frozenset[str] = frozenset()
    """Operators that a convolution does on its way out (``Relu``, ``residual``), by name and form."""
    after_product: frozenset[str] = frozenset()
    """The same of matrix products."""
    packed: frozenset[str] = frozenset()
    """Operators that leave channels packed."""
    patterns: frozenset[str] = frozenset()
    """Groups of operators that run as one."""
    fusion: str = ""
    """The rules by which operators become one kernel, where they are not those of a runtime that is measured:
    ``by_index`` of a compiler."""
    conditions: str = ""
    """How programs were made, and for what; empty of a runtime that takes models as they are."""
    streams: tuple[tuple[float, float], ...] = ()
    """Bytes a run goes through, and the B/s at which weights then arrive: fast out of caches, slow out of memory."""
    switches: tuple[tuple[float, float], ...] = ()
    """Bytes a run goes through, and the seconds that a layer then takes more among layers of other kinds than among its
    own: its code and what the runtime knows of it come from where the bytes before it left them."""
    among: tuple[tuple[float, float], ...] = ()
    """Bytes that an operator passes over, and the seconds that each takes more where it stands among products: these
    take the caches in which it would find its values among its own."""
    view_s: float = 0.0
    """Seconds of a view among operators; 0 where none was measured: then as the smallest layer among others."""
    corrections: Mapping[str, float] = field(default_factory=dict[str, float])
    """Factors of seconds by class of work, from networks that were measured."""
    spread: float = 1.0
    """Geometric factor by which deviations were found too small (above 1) or too large on networks it was judged on."""
    processor: str = ""
    _fits: dict[str, _Fit] = field(
        default_factory=dict[str, "_Fit"], init=False, repr=False, compare=False
    )

    @cached_property
    def surprise(self) -> float:
        """How many deviations samples lie from what the others of their kind say of them, in the root mean square.

        It is 1 where deviations are as large as errors are. Samples that lie further than four count as four.
        """
        found = [
            value
            for kind, samples in self.samples.items()
            if len(samples) > _FEW
            for value in self._fit(kind).surprises()
        ]
        clipped = np.clip(np.abs(np.array(found, dtype=np.float64)), 0.0, 4.0)
        return float(np.sqrt((clipped**2).mean())) if found else 1.0

    def bound_s(self, work: Work) -> tuple[float, bool]:
        """Return the speed-of-light seconds of some work, and whether memory bounds it."""
        bound, memory_bound = self._bounds(work, np.ones(1))
        return float(bound[0]), bool(memory_bound[0])

    def _bounds(self, work: Work, factors: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        compute = self._compute_s(work, factors)
        memory = self._values_s(work, factors) + work.weight_bytes / self.bandwidth
        return np.maximum(np.maximum(compute, memory), 1e-12), memory > compute

    def _compute_s(self, work: Work, factors: Floats) -> Floats:
        peak = self.peaks.get(work.datatype) or self.peaks.get("fp32") or max(self.peaks.values())
        # A compiler pads an image before it convolves it.
        return work.padded_ops(self.lanes, skips=not self.fusion) * factors / peak

    def _values_s(self, work: Work, factors: Floats) -> Floats:
        moved = np.rint(work.bytes * factors) + np.rint(work.patch_bytes * factors) / 4
        return moved / self.bandwidth

    def floor_s(self, work: Work, working_set: int) -> float:
        """Return the seconds that utilisation refers to: as `bound_s`, with weights at the pace they arrive at.

        Args:
            work: One layer.
            working_set: Bytes of weights and values of one run of the whole network.
        """
        return float(self._floors(work, np.ones(1), np.asarray([working_set], np.float64))[0])

    def _floors(self, work: Work, factors: Floats, working_sets: Floats) -> Floats:
        if len(self.streams) < 2:
            return self._bounds(work, factors)[0]
        if not is_decided_by_weights(work.kind):
            # Weights out of the nearest cache: what they take because they come from further is `cold_s`.
            nearest = min(1.0 / rate for _, rate in self.streams)
            memory = self._values_s(work, factors) + work.weight_bytes * nearest
            return np.maximum(np.maximum(self._compute_s(work, factors), memory), 1e-12)
        first = work.weight_bytes * self._pace(np.maximum(working_sets, work.weight_bytes))
        # What every step of a recurrent layer reads again comes from where one step's weights stay.
        again = work.reread_bytes * self._pace(np.asarray([work.held_bytes], np.float64))[0]
        memory = self._values_s(work, factors) + first + again
        return np.maximum(np.maximum(self._compute_s(work, factors), memory), 1e-12)

    def _pace(self, working_sets: Floats) -> Floats:
        """Return the seconds that a byte of weights takes when a run goes through so many bytes."""
        places = [math.log(size) for size, _ in self.streams]
        paces = [1.0 / rate for _, rate in self.streams]
        return np.interp(np.log(np.maximum(working_sets, 1)), places, paces)

    def _among_s(self, work: Work, factors: Floats) -> Floats:
        if not self.among:
            return np.zeros(len(factors))
        places = [math.log(held) for held, _ in self.among]
        held = np.log(np.maximum(work.bytes / max(work.repeats, 1) * factors, 1))
        paces = np.interp(held, places, [pace for _, pace in self.among])
        return work.bytes * factors * paces

    def switches_s(self, working_sets: Floats) -> Floats:
        """Return the seconds that a layer takes more among layers of other kinds, by the bytes a run goes through."""
        if not self.switches:
            return np.zeros(len(working_sets))
        places = [math.log(held) for held, _ in self.switches]
        seconds = [own for _, own in self.switches]
        return np.interp(np.log(np.maximum(working_sets, 1)), places, seconds)

    def views_s(self, switches: Floats) -> Floats:
        """Return the seconds of a view, where a layer takes so much more among layers of other kinds."""
        return np.full(len(switches), self.view_s) if self.view_s else self.layer_s + switches

    def estimate(self, work: Work, working_set: int) -> Estimate:
        """Return the time of some work.

        Args:
            work: One layer.
            working_set: Bytes of weights that one run of the whole network reads: they decide where weights come from.
        """
        found = self.estimates(work, np.ones(1), np.asarray([working_set], np.float64))
        return Estimate(
            float(found.seconds[0]), float(found.bound_s[0]), float(found.deviation[0]), found.basis,
            memory_bound=bool(found.memory_bound[0]), fixed_s=found.fixed_s, beyond=float(found.beyond[0]),
        )  # fmt: skip

    def estimates(self, work: Work, factors: Floats, working_sets: Floats) -> Estimates:
        """Return the times of some work at many times its batch.

        Args:
            work: One layer.
            factors: How many times its batch; its kind is the same at all of them.
            working_sets: Bytes of weights and values of one run of the whole network at each.
        """
        bound, memory_bound = self._bounds(work, factors)
        name, step = self._find_nearest(work.kind)
        fixed = self.layer_s * work.repeats
        if name is None:
            seconds = fixed + bound / _UNKNOWN
            spread = np.full(len(factors), _BORROWED["any"])
            none = np.zeros(len(factors))
            return Estimates(seconds, bound, spread, Basis.ESTIMATED, memory_bound, fixed, none)
        places = [np.full(len(factors), size) for size in work.at]
        axis = work.batch_axis
        if axis < len(places):
            places[axis] = places[axis] * factors
        share, deviation, beyond = self._fit(name).at(np.stack(places, axis=1))
        floor = self._floors(work, factors, working_sets)
        away = self._among_s(work, factors) if passes_over(work.kind) else 0.0
        seconds = fixed + floor / share + away + self._cold_s(work, working_sets)
        own = floor / share / seconds
        basis = Basis.INTERPOLATED if step == "kind" else Basis.BORROWED
        spread = np.hypot(deviation, _BORROWED[step]) * own
        return Estimates(seconds, bound, spread, basis, memory_bound, fixed, beyond)

    def cold_s(self, work: Work, working_set: int) -> float:
        """Return the seconds that weights take beyond those out of the nearest cache, where its floor holds none."""
        return float(self._cold_s(work, np.asarray([working_set], np.float64))[0])

    def _cold_s(self, work: Work, working_sets: Floats) -> Floats:
        if len(self.streams) < 2 or is_decided_by_weights(work.kind):
            return np.zeros(len(working_sets))
        least = min(1.0 / rate for _, rate in self.streams)
        return work.weight_bytes * np.maximum(self._pace(working_sets) - least, 0.0)

    def _find_nearest(self, kind: str) -> tuple[str | None, str]:
        """Return the name under which samples stand that are nearest in kind."""
        if kind in self.samples:
            return kind, "kind"
        parts = kind.split(".")
        for length in range(len(parts) - 1, 0, -1):
            prefix = ".".join(parts[:length]) + "."
            if any(other.startswith(prefix) for other in self.samples):
                return prefix, "parent" if length > 1 or len(parts) == 2 else "class"
        return None, "any"

    def _fit(self, name: str) -> _Fit:
        fit = self._fits.get(name)
        if fit is None:
            own = [
                sample
                for kind, samples in self.samples.items()
                if kind == name or (name.endswith(".") and kind.startswith(name))
                for sample in samples
            ]
            width = max(len(sample.at) for sample in own)
            fit = self._fits[name] = _Fit([sample for sample in own if len(sample.at) == width])
        return fit


def is_decided_by_weights(kind: str) -> bool:
    """Return whether the time of a kind is that in which its weights arrive."""
    return kind.startswith(("matmul.vector", "matmul.narrow", "rnn"))


def passes_over(kind: str) -> bool:
    """Return whether operators of a kind pass over values once, and find them where what ran before has left them.

    What stands between convolutions was measured there.
    """
    return not kind.startswith(
        ("conv", "matmul", "einsum", "spectral", "rnn", "attention", "packed", "subnormal")
    )


class _Fit:
    """Gaussian process regression of one kind's utilisation over the logarithm of its shape."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._places: Floats = np.log2(
            np.array([sample.at for sample in samples], dtype=np.float64)
        )
        values: Floats = np.log(
            np.array([sample.utilisation for sample in samples], dtype=np.float64)
        )
        self._middle: Floats = np.median(self._places, axis=0)
        self._low, self._high = self._places.min(axis=0), self._places.max(axis=0)
        self._level = float(np.median(values))
        covariance = self._covariance(self._places, self._places)
        spread: Floats = np.array([sample.spread for sample in samples], dtype=np.float64)
        covariance[np.diag_indices_from(covariance)] += _NOISE**2 + spread**2
        self._inverse: Floats = np.asarray(np.linalg.inv(covariance), np.float64)
        self._weights: Floats = self._inverse @ (values - self._level)

    def surprises(self) -> Floats:
        """Return by how many deviations each sample lies off what all others say of it."""
        # Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equations 5.10 to 5.12.
        return self._weights / np.sqrt(np.diag(self._inverse))

    def at(self, places: Floats) -> tuple[Floats, Floats, Floats]:
        """Return what is known at each shape, shapes on the first axis.

        Returns:
            The utilisation, the deviation of its logarithm, and how many octaves the shape lies outside of the range
            of those that were measured.
        """
        where = np.log2(places)
        count = len(where)
        if where.shape[1] != self._places.shape[1]:
            return np.full(count, math.exp(self._level)), np.full(count, 0.5), np.zeros(count)
        outside = np.maximum(self._low - where, 0.0) + np.maximum(where - self._high, 0.0)
        beyond = np.linalg.norm(outside, axis=1)
        far = np.maximum(beyond - _BEYOND, 0.0)
        # Beyond what was measured the trend goes on for a while, not for ever.
        where = np.clip(where, self._low - _BEYOND, self._high + _BEYOND)
        near = self._covariance(where, self._places)
        value = self._level + near @ self._weights
        own = _LEVEL**2 + _SLOPE**2 * ((where - self._middle) ** 2).sum(axis=1) + _BEND**2
        variance = (
            own + _NOISE**2 - np.einsum("ij,jk,ik->i", near, self._inverse, near, optimize=True)
        )
        deviation = np.sqrt(np.maximum(variance, _NOISE**2) + (_FAR * far) ** 2)
        return np.exp(value), deviation, beyond

    def _covariance(self, left: Floats, right: Floats) -> Floats:
        a, b = left - self._middle, right - self._middle
        apart: Any = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
        return _LEVEL**2 + _SLOPE**2 * (a @ b.T) + _BEND**2 * np.exp(-apart / (2 * _REACH**2))
