"""Decoders that are run: one phase with inputs of the right lengths, and their files in the formats that run.

A cache is random numbers at full length, and every position is valid, so that a step reads as many bytes as it would
behind a prompt of that length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.binding import Binding
from roofline.decoding.request import Phase
from roofline.decoding.roles import Input, roles_of
from roofline.errors import OptionError
from roofline.node import Array

if TYPE_CHECKING:
    import onnx

    from roofline.compress.quantization import Quantization
    from roofline.workloads.decoder_network import DecoderNetwork

BLOCK = 128
"""Weights that share a scale in a file of narrow weights, as `roofline.precision` counts them."""
_SHARING = "GroupQueryAttention"
_PAST = (3, 4)
"""Its operands that hold past keys and values; its results 1 and 2 are the grown ones."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of answering a request that is run by itself."""

    phase: Phase
    """``prefill`` or ``decode``."""
    context: int
    """Positions of the prompt."""

    @property
    def past(self) -> int:
        """Positions that each request's cache holds before the run."""
        return self.context if self.phase is Phase.DECODE else 0

    @property
    def new(self) -> int:
        """Positions that the run adds."""
        return 1 if self.phase is Phase.DECODE else self.context

    @property
    def label(self) -> str:
        """The stage in a few words, for tables: ``decode at 4096``."""
        return f"{self.phase.value} at {self.context}"


def stage_inputs(
    model: onnx.ModelProto, stage: Stage, requests: int, *, seed: int
) -> tuple[Binding, dict[str, Array]]:
    """Return what a stage fixes of a decoder's inputs, and their elements.

    Args:
        model: With open or fitting lengths.
        stage: Which part is run.
        requests: How many are in flight.
        seed: Of the token numbers and the caches.

    Raises:
        OptionError: The model is no decoder.
        DimensionError: Its inputs cannot be told apart.
    """
    roles = roles_of(model)
    if roles is None:
        raise OptionError(
            f"{model.graph.name!r} has no key-value cache among its inputs, so it has no phases",
            repair="Leave --phase and --context out",
        )
    bound = roles.bind(requests, stage.past, stage.new)
    whole = stage.past + stage.new
    # A cache that attention grows in place has room for the new positions from the start.
    shared = set(shared_caches(model).values())
    shapes = dict(bound.inputs)
    for entry in roles.caches:
        if entry.name in shared:
            head, heads, _, size = shapes[entry.name]
            shapes[entry.name] = (head, heads, whole, size)
    bound = replace(bound, inputs=shapes)
    kinds = {entry.name: entry.type.tensor_type.elem_type for entry in model.graph.input}
    random = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}

    def put(entry: Input, array: Any) -> None:
        arrays[entry.name] = np.asarray(array).astype(_numpy_type(kinds[entry.name]))

    tokens = shapes[roles.tokens.name]
    put(
        roles.tokens,
        random.integers(0, roles.vocabulary or 2, tokens)
        if len(tokens) == 2
        else random.standard_normal(tokens),
    )
    for entry in roles.masks:
        put(entry, _mask(shapes[entry.name], stage, additive=_is_float(kinds[entry.name])))
    for entry in roles.places:
        put(entry, np.broadcast_to(np.arange(stage.past, whole), shapes[entry.name]))
    for entry in roles.caches:
        put(entry, random.standard_normal(shapes[entry.name], np.float32))
    for entry in (*roles.whole, *roles.past, *roles.valid, *roles.flags):
        put(entry, np.broadcast_to(bound.values[entry.name], shapes.get(entry.name, ())))
    return bound, arrays


def shared_caches(model: onnx.ModelProto) -> dict[str, str]:
    """Return, of each grown cache that may lie where the past one does, the name of that one.

    Both are in the interface of the graph, and the operator between them writes the new positions behind the old.
    """
    inputs = {entry.name for entry in model.graph.input}
    outputs = {entry.name for entry in model.graph.output}
    return {
        node.output[place]: node.input[operand]
        for node in model.graph.node
        if node.op_type == _SHARING and len(node.output) > max(_PAST) - 2
        for place, operand in enumerate(_PAST, 1)
        if node.output[place] in outputs and node.input[operand] in inputs
    }


def in_format(network: DecoderNetwork, asked: Quantization, *, seed: int = 0) -> onnx.ModelProto:
    """Return a decoder with random weights in a format that runs.

    Activations and cache are fp32, or fp16 where the format says so; the embedding and the output projection stay as
    wide as they.

    Args:
        network: The decoder's sizes.
        asked: ``fp32``, ``fp16``, or narrow weights such as ``w4a32``.
        seed: Of the weights.

    Raises:
        OptionError: The weights do not fit in an ONNX file.
        CompressionError: No file holds that format.
    """
    from roofline.compress.sparsity import multiplying_weights
    from roofline.compress.writers._registry import WriteOptions, quantize

    wanted = asked.datatype
    half = wanted is not None and wanted.activation_bits == 16
    model = network.build(weights="random", seed=seed, half=half)
    if wanted is not None and wanted.name in {"fp16", "fp32"}:
        return model
    head = list(multiplying_weights(model).values())[-1]
    return quantize(model, asked, WriteOptions(block=BLOCK, dynamic=True, wide=(head,)))


def _mask(shape: tuple[int, ...], stage: Stage, *, additive: bool) -> Any:
    """Return a mask under which every position sees those before it, and itself."""
    if len(shape) == 2:
        return np.ones(shape)
    seen = np.arange(stage.past + stage.new) <= (np.arange(stage.new) + stage.past)[:, None]
    return np.broadcast_to(np.where(seen, 0.0, -1e4) if additive else seen, shape)


def _is_float(kind: int) -> bool:
    return np.dtype(_numpy_type(kind)).kind not in "iub"


def _numpy_type(kind: int) -> Any:
    from onnx import helper

    return helper.tensor_dtype_to_np_dtype(kind)
