"""Rules that no entry of a platform file can check alone: sources, datatypes, modes and memories against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from roofline.errors import did_you_mean
from roofline.spec._frozen import Strict
from roofline.spec.names import KEY_PATTERN, KEY_REPAIR
from roofline.spec.parts import Clocks, Memory, Peak, PowerDraw
from roofline.spec.problem import Problem
from roofline.spec.quantity import Count, Quantity
from roofline.spec.schema import Specification

Path = tuple[str | int, ...]


def quantities(value: object, path: Path = ()) -> Iterator[tuple[Path, Quantity]]:
    """Yield every quantity below a value of a specification, with its path, in file order."""
    if isinstance(value, Quantity):
        yield path, value
    if isinstance(value, Strict):
        for name in type(value).model_fields:
            yield from quantities(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for name, entry in cast("Mapping[str, object]", value).items():
            yield from quantities(entry, (*path, name))
    elif isinstance(value, tuple):
        for index, entry in enumerate(cast("tuple[object, ...]", value)):
            yield from quantities(entry, (*path, index))


def problems(spec: Specification) -> Iterator[Problem]:
    """Yield every contradiction of a specification with itself."""
    yield from _sources(spec)
    yield from _peaks(spec)
    yield from _modes(spec)
    yield from _memories(spec.memories, ("memories",), needed=not _every_mode_has_memories(spec))
    yield from _arithmetic(spec)
    yield from _rates(spec)
    yield from _clocks_and_power(spec.clocks, spec.power, ())
    for name, mode in spec.modes.items():
        yield from _memories(mode.memories, ("modes", name, "memories"), needed=False)
        yield from _clocks_and_power(mode.clocks, mode.power, ("modes", name))
    for path, memories in _memory_lists(spec):
        for index, memory in enumerate(memories):
            yield from _memory(spec, memory, (*path, index))
    for key, profile in spec.profiles.items():
        if key != profile.key:
            yield Problem(
                ("profiles", key),
                "a profile is not named after what it says",
                f"Write {profile.key}",
            )


def _sources(spec: Specification) -> Iterator[Problem]:
    used = {rate.source for rate in spec.rates.values()}
    for path, quantity in quantities(spec):
        used.add(quantity.source)
        source = spec.sources.get(quantity.source)
        if source is None:
            hint = (
                did_you_mean(quantity.source, spec.sources)
                or "Add it under sources, with at least a title"
            )
            yield Problem((*path, "source"), f"no source has the key {quantity.source!r}", hint)
        elif quantity.kind == "datasheet" and source.url is None:
            yield Problem(
                (*path, "kind"),
                f"a datasheet number needs a source with a url, and {quantity.source!r} has none",
                "Add the url, or say kind: estimated",
            )
        shown = quantity.note or (isinstance(quantity, Peak) and quantity.arithmetic)
        if quantity.kind == "derived" and not shown:
            yield Problem(
                (*path, "note"), "a derived number needs its arithmetic", "Write it as a note"
            )
    for key in spec.sources:
        if key not in used:
            yield Problem(
                ("sources", key), "no number uses this source", "Remove it, or name it at a number"
            )


def _peaks(spec: Specification) -> Iterator[Problem]:
    declared = [*spec.peaks, *(name for mode in spec.modes.values() for name in mode.peaks)]
    if not declared:
        yield Problem(
            ("peaks",),
            "the machine has no peak",
            "Give at least one datatype its operations per second",
        )
    for index, name in enumerate(spec.absent):
        if name in declared:
            yield Problem(
                ("absent", index), f"{name} has a peak and is absent too", "Remove one of the two"
            )
        if name in spec.absent[:index]:
            yield Problem(("absent", index), f"{name} is listed twice", "Remove one of the two")
    tables = [
        (("peaks",), spec.peaks),
        *((("modes", key, "peaks"), mode.peaks) for key, mode in spec.modes.items()),
    ]
    for path, peaks in tables:
        for name, peak in peaks.items():
            if peak.sparse is not None and spec.skips_zeros == "none":
                yield Problem(
                    (*path, name, "sparse"),
                    "a sparse peak on a machine that skips no zeros",
                    f'Write skips_zeros: "{peak.sparse.pattern}"',
                )
            if peak.sparse is not None and peak.sparse.base < peak.base:
                yield Problem(
                    (*path, name, "sparse", "value"),
                    "the sparse peak is below the dense one",
                    "Datasheets often print only the sparse figure: the dense one is usually half of it",
                )


def _modes(spec: Specification) -> Iterator[Problem]:
    if spec.default_mode is not None and spec.default_mode not in spec.modes:
        hint = (
            did_you_mean(spec.default_mode, spec.modes)
            or f"Modes: {', '.join(spec.modes) or 'none'}"
        )
        yield Problem(("default_mode",), f"no mode is named {spec.default_mode!r}", hint)
    for name, mode in spec.modes.items():
        if not spec.peaks and not mode.peaks:
            yield Problem(
                ("modes", name, "peaks"), "the machine has no peak in this mode", "Give it one"
            )
        if KEY_PATTERN.fullmatch(name) is None:
            yield Problem(
                ("modes", name),
                "is not a name for a mode",
                KEY_REPAIR,
            )


AGREEMENT = 0.02
"""How far apart two ways to the same number may lie."""


def _arithmetic(spec: Specification) -> Iterator[Problem]:
    """Compare every peak with its units × operations per cycle × clock, in each mode."""
    places: list[tuple[Path, Mapping[str, Peak], Mapping[str, Count], Clocks]] = [
        ((), spec.peaks, spec.compute_units, spec.clocks)
    ]
    for name, mode in spec.modes.items():
        units = {**spec.compute_units, **mode.compute_units}
        places.append((("modes", name), mode.peaks, units, spec.clocks.over(mode.clocks)))
    for path, peaks, units, clocks in places:
        for datatype, peak in peaks.items():
            if (formula := peak.arithmetic) is None:
                continue
            here = (*path, "peaks", datatype)
            count = units.get(formula.units)
            clock = clocks.of(formula.clock)
            if count is None:
                hint = did_you_mean(formula.units, units) or f"Add compute_units: {formula.units}"
                yield Problem(
                    (*here, "arithmetic", "units"), f"no units are named {formula.units!r}", hint
                )
            elif clock is None:
                yield Problem(
                    (*here, "arithmetic", "clock"),
                    f"the machine has no {formula.clock} clock",
                    f"Add clocks: {formula.clock}",
                )
            else:
                product = count.base * formula.operations_per_cycle * clock.base
                if abs(peak.base - product) > AGREEMENT * product:
                    yield Problem(
                        (*here, "value"),
                        f"{peak.value:g} {peak.unit} is not {count.value:g} {formula.units} x "
                        f"{formula.operations_per_cycle:g} OP/cycle x {clock.value:g} {clock.unit} "
                        f"= {product / 1e12:g} TOP/s",
                        "Check whether the figure is sparse, or that of another variant",
                    )


def _rates(spec: Specification) -> Iterator[Problem]:
    """Name the rates that give no peak, neither at the machine's own units and clocks nor in a mode."""
    for datatype, rate in spec.rates.items():
        if rate.source not in spec.sources:
            yield Problem(
                ("rates", datatype, "source"),
                f"no source has the key {rate.source!r}",
                did_you_mean(rate.source, spec.sources) or "Add it under sources",
            )
        if not any(
            datatype in peaks for peaks in (spec.peaks, *(m.peaks for m in spec.modes.values()))
        ):
            yield Problem(
                ("rates", datatype),
                f"gives no peak: the machine does not say its {rate.units} or its {rate.clock} clock",
                "Add both, or state the peak",
            )


def _clocks_and_power(
    clocks: Clocks | None, power: PowerDraw | None, path: Path
) -> Iterator[Problem]:
    if clocks and clocks.base and clocks.boost and clocks.base.base > clocks.boost.base:
        yield Problem((*path, "clocks", "boost"), "is below the base clock", "Swap the two")
    if power and power.idle and power.full and power.idle.base > power.full.base:
        yield Problem((*path, "power", "full"), "is below the idle power", "Swap the two")


def _memory_lists(spec: Specification) -> Iterator[tuple[Path, tuple[Memory, ...]]]:
    yield ("memories",), spec.memories
    for name, mode in spec.modes.items():
        yield ("modes", name, "memories"), mode.memories


def _memory(spec: Specification, memory: Memory, path: Path) -> Iterator[Problem]:
    """Compare the figures of one memory with each other, and its role with the kind of machine."""
    if memory.bandwidth and memory.attained and memory.attained.base > memory.bandwidth.base:
        yield Problem(
            (*path, "attained", "value"),
            "more is attained than the memory gives",
            "Check for GiB/s in place of GB/s, or another variant's bandwidth",
        )
    if memory.bandwidth and memory.bus and memory.transfers:
        product = memory.bus.base / 8 * memory.transfers.base
        if abs(memory.bandwidth.base - product) > AGREEMENT * product:
            yield Problem(
                (*path, "bandwidth", "value"),
                f"{memory.bandwidth.value:g} {memory.bandwidth.unit} is not {memory.bus.value:g} bit x "
                f"{memory.transfers.value:g} {memory.transfers.unit} / 8 = {product / 1e9:g} GB/s",
                "Check for GiB/s in place of GB/s, or another variant's bandwidth",
            )
    if memory.holds_weights:
        if spec.kind in ("cpu", "gpu") and spec.segment != "microcontroller":
            yield Problem(
                (*path, "holds_weights"),
                f"the memories of a {spec.kind} are caches, which keep nothing by themselves",
                "Remove it",
            )
        if memory.capacity is None:
            yield Problem(
                (*path, "capacity"), "what holds weights needs a capacity", "Say how many bytes"
            )
    if memory.excess_from == "host_link":
        if not memory.holds_weights:
            yield Problem(
                (*path, "excess_from"), "only what holds weights has an excess", "Remove it"
            )
        if spec.host_link is None:
            yield Problem((*path, "excess_from"), "the machine has no host link", "Add host_link")


def _every_mode_has_memories(spec: Specification) -> bool:
    return bool(spec.modes) and all(mode.memories for mode in spec.modes.values())


def _memories(memories: tuple[Memory, ...], path: Path, *, needed: bool) -> Iterator[Problem]:
    if not memories:
        if needed:
            yield Problem(
                path,
                "the machine has no memory",
                "Give at least the outermost one, with its bandwidth",
            )
        return
    if memories[0].bandwidth is None:
        yield Problem(
            (*path, 0, "bandwidth"), "the outermost memory needs a bandwidth", "Give it in GB/s"
        )
    outer = memories[0]
    for index, memory in enumerate(memories[1:], start=1):
        if memory.name in {other.name for other in memories[:index]}:
            yield Problem(
                (*path, index, "name"), f"two memories are named {memory.name!r}", "Rename one"
            )
        if memory.bandwidth and outer.bandwidth and memory.bandwidth.base < outer.bandwidth.base:
            yield Problem(
                (*path, index, "bandwidth", "value"),
                "an inner memory is slower than the one outside it",
                "List the memories outermost first",
            )
        if memory.capacity and outer.capacity and memory.capacity.base > outer.capacity.base:
            yield Problem(
                (*path, index, "capacity", "value"),
                "an inner memory is larger than the one outside it",
                "List the memories outermost first",
            )
        outer = memory
