"""The reverse question: which machines reach a throughput, and which peak and bandwidth would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roofline.errors import DatatypeError, OptionError
from roofline.model._prediction import Prediction, frame
from roofline.model._request import at_precision, own_precision, predict
from roofline.precision import Precision, precision

if TYPE_CHECKING:
    import pandas as pd

    from roofline.spec import Platform
    from roofline.workload import Workload


@dataclass(frozen=True, slots=True)
class Wish:
    """What a machine has to reach, and what it may take."""

    fps: float
    """Items per second."""
    watts: float | None = None
    """Most thermal design power, W."""
    price: float | None = None
    """Most it may cost, USD."""
    efficiency: float = 1.0
    """Share of the predicted throughput that a real run is expected to reach."""

    def __post_init__(self) -> None:
        for name, value in (("fps", self.fps), ("watts", self.watts), ("price", self.price)):
            if value is not None and not (0 < value < math.inf):
                raise OptionError(f"{name} is {value:g}", repair="Give a number above zero")
        if not 0 < self.efficiency <= 1:
            raise OptionError(
                f"the efficiency is {self.efficiency:g}, outside (0, 1]",
                repair="Give the share of the bound a real run reaches, such as 0.3",
            )


@dataclass(frozen=True, slots=True)
class Need:
    """The least that a machine needs at one datatype and batch; what Equation 1 demands."""

    datatype: str
    batch: int
    peak: float
    """OP/s."""
    bandwidth: float
    """B/s of the outermost memory."""
    capacity: float
    """B."""

    def record(self) -> dict[str, Any]:
        """Return the need as a row."""
        return {
            "datatype": self.datatype,
            "batch": self.batch,
            "peak_op_s": self.peak,
            "bandwidth_b_s": self.bandwidth,
            "capacity_b": self.capacity,
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """One machine at one datatype and batch."""

    prediction: Prediction
    expected_fps: float
    """Predicted throughput times the expected efficiency."""
    price: float | None
    """USD."""
    obstacles: tuple[str, ...]
    """Why it does not do; empty when it does."""
    doubts: tuple[str, ...] = ()
    """What its file does not say."""

    @property
    def suits(self) -> bool:
        """Whether nothing that is known speaks against it."""
        return not self.obstacles

    def record(self) -> dict[str, Any]:
        """Return the candidate as a row."""
        prediction = self.prediction
        return {
            "platform": prediction.platform,
            "datatype": prediction.datatype,
            "batch": prediction.batch,
            "suits": self.suits,
            "expected_fps": self.expected_fps,
            "throughput_fps": prediction.throughput_fps,
            "latency_ms": 1e3 * prediction.latency_s,
            "bound": prediction.bound.value,
            "fits": prediction.fits,
            "tdp_w": prediction.tdp,
            "price_usd": self.price,
            "fps_per_w": prediction.fps_per_w,
            "obstacles": list(self.obstacles),
            "doubts": list(self.doubts),
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """Machines that suit first, the cheapest and then the most frugal before the others."""

    needs: tuple[Need, ...]
    candidates: tuple[Candidate, ...]
    without_unit: tuple[str, ...]
    """Machines that have none of the datatypes."""

    def records(self) -> list[dict[str, Any]]:
        """Return one row per candidate."""
        return [candidate.record() for candidate in self.candidates]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per candidate (needs pandas)."""
        return frame(self.records())


def advise(
    workload: Workload,
    platforms: Sequence[Platform],
    wish: Wish,
    *,
    datatypes: Sequence[Precision | str] | None = None,
    batches: Sequence[int] | None = None,
    model: str = "equation1",
) -> Advice:
    """Return which machines reach a throughput within limits, and what any machine would need to.

    Args:
        workload: The network.
        platforms: Machines to choose from.
        wish: The throughput and the limits.
        datatypes: Precisions that would do; by default the workload's own.
        batches: Items per batch that would do; by default the workload's.
        model: Name of a prediction model.

    Raises:
        DatatypeError: A datatype is not known, or none was named and the workload has none.
        OptionError: A name or a number is not allowed.
    """
    if not platforms:
        raise OptionError("there is no machine to choose from", repair="Name some with -p")
    asked = [precision(name) for name in datatypes or (own_precision(workload, platforms[0]),)]
    ready = {name: at_precision(workload, name) for name in asked}
    candidates: list[Candidate] = []
    needs: dict[tuple[Precision, int], Need] = {}
    without: list[str] = []
    for platform in platforms:
        before = len(candidates)
        for datatype in asked:
            for batch in batches or (workload.batch,):
                try:
                    found = predict(
                        ready[datatype], platform, datatype=datatype, batch=batch, model=model
                    )
                except DatatypeError:
                    # Another machine may have the unit.
                    continue
                candidates.append(_candidate(found, platform, wish))
        if len(candidates) == before:
            without.append(platform.key)
    for datatype in asked:
        for batch in batches or (workload.batch,):
            needs[datatype, batch] = _need(ready[datatype], datatype.name, batch, wish)
    candidates.sort(
        key=lambda entry: (
            not entry.suits,
            math.inf if entry.price is None or not entry.suits else entry.price,
            math.inf if entry.prediction.tdp is None or not entry.suits else entry.prediction.tdp,
            -entry.expected_fps,
        )
    )
    return Advice(tuple(needs.values()), tuple(candidates), tuple(without))


def _candidate(prediction: Prediction, platform: Platform, wish: Wish) -> Candidate:
    expected = wish.efficiency * prediction.throughput_fps
    obstacles: list[str] = []
    doubts: list[str] = []
    if expected < wish.fps:
        obstacles.append(f"reaches {100 * expected / wish.fps:.2g}% of the throughput")
    if prediction.fits is False:
        obstacles.append("does not fit in its memory")
    for name, found, most, unit in (
        ("power", prediction.tdp, wish.watts, "W"),
        ("price", platform.price, wish.price, "USD"),
    ):
        if most is not None and found is None:
            doubts.append(f"{name} unknown")
        elif most is not None and found is not None and found > most:
            obstacles.append(f"{found:g} {unit}")
    return Candidate(prediction, expected, platform.price, tuple(obstacles), tuple(doubts))


def _need(workload: Workload, datatype: str, batch: int, wish: Wish) -> Need:
    batches_per_s = wish.fps / wish.efficiency / batch
    ops = 2 * workload.macs or workload.ops
    return Need(
        datatype,
        batch,
        peak=ops * batch / workload.batch * batches_per_s,
        bandwidth=workload.traffic_bytes("weights") * batches_per_s,
        capacity=workload.weight_bytes + workload.peak_activation_bytes * batch / workload.batch,
    )
