"""Joining a block with the one block that reads it: what a kernel does to its result before storing it.

A rule is one function under `rule`: it says whether a producer may run with its only reader. A rule that holds joins
the two; the first that holds names what was done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from roofline.graph.fusion._kinds import is_activation
from roofline.graph.fusion._view import Block, View
from roofline.ops import Role
from roofline.ops._attributes import text

Test = Callable[[View, Block, Block], bool]
"""Whether a producer and its only reader run as one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    name: str
    test: Test


RULES: list[Rule] = []
"""Every rule in the order it is tried."""

_MAIN = (Role.PRODUCT, Role.INTEGER, Role.NORM, Role.ATTENTION, Role.SOFTMAX)
_SCALES = frozenset({"Mul", "Add", "Sub", "Div"})


def rule(name: str) -> Callable[[Test], Test]:
    """Return a decorator that adds a rule to the table."""

    def decorate(test: Test) -> Test:
        RULES.append(Rule(name, test))
        return test

    return decorate


def apply(view: View) -> None:
    """Join blocks in execution order until no rule holds."""
    for place in range(len(view.calls)):
        if not view.live[place] or view.leader(place) != place or view.block(place).exit != place:
            continue
        block = view.block(place)
        makers = {view.maker[flow] for flow in block.flows if flow in view.maker}
        for _ in range(3):
            # The nearest producer first: a residual sum runs with the product that is finished last.
            joined = [_join(view, maker, block) for maker in sorted(makers, reverse=True)]
            if not any(joined):
                break


def _join(view: View, maker: int, reader: Block) -> bool:
    producer = view.block(maker)
    if producer is reader or view.sole_reader(maker) != view.leader(reader.exit):
        return False
    if view.calls[producer.exit].repeats != view.calls[reader.exit].repeats:
        return False
    for row in RULES:
        if row.test(view, producer, reader):
            _merge(view, row.name, producer, reader)
            return True
    return False


def _merge(view: View, name: str, producer: Block, reader: Block) -> None:
    main = reader if _rank(reader) > _rank(producer) else producer
    role, anchor = main.role, main.anchor
    # A reader that a pattern made (gelu, silu) already has a better name than activation.
    named = name == "activation" and bool(reader.steps)
    view.absorb(producer, reader)
    reader.role, reader.anchor = role, anchor
    if not named:
        reader.steps[name] = None
    reader.residual |= producer.residual or name == "residual_add"
    reader.activated |= producer.activated or name == "activation"
    reader.closed |= name == "quantize"


def _rank(block: Block) -> int:
    if block.role in _MAIN:
        return 3
    if block.role in (Role.QUANTIZE, Role.DEQUANTIZE, Role.DYNAMIC_QUANTIZE, Role.PAD):
        return 1
    return 2 if block.calls else 0


def _reads_only(producer: Block, reader: Block) -> bool:
    return len(reader.flows) <= len(producer.frontier) and all(
        flow in producer.frontier for flow in reader.flows
    )


def _takes_epilogue(block: Block) -> bool:
    return block.role in (Role.PRODUCT, Role.INTEGER) and not block.closed


@rule("batch_norm")
def _batch_norm(view: View, producer: Block, reader: Block) -> bool:
    """Scaling by constants that are folded into the product's weights."""
    op_type = view.node(reader.anchor).op_type
    return (
        _takes_epilogue(producer)
        and op_type == "BatchNormalization"
        and _reads_only(producer, reader)
    )


@rule("bias")
def _bias(view: View, producer: Block, reader: Block) -> bool:
    """A constant addend."""
    return (
        _takes_epilogue(producer)
        and not producer.activated
        and reader.calls == 1
        and view.node(reader.anchor).op_type == "Add"
        and _reads_only(producer, reader)
    )


@rule("scale_shift")
def _scale_shift(view: View, producer: Block, reader: Block) -> bool:
    """Constant factors and addends after a product or a normalization."""
    return (
        (_takes_epilogue(producer) or (producer.role is Role.NORM and not producer.closed))
        and reader.calls == 1
        and view.node(reader.anchor).op_type in _SCALES
        and _reads_only(producer, reader)
    )


@rule("residual_add")
def _residual_add(view: View, producer: Block, reader: Block) -> bool:
    """A sum with one other value of the same size, once, before the activation."""
    if not _takes_epilogue(producer) or producer.residual or producer.activated:
        return False
    node = view.node(reader.anchor)
    if reader.calls != 1 or node.op_type not in ("Add", "Sum") or len(reader.flows) != 2:
        return False
    sizes = {operand.elements for operand in node.operands if operand is not None}
    return len(sizes) == 1 and None not in sizes


@rule("activation")
def _activation(view: View, producer: Block, reader: Block) -> bool:
    """An elementwise function of the result alone, activation or not."""
    if not _reads_only(producer, reader):
        return False
    if producer.role is Role.NORM:
        return (
            not producer.closed and reader.calls == 1 and is_activation(view.node(reader.anchor))
        )
    return _takes_epilogue(producer) and reader.role is Role.ELEMENTWISE


@rule("dynamic_quantize")
def _dynamic_quantize(view: View, producer: Block, reader: Block) -> bool:  # noqa: ARG001
    """Quantizing the operand of an integer product on the way in."""
    return producer.role is Role.DYNAMIC_QUANTIZE and reader.role is Role.INTEGER


@rule("dequantize")
def _dequantize(view: View, producer: Block, reader: Block) -> bool:  # noqa: ARG001
    """Quantized operands are read as they are stored."""
    return (
        producer.role is Role.DEQUANTIZE
        and producer.calls == 0
        and reader.role is not Role.DYNAMIC_QUANTIZE
    )


@rule("quantize")
def _quantize(view: View, producer: Block, reader: Block) -> bool:  # noqa: ARG001
    """The result is stored quantized."""
    return (
        reader.role is Role.QUANTIZE
        and reader.calls == 1
        and not producer.closed
        and producer.role not in (Role.QUANTIZE, Role.DYNAMIC_QUANTIZE)
        and _reads_only(producer, reader)
    )


@rule("elementwise_chain")
def _elementwise_chain(view: View, producer: Block, reader: Block) -> bool:  # noqa: ARG001
    """Elementwise calls one after the other."""
    return (
        producer.role is Role.ELEMENTWISE
        and not producer.closed
        and reader.role is Role.ELEMENTWISE
        and reader.calls > 0
    )


@rule("softmax_chain")
def _softmax_chain(view: View, producer: Block, reader: Block) -> bool:  # noqa: ARG001
    """Scale and mask before a softmax."""
    return (
        producer.role is Role.ELEMENTWISE and not producer.closed and reader.role is Role.SOFTMAX
    )


@rule("pad")
def _pad(view: View, producer: Block, reader: Block) -> bool:
    """Padding by a constant is the window's own."""
    return (
        producer.role is Role.PAD
        and text(view.node(producer.anchor), "mode", "constant") == "constant"
        and view.node(reader.anchor).op_type in ("Conv", "ConvInteger", "MaxPool", "AveragePool")
        and _reads_only(producer, reader)
    )
