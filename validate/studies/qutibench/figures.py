"""Figures of QuTiBench: those of the paper by number, and those of its portal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from roofline.chart import Chart, Options, charts, facets
from roofline.tables import Row
from roofline.validate.studies.qutibench import rows as data
from roofline.workloads.published import table

Rows = Sequence[Row]

_TASKS = ("MNIST", "CIFAR-10", "ImageNet")
_GROUPS = {
    "usb_a53": ("edgetpu:fast", "edgetpu:slow", "ncs", "ultra96-a53"),
    "fpga": ("ultra96-dpu", "zcu102-dpu", "zcu104-dpu", "zcu104-finn", "zcu104-bismo"),
    "tx2": ("tx2:maxn", "tx2:maxp", "tx2:maxq"),
}
_USUAL = "resnet50"


def qutibench_figures(runs: Path | None = None) -> dict[str, Chart]:
    """Return every figure that the published tables allow, by the name of its file.

    Left out are schematics (Figures 1, 2 and 4), and the portal's power over time, whose samples are not shipped:
    ``roofline plot power_over_time`` draws them.

    Args:
        runs: The portal's own table of measurements, with every batch.

    Raises:
        TableError: That table cannot be read.
    """
    rows = data.measured_rows() if runs is None else data.portal_rows(runs)
    return {**_paper(rows), **_portal(rows)}


def _paper(rows: Rows) -> dict[str, Chart]:
    points = data.points()
    tx2 = [point for point in data.points(pruned=False) if point["platform"] == "tx2:maxn"]
    found: dict[str, Chart] = {
        "fig03_roofline": _draw("roofline", tx2, "Jetson TX2: rooflines and predictions"),
        "fig05_power_stack": _draw("power", _one_panel(data.best_rows()), "Power and what it consists of"),
        "fig06_latency_throughput": _draw(
            "latency", _of(rows, network=_USUAL, pruning="dense"), "ResNet-50: latency against throughput"
        ),
        "fig07_precision": _draw("precision", _zcu104(points), "ZCU104: from wide to narrow datatypes"),
        "fig08_pruning": _draw(
            "pruning",
            [need for need in data.requirements() if need["network"] in {"cnv", "mlp", _USUAL}],
            "Requirements of pruned networks",
        ),
        "fig09_box_key": _draw(
            "boxes", _of(rows, network="cnv", platform="tx2:maxn"), "How to read the boxes: CNV on one machine",
            normalise=True,
        ),
        "fig18_orthogonality": _draw(
            "orthogonality",
            _orthogonal(rows),
            "Pruning and quantization, alone and together",
        ),
    }  # fmt: skip
    boxes = (
        ("fig10_latency_mlp", "mlp", "latency_ms", "MLP: latency"),
        ("fig11_latency_resnet50", _USUAL, "latency_ms", "ResNet-50: latency"),
        ("fig12_throughput_cnv", "cnv", "measured_fps", "CNV: throughput"),
        ("fig13_throughput_mlp", "mlp", "measured_fps", "MLP: throughput"),
        ("fig14_throughput_resnet50", _USUAL, "measured_fps", "ResNet-50: throughput"),
        ("fig15_power_cnv", "cnv", "power_w", "CNV: power"),
        ("fig16_fps_per_watt_cnv", "cnv", "fps_per_w", "CNV: throughput per watt"),
        ("fig17_fps_per_watt_mlp", "mlp", "fps_per_w", "MLP: throughput per watt"),
    )
    for name, network, value, title in boxes:
        own = _of(rows, network=network)
        found[name] = _draw("boxes", own, title, value=value, normalise=True)
    for number, task in zip((19, 20, 21), _TASKS, strict=True):
        name = f"fig{number}_pareto_{_file(task)}"
        shown = [{**row, "predicted_fps": None} for row in _of(rows, task=task)]
        found[name] = _draw("pareto", shown, f"{task}: accuracy against throughput")
    by_share = sorted(_of(rows, task="CIFAR-10"), key=_kept_percent, reverse=True)
    title = "CIFAR-10: latency against throughput"
    found["fig22_latency_cifar10"] = facets(
        charts.get("latency"), by_share, Options(title=title), "pruning"
    )
    found["fig23_latency_imagenet"] = facets(
        charts.get("latency"),
        _by_network(_of(rows, task="ImageNet")),
        Options(title="ImageNet: latency against throughput"),
        "panel",
    )
    return found


def _by_network(rows: Rows) -> Rows:
    """Return rows with the panel that each stands in: its network's, or that of all that were run at one batch.

    One panel for all has some fifty curves, of which none can be followed.
    """
    batches: dict[str, set[object]] = {}
    for row in rows:
        batches.setdefault(str(row["network"]), set()).add(row["batch"])
    placed = [
        {
            **row,
            "panel": name if len(batches[name := str(row["network"])]) > 1 else "one batch alone",
        }
        for row in rows
    ]
    return sorted(placed, key=lambda row: (row["panel"] == "one batch alone", row["panel"]))


def _portal(rows: Rows) -> dict[str, Chart]:
    points = data.points()
    best = data.best_rows(tuple(dict(row) for row in rows))
    efficient = [row for row in best if row["predicted_fps"]]
    found: dict[str, Chart] = {
        "portal_roofline_all": _draw("roofline", _spread(points), "All machines and networks"),
        "portal_roofline_on_chip": _draw(
            "roofline",
            [point for point in points if point["platform"] == "zcu104-finn"],
            "ZCU104 with FINN: networks that fit on the chip",
            on_chip=True,
        ),
        "portal_requirements": _draw(
            "requirements", data.requirements(), "Operations and weights (Table 4)"
        ),
        "portal_peaks": _draw("peaks", data.roofs(), "Peak performance and bandwidth (Table 2)"),
        "portal_power": _draw("power", best, "Measured power"),
        "portal_fps_per_watt": _draw("power", best, "Throughput per watt", value="fps_per_w"),
        "portal_efficiency": _draw("efficiency", efficient, "Predicted, measured and peak throughput"),
        "portal_heatmaps": facets(
            charts.get("heatmap"), points, Options(title="Predicted throughput"), "task"
        ),
    }  # fmt: skip
    for group, machines in _GROUPS.items():
        own = [row for row in efficient if row["platform"] in machines]
        found[f"portal_efficiency_{group}"] = _draw(
            "efficiency", own, f"Efficiency: {', '.join(machines)}"
        )
    for task in _TASKS:
        found |= _portal_of(task, rows, [row for row in points if row["task"] == task])
    return found


def _portal_of(task: str, rows: Rows, points: Rows) -> dict[str, Chart]:
    """Return the portal's figures of one task."""
    own, name = _of(rows, task=task), _file(task)
    accuracies = data.accuracies()
    promised = [
        {**row, "accuracy": accuracies[place]}
        for row in points
        if (place := (row["network"], row["pruning"], row["datatype"])) in accuracies
    ]
    # All that is promised, so that the theoretical frontier is that of the figure before, and what was run.
    overlap = [*promised, *({**row, "predicted_fps": None} for row in own)]
    planned = [
        {
            "platform": row["platform"], "network": row["network"], "datatype": row["datatype"],
            "pruning": data.share(row["keep_channels"]), "batch": row["sweep_values"], "sweep": row["sweep"],
            "stage": "planned",
        }
        for row in table("qutibench_overview")
        if data.task_of(row["network"]) == task
    ]  # fmt: skip
    run = [{**row, "stage": "run"} for row in sorted(own, key=_kept_percent, reverse=True)]
    drawn: tuple[tuple[str, str, Rows, str], ...] = (
        ("portal_roofline", "roofline", _spread(points), "rooflines"),
        ("portal_heatmap", "heatmap", points, "predicted frames/s"),
        ("portal_theoretical_pareto", "pareto", promised, "accuracy against predicted throughput"),
        ("portal_overlap", "pareto", overlap, "predicted (every configuration) and measured (those that were run)"),
        ("table05_overview", "overview", [*planned, *run], "planned (Table 5) and run"),
    )  # fmt: skip
    return {
        f"{stem}_{name}": _draw(kind, shown, f"{task}: {title}")
        for stem, kind, shown, title in drawn
    }


def _draw(
    kind: str,
    rows: Rows,
    title: str,
    *,
    value: str = "",
    normalise: bool = False,
    on_chip: bool = False,
) -> Chart:
    compute: Callable[..., Chart] = charts.get(kind).compute
    options = Options(title=title, value=value, normalise=normalise, on_chip=on_chip)
    return compute(rows, options)


def _of(rows: Rows, **wanted: str) -> list[Row]:
    """Return the rows whose columns have these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _file(task: str) -> str:
    return task.lower().replace("-", "")


def _kept_percent(row: Row) -> float:
    """Return the percentage of channels that stay."""
    return 100.0 if row["pruning"] == "dense" else float(row["pruning"].rstrip("%"))


def _network_label(row: Row) -> str:
    return row["network"] if row["pruning"] == "dense" else f"{row['network']} {row['pruning']}"


def _spread(points: Rows) -> list[Row]:
    """Return points with one network each; the widths of an MLP share one intensity and are one."""
    return [
        {**row, "network": "mlp (all widths)" if row["network"] == "mlp" else _network_label(row), "pruning": ""}
        for row in points
    ]  # fmt: skip


def _one_panel(rows: Rows) -> list[Row]:
    """Return a row for each machine, all for one panel: the widest CNV that was run, or else another network."""
    found: dict[str, Row] = {}
    for network in ("cnv", _USUAL, "googlenet_v1"):
        for row in sorted(rows, key=lambda row: -row["keep_channels"]):
            if row["network"] == network and row["platform"] not in found and row["power_w"]:
                found[row["platform"]] = {
                    **row, "platform": "all machines", "datatype": "", "pruning": "",
                    "network": f"{row['platform']} {_network_label(row)}",
                }  # fmt: skip
    return list(found.values())


def _zcu104(points: Rows) -> list[Row]:
    """Return dense networks on all datatypes that one board was programmed for."""
    roofs = [roof for roof in data.roofs() if roof["platform"] in {"zcu104-dpu", "zcu104-finn"}]
    needs = {row["network"]: row["intensity_int8"] for row in points if row["pruning"] == "dense"}
    bits = {"int8": 8, "int4": 4, "int2": 2}
    return [
        {**roof, "platform": "zcu104", "network": network, "intensity": needs[network] * 8 / bits[roof["datatype"]]}
        for network in ("cnv", "mlp", _USUAL)
        for roof in roofs
    ]  # fmt: skip


def _orthogonal(rows: Rows) -> list[Row]:
    """Return the rows of the squares the paper shows: FINN, BISMO, TX2 and the A53 from dense to half the channels."""
    machines = ("tx2:maxn", "zcu104-finn", "zcu104-bismo", "ultra96-a53")
    return [
        row
        for row in rows
        if row["platform"] in machines and row["network"] in {"cnv", "mlp"} and row["pruning"] in {"dense", "50%"}
    ]  # fmt: skip
