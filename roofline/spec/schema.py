"""What a platform file says: the models behind `platforms/*.yaml` and their JSON Schema.

Inside the program a machine is a `roofline.spec.Platform`: one specification in one operating mode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from roofline.errors import did_you_mean
from roofline.precision import COMPUTE_DATATYPES
from roofline.spec._frozen import FrozenDict, Strict, Table
from roofline.spec.quantity import (
    Bandwidth,
    Capacity,
    ComputeRate,
    Money,
    Power,
    Quantity,
    Ratio,
    Time,
)

SCHEMA_VERSION = 1
"""The version of the file format that this program reads."""

CHANGES_SINCE: dict[int, str] = {}
"""For each older version, what to change in a file to bring it up to the next one."""

MachineKind = Literal["cpu", "gpu", "npu", "tpu", "fpga", "vliw", "mcu"]
"""The kind of machine a network runs on."""

ZeroSkipping = Literal["none", "2:4", "unstructured"]
"""Which zero weights cost no time: none; two of every four in a row; or any."""


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


class Peak(ComputeRate):
    """The most operations per second on dense operands of one datatype."""

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
    capacity: Capacity | None = None
    """Bytes it holds."""
    on_chip: bool = False
    """Whether it lies on the die of the arithmetic."""


class HostLink(Strict):
    """The link between the machine and its host, which inputs and results cross."""

    name: str = Field(min_length=1)
    """What it is: `PCIe 4.0 x16`, `USB 3.0`."""
    bandwidth: Bandwidth
    """Bytes per second in one direction."""


class PowerDraw(Strict):
    """Electrical power."""

    tdp: Power | None = None
    """Thermal design power, board power limit or power budget of the mode."""
    idle: Power | None = None
    """Power at rest, system up."""


class Category(Strict):
    """How a class of layers runs on the machine, measured by microbenchmarks."""

    datatype: Datatype | None = None
    """The datatype it was measured at; None stands for all."""
    efficiency: Ratio | None = None
    """Attained share of the peak of the datatype where arithmetic binds."""
    rate: ComputeRate | None = None
    """Attained operations per second where arithmetic binds, instead of an efficiency."""
    bandwidth: Bandwidth | None = None
    """Attained bytes per second where memory binds."""
    overhead: Time | None = None
    """Time each layer of the class takes on top."""
    channel_tile: int | None = Field(default=None, ge=1, le=4096)
    """Output channels are rounded up to a multiple of this before operations are counted."""
    spread: float | None = Field(default=None, ge=1, le=1000, allow_inf_nan=False)
    """Geometric spread of the measurements: the true value lies within a factor of this, typically."""


class Profile(Strict):
    """What microbenchmarks measured on this machine; `roofline calibrate` writes it."""

    tool: str
    """Program and version that measured."""
    date: str
    """When it measured."""
    conditions: str | None = None
    """Operating system, clocks, threads, runtime: whatever would change the numbers."""
    categories: Table[Category] = Field(default_factory=FrozenDict)
    """Measured behaviour by class of layer (`conv`, `depthwise`, `gemm`, `elementwise`…)."""
    bandwidths: Table[Bandwidth] = Field(default_factory=FrozenDict)
    """Attained bandwidth by name of a memory level."""
    overhead: Time | None = None
    """Time one inference takes on top of its layers."""
    constants: Table[Quantity] = Field(default_factory=FrozenDict)
    """Further measured constants, by name, in any unit of the table."""
    spread: float | None = Field(default=None, ge=1, le=1000, allow_inf_nan=False)
    """Geometric spread of predictions made with this profile on networks it was not fitted to."""


def _known_datatypes(peaks: Mapping[str, Peak]) -> Mapping[str, Peak]:
    for name in peaks:
        check_datatype(name)
    return peaks


Peaks = Annotated[
    Table[Peak],
    AfterValidator(_known_datatypes),
    Field(json_schema_extra={"propertyNames": {"enum": list(COMPUTE_DATATYPES)}}),
]
"""Peaks by datatype."""


class Mode(Strict):
    """An operating mode: what differs from the rest of the file."""

    description: str | None = None
    """Clocks or power budget that define the mode."""
    peaks: Peaks = Field(default_factory=FrozenDict)
    """Peaks that replace those of the same datatype."""
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
    name: str = Field(min_length=1)
    """The name people know it by."""
    vendor: str = Field(min_length=1)
    """Who makes it."""
    kind: MachineKind
    """What kind of machine it is."""
    year: int = Field(ge=1970, le=2100)
    """The year it could first be bought."""
    description: str | None = None
    """One sentence: which configuration this is."""
    peaks: Peaks = Field(default_factory=FrozenDict)
    """Peak operations per second by datatype."""
    absent: tuple[Datatype, ...] = ()
    """Datatypes the machine is known to have no arithmetic for."""
    memories: tuple[Memory, ...] = ()
    """Levels of memory, outermost first."""
    host_link: HostLink | None = None
    """The link to the host."""
    power: PowerDraw = PowerDraw()
    """Electrical power."""
    price: Money | None = None
    """What one cost."""
    skips_zeros: ZeroSkipping = "none"
    """Which zero weights cost no time."""
    lanes: Ratio | None = None
    """How many inferences run side by side, each at its share of the peak (cores of a DPU); 1 if not given."""
    modes: Table[Mode] = Field(default_factory=FrozenDict)
    """Operating modes by name; asked for after a colon: `tx2:maxn`."""
    default_mode: str | None = None
    """The mode that is meant when none is asked for; without it, a mode must be named."""
    profile: Profile | None = None
    """What microbenchmarks measured on the machine."""
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


MACHINE_KINDS: tuple[str, ...] = get_args(MachineKind)
"""Every kind of machine."""
