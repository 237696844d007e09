"""Channel pruning of a model and of a workload: plan, write, and check that every shape is as planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roofline.binding import UNBOUND, Binding
from roofline.compress.bodies import distinct, value_types
from roofline.compress.pruning import PruningPlan, plan
from roofline.compress.request import Pruning, as_pruning
from roofline.compress.rewrite import apply
from roofline.compress.tensors import inline_functions
from roofline.errors import CompressionError, ModelError
from roofline.node import Tensor
from roofline.precision import DatatypeKind
from roofline.workload import Origin, Workload, transformations

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class PrunedModel:
    """A model with fewer channels, and the plan it follows."""

    model: onnx.ModelProto
    plan: PruningPlan


def prune(
    model: onnx.ModelProto,
    request: Pruning | float | Mapping[str, float],
    *,
    name: str = "model",
    binding: Binding = UNBOUND,
) -> PrunedModel:
    """Return a new model that keeps a share of the channels; the given model is unchanged.

    Args:
        model: With weights they are ranked and cut; without, their dimensions shrink the same way.
        request: What to keep.
        name: For messages.
        binding: Sizes and values that the model leaves open.

    Raises:
        CompressionError: The request cannot be met exactly; the message names the layer or operator.

    Example:
        >>> from roofline.workloads import build
        >>> pruned = prune(build("mlp"), 0.5)
        >>> [list(tensor.dims) for tensor in pruned.model.graph.initializer if len(tensor.dims) == 2]
        [[784, 1024], [1024, 1024], [1024, 1024], [1024, 10]]
    """
    from roofline.graph import resolve

    whole = distinct(inline_functions(model))
    types = value_types(resolve(whole, name=name, binding=binding), whole)
    chosen = plan(whole, as_pruning(request), types)
    pruned = apply(chosen, whole)
    if chosen.kept:
        _check_shapes(chosen, types, pruned, name, binding)
    return PrunedModel(pruned, chosen)


def prune_workload(workload: Workload, request: Pruning | float | Mapping[str, float]) -> Workload:
    """Return the counts of the network with fewer channels: the graph is pruned and counted again.

    Raises:
        CompressionError: The counts come from a table, or were already changed in another way.
    """
    pruning = as_pruning(request)
    if pruning.dense:
        return workload
    if workload.origin is None:
        raise CompressionError(
            f"{workload.name} is a table of counts, and channels can only be pruned in a graph",
            repair="Give the network as an .onnx file or by the name of a shipped one",
        )
    if workload.precision is not None or workload.effective_macs != workload.macs:
        raise CompressionError(
            "channels are pruned before a precision or a sparsity is chosen",
            repair="Ask for all of them at once: under(pruning=..., precision=..., sparsity=...)",
        )
    origin = workload.origin
    pruned = prune(origin.model, pruning, name=workload.name, binding=origin.binding)
    counted = Workload.from_onnx(pruned.model, name=workload.name, binding=origin.binding)
    return replace(
        counted, source=workload.source, variant=variant_name(workload.variant, pruning.label),
        origin=Origin(pruned.model, origin.binding),
    )  # fmt: skip


transformations.add("pruning", prune_workload)


def variant_name(variant: str, label: str) -> str:
    """Return the name of a variant that is changed once more."""
    return label if variant == "dense" else f"{variant} {label}"


def _check_shapes(
    chosen: PruningPlan,
    before: Mapping[str, Tensor],
    pruned: onnx.ModelProto,
    name: str,
    binding: Binding,
) -> None:
    """Refuse a graph that computes a shape in a way the plan did not foresee."""
    from roofline.graph import resolve

    try:
        after = value_types(resolve(pruned, name=name, binding=binding), pruned)
    except ModelError as error:
        raise CompressionError(
            f"{name} computes its shapes in a way that pruning cannot follow: {error.message}"
        ) from error
    for value, tensor in after.items():
        planned = before.get(value)
        if planned is None or planned.shape is None or tensor.shape is None:
            continue
        kept = chosen.kept.get(value, {})
        expected = tuple(
            len(kept[axis]) if axis in kept else size for axis, size in enumerate(planned.shape)
        )
        if (
            expected != tensor.shape
            and None not in (*expected, *tensor.shape)
            and _has_channels(planned)
        ):
            raise CompressionError(
                f"{name} computes the shape of {value} in a way that pruning cannot follow: it would be "
                f"{list(tensor.shape)} and not {list(expected)}"
            )


def _has_channels(tensor: Tensor) -> bool:
    # Vectors of 64-bit integers hold shapes, whose own length pruning may change freely.
    return tensor.dtype is not None and not (
        tensor.dtype.kind is DatatypeKind.INT and tensor.dtype.bits == 64
    )
