"""Copies keep the loops that vectors would take apart, and compute what they computed."""

# The lambdas of tensor expressions take index variables, which have no type at all.
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tvm

LANES = 8
SIZES = {"one vector": 8, "several": 32, "a part of one": 4, "no power of two": 7, "wide": 56}


def framed(image: Any) -> Any:
    from tvm import topi

    return topi.nn.pad(image, (0, 0, 1, 1), (0, 0, 1, 1), name="padded")


def frame_in_rows(size: int) -> tuple[Any, Any]:
    """Return an image, and its frame written as one row."""
    from tvm import te, topi

    image = te.placeholder((1, 3, size, size), name="image")
    return image, topi.reshape(framed(topi.nn.relu(image)), (1, 3 * (size + 2) ** 2))


def patches(size: int) -> tuple[Any, Any]:
    """Return an image, and the patches of its ReLU as a matrix."""
    from tvm import te, topi

    image = te.placeholder((1, 3, size, size), name="image")
    source = framed(topi.nn.relu(image))
    return image, te.compute(
        (1, 27, size * size),
        lambda n, k, p: source[n, k // 9, p // size + k // 3 % 3, p % size + k % 3],
        name="patches",
    )


def strided_panels(size: int) -> tuple[Any, Any]:
    """Return an image, and the patches of every other position in panels of a vector, zeros beyond the last."""
    from tvm import te, tirx

    image = te.placeholder((1, 3, size, size), name="image")
    source, width = framed(image), -(-size // 2)

    def element(outer: Any, k: Any, lane: Any) -> Any:
        place = outer * LANES + lane
        row, column = place // width * 2 + k // 3 % 3, place % width * 2 + k % 3
        value = source[0, k // 9, row, column]
        return tirx.if_then_else(place < width * width, value, tirx.const(0, "float32"))

    return image, te.compute((-(-width * width // LANES), 27, LANES), element, name="panels")


def narrow_packing(size: int) -> tuple[Any, Any]:
    """Return an image, and its three channels beside each other."""
    from tvm import te

    image = te.placeholder((1, 3, size, size), name="image")
    return image, te.compute(
        (1, 1, size, size, 3), lambda n, c, y, x, i: image[n, c * 3 + i, y, x], name="pack"
    )


COPIES: tuple[Callable[[int], tuple[Any, Any]], ...] = (
    frame_in_rows, patches, strided_panels, narrow_packing,
)  # fmt: skip


def run(function: Any, image: np.ndarray) -> np.ndarray:
    import tvm

    shape = [int(size) for size in function.params[-1].shape]
    result = tvm.runtime.tensor(np.full(shape, np.nan, np.float32))
    module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
    built = tvm.compile(module, tvm.target.Target({"kind": "llvm", "mcpu": "haswell"}))
    built["main"](tvm.runtime.tensor(image), result)
    return result.numpy()


def vector_loops(function: Any) -> list[Any]:
    """Return the vectorized loops of a kernel."""
    import tvm_ffi

    found: list[Any] = []

    def keep(node: Any) -> None:
        if type(node).__name__ == "For" and int(node.kind) == 2:
            found.append(node)

    tvm_ffi.structural_walk(function.body, (object, keep))
    return found


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.__name__)
def test_copies_compute_what_they_computed(copy, size: int) -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    from tvm import te

    from roofline.validate.tvm.blocked.plain_schedules import plain_schedule

    function = te.create_prim_func(copy(size))
    scheduled = plain_schedule(function, LANES)
    assert scheduled is not None
    image = np.random.default_rng(size).standard_normal((1, 3, size, size)).astype(np.float32)
    expected = run(function, image)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_array_equal(run(scheduled, image), expected)


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.__name__)
def test_no_vector_crosses_a_condition_or_a_narrow_packing(copy) -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    import tvm_ffi
    from tvm import te

    from roofline.validate.tvm.blocked.block_reads import frames_rows, packs_narrowly
    from roofline.validate.tvm.blocked.plain_schedules import plain_schedule

    scheduled = plain_schedule(te.create_prim_func(copy(32)), LANES)
    blocks: list[Any] = []

    def keep(node: Any) -> None:
        if type(node).__name__ == "SBlock":
            blocks.append(node)

    for loop in vector_loops(scheduled):
        tvm_ffi.structural_walk(loop, (object, keep))
    assert not any(frames_rows(block) or packs_narrowly(block, LANES) for block in blocks)


def test_what_a_patch_reads_is_made_once_and_its_rows_are_vectors() -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    from tvm import te

    from roofline.validate.tvm.blocked.plain_schedules import plain_schedule
    from roofline.validate.tvm.blocked.schedules import blocks_of, kernel_schedule

    scheduled = plain_schedule(te.create_prim_func(patches(32)), LANES)
    schedule = kernel_schedule(scheduled)
    names = [schedule.get(block).name_hint for block in blocks_of(schedule)]
    assert names == ["compute", "padded", "patches"]
    last = schedule.get_loops(schedule.get_sblock("patches"))
    # The matrix has 27 rows of 32 x 32: both are split where the patch divides them.
    assert [int(schedule.get(loop).extent) for loop in last[-4:]] == [3, 32, 4, 8]
    assert int(schedule.get(last[-1]).kind) == 2


def test_a_frame_that_changes_its_shape_is_written_once() -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    from tvm import te

    from roofline.validate.tvm.blocked.plain_schedules import plain_schedule
    from roofline.validate.tvm.blocked.schedules import blocks_of, kernel_schedule

    schedule = kernel_schedule(
        plain_schedule(te.create_prim_func(frame_in_rows(32)), LANES)
    )  # fmt: skip
    names = [schedule.get(block).name_hint for block in blocks_of(schedule)]
    assert names == ["compute", "padded"]


def test_divisors_are_those_of_rows_and_kernels() -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    from tvm import te

    from roofline.validate.tvm.blocked.block_reads import divisors
    from roofline.validate.tvm.blocked.schedules import blocks_of, kernel_schedule

    schedule = kernel_schedule(te.create_prim_func(patches(32)))
    found = divisors(schedule.get(blocks_of(schedule)[-1]))
    assert found == {1: (9, 3), 2: (32,)}
