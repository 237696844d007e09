"""DLAS: expected speed-ups, how much of them was achieved, and its thirteen observations."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

from roofline.precision import DATATYPES
from roofline.spec import platform
from roofline.validate.studies.cells import Cell, Table, compare_cell
from roofline.validate.studies.networks import requirements
from roofline.workloads.published import Row, table

UNSETTLED = {
    "measure": "the text prints no figures; the measured runs below speak to it",
    "train": "needs the trained, compressed networks and their data set",
    "algorithm": "the text prints no figures by algorithm; the measured runs below speak to it",
}
"""Why an observation that no published number settles is left open, by what would settle it."""


def tables() -> tuple[Table, ...]:
    """Recompute the expected speed-ups, and settle the observations from the printed figures and from shipped runs."""
    from roofline.validate.studies.dlas import runs as dlas_runs

    measured = dlas_runs.tables(dlas_runs.shipped_runs())
    return (expected_speedups(), achieved_shares(), sizes(), observations(), *measured)


def expected_speedups() -> Table:
    """Compute the speed-up each technique should give, and the share of it where a measured one is printed."""
    cells: list[Cell] = []
    for row in table("dlas_expected"):
        ours = speedup(row["technique"], row["removed_share"])
        name = f"{row['technique']}, {row['networks']}"
        cells.append(compare_cell(f"{name}: expected", row["expected_speedup"], ours, within=1e-6))
        if row["achieved_percent"] is not None:
            share = 100 * row["achieved_speedup"] / ours
            cells.append(
                compare_cell(
                    f"{name}: achieved percent", row["achieved_percent"], share, within=1e-3
                )
            )
    return Table("Expected speed-ups", tuple(cells), "within 0.1 %")


def achieved_shares() -> Table:
    """List the printed shares of the expected speed-ups; they are measurements on machines that are not here."""
    cells: list[Cell] = []
    for row in table("dlas_achieved"):
        programs = "tuned" if row["tuned"] == "yes" else "untuned"
        why = f"measured with {programs} programs on that machine; here the printed share serves as evidence"
        place = f"{row['dataset']}, {row['platform']}, {programs}"
        reason = f"{row['flag']}; {why}" if row["flag"] else why
        name = f"{place}, {row['technique']}"
        cells.append(Cell(name, row["achieved_percent"], None, agrees=False, why=reason))
    return Table(
        "Achieved percent of it, printed",
        tuple(cells),
        "measured again on the same machine",
    )


def sizes() -> Table:
    """Check the one statement about model size: EfficientNet-B0 has at most 21 % of the others' parameters."""
    small = requirements("efficientnet_b0").weights
    cells: list[Cell] = []
    for key in ("resnet50_v15", "densenet161"):
        share = 100 * small / requirements(key).weights
        name = f"EfficientNet-B0 as a share of {key}, percent"
        cells.append(
            Cell(
                name, "at most 21", share, share <= 21, "weights of convolutions and dense layers"
            )
        )
    return Table("Sizes", tuple(cells), "at most the printed share")


def speedup(technique: str, removed: float | None) -> float:
    """Return the speed-up that DLAS expects: the inverse of what remains.

    Args:
        technique: A datatype, or a kind of pruning.
        removed: Share that pruning removes; None for a datatype.

    Example:
        >>> round(speedup("weight pruning", 0.95), 9), speedup("int8", None)
        (20.0, 4.0)
    """
    if removed is None:
        return float(DATATYPES["fp32"].bits / DATATYPES[technique].bits)
    return 1 / (1 - removed)


def observations() -> Table:
    """Settle the observations that follow from the printed shares; say of the others what they need."""
    cells: list[Cell] = []
    for row in table("dlas_observations"):
        name = f"{row['observation']} {row['claim']}"
        settle = _SETTLED.get(row["observation"])
        if settle is None:
            cells.append(
                Cell(
                    name,
                    "observed",
                    "no printed figure settles it",
                    agrees=False,
                    why=UNSETTLED[row["settled_by"]],
                )
            )
            continue
        figures, agrees = settle()
        verdict = (
            "reproduced from the printed shares"
            if agrees
            else "contradicted by the printed shares"
        )
        cells.append(Cell(name, "observed", verdict, agrees, figures))
    return Table("Observations, printed", tuple(cells), "the printed figures bear it out")


def _shares(**wanted: str) -> list[Row]:
    return [
        row
        for row in table("dlas_achieved")
        if all(row[column] == value for column, value in wanted.items())
    ]


def _place(row: Row) -> tuple[str, str, str]:
    return row["dataset"], row["platform"], row["tuned"]


def _weights_below_channels() -> tuple[str, bool]:
    channels = {
        _place(row): row["achieved_percent"] for row in _shares(technique="channel pruning")
    }
    pairs = [
        (row["achieved_percent"], channels[_place(row)])
        for row in _shares(technique="weight pruning")
    ]
    below = sum(weights < other for weights, other in pairs)
    return (
        f"weight pruning achieves the smaller share in {below} of {len(pairs)} places",
        below == len(pairs),
    )


def _datatypes_vary() -> tuple[str, bool]:
    shares = [
        row["achieved_percent"] for row in (*_shares(technique="int8"), *_shares(technique="fp16"))
    ]
    spread = max(shares) / min(shares)
    return f"shares from {min(shares):g} to {max(shares):g} %", spread > 2


def _check_expectation() -> tuple[str, bool]:
    pruned = [*_shares(technique="weight pruning"), *_shares(technique="channel pruning")]
    met = sum(row["achieved_percent"] >= 100 for row in pruned)
    return f"the expectation is met in {met} of {len(pruned)} places", met == 0


def _check_tuning_gains() -> tuple[str, bool]:
    tuned = {
        (row["platform"], row["technique"]): row["achieved_percent"]
        for row in _shares(dataset="CIFAR-10", device="cpu", tuned="yes")
        if "pruning" in row["technique"]
    }
    untuned = [
        (row["achieved_percent"], tuned[row["platform"], row["technique"]])
        for row in _shares(dataset="CIFAR-10", device="cpu", tuned="no")
        if (row["platform"], row["technique"]) in tuned
    ]
    fall = mean(after / before for before, after in untuned)
    agrees = all(after < before for before, after in untuned)
    return (
        f"the share of pruned networks falls to {100 * fall:.0f} % of itself with tuning",
        agrees,
    )


def _faster_machines() -> tuple[str, bool]:
    pairs = (("i7-3820", "hikey970-cpu"), ("agx-xavier", "hikey970-gpu"))
    peaks = [tuple(platform(key).peak("fp32") / 1e9 for key in pair) for pair in pairs]
    listed = "; ".join(
        f"{faster} {high:.0f}, {slower} {low:.0f} GFLOP/s"
        for (faster, slower), (high, low) in zip(pairs, peaks, strict=True)
    )
    return f"fp32 peaks, an i7-3820 standing for the unnamed i7: {listed}", all(
        high > low for high, low in peaks
    )


_SETTLED: dict[str, Callable[[], tuple[str, bool]]] = {
    "IV": _weights_below_channels,
    "V": _datatypes_vary,
    "X": _check_expectation,
    "XII": _check_tuning_gains,
    "XIII": _faster_machines,
}
