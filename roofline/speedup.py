"""Expected speed-up of compression, how much of it arrives, and whether pruning and quantization add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from roofline.errors import DatatypeError, OptionError
from roofline.model import predict
from roofline.precision import Bits
from roofline.tables import Record

if TYPE_CHECKING:
    from roofline.compress import Request
    from roofline.spec import Platform
    from roofline.workload import Workload

DENSE_BITS = 32
"""Width of the datatype that speed-ups by width start from, as in Gibson et al. 2023."""


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """One compressed variant of a network against the network itself."""

    network: str
    variant: str
    """Pruning, in the words of `Workload.variant`."""
    datatype: str
    technique: str
    """Which kinds of compression it is made of."""
    ideal: float
    """Fewer operations times narrower operands, if nothing else took time."""
    platform: str = ""
    model: str = ""
    predicted: float | None = None
    """Speed-up that the prediction model gives on the platform."""
    measured: float | None = None
    skipped: str = ""
    """Why nothing is predicted on the platform: it lacks a datatype."""

    @property
    def achieved(self) -> float | None:
        """Share of the ideal speed-up that was measured."""
        return None if self.measured is None else self.measured / self.ideal

    def record(self) -> Record:
        """Return a row; its columns are those of the chart ``speedup`` and more."""
        return {
            "network": self.network, "technique": self.technique, "platform": self.platform, "datatype": self.datatype,
            "pruning": self.variant, "expected_speedup": self.ideal, "model": self.model,
            "predicted_speedup": self.predicted, "achieved_speedup": self.measured, "achieved_share": self.achieved,
            "skipped": self.skipped or None,
        }  # fmt: skip


def ideal_speedup(dense: Workload, compressed: Workload) -> float:
    """Return the speed-up by operations: MACs with a nonzero weight, and the width of the datatype.

    A share of 95 % zero weights promises 20x and int8 4x, whatever the machine (Gibson et al. 2023, "expected").

    Args:
        dense: The network.
        compressed: A variant of it.

    Example:
        >>> from roofline.workload import Workload
        >>> dense = Workload.from_table("net", ops=2e9, weights=1e6, source="a table")
        >>> ideal_speedup(dense, dense.under(sparsity=0.95)), ideal_speedup(dense, dense.under(precision="int8"))
        (20.0, 4.0)
    """
    work = dense.macs / compressed.effective_macs if compressed.effective_macs else float("inf")
    return work * float(width_of(dense)) / float(width_of(compressed))


def width_of(workload: Workload) -> Bits:
    """Return the width of the arithmetic's operands in bits: the wider of weights and activations."""
    if workload.precision is None:
        return DENSE_BITS
    return max(workload.precision.weight_bits, workload.precision.activation_bits)


def speed_up(
    dense: Workload,
    request: Request,
    platform: Platform | None = None,
    *,
    model: str = "equation1",
    emulate: bool = False,
    dense_fps: float | None = None,
    fps: float | None = None,
) -> SpeedUp:
    """Return the speed-up a compression promises, the one a model predicts, and the one that was measured.

    Args:
        dense: The network before it.
        request: The compression.
        platform: The machine to predict on; None predicts nothing.
        model: The prediction model.
        emulate: Whether the next wider unit may stand in for a datatype that the machine lacks.
        dense_fps: Measured throughput of the network, in frames per second.
        fps: Measured throughput of the variant.

    Raises:
        DatatypeError: The machine has no unit for a datatype.
        OptionError: Only one of the two throughputs is given.
    """
    if (dense_fps is None) != (fps is None):
        raise OptionError(
            "a measured speed-up needs the throughput of both the network and its variant"
        )
    variant = request.under(dense)
    predicted = None
    if platform is not None:
        before = predict(dense, platform, model=model, emulate=emulate)
        after = predict(variant, platform, model=model, emulate=emulate)
        if before.latency_s and after.latency_s:
            predicted = before.latency_s / after.latency_s
    parts = (
        ("channel pruning", request.pruning),
        ("weight pruning", request.sparsity),
        ("quantization", request.quantization),
    )
    return SpeedUp(
        network=dense.name,
        variant=variant.variant,
        datatype=str(variant.precision or dense.precision or ""),
        technique=" and ".join(name for name, part in parts if part is not None),
        ideal=ideal_speedup(dense, variant),
        platform="" if platform is None else platform.key,
        model="" if platform is None else model,
        predicted=predicted,
        measured=None if fps is None or dense_fps is None else fps / dense_fps,
    )


def speed_ups(
    dense: Workload, request: Request, platforms: Sequence[Platform], *, emulate: bool = False
) -> list[SpeedUp]:
    """Return the speed-up Equation 1 predicts on each machine; one that lacks a datatype says so.

    Args:
        dense: The network before compression.
        request: The compression.
        platforms: Machines; without any, the ideal speed-up alone.
        emulate: Whether the next wider unit may stand in for a datatype that a machine lacks.

    Raises:
        DatatypeError: Every machine lacks a datatype.
    """
    ideal = speed_up(dense, request)
    found: list[SpeedUp] = []
    errors: list[DatatypeError] = []
    for platform in platforms:
        try:
            found.append(speed_up(dense, request, platform, emulate=emulate))
        except DatatypeError as error:
            errors.append(error)
            found.append(
                replace(ideal, platform=platform.key, model="equation1", skipped=error.message)
            )
    if errors and len(errors) == len(platforms):
        raise errors[0]
    return found or [ideal]


@dataclass(frozen=True, slots=True)
class Orthogonality:
    """What pruning and quantization gain alone and together, from four figures of one network on one machine.

    A is wide and dense, B narrow and dense, C wide and pruned, D narrow and pruned (Blott et al. 2021, Table 8).
    """

    p1: float
    """Gain of pruning at the wide datatype."""
    p2: float
    """Gain of pruning at the narrow datatype."""
    q1: float
    """Gain of quantization on the dense network."""
    q2: float
    """Gain of quantization on the pruned network."""

    @property
    def ratio(self) -> float:
        """How much of one gain is left after the other.

        The paper gives p2/p1 and q2/q1 as two findings; both are AD/BC, one number by algebra.
        """
        return self.p2 / self.p1


def orthogonality(
    a: float, b: float, c: float, d: float, *, lower_is_better: bool = False
) -> Orthogonality:
    """Return the gains between four figures.

    Args:
        a: Wide and dense: throughput, or another figure.
        b: Narrow and dense.
        c: Wide and pruned.
        d: Narrow and pruned.
        lower_is_better: For latencies: a gain is then the larger over the smaller.

    Raises:
        OptionError: A figure is not positive.

    Example:
        >>> orthogonality(1, 2, 4, 8).ratio
        1.0
    """
    if not min(a, b, c, d) > 0:
        raise OptionError("orthogonality needs four figures above zero")
    if lower_is_better:
        a, b, c, d = 1 / a, 1 / b, 1 / c, 1 / d
    return Orthogonality(p1=c / a, p2=d / b, q1=b / a, q2=d / c)


def frame(speedups: Sequence[SpeedUp]) -> Any:
    """Return speed-ups as a table, one row each (needs pandas)."""
    import pandas as pd

    return pd.DataFrame([entry.record() for entry in speedups])
