"""What is read off operators beside convolutions, from times of which each part is known."""

from __future__ import annotations

import pytest

from roofline.validate.calibration.beside import rates_beside_convolutions
from roofline.validate.calibration.groups import view_seconds
from roofline.validate.calibration.measured_probe import MeasuredProbe
from roofline.validate.calibration.microbenchmarks import ProbeTimes, Times
from roofline.validate.calibration.probes import probes

CONV, PASS, CONVERT, COPIES = 40e-6, 20e-6, 30e-6, 6
"""Seconds of a convolution, of a pass over its image, and of packing or unpacking it."""


def absorbed_and_packed(behind: dict[str, float]) -> tuple[frozenset[str], frozenset[str]]:
    """Return what is read off times in which a scale behind an activation takes so much more than the two alone."""
    seconds = {
        "between convolutions: none": CONV,
        "between convolutions: Abs": CONV + PASS + 2 * CONVERT,
        "between convolutions: Mul.scalar": CONV,
        "alone: Abs": PASS,
        "alone: Mul.scalar": PASS,
        "behind Relu: none": CONV,
        **{f"behind Relu: {name}": CONV + more for name, more in behind.items()},
    }
    of = {name: ProbeTimes(0.0, COPIES * each, COPIES) for name, each in seconds.items()}
    entries = [MeasuredProbe(probe, of[probe.name]) for probe in probes() if probe.name in of]
    return rates_beside_convolutions(entries, Times("onnxruntime", "0", 1, of))


@pytest.mark.parametrize(("more", "stays"), [(PASS, True), (PASS + 2 * CONVERT, False)])
def test_a_scale_that_weights_take_in_is_packed_elsewhere_only_where_it_takes_no_conversion(
    more, stays
):
    absorbed, packed = absorbed_and_packed({"Mul.scalar": more})
    assert "Mul.scalar" in absorbed
    assert ("Mul.scalar" in packed) == stays


def test_without_a_probe_behind_an_activation_what_is_absorbed_stays_packed():
    _, packed = absorbed_and_packed({})
    assert "Mul.scalar" in packed


def test_a_view_takes_what_three_of_them_take_beside_three_operators():
    view, layer = 0.4e-6, 0.3e-6
    probe = next(probe for probe in probes() if probe.role == "views")
    many = probe.copies * 3 * (view + layer)
    entry = MeasuredProbe(probe, ProbeTimes(0.0, many, probe.copies))
    assert view_seconds([entry], layer) == pytest.approx(view)
    # What is lost in the difference is a tenth of a layer at least, and no probe is none.
    assert view_seconds([entry], 1.0) == pytest.approx(0.1)
    assert view_seconds([], layer) == 0.0
