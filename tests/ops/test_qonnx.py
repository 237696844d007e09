"""QONNX: the same products as without quantizers, weights at the width that their quantizer gives them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.workload import Workload

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
