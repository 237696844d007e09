"""Teaches TVM's ONNX importer the operator that stands for all steps of a recurrent layer."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np

from roofline.validate.onnx_rewrite.recurrence import STEPS, Recurrence
from roofline.validate.tvm.recurrent_kernels import packed_shape, recurrent_steps


@contextmanager
def recurrent_layers() -> Generator[None]:
    """Let TVM's importer know the operator while a model is read."""
    frontend: Any = importlib.import_module("tvm.relax.frontend.onnx.onnx_frontend")
    known = frontend._get_convert_map

    class Steps(frontend.OnnxOpConverter):  # pyright: ignore[reportUntypedBaseClass]
        """Puts the kernel of the layer in the operator's place."""

        @classmethod
        def _impl_v1(cls, builder: Any, inputs: Any, attributes: Any, _: Any) -> Any:
            return _steps(builder, list(inputs), attributes["layer"])

    frontend._get_convert_map = lambda: {**known(), STEPS: Steps}
    try:
        yield
    finally:
        frontend._get_convert_map = known


def _steps(builder: Any, inputs: list[Any], text: str | bytes) -> Any:
    relax: Any = importlib.import_module("tvm.relax")
    layer = Recurrence.from_text(text.decode() if isinstance(text, bytes) else text)
    blocks, depth, lanes = packed_shape(layer)
    weights = inputs[1].value.numpy().reshape(depth, blocks, lanes).transpose(1, 0, 2)
    operands = [inputs[0], relax.const(np.ascontiguousarray(weights)), *inputs[2:]]
    variable = builder.add_func(recurrent_steps(layer), "recurrent_steps")
    results = [
        relax.TensorType(shape, layer.dtype)
        for shape in (
            (layer.steps, layer.batch, layer.hidden),
            *[(layer.batch, layer.hidden)] * 2,
        )
    ]
    return relax.call_tir(variable, operands, results)
