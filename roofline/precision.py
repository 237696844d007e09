"""Datatypes of tensors, and the precisions a network can be asked to run at.

A precision says how weights, activations and key-value caches are stored, in bits an element, and apart from that
which peak of a machine the arithmetic runs on. Bits are rational: a format that keeps a scale for every few weights,
or some tensors wider, takes 4.9 bits a weight. `formats` names those that are no plain datatype; the name of a format
or a datatype, or of a form such as ``w4a16``, becomes a `Precision` once, by `precision`, where it is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType

from roofline.errors import DatatypeError, did_you_mean
from roofline.registry import Registry

Bits = int | Fraction
"""Width of an element in storage; a fraction where scales are spread over the elements they belong to."""


@dataclass(frozen=True, slots=True)
class DataType:
    """An element type: its name and its width."""

    name: str
    bits: Bits
    """Width of one element in bits; packed, so int4 is 4."""
    kind: str
    """``float``, ``int``, ``uint``, ``bool``, ``complex`` or ``string``."""


_ROWS = (
    ("fp64", 64, "float"), ("fp32", 32, "float"), ("tf32", 32, "float"), ("bf16", 16, "float"),
    ("fp16", 16, "float"), ("fp8", 8, "float"), ("fp8_e4m3", 8, "float"), ("fp8_e5m2", 8, "float"),
    ("fp8_e8m0", 8, "float"), ("fp6_e2m3", 6, "float"), ("fp6_e3m2", 6, "float"), ("fp4", 4, "float"),
    ("int64", 64, "int"), ("int32", 32, "int"), ("int16", 16, "int"), ("int8", 8, "int"),
    ("int4", 4, "int"), ("int2", 2, "int"), ("ternary", 2, "int"), ("binary", 1, "int"),
    ("uint64", 64, "uint"), ("uint32", 32, "uint"), ("uint16", 16, "uint"), ("uint8", 8, "uint"),
    ("uint4", 4, "uint"), ("uint2", 2, "uint"),
    ("bool", 8, "bool"), ("complex64", 64, "complex"), ("complex128", 128, "complex"),
    ("string", 0, "string"),
)  # fmt: skip

DATATYPES: Mapping[str, DataType] = MappingProxyType({row[0]: DataType(*row) for row in _ROWS})
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


def _add(name: str, weights: str, peak: str, activations: int = 16) -> None:
    bits = Fraction(weights)
    stored = int(bits) if bits.denominator == 1 else bits
    formats.add(name, Precision(name, stored, activations, activations, peak))


for _name in COMPUTE_DATATYPES:
    _add(_name, str(DATATYPES[_name].bits), _name, int(DATATYPES[_name].bits))
_add("ternary", "2", "int2", 2)
# Blocks of ggml (ggml-common.h): 32 weights with one or two 16-bit numbers, 256 with scales of 6 or 8 bits. They
# are widened as they are read, so the arithmetic is that of the activations.
_add("q4_0", "4.5", "fp16")
_add("q4_1", "5", "fp16")
_add("q5_0", "5.5", "fp16")
_add("q5_1", "6", "fp16")
_add("q8_0", "8.5", "fp16")
_add("q6_k", "6.5625", "fp16")
# Mixes of several blocks: bits over a whole model of 8 billion weights, embedding included, by the size of its file.
_add("q3_k_m", "4.0", "fp16")
_add("q4_k_s", "4.7", "fp16")
_add("q4_k_m", "4.9", "fp16")
_add("q5_k_m", "5.7", "fp16")
# OCP Microscaling Formats 1.0: 32 elements share an 8-bit scale. Stored so, they are widened to run on 16-bit units.
_add("mxfp4", "4.25", "fp16")
_add("mxfp8", "8.25", "fp16")
# 16 elements of fp4 share an fp8 scale; activations are rounded to fp4 as they are read, so it runs on fp4 units.
_add("nvfp4", "4.5", "fp4")


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
        return Precision(name, weights, activations, activations, peak)
    hint = did_you_mean(asked, [*formats, "w4a8", "w4a16", "w8a16"])
    known = f"Known: {', '.join(formats)}, and forms such as w4a8, w4a16, w4a16kv8"
    raise DatatypeError(f"unknown datatype {asked!r}", repair=hint or known)


def _width(text: str, asked: str) -> int:
    # No width has three digits; int() of a longer text may take long.
    if len(text) > 2 or int(text) not in _WIDTHS:
        raise _no_arithmetic(asked)
    return int(text)


def _no_arithmetic(asked: str) -> DatatypeError:
    return DatatypeError(
        f"no arithmetic is known for {asked[:40]!r}", repair="Use a form such as w4a8 or w4a16"
    )
