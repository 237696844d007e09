"""What scores hold as plain data, under the names that files and pages give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict


class Scores(TypedDict):
    """How far predictions are from some runs; shares are of 1."""

    n: int
    machines: int
    factor_rows: float
    """Exp of the median of |log(predicted / measured)|."""
    factor_machines: float
    """The mean of each machine's."""
    mape: float
    median_ape: float
    within_10: float
    within_20: float
    within_2x: float
    bias: float
    order: NotRequired[float | None]
    """Share of the pairs of machines that are ordered right on one network."""
    order_pairs: NotRequired[int]
    spearman: NotRequired[float | None]
    coverage: NotRequired[float]
    """Share of runs in the 80 % interval; where there is one."""
    coverage_machines: NotRequired[float]
    coverage_deviation: NotRequired[float | None]
    coverage_curve: NotRequired[Mapping[str, float]]
    """The share by the nominal one."""
    width: NotRequired[float]
    """High over low end of the interval."""
    width_machines: NotRequired[float]


ScoresByLabel = Mapping[str, Scores]


class ScoredEvidence(TypedDict):
    """What was predicted."""

    sha256: str
    runs: int
    machines: NotRequired[int]
    silicon: NotRequired[int]
    without_basis: NotRequired[dict[str, int]]
    """Rows that are not scored, by the reason."""


class ScoreHead(TypedDict):
    """How runs were scored."""

    model: str
    model_version: str
    leave: str
    evidence: ScoredEvidence
    conventions: dict[str, str]


class Overall(TypedDict, total=False):
    """The scores of all runs: of those that the fit has seen, and of those that it has not."""

    in_sample: Scores
    early: Scores
    """Of runs dated earlier than those of the fit."""
    all: Scores | None
    """None where the fit has seen every run."""


class RunScores(ScoreHead, Overall):
    """The score of runs of networks, also by what they are of."""

    by_class: ScoresByLabel
    by_runtime: ScoresByLabel
    by_kind: ScoresByLabel
    by_machine: ScoresByLabel
    by_maker: NotRequired[ScoresByLabel]


class DecoderScores(ScoreHead, Overall):
    """The score of runs of decoders, by quantity; of the first of them, also by what they are of."""

    by_class: NotRequired[ScoresByLabel]
    by_kind: NotRequired[ScoresByLabel]
    by_machine: NotRequired[ScoresByLabel]
    by_runtime: NotRequired[ScoresByLabel]
    by_devices: NotRequired[ScoresByLabel]
    set_aside: NotRequired[ScoresByLabel]
    by_quantity: ScoresByLabel


class Provenance(TypedDict):
    """What a version of the model was fitted to."""

    sha256: str
    runs: int
    machines: int
    silicon: int
    sources: Sequence[str]


class ClassScores(TypedDict):
    """Scores of runs that laws had not seen, also by class of machine."""

    all: Scores
    by_class: ScoresByLabel


class LeftOutScores(ClassScores):
    """The same by all that the runs are of."""

    by_runtime: ScoresByLabel
    by_kind: ScoresByLabel
    by_machine: ScoresByLabel


class UnlikeScores(TypedDict):
    """Scores of machines unlike those of the fit."""

    all: Scores
    by: ScoresByLabel


PartRow = Mapping[str, str | float]


class VersionScores(TypedDict):
    """Every score of a version of `expected`, and the tables that benchmarks of their own add."""

    version: str
    provenance: Provenance
    silicon: LeftOutScores
    family: LeftOutScores
    setting: ClassScores
    unlike: Mapping[str, UnlikeScores]
    figures: ScoresByLabel
    equation1: LeftOutScores
    origin: NotRequired[ScoresByLabel]
    """By where runs are from: published tables, or reported ones."""
    order: NotRequired[Sequence[PartRow]]
    power: NotRequired[Sequence[PartRow]]
    ablations: NotRequired[Sequence[PartRow]]
    settings: NotRequired[Sequence[PartRow]]
    floor: NotRequired[Sequence[PartRow]]
    layers: NotRequired[Sequence[PartRow]]
    graphs: NotRequired[Sequence[PartRow]]
