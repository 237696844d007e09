"""The model `calibrated`: kinds of work, interpolation, what stands beside what, and profiles in platform files."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from roofline import Workload, load, platform, predict
from roofline.cost import Cost
from roofline.errors import NoBasisError, PlatformError
from roofline.layer import Layer
from roofline.model import Basis, Bound, models
from roofline.model._outcomes import BOUNDS
from roofline.model._request import case_of
from roofline.model.executed_steps import steps_of
from roofline.model.kinds import works
from roofline.model.machine_profile import Profile, Sample
from roofline.model.network_time import _working_set, calibrated_time
from roofline.model.profile_text import as_entry, from_entry
from roofline.model.work import AXES, Work
from roofline.node import Tensor
from roofline.ops._registry import key, operators
from roofline.spec.profiles import Profile as Entry

PEAK, BANDWIDTH = 100e9, 10e9
INSIDE = (28 * 3 - 2) / (28 * 3)
"""Share of the rows of a filter by 3 x 3 that lie on an image of 28 rows, over all of them."""
RUN_S, LAYER_S = 5e-6, 1e-6


def profile(samples: dict[str, tuple[Sample, ...]] | None = None, **more: object) -> Profile:
    """Return the profile of a machine that reaches half of its speed of light at convolutions and sums."""
    half = {
        "conv.kxk.fp32": (Sample((64, 64, 784, 9, 1), 0.5), Sample((64, 64, 3136, 9, 1), 0.5)),
        "elementwise.Add.same": (Sample((1e4,), 0.5), Sample((1e6,), 0.5)),
        "elementwise.Relu": (Sample((1e4,), 0.5), Sample((1e6,), 0.5)),
    }
    values: dict[str, object] = {
        "backend": "onnxruntime", "version": "0", "threads": 1, "peaks": {"fp32": PEAK}, "bandwidth": BANDWIDTH,
        "run_s": RUN_S, "layer_s": LAYER_S, "lanes": 16, "samples": samples or half, "processor": "A CPU", **more,
    }  # fmt: skip
    return Profile(**values)  # type: ignore[arg-type]


def network(*nodes: onnx.NodeProto, shape=(1, 64, 28, 28), channels=64) -> Workload:
    weight = numpy_helper.from_array(np.zeros((channels, shape[1], 3, 3), np.float32), "w")
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Workload.from_onnx(model, name="net")


def conv(source="x", target="y", name="conv") -> onnx.NodeProto:
    return helper.make_node("Conv", [source, "w"], [target], name=name, pads=[1] * 4)


RELU = helper.make_node("Relu", ["y"], ["z"], name="relu")


@pytest.mark.parametrize(
    ("shape", "perm", "kind"),
    [
        # Channels behind positions: two groups of axes change places, whatever stands before.
        ((1, 64, 28, 28), [0, 2, 3, 1], "move.Transpose.axis"),
        ((1, 28, 28, 64), [0, 3, 1, 2], "move.Transpose.axis"),
        ((64, 28), None, "move.Transpose.axis"),
        ((1, 197, 12, 64), [0, 2, 1, 3], "move.Transpose.rows"),
        ((4, 64, 28, 28), [0, 2, 3, 1], "move.Transpose.axis"),
        ((1, 64, 28, 28), [0, 3, 2, 1], "move.Transpose.all"),
        # A matrix that two axes of length one stand around, both of which change places: kernels that move one axis
        # do not see it.
        ((1, 1, 100, 128), [0, 3, 2, 1], "move.Transpose.all"),
        # Only an axis of length one moves: all rows stay what they are.
        ((1, 64, 28), [1, 0, 2], "move.Transpose.rows"),
    ],
)
def test_a_transposition_is_of_the_kind_of_what_changes_places(shape, perm, kind):
    node = helper.make_node(
        "Transpose", ["x"], ["y"], name="t", **({"perm": perm} if perm else {})
    )
    (layer,) = network(node, shape=shape).layers
    found = works(layer)
    assert found is not None
    assert found.kind == kind


def recurrent(direction: str) -> Work:
    directions, hidden, width = (2 if direction == "bidirectional" else 1), 8, 4
    stored = [
        numpy_helper.from_array(np.zeros((directions, 4 * hidden, size), np.float32), name)
        for name, size in (("w", width), ("r", hidden))
    ]
    node = helper.make_node(
        "LSTM", ["x", "w", "r"], ["y"], name="l", hidden_size=hidden, direction=direction
    )
    graph = helper.make_graph(
        [node], "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, (5, 1, width))],
        [helper.make_empty_tensor_value_info("y")], stored,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (layer,) = Workload.from_onnx(model, name="net").layers
    found = works(layer)
    assert found is not None
    return found


def test_steps_of_a_recurrent_layer_read_the_weights_between_its_states_again():
    one, two = recurrent("forward"), recurrent("bidirectional")
    # 4 gates of 8 x 8 weights of 4 bytes, at each of 5 steps but the first; the other direction has as many again.
    assert (one.held_bytes, one.reread_bytes) == (4 * 8 * 8 * 4, 4 * 8 * 8 * 4 * 4)
    assert (two.held_bytes, two.reread_bytes) == (one.held_bytes, 2 * one.reread_bytes)


def test_weights_that_are_read_again_take_the_pace_of_the_cache_that_holds_them():
    work = recurrent("forward")
    fast, slow = 100e9, 10e9
    known = profile(streams=((1024.0, fast), (1e6, slow)))
    first = work.weight_bytes / slow
    again = work.reread_bytes / fast
    assert known.floor_s(work, 10**6) == pytest.approx(work.bytes / BANDWIDTH + first + again)


def test_a_weight_that_was_read_before_comes_from_where_what_was_gone_through_since_fits():
    twice = [
        helper.make_node("MatMul", ["x", "a"], ["y"], "first"),
        helper.make_node("MatMul", ["y", "b"], ["z"], "other"),
        helper.make_node("MatMul", ["z", "a"], ["out"], "again"),
    ]
    stored = [numpy_helper.from_array(np.zeros((8, 8), np.float32), name) for name in "ab"]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 8))
    made = helper.make_empty_tensor_value_info("out")
    graph = helper.make_graph(twice, "net", [given], [made], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    steps = {step.layer: step for step in steps_of(Workload.from_onnx(model), profile()) or ()}
    # The first product's values, all of the other product, and the weight itself: 8 x 8 and twice 8 elements each.
    assert steps["again"].since == 4 * (2 * 8 + (64 + 2 * 8) + 64)
    assert (steps["first"].since, steps["other"].since) == (None, None)


@pytest.mark.parametrize(
    ("weight", "groups", "shape", "kind"),
    [
        ((64, 64, 3, 3), 1, (1, 64, 28, 28), "conv.kxk.fp32"),
        ((64, 64, 1, 1), 1, (1, 64, 28, 28), "conv.1x1.fp32"),
        ((64, 3, 7, 7), 1, (1, 3, 28, 28), "conv.first.fp32"),
        ((64, 30, 3, 3), 1, (1, 30, 28, 28), "conv.unrolled.fp32"),
        ((64, 1, 3, 3), 64, (1, 64, 28, 28), "conv.depthwise.fp32"),
        ((30, 1, 3, 3), 30, (1, 30, 28, 28), "conv.depthwise_unaligned.fp32"),
        ((64, 16, 3, 3), 4, (1, 64, 28, 28), "conv.grouped.fp32"),
        ((64, 64, 3), 1, (1, 64, 256), "conv.one_dimensional.fp32"),
    ],
)
def test_a_convolution_is_of_the_kind_its_kernels_are(weight, groups, shape, kind):
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=groups)
    graph = helper.make_graph(
        [node], "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(np.zeros(weight, np.float32), "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (layer,) = Workload.from_onnx(model, name="net").layers
    found = works(layer)
    assert found is not None
    assert found.kind == kind


OPERATORS = (
    "Add", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Conv",
    "ConvTranspose", "DequantizeLinear", "Div", "DynamicQuantizeLSTM", "DynamicQuantizeLinear", "Equal", "Gather",
    "Gemm", "GlobalAveragePool", "HardSigmoid", "LRN", "LSTM", "Log", "MatMul", "MatMulInteger", "MaxPool", "Mul",
    "Neg", "Not", "PRelu", "Pad", "Pow", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Resize",
    "Sigmoid", "Slice", "Softmax", "Split", "Sqrt", "Sub", "Sum", "Tanh", "Transpose", "Where",
)  # fmt: skip
"""What the networks of benchmarks/networks/open.csv execute, views and control flow aside."""


@pytest.mark.parametrize("op_type", OPERATORS)
def test_every_operator_of_the_open_networks_has_a_kind(op_type):
    row = operators.find(key(op_type)) or operators.get(key(op_type, "com.microsoft"))
    layer = Layer(
        op_type, op_type, Cost(), row.kind, inputs=(Tensor("x", (1, 64, 8, 8)),), outputs=(Tensor("y", (1, 64, 8, 8)),),
        weights=(Tensor("w", (64, 64, 3, 3)),), attributes={"kernel_shape": (3, 3), "axis": 1, "hidden_size": 8},
    )  # fmt: skip
    found = works(layer)
    assert found is not None
    assert not found.kind.startswith("other.")
    assert found.kind.partition(".")[0] in AXES


def test_padding_fills_channels_up_to_whole_vectors():
    (layer,) = network(conv(), channels=40).layers
    found = works(layer)
    assert found is not None
    # Of the 28 rows the first and the last miss one row of the filter each.
    assert found.padded_ops(16) == pytest.approx(found.ops * INSIDE * 48 / 40)
    assert found.padded_ops(1) == pytest.approx(found.ops * INSIDE)


def test_a_run_goes_through_its_weights_and_the_activations_of_every_item():
    # One 3 x 3 kernel for each pair of channels; the operand and the result of the convolution, of 4 bytes each.
    weights, activations = 64 * 64 * 9 * 4, 2 * 64 * 28 * 28 * 4
    found = _working_set(network(conv()), np.array([1.0, 8.0]))
    assert found.tolist() == [weights + activations, weights + 8 * activations]


def test_a_measured_shape_takes_what_was_measured():
    time = calibrated_time(network(conv()), profile())
    assert time is not None
    ops = 2 * 64 * 64 * 9 * 784 * INSIDE
    assert time.seconds == pytest.approx(RUN_S + LAYER_S + ops / PEAK / 0.5, rel=0.02)
    assert [layer.estimate.basis for layer in time.layers] == [Basis.INTERPOLATED]
    low, high = time.interval_s
    assert low < time.seconds < high < 1.7 * low


def test_between_two_shapes_the_utilisation_lies_between_theirs_and_is_surest_at_them():
    samples = {
        "elementwise.Relu": (Sample((1e3,), 0.2), Sample((1e5,), 0.8)),
    }
    given = profile(samples)

    def relu(elements: float) -> tuple[float, float]:
        work = Work("elementwise.Relu", (elements,), 0.0, "fp32", int(8 * elements), 0)
        found = given.estimate(work, 0)
        return found.bound_s / (found.seconds - LAYER_S), found.deviation

    shares = [relu(elements)[0] for elements in (1e3, 1e4, 1e5)]
    assert shares[0] == pytest.approx(0.2, rel=0.1)
    assert shares[2] == pytest.approx(0.8, rel=0.1)
    assert shares[0] < shares[1] < shares[2]
    at, between, far = relu(1e5)[1], relu(1e4)[1], relu(1e9)[1]
    assert at < between < far


def test_a_kind_that_was_not_measured_borrows_and_is_less_sure():
    given = profile()
    known = given.estimate(Work("elementwise.Relu", (1e5,), 0.0, "fp32", 800_000, 0), 0)
    parent = given.estimate(Work("elementwise.Tanh", (1e5,), 0.0, "fp32", 800_000, 0), 0)
    nothing = given.estimate(Work("rnn.lstm.fp32", (8, 8, 8, 1), 1e6, "fp32", 800_000, 0), 0)
    assert (known.basis, parent.basis, nothing.basis) == (
        Basis.INTERPOLATED, Basis.BORROWED, Basis.ESTIMATED,
    )  # fmt: skip
    assert known.deviation < parent.deviation < nothing.deviation


def test_what_a_convolution_absorbs_costs_nothing_beside_it():
    alone = calibrated_time(network(conv()), profile())
    separate = calibrated_time(network(conv(), RELU), profile())
    absorbed = calibrated_time(network(conv(), RELU), profile(absorbed=frozenset({"Relu"})))
    assert alone is not None
    assert separate is not None
    assert absorbed is not None
    assert absorbed.seconds == pytest.approx(alone.seconds)
    assert separate.seconds > absorbed.seconds


def test_channels_are_rearranged_where_packed_kernels_meet_others():
    tanh = helper.make_node("Tanh", ["y"], ["z"], name="tanh")
    net = network(conv(), tanh, conv("z", "out", "second"))
    samples = {**profile().samples, "layout.convert": (Sample((64, 784), 0.5),)}

    def conversions(**more: object) -> int:
        time = calibrated_time(net, profile(samples, **more))
        assert time is not None
        return sum(layer.kind == "layout.convert" for layer in time.layers)

    # In, out for the function, and in again; a function that takes packed channels as they are spares two.
    assert conversions() == 3
    assert conversions(packed=frozenset({"Tanh"})) == 1


@pytest.mark.parametrize(
    ("channels", "lanes", "count"), [(64, 16, 1), (24, 16, 3), (24, 8, 1), (24, 1, 3)]
)
def test_a_pool_unpacks_channels_that_only_fill_up_a_vector(channels, lanes, count):
    pool = helper.make_node(
        "MaxPool", ["y"], ["z"], name="pool", kernel_shape=[3, 3], pads=[1] * 4
    )
    net = network(
        conv(), pool, conv("z", "out", "second"), shape=(1, channels, 28, 28), channels=channels
    )
    samples = {**profile().samples, "layout.convert": (Sample((64, 784), 0.5),)}
    time = calibrated_time(net, profile(samples, packed=frozenset({"MaxPool"}), lanes=lanes))
    assert time is not None
    # In at the front; out for the pool and in again behind it.
    assert sum(layer.kind == "layout.convert" for layer in time.layers) == count


def test_a_view_takes_what_was_measured_of_one_whatever_stands_around_it():
    flat = helper.make_node("Flatten", ["x"], ["y"], name="flat")
    switches = ((1e4, 5e-6),)

    def view(**more: object) -> float:
        time = calibrated_time(network(flat), profile(switches=switches, **more))
        assert time is not None
        return time.layers[0].estimate.seconds

    assert view() == pytest.approx(LAYER_S + 5e-6)
    assert view(view_s=2e-6) == pytest.approx(2e-6)


def test_a_batch_multiplies_the_work_and_not_the_weights():
    net = network(conv())
    one, eight = calibrated_time(net, profile()), calibrated_time(net, profile(), 8)
    assert one is not None
    assert eight is not None
    assert 6 < (eight.seconds - RUN_S) / (one.seconds - RUN_S) < 9
    weights = net.weight_bytes
    assert eight.layers[0].bytes - weights == 8 * (one.layers[0].bytes - weights)
    vector = Work("matmul.vector.fp32", (1, 64, 64, 1), 8192, "fp32", 512, 16_384)
    assert [vector.times(batch).kind for batch in (1, 8, 16)] == [
        "matmul.vector.fp32", "matmul.narrow.fp32", "matmul.wide.fp32",
    ]  # fmt: skip


def entry(given: Profile) -> dict:
    return as_entry(
        given, datatype="fp32", tool="roofline calibrate", date="2026-11-29", protocol="CPU time", source="calibration"
    )  # fmt: skip


def test_a_profile_reads_back_from_a_platform_file():
    given = profile(
        absorbed=frozenset({"Relu"}), packed=frozenset({"Relu"}), patterns=frozenset({"gelu"}),
        streams=((1e6, 5e10), (1e8, 1e10)),
    )  # fmt: skip
    read = from_entry(Entry.model_validate(entry(given)), "here")
    assert read.run_s == pytest.approx(given.run_s)
    assert replace(read, run_s=given.run_s) == given


def written(
    folder: Path, given: Profile, name: str = "A CPU, 2 cores (measured)", **more: object
) -> str:
    quantity = {"kind": "measured", "source": "calibration"}
    document = {
        "schema_version": 1, "key": "here", "name": name, "vendor": "Intel", "kind": "cpu", "year": 2026,
        "peaks": {"fp32": {"value": PEAK / 1e9, "unit": "GOP/s", **quantity}},
        "memories": [{"name": "DRAM", "bandwidth": {"value": BANDWIDTH / 1e9, "unit": "GB/s", **quantity}}],
        "sources": {"calibration": {"title": "This machine"}},
        "profiles": {f"onnxruntime/{given.version}/{given.threads}/fp32": entry(given)},
        **more,
    }  # fmt: skip
    path = folder / "here.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True))
    return str(path)


def test_an_estimate_stands_behind_the_bound_and_says_what_it_rests_on(tmp_path):
    machine = platform(written(tmp_path, profile()))
    net = network(conv())
    bound = predict(net, machine, model="layerwise")
    found = predict(net, machine, model="calibrated")
    assert found.throughput_fps is not None
    assert bound.throughput_fps is not None
    assert found.interval_fps is not None
    assert (
        found.interval_fps[0] < found.throughput_fps < found.interval_fps[1] < bound.throughput_fps
    )
    assert not found.upper_bound
    assert math.isclose(sum(term.share for term in found.basis), 1.0)
    row = found.layers[0].record()
    assert row["basis"] == "interpolated"
    assert row["share_of_bound"] == pytest.approx(0.5, abs=0.03)
    assert found.bound is Bound.COMPUTE


def test_a_profile_of_several_threads_in_a_file_without_modes_is_told(tmp_path):
    for threads, told in ((1, False), (4, True)):
        machine = platform(written(tmp_path, profile(threads=threads)))
        work = network(conv(), RELU)
        notes = predict(work, machine, datatype="fp32", batch=1, model="calibrated").notes
        assert any("runs on 4 threads" in note for note in notes) == told


def test_a_profile_of_another_number_of_threads_is_refused_by_name(tmp_path):
    quantity = {"kind": "measured", "source": "calibration", "unit": "GOP/s", "value": 100}
    modes = {"2-threads": {"peaks": {"fp32": quantity}}}
    path = written(tmp_path, profile(), modes=modes, default_mode="2-threads")
    with pytest.raises(
        NoBasisError, match=r"no profile for 2 threads; it has onnxruntime/0/1/fp32.*--threads 2"
    ):
        predict(network(conv()), platform(path), model="calibrated")


def test_a_profile_of_another_processor_is_told(tmp_path):
    machine = platform(written(tmp_path, profile(), name="Another CPU B"))
    found = predict(network(conv()), machine, model="calibrated")
    assert any(
        note.startswith("warning: the profile was measured on A CPU") for note in found.notes
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"samples": {"conv.kxk.fp32": ["64x0 = 0.5"]}}, "is no measured shape"),
        (
            {"samples": {"pool.max": ["64x64 = 0.5", "64 = 0.5"]}},
            "a sample of pool.max .* has 2 sizes",
        ),
        (
            {"samples": {"layout.convert": ["4096 = 0.5"]}},
            "has 1 size; it takes 2: channels, positions",
        ),
        ({"figures": {}}, "has no memory, run, layer"),
    ],
)
def test_a_damaged_profile_is_one_clear_line(change, told):
    with pytest.raises(PlatformError, match=told):
        from_entry(Entry.model_validate({**entry(profile()), **change}), "here")


@pytest.mark.parametrize("name", ["mlp", "cnv", "bert_base"])
def test_many_batches_at_once_are_those_one_by_one(name, tmp_path):
    samples = {
        **profile().samples,
        "matmul.vector.fp32": tuple(Sample((1.0, n, n, 1.0), 0.3 + n / 1e5) for n in (256.0, 4096.0)),
        "matmul.narrow.fp32": (Sample((8.0, 512.0, 512.0, 1.0), 0.4), Sample((4.0, 64.0, 64.0, 1.0), 0.2)),
        "matmul.wide.fp32": tuple(Sample((m, 512.0, 512.0, 1.0), 0.5 + m / 1e4) for m in (16.0, 128.0, 1024.0)),
        "layout.convert": (Sample((64.0, 784.0), 0.5),),
    }  # fmt: skip
    given = profile(
        samples, run_s=1e-5, layer_s=2e-6, switches=((1e4, 1e-6), (1e7, 2e-6)), streams=((1e5, 4e10), (1e9, 1e10)),
        corrections={"conv": 1.2}, among=((1e4, 1e-11), (1e7, 5e-11)),
    )  # fmt: skip
    machine = platform(written(tmp_path, given))
    workload = load(name)
    model = models.get("calibrated")
    batches = (1, 2, 3, 15, 16, 17, 64)
    case = case_of(model, workload, machine, {"datatype": "fp32"}, 1)
    law = model.law_of(case)
    many = law.at(np.asarray(batches, np.float64))
    for place, batch in enumerate(batches):
        one = predict(workload, machine, datatype="fp32", batch=batch, model="calibrated")
        assert many.throughput_fps[place] == pytest.approx(one.throughput_fps, rel=1e-9)
        assert many.latency_s[place] == pytest.approx(one.latency_s, rel=1e-9)
        assert [end[place] for end in many.interval_fps] == pytest.approx(
            one.interval_fps, rel=1e-9
        )
        assert [1e3 * end[place] for end in many.interval_latency_s] == pytest.approx(
            one.intervals["latency_ms"], rel=1e-9
        )
        assert BOUNDS[many.bound[place]] is one.bound
        assert many.ops[place] == pytest.approx(one.ops)
        assert many.bytes[place] == pytest.approx(one.bytes)


def test_a_layer_among_others_costs_more_the_more_bytes_a_run_goes_through():
    given = profile(switches=((1e4, 1e-6), (1e6, 3e-6)))
    found = given.switches_s(np.array([1.0, 1e5, 1e9]))
    assert found.tolist() == pytest.approx([1e-6, 2e-6, 3e-6])


def test_a_pass_over_values_takes_more_among_products_and_a_product_does_not():
    samples = {
        "elementwise.Relu": (Sample((1e6,), 1.0),),
        "conv.1x1.fp32": (Sample((64.0, 64.0, 3136.0, 1.0, 1.0), 1.0),),
    }
    alone, among = (profile(samples, among=pace) for pace in ((), ((1e5, 0.0), (1e6, 1e-9))))
    relu = Work("elementwise.Relu", (1e6,), 1e6, "fp32", 8_000_000, 0)
    conv = Work("conv.1x1.fp32", (64.0, 64.0, 3136.0, 1.0, 1.0), 2.6e7, "fp32", 1_600_000, 16384)
    more = among.estimate(relu, 0).seconds - alone.estimate(relu, 0).seconds
    assert more == pytest.approx(8e-3)
    assert among.estimate(conv, 0).seconds == alone.estimate(conv, 0).seconds


def test_what_stands_beside_others_is_read_back_from_a_file():
    given = profile(
        switches=((1e4, 1e-6), (1e6, 3e-6)), among=((2e5, 1e-15), (2e6, 2.5e-11)), view_s=4e-7
    )
    found = from_entry(Entry.model_validate(entry(given)), "here")
    assert found.view_s == pytest.approx(4e-7)
    for read, kept in ((found.switches, given.switches), (found.among, given.among)):
        assert np.array(read) == pytest.approx(np.array(kept))


def test_surprise_is_the_root_mean_square_of_deviations_and_four_at_most(monkeypatch) -> None:
    samples = tuple(Sample((10.0**n,), 0.5) for n in range(1, 9))
    judged = profile({"elementwise.Relu": samples})
    fit = type(judged._fit("elementwise.Relu"))
    monkeypatch.setattr(fit, "surprises", lambda _: np.array([3.0, -1.0, 0.0, 9.0]))
    assert judged.surprise == pytest.approx(((9 + 1 + 0 + 16) / 4) ** 0.5)


def test_weights_that_the_nearest_cache_would_give_take_no_time_beyond() -> None:
    """Weights of 1 MB at 10 GB/s out of memory take 100 us, and at 100 GB/s out of the cache 10 of them."""
    streams = ((1e5, 100e9), (1e8, 10e9))
    weighed = Work("matmul.2d.fp32", (64.0,), 1e6, "fp32", 0, 10**6)
    assert profile(streams=streams).cold_s(weighed, 10**9) == pytest.approx(
        1e6 / 10e9 - 1e6 / 100e9
    )
    assert profile(streams=streams).cold_s(weighed, 10**4) == 0


def test_a_trend_goes_on_for_two_octaves_beyond_what_was_measured() -> None:
    samples = {"elementwise.Relu": (Sample((1e4,), 0.2), Sample((1e5,), 0.4), Sample((1e6,), 0.8))}
    fit = profile(samples)._fit("elementwise.Relu")
    for end, step in ((1e4, 0.5), (1e6, 2.0)):
        at = [float(fit.at(np.array([[end * step**octaves]]))[0][0]) for octaves in (1, 2, 3, 5)]
        assert at[1] != pytest.approx(at[0], rel=1e-3)
        assert at[2] == pytest.approx(at[1], rel=1e-9)
        assert at[3] == pytest.approx(at[1], rel=1e-9)
