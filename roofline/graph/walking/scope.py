"""Names in sight while a graph is walked, and where in the nesting of bodies and functions the walk is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from roofline.errors import ModelError
from roofline.graph.reading.expansion import MAX_DEPTH
from roofline.graph.reading.order import label
from roofline.node import Tensor

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, NodeProto


class Environment:
    """The values of one graph by name, and those of the graphs around it."""

    __slots__ = ("names", "parent")

    def __init__(self, parent: Environment | None = None) -> None:
        self.names: dict[str, Tensor | None] = {}
        self.parent = parent

    def __contains__(self, name: object) -> bool:
        here: Environment | None = self
        while here is not None:
            if name in here.names:
                return True
            here = here.parent
        return False

    def find(self, name: str) -> Tensor | None:
        """Return a value, or None for an optional input that a function was not given.

        Raises:
            ModelError: Nothing has that name.
        """
        here: Environment | None = self
        while here is not None:
            if name in here.names:
                return here.names[name]
            here = here.parent
        raise ModelError(f"a subgraph reads {name!r}, which nothing before it produces")


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the walk is: the prefix of names, how often calls run, and what a function was called with."""

    prefix: str = ""
    """Put before names of values and calls, so that they are unique in the flat list."""
    storage: str = ""
    """The same for stored tensors; calls of one function share them."""
    repeats: int = 1
    container: str = ""
    """Name of the outermost If, Loop or Scan around."""
    loops: int = 0
    """How many loops lie around."""
    note: str = ""
    opsets: Mapping[str, int] = field(default_factory=dict[str, int])
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict[str, "AttributeProto"])
    """What the attributes of the function around stand for."""
    depth: int = 0

    def inside(
        self,
        name: str,
        *,
        storage: str = "",
        repeats: int = 1,
        loops: int = 0,
        container: str = "",
        opsets: Mapping[str, int] | None = None,
        attributes: Mapping[str, AttributeProto] | None = None,
    ) -> Frame:
        """Return the frame of a body or function that a call of this frame runs.

        Raises:
            ModelError: The nesting is too deep.
        """
        if self.depth >= MAX_DEPTH:
            raise ModelError(f"functions and subgraphs nest more than {MAX_DEPTH} deep")
        return replace(
            self,
            prefix=f"{self.prefix}{name}/",
            storage=f"{storage or self.storage + name}/",
            repeats=self.repeats * repeats,
            loops=self.loops + loops,
            container=self.container or container,
            opsets=self.opsets if opsets is None else opsets,
            attributes=self.attributes if attributes is None else attributes,
            depth=self.depth + 1,
        )

    def attribute(self, proto: NodeProto, name: str) -> AttributeProto | None:
        """Return a call's attribute as the file holds it, one that refers to the function around resolved."""
        for attribute in proto.attribute:
            if attribute.name == name:
                return self._resolve(attribute)
        return None

    def attributes_of(self, proto: NodeProto) -> dict[str, AttributeProto]:
        """Return a call's attributes by name, those that refer to the function around resolved."""
        found = ((entry.name, self._resolve(entry)) for entry in proto.attribute)
        return {name: source for name, source in found if source is not None}

    def _resolve(self, attribute: AttributeProto) -> AttributeProto | None:
        if attribute.ref_attr_name:
            return self.attributes.get(attribute.ref_attr_name)
        return attribute

    def body(self, proto: NodeProto, name: str) -> GraphProto:
        """Return the graph that a call holds as an attribute.

        Raises:
            ModelError: It holds none of that name.
        """
        found = self.attribute(proto, name)
        if found is None or not found.HasField("g"):
            raise ModelError(f"{label(proto)} has no graph {name!r}")
        return found.g
