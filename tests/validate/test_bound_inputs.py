"""Runs with shapes and values of inputs as ``count`` takes them."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx.reference
import pytest

from roofline.binding import Binding
from roofline.errors import DimensionError
from roofline.validate.measuring.runnable_model import load_arrays, make_runnable
from roofline.validate.onnx_rewrite.expand import expand
from roofline.validate.records.request import RunRequest

from ..conformance.graphs import INT64, model, node, value_info


@pytest.fixture
def looked_up(tmp_path: Path) -> Path:
    """A table ``x`` [N, S, H] from which ``i`` [K] chooses."""
    made = model([node("Gather", "x i", "y", axis=1)], {"x": ["N", "S", "H"]}, "y")
    made.graph.input.append(value_info("i", ["K"], INT64))
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def test_shapes_and_values_are_those_of_the_run(looked_up: Path, tmp_path: Path) -> None:
    binding = Binding(inputs={"x": (2, 5, 7)}, values={"i": (4, 3, 2)})
    made = make_runnable(str(looked_up), binding=binding, seed=0, folder=tmp_path)
    arrays = load_arrays(made.inputs)
    assert arrays["x"].shape == (2, 5, 7)
    np.testing.assert_array_equal(arrays["i"], np.array([4, 3, 2], np.int64))
    assert made.batch == 2
    other = replace(binding, values={"i": (0, 1, 2)})
    again = make_runnable(str(looked_up), binding=other, seed=0, folder=tmp_path)
    # Inputs are kept by content: other values must not meet those of the first run.
    assert again.inputs != made.inputs


def test_a_given_number_decides_a_branch_and_more_numbers_stay_data(tmp_path: Path) -> None:
    """One branch pads by numbers that are worked out, the other negates: TVM imports only what is decided."""
    branch = textwrap.dedent(
        """
        <ir_version: 9, opset_import: ["" : 17]>
        g (float[2,3] x, int64 rate, int64[2] rows) => (float[2,"M"] y)
        {
            sixteen = Constant<value = int64 {16000}>()
            fast = Equal(rate, sixteen)
            chosen = If(fast) <
                then_branch = t () => (float[2,3] a) { a = Neg(x) },
                else_branch = e () => (float[2,3] b) { b = Abs(x) }
            >
            y = Gather(chosen, rows)
        }
        """
    )
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(branch), path)
    for rate, operator in ((16000, "Neg"), (8000, "Abs")):
        binding = Binding(values={"rate": rate, "rows": (1, 0)})
        made = make_runnable(str(path), binding=binding, seed=0, folder=tmp_path)
        expanded, notes = expand(onnx.load(made.model))
        kinds = {call.op_type for call in expanded.graph.node}
        assert operator in kinds
        assert "If" not in kinds
        assert notes == ("rewritten: 1 If",)
        # A run is given all inputs, and rows are read as one.
        assert [entry.name for entry in expanded.graph.input] == ["x", "rate", "rows"]
        assert any("rows" in call.input for call in expanded.graph.node)
        arrays = load_arrays(made.inputs)
        (result,) = onnx.reference.ReferenceEvaluator(onnx.load(made.model)).run(None, arrays)
        right = -arrays["x"] if operator == "Neg" else np.abs(arrays["x"])
        np.testing.assert_array_equal(result, right[[1, 0]])


def test_all_missing_dimensions_are_named_at_once(looked_up: Path, tmp_path: Path) -> None:
    with pytest.raises(DimensionError) as raised:
        make_runnable(str(looked_up), seed=0, folder=tmp_path)
    line = raised.value.line()
    assert "'S' of input 'x', 'H' of input 'x'" in line
    assert "--dim 'S=N' --dim 'H=N'" in line


def test_two_values_of_one_dimension_contradict(looked_up: Path, tmp_path: Path) -> None:
    binding = Binding(dims={"K": 2}, inputs={"x": (2, 5, 7)}, values={"i": (4, 3, 2)})
    with pytest.raises(DimensionError, match="makes dimension 'K' 3, and it is 2 elsewhere"):
        make_runnable(str(looked_up), binding=binding, seed=0, folder=tmp_path)


def test_requests_without_them_keep_their_digest() -> None:
    plain = RunRequest("mlp", "onnxruntime")
    assert plain.key == replace(plain, inputs={}, values={}).key
    bound = {replace(plain, inputs={"x": (1, 4)}).key, replace(plain, values={"i": 3}).key}
    assert len({plain.key, *bound}) == 3
