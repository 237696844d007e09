"""The microbenchmarks of a machine: one module for each family of operators, `graph` with what they are built from."""

from __future__ import annotations

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

__all__ = [
    "BETWEEN_ELEMENTS",
    "JOINED_ELEMENTS",
    "USING_UP",
    "Probe",
    "probes",
]


def probes() -> tuple[Probe, ...]:
    """Return every microbenchmark."""
    groups = (
        moves,
        convolutions,
        lanes,
        products,
        integers,
        recurrent,
        elementwise,
        reductions,
        probes_between,
        conversions,
        patterns,
    )
    return tuple(probe for group in groups for probe in group())
