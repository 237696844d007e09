"""Tables of QuTiBench that rest on its measured runs: 1, 3, 5 and 8."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from roofline.validate.studies.cells import Cell, Table, compare_cell
from roofline.validate.studies.qutibench.cases import Row, measured_rows, name_of, variant
from roofline.workloads.published import table


def table1() -> Table:
    """Check ResNet-50 pruned on Ultra96 at one thread: throughput, latency, accuracy and the speed-up of the text."""
    rows = measured_rows(platform="ultra96-dpu", network="resnet50")
    accuracy = {
        name_of(row): row["top1_percent"]
        for row in table("qutibench_accuracy")
        if row["datatype"] == "int8"
    }
    cells: list[Cell] = []
    for row in rows:
        name = name_of(row)
        latency = row["latency_batch1_ms"]
        cells += [
            compare_cell(
                f"{name} latency_ms", latency, 1e3 / row["throughput_smallest_fps"], within=0.01
            ),
            compare_cell(f"{name} top1_percent", accuracy[name], row["top1_percent"], within=1e-4),
        ]
    speed = {row["keep_channels"]: row["throughput_smallest_fps"] for row in rows}
    cells.append(
        compare_cell("speed-up from 100 % to 30 %", 1.81, speed[0.3] / speed[1.0], within=1e-3)
    )
    rule = "latency is the inverse of throughput within 1 %; accuracy is Table 3's; speed-up within 0.1 %"
    return Table("Table 1: pruned ResNet-50 on Ultra96", tuple(cells), rule)


def table3() -> Table:
    """Hold the accuracy of each variant against the accuracies that came with the measured runs."""
    cells: list[Cell] = []
    for row in table("qutibench_accuracy"):
        runs = measured_rows(
            network=row["network"], keep_channels=row["keep_channels"], datatype=row["datatype"]
        )
        found = sorted({run["top1_percent"] for run in runs if run["top1_percent"] is not None})
        name = f"{name_of(row)} {row['datatype']}"
        if not found:
            cells.append(
                Cell(
                    name,
                    row["top1_percent"],
                    None,
                    agrees=False,
                    why="no run of this variant was measured",
                )
            )
            continue
        far = max(found, key=lambda value: abs(value - row["top1_percent"]))
        agrees = abs(far - row["top1_percent"]) <= 0.1
        why = "" if agrees else f"the runs carry {', '.join(f'{value:g}' for value in found)}"
        cells.append(Cell(name, row["top1_percent"], far, agrees, why))
    return Table("Table 3: accuracy", tuple(cells), "every run's accuracy is within 0.1 points")


def table5() -> Table:
    """Look up which planned configurations were measured, and which measured ones were not planned."""
    runs = {variant(row): row for row in table("qutibench_measured")}
    planned = {variant(row): row for row in table("qutibench_overview")}
    cells = [
        Cell(
            name, "planned", "measured" if name in runs else "not measured", name in runs,
            "" if name in runs else "the portal's data hold no run with a throughput",
        )
        for name in planned
    ]  # fmt: skip
    cells += [
        Cell(name, "not planned", "measured", agrees=False, why=_unplanned_reason(row))
        for name, row in runs.items()
        if name not in planned
    ]
    return Table(
        "Table 5: configurations",
        tuple(cells),
        "planned configurations are measured, and no others",
    )


def _unplanned_reason(row: Row) -> str:
    return row["flag"] or "added to the portal's data after the overview"


@dataclass(frozen=True, slots=True)
class Square:
    """Four runs: neither compressed (A), quantized (B), pruned (C), both (D)."""

    name: str
    corners: tuple[Row, Row, Row, Row]

    def ratio(self, column: str) -> float | None:
        """Return the gain of pruning after quantization over the gain before it; 1 is orthogonal.

        The gain of quantization after pruning over that before it is the same number: both are D A / (B C).
        """
        values = [corner[column] for corner in self.corners]
        if any(value is None for value in values):
            return None
        a, b, c, d = values
        return d * a / (b * c)

    def is_best_together(self, column: str) -> bool:
        """Return whether both together beat either alone."""
        _, b, c, d = (corner[column] for corner in self.corners)
        return d < min(b, c) if "latency" in column else d > max(b, c)


WIDER = ("fp32", "fp16", "int8", "int4", "int2")


def squares() -> Iterator[Square]:
    """Yield every square of two shares of channels and two datatypes that was measured on one machine."""
    grid: dict[tuple[str, str], dict[tuple[float, str], Row]] = defaultdict(dict)
    for row in table("qutibench_measured"):
        grid[row["platform"], row["network"]][row["keep_channels"], row["datatype"]] = row
    for (machine, network), runs in grid.items():
        kept = sorted({keep for keep, _ in runs}, reverse=True)
        types = sorted({datatype for _, datatype in runs}, key=WIDER.index)
        for more, less in combinations(kept, 2):
            for wide, narrow in combinations(types, 2):
                corners = [
                    runs.get(at)
                    for at in ((more, wide), (more, narrow), (less, wide), (less, narrow))
                ]
                found = [corner for corner in corners if corner is not None]
                if len(found) == 4:
                    a, b, c, d = found
                    name = f"{machine} {network} {100 * more:g} to {100 * less:g} %, {wide} to {narrow}"
                    yield Square(name, (a, b, c, d))


def table8() -> Table:
    """Compute how orthogonal pruning and quantization are, from best throughputs."""
    cells: list[Cell] = []
    for square in squares():
        ratio = square.ratio("throughput_fps")
        percent = None if ratio is None else 100 * ratio
        cells.append(
            compare_cell(
                square.name, 100.0, percent, within=0.1, why=_overlap(square, ratio or 0.0)
            )
        )
    rule = "the text's close to 100 %: within 10 %"
    return Table("Table 8: orthogonality (percent)", tuple(cells), rule)


def _overlap(square: Square, ratio: float) -> str:
    flags = "; ".join(corner["flag"] for corner in square.corners if corner["flag"])
    flagged = sorted(set(flags.split("; "))) if flags else []
    if flagged:
        return f"doubtful runs: {'; '.join(flagged)}"
    if ratio > 1:
        return "the two gain more together than apart"
    return "the two gain less together: what one saves is no longer there for the other"
