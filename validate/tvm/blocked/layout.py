"""Keeps images in blocks of channels from layer to layer, and rewrites the layers to kernels for blocks."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from roofline.node import Array
from roofline.validate.tvm.blocked import kernels as blocks
from roofline.validate.tvm.blocked import layout_integer as integers
from roofline.validate.tvm.calls import operator_name
from roofline.validate.tvm.convolution import Convolution, conv2d_numbers

_UNARY = frozenset(
    {"relax.nn.relu", "relax.nn.leakyrelu", "relax.clip", "relax.sigmoid", "relax.tanh", "relax.nn.silu",
     "relax.nn.gelu", "relax.nn.gelu_tanh", "relax.abs", "relax.negative", "relax.exp", "relax.erf", "relax.square",
     "relax.astype"}
)  # fmt: skip
_QUANTIZING = frozenset({"relax.quantize", "relax.dequantize"})
_INTEGERS = frozenset({"int8", "uint8"})
_BINARY = frozenset(
    {"relax.add", "relax.subtract", "relax.multiply", "relax.divide", "relax.maximum", "relax.minimum"}
)  # fmt: skip
_POOLS = {"relax.nn.max_pool2d": "max", "relax.nn.avg_pool2d": "avg"}


@dataclass(frozen=True, slots=True)
class _PackedImage:
    """An image in blocks."""

    expression: Any
    channels: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame around an image of integers, put there by the convolution that reads it."""

    call: Any
    source: Any
    padding: tuple[int, int, int, int]
    """Top, left, bottom, right."""
    fill: int


def use_blocks(
    module: Any,
    target: Any,
    lanes: int,
    wanted: Callable[[Convolution], bool] | None = None,
    *,
    vnni: bool = False,
) -> tuple[Any, dict[str, int]]:
    """Rewrite convolutions, pooling and what lies between them to images in blocks of channels.

    Layers without such a form (reshapes, softmax, convolutions with weights that are no constants) get their inputs
    in the layout they know.

    Args:
        module: A Relax module before legalization, with constants folded.
        target: The TVM target.
        lanes: Channels in a block.
        wanted: Tells whether a convolution is to be rewritten; None is all of them.
        vnni: Whether the target multiplies 8-bit integers four at a time (AVX-512 VNNI).

    Returns:
        The module, and how many convolutions and matrix products are ``blocked``, and how many ``direct``.
    """
    tvm: Any = importlib.import_module("tvm")
    relax: Any = importlib.import_module("tvm.relax")
    main = module["main"]
    if len(main.body.blocks) != 1 or not isinstance(main.body.blocks[0], relax.DataflowBlock):
        return module, {}
    others = {name: made for name, made in module.functions_items() if name.name_hint != "main"}
    builder = relax.BlockBuilder(tvm.IRModule(others))
    rewriter = _Rewriter(relax, builder, lanes, wanted, vnni)
    result = main.body.body
    with (
        target,
        builder.function(
            "main", list(main.params), attrs=None if main.attrs is None else dict(main.attrs)
        ),
    ):
        with builder.dataflow():
            for binding in main.body.blocks[0].bindings:
                rewriter.bind(binding)
            output = builder.emit_output(rewriter.restore(result))
        builder.emit_func_output(output)
    return builder.finalize(), dict(rewriter.used)


class _Rewriter:
    """Rewrites one binding after the other; every value is known plain, in blocks, or both."""

    def __init__(
        self,
        relax: Any,
        builder: Any,
        lanes: int,
        wanted: Callable[[Convolution], bool] | None,
        vnni: bool,
    ) -> None:
        self._integers = vnni
        self._wanted = wanted
        self._relax = relax
        self._builder = builder
        self._lanes = lanes
        self._plain: dict[Any, Any] = {}
        self._packed: dict[Any, _PackedImage] = {}
        self._frames: dict[Any, _Frame] = {}
        self.used: Counter[str] = Counter()

    def bind(self, binding: Any) -> None:
        """Rewrite one binding of the old function."""
        value, variable = self._limit(binding.value), binding.var
        if isinstance(value, self._relax.Call):
            frame = self._frame(value)
            if frame is not None:
                self._frames[variable] = frame
                return
            packed = self._in_blocks(value)
            if packed is not None:
                emitted = self._builder.emit(packed.expression)
                self._packed[variable] = _PackedImage(emitted, packed.channels)
                return
            product = self._product(value)
            if product is not None:
                self._plain[variable] = self._builder.emit(product)
                return
        self._plain[variable] = self._builder.emit(self._renew(value))

    def _limit(self, value: Any) -> Any:
        """Return a limit of Clip, which TVM imports as a kernel of its own, as the operator that it is."""
        relax = self._relax
        if operator_name(value) != "relax.call_tir":
            return value
        name = str(value.args[0].name_hint).rstrip("0123456789")
        operands = list(value.args[1].fields) if isinstance(value.args[1], relax.Tuple) else []
        made = {"maximum": relax.op.maximum, "minimum": relax.op.minimum}.get(name)
        if made is None or len(operands) != 2 or len(value.args) > 2:
            return value
        return self._builder.normalize(made(*operands))

    def restore(self, expression: Any) -> Any:
        """Return an old expression's value in the layout that it had."""
        relax = self._relax
        if isinstance(expression, relax.Tuple):
            return relax.Tuple([self.restore(field) for field in expression.fields])
        if not isinstance(expression, relax.Var):
            return expression
        if expression not in self._plain and expression in self._packed:
            image = self._packed[expression]
            self._plain[expression] = self._builder.emit_te(
                blocks.unpack(image.channels), image.expression, primfunc_name_hint="unpack"
            )
        if expression not in self._plain and expression in self._frames:
            renewed = self._renew(self._frames[expression].call)
            self._plain[expression] = self._builder.emit(renewed)
        return self._plain.get(expression, expression)

    def _renew(self, value: Any) -> Any:
        relax = self._relax
        if isinstance(value, relax.Call):
            arguments = [self.restore(argument) for argument in value.args]
            types = getattr(value, "ty_args", None)
            return relax.Call(value.op, arguments, value.attrs, types)
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self.restore(value.tuple_value), value.index)
        return self.restore(value)

    def _in_blocks(self, call: Any) -> _PackedImage | None:
        name = getattr(call.op, "name", "")
        conv = conv2d_numbers(call)
        if conv is not None:
            taken = self._wanted is None or self._wanted(conv)
            made = self._convolution(call, conv) if taken else None
            self.used["direct" if made is None else "blocked"] += 1
            return made
        if name in _UNARY and self._is_packed(call.args[0]):
            image = self._packed[call.args[0]]
            expression = self._relax.Call(call.op, [image.expression, *call.args[1:]], call.attrs)
            return _PackedImage(expression, image.channels)
        if name in _QUANTIZING and self._is_packed(call.args[0]):
            image = self._packed[call.args[0]]
            settings = [_constant(argument) for argument in call.args[1:]]
            if any(setting is None or setting.size != 1 for setting in settings):
                return None
            operands = [image.expression, *call.args[1:]]
            return _PackedImage(self._relax.Call(call.op, operands, call.attrs), image.channels)
        if name in _BINARY:
            return self._binary(call)
        if name in _POOLS:
            return self._pool(call, _POOLS[name])
        if name == "relax.mean":
            return self._mean(call)
        if name == "relax.concat":
            return self._concatenation(call)
        return None

    def _is_packed(self, expression: Any) -> bool:
        return isinstance(expression, self._relax.Var) and expression in self._packed

    def _image(self, expression: Any, channels: int, step: int = 1) -> Any:
        """Return an operand in blocks, packing it when it is not."""
        if self._is_packed(expression):
            return self._packed[expression].expression
        packed = self._builder.emit_te(
            blocks.pack(channels, self._lanes, step),
            self.restore(expression),
            primfunc_name_hint="pack",
        )
        if channels >= self._lanes and isinstance(expression, self._relax.Var):
            self._packed[expression] = _PackedImage(packed, channels)
        return packed

    def _convolution(self, call: Any, conv: Convolution) -> _PackedImage | None:
        weights = _constant(call.args[1])
        lanes = self._lanes
        if weights is None:
            return None
        alone = conv.groups > 1 and conv.groups == conv.channels == conv.filters
        if conv.dtype in _INTEGERS and self._integers and weights.dtype == np.int8:
            return self._integer_convolution(call, conv, weights, alone=alone)
        if conv.dtype != "float32" or str(call.ty.dtype) != "float32":
            return None
        whole = conv.groups == 1 or not (
            conv.channels // conv.groups % lanes or conv.filters // conv.groups % lanes
        )
        if alone and conv.channels >= lanes:
            made, hint = blocks.depthwise(conv), blocks.DEPTHWISE
        elif whole:
            made, hint = blocks.convolution(conv), blocks.CONVOLUTION
        else:
            return None
        image = self._image(call.args[0], conv.channels)
        constant = self._relax.const(blocks.packed_weights(weights, conv.groups, lanes))
        expression = self._builder.call_te(made, image, constant, primfunc_name_hint=hint)
        return _PackedImage(expression, conv.filters)

    def _integer_convolution(
        self, call: Any, conv: Convolution, weights: Array, *, alone: bool
    ) -> _PackedImage | None:
        lanes, source, fill = self._lanes, call.args[0], 0
        if source in self._frames and not any(conv.padding):
            frame = self._frames[source]
            top, left, bottom, right = frame.padding
            source, fill = frame.source, frame.fill
            conv = replace(
                conv,
                height=conv.height - top - bottom,
                width=conv.width - left - right,
                padding=frame.padding,
            )
        if alone and conv.channels >= lanes:
            image = self._image(source, conv.channels)
            constant = self._relax.const(blocks.packed_weights(weights, conv.groups, lanes))
            made = blocks.depthwise(conv, fill)
            hint = blocks.DEPTHWISE
            expression = self._builder.call_te(made, image, constant, primfunc_name_hint=hint)
            return _PackedImage(expression, conv.filters)
        if conv.groups > 1:
            return None
        image = self._image(source, conv.channels, blocks.STEP)
        total = integers.convolution(self._builder, image, weights, conv, fill, lanes)
        return _PackedImage(total, conv.filters)

    def _frame(self, call: Any) -> _Frame | None:
        if getattr(call.op, "name", "") != "relax.nn.pad" or not self._integers:
            return None
        widths = [int(width) for width in call.attrs.pad_width]
        constant = str(call.attrs.pad_mode) == "constant"
        if len(widths) != 8 or any(widths[:4]) or not constant:
            return None
        if str(call.ty.dtype) not in _INTEGERS:
            return None
        top, bottom, left, right = widths[4:]
        padding = (top, left, bottom, right)
        return _Frame(call, call.args[0], padding, int(call.attrs.pad_value))

    def _binary(self, call: Any) -> _PackedImage | None:
        images = [self._packed[argument] for argument in call.args if self._is_packed(argument)]
        if not images:
            return None
        shape = [int(size) for size in call.ty.shape]
        channels = images[0].channels
        if len(shape) != 4 or shape[1] != channels:
            return None
        divides = call.op.name == "relax.divide"
        operands: list[Any] = []
        for place, argument in enumerate(call.args):
            # Beyond the last channel anything may stand but what is no number: weights there are zero.
            fill = 1.0 if divides and place == 1 else 0.0
            operand = self._operand(argument, channels, fill)
            if operand is None or (divides and place == 1 and self._is_packed(argument)):
                return None
            operands.append(operand)
        return _PackedImage(self._relax.Call(call.op, operands, call.attrs), channels)

    def _operand(self, argument: Any, channels: int, fill: float) -> Any:
        if self._is_packed(argument):
            image = self._packed[argument]
            return image.expression if image.channels == channels else None
        constant = _constant(argument)
        if constant is None:
            sizes = [int(size) for size in argument.ty.shape]
            if len(sizes) != 4 or sizes[1] != channels:
                return None
            return self._image(argument, channels)
        if constant.size == 1:
            return self._relax.const(constant.reshape(()))
        sizes = (1,) * (4 - constant.ndim) + constant.shape
        if sizes != (1, channels, 1, 1):
            return None
        values = blocks.channel_constant(constant.reshape(-1), self._lanes, fill)
        return self._relax.const(values)

    def _pool(self, call: Any, kind: str) -> _PackedImage | None:
        if not self._is_packed(call.args[0]) or call.attrs.layout != "NCHW":
            return None
        image = self._packed[call.args[0]]
        made = blocks.pooling_function(kind, call.attrs, self._lanes)
        hint = f"{kind}_pool2d"
        expression = self._builder.call_te(made, image.expression, primfunc_name_hint=hint)
        return _PackedImage(expression, image.channels)

    def _mean(self, call: Any) -> _PackedImage | None:
        axes = [int(axis) for axis in call.attrs.axis or ()]
        if not self._is_packed(call.args[0]) or axes not in ([2, 3], [-2, -1]):
            return None
        if not call.attrs.keepdims:
            return None
        image = self._packed[call.args[0]]
        expression = self._builder.call_te(
            blocks.mean(), image.expression, primfunc_name_hint="mean"
        )
        return _PackedImage(expression, image.channels)

    def _concatenation(self, call: Any) -> _PackedImage | None:
        parts = call.args[0].fields if isinstance(call.args[0], self._relax.Tuple) else ()
        if call.attrs.axis is None or int(call.attrs.axis) != 1 or not parts:
            return None
        images = [self._packed.get(part) for part in parts if isinstance(part, self._relax.Var)]
        known = [image for image in images if image is not None]
        if len(known) != len(parts) or any(i.channels % self._lanes for i in known[:-1]):
            return None
        joined = self._relax.op.concat([image.expression for image in known], axis=1)
        return _PackedImage(joined, sum(image.channels for image in known))

    def _product(self, call: Any) -> Any:
        """Return a matrix product with constant weights as one with packed weights, or None."""
        relax = self._relax
        if getattr(call.op, "name", "") != "relax.matmul":
            return None
        weights = _constant(call.args[1])
        shape = [int(size) for size in call.args[0].ty.shape]
        dtype = str(call.args[0].ty.dtype)
        if weights is None or weights.ndim != 2 or len(shape) < 2:
            return None
        if dtype in _INTEGERS:
            made = None
            if self._integers and integers.can_multiply(call, weights):
                rows = self.restore(call.args[0])
                made = integers.product(self._builder, rows, weights, dtype, self._lanes)
            self.used["direct" if made is None else "blocked"] += 1
            return made
        if dtype != "float32":
            return None
        lanes = next(
            (size for size in range(self._lanes, 1, -1) if weights.shape[1] % size == 0), 1
        )
        if lanes < min(4, weights.shape[1]):
            self.used["direct"] += 1
            return None
        self.used["blocked"] += 1
        rows = int(np.prod(shape[:-1]))
        flat = self.restore(call.args[0])
        if len(shape) > 2:
            flat = self._builder.emit(relax.op.reshape(flat, (rows, shape[-1])))
        constant = relax.const(blocks.packed_matrix(weights, lanes))
        product = self._builder.call_te(
            blocks.matrix_product(), flat, constant, primfunc_name_hint=blocks.GEMM
        )
        if len(shape) == 2:
            return product
        return relax.op.reshape(self._builder.emit(product), (*shape[:-1], weights.shape[1]))


def _constant(expression: Any) -> Array | None:
    value = getattr(expression, "data", None) or getattr(expression, "value", None)
    return None if value is None or not hasattr(value, "numpy") else value.numpy()
