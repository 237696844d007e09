"""What ONNX Runtime runs: products and result shapes from its own profile, without reading an attribute it applies.

With all optimization off and weights not prepacked, the profile lists the shapes of every kernel's
operands and results.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner

_NUMPY = {
    "tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_, "tensor(float16)": np.float16, "tensor(double)": np.float64,
}  # fmt: skip


def ran(model: onnx.ModelProto, fed: Mapping[str, Any]) -> tuple[int, list[list[int]]]:
    """Run a model, and return the multiply-accumulates of its kernels and the shapes of its results.

    Args:
        model: A model whose products are all convolutions, matrix products or recurrences.
        fed: Values of inputs; the others get random numbers at their declared shape.
    """
    import onnxruntime as ort

    whole = onnx.inliner.inline_local_functions(model) if model.functions else model
    whole = onnx.ModelProto.FromString(whole.SerializeToString())
    nodes: dict[str, onnx.NodeProto] = {}
    _number(whole.graph, nodes)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.enable_profiling = True
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = ort.InferenceSession(
            whole.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        random = np.random.default_rng(0)
        feeds = {
            entry.name: random.random(entry.shape).astype(_NUMPY[entry.type])
            for entry in session.get_inputs()
            if entry.name not in fed
        } | dict(fed)
        results = session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text())
    macs = 0
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            node = nodes.get(event["name"].removesuffix("_kernel_time"))
            read, written = (
                [next(iter(shape.values())) for shape in event["args"][key]]
                for key in ("input_type_shape", "output_type_shape")
            )
            macs += _macs(event["args"]["op_name"], node, read, written)
    return macs, [list(np.shape(result)) for result in results]


def _number(graph: onnx.GraphProto, nodes: dict[str, onnx.NodeProto]) -> None:
    for node in graph.node:
        node.name = f"node{len(nodes)}"
        nodes[node.name] = node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _number(attribute.g, nodes)


def _macs(
    op: str, node: onnx.NodeProto | None, read: list[list[int]], written: list[list[int]]
) -> int:
    match op:
        case "Conv" | "ConvInteger":
            return math.prod(written[0]) * math.prod(read[1][1:])
        case "QLinearConv":
            kernel = [shape for shape in read if len(shape) >= 3][1]
            return math.prod(written[0]) * math.prod(kernel[1:])
        case "ConvTranspose":
            return math.prod(read[0]) * math.prod(read[1][1:])
        case "MatMul" | "MatMulInteger":
            return math.prod(written[0]) * read[0][-1]
        case "Gemm":
            flags = {attribute.name: attribute.i for attribute in node.attribute} if node else {}
            return math.prod(written[0]) * (read[0][0] if flags.get("transA") else read[0][-1])
        case "LSTM" | "GRU" | "RNN":
            return read[0][0] * read[0][1] * (math.prod(read[1]) + math.prod(read[2]))
        case _:
            return 0
