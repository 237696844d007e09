"""The rules that decide DLAS's thirteen observations from measured runs.

Every rule makes cases of the runs: comparisons that bear the observation out, speak against it, or are open. What times
are, intervals or figures of every turn, and when they are apart, is the clock's to say.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from types import MappingProxyType

from roofline.errors import RooflineError
from roofline.number_format import number
from roofline.validate.analysis.configurations import (
    CHANNELS,
    DENSE,
    WEIGHTS,
    Configuration,
    macs,
    pairs,
    tuning_pairs,
)
from roofline.validate.records.tuning import Tuning
from roofline.validate.studies.dlas.times import Clock, Times, least_of

STRONG = 0.9
"""Correlation coefficient from which two quantities are called strongly correlated."""

APART = 1.5
"""Factor from which the gains of two datatypes are called different."""

_WRITTEN = (
    "sparse kernels are written with their schedule: tuning changes what is around them, and untuned they stand beside "
    "dense kernels without any"
)
"""What is to be known of TVM's runs with pruned weights."""

_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison."""

    words: str
    """What is compared, with its figures."""
    holds: bool | None
    """Whether it bears the observation out; None where the times leave that open."""
    disturbed: bool = False
    """Whether a disturbed run is among those compared."""


Decided = tuple[list[Case], str]


def _is_disturbed(*runs: Configuration) -> bool:
    return any(entry.disturbed for entry in runs)


def _fits(entry: Configuration, wanted: Mapping[str, str]) -> bool:
    return all(getattr(entry, name) == value for name, value in wanted.items())


def _by_network(found: Iterable[Configuration], **wanted: str) -> dict[str, list[Configuration]]:
    groups: dict[str, list[Configuration]] = {}
    for entry in found:
        if _fits(entry, wanted):
            groups.setdefault(entry.network, []).append(entry)
    return dict(sorted(groups.items()))


def _find_fastest(runs: Sequence[Configuration], clock: Clock) -> set[str]:
    """Return the algorithms that may be the fastest: those not slower than another one beyond doubt."""
    return {
        entry.algorithm
        for entry in runs
        if not any(clock(other).over(clock(entry)).is_below(1.0) for other in runs)
    }


def _best_time(runs: Iterable[Configuration], clock: Clock) -> Times:
    """Return the time of the fastest."""
    return least_of(map(clock, runs))


def _list_runs(runs: Iterable[Configuration]) -> str:
    ordered = sorted(runs, key=lambda entry: entry.seconds)
    return ", ".join(f"{entry.algorithm} {number(entry.seconds * 1e3, 3)} ms" for entry in ordered)


def _check_uncorrelated(found: Sequence[Configuration], _clock: Clock) -> Decided:
    remark = "of accuracy the runs say nothing: the weights are random"
    fastest: dict[tuple[str, str], Configuration] = {}
    for entry in found:
        key = (entry.network, f"{entry.technique} {entry.variant}")
        if entry.tuning is Tuning.TUNED and (
            key not in fastest or entry.seconds < fastest[key].seconds
        ):
            fastest[key] = entry
    work: list[float] = []
    runs: list[Configuration] = []
    for entry in fastest.values():
        try:
            work.append(math.log(macs(entry)))
        except RooflineError:
            continue
        runs.append(entry)
    if len(runs) < 4:
        return [], "fewer than four tuned variants"
    r = correlation([(x, math.log(entry.seconds)) for x, entry in zip(work, runs, strict=True)])
    dice = random.Random(0)
    drawn = [
        correlation(
            [
                (x, math.log(dice.uniform(entry.low_s, entry.high_s)))
                for x, entry in zip(work, runs, strict=True)
            ]
        )
        for _ in range(_DRAWS)
    ]
    weak = {abs(value) < STRONG for value in (r, *drawn)}
    words = f"r = {r:.2f} between log MACs and log time of {len(runs)} tuned variants"
    return [Case(words, weak.pop() if len(weak) == 1 else None, _is_disturbed(*runs))], remark


def correlation(points: Sequence[tuple[float, float]]) -> float:
    """Return Pearson's correlation coefficient, 0 where one of the two does not vary.

    Example:
        >>> round(correlation([(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]), 9)
        1.0
    """
    left, right = mean(x for x, _ in points), mean(y for _, y in points)
    both = sum((x - left) * (y - right) for x, y in points)
    spread = math.sqrt(
        sum((x - left) ** 2 for x, _ in points) * sum((y - right) ** 2 for _, y in points)
    )
    return both / spread if spread else 0.0


def _sparse_beats_dense(found: Sequence[Configuration], clock: Clock) -> Decided:
    dense = _by_network(found, technique=DENSE, tuning=Tuning.TUNED, backend="tvm")
    sparse = _by_network(found, technique=WEIGHTS, tuning=Tuning.TUNED, backend="tvm")
    cases: list[Case] = []
    datasets: set[bool] = set()
    for network in dense.keys() & sparse.keys():
        small = network.endswith("_cifar10")
        datasets.add(small)
        ratio = _best_time(sparse[network], clock).over(_best_time(dense[network], clock))
        faster = ratio.is_below(1.0)
        listed = f"sparse {_list_runs(sparse[network])}; dense {_list_runs(dense[network])}"
        words = f"{network}: {listed}{ratio.words}"
        holds = faster if small or faster is None else not faster
        cases.append(Case(words, holds, _is_disturbed(*dense[network], *sparse[network])))
    other = "ImageNet" if True in datasets else "CIFAR-10"
    return sorted(cases, key=lambda case: case.words), f"{other} was not run" if len(
        datasets
    ) == 1 else ""


def _weights_below_channels(found: Sequence[Configuration], clock: Clock) -> Decided:
    groups: dict[tuple[str, str], dict[str, tuple[Configuration, Configuration]]] = {}
    for base, entry in pairs(found):
        groups.setdefault((entry.network, entry.run_by), {})[entry.technique] = base, entry
    cases: list[Case] = []
    fewer: dict[str, None] = {}
    for (network, backend), by in sorted(groups.items()):
        if not {WEIGHTS, CHANNELS} <= by.keys():
            continue
        (base, weights), (_, channels) = by[WEIGHTS], by[CHANNELS]
        # The dense time is in both shares: time times promise decides which of them is smaller.
        ratio = clock(channels).over(clock(weights)).scale(channels.expected / weights.expected)
        words = f"{network} {backend}: weights {_share(base, weights)}, channels {_share(base, channels)}"
        holds = ratio.is_below(1.0)
        cases.append(Case(f"{words}{ratio.words}", holds, _is_disturbed(weights, channels)))
        if weights.expected <= channels.expected:
            fewer.setdefault(network)
    if not cases:
        return [], ""
    remark = f"; by operations pruned channels promise more on {', '.join(fewer)}" if fewer else ""
    return cases, _WRITTEN + remark


def _share(base: Configuration, entry: Configuration) -> str:
    share = base.seconds / entry.seconds / entry.expected
    return f"{100 * share:.0f} % of {entry.expected:.3g}x"


def _datatypes_vary(found: Sequence[Configuration], clock: Clock) -> Decided:
    groups: dict[tuple[str, str], dict[str, tuple[Configuration, Configuration]]] = {}
    for base, entry in pairs(found):
        if entry.technique in {"int8", "fp16"}:
            groups.setdefault((entry.network, entry.run_by), {})[entry.technique] = base, entry
    cases: list[Case] = []
    for (network, backend), by in sorted(groups.items()):
        if len(by) < 2:
            continue
        (base, half), (_, byte) = by["fp16"], by["int8"]
        ratio = clock(half).over(clock(byte))
        above, below = ratio.is_below(APART) is False, ratio.is_below(1 / APART) is True
        close = ratio.is_below(APART) is True and ratio.is_below(1 / APART) is False
        words = ", ".join(
            f"{entry.shown_technique} {base.seconds / entry.seconds:.2g}x"
            for entry in (half, byte)
        )
        holds = True if above or below else False if close else None
        told = f"{network} {backend}: {words}{ratio.words}"
        cases.append(Case(told, holds, _is_disturbed(half, byte)))
    return cases, "one machine: the runs say nothing of devices"


def _check_fastest(
    name: str, found: Sequence[Configuration], clock: Clock, among: Iterable[str], **wanted: str
) -> list[Case]:
    cases: list[Case] = []
    for network, runs in _by_network(found, backend="tvm", tuning=Tuning.TUNED, **wanted).items():
        fair = [entry for entry in runs if entry.algorithm in among]
        own = [entry for entry in fair if entry.algorithm == name]
        others = [entry for entry in fair if entry.algorithm != name]
        if not own or not others:
            continue
        ratio = _best_time(own, clock).over(_best_time(others, clock))
        words = f"{network}: {_list_runs(fair)}{ratio.words}"
        cases.append(Case(words, ratio.is_below(1.0), _is_disturbed(*fair)))
    return cases


def _spatial_pack(found: Sequence[Configuration], clock: Clock) -> Decided:
    among = ("direct", "gemm", "spatial_pack")
    return _check_fastest("spatial_pack", found, clock, among, technique=DENSE), ""


def _sparse_gemm(found: Sequence[Configuration], clock: Clock) -> Decided:
    cases = _check_fastest("gemm", found, clock, ("direct", "gemm"), technique=WEIGHTS)
    return cases, "no GPU was run"


def _check_expectation(found: Sequence[Configuration], clock: Clock) -> Decided:
    cases: list[Case] = []
    by_way: dict[tuple[str, str], list[bool]] = {}
    for base, entry in pairs(found):
        if entry.technique in {WEIGHTS, CHANNELS}:
            share = clock(base).over(clock(entry)).scale(1.0 / entry.expected)
            holds = share.is_below(1.0)
            words = f"{entry.network} {entry.technique} {entry.run_by}: {_share(base, entry)}{share.words}"
            cases.append(Case(words, holds, _is_disturbed(base, entry)))
            by_way.setdefault((entry.tuning, entry.technique), []).append(holds is True)
    counts = [
        f"{technique} {tuning}: {sum(held)} of {len(held)} for"
        for (tuning, technique), held in sorted(by_way.items())
    ]
    sparse = [_WRITTEN] if any(technique == WEIGHTS for _, technique in by_way) else []
    return sorted(cases, key=lambda case: case.words), "; ".join([*counts, *sparse])


def _tuning_changes(found: Sequence[Configuration], clock: Clock) -> Decided:
    untuned = _by_network(found, technique=DENSE, tuning=Tuning.UNTUNED, backend="tvm")
    tuned = _by_network(found, technique=DENSE, tuning=Tuning.TUNED, backend="tvm")
    cases: list[Case] = []
    for network in untuned.keys() & tuned.keys():
        # What ran one way only says nothing of a change.
        both = {entry.algorithm for entry in untuned[network]} & {
            entry.algorithm for entry in tuned[network]
        }
        before, after = (
            [entry for entry in runs[network] if entry.algorithm in both]
            for runs in (untuned, tuned)
        )
        if len(before) < 2 or len(after) < 2:
            continue
        first, last = _find_fastest(before, clock), _find_fastest(after, clock)
        known = len(first) == len(last) == 1
        holds = True if not first & last else False if known else None
        words = f"{network}: untuned {_list_runs(before)}; tuned {_list_runs(after)}"
        cases.append(Case(words, holds, _is_disturbed(*before, *after)))
    return sorted(cases, key=lambda case: case.words), ""


def _check_tuning_gains(found: Sequence[Configuration], clock: Clock) -> Decided:
    groups: dict[tuple[str, str], dict[str, tuple[Configuration, Configuration]]] = {}
    for untuned, tuned in tuning_pairs(found):
        groups.setdefault((tuned.network, tuned.run_by), {})[tuned.technique] = untuned, tuned
    cases: list[Case] = []
    for (network, backend), by in sorted(groups.items()):
        for technique in (CHANNELS, WEIGHTS):
            if DENSE not in by or technique not in by:
                continue
            dense, pruned = by[DENSE], by[technique]
            gain = [clock(before).over(clock(after)) for before, after in (pruned, dense)]
            ratio = gain[0].over(gain[1])
            gains = [before.seconds / after.seconds for before, after in (dense, pruned)]
            words = f"{network} {backend}: dense {gains[0]:.3g}x, {technique} {gains[1]:.3g}x"
            told = f"{words}{ratio.words}"
            cases.append(Case(told, ratio.is_below(1.0), _is_disturbed(*dense, *pruned)))
    sparse = any(WEIGHTS in case.words for case in cases)
    return cases, _WRITTEN if sparse else ""


@dataclass(frozen=True, slots=True)
class Rule:
    """How an observation is decided."""

    decide: Callable[[Sequence[Configuration], Clock], Decided]
    """Makes the cases of runs with one thread by a clock; and what of the observation they do not speak to."""
    words: str
    """What counts as a case, and when it bears the observation out."""


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "I": Rule(
            _check_uncorrelated,
            f"One case: the correlation coefficient of log MACs and log time, over the fastest tuned run of every "
            f"network and compression, is less than {STRONG:g}.",
        ),
        "II": Rule(
            _sparse_beats_dense,
            "A case for each network: the fastest tuned run with 95 % of its weights pruned is faster than the fastest "
            "tuned dense run (CIFAR-10), or slower (ImageNet).",
        ),
        "IV": Rule(
            _weights_below_channels,
            "A case for each network, algorithm and tuning: of what pruned weights promise a smaller share arrives "
            "than of what pruned channels promise.",
        ),
        "V": Rule(
            _datatypes_vary,
            "A case for each network, algorithm and tuning: the times of fp16 and int8 differ by a factor "
            f"above {APART:g}.",
        ),
        "VII": Rule(
            _spatial_pack,
            "A case for each network: of its tuned dense runs the one with spatial pack is the fastest.",
        ),
        "IX": Rule(
            _sparse_gemm,
            "A case for each network: of its tuned runs with pruned weights GEMM is faster than direct convolution.",
        ),
        "X": Rule(
            _check_expectation,
            "A case for each pruned run: it gains less over the dense run of the same algorithm and tuning than "
            "the operations left promise.",
        ),
        "XI": Rule(
            _tuning_changes,
            "A case for each network: the fastest dense algorithm is another one once tuned.",
        ),
        "XII": Rule(
            _check_tuning_gains,
            "A case for each network, algorithm and kind of pruning: tuning gains a smaller factor than it does on the "
            "dense network.",
        ),
    }
)
"""The rules, by observation."""

_ACCURACY = (
    "Needs the accuracy of trained, compressed CIFAR-10 and ImageNet networks; the weights of these runs are random. "
    "`python -m roofline.validate.studies.digits` measures the same on networks that are trained there."
)

OPEN_BECAUSE: Mapping[str, str] = MappingProxyType(
    {
        "III": _ACCURACY,
        "VI": _ACCURACY,
        "VIII": "Needs a GPU; these are runs of a CPU.",
        "XIII": "Needs the paper's two CPUs and two GPUs; these are runs of one machine.",
    }
)
"""Why there is no rule, by observation."""
