"""Keeps images in blocks of channels from layer to layer, and rewrites the layers to kernels for blocks."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from roofline.node import Array
from roofline.validate import _tvm_blocks as blocks
from roofline.validate._tvm_algorithms import Convolution, conv2d_numbers

_UNARY = frozenset(
    {"relax.nn.relu", "relax.nn.leakyrelu", "relax.clip", "relax.sigmoid", "relax.tanh", "relax.nn.silu",
     "relax.nn.gelu", "relax.nn.gelu_tanh", "relax.abs", "relax.negative", "relax.exp", "relax.erf", "relax.square"}
)  # fmt: skip
_BINARY = frozenset(
    {"relax.add", "relax.subtract", "relax.multiply", "relax.divide", "relax.maximum", "relax.minimum"}
)  # fmt: skip
_POOLS = {"relax.nn.max_pool2d": "max", "relax.nn.avg_pool2d": "avg"}


@dataclass(frozen=True, slots=True)
class _Packed:
    """An image in blocks."""

    expression: Any
    channels: int


@dataclass(slots=True)
class Used:
    """How many layers became kernels on blocks, by kind, and how many did not."""

    counts: dict[str, int]

    def add(self, kind: str) -> None:
        """Count one more."""
        self.counts[kind] = self.counts.get(kind, 0) + 1


def block_lanes(features: Callable[[str], bool]) -> int:
    """Return the fp32 elements of the widest vector register.

    Args:
        features: Tells whether the target has an instruction set.
    """
    if features("avx512f"):
        return 16
    return 8 if features("avx2") else 4


def use_blocks(
    module: Any,
    target: Any,
    lanes: int,
    wanted: Callable[[Convolution], bool] | None = None,
) -> tuple[Any, dict[str, int]]:
    """Rewrite convolutions, pooling and what lies between them to images in blocks of channels.

    Layers without such a form (reshapes, softmax, convolutions with weights that are no constants) get their inputs
    in the layout they know.

    Args:
        module: A Relax module before legalization, with constants folded.
        target: The TVM target.
        lanes: Channels in a block.
        wanted: Tells whether a convolution is to be rewritten; None is all of them.

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
    rewriter = _Rewriter(relax, builder, lanes, wanted)
    result = main.body.body
    with target, builder.function("main", list(main.params), attrs=_attributes(main)):
        with builder.dataflow():
            for binding in main.body.blocks[0].bindings:
                rewriter.bind(binding)
            output = builder.emit_output(rewriter.plain(result))
        builder.emit_func_output(output)
    return builder.finalize(), rewriter.used.counts


def _attributes(function: Any) -> Any:
    return dict(function.attrs) if function.attrs is not None else None


class _Rewriter:
    """Rewrites one binding after the other; every value is known plain, in blocks, or both."""

    def __init__(
        self,
        relax: Any,
        builder: Any,
        lanes: int,
        wanted: Callable[[Convolution], bool] | None,
    ) -> None:
        self._wanted = wanted
        self._relax = relax
        self._builder = builder
        self._lanes = lanes
        self._plain: dict[Any, Any] = {}
        self._packed: dict[Any, _Packed] = {}
        self.used = Used({})

    def bind(self, binding: Any) -> None:
        """Rewrite one binding of the old function."""
        value, variable = self._limit(binding.value), binding.var
        if isinstance(value, self._relax.Call):
            packed = self._in_blocks(value)
            if packed is not None:
                emitted = self._builder.emit(packed.expression)
                self._packed[variable] = _Packed(emitted, packed.channels)
                return
            product = self._product(value)
            if product is not None:
                self._plain[variable] = self._builder.emit(product)
                return
        self._plain[variable] = self._builder.emit(self._renewed(value))

    def _limit(self, value: Any) -> Any:
        """Return a limit of Clip, which TVM imports as a kernel of its own, as the operator that it is."""
        relax = self._relax
        if getattr(getattr(value, "op", None), "name", "") != "relax.call_tir":
            return value
        name = str(value.args[0].name_hint).rstrip("0123456789")
        operands = list(value.args[1].fields) if isinstance(value.args[1], relax.Tuple) else []
        made = {"maximum": relax.op.maximum, "minimum": relax.op.minimum}.get(name)
        if made is None or len(operands) != 2 or len(value.args) > 2:
            return value
        return self._builder.normalize(made(*operands))

    def plain(self, expression: Any) -> Any:
        """Return an old expression's value in the layout that it had."""
        relax = self._relax
        if isinstance(expression, relax.Tuple):
            return relax.Tuple([self.plain(field) for field in expression.fields])
        if not isinstance(expression, relax.Var):
            return expression
        if expression not in self._plain and expression in self._packed:
            image = self._packed[expression]
            self._plain[expression] = self._builder.emit_te(
                blocks.unpack(image.channels), image.expression, primfunc_name_hint="unpack"
            )
        return self._plain.get(expression, expression)

    def _renewed(self, value: Any) -> Any:
        relax = self._relax
        if isinstance(value, relax.Call):
            arguments = [self.plain(argument) for argument in value.args]
            types = getattr(value, "ty_args", None)
            return relax.Call(value.op, arguments, value.attrs, types)
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self.plain(value.tuple_value), value.index)
        return self.plain(value)

    def _in_blocks(self, call: Any) -> _Packed | None:
        name = getattr(call.op, "name", "")
        conv = conv2d_numbers(call)
        if conv is not None:
            taken = self._wanted is None or self._wanted(conv)
            made = self._convolution(call, conv) if taken else None
            self.used.add("direct" if made is None else "blocked")
            return made
        if name in _UNARY and self._is_packed(call.args[0]):
            image = self._packed[call.args[0]]
            expression = self._relax.Call(call.op, [image.expression, *call.args[1:]], call.attrs)
            return _Packed(expression, image.channels)
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

    def _image(self, expression: Any, channels: int) -> Any:
        """Return an operand in blocks, packing it when it is not."""
        if self._is_packed(expression):
            return self._packed[expression].expression
        packed = self._builder.emit_te(
            blocks.pack(channels, self._lanes), self.plain(expression), primfunc_name_hint="pack"
        )
        if channels >= self._lanes and isinstance(expression, self._relax.Var):
            self._packed[expression] = _Packed(packed, channels)
        return packed

    def _convolution(self, call: Any, conv: Convolution) -> _Packed | None:
        weights = _constant(call.args[1])
        lanes = self._lanes
        if weights is None or conv.dtype != "float32" or str(call.ty.dtype) != "float32":
            return None
        alone = conv.groups == conv.channels == conv.filters
        whole = conv.groups == 1 or not (
            conv.channels // conv.groups % lanes or conv.filters // conv.groups % lanes
        )
        if not (whole or (alone and conv.channels >= lanes)):
            return None
        if alone and conv.channels < lanes:
            return None
        image = self._image(call.args[0], conv.channels)
        constant = self._relax.const(blocks.packed_weights(weights, conv.groups, lanes))
        if alone and conv.groups > 1:
            made, hint = blocks.depthwise(conv), blocks.DEPTHWISE
        else:
            made, hint = blocks.convolution(conv), blocks.CONVOLUTION
        expression = self._builder.call_te(made, image, constant, primfunc_name_hint=hint)
        return _Packed(expression, conv.filters)

    def _binary(self, call: Any) -> _Packed | None:
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
        return _Packed(self._relax.Call(call.op, operands, call.attrs), channels)

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

    def _pool(self, call: Any, kind: str) -> _Packed | None:
        topi: Any = importlib.import_module("tvm.topi")
        if not self._is_packed(call.args[0]) or call.attrs.layout != "NCHW":
            return None
        image, attributes = self._packed[call.args[0]], call.attrs

        def pool(data: Any) -> Any:
            return topi.nn.pool2d(
                data,
                kernel=attributes.pool_size,
                stride=attributes.strides,
                dilation=attributes.dilation,
                padding=attributes.padding,
                pool_type=kind,
                ceil_mode=bool(attributes.ceil_mode),
                layout=f"NCHW{self._lanes}c",
                count_include_pad=bool(attributes.count_include_pad),
            )

        expression = self._builder.call_te(
            pool, image.expression, primfunc_name_hint=f"{kind}_pool2d"
        )
        return _Packed(expression, image.channels)

    def _mean(self, call: Any) -> _Packed | None:
        axes = [int(axis) for axis in call.attrs.axis or ()]
        if not self._is_packed(call.args[0]) or axes not in ([2, 3], [-2, -1]):
            return None
        if not call.attrs.keepdims:
            return None
        image = self._packed[call.args[0]]
        expression = self._builder.call_te(
            blocks.mean(), image.expression, primfunc_name_hint="mean"
        )
        return _Packed(expression, image.channels)

    def _concatenation(self, call: Any) -> _Packed | None:
        parts = call.args[0].fields if isinstance(call.args[0], self._relax.Tuple) else ()
        if call.attrs.axis is None or int(call.attrs.axis) != 1 or not parts:
            return None
        images = [self._packed.get(part) for part in parts if isinstance(part, self._relax.Var)]
        known = [image for image in images if image is not None]
        if len(known) != len(parts) or any(i.channels % self._lanes for i in known[:-1]):
            return None
        joined = self._relax.op.concat([image.expression for image in known], axis=1)
        return _Packed(joined, sum(image.channels for image in known))

    def _product(self, call: Any) -> Any:
        """Return a matrix product with constant weights as one with packed weights, or None."""
        relax = self._relax
        if getattr(call.op, "name", "") != "relax.matmul":
            return None
        weights = _constant(call.args[1])
        shape = [int(size) for size in call.args[0].ty.shape]
        single = str(call.args[0].ty.dtype) == "float32"
        if weights is None or weights.ndim != 2 or not single or len(shape) < 2:
            return None
        lanes = next(
            (size for size in range(self._lanes, 1, -1) if weights.shape[1] % size == 0), 1
        )
        if lanes < min(4, weights.shape[1]):
            self.used.add("direct")
            return None
        self.used.add("blocked")
        rows = int(np.prod(shape[:-1]))
        flat = self.plain(call.args[0])
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
