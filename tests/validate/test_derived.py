from __future__ import annotations

import pytest

from roofline.validate.analysis.configurations import (
    CHANNELS,
    DENSE,
    WEIGHTS,
    configurations,
    macs,
)
from roofline.validate.analysis.derived import footprints, scaling, speedups, tuning_gains
from roofline.validate.records.compression import parse_compression
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest

NETWORK = "mobilenet_v1_cifar10"


def run(seconds, *, status=Status.OK, samples=None, rss=None, **job):
    asked = RunRequest(job.pop("network", NETWORK), job.pop("backend", "tvm"), **job)
    taken = samples or (seconds,) * 3
    return Measurement(
        asked, status, samples_s=taken if status is Status.OK else (), machine="here",
        peak_rss_bytes=rss,
    )  # fmt: skip


def test_rounds_are_taken_together_and_failures_left_out():
    rounds = [
        run(4e-3, samples=(4e-3, 4e-3, 1e-3)),
        run(2e-3),
        run(3e-3),
        run(1.0, status=Status.FAILED),
    ]
    (one,) = configurations(rounds)
    # The median of the rounds' medians 4, 2 and 3 ms.
    assert (one.seconds, one.rounds, one.technique) == (3e-3, 3, DENSE)
    (one,) = configurations(rounds, shortest=True)
    assert one.seconds == 1e-3


def test_the_expectation_is_the_work_that_remains():
    runs = [
        run(8e-3), run(2e-3, compression=parse_compression("sparsity=0.95,csr")), run(1e-3, datatype="int8"),
        run(4e-3, compression=parse_compression("keep-channels=0.5")),
    ]  # fmt: skip
    rows = {row.configuration.technique: row for row in speedups(configurations(runs))}
    # One in twenty multiplications is left; int8 has a quarter of fp32's bits.
    assert rows[WEIGHTS].expected_speedup == pytest.approx(20)
    assert rows[WEIGHTS].achieved_speedup == pytest.approx(8 / 2)
    assert rows[WEIGHTS].achieved_share == pytest.approx(4 / 20)
    assert rows["int8"].expected_speedup == pytest.approx(4)
    assert rows["int8"].achieved_share == pytest.approx(8 / 4)
    # Layers lose inputs and outputs: between twice and four times less work.
    assert 2 < rows[CHANNELS].expected_speedup < 4
    assert rows[CHANNELS].achieved_speedup == pytest.approx(2)


def test_speedups_compare_only_what_is_run_the_same_way():
    runs = [
        run(8e-3, algorithm="gemm"), run(1e-3, compression=parse_compression("sparsity=0.95,csr")),
        run(8e-3, algorithm="gemm", threads=2),
        run(1e-3, compression=parse_compression("sparsity=0.5"), algorithm="gemm", tuning="tuned", trials=8),
        run(2e-3, algorithm="gemm", tuning="tuned", trials=16),
    ]  # fmt: skip
    assert speedups(configurations(runs)) == []


def test_scaling_over_threads():
    runs = [run(8e-3, threads=2), run(12e-3, threads=1), run(1e-3, threads=1, algorithm="gemm")]
    rows = scaling(configurations(runs))
    assert [row.configuration.threads for row in rows] == [1, 2]
    assert rows[1].thread_speedup == pytest.approx(12 / 8)
    assert rows[1].parallel_efficiency == pytest.approx(12 / 8 / 2)
    assert rows[1].measured_fps == pytest.approx(1 / 8e-3)


def test_gains_of_tuning():
    runs = [run(9e-3, tuning="untuned"), run(3e-3, tuning="tuned", trials=8, tuning_budget_s=5.0)]
    (row,) = tuning_gains(configurations(runs))
    assert row.tuning_speedup == pytest.approx(3)


def test_memory_beside_its_prediction():
    import roofline

    # Numbers large enough to stand out of any runtime: what the pruned network saves is what its weights save.
    dense = roofline.load(NETWORK)
    pruned = dense.under(pruning=0.5)
    runs = [
        run(1e-3, rss=500_000_000),
        run(1e-3, compression=parse_compression("keep-channels=0.5"), rss=490_000_000),
    ]
    first, second = footprints(configurations(runs))
    assert first.predicted_mb == pytest.approx(
        (dense.weight_bytes + dense.peak_activation_bytes) / 1e6
    )
    saved = dense.weight_bytes + dense.peak_activation_bytes
    saved -= pruned.weight_bytes + pruned.peak_activation_bytes
    assert first.predicted_beyond_least_mb == pytest.approx(saved / 1e6)
    assert first.measured_beyond_least_mb == pytest.approx(10)
    assert second.measured_beyond_least_mb == second.predicted_beyond_least_mb == 0


def test_a_network_that_is_not_shipped_is_still_compared():
    runs = [
        run(4e-3, network="mine"),
        run(1e-3, network="mine", compression=parse_compression("keep-channels=0.25")),
    ]
    (row,) = speedups(configurations(runs))
    assert row.expected_speedup == pytest.approx(1 / 0.25)
    assert footprints(configurations([run(1e-3, network="mine", rss=1)])) == []


@pytest.mark.parametrize("channels", ["", "keep-channels=0.5 "])
def test_pruned_weights_are_no_work_whatever_channels_are_left(channels):
    sparsity = 0.75
    found = configurations(
        [
            run(1.0, compression=parse_compression(channels.strip() or "dense")),
            run(1.0, compression=parse_compression(f"{channels}sparsity={sparsity},csr")),
        ]
    )
    assert len(found) == 2
    assert macs(found[1]) == pytest.approx(macs(found[0]) * (1 - sparsity))


@pytest.mark.parametrize(
    ("compression", "removed"),
    [
        ("dense", 0),
        ("sparsity=0.75,csr", 0.75),
        ("keep-channels=0.25", 0.75),
        # A quarter of half of them stays.
        ("keep-channels=0.5 sparsity=0.75,csr", 1 - 0.5 * 0.25),
    ],
)
def test_what_is_removed_is_what_no_pruning_leaves(compression, removed):
    (one,) = configurations([run(1.0, compression=parse_compression(compression))])
    assert one.removed == pytest.approx(removed)


def test_a_record_that_says_nothing_of_threads_and_items_is_of_one():
    silent, said = run(4e-3, threads=0, batch=0), run(2e-3, threads=1, batch=1)
    (one,) = configurations([silent, said])
    assert (one.threads, one.batch, one.rounds) == (1, 1, 2)
