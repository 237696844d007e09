"""Broken and hostile models: one clear line, exit code 2, at once and in little memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ..cli_process import roofline
from ..conformance.graphs import FLOAT, body, model, node, value_info, values, weight

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light/light_squeezenet.onnx"
X = {"x": [4, 4]}


def whole() -> bytes:
    return LIGHT.read_bytes()


def graph(
    *calls: onnx.NodeProto, inputs: dict | None = None, stored: tuple = (), result: str = "y"
) -> bytes:
    return model(calls, inputs or X, result, stored).SerializeToString()


def typed_wrong() -> bytes:
    call = node("Conv", "x w", "y")
    call.attribute.append(helper.make_attribute("strides", "two"))
    return graph(call, inputs={"x": [1, 3, 8, 8]}, stored=(weight("w", 4, 3, 3, 3),))


def external(location: str) -> bytes:
    stored = TensorProto(
        name="w", data_type=FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL
    )
    stored.external_data.add(key="location", value=location)
    return graph(node("MatMul", "x w", "y"), stored=(stored,))


def nested(depth: int) -> bytes:
    """Both branches of each If hold the If below: 2^depth bodies would be walked by who walks them all."""
    inner = body([node("Relu", "x", "r")], [], [value_info("r", None)])
    for level in range(depth):
        call = node("If", "c", f"n{level}", then_branch=inner, else_branch=inner)
        inner = body([call], [], [value_info(f"n{level}", None)])
    built = model(list(inner.node), X, f"n{depth - 1}", [values("c", True, np.bool_)])
    return built.SerializeToString()


def bottomless(levels: int) -> bytes:
    """Subgraphs in subgraphs, written by hand: far deeper than any library nests."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(content)) + content

    def varint(value: int) -> bytes:
        out = b""
        while value > 127:
            out += bytes([value & 127 | 128])
            value >>= 7
        return out + bytes([value])

    # GraphProto.node = 1, NodeProto.op_type = 4 and .attribute = 5, AttributeProto.name = 1 and .g = 6.
    content = b""
    for _ in range(levels):
        attribute = field(1, b"then_branch") + field(6, content) + b"\xa0\x01\x05"
        content = field(1, field(4, b"If") + field(5, attribute))
    # ModelProto.ir_version = 1, .graph = 7, .opset_import = 8.
    return b"\x08\x08" + field(7, content) + field(8, b"\x10\x15")


def recursive_function() -> bytes:
    call = node("F", "x", "y", "local")
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    function = helper.make_function("local", "F", ["x"], ["y"], [call], opsets)
    return model([call], X, "y", functions=[function], domains={"local": 1}).SerializeToString()


def exploding_functions(levels: int = 40) -> bytes:
    """Each function calls the one below twice: 2^40 calls in all."""
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    made = [helper.make_function("local", "F0", ["x"], ["y"], [node("Relu", "x", "y")], opsets)]
    for level in range(1, levels):
        below = f"F{level - 1}"
        calls = [node(below, "x", "h", "local"), node(below, "h", "y", "local")]
        made.append(helper.make_function("local", f"F{level}", ["x"], ["y"], calls, opsets))
    top = node(f"F{levels - 1}", "x", "y", "local")
    return model([top], X, "y", functions=made, domains={"local": 1}).SerializeToString()


def loops_in_loops(levels: int = 6) -> bytes:
    """Shapes grow in every trip, a million trips to a level."""

    def step(level: int) -> onnx.GraphProto:
        inner = (
            [node("Concat", f"h{level} h{level}", f"g{level}", axis=0)]
            if level == 0
            else [node("Loop", f"n c h{level}", f"g{level}", body=step(level - 1))]
        )
        return body(
            [*inner, node("Identity", f"k{level}", f"o{level}")],
            [value_info(f"i{level}", [], TensorProto.INT64), value_info(f"k{level}", [], TensorProto.BOOL),
             value_info(f"h{level}", None)],
            [value_info(f"o{level}", [], TensorProto.BOOL), value_info(f"g{level}", None)],
        )  # fmt: skip

    stored = (values("n", 1_000_000), values("c", True, np.bool_))
    return graph(node("Loop", "n c x", "y", body=step(levels - 1)), stored=stored)


def twice_declared() -> bytes:
    built = model([node("Relu", "x", "y")], X, "y")
    built.graph.input.append(value_info("x", [2, 2]))
    return built.SerializeToString()


CYCLE = (node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y"))
BAD: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"This is a text file that somebody named .onnx.\n" * 20,
    "json": lambda: b'{"graph": {"node": []}}',
    "random": lambda: random.Random(0).randbytes(4096),
    "truncated_half": lambda: whole()[: len(whole()) // 2],
    "truncated_tail": lambda: whole()[:-3],
    "truncated_head": lambda: whole()[:20],
    "cycle": lambda: graph(*CYCLE),
    "own_input": lambda: graph(node("Relu", "y", "y")),
    "dangling_input": lambda: graph(node("Add", "x nobody", "y")),
    "dangling_output": lambda: graph(node("Relu", "x", "h"), result="y"),
    "wrong_attribute": typed_wrong,
    "negative_dims_of_a_weight": lambda: graph(
        node("MatMul", "x w", "y"), stored=(TensorProto(name="w", data_type=FLOAT, dims=[4, -4]),)
    ),
    "huge_dims": lambda: graph(node("Relu", "x", "y"), inputs={"x": [2**62, 2**62]}),
    "huge_weight": lambda: graph(
        node("MatMul", "x w", "y"), stored=(TensorProto(name="w", data_type=FLOAT, dims=[2**60, 2**60]),)
    ),
    "twice_made": lambda: graph(node("Relu", "x", "y"), node("Tanh", "x", "y")),
    "twice_declared": twice_declared,
    "climbing_path": lambda: external("../../etc/passwd"),
    "absolute_path": lambda: external("/etc/passwd"),
    "climbing_in_between": lambda: external("a/../../b"),
    "shapes_do_not_fit": lambda: graph(node("MatMul", "x w", "y"), stored=(weight("w", 5, 4),)),
    "too_few_operands": lambda: graph(node("Conv", "x", "y"), inputs={"x": [1, 3, 8, 8]}),
    "reshape_does_not_fit": lambda: graph(node("Reshape", "x s", "y"), stored=(values("s", [3, 5]),)),
    "no_graph": lambda: onnx.ModelProto(ir_version=8).SerializeToString(),
    "if_without_branches": lambda: graph(node("If", "c", "y"), stored=(values("c", True, np.bool_),)),
    "bottomless": lambda: bottomless(5000),
    "recursive_function": recursive_function,
    "exploding_functions": exploding_functions,
    "unknown_element_type": lambda: graph(
        node("MatMul", "x w", "y"), stored=(TensorProto(name="w", data_type=999, dims=[4, 4]),)
    ),
    "zero_stride": lambda: graph(
        node("Conv", "x w", "y", strides=[0, 0]), inputs={"x": [1, 3, 8, 8]}, stored=(weight("w", 4, 3, 3, 3),)
    ),
    "kernel_too_large": lambda: graph(
        node("Conv", "x w", "y"), inputs={"x": [1, 3, 2, 2]}, stored=(weight("w", 4, 3, 3, 3),)
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def most_s() -> float:
    """CPU seconds in which bad input has to be refused: five times what a small network takes, on a machine as busy."""
    return 5 * min(roofline("count", "mlp").cpu_s for _ in range(2))


@pytest.mark.parametrize("name", BAD)
def test_bad_models(name: str, tmp_path: Path, most_s: float) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(BAD[name]())
    run = roofline("count", path)
    assert run.code == 2, run.out + run.err[-500:]
    assert run.out == ""
    assert run.err.startswith("roofline: error: ")
    assert run.err.count("\n") == 1
    assert len(run.err) < 600
    assert run.cpu_s < most_s
    assert run.rss_bytes < 200e6


@pytest.mark.parametrize("name", ["missing.onnx", "folder.onnx", "unreadable.onnx"])
def test_bad_paths(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    path = tmp_path / "unreadable.onnx"
    path.symlink_to(path)
    run = roofline("count", tmp_path / name)
    assert run.code == 2
    assert run.err.count("\n") == 1
    assert name in run.err


def test_a_file_beyond_two_gigabytes_is_refused_or_read_without_its_weights(
    tmp_path: Path, most_s: float
) -> None:
    """Protobuf ends at 2 GiB; such a file is skimmed or refused, never loaded."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08")
    with path.open("r+b") as file:
        file.truncate(3 << 30)
    run = roofline("count", path)
    assert run.code == 2
    assert run.err.count("\n") == 1
    assert run.cpu_s < most_s
    assert run.rss_bytes < 200e6


@pytest.mark.parametrize("name", ["deep", "growing"])
def test_bombs_are_counted_or_refused_at_once(name: str, tmp_path: Path, most_s: float) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(nested(10) if name == "deep" else loops_in_loops())
    run = roofline("count", path)
    assert run.code in (0, 2)
    assert run.err.count("\n") == (1 if run.code else 0)
    assert "Traceback" not in run.err
    assert run.cpu_s < most_s
    assert run.rss_bytes < 200e6


def test_a_linked_weight_outside_the_folder_is_never_opened(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    (folder / "w.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "model.onnx").write_bytes(external("w.bin"))
    run = roofline("count", folder / "model.onnx", "--format", "json")
    # Weights are never read for counting; a count is as right as a refusal, their content is not shown.
    assert run.code in (0, 2)
    assert "Traceback" not in run.err
