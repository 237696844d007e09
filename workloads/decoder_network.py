"""Decoders by name, and how one is built: shipped, described by a configuration, or registered by third parties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from roofline.errors import NetworkError, OptionError
from roofline.registry import Registry
from roofline.workloads.decoder import Decoder

if TYPE_CHECKING:
    import onnx

_MOST = 2_000_000_000
"""Bytes that an ONNX file can hold (protobuf's limit)."""

Weights = Literal["random"]
"""How stored elements are filled; None leaves them declared, with dimensions and datatype and no payload."""


def check_build(weights: str | None, batch: int | None) -> None:
    """Check what a network is to be built with.

    Raises:
        OptionError: The batch is not positive, or there is no such way to fill tensors.
    """
    if weights not in (None, "random"):
        raise OptionError(f"weights {weights!r} are not known", repair="Use None or 'random'")
    if batch is not None and batch < 1:
        raise OptionError(f"batch {batch} is not positive", repair="Give 1 or more")


@dataclass(frozen=True, slots=True)
class DecoderNetwork:
    """One decoder that is shipped, or that a configuration file describes."""

    key: str
    title: str
    source: str
    """Where its sizes are published."""
    sizes: Decoder
    notes: str = ""
    stored: str = ""
    """Format that its weights are published in; empty for the graph's own datatype."""
    unread: str = ""
    """Method by which its weights are stored in a format that is not known; empty for none."""
    task: str = "language decoder"
    dataset: str = "text"

    def build(
        self,
        *,
        weights: Weights | None = None,
        seed: int = 0,
        batch: int | None = None,
        half: bool = True,
    ) -> onnx.ModelProto:
        """Return the decoder as an ONNX model, batch and lengths open.

        Args:
            weights: None declares stored tensors without payload; ``"random"`` fills them.
            seed: Of the random weights.
            batch: Requests at a time; None leaves the symbolic dimension ``N``.
            half: Whether weights, activations and cache are fp16; fp32 otherwise.

        Raises:
            OptionError: The batch is not positive, or random weights do not fit in a file.
        """
        from roofline.workloads._builder import Builder

        check_build(weights, batch)
        size = (2 if half else 4) * self.sizes.parameters
        if weights is not None and size > _MOST:
            raise OptionError(
                f"the weights of {self.key} take {size / 1e9:.3g} GB, an ONNX file holds 2 GB",
                repair="Counts and predictions need no weights; to run one, name a smaller decoder",
            )
        builder = Builder(
            self.key, batch=batch, seed=seed if weights == "random" else None, half=half,
            decoder=True,
        )  # fmt: skip
        self.sizes.define(builder)
        return builder.model(f"{self.title}. {self.source}")


decoders: Registry[DecoderNetwork] = Registry(
    "decoder", "roofline.workloads", "roofline.decoders", NetworkError
)
"""Every shipped decoder, by key; third parties add theirs through the entry-point group ``roofline.decoders``."""


def decoder(
    key: str, title: str, sizes: Decoder, *, source: str, notes: str = "", stored: str = ""
) -> None:
    """Register a decoder.

    Raises:
        ValueError: There is one of that key.
    """
    decoders.add(key, DecoderNetwork(key, title, source, sizes, notes, stored))
