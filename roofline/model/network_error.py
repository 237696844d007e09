"""How wide the interval of a network's time is: what errors of its layers come to together, on either side.

A layer alone has a deviation of the logarithm of its time. Errors of layers of one kind are half alike, since they
share its samples and not their shapes, and kinds are independent: that is the **fast side**, by which a run may take
less than is estimated. A run that takes more does so by something that no probe shows, a kernel that is chosen for some
shapes alone or values that are slow, and all layers of a class have it at once: that is what the **slow side** adds.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from roofline.model._prediction import Basis
from roofline.model.machine_profile import Floats, Profile, passes_over
from roofline.model.subnormal_steps import SUBNORMAL

_ALIKE = 0.5
"""Correlation of the errors of two layers of one kind: they share its samples, and not their shape."""
_COMMON = 0.09
"""Deviation that all networks share: a machine is not the same from one hour to the next, and no network is its layers
alone."""
_OWN = 0.4
"""Share of the deviation of layers that stays where many of measured kinds stand together."""
_ALL_BEYOND = 3.0
"""Octaves outside of what was measured from which all of it stays; up to one octave no more does than inside."""
_STREAMING = 0.18
"""Deviation of the time of layers that pass over values, where all of a network is such: what they take depends on what
runs before them, more than products do."""
_THREADS = 0.1
"""Deviation that wall times on several threads add: that of the host's other programs."""
_CLASSES = 3.0
"""How many times the deviation of classes of layers, each taken as one error, counts on the slow side."""
_MOVING = 1.2
"""How many times the whole deviation of layers that pass over values counts there, all of them taken as one error: each
operator has a kernel of its own, and a runtime many that no probe times."""


@dataclass(frozen=True, slots=True)
class Deviations:
    """Of the logarithm of a network's seconds, one entry for each batch."""

    fast: Floats
    """On the side of runs that take less than is estimated."""
    slow: Floats
    """On that of runs that take more."""


@dataclass(slots=True)
class ErrorSums:
    """Errors of layers in seconds, summed as they are alike; layers are added in any order."""

    batches: int
    """How many entries the seconds of a layer have."""
    _alike: dict[str, Floats] = field(default_factory=dict[str, Floats])
    _apart: dict[str, Floats] = field(default_factory=dict[str, Floats])
    _passing: Floats | float = 0.0
    _moving: Floats | float = 0.0

    def add(
        self, kind: str, seconds: Floats, deviation: Floats, basis: Basis, beyond: Floats
    ) -> None:
        """Add a layer.

        Args:
            kind: Of the layer.
            seconds: It takes.
            deviation: Of their logarithm.
            basis: Where the figure comes from.
            beyond: Octaves outside of what was measured of its kind.
        """
        none = np.zeros(self.batches)
        error = seconds * deviation * _shares_kept(kind, basis, beyond)
        self._alike[kind] = self._alike.get(kind, none) + error
        self._apart[kind] = self._apart.get(kind, none) + error**2
        if passes_over(kind):
            self._passing = self._passing + seconds
            self._moving = self._moving + seconds * deviation

    def deviations(self, seconds: Floats, profile: Profile) -> Deviations:
        """Return the deviations of a network of the layers that were added.

        Args:
            seconds: The whole time of one run.
            profile: Of the machine, with as many threads as the run.
        """
        none = np.zeros(self.batches)
        variance, classes = none, defaultdict[str, Floats](lambda: none)
        for kind, alike in self._alike.items():
            variance = variance + _ALIKE * alike**2 + (1 - _ALIKE) * self._apart[kind]
            name = kind.partition(".")[0]
            classes[name] = classes[name] + alike
        together = sum((error**2 for error in classes.values()), none)
        fast = fast_deviation(np.sqrt(variance) / seconds, self._passing / seconds, profile)
        slow = slow_deviation(fast, np.sqrt(together) / seconds, self._moving / seconds, profile)
        return Deviations(fast, slow)


def fast_deviation(layers: Floats, passing: Floats, profile: Profile) -> Floats:
    """Return the deviation on the side of runs that take less than is estimated.

    What its layers say is one part; the others were found on networks: none of the list that they are judged on, and
    widened by as much as the networks of one list lay further off than those of the others said.

    Args:
        layers: That of its layers together, kinds taken as independent and layers of one kind as half alike.
        passing: Share of the time of layers that pass over values.
        profile: Of the machine, with as many threads as the run.
    """
    threads = _THREADS if profile.threads > 1 else 0.0
    own = layers * max(profile.surprise, 1.0)
    found = np.sqrt(own**2 + (_STREAMING * passing) ** 2 + _COMMON**2 + threads**2)
    return np.asarray(found * profile.spread, np.float64)


def slow_deviation(fast: Floats, classes: Floats, moving: Floats, profile: Profile) -> Floats:
    """Return the deviation on the side of runs that take more than is estimated.

    Its two factors are of the first scores of four lists of networks, each by the law and the probes of its day: those
    at which intervals held four families of five, over all and of a list that was left out.

    Args:
        fast: `fast_deviation`.
        classes: That of its layers, all of a class taken as one error and classes as independent.
        moving: That of its layers that pass over values, all taken as one error.
        profile: Of the machine.
    """
    more = profile.spread**2 * ((_CLASSES * classes) ** 2 + (_MOVING * moving) ** 2)
    return np.asarray(np.sqrt(fast**2 + more), np.float64)


def _shares_kept(kind: str, basis: Basis, beyond: Floats) -> Floats:
    """Return which share of a layer's deviation stays among others.

    It is all of it where a layer is borrowed, depends on values, or lies far outside of what was measured of its kind:
    errors of such layers are not independent of one another.

    Args:
        kind: Of the layer.
        basis: Where its figure comes from.
        beyond: Octaves outside of what was measured.
    """
    if kind == SUBNORMAL or basis in (Basis.BORROWED, Basis.ESTIMATED):
        return np.ones(beyond.shape)
    near = np.clip((_ALL_BEYOND - beyond) / (_ALL_BEYOND - 1.0), 0.0, 1.0)
    return 1.0 - (1.0 - _OWN) * near
