"""The compressed variants of the experiment, and how each is made of a trained network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roofline.compress import Pruning, Quantization, Request, Sparsity, compress
from roofline.validate.studies.digits.data import Split
from roofline.validate.studies.digits.networks import build
from roofline.validate.studies.digits.training import Schedule, train

if TYPE_CHECKING:
    import onnx

CALIBRATION_IMAGES = 256
"""Training images that the ranges of int8 activations are measured on."""

FROM_SCRATCH = Schedule()
FINE_TUNING = Schedule(epochs=30, rate=1e-3, seed=1)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to compress both networks."""

    key: str
    """Name of its file."""
    technique: str
    """Which kind of compression it is, as charts colour it."""
    request: Request
    trained: bool = False
    """Whether the network is trained again with its weights at their few values (ternary only)."""

    @property
    def datatype(self) -> str:
        """Datatype in the words of `roofline.precision`."""
        quantization = self.request.quantization
        return "fp32" if quantization is None else quantization.label

    @property
    def pruning(self) -> str:
        """What was pruned, and whether quantized weights were trained; ``dense`` when nothing."""
        label = replace(self.request, quantization=None).label
        return f"{label} trained".removeprefix("dense ") if self.trained else label


VARIANTS = (
    Variant("dense", "none", Request()),
    *(
        Variant(f"channels_{keep:g}", "channel pruning", Request(Pruning(keep)))
        for keep in (0.5, 0.25, 0.125, 0.0625)
    ),
    *(
        Variant(f"sparsity_{share:g}", "weight pruning", Request(sparsity=Sparsity(share)))
        for share in (0.5, 0.8, 0.9, 0.95)
    ),
    *(
        Variant(name, "quantization", Request(quantization=Quantization(name)))
        for name in ("int8", "w4a32", "w2a32")
    ),
    Variant(
        "w2a32_trained", "quantization", Request(quantization=Quantization("w2a32")), trained=True
    ),
    Variant(
        "channels_0.5_int8",
        "channel pruning and quantization",
        Request(Pruning(0.5), quantization=Quantization("int8")),
    ),
)
"""Every variant; the first is the network itself."""


def train_dense(network: str, split: Split, schedule: Schedule = FROM_SCRATCH) -> onnx.ModelProto:
    """Return one of the networks, trained from random weights."""
    start = build(network, seed=schedule.seed)
    return train(start, split.train_images, split.train_labels, schedule)


def make(
    variant: Variant, dense: onnx.ModelProto, split: Split, schedule: Schedule = FINE_TUNING
) -> onnx.ModelProto:
    """Return a variant of a trained network.

    Pruned networks are trained again, those with zeros around their zeros; int8 is calibrated on training images.

    Args:
        variant: What to make.
        dense: The trained network.
        split: The images.
        schedule: Of the second training.

    Raises:
        CompressionError: A tool refuses the graph.
        MissingPackageError: torch or ONNX Runtime is not installed.
    """
    asked = variant.request
    model = dense
    if asked.pruning is not None or asked.sparsity is not None:
        model = compress(model, replace(asked, quantization=None)).model
    if model is not dense or variant.trained:
        model = train(
            model, split.train_images, split.train_labels, schedule,
            keep_zeros=asked.sparsity is not None, ternary=variant.trained,
        )  # fmt: skip
    if asked.quantization is not None:
        calibration = {"image": split.train_images[:CALIBRATION_IMAGES]}
        options = replace(asked.options, calibration=calibration)
        model = compress(model, Request(quantization=asked.quantization, options=options)).model
    return model
