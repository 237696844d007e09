"""Laws of channel pruning on random convolutional graphs with residual adds, concatenations, groups and gates."""

from __future__ import annotations

import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from roofline.compress.channels import prune
from roofline.compress.request import Pruning
from roofline.workload import Workload

from .masking import assert_prunes, graph, integers, run_in_double, weight

N = helper.make_node
KINDS = (
    "conv",
    "residual",
    "concat",
    "depthwise",
    "grouped",
    "gate",
    "shuffle",
    "norm",
    "split",
    "pool",
)


@st.composite
def networks(draw: st.DrawFn) -> onnx.ModelProto:
    """A chain of random blocks that ends in a linear layer."""
    nodes: list[onnx.NodeProto] = []
    stored: list[onnx.TensorProto] = []
    count = 0

    def conv(x: str, filters: int, depth: int, kernel: int = 1, group: int = 1) -> str:
        nonlocal count
        count += 1
        name = f"conv{count}"
        stored.append(weight(f"{name}_w", filters, depth // group, kernel, kernel))
        stored.append(weight(f"{name}_b", filters))
        nodes.append(
            N(
                "Conv",
                [x, f"{name}_w", f"{name}_b"],
                [f"{name}_y"],
                name,
                group=group,
                pads=[kernel // 2] * 4,
            )
        )
        return f"{name}_y"

    def add(kind: str, inputs: list[str], **attributes: object) -> str:
        nonlocal count
        count += 1
        nodes.append(N(kind, inputs, [f"v{count}"], f"{kind}{count}", **attributes))
        return f"v{count}"

    channels = draw(st.sampled_from([4, 6, 8, 12]))
    x = conv("x", channels, 3, 3)
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6)):
        width = draw(st.sampled_from([4, 6, 8, 12]))
        if kind == "conv":
            x, channels = add("Relu", [conv(x, width, channels, 3)]), width
        elif kind == "residual":
            x = add("Add", [x, conv(add("Relu", [conv(x, width, channels)]), channels, width, 3)])
        elif kind == "concat":
            x, channels = add("Concat", [x, conv(x, width, channels)], axis=1), channels + width
        elif kind == "depthwise":
            x = conv(x, channels, channels, 3, channels)
        elif kind == "grouped" and channels % 2 == 0:
            x, channels = conv(x, width, channels, 3, 2), width
        elif kind == "gate":
            pooled = add("GlobalAveragePool", [x])
            x = add(
                "Mul", [x, add("Sigmoid", [conv(conv(pooled, width, channels), channels, width)])]
            )
        elif kind == "shuffle" and channels % 2 == 0:
            stored.append(integers(f"s{count}", 1, 2, channels // 2, 5, 5))
            stored.append(integers(f"j{count}", 1, channels, 5, 5))
            apart, together = stored[-2].name, stored[-1].name
            x = add(
                "Reshape",
                [add("Transpose", [add("Reshape", [x, apart])], perm=[0, 2, 1, 3, 4]), together],
            )
        elif kind == "norm":
            stored.extend([weight(f"g{count}", channels), weight(f"o{count}", channels)])
            x = add("InstanceNormalization", [x, stored[-2].name, stored[-1].name])
        elif kind == "split":
            half = channels // 2
            stored.append(integers(f"sizes{count}", half, channels - half))
            first, second = f"p{count}", f"q{count}"
            nodes.append(
                N("Split", [x, stored[-1].name], [first, second], f"split{count}", axis=1)
            )
            x = add("Concat", [add("Relu", [first]), conv(second, width, channels - half)], axis=1)
            channels = half + width
        elif kind == "pool":
            x = add("MaxPool", [x], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    flat = add("Flatten", [x])
    stored.append(weight("fc_w", 3, channels * 25))
    nodes.append(N("Gemm", [flat, "fc_w"], ["y"], "fc", transB=1))
    return graph(nodes, stored, 1, 3, 5, 5)


laws = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@laws
@given(model=networks(), share=st.sampled_from([0.8, 0.5, 0.3, 0.01]))
def test_a_pruned_network_computes_what_the_masked_one_does(
    model: onnx.ModelProto, share: float
) -> None:
    # A normalization may magnify the rounding of float32 without end; in float64 the law holds to the last digits.
    assert_prunes(model, share, rounding=1e-9, evaluate=run_in_double)


@laws
@given(model=networks(), share=st.sampled_from([0.8, 0.5, 0.3]), seed=st.integers(0, 9))
def test_counts_of_the_file_are_those_predicted_whatever_channels_stay(
    model: onnx.ModelProto, share: float, seed: int
) -> None:
    predicted = Workload.from_onnx(model).under(pruning=share)
    written = Workload.from_onnx(prune(model, Pruning(share, criterion="random", seed=seed)).model)
    assert (written.cost, written.parameters, written.weight_bytes) == (
        predicted.cost, predicted.parameters, predicted.weight_bytes,
    )  # fmt: skip
    assert (written.activation_bytes, written.peak_activation_bytes) == (
        predicted.activation_bytes, predicted.peak_activation_bytes,
    )  # fmt: skip


@laws
@given(model=networks(), share=st.sampled_from([0.8, 0.5, 0.3]))
def test_keeping_less_never_costs_more(model: onnx.ModelProto, share: float) -> None:
    dense = Workload.from_onnx(model)
    pruned = dense.under(pruning=share)
    tighter = dense.under(pruning=share / 2)
    assert tighter.macs <= pruned.macs <= dense.macs
    assert tighter.parameters <= pruned.parameters <= dense.parameters
    assert dense.under(pruning=1.0).cost == dense.cost


@laws
@given(model=networks())
def test_a_plan_leaves_the_model_untouched(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    prune(model, 0.5)
    assert model.SerializeToString() == before
