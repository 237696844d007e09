"""Weights wherever exporters store them, and values that only subgraphs read: what is written computes the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.compress import Quantization, Request, compress
from roofline.compress.loading import check_loads
from roofline.compress.writers._registry import WriteOptions
from roofline.compression_flags import request
from roofline.errors import CompressionError
from roofline.validate.tvm.importing import rewrite

from .test_cli import run as command

N = helper.make_node
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def weight(name: str, *dims: int, dtype: type = np.float32) -> TensorProto:
    chance = np.random.default_rng(list(name.encode()))
    return numpy_helper.from_array((chance.standard_normal(dims) / 3).astype(dtype), name)


def info(name: str, dims: list[int] | None = None, element: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, dims)


def constant(tensor: TensorProto) -> onnx.NodeProto:
    return N("Constant", [], [tensor.name], f"{tensor.name}_node", value=tensor)


def model(
    nodes: list[onnx.NodeProto],
    stored: list[TensorProto],
    inputs: list[onnx.ValueInfoProto] | None = None,
    *,
    element: int = FLOAT,
    functions: tuple[onnx.FunctionProto, ...] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        inputs or [info("x", [1, 3, 8, 8], element)],
        [info("y", None, element)],
        stored,
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(f.domain, 1) for f in functions)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))


def layers(w: str = "w", v: str = "v", b: str = "") -> list[onnx.NodeProto]:
    """A convolution and a product, which take their weights by these names."""
    return [
        N("Conv", ["x", w, *([b] if b else [])], ["c"], "conv"), N("Relu", ["c"], ["r"], "relu"),
        N("Flatten", ["r"], ["f"], "flat"), N("MatMul", ["f", v], ["y"], "product"),
    ]  # fmt: skip


def sizes(dtype: type = np.float32) -> list[TensorProto]:
    return [weight("w", 8, 3, 3, 3, dtype=dtype), weight("v", 288, 10, dtype=dtype)]


def behind(operator: str, dtype: type = np.float32, **attributes: Any) -> onnx.ModelProto:
    views = [N(operator, [name], [f"{name}_seen"], f"{name}_view", **attributes) for name in "wv"]
    return model([*views, *layers("w_seen", "v_seen")], sizes(dtype))


def in_a_function() -> onnx.ModelProto:
    calls = [
        N("Conv", ["a", "k"], ["c"], "first"), N("Relu", ["c"], ["r"], "relu"),
        constant(weight("inner", 8, 8, 1, 1)), N("Conv", ["r", "inner"], ["o"], "second"),
    ]  # fmt: skip
    block = helper.make_function(
        "local", "Block", ["a", "k"], ["o"], calls, [helper.make_opsetid("", 17)]
    )
    nodes = [
        N("Block", ["x", "w"], ["b"], "block", domain="local"), N("Flatten", ["b"], ["f"], "flat"),
        N("MatMul", ["f", "v"], ["y"], "product"),
    ]  # fmt: skip
    return model(nodes, sizes(), functions=(block,))


def recurrent(kind: str, gates: int) -> onnx.ModelProto:
    stored = [
        weight("w", 1, gates * 8, 6), weight("r", 1, gates * 8, 8), weight("b", 1, 2 * gates * 8), weight("v", 8, 4),
    ]  # fmt: skip
    nodes = [
        N(kind, ["x", "w", "r", "b"], ["h"], "unit", hidden_size=8),
        N("MatMul", ["h", "v"], ["y"], "product"),
    ]
    return model(nodes, stored, [info("x", [5, 1, 6])])


def transposed() -> onnx.ModelProto:
    nodes = [N("Transpose", ["v"], ["vt"], "turn", perm=[1, 0]), *layers(v="vt")]
    return model(nodes, [weight("w", 8, 3, 3, 3), weight("v", 10, 288)])


PLACES: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "half": lambda: model(
        layers(b="b"), [*sizes(np.float16), weight("b", 8, dtype=np.float16)], element=HALF
    ),
    "cast": lambda: behind("Cast", np.float16, to=FLOAT),
    "constant": lambda: model([*(constant(tensor) for tensor in sizes()), *layers()], []),
    "identity": lambda: behind("Identity"),
    "transpose": transposed,
    "function": in_a_function,
    "lstm": lambda: recurrent("LSTM", 4),
    "gru": lambda: recurrent("GRU", 3),
}
WRITTEN: Mapping[str, float] = {
    "int8": 0.05, "dynamic": 0.05, "w8a16": 0.05, "w4a16": 0.5, "ternary": 1.25, "bf16": 0.01, "fp16": 0.01,
    "fp8": 0.15, "w4a8": 0.5,
}  # fmt: skip
"""Largest error of an output, as a share of the largest output, by datatype."""


def asked(datatype: str, feed: Mapping[str, np.ndarray]) -> Request:
    if datatype == "dynamic":
        return Request(quantization=Quantization("int8"), options=WriteOptions(dynamic=True))
    calibration = {name: np.asarray(array) for name, array in feed.items()}
    return Request(
        quantization=Quantization(datatype), options=WriteOptions(calibration=calibration)
    )


def feed_of(built: onnx.ModelProto) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(3)
    feed: dict[str, np.ndarray] = {}
    for given in built.graph.input:
        kind = given.type.tensor_type
        array = chance.standard_normal([dim.dim_value for dim in kind.shape.dim])
        feed[given.name] = array.astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return feed


def outputs(built: onnx.ModelProto, feed: Mapping[str, np.ndarray]) -> np.ndarray:
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    # Without it kernels for processors without VNNI cap sums of two products at 16 bits.
    settings.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(
        built.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    kinds = {given.name: given.type for given in session.get_inputs()}
    cast = {
        name: array.astype(np.float16 if kinds[name] == "tensor(float16)" else array.dtype)
        for name, array in feed.items()
    }
    return session.run(["y"], cast)[0].astype(np.float64)


@pytest.mark.parametrize("datatype", WRITTEN)
@pytest.mark.parametrize("place", PLACES)
def test_weights_are_narrowed_wherever_they_are_stored(place: str, datatype: str) -> None:
    built = PLACES[place]()
    feed = feed_of(built)
    if place in {"lstm", "gru"} and datatype in {"fp8", "w4a8"}:
        with pytest.raises(CompressionError, match=r"activations of \w+ unit cannot be quantized"):
            compress(built, asked(datatype, feed))
        return
    done = compress(built, asked(datatype, feed))
    assert done.agrees
    assert done.narrowing is not None
    kinds = {entry.reason for entry in done.narrowing.kept}
    biases = 256 if place == "lstm" else 192 if place == "gru" else 16
    if datatype in {"bf16", "fp16"}:
        expected = 0 if place in {"half", "cast"} else done.narrowing.weight_bytes
        assert done.narrowing.narrowed_bytes == expected
    else:
        assert kinds <= {"biases, scales and statistics keep their datatype"}
        kept = biases if place in {"lstm", "gru", "half"} else 0
        assert done.narrowing.weight_bytes - done.narrowing.narrowed_bytes == kept
    dense, narrow = outputs(built, feed), outputs(done.model, feed)
    assert np.abs(dense - narrow).max() <= WRITTEN[datatype] * np.abs(dense).max()


def test_a_layer_that_stays_wide_and_an_embedding_are_said() -> None:
    stored = [weight("table", 50, 16), weight("w", 16, 16), weight("v", 16, 4)]
    nodes = [
        N("Gather", ["table", "i"], ["e"], "embed"), N("MatMul", ["e", "w"], ["h"], "hidden"),
        N("MatMul", ["h", "v"], ["y"], "head"),
    ]  # fmt: skip
    built = model(nodes, stored, [info("i", [5], TensorProto.INT64)])
    told = compress(built, request(datatype=["int8", "last=fp32"])).narrowing
    assert told is not None
    assert told.weight_bytes == 4 * (50 * 16 + 16 * 16 + 16 * 4)
    found = {entry.layer: (entry.bytes, entry.reason) for entry in told.kept}
    assert found["head"] == (4 * 16 * 4, "it is to keep its datatype")
    assert told.narrowed_bytes == told.weight_bytes - sum(entry.bytes for entry in told.kept)
    weights_only = compress(built, request(datatype=["w8a16"])).narrowing
    assert weights_only is not None
    assert [(e.layer, e.bytes, e.reason) for e in weights_only.kept] == [
        ("embed", 4 * 50 * 16, "looked up, not multiplied")
    ]


def test_what_the_quantizer_does_beside_the_weights_is_told_apart() -> None:
    """A bias behind its product is narrowed too, and one that two layers share is stored for each of them."""
    shared = [
        N("Conv", ["x", "w", "b"], ["c"], "one"),
        N("Conv", ["x", "v", "b"], ["d"], "other"),
        N("Add", ["c", "d"], ["y"], "sum"),
    ]
    stored = [weight("w", 8, 3, 1, 1), weight("v", 8, 3, 1, 1), weight("b", 8)]
    apart = [N("Conv", ["x", "w"], ["c"], "one"), N("Add", ["c", "a"], ["y"], "bias")]
    for calls, tensors, beside in (
        (shared, stored, 4 * 8),
        (apart, [stored[0], weight("a", 1, 8, 1, 1)], -3 * 8),
    ):
        done = compress(model(calls, tensors), request(datatype=["int8"]))
        assert done.beside_bytes == beside
        assert done.counted.weight_bytes == done.stored_bytes + done.scale_bytes + beside
        assert compress(model(calls, tensors), request(datatype=["w8a16"])).beside_bytes == 0


def branch(operator: str, *more: str) -> onnx.GraphProto:
    return helper.make_graph(
        [N(operator, ["r", *more], ["t"], f"{operator}_inside")], "body", [], [info("t")]
    )


def gated(inner: Callable[[str], onnx.GraphProto] = branch) -> onnx.ModelProto:
    """A Relu that only the branches of an If read."""
    nodes = [
        N("Conv", ["x", "w"], ["c"], "conv"), N("Relu", ["c"], ["r"], "relu"),
        N("If", ["b"], ["i"], "choice", then_branch=inner("Abs"), else_branch=inner("Neg")),
        N("Conv", ["i", "k"], ["y"], "last"),
    ]  # fmt: skip
    inputs = [info("x", [1, 3, 8, 8]), info("b", [], TensorProto.BOOL)]
    return model(nodes, [weight("w", 8, 3, 3, 3), weight("k", 4, 8, 1, 1)], inputs)


def nested(operator: str) -> onnx.GraphProto:
    """A branch whose own If reads the outermost graph's Relu."""
    inside = N(
        "If",
        ["b"],
        ["n"],
        f"{operator}_nested",
        then_branch=branch(operator),
        else_branch=branch(operator),
    )
    return helper.make_graph([inside], "outer", [], [info("n")])


@pytest.mark.parametrize("body", [branch, nested])
@pytest.mark.parametrize("datatype", WRITTEN)
def test_what_a_subgraph_reads_is_kept(
    datatype: str, body: Callable[[str], onnx.GraphProto]
) -> None:
    built = gated(body)
    x = np.random.default_rng(3).standard_normal((1, 3, 8, 8)).astype(np.float32)
    done = compress(built, asked(datatype, {"x": x, "b": np.array([True])}) if datatype == "dynamic" else
                    Request(quantization=Quantization(datatype)))  # fmt: skip
    for taken in (True, False):
        feed = {"x": x, "b": np.array(taken)}
        dense, narrow = outputs(built, feed), outputs(done.model, feed)
        assert np.corrcoef(dense.ravel(), narrow.ravel())[0, 1] > (
            0.7 if datatype == "ternary" else 0.97
        )
        assert np.abs(dense - narrow).max() <= 1.5 * WRITTEN[datatype] * np.abs(dense).max()


def test_weights_inside_a_subgraph_are_narrowed() -> None:
    """Those of the branch that is counted and those of the other, by the name each is counted or stored under."""

    def with_weights(operator: str) -> onnx.GraphProto:
        call = N("Conv", ["r", f"{operator}_w"], ["t"], f"{operator}_inside")
        return helper.make_graph(
            [call], "body", [], [info("t")], [weight(f"{operator}_w", 8, 8, 1, 1)]
        )

    built = gated(with_weights)
    total = 4 * (8 * 3 * 3 * 3 + 4 * 8) + 2 * 4 * 64
    for datatype in ("w8a16", "fp16", "bf16", "int8"):
        done = compress(built, request(datatype=[datatype]))
        assert done.narrowing is not None
        assert (done.narrowing.weight_bytes, done.narrowing.narrowed_bytes) == (total, total)
        assert done.agrees
    for wanted in ("*Abs_inside", "choice.then/Abs_inside"):
        told = compress(built, request(datatype=["w8a16", f"{wanted}=fp32"])).narrowing
        assert told is not None
        assert [(e.layer, e.bytes, e.reason) for e in told.kept] == [
            ("choice.then/Abs_inside", 4 * 64, "it is to keep its datatype")
        ]


def test_channels_that_only_a_subgraph_reads_go_from_its_readers_too() -> None:
    pruned = compress(gated(), request(keep_channels=["0.5"])).model
    sizes = {tensor.name: list(tensor.dims) for tensor in pruned.graph.initializer}
    assert sizes == {"w": [4, 3, 3, 3], "k": [4, 4, 1, 1]}
    feed = feed_of(pruned) | {"b": np.array(True)}
    assert outputs(pruned, feed).shape == outputs(gated(), feed).shape


def test_rewriting_for_tvm_keeps_what_a_subgraph_reads() -> None:
    """A convolution read by a branch is not folded into its BatchNormalization; a Dropout's name is followed inside."""
    nodes = [
        N("Conv", ["x", "w"], ["r"], "conv"), N("BatchNormalization", ["r", "s", "o", "m", "d"], ["n"], "norm"),
        N("If", ["b"], ["i"], "choice", then_branch=branch("Abs"), else_branch=branch("Neg")),
        N("Add", ["i", "n"], ["y"], "sum"),
    ]  # fmt: skip
    statistics = [weight(name, 8) for name in "som"] + [
        numpy_helper.from_array(np.ones(8, np.float32), "d")
    ]
    inputs = [info("x", [1, 3, 8, 8]), info("b", [], TensorProto.BOOL)]
    dropped = [N("Conv", ["x", "w"], ["c"], "conv"), N("Dropout", ["c"], ["r"], "drop"), nodes[2],
               N("Relu", ["i"], ["y"], "relu")]  # fmt: skip
    for calls in (nodes, dropped):
        built = model(calls, [weight("w", 8, 3, 3, 3), *statistics], inputs)
        changed = onnx.ModelProto.FromString(built.SerializeToString())
        rewrite(changed)
        feed = feed_of(built) | {"b": np.array(True)}
        np.testing.assert_allclose(
            outputs(changed, feed), outputs(built, feed), rtol=1e-5, atol=1e-6
        )


def test_what_does_not_load_is_no_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, path = tmp_path / "dense.onnx", tmp_path / "small.onnx"
    onnx.save(PLACES["identity"](), source)

    def broken(done: onnx.ModelProto) -> bytes:
        done.graph.node[-1].input[0] = "nobody"
        return done.SerializeToString()

    monkeypatch.setattr("roofline.compress.compressing.serialize", broken)
    code, out, err = command(capsys, "compress", source, "-d", "w8a16", "-o", path)
    assert (code, out) == (2, "")
    assert "does not load in ONNX Runtime, so no file is written" in err
    assert not path.exists()


def test_a_source_that_does_not_load_is_checked_by_its_format(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source, path = tmp_path / "foreign.onnx", tmp_path / "small.onnx"
    built = PLACES["constant"]()
    built.graph.output[0].CopyFrom(info("y", [1, 10]))
    built.graph.node[-1].output[0] = "z"
    built.graph.node.append(N("Special", ["z"], ["y"], "special", domain="nobody.knows"))
    built.opset_import.append(helper.make_opsetid("nobody.knows", 1))
    onnx.save(built, source)
    code, out, _ = command(
        capsys, "compress", source, "-d", "w8a16", "-o", path, "--format", "json"
    )
    assert code == 0
    told = json.loads(out)
    assert told["loads"] is False
    assert "the network itself does not load in ONNX Runtime" in told["not_loaded_because"]
    assert "onnx.checker" in told["not_loaded_because"]
    onnx.checker.check_model(path)


def test_without_the_runtime_the_format_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    built = PLACES["identity"]()
    assert "refuses it as well (Field 'shape'" in check_loads(built.SerializeToString(), built)
    built.graph.output[0].CopyFrom(info("y", [1, 10]))
    assert "ONNX Runtime is not installed" in check_loads(built.SerializeToString(), built)
    broken = onnx.ModelProto.FromString(built.SerializeToString())
    del broken.graph.node[0]
    with pytest.raises(CompressionError, match="breaks a rule of ONNX"):
        check_loads(broken.SerializeToString(), built)


def test_the_table_says_how_many_bytes_were_narrowed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source, path = tmp_path / "lstm.onnx", tmp_path / "small.onnx"
    onnx.save(PLACES["lstm"](), source)
    code, out, _ = command(capsys, "compress", source, "-d", "w8a16", "-o", path)
    assert code == 0
    before = 4 * (32 * 6 + 32 * 8 + 64 + 8 * 4)
    assert f"{before - 256:,} of {before:,} weight bytes are stored narrower" in out
    assert "256 bytes stay as they are in unit: biases, scales and statistics" in out
