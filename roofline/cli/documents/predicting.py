"""What is predicted and asked for: `predict`, `sweep`, `compare` and `advise`."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from roofline.cli.documents.document import Number, StatedDocument


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
    interval_latency_ms: NotRequired[list[Number] | None]
    interval_fps_per_w: NotRequired[list[Number] | None]
    upper_bound: bool | None
    skipped: str | None
    basis: list[Term]
    notes: list[str]
    phase: NotRequired[str | None]
    context: NotRequired[int | None]
    new_tokens: NotRequired[int | None]
    ttft_ms: NotRequired[Number]
    tpot_ms: NotRequired[Number]
    tokens_per_s: NotRequired[Number]
    tokens_per_s_per_user: NotRequired[Number]
    kv_bytes_per_token: NotRequired[Number]
    max_batch: NotRequired[int | None]
    max_context: NotRequired[int | None]
    devices: NotRequired[int | None]
    spread: NotRequired[str | None]
    least_devices: NotRequired[int | None]
    interval_ttft_ms: NotRequired[list[Number] | None]
    interval_tpot_ms: NotRequired[list[Number] | None]
    interval_tokens_per_s: NotRequired[list[Number] | None]
    interval_tokens_per_s_per_user: NotRequired[list[Number] | None]


class Predict(StatedDocument):
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


class Compare(StatedDocument):
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
    low_tokens_per_s: NotRequired[Number]
    expected_tokens_per_s: NotRequired[Number]
    tokens_per_s: NotRequired[Number]
    ttft_ms: NotRequired[Number]
    tpot_ms: NotRequired[Number]
    spread: NotRequired[str]
    latency_ms: Number
    price_usd: Number
    price_of: str | None
    obstacles: list[Any]
    pareto: bool


class Advise(StatedDocument):
    """``roofline advise``."""

    networks: list[str]
    wish: dict[str, object]
    verdict: str
    limits: list[Any]
    needs: list[Any]
    machines: list[Machine]
    without_unit: list[str]
    unit_unstated: list[str]
