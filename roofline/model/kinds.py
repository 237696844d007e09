"""The kind of work a layer is, and its shape: what decides which share of a machine's speed it reaches.

A layer of a network and a microbenchmark of a machine are named by the same function, so that they meet.
"""

from __future__ import annotations

from roofline.layer import Layer
from roofline.model import _product_rules, _spectral_rules, _streaming_rules
from roofline.model._layer_shapes import WorkShape, largest, text_attribute
from roofline.model._streaming_rules import moving_work
from roofline.model.work import Work
from roofline.ops import Kind

_RULES = {**_product_rules.RULES, **_spectral_rules.RULES, **_streaming_rules.RULES}
_UNROLLED = (
    "conv.one_dimensional",
    "conv.unrolled",
    "conv.unpacked",
    "conv.restored",
    "conv.grouped_unaligned",
    "conv.depthwise_unaligned",
)
"""Kinds that unroll the patches of their operand."""
_READ_AGAIN = ("matmul.vector", "matmul.narrow")
"""Products of so few rows that their time is that in which their weights arrive."""


def works(layer: Layer) -> Work | None:
    """Return the work of an executed operator, or None where nothing is computed or moved.

    Args:
        layer: One executed node (`Workload.layers`).
    """
    # What depends on no input is computed once, before the first run.
    if layer.kind in (Kind.VIEW, Kind.CONTROL) or not layer.inputs:
        return None
    rule = _RULES.get(layer.op_type)
    shape = (rule(layer) if rule is not None else None) or _general(layer)
    weight_bytes = _weight_bytes(layer, shape)
    held = _held_bytes(layer, shape, weight_bytes)
    again = held * _directions(layer) * max(shape.at[2] - 1, 0) if held else 0
    if shape.kind.startswith(_READ_AGAIN) and layer.repeats > 1:
        # Every trip of a loop goes through the weights.
        held, again = weight_bytes, weight_bytes * (layer.repeats - 1)
    return Work(
        kind=shape.kind,
        at=tuple(max(float(value), 1.0) for value in shape.at),
        ops=float(layer.cost.ops),
        datatype="int8" if ".int8" in shape.kind else layer.datatype or "fp32",
        bytes=_passed_bytes(layer, shape),
        weight_bytes=weight_bytes,
        repeats=layer.repeats,
        channels=shape.channels,
        inside=shape.inside,
        patch_bytes=_patch_elements(shape) * 8 * layer.repeats,
        reread_bytes=round(again),
        held_bytes=held,
    )


def _passed_bytes(layer: Layer, shape: WorkShape) -> int:
    """Return the bytes of operands and results; of a cubic enlargement, of results read and written.

    Each of its results reads sixteen values, however few or many there are. Indices by which values are scattered are
    left out, for a network computes them or stores them.
    """
    if shape.kind == "move.Resize.cubic":
        return 2 * layer.output_bytes
    if shape.kind.startswith("scattering"):
        data, updates = layer.inputs[0], layer.inputs[-1]
        return (data.bytes or 0) + (updates.bytes or 0) + layer.output_bytes
    return layer.input_bytes + layer.output_bytes + layer.cache_bytes


def _weight_bytes(layer: Layer, shape: WorkShape) -> int:
    """Return the bytes of weights that a layer reads, those of a recurrent one by what each step multiplies."""
    if shape.kind.startswith(_READ_AGAIN) and not layer.weights:
        first = layer.outputs[0].dtype if layer.outputs else None
        each = (32 if first is None else first.bits) / 8
        return round(layer.cost.macs / max(shape.at[0] * layer.repeats, 1) * each)
    if shape.kind.startswith("scattering"):
        return 0
    if not shape.kind.startswith("rnn") or not layer.cost.weights:
        return layer.weight_bytes
    multiplied = layer.cost.macs / max(shape.at[2] * shape.at[3] * layer.repeats, 1)
    each = layer.weight_bytes / layer.cost.weights
    return max(layer.weight_bytes, round(multiplied * each))


def _held_bytes(layer: Layer, shape: WorkShape, weight_bytes: int) -> int:
    """Return the bytes of weights between the states of a recurrent layer, of one direction."""
    if not shape.kind.startswith("rnn"):
        return 0
    width, hidden, _, _ = shape.at
    return round(weight_bytes * hidden / (width + hidden) / _directions(layer))


def _directions(layer: Layer) -> int:
    return 2 if text_attribute(layer, "direction") == "bidirectional" else 1


def _general(layer: Layer) -> WorkShape:
    if layer.kind is Kind.MOVE:
        return moving_work(layer)
    return WorkShape(f"other.{layer.op_type}", (largest(layer),))


def _patch_elements(shape: WorkShape) -> int:
    """Return the elements of the patches that are unrolled; each is written once and read once."""
    if not shape.kind.startswith(_UNROLLED) or shape.at[3] == 1:
        return 0
    return int(shape.at[0] * shape.at[2] * shape.at[3] * shape.at[4])
