"""Damaged bytes: whatever is read, the only failures are the program's own, in bounded time and memory."""

from __future__ import annotations

import random
import tempfile
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import roofline
from roofline.cli._counting import document
from roofline.cli._output import as_json
from roofline.errors import RooflineError

from ..conformance.test_published import CASES
from ..conformance.test_shapes import CASES as CONTROL_FLOW

FOLDER = Path(onnx.__file__).parent / "backend/test/data/light"
PREFIX = (FOLDER / "light_squeezenet.onnx").read_bytes()
SMALL = [case.build().SerializeToString() for case in (*CASES, *CONTROL_FLOW)]
# Graphs of a few calls whose every byte matters; stored tensors would take most of the damage.
SEEDS = [content for content in SMALL if len(content) < 20_000]

# What fails is small already; shrinking it would take minutes.
slow = settings(
    max_examples=100,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


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
            assert as_json(document(workload, fused=True))
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


@slow
@given(st.integers(0, len(PREFIX) - 1), st.integers(0, 255))
def test_one_byte_of_a_real_model(place: int, byte: int) -> None:
    read(PREFIX[:place] + bytes([byte]) + PREFIX[place + 1 :])


@slow
@given(st.sampled_from(SEEDS), st.integers(0, 2**32))
def test_mutated_messages(content: bytes, seed: int) -> None:
    """Damage that stays well-formed: names, dimensions, types and attributes of a parsed model."""
    model = onnx.ModelProto.FromString(content)
    dice = random.Random(seed)
    for _ in range(dice.randint(1, 3)):
        dice.choice(MUTATIONS)(model, dice)
    read(model.SerializeToString())


NAMES = ("x", "w", "y", "h", "", "nobody")
SIZES = (-(2**63), -1, 0, 1, 2, 3, 7, 2**31, 2**63 - 1)
OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain})


def _operands(model: onnx.ModelProto, dice: random.Random) -> None:
    call = dice.choice(model.graph.node)
    if call.input:
        place = dice.randrange(len(call.input))
        if dice.random() < 0.5:
            call.input[place] = dice.choice(NAMES)
        else:
            del call.input[place]


def _output(model: onnx.ModelProto, dice: random.Random) -> None:
    call = dice.choice(model.graph.node)
    if call.output:
        call.output[0] = dice.choice(NAMES)


def _operator(model: onnx.ModelProto, dice: random.Random) -> None:
    dice.choice(model.graph.node).op_type = dice.choice(OPERATORS)


def _dims(model: onnx.ModelProto, dice: random.Random) -> None:
    if model.graph.initializer:
        stored = dice.choice(model.graph.initializer)
        if stored.dims:
            stored.dims[dice.randrange(len(stored.dims))] = dice.choice(SIZES)
        else:
            stored.dims.append(dice.choice(SIZES))


def _input_dims(model: onnx.ModelProto, dice: random.Random) -> None:
    dims = dice.choice(model.graph.input).type.tensor_type.shape.dim
    kind = dice.random()
    if dims and kind < 0.6:
        dims[dice.randrange(len(dims))].dim_value = dice.choice(SIZES)
    elif dims and kind < 0.8:
        del dims[0]
    else:
        dims.add().dim_value = 2


def _attribute(model: onnx.ModelProto, dice: random.Random) -> None:
    call = dice.choice(model.graph.node)
    if call.attribute:
        attribute = dice.choice(call.attribute)
        attribute.i = dice.choice(SIZES)
        if attribute.ints:
            attribute.ints[0] = dice.choice(SIZES)
        if dice.random() < 0.5:
            attribute.type = dice.randint(0, 8)


def _datatype(model: onnx.ModelProto, dice: random.Random) -> None:
    if model.graph.initializer:
        dice.choice(model.graph.initializer).data_type = dice.randint(0, 30)


MUTATIONS = (_operands, _output, _operator, _dims, _input_dims, _attribute, _datatype)


@pytest.mark.parametrize("size", [1, 17, 400, 3000])
def test_memory_is_bounded_by_the_file(size: int) -> None:
    tracemalloc.start()
    try:
        read(PREFIX[:size])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e6
