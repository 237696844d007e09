"""A decoder in the spelling of onnxruntime-genai: every value's shape is that which ONNX Runtime gives at run time."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.binding import Binding
from roofline.workload import Workload

onnxruntime = pytest.importorskip("onnxruntime")

F32, I32, I64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
MS = "com.microsoft"
BATCH, HEADS, KV, SIZE, INNER, WORDS, MOST, BLOCK = 2, 4, 2, 16, 96, 50, 64, 32
WIDTH = HEADS * SIZE


class Decoder:
    """One layer: rotation inside the attention, norms with skips, products packed in blocks of four bits."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[TensorProto] = []
        self.random = np.random.default_rng(0)

    def store(self, name: str, array: Any) -> str:
        self.stored.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        return self.store(name, self.random.standard_normal(shape).astype(np.float32))

    def call(
        self, kind: str, names: list[str], outs: list[str], domain: str = "", **attributes: Any
    ) -> str:  # fmt: skip
        self.nodes.append(
            helper.make_node(kind, names, outs, f"/{outs[0]}/{kind}", domain=domain, **attributes)
        )
        return outs[0]

    def packed(self, name: str, operand: str, depth: int, columns: int) -> str:
        blocks = depth // BLOCK
        bits = self.random.integers(0, 255, (columns, blocks, BLOCK // 2), np.uint8)
        names = [
            operand, self.store(f"{name}.weight_Q4", bits), self.weight(f"{name}.scales", columns * blocks),
        ]  # fmt: skip
        return self.call(
            "MatMulNBits", names, [name], MS, K=depth, N=columns, bits=4, block_size=BLOCK
        )

    def build(self) -> onnx.ModelProto:
        call, store = self.call, self.store
        call("ReduceSum", ["attention_mask", store("one", np.array([1]))], ["sum"], keepdims=0)
        call("Sub", ["sum", "one"], ["less"])
        call("Cast", ["less"], ["seqlens_k"], to=I32)
        call("Shape", ["attention_mask"], ["mask_shape"])
        call("Gather", ["mask_shape", store("place", np.array(1))], ["length"], axis=0)
        call("Cast", ["length"], ["total_seq_len"], to=I32)
        table = self.weight("model.embed_tokens.weight", WORDS, WIDTH)
        x = call("Gather", [table, "input_ids"], ["embedded"])
        x = call(
            "SimplifiedLayerNormalization", [x, self.weight("norm0", WIDTH)], ["normed"], epsilon=1e-5, axis=-1
        )  # fmt: skip
        self.packed("qkv", x, WIDTH, (HEADS + 2 * KV) * SIZE)
        angles = [self.weight(name, MOST, SIZE // 2) for name in ("cos_cache", "sin_cache")]
        call(
            "GroupQueryAttention",
            ["qkv", "", "", "past_key_values.0.key", "past_key_values.0.value", "seqlens_k", "total_seq_len", *angles],
            ["attended", "present.0.key", "present.0.value"], MS, num_heads=HEADS, kv_num_heads=KV, do_rotary=1,
        )  # fmt: skip
        self.packed("o_proj", "attended", WIDTH, WIDTH)
        call(
            "SkipSimplifiedLayerNormalization", ["embedded", "o_proj", self.weight("norm1", WIDTH)],
            ["inner", "", "", "skipped"], MS, epsilon=1e-5,
        )  # fmt: skip
        self.packed("gate", "inner", WIDTH, INNER)
        self.packed("up", "inner", WIDTH, INNER)
        call("Sigmoid", ["gate"], ["opened"])
        call("Mul", ["gate", "opened"], ["active"])
        call("Mul", ["active", "up"], ["gated"])
        self.packed("down", "gated", INNER, WIDTH)
        call(
            "SkipSimplifiedLayerNormalization", ["skipped", "down", self.weight("norm2", WIDTH)], ["last"], MS,
            epsilon=1e-5,
        )  # fmt: skip
        call("MatMul", ["last", self.weight("lm_head", WIDTH, WORDS)], ["logits"])
        cache = ["batch_size", KV, "past_sequence_length", SIZE]
        inputs = [
            helper.make_tensor_value_info("input_ids", I64, ["batch_size", "sequence_length"]),
            helper.make_tensor_value_info("attention_mask", I64, ["batch_size", "total_sequence_length"]),
            helper.make_tensor_value_info("past_key_values.0.key", F32, cache),
            helper.make_tensor_value_info("past_key_values.0.value", F32, cache),
        ]  # fmt: skip
        # Every value is given out, so that a run tells its shape.
        outputs = [
            onnx.ValueInfoProto(name=name) for node in self.nodes for name in node.output if name
        ]
        graph = helper.make_graph(self.nodes, "decoder", inputs, outputs, self.stored)
        domains = [helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)]
        return helper.make_model(graph, opset_imports=domains, ir_version=10)


@pytest.mark.parametrize(("past", "new"), [(0, 5), (7, 1)])
def test_shapes_are_those_of_a_run(past: int, new: int) -> None:
    model = Decoder().build()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    cache = np.zeros((BATCH, KV, past, SIZE), np.float32)
    given = {
        "input_ids": np.ones((BATCH, new), np.int64), "attention_mask": np.ones((BATCH, past + new), np.int64),
        "past_key_values.0.key": cache, "past_key_values.0.value": cache,
    }  # fmt: skip
    names = [entry.name for entry in session.get_outputs()]
    run = {name: value.shape for name, value in zip(names, session.run(names, given), strict=True)}
    counted = Workload.from_onnx(
        model,
        binding=Binding(
            inputs={name: array.shape for name, array in given.items()},
            values={"attention_mask": np.ones((BATCH, past + new), np.int64)},
        ),
    )
    assert counted.fully_counted
    shapes = {tensor.name: tensor.shape for layer in counted.layers for tensor in layer.outputs}
    assert {name: shapes[name] for name in run} == run
    products = WIDTH * (HEADS + 2 * KV) * SIZE + WIDTH * WIDTH + 3 * WIDTH * INNER + WIDTH * WORDS
    seen = sum(past + place + 1 for place in range(new))
    assert counted.macs == BATCH * (new * products + HEADS * seen * 2 * SIZE)
