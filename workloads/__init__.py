"""Networks and published tables: every network of the papers, built from a readable definition, without weights.

Example:
    >>> from roofline.workloads import build, networks
    >>> "resnet50" in networks
    True
    >>> build("mlp").graph.input[0].name
    'input'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from roofline.workloads._network import Network, build, find_shipped, network, networks
from roofline.workloads.decoder import Decoder
from roofline.workloads.decoder_network import DecoderNetwork, decoder, decoders

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder

__all__ = [
    "Builder", "Decoder", "DecoderNetwork", "Network", "build", "decoder", "decoders", "find_shipped", "network",
    "networks",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # The builder needs onnx, which listing and naming networks do not.
    if name != "Builder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("roofline.workloads._builder").Builder
