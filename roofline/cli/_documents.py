"""What every verb's JSON holds, as types: the schemas that are published are made of them.

A document may have more keys than its type; keys that a type requires are always there. A key goes, or changes its
meaning, only with a new ``SCHEMA_VERSION``. Numbers are in the unit that their key names, others in base units; what is
not known, and what is not finite, is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from roofline.cli._output import SCHEMA_VERSION

Number = float | None


class _Document(TypedDict):
    schema_version: int


class _Stated(_Document):
    conventions: dict[str, str]


class Intensity(TypedDict):
    """Operational intensity under each traffic assumption, OP/B."""

    weights: Number
    weights_io: Number
    fused: Number
    unfused: Number
    resident: Number


class Totals(TypedDict):
    """Sums over the network."""

    macs: int | None
    effective_macs: int | None
    ops: int | None
    other_ops: int | None
    parameters: int
    trainable_parameters: int
    weight_bytes: int
    activation_bytes: int | None
    peak_activation_bytes: int | None
    intensity: Intensity


class Coverage(TypedDict):
    """Shares of nodes and bytes that are counted."""

    nodes: Number
    bytes: Number
    unresolved: list[Any]


class CountedLayer(TypedDict):
    """One layer."""

    name: str
    op_type: str
    kind: str
    macs: int | None
    other_ops: int | None
    parameters: int
    weight_bytes: int
    input_bytes: int | None
    output_bytes: int | None
    intensity: Number
    datatype: str | None
    repeats: int
    unknown: bool
    note: str


class Count(_Stated):
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
    layers: list[CountedLayer]


class Term(TypedDict):
    """A part of the predicted time."""

    term: str
    basis: str
    share: float


class Row(TypedDict):
    """One prediction, or one combination that was left out (``skipped`` says why)."""

    network: str
    platform: str
    datatype: str
    batch: int
    model: str
    throughput_fps: Number
    latency_ms: Number
    bound: str | None
    intensity: Number
    utilization: Number
    fits: bool | None
    energy_mj: Number
    fps_per_w: Number
    interval_fps: list[Number] | None
    upper_bound: bool | None
    skipped: str | None
    basis: list[Term]
    notes: list[str]


class Predict(_Stated):
    """``roofline predict`` and ``roofline sweep``."""

    predictions: list[Row]


class Line(TypedDict):
    """One quantity of two things."""

    quantity: str
    unit: str
    first: float | str | None
    second: float | str | None
    difference: Number
    ratio: Number
    first_kind: str | None
    second_kind: str | None


class Side(TypedDict):
    """One of the two."""

    name: str
    source: str


class Compare(_Stated):
    """``roofline compare``."""

    compared: str
    first: Side
    second: Side
    totals: list[Line]


class Machine(TypedDict):
    """One machine's answer."""

    platform: str
    datatype: str
    batch: int
    suits: bool
    answer: str
    low_fps: Number
    expected_fps: Number
    throughput_fps: Number
    latency_ms: Number
    obstacles: list[Any]
    pareto: bool


class Advise(_Stated):
    """``roofline advise``."""

    networks: list[str]
    wish: dict[str, Any]
    verdict: str
    limits: list[Any]
    needs: list[Any]
    machines: list[Machine]


class Compress(_Stated):
    """``roofline compress``."""

    model: str
    variant: str
    file: str
    predicted: dict[str, Any]
    counted: dict[str, Any]
    agrees: bool


class MeasuredRun(TypedDict):
    """One run."""

    network: str
    variant: str
    datatype: str
    batch: int
    threads: int | None
    backend: str
    machine: str
    status: str
    reason: str
    measured_fps: Number
    median_ms: Number
    samples: int
    flags: str
    timestamp: str


class Comparison(TypedDict):
    """A run beside its prediction."""

    network: str
    platform: str
    datatype: str
    batch: int
    backend: str
    model: str
    predicted_fps: Number
    measured_fps: Number
    predicted_tokens_per_s: NotRequired[Number]
    measured_tokens_per_s: NotRequired[Number]
    interval_fps: list[Number] | None
    efficiency: Number
    bound: str | None
    status: str
    explanation: str


class Measure(_Stated):
    """``roofline measure``."""

    measurements: list[MeasuredRun]
    comparisons: list[Comparison]


class Validate(Measure):
    """``roofline validate``."""

    notes: list[str]


class ListedNetwork(TypedDict):
    """One network."""

    network: str
    title: str
    macs: int | None
    ops: int | None
    parameters: int
    weight_bytes: int


class NetworksList(_Stated):
    """``roofline networks list``."""

    networks: list[ListedNetwork]


class NetworksShow(_Stated):
    """``roofline networks show``."""

    network: ListedNetwork


class ListedPlatform(TypedDict):
    """One machine."""

    platform: str
    name: str
    vendor: str
    kind: str
    year: int | None
    bandwidth_gb_s: Number
    capacity_gb: Number
    tdp_w: Number
    price_usd: Number


class PlatformsList(_Stated):
    """``roofline platforms list`` and ``show``."""

    platforms: list[ListedPlatform]


class PlatformsCheck(_Document):
    """``roofline platforms check``."""

    ok: bool
    files: list[str]
    problems: list[dict[str, Any]]


class Disagreement(TypedDict):
    """A cell that differs."""

    cell: str
    published: Any
    ours: Any
    why: str


class RecomputedTable(TypedDict):
    """One table."""

    name: str
    cells: int
    agree: int
    disagree: list[Disagreement]


class Reproduce(_Stated):
    """``roofline reproduce``."""

    paper: str
    tables: list[RecomputedTable]


class Accuracy(_Stated):
    """``roofline accuracy``."""

    accuracies: list[dict[str, Any]]


class Campaign(_Stated):
    """``roofline campaign results``."""

    campaign: str
    runs: int
    records: list[dict[str, Any]]


class Calibrate(_Document):
    """``roofline calibrate``."""

    file: str


class Import(_Document):
    """``roofline import``."""

    files: list[dict[str, Any]]
    refused: list[dict[str, Any]]


class Score(_Stated):
    """``roofline score``; scores of what was left out of the fit are in ``all``, others in ``in_sample``."""

    model: str
    model_version: str | int
    leave: str
    evidence: dict[str, Any]
    all: NotRequired[dict[str, Any] | None]
    in_sample: NotRequired[dict[str, Any]]
    by_class: NotRequired[dict[str, Any]]
    by_runtime: NotRequired[dict[str, Any]]
    by_kind: NotRequired[dict[str, Any]]
    by_machine: NotRequired[dict[str, Any]]


class Export(_Document):
    """``roofline export records.json``, whose version is that of the records."""

    measurements: list[dict[str, Any]]


class Demo(_Document):
    """``validate.json`` in the folder of ``roofline demo``."""

    comparisons: list[dict[str, Any]]
    predictions: list[dict[str, Any]]
    measurements: list[dict[str, Any]]
    roofs: list[dict[str, Any]]
    seconds: Number


class CheckedNetwork(TypedDict):
    """One network."""

    model: str
    macs: int | None
    parameters: int | None
    nodes: int | None
    problem: str


class NetworksCheck(_Document):
    """``roofline networks check``."""

    ok: bool
    networks: list[CheckedNetwork]


class DetectedMachine(TypedDict):
    """A machine that is in this computer; ``platform`` is null where none is described."""

    name: str
    via: str
    memory_gb: Number
    platform: str | None


class PlatformsDetect(_Document):
    """``roofline platforms detect``."""

    machines: list[DetectedMachine]


class Conflict(TypedDict):
    """One number, in base units, of which another collection says something else."""

    platform: str
    name: str
    quantity: str
    ours: float
    theirs: float
    ratio: float
    kind: str
    guess: str


class PlatformsConflicts(_Document):
    """``roofline platforms conflicts``."""

    known: int
    conflicts: list[Conflict]


DOCUMENTS: Mapping[str, type] = {
    "accuracy": Accuracy, "advise": Advise, "calibrate": Calibrate, "campaign": Campaign, "compare": Compare,
    "compress": Compress, "count": Count, "demo": Demo, "export": Export, "import": Import, "measure": Measure,
    "networks-check": NetworksCheck, "networks-list": NetworksList, "networks-show": NetworksShow,
    "platforms-check": PlatformsCheck, "platforms-conflicts": PlatformsConflicts, "platforms-detect": PlatformsDetect,
    "platforms-list": PlatformsList, "platforms-show": PlatformsList, "predict": Predict, "reproduce": Reproduce,
    "score": Score, "sweep": Predict, "validate": Validate,
}  # fmt: skip
"""The type of each verb's document, by the verb's name."""


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a verb's document.

    Args:
        name: One of `DOCUMENTS`.
    """
    made = TypeAdapter(DOCUMENTS[name]).json_schema(mode="serialization")
    made["properties"]["schema_version"] = {"const": _version(name)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://roofline-nn.github.io/roofline/schemas/v{SCHEMA_VERSION}/{name}.json",
        **made,
        "title": f"roofline {name.replace('-', ' ')} --format json",
    }


def _version(name: str) -> int:
    if name != "export":
        return SCHEMA_VERSION
    from roofline.validate.records.record import SCHEMA_VERSION as RECORDS

    return RECORDS
