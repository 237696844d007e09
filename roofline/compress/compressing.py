"""Compressing a model in one call: channels, then weights, then datatypes; and how the file agrees with the what-if."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from roofline.binding import UNBOUND, Binding
from roofline.compress.bodies import calls, distinct, nested_tensors
from roofline.compress.channels import prune
from roofline.compress.narrowing import Narrowing, find_narrowing
from roofline.compress.pruning import PruningPlan
from roofline.compress.quantization import Quantization
from roofline.compress.recount import multiplies
from roofline.compress.request import Pruning
from roofline.compress.sparse_workload import with_stored_zeros
from roofline.compress.sparsity import Sparsity, zero_share, zero_weights
from roofline.compress.tensors import inline_functions
from roofline.compress.writers._registry import WriteOptions, kept_layers, quantize
from roofline.errors import CompressionError
from roofline.precision import DATATYPES, Bits, packed_bytes
from roofline.workload import Workload

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Request:
    """All that is asked of one compression; None leaves that part as it is."""

    pruning: Pruning | None = None
    sparsity: Sparsity | None = None
    quantization: Quantization | None = None
    options: WriteOptions = field(default_factory=WriteOptions)

    @property
    def empty(self) -> bool:
        """Whether it asks for nothing."""
        return all(part is None or part.dense for part in (self.pruning, self.sparsity)) and (
            self.quantization is None or self.quantization.empty
        )

    @property
    def label(self) -> str:
        """The request in one line, as a variant's name; ``dense`` when it asks for nothing."""
        pruned = [part.label for part in (self.pruning, self.sparsity) if part and not part.dense]
        narrow = [self.quantization.label] if self.quantization is not None else []
        return " ".join([*pruned, *narrow]) or "dense"

    def under(self, workload: Workload) -> Workload:
        """Return the workload's counts after this compression."""
        return workload.under(
            pruning=self.pruning, sparsity=self.sparsity, precision=self.quantization
        )


@dataclass(frozen=True, slots=True)
class CompressedModel:
    """A compressed model and what was predicted about it."""

    model: onnx.ModelProto
    plan: PruningPlan | None
    """Which channels stayed; None when none were to go."""
    predicted: Workload
    """The counts that the what-if gives for the uncompressed model."""
    counted: Workload
    """The counts of the compressed model; zeros in its weights are counted one by one where pruning or a ternary
    threshold wrote them."""
    stored_bytes: int
    """The predicted weight bytes when zeros are stored too, as ONNX files store them, whatever the sparse format."""
    scale_bytes: int
    """Scales and zero points of more than one element in the compressed model, which the what-if leaves out."""
    beside_bytes: int = 0
    """By how many bytes the file's operands that do not multiply differ from the prediction, which narrows none of
    them: ONNX Runtime's quantizer narrows those that are added or scaled, and stores a shared bias for each layer."""
    narrowing: Narrowing | None = None
    """Which weights are stored narrower; None when no datatype was asked for."""

    @property
    def agrees(self) -> bool:
        """Whether the file's MACs are those predicted and its weight bytes are too, scales aside."""
        return (
            self.predicted.macs == self.counted.macs
            and self.stored_bytes + self.scale_bytes == self.counted.weight_bytes
        )

    @property
    def zero_share(self) -> float:
        """Share of the weights that multiply which are zero in the compressed model."""
        return zero_share(self.model)


def compress(
    model: onnx.ModelProto, request: Request, *, name: str = "model", binding: Binding = UNBOUND
) -> CompressedModel:
    """Return a compressed model beside its predicted and its counted requirements; the given model is unchanged.

    Args:
        model: With its weights.
        request: What to do.
        name: For messages and in the counts.
        binding: Sizes and values that the model leaves open.

    Raises:
        CompressionError: A part of the request cannot be met.
    """
    dense = Workload.from_onnx(model, name=name, binding=binding)
    predicted = request.under(dense)
    unsparse = replace(request, sparsity=None).under(dense)
    stored = unsparse.weight_bytes
    written, plan, sparse = model, None, None
    if request.pruning is not None and not request.pruning.dense:
        pruned = prune(written, request.pruning, name=name, binding=binding)
        written, plan = pruned.model, pruned.plan
    if request.sparsity is not None and not request.sparsity.dense:
        written = sparse = zero_weights(written, request.sparsity)
    wide = written
    if request.quantization is not None and request.quantization.label:
        options = replace(request.options, binding=binding)
        written = quantize(written, request.quantization, options)
    counted = Workload.from_onnx(written, name=name, binding=binding)
    narrowing, asked = None, None
    if request.quantization is not None and request.quantization.datatype is not None:
        asked = request.quantization.datatype
        before = dense if wide is model else Workload.from_onnx(wide, name=name, binding=binding)
        narrowing = find_narrowing(
            before, counted, asked.weight_bits,
            asked=kept_layers(distinct(inline_functions(wide)), request.quantization), scales=_scales(written),
        )  # fmt: skip
    ternary = asked is not None and asked.name == "ternary"
    if sparse is written or ternary:
        counted = with_stored_zeros(counted, written)
    scales = scale_bytes(written)
    beside = 0
    if asked is not None and asked.weight_bits < _FLOAT_BITS:
        beside = counted.weight_bytes - stored - scales
        beside -= _multiplying_bytes(counted) - _multiplying_bytes(unsparse)
    return CompressedModel(written, plan, predicted, counted, stored, scales, beside, narrowing)


_FLOAT_BITS = 16
"""Datatypes of so many bits and more convert every stored float; narrower ones the weights that multiply."""


def _multiplying_bytes(workload: Workload) -> int:
    """Return the bytes of the stored operands that multiply in a layer, each tensor once."""
    found = {
        tensor.name: tensor.bytes or 0
        for layer in (*workload.layers, *workload.untaken)
        for tensor in layer.weights
        if multiplies(layer, tensor)
    }
    return sum(found.values())


def scale_bytes(model: onnx.ModelProto) -> int:
    """Return the bytes of stored scales and zero points that have more than one element, each tensor once."""
    stored = nested_tensors(model)
    total = 0
    for name in _scales(model) & stored.keys():
        tensor = stored[name]
        elements = math.prod(tensor.dims)
        total += packed_bytes(elements, _bits(tensor)) if elements > 1 else 0
    return total


def _scales(model: onnx.ModelProto) -> set[str]:
    """Return the names of the scales and zero points that quantization reads."""
    return {
        name
        for node in calls(model.graph)
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}
        for name in node.input[1:]
    }


def serialize(model: onnx.ModelProto) -> bytes:
    """Return a model as the bytes of a file.

    Raises:
        CompressionError: It is larger than the two gigabytes that one ONNX file can hold.
    """
    try:
        return model.SerializeToString()
    except ValueError as error:
        raise CompressionError(
            f"the compressed model does not fit in one ONNX file: {error}"
        ) from error


def _bits(tensor: onnx.TensorProto) -> Bits:
    from onnx import helper

    name = helper.tensor_dtype_to_string(tensor.data_type).rpartition(".")[2].lower()
    short = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "double": "fp64"}.get(
        name, name
    )
    return DATATYPES[short].bits if short in DATATYPES else 8
