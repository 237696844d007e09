"""The parts of a machine that a platform file describes: peaks, memories, links, power, clocks, and their sources."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from roofline.spec._frozen import FrozenDict, Strict, Table
from roofline.spec.names import ClockName, Datatype, WeightsFrom
from roofline.spec.quantity import (
    Bandwidth,
    Capacity,
    ComputeRate,
    Count,
    Frequency,
    Kind,
    Power,
    Product,
    Time,
    TransferRate,
    Width,
)


class Source(Strict):
    """Where numbers come from."""

    title: str = Field(min_length=1)
    """Author and title of the document, precise enough to find it."""
    maker: bool = False
    """Whether the machine's maker published it; the numbers of others are `published`, not `datasheet`."""
    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """Address of the document."""
    date: str | None = None
    """When it was published, as the document says."""
    accessed: str | None = None
    """When it was read."""
    quote: str | None = None
    """The words or table cells that carry the numbers."""


class SparsePeak(ComputeRate):
    """The peak that a unit reaches when the weights follow a pattern of zeros, zeros counted as work."""

    pattern: Literal["2:4", "unstructured"]
    """The pattern of zeros it needs."""


class Arithmetic(Strict):
    """How a peak follows from the machine's parts: units × operations per cycle × clock."""

    units: str
    """Which of the machine's `compute_units`."""
    operations_per_cycle: float = Field(gt=0, allow_inf_nan=False)
    """Operations that one of them completes in a cycle on dense operands; one multiply-accumulate is two."""
    clock: ClockName
    """At which of the machine's `clocks`."""


class Rate(Arithmetic):
    """What one unit does in a cycle at one datatype, and so every member of a family and every mode."""

    kind: Kind
    """How the operations per cycle are known."""
    source: str
    """Key of an entry of `sources`."""
    accumulate: Datatype | None = None
    """The datatype sums are kept in, where it changes the rate."""
    sparse: Literal["2:4", "unstructured"] | None = None
    """The pattern of zeros at which the unit does twice as many, zeros counted as work."""
    alternatives: Table[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=FrozenDict
    )
    """Operations per cycle under another name, such as those with another accumulator."""

    @property
    def arithmetic(self) -> Arithmetic:
        """The formula alone."""
        return Arithmetic(
            units=self.units,
            operations_per_cycle=self.operations_per_cycle,
            clock=self.clock,
        )


class Peak(ComputeRate):
    """The most operations per second on dense operands of one datatype."""

    arithmetic: Arithmetic | None = None
    """How the peak follows from units and clock, where that is known; the two must agree within 2 %."""
    accumulate: Datatype | None = None
    """The datatype sums are kept in, where it changes the rate."""
    sparse: SparsePeak | None = None
    """The peak under structured sparsity, where the machine has one."""
    alternatives: Table[ComputeRate] = Field(default_factory=FrozenDict)
    """Other figures for the same peak, by name: another source's or another accumulator's; not used in predictions."""


class Memory(Strict):
    """One level of memory."""

    name: str = Field(min_length=1)
    """What it is: `HBM2e`, `LPDDR4`, `L2`."""
    bandwidth: Bandwidth | None = None
    """Bytes per second from this level towards the arithmetic; needed for the outermost level."""
    attained: Bandwidth | None = None
    """Bytes per second that a streaming benchmark was measured to attain."""
    bus: Width | None = None
    """Width of the interface, all channels together; with `transfers` it must give the bandwidth within 2 %."""
    transfers: TransferRate | None = None
    """Transfers per second on each wire of the interface."""
    latency: Time | None = None
    """Time from asking for a byte until it arrives."""
    capacity: Capacity | None = None
    """Bytes it holds."""
    on_chip: bool = False
    """Whether it lies on the die of the arithmetic."""
    holds_weights: bool = False
    """Whether weights that fit stay here from one inference to the next: a scratchpad or block RAM, never a cache."""
    excess_from: WeightsFrom = "memory"
    """What the weights in excess of this level cross at every inference; only where it holds weights."""


class Link(Strict):
    """A link of the machine to what is outside it."""

    name: str = Field(min_length=1)
    """What it is: `PCIe 4.0 x16`, `USB 3.0`, `NVLink 4`."""
    bandwidth: Bandwidth
    """Bytes per second in one direction."""
    latency: Time | None = None
    """Time that a transfer of one byte takes."""


class Figures(Strict):
    """Figures of one thing, some of which an operating mode states anew."""

    def over(self, other: Self | None) -> Self:
        """Return these figures with those that the other states in their place."""
        if other is None:
            return self
        stated = {
            name: value
            for name in type(self).model_fields
            if (value := getattr(other, name)) is not None
        }
        return self.model_copy(update=stated)


class HostLink(Link):
    """The link between the machine and its host, which inputs and results cross."""


class DeviceLink(Link):
    """The link between machines of this kind that work on one network together."""

    devices: Count | None = None
    """How many machines one system links so."""


class PowerDraw(Figures):
    """Electrical power."""

    of: Product | None = None
    """What draws it; to be compared with what is bought at `price`."""
    tdp: Power | None = None
    """Thermal design power, board power limit or power budget of the mode."""
    idle: Power | None = None
    """Power at rest, system up."""
    full: Power | None = None
    """Power under a network that keeps the arithmetic busy."""


class Clocks(Figures):
    """Clocks of the arithmetic."""

    base: Frequency | None = None
    """What the maker guarantees within the power limit."""
    boost: Frequency | None = None
    """The most it reaches."""
    wide_vectors: Frequency | None = None
    """What all units sustain under the widest vectors or matrix units, where that is slower."""

    def of(self, name: ClockName) -> Frequency | None:
        """Return one of the clocks; None if the file does not say."""
        return {"base": self.base, "boost": self.boost, "wide_vectors": self.wide_vectors}[name]
