"""Datatypes of tensors, and the precisions a network can be asked to run at.

A precision says how weights, activations and key-value caches are stored, in bits an element, and apart from that
which peak of a machine the arithmetic runs on. Bits are rational: a format that keeps a scale for every few weights,
or some tensors wider, takes 4.9 bits a weight. `formats` names those that are no plain datatype; the name of a format
or a datatype, or of a form such as ``w4a16``, becomes a `Precision` once, by `precision`, where it is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from roofline.errors import DatatypeError, did_you_mean
from roofline.registry import Registry

Bits = int | Fraction
"""Width of an element in storage; a fraction where scales are spread over the elements they belong to."""


class DatatypeKind(StrEnum):
    """What the elements of a datatype are."""

    FLOAT = "float"
    INT = "int"
    UINT = "uint"
    BOOL = "bool"
    COMPLEX = "complex"
    STRING = "string"


NUMBERS = frozenset({DatatypeKind.FLOAT, DatatypeKind.INT, DatatypeKind.UINT})
"""Kinds whose elements are numbers that weights and activations can be."""


@dataclass(frozen=True, slots=True)
class DataType:
    """An element type: its name and its width."""

    name: str
    bits: Bits
    """Width of one element in bits; packed, so int4 is 4."""
    kind: DatatypeKind


_ROWS = {
    DatatypeKind.FLOAT: (
        ("fp64", 64), ("fp32", 32), ("tf32", 32), ("bf16", 16), ("fp16", 16), ("fp8", 8), ("fp8_e4m3", 8),
        ("fp8_e5m2", 8), ("fp8_e8m0", 8), ("fp6_e2m3", 6), ("fp6_e3m2", 6), ("fp4", 4),
    ),
    DatatypeKind.INT: (
        ("int64", 64), ("int32", 32), ("int16", 16), ("int8", 8), ("int4", 4), ("int2", 2), ("ternary", 2),
        ("binary", 1),
    ),
    DatatypeKind.UINT: (
        ("uint64", 64), ("uint32", 32), ("uint16", 16), ("uint8", 8), ("uint4", 4), ("uint2", 2),
    ),
    DatatypeKind.BOOL: (("bool", 8),),
    DatatypeKind.COMPLEX: (("complex64", 64), ("complex128", 128)),
    DatatypeKind.STRING: (("string", 0),),
}  # fmt: skip

DATATYPES: Mapping[str, DataType] = MappingProxyType(
    {name: DataType(name, bits, kind) for kind, rows in _ROWS.items() for name, bits in rows}
)
"""Every element type, by name. A boolean takes a byte, as every runtime stores it."""

COMPUTE_DATATYPES = (
    "fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "fp4", "int32", "int16", "int8", "int4", "int2", "binary",
)  # fmt: skip
"""The datatypes a machine can have a peak for, widest first within floats and integers."""


def width_of(datatype: str, otherwise: Bits = 0) -> Bits:
    """Return the width of a datatype's elements in bits, or ``otherwise`` for a name that is not known.

    Example:
        >>> width_of("int4"), width_of("FP16"), width_of("decimal")
        (4, 16, 0)
    """
    known = DATATYPES.get(datatype.lower())
    return otherwise if known is None else known.bits


def packed_bytes(elements: int, bits: Bits) -> int:
    """Return the bytes that elements take when they are packed without gaps.

    Example:
        >>> packed_bytes(65536, 4), packed_bytes(3, 2), packed_bytes(1000, Fraction("8.5"))
        (32768, 1, 1063)
    """
    return -(-elements * bits // 8)


Rule = tuple[str, Bits, str]
"""A part of a decoder (one of `PARTS`), the bits of its weights, and in which blocks (`compress.decoder_parts`)."""

PARTS = (
    "weights", "experts", "beside_experts", "value", "output", "down", "embedding", "head",
)  # fmt: skip
"""Parts of a decoder that formats tell apart: all matrices of its blocks; those of experts, and the others of such a
decoder; the projections of values and behind attention, the MLP's way down; the two tables of the vocabulary."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How a network (or layer) is asked to store its numbers, and what it computes on.

    Four-bit weights on 8-bit units is ``Precision("w4a8", 4, 8, 8, "int8")``.
    """

    name: str
    weight_bits: Bits
    """Bits a weight takes, scales included."""
    activation_bits: Bits
    cache_bits: Bits
    """Bits an element of a key-value cache takes; those of the activations unless it is asked for."""
    peak: str
    """The machine's peak that the arithmetic runs on: one of `COMPUTE_DATATYPES`."""
    mix: tuple[Rule, ...] = field(default=(), repr=False)
    """Of decoders: bits by part; where several rules hold for a matrix, the last one counts. Without any, all
    matrices take `weight_bits`, the embedding and the output projection 16."""
    rounded: str = field(default="", repr=False)
    """A narrower peak that runtimes may run on instead, rounding activations as they read them; empty for none."""

    @property
    def is_widened(self) -> bool:
        """Whether weights alone are narrow: they become floats as they are read, of whatever unit the machine has."""
        return self.peak == "fp16" and self.weight_bits < self.activation_bits

    def __str__(self) -> str:
        return self.name


SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "float16": "fp16", "half": "fp16", "f16": "fp16", "bfloat16": "bf16", "float32": "fp32", "f32": "fp32",
        "float": "fp32", "single": "fp32", "float64": "fp64", "f64": "fp64", "double": "fp64",
        "tensorfloat32": "tf32", "float8": "fp8", "f8": "fp8", "float4": "fp4", "f4": "fp4", "i8": "int8",
        "s8": "int8", "i4": "int4", "s4": "int4", "i16": "int16", "i32": "int32", "int1": "binary",
    }
)  # fmt: skip
"""Datatypes as other programs spell them."""


formats: Registry[Precision] = Registry(
    "datatype", "roofline.precision", "roofline.formats", DatatypeError
)
"""Every precision with a name of its own. Third parties add theirs through the entry-point group."""


def _add(
    name: str,
    weights: str,
    peak: str,
    activations: int = 16,
    *,
    mix: Sequence[tuple[str, str, str]] = (),
    rounded: str = "",
) -> None:
    rules = tuple((part, _bits(_BLOCKS.get(stored, stored)), where) for part, stored, where in mix)
    formats.add(
        name, Precision(name, _bits(weights), activations, activations, peak, rules, rounded)
    )


def _bits(text: str) -> Bits:
    bits = Fraction(text)
    return int(bits) if bits.denominator == 1 else bits


# Blocks of ggml (ggml-common.h): 32 weights with one or two 16-bit numbers, 256 with scales of 6 or 8 bits. They
# are widened as they are read, or multiplied with activations that are rounded to 8 bits in blocks (Q8_0 and Q8_K on
# processors, MMQ on graphics cards), whichever a build of llama.cpp takes.
_BLOCKS = {
    "q3_k": "3.4375", "q4_0": "4.5", "q4_1": "5", "q4_k": "4.5", "q5_0": "5.5", "q5_1": "6", "q5_k": "5.5",
    "q6_k": "6.5625", "q8_0": "8.5",
}  # fmt: skip

for _name in COMPUTE_DATATYPES:
    _add(_name, str(DATATYPES[_name].bits), _name, int(DATATYPES[_name].bits))
_add("ternary", "2", "int2", 2)
# Files of llama.cpp mix them (llama-quant.cpp, without its exceptions for models of 70 billion and of 8 experts): the
# scores' matrix, and a table that is both, in q6_k; values, the way down and what is behind attention in more bits in
# some blocks. In front stands the average over 8 billion weights, for networks whose parts are not told apart.
_FILES = {
    "q3_k_s": ("3.6", "q3_k", ()),
    "q3_k_m": ("4.0", "q3_k", (
        ("output", "q4_k", "all"), ("value", "q4_k", "all"), ("value", "q5_k", "first two"),
        ("down", "q4_k", "all"), ("down", "q5_k", "first sixteenth"),
    )),
    "q3_k_l": ("4.3", "q3_k", (("output", "q5_k", "all"), ("value", "q5_k", "all"), ("down", "q5_k", "all"))),
    "q4_0": ("4.5", "q4_0", ()),
    "q4_1": ("5", "q4_1", ()),
    "q4_k_s": ("4.7", "q4_k", (("value", "q5_k", "first four"), ("down", "q5_k", "first eighth"))),
    "q4_k_m": ("4.9", "q4_k", (("value", "q6_k", "more"), ("down", "q6_k", "more"))),
    "q5_0": ("5.5", "q5_0", ()),
    "q5_1": ("6", "q5_1", ()),
    "q5_k_s": ("5.6", "q5_k", ()),
    "q5_k_m": ("5.7", "q5_k", (("value", "q6_k", "more"), ("down", "q6_k", "more"))),
    "q6_k": ("6.5625", "q6_k", ()),
    "q8_0": ("8.5", "q8_0", ()),
}  # fmt: skip
for _name, (_average, _base, _wider) in _FILES.items():
    _head = _base if _base == "q8_0" else "q6_k"
    _add(_name, _average, "fp16", rounded="int8", mix=(
        ("weights", _base, "all"), *_wider, ("embedding", _base, "all"), ("head", _head, "all"),
    ))  # fmt: skip
# OCP Microscaling Formats 1.0: 32 elements share an 8-bit scale. Stored so, they are widened to run on 16-bit units.
# Mixtures of experts are published with the experts alone in it (OpenAI, gpt-oss).
_add("mxfp4", "4.25", "fp16", mix=(("weights", "4.25", "all"), ("beside_experts", "16", "all")))
# llama.cpp's file of such a mixture (MXFP4_MOE in llama-quant.cpp) has everything beside the experts in q8_0.
_add("mxfp4_moe", "4.6", "fp16", rounded="int8", mix=(
    ("weights", "q8_0", "all"), ("experts", "4.25", "all"), ("embedding", "q8_0", "all"), ("head", "q8_0", "all"),
))  # fmt: skip
_add("mxfp8", "8.25", "fp16")
# 16 elements of fp4 share an fp8 scale; activations are rounded to fp4 as they are read, so it runs on fp4 units.
_add("nvfp4", "4.5", "fp4")

_GROUP = 128
"""Weights of up to 4 bits that share a 16-bit scale and a zero point of their own width, as AWQ and GPTQ store them."""

_MIXED = re.compile(r"w(\d+)a(\d+)")
_CACHED = re.compile(r"(.+?)kv(\d+)")
_WIDTHS = (1, 2, 3, 4, 5, 6, 8, 16, 32)
_INTEGER_PEAK = {1: "binary", 2: "int2", 4: "int4", 8: "int8", 16: "int16"}
_FLOAT_PEAK = {16: "fp16", 32: "fp32"}


def precision(asked: str | Precision) -> Precision:
    """Return the precision of a name; a precision is returned as it is.

    Names are those of `formats` (``int8``, ``q4_k_m``), or give weights and activations apart (``w4a8``); behind
    either, ``kv8`` stores a key-value cache at that width (``w4a16kv8``). In the mixed form 16- and 32-bit activations
    are floating point (weight-only quantization), narrower ones integers; the peak is that of the wider operand.
    Capitals and the spellings of other programs (``Float16``) are taken too.

    Raises:
        DatatypeError: The name is not known.

    Example:
        >>> precision("w4a8")
        Precision(name='w4a8', weight_bits=4, activation_bits=8, cache_bits=8, peak='int8')
        >>> precision("w4a16kv8").cache_bits, float(precision("q4_k_m").weight_bits)
        (8, 4.9)
    """
    if isinstance(asked, Precision):
        return asked
    name = asked.strip().casefold()
    name = SPELLINGS.get(name, name)
    found = formats.find(name)
    if found is not None:
        return found
    cached = _CACHED.fullmatch(name)
    if cached is not None:
        stored = precision(cached[1])
        return replace(stored, name=name, cache_bits=_width(cached[2], name))
    mixed = _MIXED.fullmatch(name)
    if mixed is not None:
        weights, activations = _width(mixed[1], name), _width(mixed[2], name)
        wide = max(weights, activations)
        peak = (_FLOAT_PEAK if activations >= 16 else _INTEGER_PEAK).get(wide)
        if peak is None:
            raise _no_arithmetic(name)
        return Precision(name, weights, activations, activations, peak, _group_rules(weights))
    hint = did_you_mean(asked, [*formats, "w4a8", "w4a16", "w8a16"])
    known = f"Known: {', '.join(formats)}, and forms such as w4a8, w4a16, w4a16kv8"
    raise DatatypeError(f"unknown datatype {asked!r}", repair=hint or known)


def _group_rules(weights: int) -> tuple[Rule, ...]:
    """Return what a decoder's weights take with the scales and zero points of their groups; nothing for wider ones."""
    if weights > 4:
        return ()
    return (("weights", weights + Fraction(16 + weights, _GROUP), "all"),)


def _width(text: str, asked: str) -> int:
    # No width has three digits; int() of a longer text may take long.
    if len(text) > 2 or int(text) not in _WIDTHS:
        raise _no_arithmetic(asked)
    return int(text)


def _no_arithmetic(asked: str) -> DatatypeError:
    return DatatypeError(
        f"no arithmetic is known for {asked[:40]!r}", repair="Use a form such as w4a8 or w4a16"
    )
