"""The strict check: what a platform file may say and is most often wrong about.

Other collections ship the sparse peak as the dense one, another variant's bandwidth, a stick's price with the watts of
its chip. `roofline.spec.consistency` refuses what contradicts itself; the rules here raise doubts, which a file can
answer with a reason under `exceptions`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from roofline.spec.consistency import AGREEMENT, quantities
from roofline.spec.names import Rule
from roofline.spec.parts import Peak
from roofline.spec.problem import Problem
from roofline.spec.quantity import Quantity
from roofline.spec.schema import Specification

RATIOS = (1, 2, 4, 8)
"""How many times faster than another a datatype of the same unit can be."""
UNIT_DATATYPES: Mapping[str, int] = MappingProxyType(
    {"tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "fp4": 4, "int4": 4}
)
"""Datatypes that matrix units share, with the bits each takes; FP64 and FP32 often run elsewhere."""


def doubts(spec: Specification) -> Iterator[Problem]:
    """Yield what is probably wrong in a file that contradicts nothing, unless the file gives a reason for it."""
    for rule, problem in _doubts(spec):
        if rule not in spec.exceptions:
            yield problem


def has_sources(spec: Specification) -> bool:
    """Return whether a peak and the bandwidth of the outermost memory are more than guesses, in some mode."""
    modes = list(spec.modes.values())
    peaks = [*spec.peaks.values(), *itertools.chain(*(mode.peaks.values() for mode in modes))]
    outer = [
        memories[0] for memories in (spec.memories, *(mode.memories for mode in modes)) if memories
    ]
    return any(peak.kind != "estimated" for peak in peaks) and any(
        memory.bandwidth is not None and memory.bandwidth.kind != "estimated" for memory in outer
    )


def default_quantities(spec: Specification) -> list[Quantity]:
    """Return the quantities of a machine in its default mode, as it is shown."""
    from roofline.spec.machine import in_mode

    mode = spec.default_mode or next(iter(spec.modes), None)
    shown = in_mode(spec, mode).specification
    return [quantity for path, quantity in quantities(shown) if path[0] != "modes"]


@dataclass(frozen=True, slots=True)
class Census:
    """How the numbers of some machines are known."""

    machines: int
    """How many machines."""
    sourced: int
    """Of those, how many have a peak and a bandwidth that are not guesses."""
    kinds: Mapping[str, int]
    """How many quantities are of each kind, all modes together."""

    def share(self, kind: str) -> float:
        """Return the share of the quantities that is of a kind; 0 where there are none."""
        return self.kinds.get(kind, 0) / max(1, sum(self.kinds.values()))


def census(specs: Sequence[Specification]) -> Census:
    """Count machines and how their numbers are known."""
    kinds = Counter(quantity.kind for spec in specs for _, quantity in quantities(spec))
    return Census(len(specs), sum(map(has_sources, specs)), dict(kinds))


def _doubts(spec: Specification) -> Iterator[tuple[Rule, Problem]]:
    if spec.segment is None:
        yield "segment", Problem(("segment",), "is missing", "Say where such machines stand")
    if spec.price is not None and spec.power.of not in (None, spec.price.of):
        yield (
            "product",
            Problem(
                ("power", "of"),
                f"the power is the {spec.power.of}'s and the price the {spec.price.of}'s",
                "Give both of one product, or leave one out",
            ),
        )
    for path, quantity in quantities(spec):
        if quantity.kind == "datasheet" and not spec.sources[quantity.source].maker:
            yield (
                "maker",
                Problem(
                    (*path, "kind"),
                    f"a datasheet number of {quantity.source!r}, which does not say maker: true",
                    "Write published, or maker: true where the maker published it",
                ),
            )
    yield from _peak_doubts(spec.peaks, ("peaks",))
    for name, mode in spec.modes.items():
        yield from _peak_doubts(mode.peaks, ("modes", name, "peaks"))


def _peak_doubts(
    peaks: Mapping[str, Peak], path: tuple[str | int, ...]
) -> Iterator[tuple[Rule, Problem]]:
    held = [name for name in UNIT_DATATYPES if name in peaks]
    for slow, fast in itertools.combinations(held, 2):
        if UNIT_DATATYPES[slow] > 2 * UNIT_DATATYPES[fast]:
            continue
        ratio = peaks[fast].base / peaks[slow].base
        ratio = max(ratio, 1 / ratio)
        if not any(abs(ratio - whole) <= 2 * AGREEMENT * whole for whole in RATIOS):
            yield (
                "ratios",
                Problem(
                    (*path, fast, "value"),
                    f"is {ratio:.3g} times apart from {slow}, not 1, 2, 4 or 8 times",
                    "Check for a sparse figure, another accumulator or another variant",
                ),
            )
    for name, peak in peaks.items():
        if peak.sparse is not None:
            ratio = peak.sparse.base / peak.base
            if not any(abs(ratio - whole) <= AGREEMENT * whole for whole in (2, 4)):
                yield (
                    "sparse",
                    Problem(
                        (*path, name, "sparse", "value"),
                        f"is {ratio:.3g} times the dense peak, not 2 or 4 times",
                        "Check which of the two the source prints",
                    ),
                )
