"""The skim of a model file against onnx's own reader: everything stays but the payloads of weights."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.errors import ModelError
from roofline.graph import read
from roofline.graph.reading.blocks import DOMAIN, own_channels
from roofline.graph.reading.wire import SMALL, skim

from ..cli_process import run_python

LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


def network(*weights: TensorProto) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Add", ["x", weight.name], [f"y{place}"])
        for place, weight in enumerate(weights)
    ]
    outputs = [
        helper.make_tensor_value_info(f"y{place}", 1, None) for place in range(len(weights))
    ]
    inputs = [helper.make_tensor_value_info("x", 1, [1])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_a_model_without_large_payloads_stays_as_it_is(path: Path) -> None:
    assert read(path) == onnx.load(path)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("code", "dtype"),
    [(1, np.float32), (6, np.int32), (7, np.int64), (11, np.float64), (13, np.uint64)],
)
def test_dimensions_and_types_outlive_their_data(
    code: int, dtype: type, raw: bool, tmp_path: Path
) -> None:
    data = np.full(1000, 300, dtype)
    large = helper.make_tensor("large", code, [10, 100], data.tobytes() if raw else data, raw=raw)
    few = np.arange(4, dtype=dtype)
    small = helper.make_tensor("small", code, [4], few.tobytes() if raw else few, raw=raw)
    path = saved(network(large, small), tmp_path)
    skimmed = read(path)
    got = {entry.name: entry for entry in skimmed.graph.initializer}
    assert (list(got["large"].dims), got["large"].data_type) == ([10, 100], code)
    assert got["large"].ByteSize() < 100
    assert numpy_helper.to_array(got["small"]).tolist() == [0, 1, 2, 3]
    assert skimmed.graph.node == onnx.load(path).graph.node


def test_weights_in_constants_and_branches_are_dropped_too(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    calls = [
        helper.make_node("Constant", [], ["w"], value=weight),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    result = [helper.make_tensor_value_info("y", 1, None)]
    branch = helper.make_graph(calls, "branch", [], result)
    nodes = [helper.make_node("If", ["go"], ["z"], then_branch=branch, else_branch=branch)]
    inputs = [
        helper.make_tensor_value_info("x", 1, [1, 64]),
        helper.make_tensor_value_info("go", 9, []),
    ]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("z", 1, None)])
    path = saved(helper.make_model(graph), tmp_path)
    assert path.stat().st_size > 2 * 4 * 64 * 64
    assert len(skim(path)) < 2000
    kept = read(path).graph.node[0].attribute[0].g
    assert list(kept.node[0].attribute[0].t.dims) == [64, 64]
    assert kept.node[1] == calls[1]


def test_a_file_beyond_two_gigabytes_is_read(tmp_path: Path) -> None:
    """The weight is a hole of 3 GB in the file, which protobuf alone refuses to parse."""
    size = 3 << 30

    def field(number: int, length: int) -> bytes:
        parts = bytearray([number << 3 | 2])
        while length > 127:
            parts.append(length & 127 | 128)
            length >>= 7
        return bytes([*parts, length])

    declared = TensorProto(
        name="w", data_type=TensorProto.INT8, dims=[3, 1 << 30]
    ).SerializeToString()
    tensor_head = declared + field(9, size)
    rest = network(TensorProto(name="w", data_type=2, dims=[1]))
    del rest.graph.initializer[:]
    graph = rest.graph.SerializeToString()
    rest.ClearField("graph")
    initializer = field(5, len(tensor_head) + size) + tensor_head
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.write(rest.SerializeToString() + field(7, len(graph) + len(initializer) + size))
        file.write(graph + initializer)
        file.seek(size, os.SEEK_CUR)
        file.truncate()
    assert path.stat().st_size > size
    assert list(read(path).graph.initializer[0].dims) == [3, 1 << 30]
    assert SMALL < 1 << 16


def test_every_cut_of_a_file_is_refused_or_read(tmp_path: Path) -> None:
    whole = network(numpy_helper.from_array(np.ones(600, np.float32), "w")).SerializeToString()
    path = tmp_path / "cut.onnx"
    refused = 0
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with suppress(ModelError):
            read(path)
            continue
        refused += 1
    # Only a cut that falls between two fields of the model can pass for a whole one.
    assert refused > len(whole) // 7 * 0.8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"A text file, named as a model.\n" * 99, "not an ONNX model"),
        (bytes(range(256)) * 40, "ONNX model"),
        (b"\x08\x08", "no graph"),
    ],
)
def test_what_is_no_model_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read(path)


def test_absent_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no file"):
        read(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match="folder"):
        read(tmp_path)


def test_a_nesting_bomb_is_refused(tmp_path: Path) -> None:
    def tagged(number: int, payload: bytes) -> bytes:
        length, parts = len(payload), bytearray([number << 3 | 2])
        while length > 127:
            parts.append(length & 127 | 128)
            length >>= 7
        return bytes([*parts, length]) + payload

    payload = bytes(2000)
    for _ in range(1000):
        payload = tagged(1, tagged(5, tagged(6, payload)))  # graph in attribute in node
    path = tmp_path / "bomb.onnx"
    path.write_bytes(tagged(7, payload))
    with pytest.raises(ModelError, match="deep"):
        read(path)


@pytest.mark.parametrize("before", ["", "import onnx"])
def test_messages_are_of_one_class_however_often_they_are_asked_for(before: str) -> None:
    code = f"""if True:
        {before}
        from roofline.graph.reading.messages import model_class
        first = model_class()
        assert model_class() is first
        import onnx
        assert onnx.ModelProto is first
    """
    run_python("-c", code, check=True)


def test_messages_are_read_without_the_rest_of_onnx() -> None:
    code = """if True:
        import sys
        from roofline.graph.reading.messages import model_class
        model_class()
        assert "onnx" not in sys.modules
    """
    run_python("-c", code, check=True)


def test_channels_behind_a_node_without_results_are_known() -> None:
    weight = numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "w")
    nodes = [
        helper.make_node("Print", ["x"], [], domain="mine"),
        helper.make_node("Conv", ["x", "w"], ["y"], domain=DOMAIN),
        helper.make_node("ReorderOutput", ["y"], ["z"], domain=DOMAIN, channels=5),
    ]
    # Eight filters, of which three only fill up a block.
    assert own_channels(helper.make_graph(nodes, "blocked", [], [], [weight])) == {"y": 5}


@pytest.mark.parametrize(
    ("filters", "groups", "front"),
    [
        # One filter for each channel: what fills up behind it fills up in front of it.
        ((8, 1, 3, 3), 8, 5),
        # Groups need whole blocks on both sides, and every filter mixes channels.
        ((8, 4, 3, 3), 2, None),
        ((8, 8, 3, 3), 1, None),
    ],
)
def test_a_filter_for_each_channel_has_as_many_channels_as_it_is_given(
    filters: tuple[int, ...], groups: int, front: int | None
) -> None:
    weights = {"w": (8, 3, 3, 3), "v": filters}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], domain=DOMAIN),
        helper.make_node("Conv", ["y", "v"], ["d"], domain=DOMAIN, group=groups),
        helper.make_node("ReorderOutput", ["d"], ["z"], domain=DOMAIN, channels=5),
    ]
    stored = [
        numpy_helper.from_array(np.zeros(dims, np.float32), name) for name, dims in weights.items()
    ]
    found = own_channels(helper.make_graph(nodes, "blocked", [], [], stored))
    assert (found.get("y"), found["d"]) == (front, 5)
