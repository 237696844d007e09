"""The kind of work a layer is, and its shape: what decides which share of a machine's speed it reaches.

A kind is a dotted name from the general to the special: ``conv.kxk.fp32`` is a convolution, with a kernel larger than
one, in single precision. Kinds that begin alike are alike. A layer of a network and a microbenchmark of a machine are
named by the same function, so that they meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from roofline.layer import Layer
from roofline.node import Tensor
from roofline.ops import Kind

BLOCK: Final = 4
"""Channels in a convolution's input must be a multiple of this for kernels on packed channels; others unroll
patches. From ONNX Runtime 1.31, and measured as kinds of their own."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one layer asks of a machine."""

    kind: str
    at: tuple[float, ...]
    """Its shape along the axes of its kind (`AXES`), all positive."""
    ops: float
    """Operations as the definition counts them, all repeats together."""
    datatype: str
    """Peak the operations run on."""
    bytes: int
    """Bytes of operands and results, all repeats together, weights aside."""
    weight_bytes: int
    repeats: int = 1
    channels: tuple[int, ...] = ()
    """Numbers of channels that kernels on packed channels fill up to whole vectors."""
    patch_bytes: int = 0
    """Bytes of the patches that a convolution unrolls for a matrix product, where no packed kernel does it."""

    def padded_ops(self, lanes: int) -> float:
        """Return the operations that packed kernels execute: channels filled up to whole vectors of ``lanes``."""
        full = 1.0
        for count in self.channels:
            full *= math.ceil(count / lanes) * lanes / count
        return self.ops * full

    @property
    def batch_axis(self) -> int:
        """The axis of the shape that grows with the batch."""
        if self.kind.startswith("matmul.batched"):
            return 3
        return _BATCH_AXIS.get(self.kind.partition(".")[0], 0)

    @property
    def grows_rows(self) -> bool:
        """Whether it is a product whose rows grow with the batch: their number decides its kind."""
        return self.kind.startswith("matmul.") and self.batch_axis == 0

    def times(self, factor: float) -> Work:
        """Return the work at so many times the batch; weights stay as they are."""
        if factor == 1:
            return self
        grown = self.batch_axis
        at = tuple(size * factor if axis == grown else size for axis, size in enumerate(self.at))
        kind = self.kind
        if self.grows_rows:
            _, _, bits = kind.split(".")
            kind = f"matmul.{_rows_form(at[0])}.{bits}"
        return replace(
            self, kind=kind, at=at, ops=self.ops * factor, bytes=round(self.bytes * factor),
            patch_bytes=round(self.patch_bytes * factor),
        )  # fmt: skip


NARROW_ROWS = 16
"""Rows of a product from which it is wide: its weights are used again and again."""

_BATCH_AXIS = {"conv": 4, "conv_transpose": 4, "rnn": 3, "attention": 2, "pool": 1}
"""The axis that grows with the batch, by the first part of a kind's name; the first axis of all others."""

AXES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "conv": ("in_channels", "out_channels", "positions", "taps", "items"),
        "conv_transpose": ("in_channels", "out_channels", "positions", "taps", "items"),
        "matmul": ("rows", "inner", "columns", "copies"),
        "rnn": ("input", "hidden", "steps", "batch"),
        "attention": ("queries", "keys", "heads", "head_size"),
        "elementwise": ("elements",),
        "normalization": ("elements", "width"),
        "softmax": ("elements", "width"),
        "reduction": ("elements", "width"),
        "pool": ("channels", "positions", "taps"),
        "move": ("elements", "run"),
        "quantization": ("elements",),
        "layout": ("elements",),
        "other": ("elements",),
    }
)
"""Names of a kind's axes, by the first part of its name."""


def works(layer: Layer) -> Work | None:
    """Return the work of an executed operator, or None where nothing is computed or moved.

    Args:
        layer: One executed node (`Workload.layers`).
    """
    # What depends on no input is computed once, before the first run.
    if layer.kind in (Kind.VIEW, Kind.CONTROL) or not layer.inputs:
        return None
    name = layer.op_type
    rule = _RULES.get(name)
    found = rule(layer) if rule is not None else None
    kind, at, channels = found if found is not None else _general(layer)
    return Work(
        kind=kind,
        at=tuple(max(float(value), 1.0) for value in at),
        ops=float(layer.cost.ops),
        datatype=_peak(kind, layer),
        bytes=layer.input_bytes + layer.output_bytes + layer.cache_bytes,
        weight_bytes=layer.weight_bytes,
        repeats=layer.repeats,
        channels=channels,
        patch_bytes=_patches(kind, at) * 8 * layer.repeats,
    )


_Shape = tuple[str, tuple[float, ...], tuple[int, ...]]
_Rule = Callable[[Layer], _Shape | None]


def _patches(kind: str, at: tuple[float, ...]) -> int:
    """Return the elements of the patches that are unrolled; each is written once and read once."""
    if not kind.startswith(_UNROLLED) or at[3] == 1:
        return 0
    return int(at[0] * at[2] * at[3] * at[4])


_UNROLLED = (
    "conv.one_dimensional",
    "conv.unrolled",
    "conv.grouped_unaligned",
    "conv.depthwise_unaligned",
)


def _peak(kind: str, layer: Layer) -> str:
    return "int8" if ".int8" in kind else layer.datatype or "fp32"


def _sizes(tensor: Tensor | None) -> tuple[int, ...]:
    if tensor is None or tensor.shape is None:
        return ()
    return tuple(1 if size is None else size for size in tensor.shape)


def _first(tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    return _sizes(tensors[0]) if tensors else ()


def _elements(layer: Layer) -> float:
    """Return the elements of the largest operand or result of one run."""
    counts = [tensor.elements or 0 for tensor in (*layer.inputs, *layer.outputs)]
    return float(max(counts, default=0))


def _weight(layer: Layer, rank: int) -> tuple[int, ...] | None:
    """Return the shape of the first stored operand of at least that rank."""
    for tensor in layer.weights:
        if len(_sizes(tensor)) >= rank:
            return _sizes(tensor)
    return None


_INTEGER = ("MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul", "QGemm")


def _bits(layer: Layer) -> str:
    """Return the datatype that decides a product's kernel: static or dynamic int8, or the operands' own."""
    if layer.op_type in ("MatMulInteger", "ConvInteger") or layer.op_type.startswith("Dynamic"):
        return "int8_dynamic"
    if layer.op_type in _INTEGER:
        return "int8_static"
    # A network that is asked for at int8 runs as one that was quantized before.
    return "int8_static" if layer.datatype == "int8" else layer.datatype or "fp32"


def _convolution(layer: Layer) -> _Shape | None:
    weight = _weight(layer, 3)
    out = _first(layer.outputs)
    if weight is None or len(out) < 3:
        # Weights that are computed: the first two inputs are the image and the kernel.
        if len(layer.inputs) < 2 or len(out) < 3:
            return None
        weight = _sizes(layer.inputs[1])
    groups = int(layer.attributes.get("group", 1))
    transposed = layer.op_type == "ConvTranspose"
    inner, taps = weight[1], math.prod(weight[2:])
    if transposed:
        source = _first(layer.inputs)
        positions, items = (math.prod(source[2:]), source[0]) if source else (1, 1)
        at = (weight[0] / groups, weight[1], positions, taps, items)
        return f"conv_transpose.{_bits(layer)}", at, ()
    at = (inner, weight[0] / groups, math.prod(out[2:]), taps, out[0])
    return (
        f"conv.{_convolution_form(layer, weight, out, groups)}.{_bits(layer)}",
        at,
        _packed(weight, groups, len(out)),
    )


def _convolution_form(
    layer: Layer, weight: tuple[int, ...], out: tuple[int, ...], groups: int
) -> str:
    inner, outer = weight[1], weight[0]
    # A second spatial axis of length one with a kernel of one is a 1-D convolution in other words.
    flat = len(out) == 3
    if groups > 1 and inner == 1 and outer == groups:
        aligned = outer % BLOCK == 0 and not flat
        return "depthwise" if aligned else "depthwise_unaligned"
    if flat:
        return "one_dimensional" if groups == 1 else "one_dimensional_grouped"
    if groups > 1:
        return "grouped" if inner % 16 == 0 else "grouped_unaligned"
    if inner < 8:
        return "first"
    if inner % BLOCK:
        return "unrolled"
    if inner < 16:
        return "few"
    strided = any(int(stride) > 1 for stride in layer.attributes.get("strides", ()))
    if math.prod(weight[2:]) == 1:
        return "1x1_strided" if strided else "1x1"
    return "kxk"


def _packed(weight: tuple[int, ...], groups: int, rank: int) -> tuple[int, ...]:
    inner, outer = weight[1], weight[0]
    if rank != 4 or groups > 1:
        return ()
    # A first layer reads the image as it is: only its filters are packed.
    if inner < 8 or (inner < 16 and not inner % BLOCK):
        return (outer,)
    return () if inner % BLOCK else (inner, outer)


def _product(layer: Layer) -> _Shape | None:
    out = _first(layer.outputs)
    left = _first(layer.inputs)
    weight = _weight(layer, 2)
    if not out or not left:
        return None
    macs = layer.cost.macs / max(layer.repeats, 1)
    total = math.prod(out)
    inner = macs / total if total else 1
    columns = out[-1]
    rows = math.prod(out[:-1]) if weight is not None else (out[-2] if len(out) > 1 else 1)
    copies = total / (rows * columns) if rows * columns else 1
    if layer.op_type == "Gemm" and weight is None and len(layer.inputs) > 1:
        copies = 1
    form = "batched" if weight is None else _rows_form(rows)
    bits = "int4_weights" if layer.op_type == "MatMulNBits" else _bits(layer)
    return f"matmul.{form}.{bits}", (rows, inner, columns, copies), ()


def _rows_form(rows: float) -> str:
    return "vector" if rows == 1 else "narrow" if rows < NARROW_ROWS else "wide"


def _recurrent(layer: Layer) -> _Shape | None:
    source = _first(layer.inputs)
    if len(source) < 3:
        return None
    steps, batch, width = source[0], source[1], source[2]
    if int(layer.attributes.get("layout", 0)):
        steps, batch = batch, steps
    hidden = int(layer.attributes.get("hidden_size", 0)) or _first(layer.outputs)[-1]
    bits = "int8_dynamic" if layer.op_type.startswith("Dynamic") else layer.datatype or "fp32"
    cell = layer.op_type.removeprefix("DynamicQuantize").lower()
    return f"rnn.{cell}.{bits}", (width, hidden, steps, batch), ()


def _attention(layer: Layer) -> _Shape | None:
    out = _first(layer.outputs)
    if len(out) < 3:
        return None
    heads = int(layer.attributes.get("num_heads", layer.attributes.get("q_num_heads", 1)) or 1)
    return f"attention.{layer.datatype or 'fp32'}", (out[-2], out[-2], heads, out[-1] / heads), ()


_UNARY_NAMES = frozenset(
    {
        "Relu", "Clip", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Erf", "Gelu", "FastGelu", "QuickGelu", "BiasGelu",
        "HardSigmoid", "HardSwish", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign", "Mish", "Abs", "Neg",
        "Floor", "Ceil", "Round", "Sign", "Reciprocal", "Cast", "Not", "Sin", "Cos", "Swish", "Celu",
        "ThresholdedRelu", "IsNaN", "IsInf", "Atan", "Tan", "Asin", "Acos", "Sinh", "Cosh",
    }
)  # fmt: skip
_BINARY_NAMES = frozenset(
    {
        "Add", "Sub", "Mul", "Div", "Max", "Min", "Where", "Equal", "Greater", "GreaterOrEqual", "Less",
        "LessOrEqual", "And", "Or", "Xor", "Mod", "Sum", "Mean", "PRelu", "Pow",
    }
)  # fmt: skip


def _elementwise(layer: Layer) -> _Shape | None:
    count = _elements(layer)
    if layer.op_type in _UNARY_NAMES:
        return f"elementwise.{layer.op_type}", (count,), ()
    operands = [tensor.elements or 1 for tensor in (*layer.inputs, *layer.weights)]
    large = sum(1 for operand in operands if operand >= count)
    if large >= 2:
        form = "same"
    else:
        rest = max((operand for operand in operands if operand < count), default=1)
        form = "scalar" if rest == 1 else _broadcast(layer, count)
    if form in ("channel", "row"):
        return f"elementwise.{layer.op_type}.{form}", (count, _run(layer, count)), ()
    return f"elementwise.{layer.op_type}.{form}", (count,), ()


def _run(layer: Layer, count: float) -> float:
    """Return over how many elements in a row one element of the smaller operand is repeated, or how long its row is."""
    smaller = max(
        (
            tensor
            for tensor in (*layer.inputs, *layer.weights)
            if 1 < (tensor.elements or 1) < count
        ),
        key=lambda tensor: tensor.elements or 1,
        default=None,
    )
    sizes, out = _sizes(smaller), _first(layer.outputs)
    if not sizes or not out:
        return 1.0
    if len(sizes) == 1 and len(out) > 2 and sizes[0] == out[1] != out[-1]:
        return float(math.prod(out[2:]))
    place = max((axis for axis, size in enumerate(sizes) if size > 1), default=0)
    behind = len(sizes) - 1 - place
    return float(math.prod(out[len(out) - behind :])) if behind else float(sizes[-1])


def _broadcast(layer: Layer, count: float) -> str:
    """Return whether the smaller operand is repeated along the last axis (``channel``) or before it (``row``)."""
    for tensor in (*layer.inputs, *layer.weights):
        sizes = _sizes(tensor)
        if 1 < (tensor.elements or 1) < count:
            out = _first(layer.outputs)
            # A stored vector behind a constant reshape: as long as the channels, and not as the last axis.
            if len(sizes) == 1 and len(out) > 2 and sizes[0] == out[1] != out[-1]:
                return "channel"
            return "row" if sizes and sizes[-1] > 1 else "channel"
    return "channel"


def _normalized(layer: Layer) -> _Shape | None:
    out = _first(layer.outputs)
    if len(out) < 1:
        return None
    if layer.op_type in ("LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization",
                         "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"):  # fmt: skip
        width = out[-1]
    elif len(out) > 2:
        width = math.prod(out[2:])
    else:
        width = out[-1]
    return f"normalization.{layer.op_type}", (math.prod(out), width), ()


def _softmax(layer: Layer) -> _Shape | None:
    out = _first(layer.outputs)
    if not out:
        return None
    axis = int(layer.attributes.get("axis", -1))
    last = axis in (-1, len(out) - 1)
    return (
        f"softmax.{'last' if last else 'inner'}",
        (math.prod(out), out[axis] if -len(out) <= axis < len(out) else 1),
        (),
    )


def _reduced(layer: Layer) -> _Shape | None:
    source, out = _first(layer.inputs), _first(layer.outputs)
    if not source:
        return None
    count = math.prod(source)
    # Reducing the innermost axes reads in order; others stride.
    inner = len(out) < 1 or len(source) < 1 or (len(out) == len(source) and out[-1] != source[-1])
    name = "ArgMax" if layer.op_type.startswith("Arg") else "Reduce"
    return (
        f"reduction.{name}.{'inner' if inner else 'outer'}",
        (count, count / max(math.prod(out), 1)),
        (),
    )


def _pooled(layer: Layer) -> _Shape | None:
    out, source = _first(layer.outputs), _first(layer.inputs)
    if len(out) < 3 or len(source) < 3:
        return None
    if layer.op_type.startswith("Global"):
        return "pool.global", (source[1], source[0] * math.prod(source[2:]), 1), ()
    taps = math.prod(int(size) for size in layer.attributes.get("kernel_shape", (1,)))
    form = "max" if layer.op_type == "MaxPool" else "average"
    return f"pool.{form}", (out[1], out[0] * math.prod(out[2:]), taps), ()


def _moved(layer: Layer) -> _Shape | None:
    out, source = _first(layer.outputs), _first(layer.inputs)
    count = float(sum(tensor.elements or 0 for tensor in layer.outputs)) or _elements(layer)
    run = out[-1] if out else 1.0
    name = layer.op_type
    if name == "Transpose":
        perm = tuple(int(axis) for axis in layer.attributes.get("perm", ()))
        kept = bool(perm) and perm[-1] == len(perm) - 1
        name, run = ("Transpose.rows" if kept else "Transpose.all"), run if kept else 1.0
    elif name in ("Resize", "Upsample"):
        name = "Resize." + ("linear" if _text(layer, "mode") in ("linear", "cubic") else "nearest")
    elif name in ("Concat", "Split"):
        axis = int(layer.attributes.get("axis", 0))
        shape = out if name == "Concat" else source
        run = math.prod(shape[axis:]) if shape else 1.0
    elif name in ("Gather", "GatherElements", "GatherND"):
        run = out[-1] if out else 1.0
    return f"move.{name}", (count, run), ()


def _text(layer: Layer, name: str) -> str:
    value = layer.attributes.get(name, b"")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _quantized(layer: Layer) -> _Shape | None:
    return f"quantization.{layer.op_type}", (_elements(layer),), ()


def _general(layer: Layer) -> _Shape:
    if layer.kind is Kind.MOVE:
        found = _moved(layer)
        if found is not None:
            return found
    return f"other.{layer.op_type}", (_elements(layer),), ()


def _table() -> Mapping[str, _Rule]:
    rows: tuple[tuple[_Rule, str], ...] = (
        (_convolution, "Conv ConvTranspose ConvInteger QLinearConv FusedConv"),
        (_product, "MatMul Gemm FusedMatMul MatMulInteger MatMulNBits QLinearMatMul QGemm Einsum"),
        (_recurrent, "LSTM GRU RNN DynamicQuantizeLSTM"),
        (_attention, "Attention MultiHeadAttention GroupQueryAttention QAttention"),
        (_elementwise, " ".join(sorted(_UNARY_NAMES | _BINARY_NAMES))),
        (
            _normalized,
            "BatchNormalization InstanceNormalization LayerNormalization GroupNormalization RMSNormalization"
            " SkipLayerNormalization SimplifiedLayerNormalization SkipSimplifiedLayerNormalization LRN"
            " LpNormalization MeanVarianceNormalization",
        ),
        (_softmax, "Softmax LogSoftmax"),
        (
            _reduced,
            "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp"
            " ArgMax ArgMin",
        ),
        (
            _pooled,
            "MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool",
        ),
        (_quantized, "QuantizeLinear DequantizeLinear DynamicQuantizeLinear"),
        (_moved, "Resize Upsample"),
    )
    return MappingProxyType({name: rule for rule, names in rows for name in names.split()})


_RULES: Final = _table()
