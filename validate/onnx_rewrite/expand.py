"""Rewrites an ONNX model into operators that TVM's importer knows, computing exactly the same.

Functions are inlined, those by which ONNX defines its own operators too; recurrent layers and loops are written out
step by step; branches with a known condition are taken; quantized operators get forms that TVM computes. The result is
a plain model that any runtime can run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from roofline.graph.reading.graphs import copy_of, replace_calls
from roofline.graph.reading.reads import reads
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.attention import group_query
from roofline.validate.onnx_rewrite.control import take_branch, unroll_loop, unroll_scan
from roofline.validate.onnx_rewrite.quantized import QUANTIZED
from roofline.validate.onnx_rewrite.recurrent import shorten
from roofline.validate.onnx_rewrite.reversal import reverse
from roofline.validate.onnx_rewrite.scope import Scope

_OLDEST = 13
"""Operator set that the rewritten calls are written in."""
_DEPTH = 24
"""Rounds of rewriting: one for every level of nesting."""

_REWRITERS: Mapping[str, Callable[[Scope, Any], bool]] = {
    **dict.fromkeys(("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"), shorten),
    "If": take_branch,
    "Loop": unroll_loop,
    "Scan": unroll_scan,
    "GroupQueryAttention": group_query,
    "ReverseSequence": reverse,
    **QUANTIZED,
}
_CONTRIBUTED = frozenset(
    {"DynamicQuantizeLSTM", "GroupQueryAttention", "MatMulNBits", "QGemm"}
) | {name for name in QUANTIZED if name.startswith("QLinear")}
"""Operators of ONNX Runtime's own domain among them."""

_DEFINED = (
    "Attention", "BlackmanWindow", "CausalConvWithState", "Celu", "CenterCropPad", "HammingWindow", "HannWindow",
    "LinearAttention", "NegativeLogLikelihoodLoss", "RMSNormalization", "RotaryEmbedding", "SequenceMap",
    "SoftmaxCrossEntropyLoss", "SwiGLU", "Swish",
)  # fmt: skip
"""Operators the importer lacks or misreads, which ONNX defines as functions of others."""


def expand(model: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a model without operators that TVM cannot import, as far as they can be rewritten.

    Args:
        model: An ``onnx.ModelProto`` with weights and fixed shapes; it may be changed.

    Returns:
        The model, and what was done, for the record.

    Raises:
        UnsupportedModelError: A loop is too long or its steps are unknown, a recurrent layer has features that
            cannot be written out, or shapes are not known before the run.
    """
    done: Counter[str] = Counter()
    model = _inline(model, done)
    if not any(_rewriter(node) for node in model.graph.node):
        return model, _notes(done)
    model = _modern(model)
    for _ in range(_DEPTH):
        changed = _round(model, done)
        if any(_is_defined(node) for node in model.graph.node):
            model = _inline(model, done)
        if not changed:
            break
    return model, _notes(done)


def settle_shapes(model: Any) -> Any | None:
    """Return a model whose shapes are numbers as far as constants and other shapes decide them.

    It is brought to the operator set that such numbers are written in, where it is of an older one.

    Args:
        model: An ``onnx.ModelProto`` with weights and fixed shapes of its inputs; it may be changed.

    Returns:
        The model, or None where there was nothing to do.

    Raises:
        UnsupportedModelError: The operator set cannot be brought up.
    """
    newer = _modern(model)
    scope = Scope(newer)
    kept = [node for node in newer.graph.node if not _fold(scope, newer, node)]
    changed = newer is not model or len(kept) < len(newer.graph.node)
    _replace(newer.graph, kept)
    return newer if changed else None


def _round(model: Any, done: Counter[str]) -> bool:
    """Rewrite the calls at the top level; return whether there was anything to do."""
    scope = Scope(model)
    changed = False
    for node in model.graph.node:
        if _fold(scope, model, node):
            changed = True
            continue
        rewriter = _rewriter(node)
        before = len(scope.nodes)
        if rewriter is not None and rewriter(scope, node):
            done[node.op_type] += 1
            changed = True
        else:
            del scope.nodes[before:]
            scope.nodes.append(node)
    _replace(model.graph, scope.nodes)
    return changed


def _rewriter(node: Any) -> Callable[[Scope, Any], bool] | None:
    if node.domain not in {"", "ai.onnx"} and node.op_type not in _CONTRIBUTED:
        return None
    return _REWRITERS.get(node.op_type)


def _fold(scope: Scope, model: Any, node: Any) -> bool:
    """Store the results of a call that shapes and constants alone decide."""
    if node.op_type == "Constant" or not node.output or _is_shown(model, node):
        return False
    values = [scope.find_value(name) for name in node.output if name]
    if any(value is None for value in values):
        return False
    for name, value in zip((name for name in node.output if name), values, strict=True):
        if value is not None:
            scope.store(value, name)
    return True


def _is_shown(model: Any, node: Any) -> bool:
    return any(entry.name in node.output for entry in model.graph.output)


def _replace(graph: Any, nodes: list[Any]) -> None:
    """Give a graph other calls, without those that nobody needs, and without recorded shapes of what is gone."""
    needed = {entry.name for entry in graph.output}
    kept: list[Any] = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(reads(node))
    stored = [tensor for tensor in graph.initializer if tensor.name in needed]
    replace_calls(graph, [copy_of(node) for node in reversed(kept)])
    if len(stored) < len(graph.initializer):
        tensors: list[Any] = [copy_of(tensor) for tensor in stored]
        del graph.initializer[:]
        graph.initializer.extend(tensors)
    del graph.value_info[:]


def _inline(model: Any, done: Counter[str]) -> Any:
    from onnx import inliner

    if model.functions:
        done["model function"] += len(model.functions)
        model = inliner.inline_local_functions(model)
    defined = [node.op_type for node in model.graph.node if _is_defined(node)]
    if not defined:
        return model
    done.update(defined)
    named = [("", name) for name in sorted(set(defined))]
    _type_stored(model.graph)
    try:
        return inliner.inline_selected_functions(model, named, inline_schema_functions=True)
    except RuntimeError as error:
        raise UnsupportedModelError(
            f"ONNX's definition of {', '.join(name for _, name in named)} does not fit the model: {error}"
        ) from error


def _type_stored(graph: Any) -> None:
    """Record the types of stored tensors: some definitions depend on their operands' types."""
    from onnx import helper

    known = {entry.name for entry in (*graph.input, *graph.value_info)}
    graph.value_info.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in graph.initializer
        if tensor.name not in known
    )


def _is_defined(node: Any) -> bool:
    if node.domain not in {"", "ai.onnx"}:
        return False
    more = node.op_type == "LayerNormalization" and any(node.output[1:])
    return node.op_type in _DEFINED or more


def _modern(model: Any) -> Any:
    from onnx import version_converter

    version = next((entry.version for entry in model.opset_import if not entry.domain), 1)
    if version >= _OLDEST:
        return model
    try:
        return version_converter.convert_version(model, _OLDEST)
    except Exception as error:
        raise UnsupportedModelError(
            f"the model's operator set {version} cannot be brought to {_OLDEST}, which rewriting needs"
        ) from error


def _notes(done: Counter[str]) -> tuple[str, ...]:
    if not done:
        return ()
    return ("rewritten: " + ", ".join(f"{count} {name}" for name, count in sorted(done.items())),)
