"""What a platform file says: the models behind `platforms/*.yaml` and their JSON Schema.

Inside the program a machine is a `roofline.spec.Platform`: one specification in one operating mode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from roofline.errors import did_you_mean
from roofline.precision import COMPUTE_DATATYPES
from roofline.spec._frozen import FrozenDict, Strict, Table
from roofline.spec.quantity import (
    Bandwidth,
    Capacity,
    ComputeRate,
    Count,
    Frequency,
    Kind,
    Money,
    Power,
    Product,
    Quantity,
    Time,
    TransferRate,
    Width,
)

SCHEMA_VERSION = 1
"""The version of the file format that this program reads."""

CHANGES_SINCE: dict[int, str] = {}
"""For each older version, what to change in a file to bring it up to the next one."""

MachineKind = Literal["cpu", "gpu", "npu", "fpga", "tpu"]
"""The kind of machine a network runs on; a microcontroller's core is a cpu of that segment."""

Segment = Literal["data centre", "desktop", "laptop", "phone", "edge", "microcontroller"]
"""Where such machines stand."""

ClockName = Literal["base", "boost", "wide_vectors"]
"""The name of a clock."""

Rule = Literal["ratios", "product", "maker", "sparse", "segment"]
"""A rule of the strict check, of `roofline.spec.audit`."""

WeightsFrom = Literal["memory", "host_link"]
"""What the weights that a memory cannot hold cross: the memory listed before it, or the link to the host."""

ZeroSkipping = Literal["none", "2:4", "unstructured"]
"""Which zero weights cost no time: none; two of every four in a row; or any."""


T = TypeVar("T")

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What can be typed on a command line as a key or a mode: no colon, no space, no capital."""


KEY_REPAIR = "Use lower-case letters, digits, dots and dashes: my-board"
"""How to mend a key."""


def _key(value: str) -> str:
    if KEY_PATTERN.fullmatch(value) is None:
        raise PydanticCustomError(
            "broken_rule",
            "{value} is not a key",
            {"value": repr(value[:60]), "repair": KEY_REPAIR},
        )
    return value


Key = Annotated[str, AfterValidator(_key)]
"""A name that can be typed on a command line: lower case, no colon, no space."""


def check_datatype(name: str) -> str:
    """Refuse a name that is no compute datatype, with the nearest one that is."""
    if name not in COMPUTE_DATATYPES:
        hint = did_you_mean(name, COMPUTE_DATATYPES) or f"Known: {', '.join(COMPUTE_DATATYPES)}"
        raise PydanticCustomError(
            "broken_rule", "unknown datatype {name}", {"name": repr(name), "repair": hint}
        )
    return name


Datatype = Annotated[
    str,
    AfterValidator(check_datatype),
    WithJsonSchema({"type": "string", "enum": list(COMPUTE_DATATYPES)}),
]
"""A datatype that a machine can have arithmetic for."""


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

    def named(self, name: ClockName) -> Frequency | None:
        """Return one of the clocks; None if the file does not say."""
        return {"base": self.base, "boost": self.boost, "wide_vectors": self.wide_vectors}[name]


SampleText = Annotated[
    str,
    Field(
        max_length=200,
        pattern=r"^[0-9.e+]+(x[0-9.e+]+)* = [0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?( ±[0-9.]+%)?$",
    ),
]
"""A shape along the axes of its kind, the utilisation measured there, and how far two measurements lay apart."""


Factor = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
"""What a time is multiplied by."""


class Profile(Strict):
    """What microbenchmarks measured on the machine with one backend, version, number of threads and datatype.

    Who measured with what, named figures, and one line of text for each measured shape. The type that models compute
    with belongs to `roofline.model`, a layer above this one, which reads the figures and lines that it knows.
    """

    backend: str = Field(min_length=1)
    """The backend: `tvm`, `onnxruntime`."""
    version: str = Field(min_length=1)
    """The version of the backend."""
    threads: int = Field(ge=1, le=4096)
    """How many threads it ran on."""
    datatype: Datatype
    """The datatype it ran at."""
    tool: str
    """Program and version that measured."""
    date: str
    """When it measured."""
    conditions: str | None = None
    """Operating system, clocks, governor: whatever else would change the numbers."""
    figures: Table[Quantity] = Field(default_factory=FrozenDict)
    """Measured figures by name, in any unit of the table: rates, bandwidths, times, efficiencies."""
    processor: str | None = None
    """The processor it was measured on, as the operating system names it."""
    protocol: str | None = None
    """How times were taken."""
    lanes: int = Field(default=1, ge=1, le=1024)
    """Channels that packed kernels handle at once, found from the steps of measured times; 1 where there are none."""
    traits: Table[tuple[str, ...]] = Field(default_factory=FrozenDict)
    """What the backend does with operators beside others, by trait: ``absorbed``, ``after_product``, ``packed``,
    ``patterns``."""
    samples: Table[tuple[SampleText, ...]] = Field(default_factory=FrozenDict)
    """By kind of work, measured shapes and the share of the speed of light there: ``64x64x3136x9x1 = 0.75 ±3%``."""
    corrections: Table[Factor] = Field(default_factory=FrozenDict)
    """Factors of predicted times by class of work (`conv`, `matmul`), from networks measured on the machine."""
    spread: float | None = Field(default=None, ge=1, le=1000, allow_inf_nan=False)
    """Geometric spread of predictions made with this profile on networks it was not fitted to."""

    @property
    def key(self) -> str:
        """The name it has among the machine's profiles: ``onnxruntime/1.23.2/2/fp32``."""
        return f"{self.backend}/{self.version}/{self.threads}/{self.datatype}"


def _known_datatypes(table: Mapping[str, T]) -> Mapping[str, T]:
    for name in table:
        check_datatype(name)
    return table


def _frozen_exceptions(reasons: Mapping[Rule, str]) -> Mapping[Rule, str]:
    return FrozenDict(reasons)


Peaks = Annotated[
    Table[Peak],
    AfterValidator(_known_datatypes),
    Field(json_schema_extra={"propertyNames": {"enum": list(COMPUTE_DATATYPES)}}),
]
"""Peaks by datatype."""

Rates = Annotated[
    Table[Rate],
    AfterValidator(_known_datatypes),
    Field(json_schema_extra={"propertyNames": {"enum": list(COMPUTE_DATATYPES)}}),
]
"""Rates by datatype."""


Exceptions = Annotated[Mapping[Rule, str], AfterValidator(_frozen_exceptions)]
"""Reasons by the name of a rule."""


class Mode(Strict):
    """An operating mode: what differs from the rest of the file."""

    description: str | None = None
    """Clocks or power budget that define the mode."""
    peaks: Peaks = Field(default_factory=FrozenDict)
    """Peaks that replace those of the same datatype."""
    compute_units: Table[Count] = Field(default_factory=FrozenDict)
    """Numbers of units that replace those of the same name."""
    clocks: Clocks | None = None
    """Clocks that replace those of the same name."""
    memories: tuple[Memory, ...] = ()
    """If given, replaces the whole list of memories."""
    power: PowerDraw | None = None
    """Figures that replace those of the same name."""


class Specification(Strict):
    """One machine, as its file says."""

    schema_version: int
    """Version of this format."""
    key: Key
    """The name used on the command line; a shipped file is named after it."""
    extends: Key | None = None
    """A family or another machine, whose entries hold where this file states none; None once they are in place."""
    name: str = Field(min_length=1)
    """The name people know it by."""
    vendor: str = Field(min_length=1)
    """Who makes it."""
    kind: MachineKind
    """What kind of machine it is."""
    segment: Segment | None = None
    """Where such machines stand."""
    year: int = Field(ge=1970, le=2100)
    """The year it could first be bought."""
    description: str | None = None
    """One sentence: which configuration this is."""
    peaks: Peaks = Field(default_factory=FrozenDict)
    """Peak operations per second by datatype."""
    rates: Rates = Field(default_factory=FrozenDict)
    """What one unit does in a cycle, by datatype: gives the peaks that the file does not state."""
    absent: tuple[Datatype, ...] = ()
    """Datatypes the machine is known to have no arithmetic for."""
    memories: tuple[Memory, ...] = ()
    """Levels of memory, outermost first."""
    compute_units: Table[Count] = Field(default_factory=FrozenDict)
    """Parts that compute side by side, by name: `cores`, `sms`, `tensor_cores`, `dpu_cores`."""
    clocks: Clocks = Clocks()
    """Clocks of the arithmetic."""
    simd: Width | None = None
    """Width of a vector register or lane."""
    host_link: HostLink | None = None
    """The link to the host."""
    device_link: DeviceLink | None = None
    """The link to further machines of this kind in one system."""
    network_link: Link | None = None
    """The link from one system to the next, for each machine."""
    power: PowerDraw = PowerDraw()
    """Electrical power."""
    price: Money | None = None
    """What one cost."""
    skips_zeros: ZeroSkipping = "none"
    """Which zero weights cost no time."""
    lanes: Count | None = None
    """How many inferences run side by side, each at its share of the peak (cores of a DPU); 1 if not given."""
    modes: Table[Mode] = Field(default_factory=FrozenDict)
    """Operating modes by name; asked for after a colon: `tx2:maxn`."""
    default_mode: str | None = None
    """The mode that is meant when none is asked for; without it, a mode must be named."""
    profiles: Table[Profile] = Field(default_factory=FrozenDict)
    """What microbenchmarks measured on the machine, by `backend/version/threads/datatype`."""
    exceptions: Exceptions = Field(default_factory=FrozenDict[Rule, str])
    """Rules of the strict check that the machine breaks in truth, each with the reason."""
    notes: tuple[str, ...] = ()
    """What a reader must know, conflicts between sources above all."""
    sources: Table[Source] = Field(default_factory=FrozenDict)
    """Where the numbers come from, by key."""

    model_config = ConfigDict(title="Platform file of roofline")

    @field_validator("schema_version", mode="after")
    @classmethod
    def _version(cls, version: int) -> int:
        if version != SCHEMA_VERSION:
            changes = " ".join(
                text for old, text in sorted(CHANGES_SINCE.items()) if old >= version
            )
            repair = (
                f"Write schema_version: {SCHEMA_VERSION}"
                if version < SCHEMA_VERSION
                else "Upgrade roofline"
            )
            raise PydanticCustomError(
                "broken_rule",
                "version {version} of the format is not the one this program reads, {ours}",
                {
                    "version": version,
                    "ours": SCHEMA_VERSION,
                    "repair": f"{repair}. {changes}".strip(". "),
                },
            )
        return version


SEGMENTS: tuple[str, ...] = get_args(Segment)
"""Every segment."""

MACHINE_KINDS: tuple[str, ...] = get_args(MachineKind)
"""Every kind of machine."""
