"""What is known of an ONNX graph while calls in it are rewritten, and the calls written in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roofline.compress.reference import compute
from roofline.graph import resolve
from roofline.node import Array, Attributes, Tensor
from roofline.validate.measuring.backend import UnsupportedModelError

_LARGEST = 1 << 26
"""Elements up to which a constant is computed ahead."""
_EXACT: Mapping[str, Any] = {"int64": np.int64, "int32": np.int32, "bool": np.bool_}
"""Datatypes whose values decide shapes and branches."""


class Scope:
    """A graph being rewritten: shapes and constant values by name, new names, new calls."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._types: Mapping[str, Tensor] = resolve(model, name="the model").types
        self._stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._computed: dict[str, Array | None] = {}
        self._numbers: dict[tuple[Any, ...], str] = {}
        self._taken = {*self._types, *self._stored, *self._makers}
        self.nodes: list[Any] = []
        """The calls of the rewritten graph so far."""

    @property
    def opsets(self) -> Sequence[Any]:
        """Versions of the operators that the model uses, by domain."""
        return list(self._model.opset_import)

    @property
    def opset(self) -> int:
        """Version of ONNX's operators that the model uses."""
        return next(entry.version for entry in self._model.opset_import if not entry.domain)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the dimensions of a value.

        Raises:
            UnsupportedModelError: They are not all known before the run.
        """
        if name in self._stored:
            return tuple(self._stored[name].dims)
        tensor = self._types.get(name)
        known = None if tensor is None or tensor.shape is None else tensor.shape
        if known is None or any(size is None for size in known):
            raise UnsupportedModelError(f"the shape of {name!r} is not known before the run")
        return tuple(int(size) for size in known if size is not None)

    def find_value(self, name: str) -> Array | None:
        """Return the small value that shapes and constants alone decide, or None."""
        tensor = self._types.get(name)
        if tensor is None or tensor.value is None or tensor.dtype is None:
            return None
        exact = _EXACT.get(tensor.dtype.name)
        if exact is None or any(element is None for element in tensor.value.ravel().tolist()):
            return None
        return tensor.value.astype(exact)

    def value(self, name: str) -> Array | None:
        """Return a constant's elements, computed from stored ones where need be; None for all else."""
        if name not in self._computed:
            self._computed[name] = self._value(name)
        return self._computed[name]

    def constant(self, array: Array, hint: str) -> str:
        """Store an array and return its name; small equal ones are stored once."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(array).reshape(array.shape)
        key = (str(array.dtype), array.shape, array.tobytes()) if array.size <= 64 else ()
        if key and key in self._numbers:
            return self._numbers[key]
        name = self.fresh(hint)
        tensor = numpy_helper.from_array(array, name)
        self._model.graph.initializer.append(tensor)
        self._stored[name] = tensor
        if key:
            self._numbers[key] = name
        return name

    def keep(self, tensor: Any, hint: str) -> str:
        """Store a tensor of a subgraph in the graph itself and return its name there."""
        name = self.fresh(hint)
        added = self._model.graph.initializer.add()
        added.CopyFrom(tensor)
        added.name = name
        self._stored[name] = added
        return name

    def store(self, array: Array, name: str) -> None:
        """Store an array under a name whose maker goes away."""
        from onnx import numpy_helper

        tensor = self._model.graph.initializer.add()
        tensor.CopyFrom(
            numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        )
        self._stored[name] = tensor

    def kind(self, name: str) -> int:
        """Return ONNX's number of a stored value's datatype, 0 for what is not stored."""
        if name in self._stored:
            return int(self._stored[name].data_type)
        node = self._makers.get(name)
        if node is None or node.op_type != "Constant":
            return 0
        return next(
            (int(entry.t.data_type) for entry in node.attribute if entry.name == "value"), 0
        )

    def integers(self, *numbers: int) -> str:
        """Store a vector of integers and return its name."""
        return self.constant(np.array(numbers, np.int64), "numbers")

    def emit(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: int | Sequence[str] = 1,
        **attributes: Any,
    ) -> list[str]:
        """Append a call and return the names of its results: new ones, or those given."""
        from onnx import helper

        names = (
            [self.fresh(operator.lower()) for _ in range(outputs)]
            if isinstance(outputs, int)
            else list(outputs)
        )
        domain = attributes.get("domain", "")
        if all(entry.domain != domain for entry in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(domain, 1))
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def call(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a call with one result and return its name."""
        return self.emit(operator, inputs, **attributes)[0]

    def bind(self, name: str, result: str) -> None:
        """Give a result the name that others know; an empty name is a result nobody asks for."""
        if name:
            self.emit("Identity", [result], [name])

    def fresh(self, hint: str) -> str:
        """Return a name that nothing in the graph has."""
        name, count = hint, len(self._taken)
        while name in self._taken:
            name, count = f"{hint}_{count}", count + 1
        self._taken.add(name)
        return name

    def _value(self, name: str) -> Array | None:
        from onnx import numpy_helper

        if name in self._stored:
            return numpy_helper.to_array(self._stored[name])
        node = self._makers.get(name)
        if node is None or any(part.HasField("g") for part in node.attribute):
            return None
        tensor = self._types.get(name)
        if tensor is not None and (tensor.elements or 0) > _LARGEST:
            return None
        operands: dict[str, Array] = {}
        for part in filter(None, node.input):
            known = self.value(part)
            if known is None:
                return None
            operands[part] = known
        return compute([node], operands, [name], self.opsets).get(name)


def attributes_of(node: Any) -> Attributes:
    """Return a call's attributes by name; texts as `str`."""
    from onnx import helper

    found: dict[str, Any] = {}
    for entry in node.attribute:
        value: Any = helper.get_attribute_value(entry)
        if isinstance(value, bytes):
            value = value.decode()
        elif entry.strings:
            value = [part.decode() for part in entry.strings]
        found[entry.name] = value
    return found


def operand(node: Any, position: int) -> str:
    """Return the name at an operand's position, empty where it is left out."""
    return node.input[position] if position < len(node.input) else ""
