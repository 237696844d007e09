"""Which operators a compiler runs as one kernel, and what a network's steps are by its profile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline import Workload
from roofline.errors import PlatformError
from roofline.model.executed_steps import steps_of
from roofline.model.index_fusion import BY_INDEX, kernels_of
from roofline.model.machine_profile import Profile, Sample
from roofline.model.profile_text import as_entry, from_entry
from roofline.spec.profiles import Profile as Entry

SHAPE = (1, 32, 8, 8)
ELEMENTS = 32 * 8 * 8


def network(*nodes: tuple[str, str, str], shape: tuple[int, ...] = SHAPE) -> Workload:
    """Return a network of nodes (operator, operands, result); ``w`` is a filter of 1 x 1, ``m`` a matrix."""
    stored = [
        numpy_helper.from_array(np.ones((32, 32, 1, 1), np.float32), "w"),
        numpy_helper.from_array(np.ones((shape[-1], shape[-1]), np.float32), "m"),
        numpy_helper.from_array(np.array([1, -1], np.int64), "line"),
    ]
    made = [
        helper.make_node(op, operands.split(), [result], result) for op, operands, result in nodes
    ]
    graph = helper.make_graph(
        made, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(nodes[-1][2])], stored,
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    return Workload.from_onnx(helper.make_model(graph, opset_imports=opset, ir_version=8), name="net")  # fmt: skip


def kernels(workload: Workload) -> list[str]:
    """Return the kernels as names joined, in the order of their first layers."""
    return sorted("+".join(layer.name for layer in group) for group in kernels_of(workload.layers))


CONV = ("Conv", "x w", "c")


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        # A chain on elements is one kernel, and goes into the product before it.
        ([("Relu", "x", "a"), ("Sigmoid", "a", "b"), ("Tanh", "b", "d")], ["a+b+d"]),
        ([CONV, ("Relu", "c", "a"), ("Sigmoid", "a", "b")], ["c+a+b"]),
        # All paths of a gate lead through its product.
        ([CONV, ("Sigmoid", "c", "s"), ("Mul", "c s", "g")], ["c+s+g"]),
        # A sum with what was before two products stands in the second's kernel, and only one product does.
        ([CONV, ("Conv", "c w", "d"), ("Add", "d c", "r")], ["c", "d+r"]),
        ([CONV, ("Conv", "x w", "d"), ("Add", "c d", "r"), ("Relu", "r", "e")], ["c+r+e", "d"]),
        # A gate of channels is no image: what it is made of stands apart.
        ([("GlobalAveragePool", "x", "p"), ("Conv", "p w", "d"), ("Sigmoid", "d", "s"), ("Mul", "x s", "g")],
         ["d+s", "g", "p"]),
        # Work on elements goes into what moves or sums them; nothing goes into a pool or behind a sum.
        ([("Relu", "x", "a"), ("Transpose", "a", "t")], ["a+t"]),
        ([("Relu", "x", "a"), ("ReduceMean", "a", "r"), ("Relu", "r", "b")], ["a+r", "b"]),
        ([("Relu", "x", "a"), ("GlobalMaxPool", "a", "p")], ["a", "p"]),
        # A function for which images leave blocks goes into no convolution.
        ([CONV, ("Softplus", "c", "a"), ("Relu", "a", "b")], ["a+b", "c"]),
        # A product takes no move along.
        ([CONV, ("Transpose", "c", "t")], ["c", "t"]),
        # A product of more than rows ends in a view of them.
        ([("MatMul", "x m", "c"), ("Relu", "c", "a")], ["a", "c"]),
    ],
)  # fmt: skip
def test_operators_are_merged_by_how_their_indices_follow(nodes, expected) -> None:
    assert kernels(network(*nodes)) == sorted(expected)


def test_a_product_of_rows_takes_what_follows_along() -> None:
    rows = network(("MatMul", "x m", "c"), ("Relu", "c", "a"), shape=(4, 16))
    assert kernels(rows) == ["c+a"]


def profile(**samples: Sample) -> Profile:
    known = {name.replace("__", "."): (sample,) for name, sample in samples.items()}
    return Profile("tvm", "1", 1, {"fp32": 1e11}, 1e10, 1e-6, 1e-7, 16, known, fusion=BY_INDEX)


def test_a_function_in_a_kernel_costs_what_it_was_seen_to_add_and_others_nothing() -> None:
    asked = network(CONV, ("Sigmoid", "c", "s"), ("Relu", "s", "a"))
    law = profile(packed__Sigmoid=Sample((ELEMENTS,), 0.5), elementwise__Relu=Sample((64.0,), 1.0))
    steps = steps_of(asked, law)
    assert steps is not None
    kinds = [step.work.kind for step in steps if step.work and "layout" not in step.work.kind]
    assert kinds == ["conv.1x1.fp32", "packed.Sigmoid"]
    # By the rules of a runtime that is measured, with nothing measured, all stand alone.
    alone = steps_of(asked, replace(law, fusion=""))
    assert alone is not None
    assert len(alone) == 3


def test_the_slowest_function_bears_a_chain_that_no_product_stands_in() -> None:
    asked = network(("Relu", "x", "a"), ("Sigmoid", "a", "s"), ("Relu", "s", "b"))
    steps = steps_of(asked, profile(packed__Sigmoid=Sample((ELEMENTS,), 0.5)))
    assert steps is not None
    assert [step.layer for step in steps] == ["s"]


def test_images_are_taken_out_of_blocks_and_back_even_where_that_was_not_measured() -> None:
    asked = network(CONV, ("Softplus", "c", "a"), ("Conv", "a w", "d"))
    steps = steps_of(asked, profile(elementwise__Relu=Sample((64.0,), 1.0)))
    assert steps is not None
    moved = [step.layer for step in steps if step.work and step.work.kind == "layout.convert"]
    assert moved == ["x", "c", "a"]
    # A runtime of which no such cost was measured is taken to have none.
    alone = steps_of(asked, replace(profile(elementwise__Relu=Sample((64.0,), 1.0)), fusion=""))
    assert alone is not None
    assert not any(step.work and step.work.kind == "layout.convert" for step in alone)


def entry(made: Profile) -> Entry:
    return Entry.model_validate(
        as_entry(made, datatype="fp32", tool="t", date="2026-11-30", protocol="p", source="s")
    )


def test_a_profile_keeps_its_rules_of_fusion_and_how_programs_were_made() -> None:
    made = replace(profile(elementwise__Relu=Sample((64.0,), 1.0)), conditions="llvm; tuned")
    read = from_entry(entry(made), "here")
    assert (read.fusion, read.conditions) == (BY_INDEX, "llvm; tuned")
    plain = from_entry(entry(replace(made, fusion="", conditions="")), "here")
    assert (plain.fusion, plain.conditions) == ("", "")


def test_rules_of_fusion_that_are_not_known_are_refused() -> None:
    made = entry(replace(profile(elementwise__Relu=Sample((64.0,), 1.0)), fusion="by_luck"))
    with pytest.raises(PlatformError, match="by_luck"):
        from_entry(made, "here")
