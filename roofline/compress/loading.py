"""Whether a written model is one that a runtime takes, before its file is called done."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

from roofline.compress.tensors import every_tensor, has_data
from roofline.errors import CompressionError
from roofline.surfaces import DATATYPE

if TYPE_CHECKING:
    import onnx


_MOST_BYTES = (1 << 31) - 1
"""The largest message that protobuf writes."""


def check_loads(written: bytes, source: onnx.ModelProto) -> str:
    """Load a written model in ONNX Runtime; where that cannot tell, let onnx.checker look at it.

    Args:
        written: The file's content.
        source: The network it was made of. Where this does not load itself (an operator of a foreign domain), only
            the format is checked; where its weights are absent, zeros stand in their place.

    Returns:
        What is to be said about the check: empty when the model loaded.

    Raises:
        CompressionError: The model does not load, or breaks a rule of the format.
    """
    own_bytes, remark = _bytes(source), ""
    if not all(map(has_data, every_tensor(source))):
        # Whatever the weights are, the graph around them loads or does not.
        written, own_bytes = _with_zeros(written), _with_zeros(own_bytes)
        remark = "the network's weights are absent, so it was loaded with zeros in their place"
        if not (written and own_bytes):
            return "neither loaded nor checked, for its weights are absent, and larger than one file may be"
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError:
        return _check_format(written, own_bytes, "ONNX Runtime is not installed")
    refused = _refusal(runtime, written)
    if not refused:
        return remark
    own = _refusal(runtime, own_bytes)
    if not own:
        raise CompressionError(
            f"the compressed network does not load in ONNX Runtime, so no file is written: {refused}",
            repair=f"Keep the layer it names with {DATATYPE.at('LAYER=fp32')}, or choose another datatype",
        )
    return _check_format(
        written, own_bytes, f"the network itself does not load in ONNX Runtime ({own})"
    )


def _refusal(runtime: Any, content: bytes) -> str:
    """Return why ONNX Runtime does not load a model, in one line; empty when it does, or cannot be asked."""
    settings: Any = runtime.SessionOptions()
    settings.log_severity_level = 4
    try:
        if content:
            runtime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        # The runtime raises classes of its own, which have no common base.
        return (str(error).splitlines() or [type(error).__name__])[0].rpartition(" : ")[2]
    return ""


def _check_format(written: bytes, source: bytes, why: str) -> str:
    """Check the format alone, and return that it was; what the source breaks too is no fault of the writing."""
    breach = _breach(written)
    own = _breach(source) if breach else ""
    if breach and not own:
        raise CompressionError(
            f"the compressed network breaks a rule of ONNX, so no file is written: {breach}"
        )
    if breach:
        return (
            f"neither loaded nor checked, for {why}, and onnx.checker refuses it as well ({own})"
        )
    return f"not loaded, for {why}: the file was checked by onnx.checker alone"


def _breach(content: bytes) -> str:
    """Return the rule of ONNX's format that a model breaks, in one line; empty when it breaks none."""
    from onnx import checker

    try:
        checker.check_model(content)  # pyright: ignore[reportUnknownMemberType]
    except (checker.ValidationError, ValueError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return ""


def _bytes(source: onnx.ModelProto) -> bytes:
    """Return a model as bytes; none for more than the two gigabytes that one message holds."""
    try:
        return source.SerializeToString()
    except ValueError:
        return b""


def _with_zeros(content: bytes) -> bytes:
    """Return a model with zeros in place of elements that are not at hand; empty where it grew too large."""
    import numpy as np
    import onnx

    model = onnx.ModelProto.FromString(content)
    lacking = [tensor for tensor in every_tensor(model) if not has_data(tensor)]
    sizes = [math.prod(tensor.dims) for tensor in lacking]
    # Eight bytes are the most that an element takes.
    if 8 * sum(sizes) + len(content) > _MOST_BYTES:
        return b""
    for tensor, size in zip(lacking, sizes, strict=True):
        if tensor.data_type == onnx.TensorProto.STRING:
            tensor.string_data.extend([b""] * size)
            continue
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        zeros = onnx.numpy_helper.from_array(np.zeros(tuple(tensor.dims), kind))
        tensor.raw_data = zeros.raw_data
    return model.SerializeToString()
