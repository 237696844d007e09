"""The layers of networks that published tables name: traced once (`benchmarks/network_layers.py`), looked up by name.

A name alone says little, so a run is given the layers of a network only where its counts are that network's too.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np

from roofline.model._core import Floats
from roofline.model._layer_groups import (
    KIND,
    KINDS,
    MACS,
    LayerCounts,
    activation_elements,
    gather_alike,
    group_layers,
)
from roofline.model._network_facts import MARKED, NetworkCounts
from roofline.validate.evidence.encoders import ENCODERS, encoder_layers

TABLE, NAMES = "network_layers.csv", "network_names.csv"

HEADER = (
    "network",
    "input_size",
    "kind",
    "layers",
    "macs",
    "elements",
    "written",
    "weights",
    "narrow",
)
"""Columns of the table: sums over the layers of a group, for one item; input size is the height, in pixels."""

ALIKE_MACS, ALIKE_PARAMETERS = 0.10, 0.25
"""How far the logarithms of counts may lie apart that are of one network: tables count biases and norms or do not, and
those of small networks weigh more."""


@dataclass(frozen=True, slots=True)
class TableNetwork:
    """A network of the table."""

    input_size: int
    """Height in pixels; of an encoder of text its tokens."""
    macs: float
    parameters: float
    """Weights that multiply."""
    activations: float
    """Elements that layers with multiply-accumulates write."""
    groups: Floats
    """As `LayerGroups.values` has them."""


@cache
def layers_of(
    name: str, macs: float, parameters: float | None, pixels: float
) -> tuple[Floats, float] | None:
    """Return the groups of a network's layers and its activation elements; None where no network is like it.

    Args:
        name: What a table calls the network.
        macs: Multiply-accumulates for one item.
        parameters: None where the table does not count them.
        pixels: Height times width of the input; NaN where it is not known.
    """
    aliases, known = _aliases(), networks()
    found = known.get(name) or known.get(aliases.get(name.lower(), ""))
    if found is None:
        return _encoder_like(aliases.get(name.lower(), name), macs)
    area = pixels / found.input_size**2
    if math.isnan(area):
        area = 1.0 if _is_alike(macs, found.macs, ALIKE_MACS) else macs / found.macs
    same = _is_alike(macs, found.macs * area, ALIKE_MACS) and (
        parameters is None or _is_alike(parameters, found.parameters, ALIKE_PARAMETERS)
    )
    return (found.groups, found.activations * area) if same else None


def _encoder_like(name: str, macs: float) -> tuple[Floats, float] | None:
    """Return what `layers_of` does of an encoder of text, ``bert_base@124`` with 124 tokens; None for no such one."""
    encoder, _, tokens = name.partition("@")
    if encoder not in ENCODERS or not tokens.isdigit():
        return None
    found = named_encoder(encoder, int(tokens))
    return (found.groups, found.activations) if _is_alike(macs, found.macs, ALIKE_MACS) else None


@cache
def named_encoder(name: str, tokens: int) -> TableNetwork:
    """Return an encoder of text at so many tokens."""
    shape = ENCODERS[name]
    found = _count(tokens, list(encoder_layers(shape, tokens)))
    return replace(found, parameters=found.parameters + shape.embedded)


def _is_alike(left: float, right: float, within: float) -> bool:
    return left > 0 < right and abs(math.log(left / right)) < within


@cache
def networks() -> Mapping[str, TableNetwork]:
    """Return the networks of the table, by name."""
    found: dict[str, tuple[int, list[LayerCounts]]] = {}
    for row in _read(TABLE):
        times = float(row["layers"])
        macs, elements, written, weights = (
            float(row[name]) / times for name in ("macs", "elements", "written", "weights")
        )
        layer = LayerCounts(
            row["kind"], macs, elements, written, weights, float(row["narrow"]), times
        )
        found.setdefault(row["network"], (int(row["input_size"]), []))[1].append(layer)
    return {name: _count(size, layers) for name, (size, layers) in found.items()}


def counts_of_named(network: TableNetwork, pixels: float | None = None) -> NetworkCounts:
    """Return what the law is told of a network at an input of so many pixels, by default those of the table."""
    area = 1.0 if pixels is None else pixels / network.input_size**2
    kinds, macs = network.groups[:, KIND], network.groups[:, MACS]
    share = {name: float(macs[np.isin(kinds, places)].sum()) for name, places in _MARKING.items()}
    marks = {name: float(share[name] >= least) for name, least in MARKED.items()}
    return NetworkCounts(
        network.macs * area, network.parameters, network.activations * area, marks, network.groups
    )


_MARKING = {
    "depthwise": [KINDS.index("depthwise")],
    "grouped": [KINDS.index("grouped")],
    "attention": [KINDS.index("batched"), KINDS.index("attention")],
}
"""The kinds of layers of which a network is marked for a share."""


def _count(size: int, layers: Sequence[LayerCounts]) -> TableNetwork:
    # Like layers of the table may have become alike enough to be one group by rounding.
    sums = gather_alike(layers)
    groups = group_layers(sums)
    assert groups is not None
    return TableNetwork(
        size, sum(each.macs for each in sums), sum(each.weights for each in sums),
        activation_elements(sums), groups,
    )  # fmt: skip


@cache
def _aliases() -> Mapping[str, str]:
    return {row["name"]: row["network"] for row in _read(NAMES)}


def _read(name: str) -> list[dict[str, str]]:
    text = files("roofline.validate.evidence").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
