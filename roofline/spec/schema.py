"""What a platform file says: the models behind `platforms/*.yaml` and their JSON Schema.

Inside the program a machine is a `roofline.spec.Platform`: one specification in one operating mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar, cast

from pydantic import AfterValidator, ConfigDict, Field, field_validator

from roofline.precision import COMPUTE_DATATYPES
from roofline.spec._frozen import FrozenDict, Strict, Table, broken_rule
from roofline.spec.names import (
    Datatype,
    Key,
    MachineKind,
    Rule,
    Segment,
    ZeroSkipping,
    check_datatype,
)
from roofline.spec.parts import (
    Clocks,
    DeviceLink,
    HostLink,
    Link,
    Memory,
    Peak,
    PowerDraw,
    Rate,
    Source,
)
from roofline.spec.profiles import Profile
from roofline.spec.quantity import Count, Money, Width
from roofline.spec.thread_modes import with_threads

SCHEMA_VERSION = 1
"""The version of the file format that this program reads."""

CHANGES_SINCE: dict[int, str] = {}
"""For each older version, what to change in a file to bring it up to the next one."""

T = TypeVar("T")


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
    threads: int | None = Field(default=None, ge=1)
    """How many threads its figures are for, where that defines the mode."""
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
    doubts: tuple[str, ...] = ()
    """What makes the file's own numbers doubtful, such as other load during its calibration; told wherever they are
    held against a run."""
    sources: Table[Source] = Field(default_factory=FrozenDict)
    """Where the numbers come from, by key."""

    model_config = ConfigDict(title="Platform file of roofline")

    @field_validator("modes", mode="before")
    @classmethod
    def _threads(cls, modes: object) -> object:
        if not isinstance(modes, Mapping):
            return modes
        entries = cast("Mapping[str, object]", modes)
        return {name: with_threads(str(name), mode) for name, mode in entries.items()}

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
            raise broken_rule(
                f"version {version} of the format is not the one this program reads, {SCHEMA_VERSION}",
                f"{repair}. {changes}".strip(". "),
            )
        return version
