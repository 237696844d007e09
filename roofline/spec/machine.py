"""A machine in one operating mode, as the prediction models use it: every number in base units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from roofline.errors import DatatypeError, PlatformError, did_you_mean
from roofline.precision import COMPUTE_DATATYPES
from roofline.spec._frozen import FrozenDict
from roofline.spec.names import ZeroSkipping
from roofline.spec.parts import Memory, Peak
from roofline.spec.profiles import Profile
from roofline.spec.quantity import Quantity
from roofline.spec.schema import Specification

_FLOATS_FROM_16 = ("fp16", "bf16", "tf32", "fp32", "fp64")
_INTEGERS_FROM_8 = ("int8", "fp8", "int16", "fp16", "bf16", "int32", "tf32", "fp32", "fp64")

WIDER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binary": ("int2", "int4", *_INTEGERS_FROM_8),
        "int2": ("int4", "fp4", *_INTEGERS_FROM_8),
        "int4": _INTEGERS_FROM_8,
        "int8": ("int16", "fp16", "bf16", "int32", "tf32", "fp32", "fp64"),
        "int16": ("int32", "fp32", "fp64"),
        "int32": ("fp64",),
        "fp4": ("fp8", *_FLOATS_FROM_16),
        "fp8": _FLOATS_FROM_16,
        "fp16": ("tf32", "fp32", "fp64"),
        "bf16": ("tf32", "fp32", "fp64"),
        "tf32": ("fp32", "fp64"),
        "fp32": ("fp64",),
        "fp64": (),
    }
)
"""For each datatype, those that hold all of its values, narrowest first: what it can be emulated on."""


def _base(quantity: Quantity | None) -> float | None:
    """Return a quantity in the base unit of its dimension; None where there is none."""
    return None if quantity is None else quantity.base


def _largest(memories: Iterable[Memory]) -> Memory | None:
    """Return the memory of the largest capacity; None where none states any."""
    sized = [(memory.capacity.base, memory) for memory in memories if memory.capacity]
    return max(sized, key=lambda entry: entry[0])[1] if sized else None


class Platform(BaseModel):
    """One machine in one operating mode.

    The numbers behind the accessors, each with its unit, kind and source, are in `specification`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    specification: Specification
    """What the file says, with the mode's figures in place."""
    mode: str | None = None
    """The operating mode, or None for a machine without modes."""

    def __repr__(self) -> str:
        return f"<Platform {self.key}: {self.specification.name}>"

    @property
    def key(self) -> str:
        """The name on the command line, with the mode after a colon: ``tx2:maxn``."""
        return (
            self.specification.key
            if self.mode is None
            else f"{self.specification.key}:{self.mode}"
        )

    @property
    def name(self) -> str:
        """The name people know it by, with the mode in brackets."""
        return (
            self.specification.name
            if self.mode is None
            else f"{self.specification.name} ({self.mode})"
        )

    @property
    def threads(self) -> int | None:
        """How many threads its figures are for, where its mode stands for a number of them."""
        return None if self.mode is None else self.specification.modes[self.mode].threads

    @property
    def vendor(self) -> str:
        """Who makes it."""
        return self.specification.vendor

    @property
    def kind(self) -> str:
        """``cpu``, ``gpu``, ``npu``, ``fpga`` or ``tpu``."""
        return self.specification.kind

    @property
    def segment(self) -> str | None:
        """Where such machines stand: one of `roofline.spec.names.SEGMENTS`; None if the file does not say."""
        return self.specification.segment

    @property
    def year(self) -> int:
        """The year it could first be bought."""
        return self.specification.year

    @property
    def peaks(self) -> Mapping[str, Peak]:
        """The peaks as the file gives them, by datatype."""
        return self.specification.peaks

    @property
    def datatypes(self) -> tuple[str, ...]:
        """The datatypes it has arithmetic for, widest first within floats and integers."""
        return tuple(name for name in COMPUTE_DATATYPES if name in self.peaks)

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Levels of memory, outermost first."""
        return self.specification.memories

    @property
    def bandwidth(self) -> float:
        """Bandwidth of the outermost memory, in B/s."""
        bandwidth = self.memories[0].bandwidth
        if bandwidth is None:
            raise PlatformError(
                f"{self.key}: the outermost memory has no bandwidth", repair="Give it in GB/s"
            )
        return bandwidth.base

    @property
    def capacity(self) -> float | None:
        """Capacity of the outermost memory, in B; None if the file does not say."""
        return _base(self.memories[0].capacity)

    @property
    def on_chip_memory(self) -> Memory | None:
        """The largest memory on the die; None if the file states no capacity of one."""
        return _largest(memory for memory in self.memories if memory.on_chip)

    @property
    def on_chip_capacity(self) -> float | None:
        """Capacity of the largest memory on the die, in B; None if the file does not say."""
        largest = self.on_chip_memory
        return None if largest is None else _base(largest.capacity)

    @property
    def weight_memory(self) -> Memory | None:
        """The largest memory in which weights stay from one inference to the next; None where there is none."""
        return _largest(memory for memory in self.memories if memory.holds_weights)

    @property
    def weight_bandwidth(self) -> float | None:
        """Bandwidth of what weights in excess of `weight_memory` cross, in B/s; None where nothing holds weights."""
        memory = self.weight_memory
        if memory is None:
            return None
        return self.host_bandwidth if memory.excess_from == "host_link" else self.bandwidth

    @property
    def host_bandwidth(self) -> float | None:
        """Bandwidth of the link to the host in one direction, in B/s; None if the file does not say."""
        link = self.specification.host_link
        return None if link is None else link.bandwidth.base

    @property
    def tdp(self) -> float | None:
        """Thermal design power or power budget, in W; None if the file does not say."""
        return _base(self.specification.power.tdp)

    @property
    def priced_power(self) -> float | None:
        """The most that the product the price buys draws, in W; None where the file does not say so.

        It is `tdp`, or without one `full_power`. A module's budget stands for the board that carries it; a chip's does
        not stand for a card or a computer.
        """
        price, of = self.specification.price, self.specification.power.of
        same = price is None or of == price.of or (of, price.of) == ("module", "board")
        most = self.full_power if self.tdp is None else self.tdp
        return most if same else None

    @property
    def idle_power(self) -> float | None:
        """Power at rest, in W; None if the file does not say."""
        return _base(self.specification.power.idle)

    @property
    def full_power(self) -> float | None:
        """Power under a network that keeps the arithmetic busy, in W; None if the file does not say."""
        return _base(self.specification.power.full)

    @property
    def price(self) -> float | None:
        """What one cost, in USD; None if the file does not say. What one is, `specification.price.of` tells."""
        return _base(self.specification.price)

    @property
    def lanes(self) -> int:
        """How many inferences run side by side, each at its share of the peak."""
        lanes = self.specification.lanes
        return 1 if lanes is None else int(lanes.value)

    @property
    def skips_zeros(self) -> ZeroSkipping:
        """Which zero weights cost no time: ``none``, ``2:4`` or ``unstructured``."""
        return self.specification.skips_zeros

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """What microbenchmarks measured on the machine, by ``backend/version/threads/datatype``."""
        return self.specification.profiles

    def has(self, datatype: str) -> bool:
        """Return whether the machine has arithmetic for a datatype."""
        return datatype in self.peaks

    def peak(
        self, datatype: str, *, sparse: bool = False, alternative: str | None = None
    ) -> float:
        """Return the peak of a datatype.

        Args:
            datatype: One of `roofline.precision.COMPUTE_DATATYPES`.
            sparse: Ask for the peak under structured sparsity instead of the dense one.
            alternative: Ask for another figure for the same peak by its name in the file, such as
                ``fp32-accumulate`` of a GeForce card.

        Returns:
            Operations per second; one multiply-accumulate is two operations.

        Raises:
            DatatypeError: The machine has no such unit or figure, or its file does not say; the message names
                those it has.

        Example:
            >>> from roofline.spec import platform
            >>> platform("tx2:maxn").peak("fp16")
            1330000000000.0
            >>> platform("rtx-4090").peak("fp16", alternative="fp32-accumulate")
            165150000000000.0
        """
        found = self.peaks.get(datatype)
        if found is None:
            raise self._no_peak(datatype)
        if alternative is not None:
            other = found.alternatives.get(alternative)
            if other is None:
                raise DatatypeError(
                    f"{self.key} has no figure {alternative!r} for {datatype}",
                    repair=f"It has: {', '.join(found.alternatives) or 'none but the peak'}",
                )
            return other.base
        if not sparse:
            return found.base
        if found.sparse is None:
            raise DatatypeError(
                f"{self.key} has no sparse peak for {datatype}",
                repair="Ask for the dense one, or choose another machine",
            )
        return found.sparse.base

    def ridge(self, datatype: str) -> float:
        """Return the ridge point: the intensity, in OP/B, at which the peak and the outermost memory bind alike.

        Example:
            >>> from roofline.spec import platform
            >>> round(platform("tx2:maxn").ridge("fp32"), 3)  # 0.67 TOP/s / 59.7 GB/s
            11.223
        """
        return self.peak(datatype) / self.bandwidth

    def emulation(self, datatype: str) -> str:
        """Return the narrowest datatype the machine has that holds every value of the one asked for.

        Integers run on wider integers or on floats whose significand holds them; floats never run on integers.

        Raises:
            DatatypeError: The datatype is unknown, or the machine has nothing that holds its values.

        Example:
            >>> from roofline.spec import platform
            >>> platform("tx2:maxn").emulation("int8")
            'fp16'
        """
        if self.has(datatype):
            return datatype
        for wider in WIDER.get(datatype, ()):
            if self.has(wider):
                return wider
        raise self._no_peak(datatype)

    def lack_of(self, datatype: str) -> str:
        """Return that the machine has no unit for a datatype, or that its file does not say, and those it has."""
        said = (
            f"{self.key} has no {datatype} unit"
            if datatype in self.specification.absent
            else f"the file of {self.key} does not say whether it has {datatype} units"
        )
        return f"{said}; it has {', '.join(self.datatypes)}"

    def _no_peak(self, datatype: str) -> DatatypeError:
        if datatype not in COMPUTE_DATATYPES:
            hint = (
                did_you_mean(datatype, COMPUTE_DATATYPES)
                or f"Known: {', '.join(COMPUTE_DATATYPES)}"
            )
            return DatatypeError(f"unknown datatype {datatype!r}", repair=hint)
        return DatatypeError(self.lack_of(datatype), repair="Choose one of them")


def in_mode(specification: Specification, mode: str | None) -> Platform:
    """Return the machine in one of its modes, whose name may be in any case.

    Without a mode, the file's `default_mode` is meant; a file that has modes and no default must be asked for one.

    Raises:
        PlatformError: The mode is unknown, missing, or asked of a machine without modes.
    """
    modes = specification.modes
    key = specification.key
    if not modes:
        if mode is not None:
            raise PlatformError(
                f"platform {key!r} has no modes, so not {mode!r} either", repair=f"Ask for {key}"
            )
        return Platform(specification=specification)
    chosen = mode if mode is not None else specification.default_mode
    known = ", ".join(f"{key}:{name}" for name in modes)
    if chosen is None:
        raise PlatformError(
            f"platform {key!r} has operating modes and none was named",
            repair=f"Ask for one of: {known}",
        )
    chosen = next((name for name in modes if name.casefold() == chosen.casefold()), chosen)
    if chosen not in modes:
        hint = did_you_mean(chosen, modes) or f"Modes: {known}"
        raise PlatformError(f"platform {key!r} has no mode {chosen!r}", repair=hint)
    override = modes[chosen]
    merged = specification.model_copy(
        update={
            "peaks": FrozenDict({**specification.peaks, **override.peaks}),
            "compute_units": FrozenDict({**specification.compute_units, **override.compute_units}),
            "clocks": specification.clocks.over(override.clocks),
            "memories": override.memories or specification.memories,
            "power": specification.power.over(override.power),
        }
    )
    return Platform(specification=merged, mode=chosen)
