"""Peaks that follow from what one unit does in a cycle: units × operations per cycle × clock.

A family states its `rates` once; each member, and each operating mode, states its units and clocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roofline.precision import COMPUTE_DATATYPES
from roofline.spec._frozen import FrozenDict
from roofline.spec.parts import Clocks, Peak, Rate, SparsePeak
from roofline.spec.quantity import ComputeRate, Count, Quantity
from roofline.spec.schema import Specification


def with_peaks(spec: Specification) -> Specification:
    """Return a specification with the peaks that its rates give; a peak that it states itself is kept."""
    if not spec.rates:
        return spec
    peaks = _order({**_peaks(spec.rates, spec.compute_units, spec.clocks), **spec.peaks})
    modes = {
        name: mode.model_copy(
            update={
                "peaks": _order(
                    {
                        **_peaks(
                            spec.rates,
                            {**spec.compute_units, **mode.compute_units},
                            spec.clocks.over(mode.clocks),
                        ),
                        **mode.peaks,
                    }
                )
            }
        )
        if mode.clocks is not None or mode.compute_units
        else mode
        for name, mode in spec.modes.items()
    }
    return spec.model_copy(update={"peaks": peaks, "modes": FrozenDict(modes)})


def _peaks(
    rates: Mapping[str, Rate], units: Mapping[str, Count], clocks: Clocks
) -> dict[str, Peak]:
    found: dict[str, Peak] = {}
    for datatype, rate in rates.items():
        count, clock = units.get(rate.units), clocks.of(rate.clock)
        if count is not None and clock is not None:
            found[datatype] = _peak(rate, count, clock)
    return found


def _peak(rate: Rate, count: Count, clock: Quantity) -> Peak:
    # A product is no better known than its worst factor.
    guess = next((factor for factor in (count, clock) if factor.kind == "estimated"), None)
    known = {"kind": "derived", "source": rate.source}
    if rate.kind == "estimated":
        known["kind"] = "estimated"
    elif guess is not None:
        known = {"kind": "estimated", "source": guess.source}

    def quantity(per_cycle: float, note: str) -> dict[str, Any]:
        value = float(f"{count.base * per_cycle * clock.base / 1e12:.5g}")
        return {"value": value, "unit": "TOP/s", "note": note, **known}

    def product(per_cycle: float) -> str:
        return (
            f"{count.value:g} {rate.units} x {per_cycle:g} OP/cycle x {clock.value:g} {clock.unit}"
        )

    per_cycle = rate.operations_per_cycle
    return Peak(
        **quantity(per_cycle, product(per_cycle)),
        arithmetic=rate.arithmetic,
        accumulate=rate.accumulate,
        sparse=SparsePeak(**quantity(2 * per_cycle, "Twice the dense peak"), pattern=rate.sparse)
        if rate.sparse
        else None,
        alternatives=FrozenDict(
            {
                name: ComputeRate(**quantity(other, product(other)))
                for name, other in rate.alternatives.items()
            }
        ),
    )


def _order(peaks: Mapping[str, Peak]) -> FrozenDict[str, Peak]:
    return FrozenDict({name: peaks[name] for name in COMPUTE_DATATYPES if name in peaks})
