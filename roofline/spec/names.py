"""Names that a platform file may hold: keys, datatypes, kinds of machine, segments, clocks, rules."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, WithJsonSchema

from roofline.errors import did_you_mean
from roofline.precision import COMPUTE_DATATYPES
from roofline.spec._frozen import broken_rule

MachineKind = Literal["cpu", "gpu", "npu", "fpga", "tpu"]
"""The kind of machine a network runs on; a microcontroller's core is a cpu of that segment."""

Segment = Literal["data centre", "desktop", "laptop", "phone", "edge", "microcontroller"]
"""Where such machines stand."""

ClockName = Literal["base", "boost", "wide_vectors"]
"""The name of a clock."""

Rule = Literal["ratios", "product", "maker", "sparse", "segment"]
"""A rule of the strict check, of `roofline.spec.audit`."""

WeightsFrom = Literal["memory", "host_link"]
"""What the weights that a memory cannot hold cross: the memory listed before it, or the link to the host."""

ZeroSkipping = Literal["none", "2:4", "unstructured"]
"""Which zero weights cost no time: none; two of every four in a row; or any."""

SEGMENTS: tuple[str, ...] = get_args(Segment)
"""Every segment."""

MACHINE_KINDS: tuple[str, ...] = get_args(MachineKind)
"""Every kind of machine."""

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What can be typed on a command line as a key or a mode: no colon, no space, no capital."""


def without_mode(key: str) -> str:
    """Return the key of a machine without its mode.

    Example:
        >>> without_mode("tx2:maxn")
        'tx2'
    """
    return key.partition(":")[0]


KEY_REPAIR = "Use lower-case letters, digits, dots and dashes: my-board"
"""How to mend a key."""


def _key(value: str) -> str:
    if KEY_PATTERN.fullmatch(value) is None:
        raise broken_rule(f"{value[:60]!r} is not a key", KEY_REPAIR)
    return value


Key = Annotated[str, AfterValidator(_key)]
"""A name that can be typed on a command line: lower case, no colon, no space."""


def check_datatype(name: str) -> str:
    """Refuse a name that is no compute datatype, with the nearest one that is."""
    if name not in COMPUTE_DATATYPES:
        hint = did_you_mean(name, COMPUTE_DATATYPES) or f"Known: {', '.join(COMPUTE_DATATYPES)}"
        raise broken_rule(f"unknown datatype {name!r}", hint)
    return name


Datatype = Annotated[
    str,
    AfterValidator(check_datatype),
    WithJsonSchema({"type": "string", "enum": list(COMPUTE_DATATYPES)}),
]
"""A datatype that a machine can have arithmetic for."""
