"""The counts behind a rate: of a network that is at hand, or of one whose layers alone are known by its name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from roofline import workloads
from roofline.errors import TableError
from roofline.model._network_facts import NetworkCounts, counts_of
from roofline.validate.evidence.encoders import ENCODERS
from roofline.validate.evidence.named_layers import counts_of_named, named_encoder, networks
from roofline.validate.evidence.published import pixels_of
from roofline.validate.evidence.rates import Rate, network_of

if TYPE_CHECKING:
    from roofline.workload import Workload


def graph_of(rate: Rate, at_hand: Iterable[Path] = ()) -> Workload | None:
    """Return the network of a rate; None for one whose layers alone are known (`named_counts`).

    Args:
        rate: A row. With an input size an encoder is at so many tokens, also where a shipped one is called so.
        at_hand: ONNX files, known by the names of their files.

    Raises:
        TableError: Nothing is known of the network.
    """
    named = rate.network in networks() and rate.network not in workloads.networks
    known = rate.input_size and (named or rate.network in ENCODERS)
    return None if known else network_of(rate, at_hand)


def counts_at(rate: Rate, graph: Workload | None) -> NetworkCounts:
    """Return what the law is told of the network of a rate.

    Args:
        rate: The row.
        graph: What `graph_of` returns for it.
    """
    return named_counts(rate) if graph is None else counts_of(graph)


def named_counts(rate: Rate) -> NetworkCounts:
    """Return the counts of a network of `named_layers` at the input size of a rate.

    Raises:
        TableError: There is no such network, or the size is none.
    """
    if rate.network in ENCODERS:
        tokens = re.fullmatch(r"\s*(\d+)\s*", rate.input_size)
        if tokens is None:
            raise TableError(
                f"{rate.where}: input_size is {rate.input_size!r}", repair="Write the tokens: 128"
            )
        return counts_of_named(named_encoder(rate.network, int(tokens[1])))
    found = networks().get(rate.network)
    if found is None:
        raise TableError(
            f"{rate.where}: the layers of network {rate.network!r} are not known",
            repair="Trace them: benchmarks/network_layers.py",
        )
    pixels = pixels_of(rate.input_size)
    if math.isnan(pixels):
        raise TableError(
            f"{rate.where}: input_size is {rate.input_size!r}", repair="Write 640 or 640x480"
        )
    return counts_of_named(found, pixels)
