"""What is counted: `count`, `compress` and the networks that are shipped."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from roofline.cli._counting import Totals
from roofline.cli.documents.document import Document, Number, StatedDocument
from roofline.layer_table import LayerRow


class Coverage(TypedDict):
    """Shares of nodes and bytes that are counted."""

    nodes: Number
    bytes: Number
    unresolved: list[Any]


class Count(StatedDocument):
    """``roofline count``."""

    model: str
    source: str
    variant: str
    datatype: str | None
    batch: int
    notes: list[str]
    totals: Totals
    coverage: Coverage
    unsupported: list[str]
    layers: list[LayerRow]


class Compress(StatedDocument):
    """``roofline compress``."""

    model: str
    variant: str
    file: str
    predicted: dict[str, object]
    counted: dict[str, object]
    agrees: bool


class ListedNetwork(TypedDict):
    """One network."""

    network: str
    title: str
    macs: int | None
    ops: int | None
    parameters: int
    weight_bytes: int


class NetworksList(StatedDocument):
    """``roofline networks list``."""

    networks: list[ListedNetwork]


class NetworksShow(StatedDocument):
    """``roofline networks show``."""

    network: ListedNetwork


class CheckedNetwork(TypedDict):
    """One network."""

    model: str
    macs: int | None
    parameters: int | None
    nodes: int | None
    problem: str


class NetworksCheck(Document):
    """``roofline networks check``."""

    ok: bool
    networks: list[CheckedNetwork]
