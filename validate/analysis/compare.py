"""Joins predictions with measured runs: efficiency = measured / predicted, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roofline.conventions import WeightsRead
from roofline.units import scale
from roofline.validate.records.flag import FlagKind, join_flags
from roofline.validate.records.record import Measurement
from roofline.validate.records.tuning import Tuning

if TYPE_CHECKING:
    import pandas as pd

    from roofline.model import Prediction
    from roofline.spec import Platform

_TOLERANCE = 1.02
"""Efficiencies up to 102 % are within what repeated microbenchmarks differ by."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One prediction beside one measured run of the same configuration."""

    prediction: Prediction
    measurement: Measurement
    explanation: str = ""
    """Why the run is faster than the bound, where that has a reason."""
    doubtful: bool = False
    """Whether it is faster than the bound without a reason known: a wrong unit, peak or datatype."""

    @property
    def predicted_fps(self) -> float | None:
        """Predicted throughput, items per second; None where the network is not fully counted."""
        return self.prediction.throughput_fps

    @property
    def measured_fps(self) -> float | None:
        """Measured throughput, items per second; None when the run did not end well."""
        return self.measurement.throughput_fps if self.measurement.ok else None

    @property
    def efficiency(self) -> float | None:
        """Measured / predicted."""
        measured, predicted = self.measured_fps, self.predicted_fps
        return None if measured is None or predicted is None else measured / predicted

    @property
    def error(self) -> float | None:
        """Prediction error: |predicted − measured| / measured."""
        measured, predicted = self.measured_fps, self.predicted_fps
        return (
            None if measured is None or predicted is None else abs(predicted - measured) / measured
        )

    @property
    def validates(self) -> bool:
        """Whether it says anything about the prediction of what was asked for.

        Untuned code, another datatype than that and failed runs do not.
        """
        run = self.measurement
        return run.ok and run.job.tuning is not Tuning.UNTUNED and not run.is_emulated

    @property
    def flag(self) -> str:
        """Why the row is doubtful, in a word or two: the gravest reason of all."""
        run = self.measurement
        if not run.ok:
            return run.status.value
        if run.job.tuning is Tuning.UNTUNED:
            return "untuned"
        if run.is_emulated:
            return FlagKind.OTHER_DATATYPE.value
        if self.doubtful:
            return "above the bound"
        return next((flag.kind.value for flag in run.flags), "")

    def record(self) -> dict[str, Any]:
        """Return the comparison as a row, with the unit in each column's name."""
        run, prediction = self.measurement, self.prediction
        speed = self.measured_fps
        return {
            "network": prediction.network,
            "platform": prediction.platform,
            "pruning": prediction.variant,
            "datatype": prediction.datatype,
            "asked_datatype": run.asked,
            "executed": run.executed.label,
            "phase": run.job.phase,
            "context": run.job.context or None,
            "batch": prediction.batch,
            "threads": run.job.threads,
            "backend": backend_label(run),
            "model": prediction.model,
            **self._rates(),
            **prediction.interval_columns(),
            "efficiency": self.efficiency,
            "bound": prediction.bound.value,
            "intensity": prediction.intensity,
            "performance_op_s": prediction.performance,
            "measured_op_s": None if speed is None else speed * prediction.ops / prediction.batch,
            "peak_op_s": prediction.peak,
            "bandwidth_b_s": prediction.bandwidth,
            "median_ms": None if run.median_s is None else run.median_s * 1e3,
            "peak_rss_mb": None if run.peak_rss_bytes is None else run.peak_rss_bytes / 1e6,
            "required_mb": prediction.required_bytes / 1e6,
            "accuracy": run.accuracy_percent,
            "status": run.status.value,
            "flag": self.flag,
            "flags": join_flags(run.flags),
            "explanation": self.explanation or run.reason,
        }

    def _rates(self) -> dict[str, float | None]:
        """Return predicted, measured and peak rate, of a decoder in tokens; those of a prompt are its positions."""
        names = ("predicted", "measured", "peak")
        rates = (self.predicted_fps, self.measured_fps, self.prediction.peak_fps)
        tokens = self.measurement.job.tokens_per_item
        frames = {
            f"{name}_fps": None if tokens else rate
            for name, rate in zip(names, rates, strict=True)
        }
        if not tokens:
            return frames
        return frames | {
            f"{name}_tokens_per_s": scale(rate, tokens)
            for name, rate in zip(names, rates, strict=True)
        }


def backend_label(run: Measurement) -> str:
    """Return the backend with what makes it differ from its other runs: ``tvm tuned``."""
    parts = [run.job.backend]
    if run.job.tuning is not Tuning.NONE:
        parts.append(run.job.tuning)
    if run.job.algorithm != "default":
        parts.append(run.job.algorithm)
    return " ".join(parts)


def compare(
    predictions: Iterable[Prediction],
    measurements: Iterable[Measurement],
    *,
    platforms: Mapping[str, Platform] | None = None,
) -> tuple[Comparison, ...]:
    """Pair every measured run with the predictions of the same configuration.

    A run and a prediction belong together when network, variant, machine, batch and the datatype of the
    operands that were multiplied are the same.

    Args:
        predictions: Predictions, of one or several models.
        measurements: Measured runs; ``machine`` is the platform's key.
        platforms: The machines by key, for what they say of caches; optional.

    Returns:
        Comparisons in the order of the predictions, then of the measurements.
    """
    runs: dict[tuple[str, str, str, int, str], list[Measurement]] = {}
    for run in measurements:
        job = run.job
        # Narrow weights that are widened to be multiplied are predicted as they are stored.
        datatypes = {run.operands} if run.is_emulated else {run.operands, run.asked}
        for datatype in datatypes:
            key = (job.shown, job.compression.label, run.machine, job.batch, datatype)
            runs.setdefault(key, []).append(run)
    machines = platforms or {}
    return tuple(
        _compare(prediction, run, machines.get(prediction.platform))
        for prediction in predictions
        for run in runs.get(_key(prediction), ())
    )


def frame(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """Return comparisons as a DataFrame (needs pandas).

    Raises:
        MissingPackageError: pandas is not installed.
    """
    from roofline.tables import frame as as_frame

    return as_frame([comparison.record() for comparison in comparisons])


def _key(prediction: Prediction) -> tuple[str, str, str, int, str]:
    datatype = prediction.datatype
    return (
        prediction.network,
        prediction.variant,
        prediction.platform,
        prediction.batch,
        datatype,
    )


def _compare(prediction: Prediction, run: Measurement, platform: Platform | None) -> Comparison:
    speed, bound = (run.throughput_fps if run.ok else None), prediction.throughput_fps
    if speed is None or bound is None or speed <= bound * _TOLERANCE:
        return Comparison(prediction, run)
    if speed > prediction.peak_fps * _TOLERANCE:
        why = "faster than the compute peak: a wrong peak, unit or datatype, or work that was skipped"
        return Comparison(prediction, run, why, doubtful=True)
    if prediction.weights_read is WeightsRead.PER_ITEM and prediction.batch > 1:
        why = "the bound charges the weights to every item; the run reuses them across the batch"
        return Comparison(prediction, run, why)
    floor = _cached_fps(prediction, platform)
    if prediction.bound.value == "memory" and floor is not None and speed <= floor * _TOLERANCE:
        cache = platform.on_chip_capacity if platform is not None else None
        size, held = prediction.required_bytes / 1e6, (cache or 0.0) / 1e6
        why = f"up to {min(size, held):.3g} of its {size:.3g} MB stay in the cache between runs"
        return Comparison(prediction, run, why)
    why = "faster than the bound, and no reason is known: check the bandwidth and the datatype"
    return Comparison(prediction, run, why, doubtful=True)


def _cached_fps(prediction: Prediction, platform: Platform | None) -> float | None:
    """Return the throughput if as much of the network as fits came from the largest on-chip memory.

    None where the file of the machine does not describe such a memory.
    """
    largest = None if platform is None else platform.on_chip_memory
    if largest is None or largest.capacity is None:
        return None
    kept = min(prediction.bytes, largest.capacity.base)
    seconds = (prediction.bytes - kept) / prediction.bandwidth
    if largest.bandwidth is not None:
        seconds += kept / largest.bandwidth.base
    seconds = max(seconds, prediction.ops / prediction.peak)
    return prediction.batch / seconds if seconds else None
