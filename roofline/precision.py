"""Datatypes of tensors, and the precisions a network can be asked to run at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from roofline.errors import DatatypeError, did_you_mean


@dataclass(frozen=True, slots=True)
class DataType:
    """An element type: its name and its width."""

    name: str
    bits: int
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


def packed_bytes(elements: int, bits: int) -> int:
    """Return the bytes that elements take when they are packed without gaps.

    Example:
        >>> packed_bytes(65536, 4), packed_bytes(3, 2)
        (32768, 1)
    """
    return -(-elements * bits // 8)


@dataclass(frozen=True, slots=True)
class Precision:
    """The datatypes a network (or layer) is asked to run at.

    ``peak`` names the platform peak it runs on, so 4-bit weights on 8-bit units is
    ``Precision("w4a8", 4, 8, "int8")``.
    """

    name: str
    weight_bits: int
    activation_bits: int
    peak: str


SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "float16": "fp16", "half": "fp16", "f16": "fp16", "bfloat16": "bf16", "float32": "fp32", "f32": "fp32",
        "float": "fp32", "single": "fp32", "float64": "fp64", "f64": "fp64", "double": "fp64",
        "tensorfloat32": "tf32", "float8": "fp8", "f8": "fp8", "float4": "fp4", "f4": "fp4", "i8": "int8",
        "s8": "int8", "i4": "int4", "s4": "int4", "i16": "int16", "i32": "int32", "int1": "binary",
    }
)  # fmt: skip
"""Datatypes as other programs spell them."""


def spelled(name: str) -> str:
    """Return a datatype's name as it is spelled here; a name that is not known stays as it is.

    Example:
        >>> spelled("Float16"), spelled("INT8"), spelled("W4A16")
        ('fp16', 'int8', 'w4a16')
    """
    plain = name.strip().casefold()
    plain = SPELLINGS.get(plain, plain)
    return plain if plain in {*COMPUTE_DATATYPES, "ternary"} or _MIXED.match(plain) else name


_MIXED = re.compile(r"^w(\d+)a(\d+)$")
_INTEGER_PEAK = {1: "binary", 2: "int2", 4: "int4", 8: "int8", 16: "int16"}
_FLOAT_PEAK = {16: "fp16", 32: "fp32"}


def precision(name: str) -> Precision:
    """Return the precision of that name: a datatype (``int8``) or weights and activations apart (``w4a8``).

    In the mixed form 16- and 32-bit activations are floating point (weight-only quantization), narrower ones
    integers; the peak is the one of the wider operand.

    Raises:
        DatatypeError: The name is not known.

    Example:
        >>> precision("w4a8")
        Precision(name='w4a8', weight_bits=4, activation_bits=8, peak='int8')
    """
    name = spelled(name)
    mixed = _MIXED.match(name)
    if mixed is not None:
        weights, activations = int(mixed[1]), int(mixed[2])
        wide = max(weights, activations)
        peak = (_FLOAT_PEAK if activations >= 16 else _INTEGER_PEAK).get(wide)
        if peak is not None and weights in (1, 2, 3, 4, 5, 6, 8, 16, 32):
            return Precision(name, weights, activations, peak)
        raise DatatypeError(
            f"no arithmetic is known for {name!r}", repair="Use a form such as w4a8 or w4a16"
        )
    if name == "ternary":
        return Precision("ternary", 2, 2, "int2")
    if name in COMPUTE_DATATYPES:
        bits = DATATYPES[name].bits
        return Precision(name, bits, bits, name)
    known = [*COMPUTE_DATATYPES, "ternary", "w4a8", "w4a16", "w8a16"]
    hint = did_you_mean(name, known) or f"Known: {', '.join(known)}"
    raise DatatypeError(f"unknown datatype {name!r}", repair=hint)
