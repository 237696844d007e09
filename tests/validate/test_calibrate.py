from __future__ import annotations

import numpy as np
import pytest
import yaml

from roofline.spec import from_mapping, in_mode, platform
from roofline.spec.thread_modes import mode_name
from roofline.validate.calibration import calibrate as module
from roofline.validate.calibration import library_probe as _probe
from roofline.validate.calibration.calibrate import (
    Roofs,
    calibrate,
    keep_best,
    platform_document,
    platform_yaml,
)

ROOFS = (
    Roofs(1, {"fp32": 118e9, "int8": 470e9}, {"fp32": "tvm", "int8": "library"}, 23e9, 90e9),
    Roofs(2, {"fp32": 235e9, "int8": 940e9}, {"fp32": "tvm", "int8": "library"}, 31e9, 180e9),
)


def test_the_file_gives_back_what_was_measured(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(platform_yaml(ROOFS, "mine"))
    for roofs in ROOFS:
        machine = platform(f"{path}:{mode_name(roofs.threads)}")
        assert machine.peak("fp32") == roofs.peaks["fp32"]
        assert machine.bandwidth == roofs.memory
    assert platform(str(path)).key.endswith(":2-threads")
    peaks = yaml.safe_load(path.read_text())["peaks"]
    assert peaks["fp32"]["kind"] == "measured"
    assert peaks["int8"]["note"].startswith("at least")


def test_one_thread_count_needs_no_modes():
    machine = in_mode(from_mapping(platform_document(ROOFS[:1], "mine")), None)
    assert machine.key == "mine"
    assert machine.peak("int8") == 470e9


def test_a_mode_states_its_threads():
    document = platform_document(ROOFS, "mine")
    assert [mode["threads"] for mode in document["modes"].values()] == [1, 2]
    # Before there was the field, names alone told it.
    for mode in document["modes"].values():
        del mode["threads"]
    document["modes"]["maxn"] = document["modes"]["1-thread"]
    machine = from_mapping(document)
    found = [in_mode(machine, name).threads for name in ("1-thread", "2-threads", "maxn")]
    assert found == [1, 2, None]


def test_a_field_of_a_mode_outdoes_its_name():
    document = platform_document(ROOFS, "mine")
    document["modes"]["2-threads"]["threads"] = 8
    assert in_mode(from_mapping(document), "2-threads").threads == 8


def test_a_disturbed_calibration_says_so():
    busy = Roofs(2, {"fp32": 1e9}, {"fp32": "tvm"}, 1e9, None, taken=0.8)
    (doubt,) = from_mapping(platform_document([busy], "x")).doubts
    assert doubt.startswith("Disturbed with 2 threads: others took 80% of the CPU time")
    assert from_mapping(platform_document(ROOFS, "x")).doubts == ()


def test_streams_count_array_bytes_once():
    found = _probe.bandwidths(1, 0.3)
    # No memory of this decade streams slower than a disk or faster than registers.
    assert all(1e8 < rate < 1e13 for rate in found.values())


def test_a_matrix_product_takes_two_operations_for_each_of_its_products(monkeypatch):
    monkeypatch.setattr(_probe, "_time_fastest", lambda work, seconds: 0.5)
    assert _probe.matrix_product(1.0, "fp32") == 2 * 1024**3 / 0.5


@pytest.mark.tvm
@pytest.mark.slow
def test_register_loops_are_no_slower_than_a_matrix_product():
    pytest.importorskip("tvm")
    (roofs,) = calibrate(seconds=3.5, threads=[1])
    left = np.ones((512, 512), np.float32)
    seconds = _probe._time_fastest(lambda: left @ left, 0.5)
    assert set(roofs.sources.values()) == {"tvm"} or "int8" not in roofs.peaks
    if roofs.taken < 0.3:
        assert roofs.peaks["fp32"] > 0.5 * 2 * 512**3 / seconds / 8
    assert roofs.peaks["fp32"] == pytest.approx(2 * roofs.peaks["fp64"], rel=0.5)


def test_roofs_are_measured_again_while_others_are_busy_and_it_is_said(monkeypatch):
    taken = iter([0.9, 0.0, 0.0, 0.0, 0.0])
    rates = iter([1e9, 3e9, 2e9, 2e9, 2e9])

    def probe(asked, variables):
        rate = next(rates)
        names = {"streams": ("memory",), "peaks": ("fp32", "fp64", "int8")}
        return dict.fromkeys(names.get(asked.kind, asked.datatypes), rate), next(taken)

    monkeypatch.setattr(module, "_probe", probe)
    (roofs,) = calibrate(seconds=1.0, threads=[1])
    assert (roofs.memory, roofs.taken, roofs.repeated) == (3e9, 0.0, 1)
    assert not roofs.disturbed
    (told,) = module.warnings([roofs])
    assert told.startswith("Others were busy with 1 thread: 1 probe of the roofs ran again")


def test_of_two_calibrations_the_better_figures_are_kept():
    first = (
        Roofs(
            2, {"fp32": 1.0, "int8": 9.0}, {"fp32": "library", "int8": "tvm"}, 5.0, None, 0.2, 1
        ),
    )
    again = (Roofs(2, {"fp32": 2.0, "fp64": 1.5}, {"fp32": "tvm", "fp64": "tvm"}, 4.0, 7.0, 0.1),)
    assert keep_best(first, again) == (
        Roofs(
            2,
            {"fp32": 2.0, "int8": 9.0, "fp64": 1.5},
            {"fp32": "tvm", "int8": "tvm", "fp64": "tvm"},
            5.0,
            7.0,
            0.1,
            1,
        ),
    )
