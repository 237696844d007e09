"""The prediction models on the networks and machines that are shipped."""

from __future__ import annotations

from functools import cache

import pytest

from roofline import Workload, load, platform
from roofline.conventions import Traffic
from roofline.model import equation1, layerwise, predict
from roofline.model._requirement import total

from .collected import rows

NETWORKS = ("mlp_25", "cnv_12_5", "mobilenet_v1", "googlenet_v1", "mobilenet_v3_small")


@cache
def counted(name: str) -> Workload:
    return load(name)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("traffic", [name for name in Traffic if name is not Traffic.RESIDENT])
def test_the_bytes_of_a_prediction_are_those_of_the_workload(name, traffic):
    work = counted(name)
    whole = total(work, platform("tx2:maxn"), traffic=traffic, operations="all")
    assert whole.weights.sum() + whole.activations.sum() * work.batch == work.traffic_bytes(
        traffic
    )
    prediction = equation1(work, platform("tx2:maxn"), traffic=traffic, operations="all")
    assert prediction.intensity == pytest.approx(work.intensity(traffic))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("traffic", Traffic)
def test_layer_by_layer_is_never_faster_than_the_whole(name, traffic):
    machine = platform("tx2:maxn")
    whole = equation1(counted(name), machine, traffic=traffic, operations="all")
    by_layer = layerwise(counted(name), machine, traffic=traffic)
    if traffic != "resident":
        assert by_layer.throughput_fps <= whole.throughput_fps * (1 + 1e-12)
    fused = layerwise(counted(name), machine)
    assert layerwise(counted(name), machine, traffic="resident").latency_s <= fused.latency_s
    assert fused.ops == counted(name).ops


_NETS = {
    "GoogLeNetv1_100": "googlenet_v1", "MobileNetv1_100": "mobilenet_v1", "ResNet-50_100": "resnet50",
    "CNV_100": "cnv", "CNV_50": "cnv_50", "CNV_25": "cnv_25", "CNV_12.5": "cnv_12_5",
    "MLP_100": "mlp", "MLP_50": "mlp_50", "MLP_25": "mlp_25", "MLP_12.5": "mlp_12_5",
}  # fmt: skip
_MACHINES = {
    "Ultra96-DPU": "ultra96-dpu", "ZCU104-DPU": "zcu104-dpu", "ZCU102-DPU": "zcu102-dpu",
    "ZCU104-FINN": "zcu104-finn", "ZCU104-BISMO": "zcu104-bismo", "TX2-maxn": "tx2:maxn",
    "TX2-maxp": "tx2:maxp", "TX2-maxq": "tx2:maxq", "EdgeTPU-fast": "edgetpu:fast",
    "EdgeTPU-slow": "edgetpu:slow", "NCS": "ncs", "U96-Quadcore-A53": "ultra96-a53",
}  # fmt: skip


def test_exact_graphs_on_the_papers_machines_predict_what_hand_counts_do():
    """Shipped networks and machine files against counts of the same networks by other means."""
    cells = [row for row in rows("predictions") if row["by_hand_fps"] and row["network"] in _NETS]
    assert len(cells) > 130
    for cell in cells:
        ours = predict(
            counted(_NETS[cell["network"]]), platform(_MACHINES[cell["platform"]]),
            datatype=cell["datatype"], traffic="weights", emulate=True,
        )  # fmt: skip
        # The hand counts leave out biases, normalization and scales: bytes, but no multiply-accumulates. Beside packed
        # 2-bit weights those full-width numbers weigh most.
        share = ours.throughput_fps / float(cell["by_hand_fps"])
        if ours.bound == "compute":
            assert share == pytest.approx(1.0, rel=1e-6), cell
        else:
            assert (0.7 if cell["datatype"] == "int2" else 0.85) < share <= 1.0, cell
