"""QONNX: the same products as without quantizers, weights at the width that their quantizer gives them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import roofline as rl
from roofline.errors import DatatypeError
from roofline.node import Tensor
from roofline.ops.qonnx import annotated_type
from roofline.precision import DATATYPES
from roofline.workload import Workload
from roofline.workloads import networks

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


def convolution(bits: int | None, domain: str = DOMAINS[0]) -> onnx.ModelProto:
    """A convolution of 8 by 4 channels; with quantizers around weight and operand unless bits is None."""
    stored = {
        "w": np.zeros((8, 4, 3, 3), np.float32), "scale": np.ones((8, 1, 1, 1), np.float32),
        "one": np.array(1, np.float32), "zero": np.array(0, np.float32), "bits": np.array(bits or 0, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node(
            "Conv", ["x" if bits is None else "xq", "w" if bits is None else "wq"], ["y"]
        )
    ]
    if bits == 1:
        nodes.insert(0, helper.make_node("BipolarQuant", ["x", "one"], ["xq"], domain=domain))
        nodes.insert(0, helper.make_node("BipolarQuant", ["w", "scale"], ["wq"], domain=domain))
    elif bits is not None:
        nodes.insert(
            0, helper.make_node("Quant", ["x", "one", "zero", "bits"], ["xq"], domain=domain)
        )
        nodes.insert(
            0, helper.make_node("Quant", ["w", "scale", "zero", "bits"], ["wq"], domain=domain)
        )
    graph = helper.make_graph(
        nodes, "q", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 10, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    return helper.make_model(graph, opset_imports=imports)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_quantizers_change_widths_and_nothing_else(bits: int, domain: str) -> None:
    plain = Workload.from_onnx(convolution(None))
    counted = Workload.from_onnx(convolution(bits, domain))
    assert counted.fully_counted
    assert counted.macs == plain.macs == 8 * 8 * 8 * 4 * 9
    assert counted.parameters == plain.parameters == 8 * 4 * 9
    # The weights at their width, and one scale of four bytes for each output channel.
    assert counted.weight_bytes == 8 * 4 * 9 * bits // 8 + 8 * 4


def test_thresholds_are_compared_with_every_element() -> None:
    node = helper.make_node("MultiThreshold", ["x", "steps"], ["y"], domain=DOMAINS[2])
    graph = helper.make_graph(
        [node], "t", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros((4, 15), np.float32), "steps")],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAINS[2], 1)]
    counted = Workload.from_onnx(helper.make_model(graph, opset_imports=imports))
    assert (counted.cost.other_ops, counted.parameters) == (100 * (2 * 15 + 1), 0)


def quantized(key: str, weights: int, activations: int, first: int = 8) -> onnx.ModelProto:
    """A shipped network as Brevitas exports it: quantizers before both operands of every product."""
    model = networks.get(key).build()
    graph = model.graph
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in {
            "one": 1, "zero": 0, "wbits": weights, "abits": activations, "first": first
        }.items()
    )  # fmt: skip
    nodes: list[onnx.NodeProto] = []
    products = 0
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            for place, bits in enumerate(["abits" if products else "first", "wbits"]):
                name = f"{node.input[place]}.{products}.q"
                call = [node.input[place], "one", "zero", bits]
                narrow = helper.make_node("Quant", call, [name], domain=DOMAINS[0])
                if weights == 1 and bits == "wbits":
                    narrow = helper.make_node("BipolarQuant", call[:2], [name], domain=DOMAINS[0])
                nodes.append(narrow)
                node.input[place] = name
            products += 1
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    model.opset_import.append(helper.make_opsetid(DOMAINS[0], 1))
    return model


PUBLISHED = {"cnv_50": 1_542_848, "mlp": 10_014_720}
"""Weights of FINN's CNV (64, 128 and 256 channels; Umuroglu et al. 2017) and of QuTiBench's MLP of 2,048 neurons."""


@pytest.mark.parametrize("key", PUBLISHED)
@pytest.mark.parametrize(
    ("weights", "activations", "peak"), [(1, 1, "binary"), (2, 2, "int2"), (1, 2, "int2")]
)
def test_published_networks_at_their_widths(
    key: str, weights: int, activations: int, peak: str
) -> None:
    plain = Workload.from_onnx(networks.get(key).build())
    counted = Workload.from_onnx(quantized(key, weights, activations))
    assert counted.macs == plain.macs
    for layers in (counted.layers, counted.fused_layers):
        multiplying = [layer for layer in layers if layer.cost.macs]
        assert [layer.datatype for layer in multiplying] == ["int8", *[peak] * (len(multiplying) - 1)]  # fmt: skip
        stored = [
            tensor
            for layer in multiplying
            for tensor in layer.weights
            if tensor.dtype is not None and tensor.dtype.bits == weights
        ]
        assert sum(tensor.elements or 0 for tensor in stored) == PUBLISHED[key]
        assert sum(tensor.bytes or 0 for tensor in stored) == PUBLISHED[key] * weights // 8


def test_activations_are_packed_and_products_give_the_graphs_type() -> None:
    counted = Workload.from_onnx(convolution(2))
    (product,) = [layer for layer in counted.layers if layer.op_type == "Conv"]
    assert product.datatype == "int2"
    assert product.input_bytes == 4 * 10 * 10 * 2 // 8
    assert product.output_bytes == 8 * 8 * 8 * 4


def test_pools_and_reshapes_keep_the_width() -> None:
    nodes = [
        helper.make_node("Quant", ["x", "one", "zero", "bits"], ["a"], domain=DOMAINS[0]),
        helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Transpose", ["b"], ["c"]),
        helper.make_node("Trunc", ["c", "one", "zero", "bits", "two"], ["e"], domain=DOMAINS[0]),
        helper.make_node("Add", ["e", "e"], ["d"]),
    ]
    stored = {"one": 1, "zero": 0, "bits": 4, "two": 2}
    graph = helper.make_graph(
        nodes, "q", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("d", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in stored.items()],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAINS[0], 1)]
    counted = Workload.from_onnx(helper.make_model(graph, opset_imports=imports))
    written = [layer.output_bytes for layer in counted.layers]
    assert written == [4 * 64 // 2, 4 * 16 // 2, 4 * 16 // 2, 4 * 16 // 4, 4 * 16 * 4]


def test_predictions_run_on_the_matching_peak() -> None:
    counted = Workload.from_onnx(quantized("cnv_50", 2, 2))
    finn = rl.platform("zcu104-finn")
    found = rl.predict(counted, finn)
    assert (found.unit, found.datatype) == ("int2", "int2")
    with pytest.raises(DatatypeError, match="no int2 unit"):
        rl.predict(counted, rl.platform("rpi5"))
    assert rl.predict(counted, rl.platform("t4"), emulate=True).unit == "int4"
    binary = Workload.from_onnx(quantized("cnv_50", 1, 1))
    by_layer = rl.predict(binary, rl.platform("t4"), model="layerwise")
    units = {layer.datatype for layer in by_layer.layers if layer.op_type in ("Conv", "Gemm")}
    assert by_layer.unit == "binary"
    assert units == {"binary", "int8"}


def _one(
    op_type: str, inputs: dict[str, list[int]], stored: dict[str, np.ndarray], domain: str = DOMAINS[0],
    version: int = 1, outputs: int = 1, **attributes: object,
) -> Workload:  # fmt: skip
    node = helper.make_node(
        op_type, [*inputs, *stored], [f"y{n}" for n in range(outputs)], domain=domain, **attributes
    )
    graph = helper.make_graph(
        [node], "q",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y0", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in stored.items()],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(domain, version)]
    return Workload.from_onnx(helper.make_model(graph, opset_imports=imports))


def test_the_second_version_of_trunc_states_a_scale_before_the_width() -> None:
    scalars = {
        name: np.array(value)
        for name, value in {"s": 0.5, "z": 0, "in": 8, "to": 8, "out": 4}.items()
    }
    counted = _one("Trunc", {"x": [1, 4, 5, 5]}, scalars, version=2)
    (result,) = counted.layers[0].outputs
    assert result.dtype is not None
    assert result.dtype.bits == 4


@pytest.mark.parametrize(
    ("exponent", "mantissa", "name"), [(4, 3, "fp8_e4m3"), (5, 2, "fp8_e5m2"), (2, 1, "fp4_e2m1")]
)
def test_float_quantizers_give_their_own_width(exponent: int, mantissa: int, name: str) -> None:
    scalars = {
        "s": np.array(1),
        "e": np.array(exponent),
        "m": np.array(mantissa),
        "b": np.array(7),
        "top": np.array(448),
    }
    counted = _one("FloatQuant", {"x": [1, 4, 5, 5]}, scalars)
    (result,) = counted.layers[0].outputs
    assert result.dtype is not None
    assert (result.dtype.name, result.dtype.bits) == (name, 1 + exponent + mantissa)


def test_windows_laid_out_in_rows_and_a_product_are_the_convolution() -> None:
    laid = _one(
        "Im2Col", {"x": [1, 10, 12, 4]}, {}, kernel_size=[3, 3], stride=[2, 1], pad_amount=[1, 0, 1, 0],
        dilations=[1, 2], input_shape="(1,10,12,4)",
    )  # fmt: skip
    # height (10 + 2 - 3) // 2 + 1; width 12 - 5 + 1
    assert laid.outputs[0].shape == (1, 5, 8, 36)
    assert laid.macs == 0
    product = _one("XnorPopcountMatMul", {"x": [40, 36]}, {"w": np.ones((36, 8))})
    assert product.macs == 5 * 8 * 8 * 4 * 9


def test_channels_last_convolutions_have_their_weights_last_too() -> None:
    counted = _one(
        "Conv", {"x": [1, 10, 12, 4]}, {"w": np.ones((8, 3, 3, 2))}, "qonnx.custom_op.channels_last",
        kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1], group=2,
    )  # fmt: skip
    assert counted.outputs[0].shape == (1, 10, 12, 8)
    assert counted.macs == 10 * 12 * 8 * 2 * 9


def test_quantized_pools_keep_to_their_layout() -> None:
    for layout, given, wanted in (
        ("NCHW", [1, 4, 8, 8], (1, 4, 2, 2)),
        ("NHWC", [1, 8, 8, 4], (1, 2, 2, 4)),
    ):
        counted = _one(
            "QuantAvgPool2d",
            {"x": given},
            {},
            kernel=4,
            stride=4,
            ibits=8,
            obits=4,
            signed=0,
            data_layout=layout,
        )
        (result,) = counted.layers[0].outputs
        assert result.shape == wanted
        assert result.dtype is not None
        assert result.dtype.bits == 4
    pooled = _one(
        "MaxPoolNHWC", {"x": [1, 8, 8, 4]}, {}, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4
    )
    assert pooled.outputs[0].shape == (1, 4, 4, 4)


def test_a_quantized_lstm_counts_its_eight_weights_at_every_step() -> None:
    gates = {f"i{n}": np.ones((16, 12)) for n in range(4)} | {
        f"h{n}": np.ones((16, 16)) for n in range(4)
    }
    biases = {f"b{n}": np.ones(16) for n in range(4)}
    given = {"x": [5, 2, 12], "h": [2, 16], "c": [2, 16]}
    counted = _one("QuantLSTMCell", given, gates | biases, outputs=3, batch_first=0)
    assert counted.macs == 5 * 2 * 4 * (12 * 16 + 16 * 16)
    assert counted.parameters == 4 * (12 * 16 + 16 * 16 + 16)
    assert counted.outputs[0].shape == (5, 2, 16)


def test_weights_take_the_width_that_finn_notes_beside_them() -> None:
    model = convolution(None)
    for name, width in (("w", "BIPOLAR"), ("x", "UINT8")):
        note = model.graph.quantization_annotation.add(tensor_name=name)
        note.quant_parameter_tensor_names.add(key="finn_datatype", value=width)
    counted = Workload.from_onnx(model)
    (product,) = counted.layers
    assert (product.datatype, counted.weight_bytes) == ("int8", 8 * 4 * 9 // 8)
    assert product.output_bytes == 8 * 8 * 8 * 4
    model.graph.quantization_annotation[0].quant_parameter_tensor_names[0].value = "FLOAT32"
    assert Workload.from_onnx(model).weight_bytes == 8 * 4 * 9 * 4


@pytest.mark.parametrize(
    ("stored", "width", "found"),
    [("fp32", "int4", "int4"), ("fp16", "int8", "int8"), ("fp32", "int32", "fp32"), ("fp16", "int32", "fp16")],
)  # fmt: skip
def test_an_annotation_narrows_a_tensor_and_never_widens_it(
    stored: str, width: str, found: str
) -> None:
    tensor = Tensor("x", (2, 3), DATATYPES[stored])
    assert annotated_type(tensor, DATATYPES[width]).dtype == DATATYPES[found]


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_pool_of_two_by_two_compares_three_times(domain: str) -> None:
    counted = _one(
        "MaxPoolNHWC",
        {"x": [1, 8, 8, 4]},
        {},
        domain,
        kernel_shape=[2, 2],
        strides=[2, 2],
        pads=[0] * 4,
    )
    assert counted.cost.other_ops == 4 * 4 * 4 * (2 * 2 - 1)
