"""What the networks of records require: each is counted once, however many records name it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from roofline.validate.records.compression import Compression, narrow

if TYPE_CHECKING:
    from roofline.workload import Workload


@cache
def count_network(network: str, compression: Compression, datatype: str, batch: int) -> Workload:
    """Return what a shipped network requires when it is compressed.

    Args:
        network: Its name.
        compression: What was taken from it.
        datatype: Of weights and activations; ``fp32`` or empty leaves them as they are.
        batch: Items per inference.

    Raises:
        RooflineError: The network is not shipped, or cannot be counted so.
    """
    return compress_network(_whole_network(network, batch), compression, datatype)


def compress_network(whole: Workload, compression: Compression, datatype: str) -> Workload:
    """Return what is left of a network when it is compressed.

    Args:
        whole: The network.
        compression: What is taken from it.
        datatype: Of weights and activations; ``fp32`` or empty leaves them as they are.
    """
    wide = datatype in {"fp32", ""}
    asked = replace(compression, datatypes=()) if wide else narrow(compression, datatype)
    return whole if asked.nothing else asked.request().under(whole)


@cache
def _whole_network(network: str, batch: int) -> Workload:
    import roofline

    return roofline.load(network, batch=batch)
