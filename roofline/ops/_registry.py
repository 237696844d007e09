"""The table of operators: what each costs, what shape its results have, and what value a small result has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from itertools import product

from roofline.cost import Cost
from roofline.node import Array, Node, Shape
from roofline.precision import DataType
from roofline.registry import Registry


class Kind(Enum):
    """What an operator does, for counting."""

    COMPUTE = "compute"
    """It does arithmetic, which is counted, and moves data."""
    MOVE = "move"
    """No arithmetic by design; it copies data (Transpose, Concat, Gather)."""
    VIEW = "view"
    """No arithmetic and no copy by design (Reshape, Identity, Shape)."""
    CONTROL = "control"
    """A container whose bodies are counted instead (If, Loop, Scan)."""
    UNSUPPORTED = "unsupported"
    """Not in this table: reported by name, never taken as zero."""


class Role(Enum):
    """The part of a call, or of a block of calls, in fusing."""

    PRODUCT = "product"
    """Multiply-accumulates whose result takes an epilogue."""
    INTEGER = "integer"
    """A product of integers whose result is scaled back afterwards."""
    ELEMENTWISE = "elementwise"
    NORM = "norm"
    SOFTMAX = "softmax"
    ATTENTION = "attention"
    PAD = "pad"
    QUANTIZE = "quantize"
    DEQUANTIZE = "dequantize"
    DYNAMIC_QUANTIZE = "dynamic quantize"
    OTHER = "other"


TensorType = tuple[Shape | None, DataType | None]
"""Shape and element type of one result."""

CostFunction = Callable[[Node], Cost]
"""Returns the macs and other_ops of one call; elements moved are added by the caller from the tensors.

Needs the types of operands and results; raises DimensionError when a dimension it needs is unknown."""
ShapeFunction = Callable[[Node], Sequence[TensorType | None]]
"""Returns the type of each result, from operand types, known values and attributes; of ``outputs`` only how many.

Unknown parts stay None. Raises ModelError when the node breaks a rule of its operator."""
ValueFunction = Callable[[Node], Sequence[Array | None]]
"""Returns the value of each result, or None for one that is unknown, not small, or not worth knowing.

May be called with any operand values absent. An entry of an object array is None when it is unknown."""


def _all_operators() -> Mapping[int, int]:
    return {}


@dataclass(frozen=True, slots=True)
class Moves:
    """Elements that a call moves where these are not its operands and results whole."""

    reads: Mapping[int, int] = field(default_factory=_all_operators)
    """By operand position: rows of a table that are looked up, the part of a tensor that is cut out."""
    cache_reads: Mapping[int, int] = field(default_factory=_all_operators)
    """By operand position: the valid positions of a key-value cache."""
    cache_writes: Mapping[int, int] = field(default_factory=_all_operators)
    """By result position: the new positions of a key-value cache, whose result is the operand grown in place."""


MovesFunction = Callable[[Node], Moves]
"""Returns what one call moves; every dimension of its operands and results is known."""


BoundFunction = Callable[[Node], int | None]
"""Returns the most that the one size of the results which depends on values can be; None while that is not known."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table."""

    op_type: str
    domain: str
    kind: Kind
    cost: CostFunction | None = None
    shape: ShapeFunction | None = None
    value: ValueFunction | None = None
    weights: tuple[int, ...] = ()
    """Operand positions that hold parameters when constant; empty means every floating-point operand."""
    quantizers: tuple[int, ...] = ()
    """Operand positions that hold scales and zero points: they take bytes but are not parameters."""
    settings: tuple[int, ...] = ()
    """Operand positions that steer the operator (shapes, axes, bounds): neither parameters nor traffic."""
    statistics: tuple[int, ...] = ()
    """Operand positions that hold running statistics: stored parameters, but not trainable ones."""
    moves: MovesFunction | None = None
    """What is read and written in part; None for an operator that moves its operands and results whole."""
    bound: BoundFunction | None = None
    """For operators that choose elements: the results' unknown sizes are one, and at most this."""
    role: Role | None = None
    """What it does when runtimes fuse, and channels are pruned through it where it is elementwise; None for operators
    whose names the patterns know, and for those that take no part."""


MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""
BOTH = ("", MICROSOFT)
"""The domains of operators that ONNX took over from ONNX Runtime, which still runs its own."""

operators: Registry[Operator] = Registry("operator", "roofline.ops", "roofline.operators")
"""Every known operator, keyed ``domain::OpType`` (``::Conv``, ``com.microsoft::QAttention``)."""


def key(op_type: str, domain: str = "") -> str:
    """Return an operator's key in the table."""
    return f"{'' if domain == 'ai.onnx' else domain}::{op_type}"


def lookup(node: Node) -> Operator:
    """Return the row of a node's operator; an unknown one has kind ``UNSUPPORTED``."""
    found = operators.find(key(node.op_type, node.domain))
    return found or Operator(node.op_type, node.domain, Kind.UNSUPPORTED)


def define(
    *op_types: str,
    kind: Kind | None = None,
    domain: str | Sequence[str] = "",
    cost: CostFunction | None = None,
    shape: ShapeFunction | None = None,
    value: ValueFunction | None = None,
    weights: tuple[int, ...] = (),
    quantizers: tuple[int, ...] = (),
    settings: tuple[int, ...] = (),
    statistics: tuple[int, ...] = (),
    moves: MovesFunction | None = None,
    bound: BoundFunction | None = None,
    role: Role | None = None,
) -> None:
    """Add operators to the table, alike in one domain or several; what has a cost computes unless a kind is given.

    Raises:
        ValueError: An operator is defined twice, or has neither a kind nor a cost.
    """
    if kind is None and cost is None:
        raise ValueError(f"{', '.join(op_types)}: what is no arithmetic needs a kind")
    row = Operator(
        "", "", kind or Kind.COMPUTE, cost, shape, value, weights, quantizers, settings, statistics, moves, bound, role
    )  # fmt: skip
    for each, op_type in product([domain] if isinstance(domain, str) else domain, op_types):
        operators.add(key(op_type, each), replace(row, op_type=op_type, domain=each))


define_elementwise = partial(define, role=Role.ELEMENTWISE)
"""Adds operators whose results' elements each depend on the operands' elements at the same place."""


def supported_operators() -> Iterator[Operator]:
    """Yield every row in sorted order."""
    for name in operators:
        yield operators.get(name)
