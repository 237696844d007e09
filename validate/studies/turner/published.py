"""Tables III to VI of Turner et al.: compression and the memory it takes in their own programs."""

from __future__ import annotations

from roofline.validate.studies.cells import Cell, Table, compare_cell
from roofline.workloads.published import Row, table
from roofline.workloads.turner_memory import CHANNEL_PRUNED, MEBIBYTE, PLAIN, Program, memory

POINT = {"IV": "III", "VI": "V"}
"""The table of operating points that a table of memory belongs to."""

SPARSITY = {"weight pruning": "weight_sparsity", "ternary quantization": "ternary_sparsity"}
"""The column of operating points that holds the sparsity of a variant."""


def tables() -> tuple[Table, ...]:
    """Recompute the tables that the public programs allow."""
    return (
        variants("III", "Table III: elbows of compression"),
        footprints("IV", "Table IV: memory at the elbows"),
        variants("V", "Table V: compression at 90 % accuracy"),
        footprints("VI", "Table VI: memory at 90 % accuracy"),
    )


def variants(name: str, title: str) -> Table:
    """Compute the compression from the shapes in the programs and from the memory that Table IV prints."""
    cells: list[Cell] = []
    for row in table("turner_variants"):
        if row["table"] != name:
            continue
        network = row["network"]
        for variant, column in SPARSITY.items():
            ours = _sparsity_from_memory(name, network, variant)
            why = (
                row["flag"]
                if name == "III"
                else "a result of training, and Table VI is another program's"
            )
            cells.append(
                compare_cell(f"{network} {column}", row[column], ours, within=0.005, why=why)
            )
        ours = 1 - _weights(CHANNEL_PRUNED[name, network]) / _weights(PLAIN[network])
        label = f"{network} channel_compression"
        why = _channels(name, network)
        cells.append(compare_cell(label, row["channel_compression"], ours, within=0.005, why=why))
    return Table(title, tuple(cells), "within 0.5 %, or equal once rounded as printed")


def _sparsity_from_memory(name: str, network: str, variant: str) -> float | None:
    """Return the sparsity that the printed memory implies, for the table that the public programs reproduce."""
    if name != "III":
        return None
    (row,) = [
        entry
        for entry in table("turner_memory")
        if entry["table"] == "IV" and entry["network"] == network and entry["variant"] == variant
    ]
    return implied_sparsity(network, row["memory_mb"])


def _weights(program: Program) -> int:
    return sum(layer.weights for layer in program.convolutions) + sum(
        rows * columns for rows, columns in program.dense
    )


def _channels(name: str, network: str) -> str:
    if (name, network) == ("III", "mobilenet_v1_cifar10"):
        return "the program lists the same shapes for both operating points, which remove Table V's share"
    if (name, network) == ("III", "resnet18_cifar10"):
        return "the program's list of shapes has layers that cannot follow one another"
    if (name, network) == ("V", "vgg16_cifar10"):
        return "the shapes in the program remove only this much, and Table VI's memory implies still less"
    return "the shapes in the program remove another share"


def footprints(name: str, title: str) -> Table:
    """Add up what the public programs allocate."""
    cells = [_footprint(row) for row in table("turner_memory") if row["table"] == name]
    return Table(
        title, tuple(cells), "within 2 %; memory in units of 2^20 bytes, no fitted parameter"
    )


def _footprint(row: Row) -> Cell:
    network, variant = row["network"], row["variant"]
    (point,) = [
        entry
        for entry in table("turner_variants")
        if entry["table"] == POINT[row["table"]] and entry["network"] == network
    ]
    if variant == "channel pruning":
        ours = memory(CHANNEL_PRUNED[point["table"], network])
    else:
        ours = memory(PLAIN[network], sparsity=_sparsity(variant, point))
    why = _difference(row, point)
    return compare_cell(
        f"{network} {variant}", row["memory_mb"], ours / MEBIBYTE, within=0.02, why=why
    )


def _sparsity(variant: str, point: Row) -> float | None:
    return point[SPARSITY[variant]] if variant in SPARSITY else None


def implied_sparsity(network: str, mebibytes: float) -> float:
    """Return the sparsity at which the program of a network would take so much memory; outside 0 to 1 there is none.

    Example:
        >>> round(implied_sparsity("vgg16_cifar10", 144.4), 3)
        0.65
    """
    full, empty = (memory(PLAIN[network], sparsity=share) / MEBIBYTE for share in (0.0, 1.0))
    return (full - mebibytes) / (full - empty)


def _difference(row: Row, point: Row) -> str:
    """Say why a footprint differs, from what the printed tables themselves imply."""
    network, variant = row["network"], row["variant"]
    if row["table"] == "VI":
        times = 1e6 * row["memory_mb"] / (4 * _weights(PLAIN[network]))
        if variant == "plain":
            return f"printed {times:.2f} times the weights, a factor all three share: another, unpublished program"
        return "from another, unpublished program, as the plain networks of this table show"
    if variant == "channel pruning":
        return _channels(point["table"], network)
    implied = implied_sparsity(network, row["memory_mb"])
    printed = _sparsity(variant, point)
    remark = f"the printed memory takes a sparsity of {100 * implied:.1f} %, not {100 * (printed or 0):.2f} %"
    return f"{remark}; {point['flag']}" if point["flag"] else remark
