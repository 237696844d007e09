"""Tables that are looked up: rows are read, the table is stored; a table that is also multiplied is read once."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.workload import Workload

ROWS, WIDTH, TOKENS = 1000, 64, 7
TABLE = ROWS * WIDTH * 4
"""Bytes of the fp32 table."""


def _model(
    nodes: list[onnx.NodeProto],
    stored: dict[str, np.ndarray],
    outputs: list[str],
    **inputs: tuple[int, ...],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )  # fmt: skip
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=10)


def _table(rows: int = ROWS) -> np.ndarray:
    return np.zeros((rows, WIDTH), np.float32)


@pytest.mark.parametrize("assumption", ["weights", "fused", "unfused"])
def test_a_gather_reads_rows_and_stores_the_table(assumption: str) -> None:
    node = helper.make_node("Gather", ["table", "ids"], ["out"])
    counted = Workload.from_onnx(_model([node], {"table": _table()}, ["out"], ids=(1, TOKENS)))
    rows = TOKENS * WIDTH * 4
    # The rows, the indices (8 bytes each) and the result.
    moved = {"weights": rows}.get(assumption, rows + 8 * TOKENS + rows)
    assert counted.traffic_bytes(assumption) == moved
    assert (counted.parameters, counted.weight_bytes) == (ROWS * WIDTH, TABLE)


def test_no_more_is_read_than_a_table_has() -> None:
    node = helper.make_node("Gather", ["table", "ids"], ["out"])
    counted = Workload.from_onnx(_model([node], {"table": _table(2)}, ["out"], ids=(1, 512)))
    assert counted.traffic_bytes("weights") == 2 * WIDTH * 4


def test_two_lookups_in_one_table_read_the_rows_of_both() -> None:
    nodes = [helper.make_node("Gather", ["table", ids], [f"o_{ids}"]) for ids in ("a", "b")]
    model = _model(nodes, {"table": _table()}, ["o_a", "o_b"], a=(1, 3), b=(1, 5))
    assert Workload.from_onnx(model).traffic_bytes("weights") == (3 + 5) * WIDTH * 4


def test_a_shared_table_is_read_once_by_the_projection() -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["hidden"]),
        helper.make_node("Transpose", ["table"], ["head"], perm=[1, 0]),
        helper.make_node("MatMul", ["hidden", "head"], ["logits"]),
    ]
    counted = Workload.from_onnx(_model(nodes, {"table": _table()}, ["logits"], ids=(1, TOKENS)))
    assert counted.parameters == ROWS * WIDTH
    assert counted.traffic_bytes("weights") == TABLE
    read = {layer.op_type: layer.weight_bytes for layer in counted.layers}
    assert (read["Gather"], read["MatMul"]) == (0, TABLE)


def test_rows_of_constant_positions_are_read_by_the_sum() -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["words"]),
        helper.make_node("Slice", ["places", "zero", "end"], ["taken"]),
        helper.make_node("Add", ["words", "taken"], ["out"]),
    ]
    bounds = {"zero": np.array([0]), "end": np.array([TOKENS])}
    model = _model(
        nodes, {"table": _table(), "places": _table(512), **bounds}, ["out"], ids=(1, TOKENS)
    )
    counted = Workload.from_onnx(model)
    assert counted.traffic_bytes("weights") == 2 * TOKENS * WIDTH * 4
    assert counted.parameters == (ROWS + 512) * WIDTH


def test_quantized_rows_are_read_with_their_scales() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["table", "scale"], ["floats"], axis=0),
        helper.make_node("Gather", ["floats", "ids"], ["out"]),
    ]
    stored = {"table": np.zeros((ROWS, WIDTH), np.int8), "scale": np.ones(ROWS, np.float32)}
    counted = Workload.from_onnx(_model(nodes, stored, ["out"], ids=(1, TOKENS)))
    # One byte a weight, and a scale of four bytes a row.
    assert counted.traffic_bytes("weights") == TOKENS * (WIDTH + 4)
    assert counted.weight_bytes == ROWS * (WIDTH + 4)


def test_blocks_packed_in_bytes_are_read_by_rows() -> None:
    block = 16
    node = helper.make_node(
        "GatherBlockQuantized", ["table", "ids", "scale"], ["out"], domain="com.microsoft",
        block_size=block, bits=4, gather_axis=0, quantize_axis=1,
    )  # fmt: skip
    stored = {
        "table": np.zeros((ROWS, WIDTH // 2), np.uint8),
        "scale": np.ones((ROWS, WIDTH // block), np.float32),
    }
    counted = Workload.from_onnx(_model([node], stored, ["out"], ids=(1, TOKENS)))
    assert counted.parameters == ROWS * WIDTH
    assert counted.traffic_bytes("weights") == TOKENS * (WIDTH // 2 + 4 * WIDTH // block)


def test_the_embedding_layer_of_onnxruntime_reads_rows_of_three_tables() -> None:
    node = helper.make_node(
        "EmbedLayerNormalization", ["ids", "types", "table", "places", "kinds", "gamma", "beta"],
        ["out", "mask"], domain="com.microsoft",
    )  # fmt: skip
    stored = {
        "table": _table(), "places": _table(512), "kinds": _table(2),
        "gamma": np.ones(WIDTH, np.float32), "beta": np.ones(WIDTH, np.float32),
    }  # fmt: skip
    model = _model([node], stored, ["out"], ids=(1, TOKENS), types=(1, TOKENS))
    rows = TOKENS + TOKENS + 2 + 2
    assert Workload.from_onnx(model).traffic_bytes("weights") == rows * WIDTH * 4


@pytest.mark.parametrize(
    ("operator", "indices"),
    [("Gather", (1,)), ("GatherElements", (1, WIDTH)), ("GatherND", (1, 1))],
)
def test_a_lookup_in_a_result_reads_what_it_gives(operator: str, indices: tuple[int, ...]) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["many"]),
        helper.make_node("Relu", ["many"], ["hidden"]),
        helper.make_node(operator, ["hidden", "last"], ["out"]),
    ]
    model = _model(nodes, {"table": _table()}, ["out"], ids=(TOKENS,), last=indices)
    layer = Workload.from_onnx(model).layers[-1]
    assert layer.input_bytes == WIDTH * 4 + 8 * int(np.prod(indices))
    fused = Workload.from_onnx(model).fused_layers[-1]
    assert (fused.op_type, fused.input_bytes) == (operator, layer.input_bytes)


def test_a_narrower_network_reads_narrower_rows() -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "weight"], ["out"]),
    ]
    stored = {"table": _table(), "weight": np.zeros((WIDTH, WIDTH), np.float32)}
    counted = Workload.from_onnx(_model(nodes, stored, ["out"], ids=(1, TOKENS)))
    assert counted.under(precision="fp16").traffic_bytes("weights") == 2 * (
        TOKENS * WIDTH + WIDTH * WIDTH
    )
