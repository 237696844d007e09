"""Decoders: what they multiply, what of their weights and caches they read, against closed forms per operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import roofline as rl
from roofline.binding import Binding
from roofline.conventions import Causal
from roofline.layer import Use
from roofline.workload import Workload

F16, F32, I32, I64 = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
MS = "com.microsoft"
BATCH, HEADS, KV, SIZE, PAST = 2, 8, 2, 16, 40


def info(name: str, shape: Sequence[int | str] | None, element: int = F16) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def model(
    nodes: Sequence[onnx.NodeProto], inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[str],
    stored: Sequence[TensorProto] = (),
) -> onnx.ModelProto:  # fmt: skip
    graph = helper.make_graph(
        list(nodes), "decoder", list(inputs), [info(name, None) for name in outputs], list(stored)
    )
    domains = [helper.make_opsetid("", 24), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=11)


def absent(name: str, *shape: int, element: int = F16) -> TensorProto:
    """A weight whose data lies in a file that is not there."""
    tensor = TensorProto(
        name=name, data_type=element, dims=shape, data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value="absent.bin")
    return tensor


def ints(name: str, *numbers: int, element: Any = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(numbers, element), name)


def grouped(new: int, buffer: int, total: int, **attributes: Any) -> onnx.ModelProto:
    """GroupQueryAttention of new positions, with a cache of so many positions, of which so many are in use after."""
    node = helper.make_node(
        "GroupQueryAttention", ["q", "k", "v", "past_k", "past_v", "lengths", "total"], ["out", "new_k", "new_v"],
        domain=MS, num_heads=HEADS, kv_num_heads=KV, **attributes,
    )  # fmt: skip
    inputs = [
        info("q", [BATCH, new, HEADS * SIZE]), info("k", [BATCH, new, KV * SIZE]), info("v", [BATCH, new, KV * SIZE]),
        info("past_k", [BATCH, KV, buffer, SIZE]), info("past_v", [BATCH, KV, buffer, SIZE]),
        info("lengths", [BATCH], I32),
    ]  # fmt: skip
    return model(
        [node], inputs, ["out", "new_k", "new_v"], [ints("total", total, element=np.int32)]
    )


def position(positions: int) -> int:
    """Bytes of keys and values of so many positions in fp16."""
    return 2 * BATCH * KV * positions * SIZE * 2


def test_a_step_reads_the_valid_positions_and_writes_one() -> None:
    layer = Workload.from_onnx(grouped(1, 4096, PAST + 1)).layers[-1]
    assert layer.cost.macs == BATCH * HEADS * (PAST + 1) * 2 * SIZE
    assert (layer.cache_read_bytes, layer.cache_written_bytes) == (position(PAST), position(1))
    assert layer.cost.cache_read == BATCH * KV * PAST * SIZE * 2
    assert layer.output_bytes == BATCH * HEADS * SIZE * 2


def test_a_cache_is_no_traffic_of_the_interface() -> None:
    counted = Workload.from_onnx(grouped(1, 4096, PAST + 1))
    moved = position(PAST) + position(1)
    assert counted.traffic_bytes("weights") == moved
    queries, new = BATCH * HEADS * SIZE * 2, position(1)
    assert counted.traffic_bytes("fused") == moved + 2 * queries + new + 4 * BATCH
    assert counted.traffic_bytes("weights_io") == moved + 2 * queries + new + 4 * BATCH


def test_a_prompt_is_counted_by_half_the_square_and_half_the_diagonal() -> None:
    new = 12
    model = grouped(new, 4096, new)
    layer = Workload.from_onnx(model).layers[-1]
    each = BATCH * HEADS * 2 * SIZE
    assert layer.cost.macs == each * new * (new + 1) // 2
    assert layer.cost.masked_macs == each * new * (new - 1) // 2
    assert (layer.cache_read_bytes, layer.cache_written_bytes) == (0, position(new))
    whole = Workload.from_onnx(model, binding=Binding(causal=Causal.FULL))
    assert whole.macs == each * new * new
    assert any("full square" in note for note in whole.notes)


def test_a_window_bounds_what_is_multiplied_and_read() -> None:
    window = 8
    layer = Workload.from_onnx(grouped(1, 4096, PAST + 1, local_window_size=window)).layers[-1]
    assert layer.cost.macs == BATCH * HEADS * window * 2 * SIZE
    assert layer.cache_read_bytes == position(window - 1)
    prompt = Workload.from_onnx(grouped(20, 4096, 20, local_window_size=window)).layers[-1]
    seen = sum(min(place + 1, window) for place in range(20))
    assert prompt.cost.macs == BATCH * HEADS * seen * 2 * SIZE


@pytest.mark.parametrize(("queries", "past"), [(1, 7), (5, 0), (5, 7)])
@pytest.mark.parametrize("causal", [0, 1])
def test_attention_of_onnx_with_a_past(queries: int, past: int, causal: int) -> None:
    node = helper.make_node(
        "Attention", ["q", "k", "v", "", "past_k", "past_v"], ["out", "new_k", "new_v"], is_causal=causal
    )  # fmt: skip
    inputs = [info("q", [BATCH, HEADS, queries, SIZE])]
    inputs += [info(name, [BATCH, KV, queries, SIZE]) for name in ("k", "v")]
    inputs += [info(name, [BATCH, KV, "past", SIZE]) for name in ("past_k", "past_v")]
    built = model([node], inputs, ["out", "new_k", "new_v"])
    layer = Workload.from_onnx(built, binding=Binding(dims={"past": past})).layers[-1]
    # The mask by its definition: query i sees the past and the new positions up to its own.
    mask = np.tri(queries, queries + past, past) if causal else np.ones((queries, queries + past))
    assert layer.cost.macs == BATCH * HEADS * int(mask.sum()) * 2 * SIZE
    assert (layer.cache_read_bytes, layer.cache_written_bytes) == (
        position(past),
        position(queries),
    )


def test_attention_reads_the_valid_part_of_a_fixed_cache() -> None:
    buffer = 128
    nodes = [
        helper.make_node("TensorScatter", ["cache_k", "k", "at"], ["all_k"], axis=2),
        helper.make_node("TensorScatter", ["cache_v", "v", "at"], ["all_v"], axis=2),
        helper.make_node("Attention", ["q", "all_k", "all_v", "", "", "", "valid"], ["out"], is_causal=1),
    ]  # fmt: skip
    inputs = [info("q", [BATCH, HEADS, 1, SIZE]), info("at", [BATCH], I64)]
    inputs += [info(name, [BATCH, KV, 1, SIZE]) for name in ("k", "v")]
    inputs += [info(name, [BATCH, KV, buffer, SIZE]) for name in ("cache_k", "cache_v")]
    built = model(nodes, inputs, ["out", "all_k", "all_v"], [ints("valid", PAST + 1, PAST + 1)])
    counted = Workload.from_onnx(built)
    assert counted.macs == BATCH * HEADS * (PAST + 1) * 2 * SIZE
    assert sum(layer.cache_written_bytes for layer in counted.layers) == position(1)
    assert sum(layer.cache_read_bytes for layer in counted.layers) == position(PAST + 1)
    assert counted.traffic_bytes("weights") == position(PAST + 2)


def test_multi_head_attention_with_a_past() -> None:
    node = helper.make_node(
        "MultiHeadAttention", ["q", "k", "v", "", "", "", "past_k", "past_v"], ["out", "new_k", "new_v"],
        domain=MS, num_heads=KV, unidirectional=1,
    )  # fmt: skip
    inputs = [info(name, [BATCH, 3, KV * SIZE]) for name in ("q", "k", "v")]
    inputs += [info(name, [BATCH, KV, PAST, SIZE]) for name in ("past_k", "past_v")]
    layer = Workload.from_onnx(model([node], inputs, ["out", "new_k", "new_v"])).layers[-1]
    assert layer.cost.macs == BATCH * KV * (3 * PAST + 6) * 2 * SIZE
    assert (layer.cache_read_bytes, layer.cache_written_bytes) == (position(PAST), position(3))


def plain(past: int) -> onnx.ModelProto:
    """Attention written out, its cache grown by Concat; keys are stored as they are multiplied."""
    nodes = [
        helper.make_node("Relu", ["k"], ["key"]),
        helper.make_node("Relu", ["v"], ["value"]),
        helper.make_node("Concat", ["past_k", "key"], ["all_k"], axis=3),
        helper.make_node("Concat", ["past_v", "value"], ["all_v"], axis=2),
        helper.make_node("MatMul", ["q", "all_k"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"]),
        helper.make_node("MatMul", ["shares", "all_v"], ["out"]),
    ]
    inputs = [
        info("q", [BATCH, KV, 1, SIZE]), info("k", [BATCH, KV, SIZE, 1]), info("v", [BATCH, KV, 1, SIZE]),
        info("past_k", [BATCH, KV, SIZE, past]), info("past_v", [BATCH, KV, past, SIZE]),
    ]  # fmt: skip
    return model(nodes, inputs, ["out", "all_k", "all_v"])


@pytest.mark.parametrize("view", ["fused", "unfused"])
def test_a_cache_grown_by_concat_is_read_once_and_written_by_its_new_positions(view: str) -> None:
    counted = Workload.from_onnx(plain(PAST))
    layers = counted.fused_layers if view == "fused" else counted.layers
    assert sum(layer.cache_written_bytes for layer in layers) == position(1)
    assert sum(layer.cache_read_bytes for layer in layers) == position(PAST + 1)
    assert counted.traffic_bytes("weights") == position(PAST + 2)


@pytest.mark.parametrize("tokens", [1, 3, 4096])
def test_experts_are_read_by_those_that_tokens_reach(tokens: int) -> None:
    experts, picked, width, inner = 16, 4, 32, 64
    node = helper.make_node("MoE", ["x", "router", "up", "", "down"], ["out"], domain=MS, k=picked)
    stored = [absent("up", experts, width, inner), absent("down", experts, inner, width)]
    inputs = [info("x", [tokens, width]), info("router", [tokens, experts])]
    counted = Workload.from_onnx(model([node], inputs, ["out"], stored))
    each = width * inner
    assert counted.macs == tokens * picked * 2 * each
    assert counted.parameters == experts * 2 * each
    reached = experts * (1 - (1 - picked / experts) ** tokens)
    assert counted.traffic_bytes("weights") == pytest.approx(reached * 2 * each * 2, abs=4)
    assert counted.is_routed is (tokens > 1)
    predicted = rl.predict(counted, rl.platform("h100-sxm"), datatype="fp32")
    assert predicted.upper_bound is (tokens == 1)
    assumed = ["uniform routing assumed" in note for note in predicted.notes]
    assert any(assumed) is (tokens > 1)
    # Of a graph of one token a batch has several, that reach other experts.
    assert not rl.predict(counted, rl.platform("h100-sxm"), datatype="fp32", batch=2).upper_bound
    assert any("uniformly" in note for note in counted.notes)


@dataclass(frozen=True)
class Llama:
    """Sizes of a decoder."""

    layers: int = 32
    hidden: int = 4096
    heads: int = 32
    kv_heads: int = 8
    size: int = 128
    inner: int = 14336
    words: int = 128256
    positions: int = 131072

    def build(self, batch: int, new: int, past: int) -> onnx.ModelProto:
        """A decoder as onnxruntime-genai writes it: one call per attention, rotation inside, the cache grown."""
        stored = [
            absent("embed", self.words, self.hidden), absent("head", self.hidden, self.words),
            absent("norm", self.hidden), absent("cos", self.positions, self.size // 2),
            absent("sin", self.positions, self.size // 2), ints("total", past + new, element=np.int32),
        ]  # fmt: skip
        inputs = [info("ids", [batch, new], I64), info("lengths", [batch], I32)]
        nodes = [helper.make_node("Gather", ["embed", "ids"], ["h0"])]
        outputs = ["logits"]
        for index in range(self.layers):
            nodes += self._layer(index)
            kv = self.kv_heads * self.size
            stored += [
                absent(f"{index}.q", self.hidden, self.heads * self.size), absent(f"{index}.k", self.hidden, kv),
                absent(f"{index}.v", self.hidden, kv), absent(f"{index}.o", self.heads * self.size, self.hidden),
                absent(f"{index}.gate", self.hidden, self.inner), absent(f"{index}.up", self.hidden, self.inner),
                absent(f"{index}.down", self.inner, self.hidden), absent(f"{index}.norm1", self.hidden),
                absent(f"{index}.norm2", self.hidden),
            ]  # fmt: skip
            shape = [batch, self.kv_heads, past, self.size]
            inputs += [info(f"past{index}.{part}", shape) for part in "kv"]
            outputs += [f"present{index}.{part}" for part in "kv"]
        nodes += [
            helper.make_node(
                "SimplifiedLayerNormalization", [f"h{self.layers}", "norm"], ["last"]
            ),
            helper.make_node("MatMul", ["last", "head"], ["logits"]),
        ]
        return model(nodes, inputs, outputs, stored)

    def _layer(self, index: int) -> list[onnx.NodeProto]:
        def node(op: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
            names = [name.replace("@", f"{index}.") for name in inputs.split()]
            results = [name.replace("@", f"{index}.") for name in output.split()]
            return helper.make_node(op, names, results, **attributes)

        return [
            node("SimplifiedLayerNormalization", f"h{index} @norm1", "@n1"),
            node("MatMul", "@n1 @q", "@qs"), node("MatMul", "@n1 @k", "@ks"), node("MatMul", "@n1 @v", "@vs"),
            node(
                "GroupQueryAttention", "@qs @ks @vs past@k past@v lengths total cos sin", "@a present@k present@v",
                domain=MS, num_heads=self.heads, kv_num_heads=self.kv_heads, do_rotary=1,
            ),
            node("MatMul", "@a @o", "@os"), node("Add", f"h{index} @os", "@r"),
            node("SimplifiedLayerNormalization", "@r @norm2", "@n2"),
            node("MatMul", "@n2 @gate", "@g"), node("MatMul", "@n2 @up", "@u"), node("Sigmoid", "@g", "@s"),
            node("Mul", "@g @s", "@silu"), node("Mul", "@silu @u", "@m"), node("MatMul", "@m @down", "@d"),
            node("Add", "@r @d", f"h{index + 1}"),
        ]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 32])
def test_llama_31_8b_reads_what_the_closed_form_says(batch: int) -> None:
    context, parameters = 4096, 8_030_261_248
    counted = Workload.from_onnx(Llama().build(batch, 1, context))
    # https://huggingface.co/meta-llama/Llama-3.1-8B: 8.03 billion parameters; the tables of angles are none.
    assert counted.parameters == parameters
    words = 128256 * 4096
    cache = batch * 32 * 2 * 8 * 128
    form = 2 * (parameters - words + batch * 4096 + cache * (context + 1))
    # One row of the tables of angles for each item and layer is all that the form leaves out.
    assert counted.traffic_bytes("weights") == pytest.approx(form, rel=1e-4)
    assert counted.traffic_bytes("weights") >= form
    assert counted.traffic_bytes("fused") == pytest.approx(form, rel=0.02)
    norms = (2 * 32 + 1) * 4096
    assert counted.macs == batch * (parameters - words - norms + 32 * 32 * (context + 1) * 2 * 128)


def test_narrower_weights_and_caches_keep_their_own_widths() -> None:
    counted = Workload.from_onnx(Llama(layers=2).build(1, 1, 64))
    uses = {entry.use for layer in counted.layers for entry in layer.accesses}
    assert uses == set(Use)
    narrow = counted.under(precision="w8a16")
    assert narrow.cost.cache_read == counted.cost.cache_read
    assert sum(layer.cache_read_bytes for layer in narrow.layers) == 2 * counted.cost.cache_read


def test_rotary_tables_that_are_looked_up_are_no_parameters() -> None:
    nodes = [
        helper.make_node("Gather", ["cos", "places"], ["c"]),
        helper.make_node("Gather", ["sin", "places"], ["s"]),
        helper.make_node("RotaryEmbedding", ["x", "c", "s"], ["out"]),
    ]
    stored = [absent("cos", 1024, SIZE // 2), absent("sin", 1024, SIZE // 2)]
    inputs = [info("x", [BATCH, HEADS, 3, SIZE]), info("places", [BATCH, 3], I64)]
    counted = Workload.from_onnx(model(nodes, inputs, ["out"], stored))
    assert counted.parameters == 0
    assert counted.weight_bytes == 2 * 1024 * SIZE // 2 * 2
    assert counted.traffic_bytes("weights") == 2 * BATCH * 3 * SIZE // 2 * 2
