"""Tables of QuTiBench: platforms, requirements, predictions, efficiencies, and what the text concludes."""

from __future__ import annotations

from roofline.precision import DATATYPES
from roofline.spec import platform
from roofline.validate.studies.cells import Cell, Table, compare_cell
from roofline.validate.studies.networks import Requirements, requirements
from roofline.validate.studies.qutibench import runs as qutibench_runs
from roofline.validate.studies.qutibench import statements as qutibench_statements
from roofline.validate.studies.qutibench.cases import PREDICTED, Row, name_of, predict_row, variant
from roofline.validate.studies.qutibench.rows import WIDTHS
from roofline.workloads.published import table


def tables() -> tuple[Table, ...]:
    """Recompute every table of the paper and the portal's predictions and efficiencies."""
    return (
        qutibench_runs.table1(),
        table2(),
        qutibench_runs.table3(),
        table4(),
        qutibench_runs.table5(),
        pruned_table("Table 6: intensity against pruning", "intensity_int8"),
        pruned_table("Table 7: operations against pruning", "ops_gop"),
        qutibench_runs.table8(),
        predictions(),
        efficiencies(),
        qutibench_statements.statements(),
    )


def table2() -> Table:
    """Hold the shipped machines against the printed platforms."""
    cells: list[Cell] = []
    for row in table("qutibench_platforms"):
        machine = platform(row["platform"])
        ours: dict[str, float | None] = {
            f"peak_{width}_tops": machine.peak(width) / 1e12
            for width in WIDTHS
            if machine.has(width)
        }
        ours |= {
            "bandwidth_gb_s": machine.bandwidth / 1e9,
            "capacity_gb": None if machine.capacity is None else machine.capacity / 1e9,
            "power_w": machine.tdp,
        }
        for column in row:
            if not column.endswith(("_tops", "_s", "_gb", "_w")) or row[column] is None:
                continue
            name = f"{row['platform']} {column}"
            why = row["flag"] or "the shipped machine has another source for this number"
            cells.append(compare_cell(name, row[column], ours.get(column), within=1e-9, why=why))
    return Table("Table 2: platforms", tuple(cells), "the shipped machine has the printed number")


def table4() -> Table:
    """Count the requirements from the shipped graphs."""
    cells = [cell for row in table("qutibench_requirements") for cell in _requirements(row)]
    return Table(
        "Table 4: requirements", tuple(cells), "within 1 %, or equal once rounded as printed"
    )


def _requirements(row: Row) -> list[Cell]:
    columns = ("ops_gop", "weights_m", *(f"intensity_{width}" for width in WIDTHS))
    return [_requirement(row, column) for column in columns]


def _requirement(row: Row, column: str) -> Cell:
    name = f"{name_of(row)} {column}"
    if not row["graph"]:
        why = "the channels that the pruning tool removed are not published, so there is no graph to count"
        return compare_cell(name, row[column], None, within=0, why=why)
    return compare_cell(
        name, row[column], _value(requirements(row["graph"]), column), within=0.01, why=_doubt(row)
    )


def _value(count: Requirements, column: str) -> float:
    if column == "ops_gop":
        return count.ops / 1e9
    if column == "weights_m":
        return count.weights / 1e6
    return count.intensity(DATATYPES[column.removeprefix("intensity_")].bits)


def _doubt(row: Row) -> str:
    return row["flag"] or "printed with too few digits"


def pruned_table(title: str, column: str) -> Table:
    """Prune the unpruned graphs of the three networks that the paper prunes, and count what remains."""
    cells: list[Cell] = []
    for row in table("qutibench_requirements"):
        if row["network"] not in {"resnet50", "cnv", "mlp"}:
            continue
        if not row["graph"]:
            cells.append(_requirement(row, column))
            continue
        keep = None if row["keep_channels"] == 1 else row["keep_channels"]
        ours = _value(requirements(row["network"], keep), column)
        name = f"{name_of(row)} {column}"
        cells.append(compare_cell(name, row[column], ours, within=0.01, why=_doubt(row)))
    return Table(title, tuple(cells), "within 1 %, or equal once rounded as printed")


def predictions() -> Table:
    """Predict every published cell with Equation 1 from the authors' own rounded requirements."""
    cells = [
        compare_cell(
            variant(row),
            row["throughput_fps"],
            predict_row(row).throughput_fps,
            within=1e-3,
            why=row["flag"],
        )
        for row in PREDICTED.values()
    ]
    return Table("Predictions (frames per second)", tuple(cells), "within 0.1 %")


def efficiencies() -> Table:
    """Divide the best measured throughput by the prediction, where the portal shows an efficiency.

    The portal's percentages are the quotients of its own two tables. It shows none for the NCS, which its data name
    in two ways, nor for networks without a prediction.
    """
    cells: list[Cell] = []
    for row in table("qutibench_measured"):
        published = PREDICTED.get(variant(row))
        if published is None or row["platform"] == "ncs":
            continue
        cells.append(
            compare_cell(
                variant(row),
                100 * row["throughput_fps"] / published["throughput_fps"],
                100 * row["throughput_fps"] / predict_row(row).throughput_fps,
                within=1e-3,
                why=published["flag"],
            )
        )
    return Table("Efficiencies (measured / predicted, percent)", tuple(cells), "within 0.1 %")
