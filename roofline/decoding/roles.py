"""What each input of a decoder is for, by its name: token numbers, mask, positions, past keys and values.

The names are those of `roofline.decoding.spellings`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.binding import Binding
from roofline.decoding import spellings
from roofline.errors import DimensionError, OptionError
from roofline.surfaces import INPUTS, input_at

if TYPE_CHECKING:
    import onnx

_COSINES = 7
"""Operand of GroupQueryAttention with the cosines of the positions' angles."""


@dataclass(frozen=True, slots=True)
class Input:
    """One graph input: its name and dimensions, of which open ones are texts or None."""

    name: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class Roles:
    """The inputs of a decoder by what they are for, and the sizes that spread it over devices."""

    tokens: Input
    caches: tuple[Input, ...]
    """Past keys and values, and states of fixed size."""
    masks: tuple[Input, ...] = ()
    places: tuple[Input, ...] = ()
    whole: tuple[Input, ...] = ()
    past: tuple[Input, ...] = ()
    valid: tuple[Input, ...] = ()
    flags: tuple[Input, ...] = ()
    layers: int = 0
    heads: int | None = None
    """Query heads of a layer; None where no operator says."""
    kv_heads: int | None = None
    hidden: int | None = None
    """Width between layers; None where no table of embeddings says."""
    head_size: int | None = None
    """Of keys and values; None where no projection in front of attention says."""
    vocabulary: int | None = None
    """Rows of the table of embeddings; None without such a table."""
    positions: int | None = None
    """The longest context its tables of angles have; None without such tables."""

    def bind(self, requests: int, past: int, new: int) -> Binding:
        """Return the shapes and values of the inputs.

        Args:
            requests: How many are in flight.
            past: Positions that each request's cache holds.
            new: Positions that each request adds.
        """
        inputs: dict[str, tuple[int, ...]] = {}
        inputs[self.tokens.name] = _token_shape(self.tokens, requests, new)
        for entry in self.masks:
            inputs[entry.name] = {2: (requests, past + new), 3: (requests, new, past + new)}.get(
                len(entry.shape), (requests, 1, new, past + new)
            )
        for entry in self.places:
            inputs[entry.name] = (requests, new) if len(entry.shape) == 2 else (new,)
        for entry in self.caches:
            inputs[entry.name] = _cache(entry, requests, past, self.head_size)
        values: dict[str, object] = {}
        for entries, value in (
            (self.whole, past + new), (self.past, past), (self.valid, past + new - 1),
        ):  # fmt: skip
            for entry in entries:
                shape = tuple(requests for _ in entry.shape)
                inputs[entry.name] = shape
                values[entry.name] = (value,) * requests if shape else value
        for entry in self.flags:
            values[entry.name] = past > 0
        return Binding(requests, inputs=inputs, values=values)


def roles_of(model: onnx.ModelProto) -> Roles | None:
    """Return what each input is for; None for a network that has no past keys and values.

    Raises:
        DimensionError: It has a cache, but its tokens cannot be told, or inputs beside tokens that may be a cache under
            names of their own; the message names candidates.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    entries = [_input(value) for value in model.graph.input if value.name not in stored]
    caches = tuple(
        entry for entry in entries if spellings.CACHES.search(entry.name) and len(entry.shape) >= 3
    )
    if not caches:
        _check_unnamed(entries, model.graph.name)
        return None

    def select(names: frozenset[str]) -> tuple[Input, ...]:
        return tuple(entry for entry in entries if entry.name in names)

    tokens = select(spellings.TOKENS)
    if len(tokens) != 1:
        rest = ", ".join(repr(entry.name) for entry in entries if entry not in caches)
        raise DimensionError(
            f"it cannot be told which input of {model.graph.name!r} holds the token numbers (inputs: {rest})",
            repair=f"Name one of them {' or '.join(sorted(spellings.TOKENS))}, or give every shape with {INPUTS}",
        )
    attention = [
        node for node in model.graph.node if "Attention" in node.op_type and len(node.input) > 3
    ]
    # Sizes of heads are those of layers whose keys and values grow, where there are any.
    growing = [node for node in attention if node.op_type != "LinearAttention"]
    layers, attention = len(attention), growing or attention
    first: Mapping[str, int] = _attributes(attention[0]) if attention else {}
    dims = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    table, places = _token_table(model.graph, dims), select(spellings.PLACES)
    angles = _angle_tables(model.graph, dims, {entry.name for entry in places})
    heads = caches[0].shape[1] if len(caches[0].shape) == 4 else None
    return Roles(
        tokens[0], caches, select(spellings.MASKS), places, select(spellings.WHOLE), select(spellings.PAST),
        select(spellings.VALID), select(spellings.BRANCH),
        layers=layers or max(len(caches) // 2, 1),
        heads=first.get("num_heads") or first.get("q_num_heads"),
        kv_heads=first.get("kv_num_heads") or (heads if isinstance(heads, int) else None),
        hidden=None if table is None else table[1],
        head_size=_head_size(model.graph, attention[0], first, dims) if attention else None,
        vocabulary=None if table is None else table[0],
        positions=min((shape[0] for shape in angles), default=None),
    )  # fmt: skip


def _check_unnamed(entries: Sequence[Input], graph: str) -> None:
    """Refuse tokens beside several inputs of one open shape: they may be keys and values, under names nobody knows.

    Raises:
        DimensionError: There are such; the message names them.
    """
    if not any(entry.name in spellings.TOKENS for entry in entries):
        return
    alike: dict[tuple[int | str | None, ...], list[str]] = {}
    for entry in entries:
        behind = entry.shape[1:]
        if len(entry.shape) >= 3 and any(not isinstance(size, int) for size in behind):
            alike.setdefault(entry.shape, []).append(entry.name)
    found = max(alike.values(), key=len) if alike else []
    if len(found) >= 2:
        more = ", …" if len(found) > 4 else ""
        raise DimensionError(
            f"it cannot be told whether inputs {', '.join(map(repr, found[:4]))}{more} of {graph!r} are its past keys "
            "and values",
            repair=f"Name them as exporters do, {spellings.EXAMPLES}, or give every shape with {INPUTS}",
        )


def _token_table(
    graph: onnx.GraphProto, dims: Mapping[str, tuple[int, ...]]
) -> tuple[int, ...] | None:
    """Return the sizes of the table of the tokens' vectors, by those of stored tensors; None without one."""
    tables = (
        dims[node.input[0]]
        for node in graph.node
        if node.op_type in {"Gather", "GatherBlockQuantized"} and node.input[0] in dims
    )
    # Tables of angles are looked up too; that of the tokens is the largest.
    return max((shape for shape in tables if len(shape) == 2), key=math.prod, default=None)


def _angle_tables(
    graph: onnx.GraphProto, dims: Mapping[str, tuple[int, ...]], places: Collection[str]
) -> list[tuple[int, ...]]:
    """Return the sizes of the tables of angles: looked up at the positions, or given to attention."""
    looked_up = [
        dims[node.input[0]]
        for node in graph.node
        if node.op_type == "Gather" and node.input[0] in dims and node.input[1] in places
    ]
    return looked_up + [
        dims[node.input[_COSINES]]
        for node in graph.node
        if node.op_type == "GroupQueryAttention"
        and len(node.input) > _COSINES
        and node.input[_COSINES] in dims
    ]


def _input(value: onnx.ValueInfoProto) -> Input:
    dims = value.type.tensor_type.shape.dim
    return Input(
        value.name,
        tuple(
            dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in dims
        ),
    )


def _attributes(node: onnx.NodeProto) -> Mapping[str, int]:
    return {entry.name: entry.i for entry in node.attribute}


def _token_shape(entry: Input, requests: int, new: int) -> tuple[int, ...]:
    """Return the shape of the tokens: requests, new positions, and a width where embeddings go in."""
    if len(entry.shape) not in (2, 3):
        raise OptionError(
            f"input {entry.name!r} has rank {len(entry.shape)}, token numbers have 2",
            repair=f"Give its shape with {INPUTS}",
        )
    tail = entry.shape[2:]
    if any(not isinstance(size, int) for size in tail):
        raise DimensionError(
            f"the width of input {entry.name!r} is open", repair=f"Give its shape with {INPUTS}"
        )
    return (requests, new, *(size for size in tail if isinstance(size, int)))


def _head_size(
    graph: onnx.GraphProto,
    attention: onnx.NodeProto,
    counts: Mapping[str, int],
    dims: Mapping[str, tuple[int, ...]],
) -> int | None:
    """Return the size of a head of keys, from the projection that makes them: alone, or packed with the others."""
    groups, heads = counts.get("kv_num_heads", 0), counts.get("num_heads", 0)
    packed = not attention.input[1]
    makers = {name: node for node in graph.node for name in node.output}
    at, parts = attention.input[0 if packed else 1], heads + 2 * groups if packed else groups
    while parts and at in makers:
        node = makers[at]
        stored = next((dims[name] for name in node.input if len(dims.get(name, ())) == 2), None)
        # Of narrow weights the shape is that of their blocks, and an attribute holds the width.
        width = _attributes(node).get("N") or (
            stored[-1] if stored is not None and node.op_type == "MatMul" else 0
        )
        if width:
            return width // parts
        at = node.input[0] if node.input else ""
    return None


def _cache(
    entry: Input, requests: int, past: int, head_size: int | None = None
) -> tuple[int, ...]:
    """Return the shape of a cache: the open dimension behind the batch is the positions; a state has none.

    Exporters may leave the size of a head open too, behind the positions.

    Raises:
        DimensionError: Several are open, or none is and it is shorter than the past.
    """
    head, *rest = entry.shape
    if spellings.STATES.search(entry.name) and all(isinstance(size, int) for size in rest):
        return (requests, *(int(size or 0) for size in rest))
    if not isinstance(head, int) and len(entry.shape) == 5:
        raise DimensionError(
            f"input {entry.name!r} holds keys and values in one",
            repair=f"Give its shape with {INPUTS}",
        )
    first = requests if not isinstance(head, int) or len(entry.shape) == 4 else head
    if head_size is not None and len(rest) == 3 and isinstance(rest[0], int):
        rest[2] = rest[2] if isinstance(rest[2], int) else head_size
    opened = [place for place, size in enumerate(rest) if not isinstance(size, int)]
    if len(opened) > 1 or (
        not opened and past > max(size for size in rest if isinstance(size, int))
    ):
        raise DimensionError(
            f"it cannot be told which dimension of input {entry.name!r} {list(entry.shape)} is the positions",
            repair=f"Give its shape with {input_at(entry.name, '…')}",
        )
    return (
        first,
        *(past if place in opened else int(size or 0) for place, size in enumerate(rest)),
    )
