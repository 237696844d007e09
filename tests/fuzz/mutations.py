"""Damage to models that stays well-formed, and damage to their bytes: what a hostile or broken exporter may write."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import onnx
from onnx import AttributeProto, TensorProto, helper

Mutation = Callable[[onnx.ModelProto, random.Random], None]

NAMES = ("x", "w", "y", "h", "", "nobody", "[red]x[/]", "\x1b[31mx", "=1+1", "名前")
SIZES = (-(2**63), -(2**31), -1, 0, 1, 2, 3, 7, 1000, 2**31, 2**40, 2**63 - 1)
SMALL_SIZES = (0, 1, 2, 3, 4, 6, 8)
SCHEMAS = [schema for schema in onnx.defs.get_all_schemas() if not schema.domain]
OPERATORS = sorted({schema.name for schema in SCHEMAS})
ATTRIBUTES = sorted({name for schema in SCHEMAS for name in schema.attributes})
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft", "local")
CONTRIBUTED = (
    "Attention", "FastGelu", "FusedConv", "FusedMatMul", "GroupQueryAttention", "MatMulNBits", "MultiHeadAttention",
    "QAttention", "QGemm", "QLinearAdd", "QLinearConcat", "SkipLayerNormalization", "DynamicQuantizeMatMul",
)  # fmt: skip


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for call in graph.node:
        for attribute in call.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _graph(model: onnx.ModelProto, dice: random.Random) -> onnx.GraphProto:
    return dice.choice(list(_graphs(model.graph)))


def _call(model: onnx.ModelProto, dice: random.Random) -> onnx.NodeProto:
    """A call at any depth, of the graph or of a local function."""
    calls = [call for graph in _graphs(model.graph) for call in graph.node]
    calls += [call for function in model.functions for call in function.node]
    return dice.choice(calls) if calls else model.graph.node.add(op_type="Relu", output=["y"])


def _known(model: onnx.ModelProto, dice: random.Random) -> str:
    """The name of a value that the model has."""
    names = [
        name
        for graph in _graphs(model.graph)
        for call in graph.node
        for name in (*call.input, *call.output)
    ]
    return dice.choice(names) if names and dice.random() < 0.8 else dice.choice(NAMES)


def rename_operand(model: onnx.ModelProto, dice: random.Random) -> None:
    call = _call(model, dice)
    if call.input:
        call.input[dice.randrange(len(call.input))] = _known(model, dice)


def drop_operand(model: onnx.ModelProto, dice: random.Random) -> None:
    call = _call(model, dice)
    if call.input:
        del call.input[dice.randrange(len(call.input))]


def add_operand(model: onnx.ModelProto, dice: random.Random) -> None:
    call = _call(model, dice)
    call.input.insert(dice.randint(0, len(call.input)), _known(model, dice))


def change_results(model: onnx.ModelProto, dice: random.Random) -> None:
    call = _call(model, dice)
    kind = dice.random()
    if call.output and kind < 0.4:
        call.output[dice.randrange(len(call.output))] = dice.choice(NAMES)
    elif call.output and kind < 0.7:
        del call.output[dice.randrange(len(call.output))]
    else:
        call.output.append(f"more{dice.randint(0, 9)}")


def swap_operator(model: onnx.ModelProto, dice: random.Random) -> None:
    call = _call(model, dice)
    if dice.random() < 0.15:
        call.op_type, call.domain = dice.choice(CONTRIBUTED), "com.microsoft"
    else:
        call.op_type = dice.choice(OPERATORS)


def swap_domain(model: onnx.ModelProto, dice: random.Random) -> None:
    _call(model, dice).domain = dice.choice(DOMAINS)


def swap_opset(model: onnx.ModelProto, dice: random.Random) -> None:
    if model.opset_import:
        dice.choice(model.opset_import).version = dice.choice(
            (-1, 0, 1, 6, 9, 11, 13, 18, 23, 2**31)
        )


def _dims_of(dims: list[int], dice: random.Random) -> list[int]:
    sizes = SMALL_SIZES if dice.random() < 0.6 else SIZES
    kind = dice.random()
    if dims and kind < 0.6:
        dims[dice.randrange(len(dims))] = dice.choice(sizes)
    elif dims and kind < 0.8:
        del dims[dice.randrange(len(dims))]
    else:
        dims.insert(dice.randint(0, len(dims)), dice.choice(sizes))
    return dims


def change_stored_dims(model: onnx.ModelProto, dice: random.Random) -> None:
    graph = _graph(model, dice)
    if graph.initializer:
        stored = dice.choice(graph.initializer)
        stored.dims[:] = _dims_of(list(stored.dims), dice)


def change_declared_dims(model: onnx.ModelProto, dice: random.Random) -> None:
    graph = _graph(model, dice)
    declared = [*graph.input, *graph.output, *graph.value_info]
    if not declared:
        return
    shape = dice.choice(declared).type.tensor_type.shape
    if shape.dim and dice.random() < 0.2:
        dice.choice(shape.dim).dim_param = dice.choice(NAMES)
        return
    dims = _dims_of([dim.dim_value for dim in shape.dim], dice)
    del shape.dim[:]
    for size in dims:
        shape.dim.add().dim_value = size


def store_input(model: onnx.ModelProto, dice: random.Random) -> None:
    """Make an input a stored tensor, as an exporter that folds constants would: compression then sees weights."""
    if not model.graph.input:
        return
    given = dice.choice(model.graph.input)
    kind = given.type.tensor_type
    stored = model.graph.initializer.add(name=given.name, data_type=kind.elem_type)
    stored.dims.extend(dim.dim_value for dim in kind.shape.dim)
    model.graph.input.remove(given)


def follow_with_product(model: onnx.ModelProto, dice: random.Random) -> None:
    """Let a layer with weights make what an input gave, so that channels reach the calls behind it."""
    given = [entry for entry in model.graph.input if len(entry.type.tensor_type.shape.dim) > 1]
    if not given:
        return
    entry = dice.choice(given)
    dims = [dim.dim_value for dim in entry.type.tensor_type.shape.dim]
    name = f"{entry.name}_made"
    for call in model.graph.node:
        for place, operand in enumerate(call.input):
            if operand == entry.name:
                call.input[place] = name
    last = dims[-1] if 0 < dims[-1] < 512 else 4
    if len(dims) == 4 and dice.random() < 0.7 and 0 < dims[1] < 512:
        weight, call = (
            [dims[1], dims[1], 1, 1],
            helper.make_node("Conv", [entry.name, f"{name}_w"], [name], name),
        )
    else:
        weight, call = (
            [last, last],
            helper.make_node("MatMul", [entry.name, f"{name}_w"], [name], name),
        )
    stored = model.graph.initializer.add(name=f"{name}_w", data_type=TensorProto.FLOAT)
    stored.dims.extend(weight)
    model.graph.node.insert(0, call)


def change_datatype(model: onnx.ModelProto, dice: random.Random) -> None:
    graph = _graph(model, dice)
    kind = dice.randint(-1, 30)
    if graph.initializer and dice.random() < 0.5:
        dice.choice(graph.initializer).data_type = kind
    elif graph.input:
        dice.choice(graph.input).type.tensor_type.elem_type = kind


def change_stored_values(model: onnx.ModelProto, dice: random.Random) -> None:
    """Other numbers in a small stored tensor: shapes, axes, bounds, scales."""
    small = [
        stored for graph in _graphs(model.graph) for stored in graph.initializer
        if stored.data_type in {TensorProto.INT64, TensorProto.INT32} and 0 < sum(1 for _ in stored.dims) < 2
    ]  # fmt: skip
    if small:
        stored = dice.choice(small)
        count = max(0, min(8, stored.dims[0]))
        numbers = [
            dice.choice(SIZES if dice.random() < 0.4 else SMALL_SIZES) for _ in range(count)
        ]
        limit = 2**31 if stored.data_type == TensorProto.INT32 else 2**63
        numbers = [number if -limit <= number < limit else -1 for number in numbers]
        stored.CopyFrom(helper.make_tensor(stored.name, stored.data_type, [count], numbers))


def _value(dice: random.Random) -> object:
    """An attribute's value of any type."""
    sizes = SIZES if dice.random() < 0.4 else SMALL_SIZES
    return dice.choice((
        lambda: dice.choice(sizes), lambda: [dice.choice(sizes) for _ in range(dice.randint(1, 5))],
        lambda: dice.choice((0.5, -1.0, float("nan"), float("inf"))), lambda: [0.5, float("nan")],
        lambda: dice.choice(("", "two", "DCR", "ij,jk->ik", "linear", "\xff")), lambda: ["a", "b"],
        lambda: helper.make_tensor("t", TensorProto.INT64, [2], [1, 2]),
        lambda: helper.make_graph([], "g", [], []), lambda: [helper.make_tensor("t", TensorProto.FLOAT, [], [1.0])],
    ))()  # fmt: skip


def set_attribute(model: onnx.ModelProto, dice: random.Random) -> None:
    """Give a call an attribute, its own or any that an operator has, of any type."""
    call = _call(model, dice)
    own = [attribute.name for attribute in call.attribute]
    if not own and call.op_type in OPERATORS:
        own = sorted(next(schema for schema in SCHEMAS if schema.name == call.op_type).attributes)
    name = dice.choice(own) if own and dice.random() < 0.8 else dice.choice(ATTRIBUTES)
    for attribute in [attribute for attribute in call.attribute if attribute.name == name]:
        call.attribute.remove(attribute)
    call.attribute.append(helper.make_attribute(name, _value(dice)))


def damage_attribute(model: onnx.ModelProto, dice: random.Random) -> None:
    """Let an attribute's type and its content disagree, or name it twice or not at all."""
    call = _call(model, dice)
    if not call.attribute:
        return
    attribute: AttributeProto = dice.choice(call.attribute)
    kind = dice.random()
    if kind < 0.4:
        attribute.type = dice.randint(0, 14)  # pyright: ignore[reportAttributeAccessIssue]
    elif kind < 0.6:
        attribute.i = dice.choice(SIZES)
        if attribute.ints:
            attribute.ints[dice.randrange(len(attribute.ints))] = dice.choice(SIZES)
    elif kind < 0.8:
        call.attribute.append(attribute)
    elif kind < 0.9:
        call.attribute.remove(attribute)
    else:
        attribute.name = dice.choice(NAMES)


def move_call(model: onnx.ModelProto, dice: random.Random) -> None:
    """Drop, double or move a call."""
    graph = _graph(model, dice)
    if not graph.node:
        return
    call = dice.choice(graph.node)
    kind = dice.random()
    if kind < 0.4:
        graph.node.remove(call)
    elif kind < 0.7:
        graph.node.append(call)
    else:
        copy = onnx.NodeProto()
        copy.CopyFrom(call)
        graph.node.remove(call)
        graph.node.insert(dice.randint(0, len(graph.node)), copy)


def change_interface(model: onnx.ModelProto, dice: random.Random) -> None:
    graph = _graph(model, dice)
    kind = dice.random()
    if graph.output and kind < 0.3:
        dice.choice(graph.output).name = _known(model, dice)
    elif graph.output and kind < 0.5:
        graph.output.remove(dice.choice(graph.output))
    elif graph.input and kind < 0.8:
        graph.input.remove(dice.choice(graph.input))
    elif graph.initializer:
        graph.initializer.remove(dice.choice(graph.initializer))


MUTATIONS: tuple[Mutation, ...] = (
    rename_operand, drop_operand, add_operand, change_results, swap_operator, swap_domain, swap_opset,
    change_stored_dims, change_declared_dims, store_input, follow_with_product, change_datatype,
    change_stored_values, set_attribute, set_attribute, set_attribute, damage_attribute, move_call, change_interface,
)  # fmt: skip


def damage_bytes(content: bytes, dice: random.Random) -> bytes:
    """Return a file that was cut, flipped or overwritten."""
    if not content:
        return content
    kind, place = dice.random(), dice.randrange(len(content))
    if kind < 0.4:
        return content[:place]
    if kind < 0.8:
        flipped = bytearray(content)
        flipped[place] ^= 1 << dice.randrange(8)
        return bytes(flipped)
    return (
        content[:place]
        + dice.randbytes(dice.randint(1, 8))
        + content[place + dice.randint(0, 8) :]
    )


def mutated(content: bytes, dice: random.Random) -> bytes:
    """Return a model with one to three faults."""
    if dice.random() < 0.1:
        return damage_bytes(content, dice)
    model = onnx.ModelProto.FromString(content)
    if dice.random() < 0.5:
        follow_with_product(model, dice)
    for _ in range(dice.choice((1, 1, 2, 3))):
        dice.choice(MUTATIONS)(model, dice)
    return model.SerializeToString()
