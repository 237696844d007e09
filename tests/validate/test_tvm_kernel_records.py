"""What was tried of a kernel serves every program that has it: nothing is tried twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roofline.validate.tvm.convolution import Convolution
from roofline.validate.tvm.plan import Computation
from roofline.validate.tvm.tuning.algorithm_choice import one_convolution

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.skipif("not __import__('importlib').util.find_spec('tvm')", reason="needs TVM"),
]


def convolution(filters: int) -> Convolution:
    sides = (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)
    return Convolution(1, 4, 6, 6, filters, *sides, 1, "float32", "float32")


@pytest.fixture
def tune(tmp_path: Path) -> Any:
    """Tune a network of one convolution in a folder of its own; what others tried is shared."""
    from roofline.validate.tvm import setup
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.tuning import metaschedule
    from roofline.validate.tvm.tuning.kernel_records import KernelRecords

    target = setup.local_target(setup.load_tvm(), 1)

    def run(program: str, filters: int, trials: int, *, known: bool = True) -> tuple[int, Any]:
        model = tmp_path / f"{program}.onnx"
        model.write_bytes(one_convolution(convolution(filters)))
        module = import_model(model, target, Computation("direct")).module
        done = metaschedule.tune(
            module, target, tmp_path / program,
            trials=trials, budget_s=0.0, threads=1, report=lambda *_: None,
            shared=KernelRecords(tmp_path / "kernels", target, known=known),
        )  # fmt: skip
        (heavy,) = metaschedule.tries(module, target, tmp_path / program)
        return done.trials, heavy.seconds

    return run


def test_a_kernel_that_another_program_has_is_not_tried_again(tune):
    first, tried = tune("one", 8, 6)
    assert first >= 6
    again, taken = tune("other", 8, 6)
    assert again == 0
    assert taken == pytest.approx(tried)
    # Fewer are the first of them; of more, only those beyond are tried.
    assert tune("fewer", 8, 3) == (0, pytest.approx(tried[:3]))
    more, longer = tune("more", 8, 8)
    assert more == 2
    assert longer[:6] == pytest.approx(tried)
    # Another kernel is, and everything where a fresh start is asked for.
    assert tune("wider", 12, 6)[0] == first
    assert tune("fresh", 8, 6, known=False)[0] == first
