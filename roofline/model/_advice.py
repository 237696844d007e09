"""The reverse question: which machines reach a throughput, and which peak and bandwidth would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roofline.errors import DatatypeError, NoBasisError, OptionError
from roofline.model._prediction import Prediction, frame
from roofline.model._request import at_precision, own_precision, predictions_at
from roofline.number_format import percent
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
    efficiency: float | None = None
    """Share of the bound that a real run is expected to reach, where the asker knows it; None asks the estimates."""

    def __post_init__(self) -> None:
        for name, value in (("fps", self.fps), ("watts", self.watts), ("price", self.price)):
            if value is not None and not (0 < value < math.inf):
                raise OptionError(f"{name} is {value:g}", repair="Give a number above zero")
        if self.efficiency is not None and not 0 < self.efficiency <= 1:
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
    """The best estimate there is, else the bound."""
    expected_fps: float | None
    """The estimate, or the bound times the efficiency that was given; None where neither is known."""
    low_fps: float | None
    """Low end of the estimate's 80 % interval, which ranks."""
    price: float | None
    """USD."""
    obstacles: tuple[str, ...]
    """Why it does not do; empty when it does."""
    doubts: tuple[str, ...] = ()
    """What its file does not say."""

    @property
    def answer(self) -> str:
        """``no`` where something known speaks against it, ``unknown`` where there is a doubt, else ``yes``."""
        return "no" if self.obstacles else "unknown" if self.doubts else "yes"

    @property
    def suits(self) -> bool:
        """Whether all that was asked is known to be met."""
        return self.answer == "yes"

    def record(self) -> dict[str, Any]:
        """Return the candidate as a row."""
        prediction = self.prediction
        return {
            "platform": prediction.platform,
            "datatype": prediction.datatype,
            "batch": prediction.batch,
            "suits": self.suits,
            "answer": self.answer,
            "model": prediction.model,
            "low_fps": self.low_fps,
            "expected_fps": self.expected_fps,
            "throughput_fps": prediction.throughput_fps,
            "latency_ms": prediction.record()["latency_ms"],
            "bound": prediction.record()["bound"],
            "fits": prediction.fits,
            "tdp_w": prediction.tdp,
            "price_usd": self.price,
            "fps_per_w": prediction.fps_per_w,
            "obstacles": list(self.obstacles),
            "doubts": list(self.doubts),
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """Machines with an estimate before those with a bound only; those that suit first, by the low end."""

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
    model: str | None = None,
) -> Advice:
    """Return which machines reach a throughput within limits, and what any machine would need to.

    Args:
        workload: The network.
        platforms: Machines to choose from.
        wish: The throughput and the limits.
        datatypes: Precisions that would do; by default the workload's own.
        batches: Items per batch that would do; by default the workload's.
        model: Name of a prediction model; None for the best estimate there is, else the bound.

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
                    found = predictions_at(
                        ready[datatype], platform, (batch,), model, {"datatype": datatype}
                    )
                except (DatatypeError, NoBasisError):
                    # Another machine may have the unit, or the basis.
                    continue
                # With an efficiency the asker's own estimate stands: a share of the bound, which comes first.
                chosen = found[-1] if wish.efficiency is None else found[0]
                candidates.append(_candidate(chosen, platform, wish))
        if len(candidates) == before:
            without.append(platform.key)
    for datatype in asked:
        for batch in batches or (workload.batch,):
            needs[datatype, batch] = _need(ready[datatype], datatype.name, batch, wish)
    order = {"yes": 0, "unknown": 1, "no": 2}
    candidates.sort(
        key=lambda entry: (
            entry.low_fps is None,
            order[entry.answer],
            -(entry.low_fps or entry.prediction.throughput_fps or 0.0),
        )
    )
    return Advice(tuple(needs.values()), tuple(candidates), tuple(without))


def _candidate(prediction: Prediction, platform: Platform, wish: Wish) -> Candidate:
    fps, ends = prediction.throughput_fps, prediction.interval_fps
    if wish.efficiency is not None and fps is not None:
        expected = low = wish.efficiency * fps
    else:
        expected, low = (fps, ends[0]) if fps is not None and ends is not None else (None, None)
    reached = low if low is not None else fps
    obstacles: list[str] = []
    doubts: list[str] = []
    if reached is None:
        doubts.append("not fully counted")
    elif reached < wish.fps:
        obstacles.append(f"reaches {percent(reached / wish.fps, 2)} of the throughput")
    elif low is None:
        doubts.append("bound only: no estimate")
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
    return Candidate(prediction, expected, low, platform.price, tuple(obstacles), tuple(doubts))


def _need(workload: Workload, datatype: str, batch: int, wish: Wish) -> Need:
    batches_per_s = wish.fps / (wish.efficiency or 1.0) / batch
    ops = 2 * workload.macs or workload.ops
    return Need(
        datatype,
        batch,
        peak=ops * batch / workload.batch * batches_per_s,
        bandwidth=workload.traffic_bytes("weights") * batches_per_s,
        capacity=workload.weight_bytes + workload.peak_activation_bytes * batch / workload.batch,
    )
