"""Predicted speed-ups beside achieved ones, and the square of pruning and quantization from four records."""

from __future__ import annotations

import json

import pytest

import roofline
from roofline.cli import main
from roofline.errors import OptionError
from roofline.spec import platform
from roofline.validate.analysis.configurations import configurations, pairs
from roofline.validate.analysis.gains import orthogonality_of, predicted_speedup, squares
from roofline.validate.records.compression import Compression, parse_compression
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest

HALF = "keep-channels=0.5"


def run(seconds, *, status=Status.OK, **job):
    asked = RunRequest(job.pop("network", "cnv_25"), job.pop("backend", "tvm"), **job)
    samples = (seconds,) * 3 if status is Status.OK else ()
    return Measurement(asked, status, samples_s=samples, machine="here")


def four():
    return [
        run(8e-3), run(4e-3, datatype="int8"), run(2e-3, compression=parse_compression(HALF)),
        run(1.25e-3, compression=parse_compression(HALF), datatype="int8"),
    ]  # fmt: skip


def test_a_compute_bound_network_is_predicted_to_gain_its_operations():
    machine = platform("tx2:maxn")
    found = configurations(
        [run(8e-3), run(4e-3, compression=parse_compression(HALF)), run(4e-3, datatype="fp16")]
    )
    (_, half), (_, narrow) = pairs(found)
    base = found[0]
    dense = roofline.load("cnv_25")
    ratio = dense.macs / dense.under(pruning=0.5).macs
    assert predicted_speedup(base, half, machine) == pytest.approx(ratio)
    peaks = machine.peak("fp16") / machine.peak("fp32")
    assert predicted_speedup(base, narrow, machine) == pytest.approx(peaks)


def test_what_cannot_be_counted_or_run_is_not_predicted():
    machine = platform("tx2:maxn")
    base, narrow = configurations([run(8e-3), run(4e-3, datatype="int8")])
    assert not machine.has("int8")
    assert predicted_speedup(base, narrow, machine) is None
    unknown = configurations(
        [run(8e-3, network="mine"), run(4e-3, network="mine", compression=parse_compression(HALF))]
    )
    assert predicted_speedup(*unknown, machine) is None


def test_four_records_make_a_square():
    found = orthogonality_of(*four())
    # C/A, D/B, B/A, D/C of throughputs 125, 250, 500 and 800.
    assert (found.p1, found.p2, found.q1, found.q2) == pytest.approx((4, 3.2, 2, 1.6))
    assert found.ratio == pytest.approx(found.q2 / found.q1) == pytest.approx(0.8)
    (row,) = squares(configurations(four()))
    assert [row[name] for name in "ABCD"] == pytest.approx([125, 250, 500, 800])
    assert row["orthogonality"] == pytest.approx(125 * 800 / (250 * 500))
    assert (row["wide"], row["narrow"], row["pruning"]) == ("fp32", "int8", HALF)
    assert squares(configurations(four()[:3])) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"network": "cnv"}, "network"), ({"backend": "onnxruntime"}, "backend"), ({"batch": 2}, "batch"),
        ({"threads": 2}, "threads"), ({"compression": Compression()}, "pruning"), ({"datatype": "fp32"}, "datatype"),
    ],
)  # fmt: skip
def test_records_that_are_no_square_are_refused(change, what):
    last = {"compression": parse_compression(HALF), "datatype": "int8", **change}
    with pytest.raises(OptionError, match=f"differ in {what}"):
        orthogonality_of(*four()[:3], run(1e-3, **last))


def test_a_failed_record_is_no_corner():
    failed = run(1e-3, status=Status.FAILED, compression=parse_compression(HALF), datatype="int8")
    with pytest.raises(OptionError, match="no throughput"):
        orthogonality_of(*four()[:3], failed)


def test_a_campaign_shows_ideal_predicted_and_achieved(tmp_path, capsys):
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "schema_version: 1\ntitle: half\nnetwork: [mlp_12_5]\nbackend: onnxruntime\nthreads: 1\n"
        "compression: [dense, {keep_channels: 0.5}]\ndatatype: [fp32, int8]\n"
        "protocol: {runs: 3, sampling_s: 1}\n"
    )
    store, table = tmp_path / "store.db", tmp_path / "s.csv"

    def roofline_(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), "--store", str(store)])
        shown = capsys.readouterr()
        assert not ended.value.code, shown.err
        return shown.out

    roofline_("campaign", "run", grid)
    shown = roofline_("campaign", "results", grid, "-p", "i7-3820", "--format", "json")
    rows = {(row["pruning"], row["datatype"]): row for row in json.loads(shown)["rows"]}
    half = rows[HALF, "fp32"]
    dense = roofline.load("mlp_12_5")
    assert half["expected_speedup"] == pytest.approx(dense.macs / dense.under(pruning=0.5).macs)
    assert half["predicted_speedup"] > 1
    assert half["achieved_share"] == pytest.approx(
        half["dense_ms"] / half["median_ms"] / half["expected_speedup"]
    )
    roofline_("campaign", "results", grid, "-p", "i7-3820", "--format", "csv", "-o", table)
    with pytest.raises(SystemExit) as ended:
        main(["plot", "speedup", str(table), "-o", str(tmp_path / "s.png")])
    assert not ended.value.code
    assert (tmp_path / "s.png").stat().st_size > 10_000
    shown = roofline_("campaign", "results", grid, "--kind", "orthogonality", "--format", "json")
    (square,) = json.loads(shown)["rows"]
    assert square["orthogonality"] == pytest.approx(square["q2"] / square["q1"])
    assert square["p1"] == pytest.approx(half["achieved_speedup"])
