"""No estimate of `expected` exceeds a bound that holds."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import pytest

import roofline as rl
from roofline.cost import Cost
from roofline.errors import NoBasisError, OptionError
from roofline.layer import Layer
from roofline.model._capping import cap_throughput
from roofline.model._quantiles import EIGHT_OF_TEN
from roofline.model._reach import Reach
from roofline.model._request import ByWidths, Choices, predictions_at
from roofline.model.deployment import deployment
from roofline.model.expected import estimate, estimates, within
from roofline.model.fast_convolution import room
from roofline.node import Tensor
from roofline.workload import Workload

PLATFORMS = (
    "edgetpu",
    "edgetpu-usb",
    "hailo-8",
    "h100-sxm",
    "rpi4",
    "t4",
    "xeon-8380",
    "zcu102-dpu-pg338",
)


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize("network", ["resnet50", "mlp"])
def test_no_estimate_exceeds_a_bound_that_holds(name: str, network: str) -> None:
    choices: Choices = {"datatype": "int8"}
    workload = rl.load(network).under(precision="int8")
    for batch in (1, 64):
        found = predictions_at(workload, rl.platform(name), [batch], None, choices)
        bound, estimates = found[0], found[1:]
        assert estimates, "the class has evidence"
        for entry in estimates:
            assert entry.throughput_fps is not None
            assert entry.interval_fps is not None
            low, high = entry.interval_fps
            assert 0 < low < high
            assert low <= entry.throughput_fps <= high * (1 + 1e-9)
            if bound.upper_bound:
                assert bound.throughput_fps is not None
                assert high <= bound.throughput_fps * (1 + 1e-9)


@pytest.mark.parametrize("machine", ["agx-orin-cpu", "orion-o6-cpu", "dimensity-9300-cpu"])
def test_no_rounding_lifts_a_capped_estimate_above_its_interval(machine: str) -> None:
    network = rl.load("mobilenet_v2")
    for batch in (1, 3, 64, 1000):
        found = rl.predict(
            network, rl.platform(machine), datatype="int8", batch=batch, model="expected"
        )
        assert found.interval_fps is not None
        assert found.throughput_fps is not None
        assert found.interval_fps[0] <= found.throughput_fps <= found.interval_fps[1]


def test_a_capped_estimate_says_so() -> None:
    choices: Choices = {"datatype": "int8"}
    workload = rl.load("resnet50").under(precision="int8")
    machine = rl.platform("edgetpu")
    bound = predictions_at(workload, machine, [1], None, choices)[0]
    found = estimate(workload, machine, datatype="int8")
    assert found is not None
    most = bound.throughput_fps
    assert most is not None
    above = replace(found, fps=4 * most, interval_fps=(most, 9 * most))
    capped = within(bound, above)
    low, high = capped.interval_fps
    assert most / 9 < low < capped.fps < high < most
    assert "capped by the bound" in capped.rests_on
    below = replace(
        found,
        fps=most / 100,
        interval_fps=(most / 200, most / 50),
        latency_s=100 / most,
        interval_latency_s=(50 / most, 200 / most),
    )
    assert within(bound, below) == below


def test_an_estimate_may_exceed_a_bound_as_far_as_its_note_says() -> None:
    workload, machine = rl.load("vgg16"), rl.platform("v100-pcie-16gb")
    choices: Choices = {"datatype": "fp32"}
    bound = predictions_at(workload, machine, [32], None, choices)[0]
    assert bound.throughput_fps is not None
    (note,) = [note for note in bound.notes if "Winograd" in note]
    # 3x3 convolutions of stride 1 are all but the first products of VGG-16: 2.2 times by the note.
    most = room(workload, "fp32")
    assert f"up to {most:.2g} times" in note
    found = estimate(workload, machine, datatype="fp32", batch=32)
    assert found is not None
    top = 1.5 * bound.throughput_fps
    above = replace(found, fps=top, interval_fps=(top / 2, 9 * top))
    kept = within(bound, above, Reach(most))
    assert bound.throughput_fps < kept.fps < top
    assert kept.fps < kept.interval_fps[1] < most * bound.throughput_fps
    assert f"interval capped by {most:.2g} times the bound" in kept.rests_on
    assert within(bound, above).fps < bound.throughput_fps


def test_what_lies_below_a_bound_says_what_to_expect() -> None:
    # Half of a distribution whose middle is at the bound lies below it; a quarter of all is below its new middle.
    fps, low, high = cap_throughput(
        100.0, 100.0, 100 / math.exp(EIGHT_OF_TEN), 100 * math.exp(EIGHT_OF_TEN)
    )
    normal = NormalDist()
    for found, share in ((fps, 0.25), (low, 0.05), (high, 0.45)):
        assert float(found) == pytest.approx(100 * math.exp(normal.inv_cdf(share)), rel=1e-4)
    far = cap_throughput(1e6, 100.0, 50.0, 200.0)
    assert [float(each) for each in far] == [100.0, 50.0, 200.0]
    assert [float(each) for each in cap_throughput(math.nan, 100.0, 50.0, 200.0)] == [
        100.0,
        50.0,
        200.0,
    ]
    # However far above a bound an estimate was, it is below.
    assert 90 < float(cap_throughput(100.0, 1e6, 5e5, 2e6)[0]) < 100


def test_a_machine_of_the_evidence_runs_its_own_runtime() -> None:
    # The Hailo model zoo publishes 1,372 fps of ResNet-50 on this chip: its weights stay there.
    choices: Choices = {"datatype": "int8"}
    workload = rl.load("resnet50").under(precision="int8")
    entry = predictions_at(workload, rl.platform("hailo-8"), [1], "expected", choices)[0]
    assert entry.interval_fps is not None
    assert entry.interval_fps[0] < 1372 < entry.interval_fps[1]
    assert any("runs of this machine" in note for note in entry.notes)


def test_other_names_of_a_machine_mean_the_same_estimate() -> None:
    assert deployment(rl.platform("rpi4b")) == deployment(rl.platform("rpi4"))
    known = deployment(rl.platform("snapdragon-8-gen-3"))
    assert known is not None
    assert known.runtime.startswith("htp")


@pytest.mark.parametrize(
    ("machine", "runtime"),
    [
        ("hailo-8l", "hailo"),
        ("rk3588-npu", "rknn"),
        ("orin-nx", "trt"),
        ("kv260-dpu", "dpu"),
        ("i5-13600k", "openvino"),
    ],
)
def test_a_new_machine_has_a_runtime_of_its_maker(machine: str, runtime: str) -> None:
    found = deployment(rl.platform(machine))
    assert found is not None
    assert found.runtime == runtime


@pytest.mark.parametrize(
    ("machine", "runtime"),
    [("rtx-4090", "openvino"), ("hailo-8", "openvino"), ("mi300x", "openvino")],
)
def test_a_runtime_is_refused_on_what_it_cannot_run_on(machine: str, runtime: str) -> None:
    with pytest.raises(OptionError, match=f"{runtime} is of Intel's machines, and {machine}"):
        deployment(rl.platform(machine), runtime)


@pytest.mark.parametrize("machine", ["graviton4", "apple-m4-cpu"])
def test_other_instructions_than_the_runs_are_no_basis_for_their_runtimes(machine: str) -> None:
    found = deployment(rl.platform(machine))
    assert found is not None
    assert found.runtime == "any"


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [("orin-nx:15w", "orin-nx:25w"), ("orin-nx-8gb", "orin-nx"), ("jetson-nano:5w", "jetson-nano:10w"),
     ("orin-nano:7w", "orin-nano:super")],
)  # fmt: skip
@pytest.mark.parametrize("network", ["resnet50", "mobilenet_v2", "vit_b16"])
def test_a_machine_with_less_of_everything_is_not_faster(
    weaker: str, stronger: str, network: str
) -> None:
    workload = rl.load(network).under(precision="fp16")
    less, more = (
        estimate(workload, rl.platform(key), datatype="fp16") for key in (weaker, stronger)
    )
    assert less is not None
    assert more is not None
    assert less.fps <= more.fps


@pytest.mark.parametrize("machine", ["memryx-mx3-m2", "groq-lpu", "mtt-s4000"])
def test_no_other_makers_runtime_is_borrowed_by_name(machine: str) -> None:
    platform = rl.platform(machine)
    found = deployment(platform)
    assert found is not None
    assert found.runtime == "any"
    said = estimate(rl.load("mobilenet_v1").under(precision="int8"), platform, datatype="int8")
    assert said is not None
    assert said.basis == "borrowed"
    assert "other runtimes" in said.rests_on
    # A chip that holds MobileNet's weights streams: its rate tells no latency.
    assert (said.latency_s is None) == (platform.weight_memory is not None)
    assert said.interval_fps[0] < said.fps < said.interval_fps[1]
    with pytest.raises(OptionError, match="no published run has the runtime 'any'"):
        estimate(rl.load("mobilenet_v1"), platform, datatype="int8", runtime="any")


def test_weights_that_stay_on_the_chip_cost_no_time() -> None:
    from roofline.model._network_facts import facts_of

    workload = rl.load("resnet50").under(precision="int8")
    machine = rl.platform("edgetpu")
    facts = facts_of(
        workload, machine, machine_class="npu", runtime="hailo", datatype="int8", unit="int8", batch=1, cores=1,
        in_flight=False,
    )  # fmt: skip
    _, weights, activations = facts.terms
    assert weights[0] == pytest.approx((workload.parameters - 8e6) / 0.5e9)
    assert activations[0] > 0
    small = facts_of(
        rl.load("mobilenet_v1").under(precision="int8"), machine, machine_class="npu", runtime="hailo", datatype="int8",
        unit="int8", batch=1, cores=1, in_flight=False,
    )  # fmt: skip
    assert small.terms[1][0] == small.terms[2][0] == 0


@pytest.mark.parametrize(
    ("op_type", "weights", "group", "kind"),
    [
        ("Conv", (32, 1, 3, 3), 32, "depthwise"),
        ("Conv", (32, 4, 3, 3), 8, "grouped"),
        ("Conv", None, 8, "grouped"),
        ("Conv", (32, 32, 3, 3), 1, None),
        ("MatMul", None, None, "attention"),
        ("MatMul", (64, 64), None, None),
        ("GroupQueryAttention", None, None, "attention"),
        ("Gemm", (64, 64), None, None),
    ],
)
def test_a_network_is_marked_by_the_arithmetic_it_has_a_share_of(
    op_type: str, weights: tuple[int, ...] | None, group: int | None, kind: str | None
) -> None:
    from roofline.model._network_facts import MARKED, marks_of

    def network(share: float) -> Workload:
        stored = () if weights is None else (Tensor("w", weights),)
        attributes = {} if group is None else {"group": group}
        layer = Layer("a", op_type, Cost(macs=round(1e6 * share)), weights=stored, attributes=attributes)  # fmt: skip
        rest = Layer("b", "Gemm", Cost(macs=10**6 - layer.cost.macs), weights=(Tensor("v", (9, 9)),))  # fmt: skip
        return Workload("net", (layer, rest))

    none = dict.fromkeys(MARKED, 0.0)
    share = MARKED.get(kind or "", 0.5)
    assert marks_of(network(share)) == (none if kind is None else none | {kind: 1.0})
    assert marks_of(network(share - 1e-6)) == none


def test_a_layer_that_repeats_is_counted_once_with_its_repeats() -> None:
    from roofline.model._network_layers import layer_counts

    product = Layer(
        "a", "MatMul", Cost(macs=3 * 64 * 8, inputs=3 * 8, outputs=3 * 64, weights=512), repeats=3,
        weights=(Tensor("w", (8, 64)),),
    )  # fmt: skip
    single = Layer(
        "b",
        "MatMul",
        Cost(macs=64 * 8, inputs=8, outputs=64, weights=512),
        weights=(Tensor("v", (8, 64)),),
    )
    often, once = layer_counts(Workload("net", (product, single)))
    assert often == once._replace(times=3)
    assert once[1:4] == (64 * 8, 8 + 64, 64)


def test_an_estimate_is_at_batch_1_where_no_batch_is_named() -> None:
    network, machine = rl.load("resnet50"), rl.platform("t4")
    assert estimates(network, machine, datatype="fp16") == estimates(
        network, machine, datatype="fp16", batches=(1,)
    )


def test_a_network_is_brought_to_the_bytes_of_what_is_asked() -> None:
    network, brought = rl.load("mlp"), ByWidths()
    assert brought(network, None) is network
    assert brought(network, network.precision or "fp32") is network
    narrow = brought(network, "int8")
    # An MLP's matrices have a weight for each multiply-accumulate: a byte each, and four for all else.
    matrices = network.cost.macs
    assert narrow.weight_bytes == matrices + 4 * (network.cost.weights - matrices)
    assert brought(network, "int8") is narrow


def test_what_an_estimate_lacks_is_named_and_no_more() -> None:
    with pytest.raises(NoBasisError) as caught:
        rl.predict(rl.load("resnet50"), rl.platform("tpu-v5e"), datatype="int8", model="expected")
    assert caught.value.message.endswith("on tpu-v5e; it needs: evidence")
