"""What resolving a graph gives: its executed nodes in order, with every tensor typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roofline.node import Node, Tensor


@dataclass(frozen=True, slots=True)
class ResolvedNode:
    """One executed operator call. Value names are unique in the whole list, bodies and functions included."""

    node: Node
    """The call, operands and outputs typed; named uniquely, with the scope as prefix."""
    repeats: int = 1
    """How often it runs in one inference: the product of the trip counts around it."""
    dynamic: bool = True
    """Whether a result depends on an input of the graph."""
    container: str = ""
    """Name of the outermost If, Loop or Scan it lives in; empty at the top level and in functions called there."""
    note: str = ""
    """What could not be resolved about it (trip count, size that depends on data)."""


@dataclass(frozen=True, slots=True)
class ResolvedGraph:
    """An ONNX graph with functions and taken branches inlined and every dimension a number.

    A dimension that depends on data, and not on shapes, is None.
    """

    name: str
    nodes: tuple[ResolvedNode, ...]
    """Executed calls in execution order. A Loop or Scan follows its body, whose nodes carry ``repeats``;
    an If precedes the branch that is taken, and the branch's results stand for its own."""
    inputs: tuple[Tensor, ...]
    """Inputs a caller feeds; initializers listed as inputs are not among them."""
    outputs: tuple[Tensor, ...]
    types: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor], repr=False)
    """Every value of the top-level graph by its name in the file."""
    notes: tuple[str, ...] = ()
    """Choices made while resolving (default batch, branch not decided, ...)."""
    idle: tuple[ResolvedNode, ...] = field(default=(), repr=False)
    """Calls of branches that are not taken: they store weights, and are not counted otherwise."""
    storage: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Flat name of a stored tensor to the name it is stored under, where they differ: several calls of a
    function share one stored tensor."""
    batch: int = 1
    """The leading dimension of the first input that has one."""
    batch_assumed_for: tuple[str, ...] = ()
    """Inputs whose symbolic leading dimension was taken as 1, since no batch was given."""
