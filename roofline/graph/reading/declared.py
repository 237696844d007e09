"""The inputs a graph declares, given sizes: by the file, by the user, or batch 1 where a leading dimension is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.binding import Binding, assumed_batch
from roofline.errors import DimensionError, ModelError, UnplacedError, did_you_mean
from roofline.graph.reading.tensors import check_size, datatype
from roofline.node import Array, Tensor
from roofline.number_format import plural
from roofline.ops._datatypes import numpy_type
from roofline.ops._shapes import show
from roofline.surfaces import BATCH, dim_at, input_at, value_at

if TYPE_CHECKING:
    from onnx import TensorShapeProto, ValueInfoProto

# Exporters write these where they mean "unknown"; twice the same one need not be the same size.
_UNNAMED = frozenset({"", "?", "-1", "0", "None", "none", "unk", "unknown", "*"})

Dim = int | str | None
"""A size, the name of a symbolic one, or None for one without a name."""


@dataclass(frozen=True, slots=True)
class BoundInputs:
    """Inputs with sizes, and what was decided about them."""

    inputs: tuple[Tensor, ...]
    symbols: Mapping[str, int]
    """Size of every named symbolic dimension."""
    notes: tuple[str, ...]
    batch: int
    batch_assumed_for: tuple[str, ...]
    """Inputs whose symbolic leading dimension was taken as 1, since no batch was given."""
    overridden: bool
    """Whether a size that the file fixes was replaced."""
    unbound: tuple[str, ...] = ()
    """Names of given sizes that no input has: those of results inside the graph."""


def dimensions(shape: TensorShapeProto) -> tuple[Dim, ...]:
    """Return declared dimensions; 0, -1 and ``?`` mean one without a name."""
    found: list[Dim] = []
    for entry in shape.dim:
        kind = entry.WhichOneof("value")
        if kind == "dim_value":
            found.append(None if entry.dim_value in (0, -1) else entry.dim_value)
        elif kind == "dim_param":
            text = entry.dim_param.strip()
            found.append(None if text in _UNNAMED else text)
        else:
            found.append(None)
    return tuple(found)


def declare(entries: Sequence[ValueInfoProto], binding: Binding) -> BoundInputs:
    """Return the inputs with every dimension a number.

    Raises:
        DimensionError: A size is missing, or contradicts another; the message names the flag.
        ModelError: A declared dimension is impossible.
    """
    return _Declaration(entries, binding).result()


class _Declaration:
    """Sizes the inputs of one graph one after the other; symbols bound by one hold for the rest."""

    def __init__(self, entries: Sequence[ValueInfoProto], binding: Binding) -> None:
        self._entries = entries
        self._binding = binding
        self._declared = {entry.name: self._dims(entry) for entry in entries}
        self._inside: tuple[str, ...] = ()
        self._symbols: dict[str, int] = dict(binding.dims)
        self._notes: list[str] = []
        self._overridden = False
        self._batch: int | None = None
        self._defaulted: list[str] = []
        self._check_names()

    def result(self) -> BoundInputs:
        for name, sizes in self._binding.inputs.items():
            self._bind(name, tuple(sizes))
        for name, value in self._binding.values.items():
            dims = self._declared.get(name)
            # A value that fills open dimensions says their sizes.
            if dims and name not in self._binding.inputs and len(dims) == np.ndim(value):
                self._bind_value(name, dims, np.shape(value))
        # Leading dimensions first: the symbol of the batch may stand inside another input.
        self._bind_batch()
        self._check_sizes()
        tensors = tuple(self._tensor(entry) for entry in self._entries)
        if self._defaulted:
            self._notes.append(assumed_batch(self._defaulted))
        batch = self._batch
        if batch is None:
            batch = next(
                (tensor.shape[0] for tensor in tensors if tensor.shape and tensor.shape[0]), 1
            )
        self._check_batch(batch or 1)
        return BoundInputs(
            tensors,
            self._symbols,
            tuple(self._notes),
            batch or 1,
            tuple(self._defaulted),
            self._overridden,
            self._inside,
        )

    def _check_sizes(self) -> None:
        """Refuse inputs in which several sizes are missing, all of them named at once; one is left to `_size`."""
        named: dict[str, str] = {}
        shapeless: dict[str, tuple[Dim, ...] | None] = {}
        for name, dims in self._declared.items():
            if name in self._binding.inputs or name in self._binding.values:
                continue
            if dims is None:
                if self._holds_tensor(name):
                    shapeless[name] = None
                continue
            for place, size in enumerate(dims):
                if size == 0 and not self._gives_way(place, 0, dims):
                    shapeless[name] = dims
                elif place == 0:
                    continue
                elif size is None:
                    shapeless[name] = dims
                elif isinstance(size, str) and size not in self._symbols:
                    named.setdefault(size, name)
        if len(named) + len(shapeless) < 2:
            return
        lacking = [f"{size!r} of input {name!r}" for size, name in named.items()]
        lacking += [
            f"input {name!r} {'without a shape' if dims is None else show(dims)}"
            for name, dims in shapeless.items()
        ]
        given = [dim_at(size) for size in named]
        given += [
            input_at(name, "1x3x224x224" if dims is None else _example(dims))
            for name, dims in shapeless.items()
        ]
        raise DimensionError(
            f"dimensions without a size: {', '.join(lacking)}",
            repair=f"Give them: {' '.join(given)}",
        )

    def _holds_tensor(self, name: str) -> bool:
        entry = next(entry for entry in self._entries if entry.name == name)
        return entry.type.WhichOneof("value") in ("tensor_type", None)

    def _check_batch(self, batch: int) -> None:
        """Refuse a batch that no input took: a count at another batch must not pass for the one asked for."""
        asked = self._binding.batch
        if asked in (None, batch):
            return
        fixed = next((name for name, dims in self._declared.items() if dims), None)
        if fixed is None:
            raise DimensionError(
                f"no input has a leading dimension that could be {plural(asked, 'item')}",
                repair=f"Leave {BATCH} out",
            )
        dims = self._declared[fixed] or ()
        raise DimensionError(
            f"the model is at batch {batch}, not {asked}: its input {fixed!r} is {show(dims)}",
            repair=f"Leave {BATCH} out, or give the whole shape: {input_at(fixed, _example((asked, *dims[1:])))}",
        )

    def _dims(self, entry: ValueInfoProto) -> tuple[Dim, ...] | None:
        tensor = entry.type.tensor_type
        if entry.type.WhichOneof("value") not in ("tensor_type", None) or not tensor.HasField(
            "shape"
        ):
            return None
        # For an input that declares 0, ONNX Runtime takes nothing but tensors without elements.
        found = tuple(
            0
            if size is None and entry.WhichOneof("value") == "dim_value" and not entry.dim_value
            else size
            for size, entry in zip(dimensions(tensor.shape), tensor.shape.dim, strict=True)
        )
        if any(isinstance(size, int) and size < 0 for size in found):
            raise ModelError(f"input {entry.name!r} declares a negative dimension: {show(found)}")
        return found

    def _check_names(self) -> None:
        symbols = {
            size
            for dims in self._declared.values()
            if dims
            for size in dims
            if isinstance(size, str)
        }
        self._inside = tuple(name for name in self._binding.dims if name not in symbols)
        for name in self._binding.inputs:
            if name not in self._declared:
                hint = did_you_mean(name, self._declared) or f"Inputs: {', '.join(self._declared)}"
                raise UnplacedError(
                    f"the graph has no input {name!r}", "inputs", name, repair=hint
                )

    def _bind(self, name: str, sizes: tuple[int, ...]) -> None:
        """Take an input's whole shape from the caller."""
        check_size(sizes, f"input {name!r}")
        dims = self._declared[name]
        if dims is None:
            return
        if len(dims) != len(sizes):
            raise DimensionError(
                f"input {name!r} has {plural(len(dims), 'dimension')} {show(dims)}, not {len(sizes)}",
                repair=f"Give {input_at(name, _example(dims))}",
            )
        for declared, size in zip(dims, sizes, strict=True):
            if isinstance(declared, str):
                if self._symbols.setdefault(declared, size) != size:
                    raise DimensionError(
                        f"dimension {declared!r} of input {name!r} is {size}, and {self._symbols[declared]} elsewhere",
                        repair="Give it one size",
                    )
            elif declared is not None and declared != size:
                self._overridden = True
        if (
            dims
            and sizes
            and any(isinstance(d, int) and d != s for d, s in zip(dims, sizes, strict=True))
        ):
            self._notes.append(
                f"input {name} counted at {_times(sizes)}; the file fixes {show(dims)}"
            )

    def _bind_value(self, name: str, dims: tuple[Dim, ...], sizes: tuple[int, ...]) -> None:
        for declared, size in zip(dims, sizes, strict=True):
            if isinstance(declared, str) and self._symbols.setdefault(declared, size) != size:
                raise DimensionError(
                    f"the value given for {name!r} makes dimension {declared!r} {size}, and it is "
                    f"{self._symbols[declared]} elsewhere",
                    repair="Give it one size",
                )

    def _bind_batch(self) -> None:
        binding = self._binding
        for name, dims in self._declared.items():
            if name in binding.inputs:
                if dims and self._batch is None and not isinstance(dims[0], int):
                    self._batch = binding.inputs[name][0]
                continue
            # A value that decides shapes is no item of a batch.
            if not dims or isinstance(dims[0], int) or name in binding.values:
                continue
            symbol = dims[0]
            if symbol is not None and symbol in self._symbols:
                self._batch = self._batch or self._symbols[symbol]
            elif binding.batch is not None:
                self._batch = binding.batch
                if symbol is not None:
                    self._symbols[symbol] = binding.batch
            else:
                self._defaulted.append(f"{name}" if symbol is None else f"{name} ({symbol})")
                self._batch = self._batch or 1
                if symbol is not None:
                    self._symbols[symbol] = 1

    def _tensor(self, entry: ValueInfoProto) -> Tensor:
        name, dims, binding = entry.name, self._declared[entry.name], self._binding
        code = entry.type.tensor_type.elem_type
        kind = entry.type.WhichOneof("value")
        if kind == "optional_type" and name in binding.inputs:
            element = entry.type.optional_type.elem_type.tensor_type.elem_type
            held = datatype(element, f"input {name!r}") if element else None
            return Tensor(name, tuple(binding.inputs[name]), held)
        if kind not in ("tensor_type", None):
            return Tensor(name)
        dtype = datatype(code, f"input {name!r}") if code else None
        if name in binding.inputs:
            tensor = Tensor(name, tuple(binding.inputs[name]), dtype)
        elif dims is None:
            value = binding.values.get(name)
            if value is None:
                raise DimensionError(
                    f"input {name!r} declares no shape",
                    repair=f"Give it one: {input_at(name, '1x3x224x224')}",
                )
            tensor = Tensor(name, np.shape(value), dtype)
        else:
            tensor = Tensor(
                name, tuple(self._size(name, dims, place) for place in range(len(dims))), dtype
            )
        check_size(tensor.shape, f"input {name!r}")
        if name in binding.values:
            return with_value(tensor, binding.values[name])
        return tensor

    def _gives_way(self, place: int, size: int, dims: tuple[Dim, ...]) -> bool:
        """Return whether a size that the file fixes gives way to the batch that is asked for."""
        # A file that fixes one item, or none, is still asked for many: most networks are written for any number.
        asked = self._binding.batch
        return place == 0 and size in (0, 1) and len(dims) > 1 and asked not in (None, size)

    def _size(self, name: str, dims: tuple[Dim, ...], place: int) -> int:
        size, binding = dims[place], self._binding
        if isinstance(size, int):
            if self._gives_way(place, size, dims):
                self._overridden = True
                self._batch = binding.batch
                self._notes.append(
                    f"input {name} counted at batch {binding.batch}; the file fixes {show(dims)}"
                )
                return binding.batch or 1
            if not size:
                raise DimensionError(
                    f"dimension {place} of input {name!r} {show(dims)} is 0: it has no elements",
                    repair=f"Give the shape it is meant for: {input_at(name, _example(dims))}",
                )
            return size
        if size is not None and size in self._symbols:
            return self._symbols[size]
        if name in binding.values and len(dims) == 1:
            return int(np.size(binding.values[name]))
        if place == 0:
            return binding.batch or 1
        if size is None:
            raise DimensionError(
                f"dimension {place} of input {name!r} {show(dims)} has no size and no name",
                repair=f"Give the shape: {input_at(name, _example(dims))}",
            )
        raise DimensionError(
            f"dimension {size!r} of input {name!r} {show(dims)} has no size",
            repair=f"Give it: {dim_at(size)}, or the shape: {input_at(name, _example(dims))}",
        )


def with_value(tensor: Tensor, given: Any) -> Tensor:
    """Return a tensor with a value that the caller gives it.

    Raises:
        DimensionError: The value has another number of elements than the tensor.
    """
    kind = numpy_type(tensor.dtype)
    value: Array = np.asarray(given) if kind is None else np.asarray(given).astype(kind)
    if tensor.shape is not None and None not in tensor.shape:
        shape = tuple(size for size in tensor.shape if size is not None)
        if value.size != (tensor.elements or 0):
            raise DimensionError(
                f"the value given for {tensor.name!r} has {plural(value.size, 'element')}, it takes {tensor.elements}",
                repair=f"Give {value_at(tensor.name, '...')} with {plural(tensor.elements or 0, 'number')}",
            )
        value = value.reshape(shape)
    return replace(tensor, shape=value.shape, value=value)


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _example(dims: Sequence[Dim]) -> str:
    """Return a shape that the flag would take, with a likely number where one is open."""
    match dims:
        case (int(layers), size, int()) if layers > 1 and (not size or isinstance(size, str)):
            # The state of a recurrent network: layers, items, width.
            examples = (layers, 1, 1)
        case (_, _, _, int(channels)) if channels in (1, 3, 4):
            examples = (1, 224, 224, channels)
        case (_, _, _, _, *_):
            examples = (1, 3, 224, 224, 224)
        case _:
            examples = (1, 128, 128)
    filled = [
        size if isinstance(size, int) and size else examples[min(place, len(examples) - 1)]
        for place, size in enumerate(dims)
    ]
    return _times(filled)
