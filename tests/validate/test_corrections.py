"""Peaks of processors that a table states for some cores, as the files of the machines have them."""

from __future__ import annotations

import pytest

from roofline import load, platform
from roofline.model._network_facts import facts_of
from roofline.validate.evidence.corrections import scale_peaks

MACHINE = platform("dimensity-9300-cpu")
SINGLE = MACHINE.peak("fp32")


def row(datatype: str, cores: int, machine_class: str = "cpu_mobile") -> dict[str, str]:
    return {"machine_class": machine_class, "datatype": datatype, "cores": str(cores)}


def test_the_peak_of_all_cores_is_that_of_the_file() -> None:
    rows = [row("fp32", 4), row("fp32", 1), row("int8", 4), row("int8", 1)]
    found = scale_peaks(rows, [MACHINE] * 4, [100e9, 25e9, 200e9, 50e9])
    assert found == pytest.approx([SINGLE, SINGLE / 4, 2 * SINGLE, SINGLE / 2])


def test_of_one_core_only_the_peak_is_what_is_stated() -> None:
    # How many cores the file's peaks are of, the table does not say.
    found = scale_peaks([row("fp32", 1), row("int8", 1)], [MACHINE] * 2, [40e9, 80e9])
    assert found == [40e9, 80e9]


def test_integers_of_boards_are_compared_without_dot_products() -> None:
    facts = facts_of(
        load("resnet50"), MACHINE, machine_class="cpu_mobile", runtime="ncnn", datatype="int8", unit="int8", batch=1,
        cores=4.0, in_flight=False,
    )  # fmt: skip
    assert MACHINE.peak("int8") > 2 * SINGLE
    assert facts.numbers["peak"][0] == 2 * SINGLE


def test_other_classes_and_machines_without_a_file_keep_what_is_stated() -> None:
    rows = [row("fp32", 4, "cpu"), row("fp32", 4)]
    assert scale_peaks(rows, [MACHINE, None], [1e9, 2e9]) == [1e9, 2e9]
