"""The microbenchmarks of a machine: one module for each family of operators, `graph` with what they are built from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roofline.validate.calibration.probes.compiled import compiled_probes
from roofline.validate.calibration.probes.convolutions import convolutions, lanes
from roofline.validate.calibration.probes.elementwise import elementwise
from roofline.validate.calibration.probes.graph import USING_UP, Probe
from roofline.validate.calibration.probes.integers import integers
from roofline.validate.calibration.probes.moves import moves
from roofline.validate.calibration.probes.neighbours import (
    BETWEEN_ELEMENTS,
    JOINED_ELEMENTS,
    conversions,
    probes_between,
)
from roofline.validate.calibration.probes.patterns import patterns
from roofline.validate.calibration.probes.products import products
from roofline.validate.calibration.probes.recurrent import recurrent
from roofline.validate.calibration.probes.reductions import reductions
from roofline.validate.calibration.probes.transforms import transforms

__all__ = [
    "BETWEEN_ELEMENTS",
    "JOINED_ELEMENTS",
    "USING_UP",
    "Probe",
    "probes",
    "probes_of",
]


def probes() -> tuple[Probe, ...]:
    """Return every microbenchmark of backends that take models as they are."""
    groups = (
        moves,
        convolutions,
        lanes,
        products,
        integers,
        recurrent,
        elementwise,
        reductions,
        transforms,
        probes_between,
        conversions,
        patterns,
    )
    return tuple(probe for group in groups for probe in group())


_OWN: Mapping[str, Callable[[], list[Probe]]] = {"tvm": compiled_probes}
"""What is measured of a backend instead, where that is not all."""


def probes_of(backend: str) -> tuple[Probe, ...]:
    """Return the microbenchmarks of a backend."""
    own = _OWN.get(backend)
    return probes() if own is None else tuple(own())
