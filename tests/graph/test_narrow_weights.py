"""Weights in 8- and 4-bit floats and integers behind DequantizeLinear, by tensor, channel and block: closed forms."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from roofline.workload import Workload

F16 = TensorProto.FLOAT16
ROWS, DEPTH, COLUMNS, BLOCK = 3, 64, 32, 16
BITS = {
    TensorProto.FLOAT8E4M3FN: 8, TensorProto.FLOAT8E5M2: 8, TensorProto.INT8: 8,
    TensorProto.FLOAT4E2M1: 4, TensorProto.INT4: 4, TensorProto.UINT4: 4,
}  # fmt: skip
PEAKS = {
    TensorProto.FLOAT8E4M3FN: "fp8", TensorProto.FLOAT8E5M2: "fp8", TensorProto.INT8: "int8",
    TensorProto.FLOAT4E2M1: "fp4", TensorProto.INT4: "int4", TensorProto.UINT4: "int4",
}  # fmt: skip


def stored(name: str, element: int, dims: tuple[int, ...]) -> onnx.TensorProto:
    """A tensor whose values the file does not hold: counting reads none."""
    tensor = onnx.TensorProto(name=name, data_type=element, dims=dims)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="nowhere.bin")
    return tensor


def product(
    element: int, scales: tuple[int, ...], *, points: bool, narrow_operand: bool = False,
    **attributes: int,
) -> onnx.ModelProto:  # fmt: skip
    nodes: list[onnx.NodeProto] = []
    operand = "x"
    tensors = [stored("w", element, (DEPTH, COLUMNS)), stored("s", F16, scales)]
    if narrow_operand:
        tensors += [stored("xs", F16, ()), stored("xz", element, ())]
        nodes += [
            helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
        ]
        operand = "d"
    if points:
        tensors.append(stored("z", element, scales))
    nodes += [
        helper.make_node(
            "DequantizeLinear", ["w", "s", *(["z"] if points else [])], ["wide"], **attributes
        ),
        helper.make_node("MatMul", [operand, "wide"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", F16, [ROWS, DEPTH])],
        [helper.make_tensor_value_info("y", F16, None)], tensors,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])


def packed(elements: int, bits: int) -> int:
    return -(-elements * bits // 8)


@pytest.mark.parametrize("element", BITS)
@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize(
    ("scales", "attributes"),
    [
        ((COLUMNS,), {"axis": 1}),
        ((DEPTH // BLOCK, COLUMNS), {"axis": 0, "block_size": BLOCK}),
        ((DEPTH, COLUMNS // BLOCK), {"axis": 1, "block_size": BLOCK}),
    ],
)
def test_weights_take_their_width_and_their_scales(
    element: int, points: bool, scales: tuple[int, ...], attributes: dict[str, int]
) -> None:
    counted = Workload.from_onnx(product(element, scales, points=points, **attributes))
    assert counted.fully_counted
    assert counted.macs == ROWS * DEPTH * COLUMNS
    assert counted.parameters == DEPTH * COLUMNS
    number = scales[0] * (scales[1] if len(scales) > 1 else 1)
    expected = packed(DEPTH * COLUMNS, BITS[element]) + 2 * number
    expected += packed(number, BITS[element]) if points else 0
    assert counted.weight_bytes == expected
    assert counted.traffic_bytes("weights") == expected
    # Only the weight is narrow: products are of the operand's own type.
    (layer,) = [layer for layer in counted.fused_layers if layer.cost.macs]
    assert layer.datatype == "fp16"


@pytest.mark.parametrize("element", BITS)
def test_products_of_narrow_operands_run_on_their_peak(element: int) -> None:
    counted = Workload.from_onnx(product(element, (), points=False, narrow_operand=True))
    assert counted.fully_counted
    (layer,) = [layer for layer in counted.fused_layers if layer.cost.macs]
    assert layer.datatype == PEAKS[element]
    assert layer.input_bytes == packed(ROWS * DEPTH, BITS[element])
    assert layer.output_bytes == 2 * ROWS * COLUMNS
