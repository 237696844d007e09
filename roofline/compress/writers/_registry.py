"""Writing a quantized network as an ONNX file that runs: one writer per family of datatypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from roofline.binding import UNBOUND, Binding
from roofline.compress.bodies import bodies, distinct, nested_tensors
from roofline.compress.call import layer_name
from roofline.compress.plain import unwrap_weights
from roofline.compress.quantization import ENDS, Quantization
from roofline.compress.sparsity import multiplying_weights
from roofline.compress.tensors import ABSENT, has_data, inline_functions
from roofline.errors import CompressionError, did_you_mean
from roofline.registry import Registry
from roofline.surfaces import DATATYPE, argument

if TYPE_CHECKING:
    import onnx

TERNARY_THRESHOLD = 0.05
"""The share of the largest magnitude of Zhu et al. 2017 (t = 0.05)."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a datatype is written where there is a choice."""

    calibration: Mapping[str, NDArray[Any]] | None = None
    """Representative inputs by name, items along the first axis, for static int8; None draws random ones."""
    dynamic: bool = False
    """For int8: measure activation ranges at run time, which needs no calibration."""
    block: int | None = None
    """For weight-only datatypes: how many weights along the contracted axis share a scale; None is one per tensor."""
    threshold: float = TERNARY_THRESHOLD
    """For ternary: share of a layer's largest magnitude up to which its weights become zero."""
    seed: int = 0
    """Of random calibration inputs."""
    wide: tuple[str, ...] = ()
    """Names of the layers that stay at their own datatype."""
    binding: Binding = UNBOUND
    """Sizes and values that the model leaves open."""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise CompressionError(
                f"{argument('threshold')} is {self.threshold:g}, outside [0, 1)",
                repair="Give a share of the largest magnitude, such as 0.05",
            )


Writer = Callable[["onnx.ModelProto", WriteOptions], "onnx.ModelProto"]

writers: Registry[Writer] = Registry(
    "datatype to write", "roofline.compress.writers", "roofline.datatype_writers", CompressionError
)
"""Every datatype that a file can be written in."""


def quantize(
    model: onnx.ModelProto, request: Quantization, options: WriteOptions | None = None
) -> onnx.ModelProto:
    """Return a new model whose weights (and activations) have other datatypes; the given model is unchanged.

    Args:
        model: With its weights.
        request: One datatype for the network; layers named by a pattern, ``first`` or ``last`` can stay fp32.
        options: Calibration and the like.

    Raises:
        CompressionError: No tool writes the datatype, a pattern matches nothing, or the weights are not at hand.
    """
    given = options or WriteOptions()
    if request.state is not None:
        raise CompressionError(
            "the datatype of state is a what-if", repair="Leave state=… out when writing a file"
        )
    model = distinct(inline_functions(model))
    wide = {*given.wide, *kept_layers(model, request)}
    if request.datatype is None:
        raise CompressionError(
            "no datatype for the network is given",
            repair=f"Add one, such as {DATATYPE.at('int8')}",
        )
    name = request.datatype.name
    if name == "fp32" and not wide:
        return model
    if name not in writers:
        hint = did_you_mean(name, writers) or f"Written: {', '.join(writers)}"
        raise CompressionError(
            f"no tool here writes {name} into an ONNX file; it can be counted and predicted",
            repair=hint,
        )
    stored = nested_tensors(model)
    missing = [tensor for tensor in multiplying_weights(model) if not has_data(stored[tensor])]
    if missing:
        raise CompressionError(
            f"the weights {missing[0]} are not at hand, so they cannot be quantized",
            repair=ABSENT,
        )
    kept = tuple(sorted(wide))
    return writers.get(name)(unwrap_weights(model, kept), replace(given, wide=kept))


def kept_layers(model: onnx.ModelProto, request: Quantization) -> set[str]:
    """Return the names of the layers that are to stay at their own datatype.

    Args:
        model: Without local functions, and with no name used in two graphs.
        request: The datatypes; of layers only fp32 can be asked. A layer of a body has its name in the file, or the one
            it is counted under, with the calls around it in front.

    Raises:
        CompressionError: A layer is asked for at another datatype, or a pattern matches nothing.
    """
    from fnmatch import fnmatchcase

    layers = list(dict.fromkeys(multiplying_weights(model).values()))
    inner = {layer_name(node) for body in bodies(model.graph) for node in body.node}
    found: set[str] = set()
    for where, asked in (*request.wide.items(), *request.layers.items()):
        if asked.name != "fp32":
            raise CompressionError(
                f"a written file can keep layers at fp32, not at {asked}",
                repair=f"Write {where}=fp32, or count without -o",
            )
        if where in ENDS and where in request.wide:
            matched = layers[:1] if where == "first" else layers[-1:]
        else:
            matched = [
                layer
                for layer in layers
                if fnmatchcase(layer, where)
                or layer == where
                or (layer in inner and where.endswith(f"/{layer}"))
            ]
        if not matched:
            hint = did_you_mean(where, layers) or f"Layers: {', '.join(layers[:8])}"
            raise CompressionError(
                f"the pattern {where!r} matches no layer with weights", repair=hint
            )
        found |= set(matched)
    return found
