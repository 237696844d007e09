"""DLAS's thirteen observations, decided from measured runs: which hold on the machine they were taken on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import geometric_mean, mean
from types import MappingProxyType
from typing import Any

from roofline.errors import RooflineError
from roofline.reproduce.cells import Cell, Table
from roofline.validate.derived import (
    CHANNELS,
    DENSE,
    WEIGHTS,
    Ran,
    configurations,
    macs,
    speedups,
    tuning_gains,
)
from roofline.validate.record import Measurement
from roofline.workloads.published import table

HOLDS, MOSTLY, CONTRADICTED, OPEN = (
    "holds here",
    "holds here in most cases",
    "contradicted here",
    "not testable here",
)

STRONG = 0.9
"""Correlation coefficient from which two quantities are called strongly correlated."""

Case = tuple[str, bool]
"""One comparison in words with its numbers, and whether it bears the observation out."""


def tables(runs: Iterable[Measurement], *, shortest: bool = False) -> tuple[Table, ...]:
    """Decide every observation, and list the speed-ups behind them.

    Args:
        runs: Records of the campaign ``dlas`` or ``dlas-reduced``, or of any like it.
        shortest: Compare shortest samples instead of medians: on a machine that others use too.
    """
    found = [one for one in configurations(runs, shortest=shortest) if one.batch == 1]
    return (observations(found), achieved(found))


def observations(found: Sequence[Ran]) -> Table:
    """Decide the observations."""
    single = [one for one in found if one.threads == 1]
    cells: list[Cell] = []
    for row in table("dlas_observations"):
        name = f"{row['observation']} {row['claim']}"
        verdict, figures = _decided(row["observation"], single)
        cells.append(Cell(name, "observed", verdict, verdict in {HOLDS, MOSTLY}, figures))
    return Table(
        "Observations", tuple(cells), "the runs bear it out in more than half of the cases"
    )


def achieved(found: Sequence[Ran]) -> Table:
    """List what share of the expected speed-up was achieved, beside the paper's range on CPUs."""
    printed: dict[tuple[str, str], list[float]] = {}
    for row in table("dlas_achieved"):
        if row["device"] == "cpu":
            printed.setdefault((row["technique"], row["tuned"]), []).append(
                row["achieved_percent"]
            )
    cells: list[Cell] = []
    for row in speedups(found):
        tuned = "yes" if " tuned" in f" {row['backend']}".replace("untuned", "") else "no"
        range_ = printed.get((row["technique"], tuned))
        share = 100 * row["achieved_share"]
        name = f"{row['network']}, {row['technique']} ({row['pruning']}, {row['datatype']}), {row['backend']}"
        why = (
            f"{row['achieved_speedup']:.3g}x of {row['expected_speedup']:.3g}x expected: "
            f"{row['dense_ms']:.4g} ms dense, {row['median_ms']:.4g} ms"
        )
        shown = f"{min(range_):g} to {max(range_):g}" if range_ else None
        within = bool(range_) and min(range_ or [0]) <= share <= max(range_ or [0])
        cells.append(Cell(f"{name}, {row['threads']} thread", shown, share, within, why))
    return Table(
        "Achieved percent of the expected speed-up, beside the paper's range over its CPUs",
        tuple(cells), "within the printed range",
    )  # fmt: skip


def _decided(observation: str, found: Sequence[Ran]) -> tuple[str, str]:
    decide = _DECIDED.get(observation)
    if decide is None:
        return OPEN, _OPEN[observation]
    cases, remark = decide(found)
    if not cases:
        return OPEN, f"no run of the records speaks to it{remark and f'; {remark}'}"
    agree = sum(case for _, case in cases)
    verdict = HOLDS if agree == len(cases) else MOSTLY if agree * 2 > len(cases) else CONTRADICTED
    listed = "; ".join(words for words, _ in cases)
    remark = f" ({remark})" if remark else ""
    return verdict, f"{agree} of {len(cases)} cases{remark}: {listed}"


def _best(found: Iterable[Ran], **wanted: str) -> dict[str, Ran]:
    """Return each network's fastest configuration among those with certain values."""
    best: dict[str, Ran] = {}
    for one in found:
        fits = all(getattr(one, name) == value for name, value in wanted.items())
        if fits and (one.network not in best or one.seconds < best[one.network].seconds):
            best[one.network] = one
    return best


def _algorithms(found: Iterable[Ran], **wanted: str) -> dict[str, dict[str, float]]:
    """Return each network's time by algorithm."""
    times: dict[str, dict[str, float]] = {}
    for one in found:
        if all(getattr(one, name) == value for name, value in wanted.items()):
            times.setdefault(one.network, {})[one.algorithm] = one.seconds
    return {network: by for network, by in times.items() if len(by) > 1}


def _listed(times: Mapping[str, float]) -> str:
    ordered = sorted(times.items(), key=lambda entry: entry[1])
    return ", ".join(f"{name} {seconds * 1e3:.3g} ms" for name, seconds in ordered)


def _uncorrelated(found: Sequence[Ran]) -> tuple[list[Case], str]:
    fastest: dict[tuple[str, str], Ran] = {}
    for one in found:
        key = (one.network, f"{one.technique} {one.variant} {one.datatype}")
        if one.tuning == "tuned" and (key not in fastest or one.seconds < fastest[key].seconds):
            fastest[key] = one
    points: list[tuple[float, float]] = []
    for one in fastest.values():
        try:
            points.append((math.log(macs(one)), math.log(one.seconds)))
        except RooflineError:
            continue
    if len(points) < 4:
        return [], "fewer than four tuned variants"
    r = correlation(points)
    return [(f"r = {r:.2f} between log MACs and log time of {len(points)} tuned variants", abs(r) < STRONG)], (
        "accuracy is not measured"
    )  # fmt: skip


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


def _sparse_beats_dense(found: Sequence[Ran]) -> tuple[list[Case], str]:
    dense = _best(found, technique=DENSE, tuning="tuned", backend="tvm")
    sparse = _best(found, technique=WEIGHTS, tuning="tuned", backend="tvm")
    cases: list[Case] = []
    for network in dense.keys() & sparse.keys():
        cifar = network.endswith("_cifar10")
        one, other = sparse[network], dense[network]
        words = f"{network}: sparse {one.seconds * 1e3:.3g} ms, dense {other.seconds * 1e3:.3g} ms"
        cases.append((words, (one.seconds < other.seconds) == cifar))
    datasets = {network.endswith("_cifar10") for network in dense.keys() & sparse.keys()}
    missing = (
        ""
        if len(datasets) != 1
        else "ImageNet not run"
        if True in datasets
        else "CIFAR-10 not run"
    )
    return sorted(cases), missing


def _weights_below_channels(found: Sequence[Ran]) -> tuple[list[Case], str]:
    shares: dict[tuple[Any, ...], dict[str, tuple[float, float]]] = {}
    for row in speedups(found):
        if row["technique"] in {WEIGHTS, CHANNELS}:
            key = (row["network"], row["backend"])
            figures = (row["expected_speedup"], row["achieved_share"])
            shares.setdefault(key, {})[row["technique"]] = figures
    cases: list[Case] = []
    for (network, backend), by in shares.items():
        if len(by) == 2:
            (more, less), (fewer, share) = by[WEIGHTS], by[CHANNELS]
            weights, channels = (
                f"{100 * less:.0f} % of {more:.3g}x",
                f"{100 * share:.0f} % of {fewer:.3g}x",
            )
            words = f"{network} {backend}: weights {weights}, channels {channels}"
            cases.append((words, less < share and more > fewer))
    return sorted(cases), ""


def _datatypes_vary(found: Sequence[Ran]) -> tuple[list[Case], str]:
    cases: list[Case] = []
    by_place: dict[tuple[str, str], dict[str, float]] = {}
    for row in speedups(found):
        if row["technique"] in {"int8", "fp16"}:
            place = (row["network"], row["backend"])
            by_place.setdefault(place, {})[row["technique"]] = row["achieved_speedup"]
    for (network, backend), by in by_place.items():
        if len(by) == 2:
            spread = max(by.values()) / min(by.values())
            words = ", ".join(f"{name} {gain:.2g}x" for name, gain in sorted(by.items()))
            cases.append((f"{network} {backend}: {words}", spread > 1.5))
    return sorted(cases), "one machine: nothing on devices"


def _fastest_is(
    name: str, found: Sequence[Ran], among: set[str], **wanted: str
) -> tuple[list[Case], str]:
    cases: list[Case] = []
    for network, times in sorted(_algorithms(found, backend="tvm", **wanted).items()):
        fair = {algorithm: seconds for algorithm, seconds in times.items() if algorithm in among}
        if name in fair and len(fair) > 1:
            cases.append((f"{network}: {_listed(fair)}", min(fair, key=fair.__getitem__) == name))
    return cases, ""


def _spatial_pack(found: Sequence[Ran]) -> tuple[list[Case], str]:
    among = {"direct", "gemm", "spatial_pack"}
    return _fastest_is("spatial_pack", found, among, technique=DENSE, tuning="tuned")


def _sparse_gemm(found: Sequence[Ran]) -> tuple[list[Case], str]:
    cases, _ = _fastest_is("gemm", found, {"direct", "gemm"}, technique=WEIGHTS, tuning="tuned")
    return cases, "no GPU"


def _below_expectation(found: Sequence[Ran]) -> tuple[list[Case], str]:
    rows = [row for row in speedups(found) if row["technique"] in {WEIGHTS, CHANNELS}]
    return [
        (f"{row['network']} {row['technique']} {row['backend']} {100 * row['achieved_share']:.0f} %",
         row["achieved_share"] < 1)
        for row in rows
    ], ""  # fmt: skip


def _tuning_changes(found: Sequence[Ran]) -> tuple[list[Case], str]:
    untuned = _algorithms(found, technique=DENSE, tuning="untuned", backend="tvm")
    tuned = _algorithms(found, technique=DENSE, tuning="tuned", backend="tvm")
    cases: list[Case] = []
    for network in sorted(untuned.keys() & tuned.keys()):
        before, after = untuned[network], tuned[network]
        first, last = min(before, key=before.__getitem__), min(after, key=after.__getitem__)
        gains = [before[name] / after[name] for name in before.keys() & after.keys()]
        words = f"{network}: best is {first} untuned, {last} tuned; tuning gains {min(gains):.3g}x to {max(gains):.3g}x"
        cases.append((words, first != last and max(gains) > 1))
    return cases, ""


def _tuning_gains_less(found: Sequence[Ran]) -> tuple[list[Case], str]:
    gains: dict[tuple[str, str], dict[str, float]] = {}
    for row in tuning_gains(found):
        gains.setdefault((row["network"], row["backend"]), {})[row["technique"]] = row[
            "tuning_speedup"
        ]
    cases: list[Case] = []
    for (network, backend), by in sorted(gains.items()):
        pruned = [by[name] for name in (CHANNELS, WEIGHTS) if name in by]
        if DENSE in by and pruned:
            less = geometric_mean(pruned)
            cases.append(
                (
                    f"{network} {backend}: dense {by[DENSE]:.3g}x, pruned {less:.3g}x",
                    less < by[DENSE],
                )
            )
    return cases, ""


_DECIDED: Mapping[str, Callable[[Sequence[Ran]], tuple[list[Case], str]]] = MappingProxyType(
    {
        "I": _uncorrelated,
        "II": _sparse_beats_dense,
        "IV": _weights_below_channels,
        "V": _datatypes_vary,
        "VII": _spatial_pack,
        "IX": _sparse_gemm,
        "X": _below_expectation,
        "XI": _tuning_changes,
        "XII": _tuning_gains_less,
    }
)

_OPEN: Mapping[str, str] = MappingProxyType(
    {
        "III": "needs trained, compressed networks and their data set",
        "VI": "needs trained, compressed networks and their data set",
        "VIII": "needs a GPU",
        "XIII": "needs the paper's two CPUs and two GPUs; these are runs of one machine",
    }
)
