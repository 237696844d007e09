"""Which unit of a machine weights narrower than the activations run on, and where a bound is then none."""

from __future__ import annotations

import numpy as np
import pytest

import roofline
from roofline._load import decoder
from roofline.decoding.request import Phase, Request
from roofline.errors import DatatypeError
from roofline.model import Prediction, choose_unit
from roofline.precision import formats, precision
from roofline.serving import serve

LLAMA = decoder("llama32_1b")


@pytest.mark.parametrize(
    ("machine", "unit"),
    [("rtx-4090", "fp16"), ("ryzen-9-9950x3d", "bf16"), ("i9-14900k", "fp32"), ("p40", "fp32")],
)
@pytest.mark.parametrize("datatype", ["q4_k_m", "w4a16", "mxfp8", "w8a16"])
def test_narrow_weights_are_widened_for_the_fastest_float_unit_there_is(
    machine: str, unit: str, datatype: str
) -> None:
    chosen, told = choose_unit(roofline.platform(machine), datatype)
    assert chosen == unit
    assert len(told) == (unit != "fp16")


@pytest.mark.parametrize("datatype", ["fp16", "nvfp4", "int4"])
def test_what_is_computed_in_a_width_of_its_own_needs_that_unit(datatype: str) -> None:
    with pytest.raises(DatatypeError, match="has no"):
        choose_unit(roofline.platform("zcu104-dpu"), datatype)


def test_formats_whose_activations_may_be_rounded_are_those_of_llama_cpp() -> None:
    rounded = {name for name in formats if precision(name).rounded}
    assert {name for name in formats if name.startswith("q")} == rounded - {"mxfp4_moe"}
    assert {precision(name).rounded for name in rounded} == {"int8"}


def _row(machine: str, datatype: str, phase: Phase) -> Prediction:
    assert LLAMA is not None
    (row,) = serve(
        LLAMA, Request(512, 16, phase), [roofline.platform(machine)], datatypes=[datatype], model="equation1"
    ).predictions  # fmt: skip
    return row


@pytest.mark.parametrize(
    ("machine", "datatype", "phase", "strict"),
    [
        # Arithmetic binds a prompt, and int8 is faster than fp16 on the card but is none on the Mac.
        ("rtx-4090", "q4_k_m", Phase.PREFILL, False),
        ("rtx-4090", "q4_k_m", Phase.BOTH, False),
        ("apple-m4-max", "q4_k_m", Phase.PREFILL, True),
        ("rtx-4090", "w4a16", Phase.PREFILL, True),
        # Memory binds a step: whatever is rounded, its weights are read.
        ("rtx-4090", "q4_k_m", Phase.DECODE, True),
    ],
)
def test_a_bound_by_arithmetic_that_may_be_rounded_is_no_upper_bound(
    machine: str, datatype: str, phase: Phase, strict: bool
) -> None:
    row = _row(machine, datatype, phase)
    assert row.upper_bound is strict
    assert any("may round activations" in note for note in row.notes) is not strict


def test_sweeps_of_batches_say_the_same_of_strictness() -> None:
    machine, batches = roofline.platform("rtx-4090"), [1, 8, 512]
    rows = roofline.sweep(
        [roofline.load("mobilenet_v2")],
        [machine],
        datatypes=["q4_k_m"],
        batches=batches,
        model="equation1",
    ).predictions
    ridge = machine.ridge("fp16")
    assert [row.upper_bound for row in rows] == [row.intensity <= ridge for row in rows]
    assert np.unique([row.upper_bound for row in rows]).tolist() == [False, True]


def test_a_machine_without_floats_refuses_weights_alone_narrow_with_what_it_has() -> None:
    with pytest.raises(DatatypeError, match="no unit of floats that q4_0 could be widened for"):
        choose_unit(roofline.platform("hailo-10h"), "q4_0", emulate=True)
