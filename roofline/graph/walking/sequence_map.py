"""SequenceMap: its body walked for every element of a sequence, each with its own shape.

Spec: https://onnx.ai/onnx/operators/onnx__SequenceMap.html.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roofline.errors import ModelError
from roofline.graph.reading.order import label
from roofline.graph.walking.scope import Environment, Frame
from roofline.graph.walking.walk import Walker
from roofline.node import Node, Tensor
from roofline.number_format import plural

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_UNKNOWN_LENGTH = "the length of its sequence depends on data"


def run_sequence_map(
    walker: Walker, proto: NodeProto, environment: Environment, frame: Frame
) -> None:
    """Walk the body once per element and gather the sequences it gives.

    Raises:
        ModelError: The body is missing, or does not fit the sequences.
    """
    operands = walker.operands(proto, environment)
    name = walker.call_name(proto, frame)
    body = frame.body(proto, "body")
    if len(operands) != len(body.input):
        raise ModelError(
            f"the body of {name!r} takes {plural(len(body.input), 'value')}, the call hands it {len(operands)}"
        )
    if len(body.output) < len(proto.output):
        raise ModelError(
            f"{label(proto)} gives {plural(len(proto.output), 'result')}, its body {len(body.output)}"
        )
    held = walker.sequences.contents(operands[0] if operands else None)
    local = name[len(frame.prefix) :]
    note = frame.note
    rows: list[tuple[Tensor, ...]] = []
    if held is None:
        note = note or _UNKNOWN_LENGTH
        walker.notes.append(f"{label(proto)}: {_UNKNOWN_LENGTH}, so its body is not counted")
        inner = replace(frame.inside(local, loops=1, container=name), note=note)
        _element(walker, body, operands, 0, environment, inner)
    for place in range(len(held or ())):
        inner = replace(
            frame.inside(f"{local}[{place}]", loops=1, container=name),
            storage=f"{frame.storage}{local}/",
        )
        rows.append(_element(walker, body, operands, place, environment, inner))
    constant = all(tensor is None or tensor.constant for tensor in operands)
    constant = constant and all(tensor.constant for row in rows for tensor in row)
    outputs: list[Tensor | None] = []
    for place, written in enumerate(proto.output):
        if written:
            contents = None if held is None else tuple(row[place] for row in rows)
            walker.sequences.remember(frame.prefix + written, contents)
        outputs.append(Tensor(frame.prefix + written, constant=constant) if written else None)
    node = Node("SequenceMap", name, operands, tuple(outputs), {}, version=frame.opsets.get("", 0))
    walker.emit(node, frame, dynamic=not constant, note=note)
    walker.bind(proto, outputs, environment, frame)


def _element(
    walker: Walker,
    body: GraphProto,
    operands: tuple[Tensor | None, ...],
    place: int,
    environment: Environment,
    frame: Frame,
) -> tuple[Tensor, ...]:
    """Walk the body for one element; its calls join the walk, and what it gives is returned."""
    named: dict[str, Tensor] = {}
    for position, (entry, operand) in enumerate(zip(body.input, operands, strict=True)):
        held = walker.sequences.contents(operand)
        given = Tensor("") if operand is None else operand
        if held is not None:
            if place >= len(held):
                raise ModelError(f"the sequences of {frame.container!r} have unlike lengths")
            given = held[place]
        elif not position:
            # The elements of a sequence whose length is not known.
            given = replace(given, shape=None, value=None)
        named[entry.name] = replace(given, name=frame.prefix + entry.name, stored=False)
    inner = walker.graph(body, named, environment, frame)
    return tuple(inner.find(entry.name) or Tensor("") for entry in body.output)
