"""Damaged bytes: whatever is read, the only failures are the program's own, in bounded time and memory."""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import roofline
from roofline.errors import RooflineError

from ..conformance.test_published import CASES
from ..conformance.test_shapes import CASES as CONTROL_FLOW

FOLDER = Path(onnx.__file__).parent / "backend/test/data/light"
PREFIX = (FOLDER / "light_squeezenet.onnx").read_bytes()
SMALL = [case.build().SerializeToString() for case in (*CASES, *CONTROL_FLOW)]
# Graphs of a few calls whose every byte matters; stored tensors would take most of the damage.
SEEDS = [content for content in SMALL if len(content) < 20_000]

slow = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def read(content: bytes) -> None:
    """Count the bytes as a model file: a result or an error of ours, soon and without much memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        began = time.process_time()
        with suppress(RooflineError):
            workload = roofline.load(path)
            assert workload.macs >= 0
            assert sum(layer.cost.macs for layer in workload.fused_layers) == workload.macs
        assert time.process_time() - began < 5


@slow
@given(st.binary(max_size=600))
@example(b"")
@example(b"\x3a\x00")
def test_random_bytes(content: bytes) -> None:
    read(content)


@slow
@given(st.integers(0, len(PREFIX) - 1))
def test_truncations(length: int) -> None:
    read(PREFIX[:length])


@slow
@given(st.sampled_from(SEEDS), st.data())
def test_flipped_bits(content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    read(bytes(damaged))


@slow
@given(st.sampled_from(SEEDS), st.data())
def test_overwritten_bytes(content: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(content)))
    new = data.draw(st.binary(min_size=1, max_size=8))
    drop = data.draw(st.integers(0, 8))
    read(content[:place] + new + content[place + drop :])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(PREFIX) - 1), st.integers(0, 255))
def test_one_byte_of_a_real_model(place: int, byte: int) -> None:
    read(PREFIX[:place] + bytes([byte]) + PREFIX[place + 1 :])


@slow
@given(st.sampled_from(SEEDS), st.data())
def test_mutated_messages(content: bytes, data: st.DataObject) -> None:
    """Damage that stays well-formed: names, dimensions, types and attributes of a parsed model."""
    model = onnx.ModelProto.FromString(content)
    for _ in range(data.draw(st.integers(1, 3))):
        MUTATIONS[data.draw(st.integers(0, len(MUTATIONS) - 1))](model, data)
    read(model.SerializeToString())


NAMES = st.sampled_from(["x", "w", "y", "h", "", "nobody"])
SIZES = st.sampled_from([-(2**63), -1, 0, 1, 2, 3, 7, 2**31, 2**63 - 1])


def _pick(items, data: st.DataObject):
    return items[data.draw(st.integers(0, len(items) - 1))] if len(items) else None


def _input(model: onnx.ModelProto, data: st.DataObject) -> None:
    call = _pick(model.graph.node, data)
    if call is not None and len(call.input):
        call.input[data.draw(st.integers(0, len(call.input) - 1))] = data.draw(NAMES)


def _fewer(model: onnx.ModelProto, data: st.DataObject) -> None:
    call = _pick(model.graph.node, data)
    if call is not None and len(call.input):
        del call.input[data.draw(st.integers(0, len(call.input) - 1))]


def _output(model: onnx.ModelProto, data: st.DataObject) -> None:
    call = _pick(model.graph.node, data)
    if call is not None and len(call.output):
        call.output[0] = data.draw(NAMES)


def _operator(model: onnx.ModelProto, data: st.DataObject) -> None:
    call = _pick(model.graph.node, data)
    if call is not None:
        call.op_type = data.draw(st.sampled_from(OPERATORS))


def _dims(model: onnx.ModelProto, data: st.DataObject) -> None:
    stored = _pick(model.graph.initializer, data)
    if stored is not None and len(stored.dims):
        stored.dims[data.draw(st.integers(0, len(stored.dims) - 1))] = data.draw(SIZES)


def _input_dims(model: onnx.ModelProto, data: st.DataObject) -> None:
    entry = _pick(model.graph.input, data)
    dims = entry.type.tensor_type.shape.dim if entry is not None else []
    if len(dims):
        dims[data.draw(st.integers(0, len(dims) - 1))].dim_value = data.draw(SIZES)


def _rank(model: onnx.ModelProto, data: st.DataObject) -> None:
    entry = _pick(model.graph.input, data)
    if entry is not None:
        dims = entry.type.tensor_type.shape.dim
        if data.draw(st.booleans()) and len(dims):
            del dims[0]
        else:
            dims.add().dim_value = 2


def _attribute(model: onnx.ModelProto, data: st.DataObject) -> None:
    call = _pick(model.graph.node, data)
    attribute = _pick(call.attribute, data) if call is not None else None
    if attribute is None:
        return
    attribute.i = data.draw(SIZES)
    if len(attribute.ints):
        attribute.ints[0] = data.draw(SIZES)
    attribute.type = data.draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8]))


def _datatype(model: onnx.ModelProto, data: st.DataObject) -> None:
    stored = _pick(model.graph.initializer, data)
    if stored is not None:
        stored.data_type = data.draw(st.integers(0, 30))


OPERATORS = [schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain]
MUTATIONS = (_input, _fewer, _output, _operator, _dims, _input_dims, _rank, _attribute, _datatype)


@pytest.mark.parametrize("size", [1, 17, 400, 3000])
def test_memory_is_bounded_by_the_file(size: int) -> None:
    tracemalloc.start()
    try:
        read(PREFIX[:size])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e6
