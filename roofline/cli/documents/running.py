"""What comes of real runs: measured, compared, stored, imported and judged."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from roofline.cli.documents.document import Document, Number, StatedDocument
from roofline.cli.documents.predicting import Row


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


class Measure(StatedDocument):
    """``roofline measure``."""

    measurements: list[MeasuredRun]
    comparisons: list[Comparison]


class Validate(Measure):
    """``roofline validate``."""

    notes: list[str]


class EvaluatedClassifier(TypedDict):
    """How often a classifier is right, in percent of the items, with the ends of its interval."""

    network: str
    data: str
    items: int
    classes: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    top5: Number
    model_sha256: str


class Accuracy(StatedDocument):
    """``roofline accuracy``."""

    accuracies: list[EvaluatedClassifier]


class Campaign(StatedDocument):
    """``roofline campaign results``."""

    campaign: str
    runs: int
    records: list[dict[str, object]]


class Calibrate(Document):
    """``roofline calibrate``."""

    file: str


class Import(Document):
    """``roofline import``."""

    files: list[dict[str, object]]
    refused: list[dict[str, object]]


class Score(StatedDocument):
    """``roofline score``; scores of what was left out of the fit are in ``all``, others in ``in_sample``, ``early``."""

    model: str
    model_version: str | int
    leave: str
    evidence: dict[str, object]
    all: NotRequired[dict[str, object] | None]
    in_sample: NotRequired[dict[str, object]]
    early: NotRequired[dict[str, object]]
    by_class: NotRequired[dict[str, object]]
    by_runtime: NotRequired[dict[str, object]]
    by_kind: NotRequired[dict[str, object]]
    by_devices: NotRequired[dict[str, object]]
    by_machine: NotRequired[dict[str, object]]


class Export(Document):
    """``roofline export records.json``, whose version is that of the records."""

    measurements: list[dict[str, object]]


class Demo(Document):
    """``validate.json`` in the folder of ``roofline demo``."""

    comparisons: list[Comparison]
    predictions: list[Row]
    measurements: list[MeasuredRun]
    roofs: list[dict[str, object]]
    seconds: Number
