"""What a shipped network is, and the registry that holds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.errors import NetworkError, did_you_mean
from roofline.registry import Registry
from roofline.workloads.decoder_network import DecoderNetwork, Weights, check_build, decoders

if TYPE_CHECKING:
    import onnx

    from roofline.workloads._builder import Builder

Definition = Callable[["Builder"], None]
"""Adds a network's inputs, operators and outputs to a builder."""


@dataclass(frozen=True, slots=True)
class Network:
    """One network that is shipped: how it is built, and where its definition comes from."""

    key: str
    """Name on the command line, in snake case."""
    title: str
    """Name as the papers write it, with what tells it from its relatives."""
    task: str
    """What it does: ``image classification``, ``language encoder``."""
    dataset: str
    """The data set whose input size and classes it has."""
    source: str
    """The paper, and the public definition that was followed where the paper leaves a choice."""
    define: Definition
    """Adds the network to a builder."""
    notes: str = ""
    """Choices that change counts: stride placement, rounding of pools, number of classes."""

    def build(
        self, *, weights: Weights | None = None, seed: int = 0, batch: int | None = None
    ) -> onnx.ModelProto:
        """Return the network as an ONNX model.

        Args:
            weights: None declares every stored tensor with its dimensions and datatype and no payload, which is all
                that counting needs; ``"random"`` fills them so that every layer's result has about unit variance.
            seed: Of the random weights; each tensor depends on the seed and its own name only.
            batch: Items per inference; None leaves the symbolic dimension ``N``.

        Raises:
            OptionError: The batch is not positive, or there is no such way to fill tensors.
        """
        from roofline.workloads._builder import Builder

        check_build(weights, batch)
        builder = Builder(self.key, batch=batch, seed=seed if weights == "random" else None)
        self.define(builder)
        return builder.model(f"{self.title}. {self.source}")


networks: Registry[Network] = Registry(
    "network", "roofline.workloads", "roofline.networks", NetworkError
)
"""Every shipped network, by key; third parties add theirs through the entry-point group ``roofline.networks``."""


def network(
    key: str,
    title: str,
    *,
    source: str,
    dataset: str,
    task: str = "image classification",
    notes: str = "",
) -> Callable[[Definition], Definition]:
    """Return a decorator that registers a definition as a network."""
    return networks.register(
        key, wrap=lambda define: Network(key, title, task, dataset, source, define, notes)
    )


def build(
    key: str, *, weights: Weights | None = None, seed: int = 0, batch: int | None = None
) -> onnx.ModelProto:
    """Return a shipped network as an ONNX model; see `Network.build`.

    Raises:
        NetworkError: No network has that key.
        OptionError: The batch is not positive.
    """
    return find_shipped(key).build(weights=weights, seed=seed, batch=batch)


def find_shipped(key: str) -> Network | DecoderNetwork:
    """Return a shipped network or decoder by its key, in whatever capitals.

    Raises:
        NetworkError: None has that key; the message has the nearest ones of both.
    """
    if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return networks.get(key)
    found = decoders.find_in_any_case(key) or networks.find_in_any_case(key)
    if found is None:
        known = (*networks, *decoders)
        hint = did_you_mean(key, known) or f"Known: {', '.join(known)}"
        raise NetworkError(f"unknown network {key!r}", repair=hint)
    return found
