"""Measured runs from Python: the functions behind ``roofline.measure`` and ``roofline.compare``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from roofline._sweep import Sweep
from roofline.arguments import check_items, check_kind, check_list
from roofline.model import Prediction
from roofline.spec import Platform
from roofline.tables import Record
from roofline.validate.analysis.compare import Comparison
from roofline.validate.analysis.compare import compare as _compared
from roofline.validate.measuring.measure import measure as _measured
from roofline.validate.records.record import Measurement
from roofline.validate.records.request import PROTOCOL, InputValue, Protocol, RunRequest
from roofline.validate.records.tuning import Tuning

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Comparisons(tuple[Comparison, ...]):
    """Measured runs beside their predictions, in the order of the predictions."""

    __slots__ = ()

    def records(self) -> list[Record]:
        """Return one row per comparison, with the unit in each column's name."""
        return [comparison.record() for comparison in self]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per comparison (needs pandas)."""
        from roofline.tables import frame

        return frame(self.records())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw predicted, measured and peak throughput side by side (needs matplotlib).

        Args:
            ax: Axes to draw into; by default those of a new figure.
        """
        from roofline.chart import charts

        return charts.get("efficiency").compute(self.records()).plot(ax)


def measure(
    model: str | Path,
    *,
    backend: str = "onnxruntime",
    machine: Platform | str = "",
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, InputValue] | None = None,
    tuning: str = "",
    threads: int = 0,
    runs: int = PROTOCOL.runs,
    sampling_s: float = PROTOCOL.sampling_s,
    time_limit_s: float = PROTOCOL.time_limit_s,
) -> Measurement:
    """Run a model on this machine, in a process of its own, and return the record of it.

    The first run is discarded, the median of the rest is the time of a whole batch; outputs are compared with those of
    ONNX Runtime without optimization. `roofline.validate.measuring.measure` has every option.

    Args:
        model: Path of an ``.onnx`` file, or the name of a shipped network; missing weights are random.
        backend: ``onnxruntime``, ``tvm``, or another registered backend.
        machine: The platform that stands for this machine, or its key: what predictions are compared by.
        batch: Items per inference where the model leaves it open.
        dims: Sizes of other symbolic dimensions.
        inputs: Whole shapes of inputs, by name.
        values: Values of inputs that decide shapes, branches or trips, by name; all others are random.
        tuning: For TVM: ``untuned`` or ``tuned``; empty is the backend's default.
        threads: Threads; 0 is every core this process may use.
        runs: Timed runs wanted.
        sampling_s: Seconds after which no further run is started.
        time_limit_s: Seconds after which a run is given up.

    Returns:
        The record. A crash, a hang or a wrong result is a record too, with its status and reason.

    Raises:
        RooflineError: The model, the backend or an option is not known, or the backend is not installed.
    """
    check_kind(model, (str, PathLike), "model", "Give a path, or the name of a shipped network")
    check_items(batch)
    check_kind(threads, int, "threads", "Give a whole number; 0 is every core")
    request = RunRequest(
        str(model),
        backend,
        tuning=Tuning.of(tuning),
        threads=threads,
        batch=batch or 0,
        dims=dict(dims or {}),
        inputs={name: tuple(shape) for name, shape in (inputs or {}).items()},
        values=dict(values or {}),
        protocol=Protocol(runs=runs, sampling_s=sampling_s, time_limit_s=time_limit_s),
    )
    return _measured(request, machine=machine.key if isinstance(machine, Platform) else machine)


def compare(
    predictions: Iterable[Prediction] | Prediction | Sweep,
    measurements: Iterable[Measurement] | Measurement,
    *,
    platforms: Iterable[Platform] = (),
) -> Comparisons:
    """Pair every measured run with the predictions of the same configuration: efficiency = measured / predicted.

    A run and a prediction belong together when network, variant, machine, batch and the datatype that executed are
    the same.

    Args:
        predictions: One or several predictions, or the predictions of a sweep.
        measurements: One or several measured runs.
        platforms: The machines, for what they say of caches.
    """
    predictions = predictions.predictions if isinstance(predictions, Sweep) else predictions
    first = [predictions] if isinstance(predictions, Prediction) else predictions
    second = [measurements] if isinstance(measurements, Measurement) else measurements
    check_list(first, Prediction, "predictions", "Make them: rl.predict(…)")
    check_list(second, Measurement, "measurements", "Run them: rl.measure(…)")
    named = {platform.key: platform for platform in platforms}
    return Comparisons(_compared(first, second, platforms=named))
