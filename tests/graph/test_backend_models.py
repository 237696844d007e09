"""ONNX's own test models through the whole engine: a resolved shape or value must be the one a real run gave.

They hold the expanded form of every function operator, and Loop, Scan, If, sequences and optionals.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from roofline.binding import Binding
from roofline.graph import ResolvedGraph, resolve

pytestmark = pytest.mark.slow

# What only a run can tell: sizes of images and of tokenized text, how many boxes stay, how many values are distinct.
DATA_DEPENDENT = (
    "image_decoder", "nonmaxsuppression", "string_split", "strnorm", "unique", "nonzero", "compress", "bfloat16",
    # the operand is an optional that the caller gives
    "optional_get_element_optional_tensor",
)  # fmt: skip


class Case(NamedTuple):
    name: str
    model: onnx.ModelProto
    inputs: Sequence[Any]
    outputs: Sequence[Any]


def stored(path: Path) -> Any:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


@cache
def cases() -> tuple[Case, ...]:
    found: list[Case] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some overflow or divide by zero on purpose
        for case in load_model_tests(kind="node"):
            found += [Case(case.name, case.model, *data) for data in (case.data_sets or ())[:1]]
        for kind in ("simple", "pytorch-converted", "pytorch-operator"):
            for case in load_model_tests(kind=kind):
                folder = Path(case.model_dir)
                data = folder / "test_data_set_0"
                model = onnx.load(folder / "model.onnx")
                if any(
                    v.type.WhichOneof("value") != "tensor_type"
                    for v in (*model.graph.input, *model.graph.output)
                ):
                    continue
                inputs = [stored(path) for path in sorted(data.glob("input_*.pb"), key=number)]
                outputs = [stored(path) for path in sorted(data.glob("output_*.pb"), key=number)]
                found.append(Case(case.name, model, inputs, outputs))
    return tuple(found)


def number(path: Path) -> int:
    return int(path.stem.split("_")[-1])


def arrays(given: Any) -> np.ndarray | None:
    if isinstance(given, onnx.TensorProto):
        given = numpy_helper.to_array(given)
    return np.asarray(given) if isinstance(given, (np.ndarray, np.generic)) else None


def run(case: Case) -> ResolvedGraph:
    shapes: dict[str, Sequence[int]] = {}
    values: dict[str, Any] = {}
    defaults = {entry.name for entry in case.model.graph.initializer}
    for entry, given in zip(case.model.graph.input, case.inputs, strict=False):
        array = arrays(given)
        if array is None or entry.name in defaults:
            continue
        shapes[entry.name] = array.shape
        if array.size <= 100 and (
            array.dtype.kind in "iub" or (array.dtype.kind == "f" and array.ndim <= 1)
        ):
            values[entry.name] = array
    return resolve(case.model, name=case.name, binding=Binding(inputs=shapes, values=values))


def pairs(case: Case) -> Mapping[str, tuple[Any, np.ndarray]]:
    graph = run(case)
    found = zip(graph.outputs, case.outputs, strict=False)
    return {
        tensor.name: (tensor, array)
        for tensor, given in found
        if (array := arrays(given)) is not None
    }


def test_every_model_resolves_to_the_shapes_of_a_real_run() -> None:
    assert len(cases()) > 1500
    wrong: list[str] = []
    open_sizes = 0
    for case in cases():
        for name, (tensor, array) in pairs(case).items():
            if tensor.shape is None or None in tensor.shape:
                open_sizes += 1
                known = tensor.shape or (None,) * array.ndim
                fits = len(known) == array.ndim and all(
                    size in (None, real) for size, real in zip(known, array.shape, strict=True)
                )
                if not fits or not any(word in case.name for word in DATA_DEPENDENT):
                    wrong.append(f"{case.name} {name}: {tensor.shape} is not {array.shape}")
            elif tensor.shape != array.shape:
                wrong.append(f"{case.name} {name}: {tensor.shape} is not {array.shape}")
    assert not wrong, "\n".join(wrong)
    assert open_sizes < 60


def test_every_value_that_is_followed_is_that_of_a_real_run() -> None:
    wrong: list[str] = []
    followed = 0
    for case in cases():
        for name, (tensor, array) in pairs(case).items():
            value = tensor.value
            if value is None or value.dtype == object or array.dtype.kind not in "iufb":
                continue
            followed += 1
            if not np.allclose(
                value.astype(float), array.astype(float), equal_nan=True, rtol=1e-3, atol=1e-5
            ):
                wrong.append(f"{case.name} {name}")
    assert not wrong
    assert followed > 300
