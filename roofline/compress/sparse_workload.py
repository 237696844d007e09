"""Weight pruning of a workload: effective multiply-accumulates beside dense ones, and bytes in a sparse format."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roofline.arguments import check_kind
from roofline.compress.bodies import distinct, stored_name
from roofline.compress.channels import variant_name
from roofline.compress.recount import distinct_weight_bytes, multiplies, stored_bytes
from roofline.compress.sparsity import Sparsity, count_zeros, zero_count
from roofline.errors import CompressionError
from roofline.layer import Layer, Use
from roofline.node import Tensor
from roofline.workload import Workload, transformations

if TYPE_CHECKING:
    import onnx


def sparsify_workload(workload: Workload, request: Sparsity | float) -> Workload:
    """Return a network whose smallest weights are zero.

    MACs stay what the operators define; `Layer.effective_macs` are those with a weight that is not zero. Whether a
    machine gains by them is the machine's property (`Platform.skips_zeros`), and whether memory does is the format's.

    Args:
        workload: The network.
        request: Share of the weights to zero, or a full request.

    Raises:
        CompressionError: A pattern matches no layer with weights.
    """
    if not isinstance(request, Sparsity):
        check_kind(
            request, (int, float), "sparsity", "Give the share of weights to zero, or a Sparsity"
        )
    sparsity = request if isinstance(request, Sparsity) else Sparsity(float(request))
    weighted = [layer.name for layer in workload.layers if _multiplying_weights(layer)]
    if not weighted and not sparsity.dense and not _table(workload):
        raise CompressionError(f"{workload.name} has no layer that multiplies with stored weights")
    sparsity.check(weighted)
    own = {layer.name: layer for layer in workload.layers}
    layers = tuple(_sparse(layer, sparsity, layer.name) for layer in workload.layers)
    untaken = tuple(_sparse(layer, sparsity, layer.name) for layer in workload.untaken)
    fused: list[Layer] = []
    for group in workload.fused_layers:
        members = [
            name for name in group.members if name in own and _multiplying_weights(own[name])
        ]
        fused.append(_sparse(group, sparsity, members[0] if members else group.name))
    return replace(
        workload,
        layers=layers,
        untaken=untaken,
        fused_layers=tuple(fused),
        weight_bytes=workload.weight_bytes
        + distinct_weight_bytes((*layers, *untaken))
        - distinct_weight_bytes((*workload.layers, *workload.untaken)),
        variant=workload.variant
        if sparsity.dense
        else variant_name(workload.variant, sparsity.label),
    )


transformations.add("sparsity", sparsify_workload)


def with_stored_zeros(workload: Workload, model: onnx.ModelProto) -> Workload:
    """Return a workload whose effective multiply-accumulates leave out the weights that are zero in a model.

    Args:
        workload: Counted from the model.
        model: With its weights; tensors without data count as free of zeros.
    """
    zeros = count_zeros(distinct(model))

    def mark(layer: Layer) -> Layer:
        tensors = _multiplying_weights(layer)
        elements = sum(tensor.elements or 0 for tensor in tensors)
        found = sum(zeros.get(stored_name(tensor.name, zeros), 0) for tensor in tensors)
        if not found:
            return layer
        left = layer.cost.macs - layer.cost.macs * found // elements
        return replace(layer, sparsity=found / elements, effective_macs=left)

    return replace(
        workload,
        layers=tuple(mark(layer) for layer in workload.layers),
        fused_layers=tuple(mark(layer) for layer in workload.fused_layers),
    )


def _multiplying_weights(layer: Layer) -> list[Tensor]:
    return [tensor for tensor in layer.weights if multiplies(layer, tensor)]


def _table(workload: Workload) -> bool:
    return any(layer.op_type == "Table" for layer in workload.layers)


def _sparse(layer: Layer, sparsity: Sparsity, name: str) -> Layer:
    share = sparsity.of(name)
    tensors = _multiplying_weights(layer)
    if not all(sparsity.fits(tensor.shape or ()) for tensor in tensors):
        return layer
    if not share or not layer.cost.macs or not (tensors or layer.op_type == "Table"):
        return layer
    marked = replace(layer, sparsity=share, weight_format=sparsity.format)
    if not tensors:
        # A published total is one bag of weights.
        return replace(marked, effective_macs=layer.cost.macs - zero_count(layer.cost.macs, share))
    elements = sum(tensor.elements or 0 for tensor in tensors)
    zeros = sum(zero_count(tensor.elements or 0, share) for tensor in tensors)
    before = sum(stored_bytes(layer, tensor) for tensor in tensors)
    after = sum(stored_bytes(marked, tensor) for tensor in tensors)
    return replace(
        marked,
        weight_bytes=layer.weight_bytes + after - before,
        accesses=tuple(
            replace(entry, bytes=stored_bytes(marked, entry.tensor))
            if entry.use is Use.WEIGHT and multiplies(layer, entry.tensor)
            else entry
            for entry in layer.accesses
        ),
        # Every weight of a convolution or a product is used equally often, so the share of MACs is exact.
        effective_macs=layer.cost.macs - layer.cost.macs * zeros // elements,
    )
