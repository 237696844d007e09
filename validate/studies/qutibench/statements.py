"""What the text of QuTiBench concludes from its measurements, checked against the published runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

from roofline.model import Bound
from roofline.validate.studies.cells import Cell, Table
from roofline.validate.studies.networks import requirements
from roofline.validate.studies.qutibench.cases import (
    PREDICTED,
    Row,
    measured_rows,
    predict_row,
    variant,
)
from roofline.validate.studies.qutibench.runs import squares
from roofline.workloads.published import table

IMAGENET = (
    "resnet50", "googlenet_v1", "mobilenet_v1", "efficientnet_edgetpu_s", "efficientnet_edgetpu_m",
    "efficientnet_edgetpu_l",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the published runs say about a statement."""

    ours: str
    agrees: bool
    why: str = ""


def statements() -> Table:
    """Check each of the statements."""
    cells: list[Cell] = []
    for row in table("qutibench_statements"):
        verdict = _CHECKS[row["statement"]]()
        why = "" if verdict.agrees and not verdict.why else verdict.why
        name = f"{row['statement']} {row['claim']}"
        cells.append(Cell(name, row["published"], verdict.ours, verdict.agrees, why))
    return Table(
        "Statements of the text", tuple(cells), "the published runs bear the statement out"
    )


def _pairs(low: str, high: str, **wanted: object) -> list[tuple[Row, Row]]:
    """Return runs of one machine and variant at a narrower and a wider datatype."""
    wide = {
        (row["platform"], row["network"], row["keep_channels"]): row
        for row in measured_rows(datatype=high, **wanted)
    }
    found = (
        (row, wide.get((row["platform"], row["network"], row["keep_channels"])))
        for row in measured_rows(datatype=low, **wanted)
    )
    return [(row, other) for row, other in found if other is not None]


def _range(values: Iterable[float]) -> str:
    listed = list(values)
    return f"{min(listed):.3g} to {max(listed):.3g}"


def _points() -> Verdict:
    rows = table("qutibench_measured")
    count = int(sum(row["points"] for row in rows))
    why = "540 itself is the size of no subset of the public data"
    return Verdict(f"{count} points of {len(rows)} configurations", count > 540, why)


def _above_prediction() -> Verdict:
    above = [
        row
        for row in table("qutibench_measured")
        if row["platform"] != "ncs" and (cell := PREDICTED.get(variant(row))) is not None
        and row["throughput_fps"] > cell["throughput_fps"]
    ]  # fmt: skip
    bound = [row for row in above if predict_row(row).bound is Bound.MEMORY]
    kinds = ", ".join(sorted({row["network"] for row in above}))
    return Verdict(
        f"{len(above)} above, {len(bound)} of them memory-bound ({kinds})",
        len(bound) == len(above) > 0,
    )


def _speedups(low: str, high: str, platform: str) -> list[float]:
    """Return the throughput of each network of a machine at one datatype over that at another."""
    return [
        fast["throughput_fps"] / slow["throughput_fps"]
        for fast, slow in _pairs(low, high, platform=platform)
    ]


def _finn_throughput() -> Verdict:
    ratios = _speedups("int2", "int4", "zcu104-finn")
    mean = sum(ratios) / len(ratios)
    return Verdict(
        f"mean {mean:.2f}, median {median(ratios):.2f}", abs(mean / 2 - 1) <= 0.1,
        "each network has its own folding; 2 holds for CNV at 50 and 25 % and MLP at 50 %",
    )  # fmt: skip


def _finn_latency() -> Verdict:
    ratio = {
        low["keep_channels"]: high["latency_batch1_ms"] / low["latency_batch1_ms"]
        for low, high in _pairs("int2", "int4", platform="zcu104-finn", network="cnv")
    }
    agrees = abs(ratio[1.0] / 3.7 - 1) < 0.05 and abs(ratio[0.25] / 1.3 - 1) < 0.05
    why = f"at 12.5 % int2 is slower: {ratio[0.125]:.2f}"
    return Verdict(f"{ratio[1.0]:.2f} falling to {ratio[0.25]:.2f} at 25 %", agrees, why)


def _tx2_throughput() -> Verdict:
    def gain(network: str) -> float:
        means = [
            sum(row["throughput_mean_fps"] * row["points"] for row in rows)
            / sum(row["points"] for row in rows)
            for rows in (
                measured_rows(platform="tx2", network=network, datatype=kind)
                for kind in ("fp16", "fp32")
            )
        ]
        return means[0] / means[1]

    cnv, mlp = gain("cnv"), gain("mlp")
    why = "ratio of throughputs averaged over all batches"
    return Verdict(f"CNV {cnv:.2f}, MLP {mlp:.2f}", abs(cnv / 1.42 - 1) < 0.015 and mlp < 1.2, why)


def _tx2_latency() -> Verdict:
    def gain(network: str, column: str) -> float:
        return median(
            high[column] / low[column]
            for low, high in _pairs("fp16", "fp32", platform="tx2", network=network)
        )

    networks = ("resnet50", "googlenet_v1", "cnv", "mlp")
    large = {name: gain(name, "latency_largest_ms") for name in networks}
    single = {name: gain(name, "latency_batch1_ms") for name in networks}
    agrees = abs(max(large.values()) / 2 - 1) <= 0.1 and all(
        large[name] > single[name] for name in networks
    )
    listed = ", ".join(
        f"{name} {large[name]:.2f} against {single[name]:.2f} at batch 1" for name in networks
    )
    return Verdict(listed, agrees, "only ResNet-50 comes near 2")


def _bismo() -> Verdict:
    best = max(_speedups("int2", "int4", "zcu104-bismo"))
    return Verdict(f"{best:.2f}", abs(best / 2 - 1) <= 0.05)


def _a53() -> Verdict:
    ratios = _speedups("int2", "int4", "ultra96-a53")
    return Verdict(
        f"int2 over int4 {_range(ratios)}",
        all(abs(ratio - 1) < 0.01 for ratio in ratios),
        "int8 itself was not run",
    )


def _ultra96() -> Verdict:
    fps = {
        row["keep_channels"]: row["throughput_smallest_fps"]
        for row in measured_rows(platform="ultra96-dpu", network="resnet50")
    }
    gain = fps[0.3] / fps[1.0]
    return Verdict(f"{gain:.3f} at one thread", abs(gain / 1.81 - 1) < 0.001)


def _ops(row: Row) -> float:
    if row["graph"]:
        return requirements(row["graph"]).ops
    published = {
        (row["network"], row["keep_channels"]): row for row in table("qutibench_requirements")
    }
    return 1e9 * published[row["network"], row["keep_channels"]]["ops_used_gop"]


def _pruning() -> Verdict:
    speed: list[float] = []
    saved: list[float] = []
    for row in table("qutibench_measured"):
        family = measured_rows(
            platform=row["platform"], network=row["network"], datatype=row["datatype"]
        )
        base = max(family, key=lambda run: run["keep_channels"])
        if row["keep_channels"] < base["keep_channels"]:
            speed.append(row["throughput_fps"] / base["throughput_fps"])
            saved.append(_ops(base) / _ops(row))
    slope = float(np.polyfit(np.log(saved), np.log(speed), 1)[0])
    share = median(gain / ratio for gain, ratio in zip(speed, saved, strict=True))
    return Verdict(
        f"median {100 * share:.0f} % of the operations' ratio; log-log slope {slope:.2f}", slope > 0.9,
        "it follows for mild pruning and falls behind the more is removed",
    )  # fmt: skip


def _orthogonal() -> Verdict:
    ratios = [
        ratio for square in squares() if (ratio := square.ratio("throughput_fps")) is not None
    ]
    middle = median(ratios)
    close = sum(abs(ratio - 1) <= 0.1 for ratio in ratios)
    return Verdict(
        f"median {100 * middle:.1f} %; {close} of {len(ratios)} within 10 %", abs(middle - 1) <= 0.1,
        "A53, BISMO's MLP and TX2's CNV are close; FINN's CNV and TX2's MLP are not",
    )  # fmt: skip


def _check_both_best() -> Verdict:
    found = list(squares())
    fast = sum(square.is_best_together("throughput_fps") for square in found)
    short = sum(square.is_best_together("latency_mean_ms") for square in found)
    return Verdict(
        f"throughput {fast} of {len(found)}, mean latency {short} of {len(found)}", fast == len(found),
        "at best throughput pruning alone sometimes wins",
    )  # fmt: skip


def _finn_flat() -> Verdict:
    growth = [
        row["latency_largest_ms"] / row["latency_smallest_ms"]
        for row in measured_rows(platform="zcu104-finn")
    ]
    return Verdict(
        f"largest over smallest stream {_range(growth)}", max(growth) < 2,
        "the public latency is the time of the whole stream, not of one image",
    )  # fmt: skip


def _ncs() -> Verdict:
    gain = {
        (row["network"], row["keep_channels"]): row["throughput_fps"]
        / row["throughput_smallest_fps"]
        for row in measured_rows(platform="ncs")
    }
    return Verdict(
        f"best over batch 1: {_range(gain.values())}", max(gain.values()) < 1.05,
        f"true of ResNet-50 alone ({gain['resnet50', 1.0]:.2f})",
    )  # fmt: skip


def _dpu() -> Verdict:
    threads = {
        name: max(row["batch_of_95_percent"] for row in measured_rows(platform=name))
        for name in ("ultra96-dpu", "zcu102-dpu", "zcu104-dpu")
    }
    listed = ", ".join(f"{name} {count:.0f}" for name, count in threads.items())
    return Verdict(f"threads for 95 % of the best: {listed}", max(threads.values()) <= 6)


def _check_idle() -> Verdict:
    def idle(*platforms: str) -> list[float]:
        rows = [row for name in platforms for row in measured_rows(platform=name)]
        return [row["idle_power_w"] for row in rows if row["idle_power_w"] is not None]

    board = measured_rows(platform="zcu102-dpu")[0]["board_power_w"]
    fpga = f"ZCU102 {_range(idle('zcu102-dpu'))} (board alone {board:g})"
    small = f"ZCU104 {_range(idle('zcu104-dpu', 'zcu104-finn'))}, TX2 {_range(idle('tx2'))}"
    agrees = (
        abs(min(idle("zcu102-dpu")) / 19.9 - 1) < 0.01 and abs(max(idle("tx2")) / 5.0 - 1) < 0.01
    )
    why = "19.9 W is the ZCU102's board without a bitstream; idle power is higher on both kinds of board"
    return Verdict(f"{fpga}, {small}", agrees, why)


def _per_watt(row: Row) -> float:
    return row["throughput_fps"] / row["power_w"]


def _efficiency_of_precision() -> Verdict:
    def gains(low: str, high: str, platform: str, *networks: str) -> list[float]:
        return [
            _per_watt(narrow) / _per_watt(wide)
            for network in networks
            for narrow, wide in _pairs(low, high, platform=platform, network=network)
        ]

    gpu = gains("fp16", "fp32", "tx2", "cnv", "resnet50", "googlenet_v1")
    finn = gains("int2", "int4", "zcu104-finn", "cnv", "mlp")
    bismo = gains("int2", "int4", "zcu104-bismo", "cnv", "mlp")
    return Verdict(
        f"TX2 {_range(gpu)}, FINN {_range(finn)}, BISMO {_range(bismo)}",
        min(gpu) > 1.7 and min(finn) >= 2 and min(bismo) > 1.9,
        "FINN bears it out; TX2 falls to 1.4 where CNV is pruned, and BISMO stays below 2, CNV by a quarter",
    )


def _mixed_point() -> Verdict:
    (narrow,) = measured_rows(
        platform="zcu104-finn", network="mlp", datatype="int2", keep_channels=0.25
    )
    (wide,) = measured_rows(
        platform="zcu104-finn", network="mlp", datatype="int4", keep_channels=0.125
    )
    agrees = (
        narrow["throughput_fps"] > wide["throughput_fps"]
        and narrow["top1_percent"] > wide["top1_percent"]
    )
    return Verdict(
        f"{narrow['throughput_fps']:,.0f} against {wide['throughput_fps']:,.0f} fps, and more accurate",
        agrees,
    )


def _front(*, efficientnet: bool) -> list[Row]:
    """Return the ImageNet runs that no other run beats in both accuracy and throughput."""
    rows = [
        row
        for name in IMAGENET
        if efficientnet or not name.startswith("efficientnet")
        for row in measured_rows(network=name)
        if row["top1_percent"] is not None
    ]
    return [
        row
        for row in rows
        if not any(
            other["throughput_fps"] > row["throughput_fps"]
            and other["top1_percent"] >= row["top1_percent"]
            for other in rows
        )
    ]


def _on_front(platform: str, *networks: str, efficientnet: bool, why: str = "") -> Verdict:
    front = [(row["platform"], row["network"]) for row in _front(efficientnet=efficientnet)]
    on = [name for name in networks if (platform, name) in front]
    return Verdict(f"on the front: {', '.join(on) or 'none'}", set(on) == set(networks), why)


def _square_of_pruning() -> Verdict:
    def exponent(platform: str) -> list[float]:
        found: list[float] = []
        for row in measured_rows(platform=platform, network="mlp", keep_channels=0.125):
            base = measured_rows(
                platform=row["platform"],
                network="mlp",
                datatype=row["datatype"],
                keep_channels=1.0,
            )
            found += [
                float(np.log(_per_watt(row) / _per_watt(base_row)) / np.log(8))
                for base_row in base
            ]
        return found

    names = {
        "A53": "ultra96-a53",
        "TX2": "tx2",
        "FINN": "zcu104-finn",
        "BISMO": "zcu104-bismo",
        "NCS": "ncs",
    }
    powers = {name: exponent(key) for name, key in names.items()}
    agrees = (
        all(min(powers[name]) > 1.5 for name in ("A53", "TX2", "FINN", "BISMO"))
        and max(powers["NCS"]) < 1.2
    )
    listed = ", ".join(f"{name} {_range(values)}" for name, values in powers.items())
    return Verdict(
        f"power of the pruning factor: {listed}", agrees, "TX2 gains linearly, as the NCS does"
    )


_CHECKS: dict[str, Callable[[], Verdict]] = {
    "S1": _points,
    "S2": _above_prediction,
    "S3": _finn_throughput,
    "S4": _finn_latency,
    "S5": _tx2_throughput,
    "S6": _tx2_latency,
    "S7": _bismo,
    "S8": _a53,
    "S9": _ultra96,
    "S10": _pruning,
    "S11": _orthogonal,
    "S12": _check_both_best,
    "S13": _finn_flat,
    "S14": _ncs,
    "S15": _dpu,
    "S16": _check_idle,
    "S17": _efficiency_of_precision,
    "S18": _mixed_point,
    "S19": partial(_on_front, "edgetpu:fast", "mobilenet_v1", efficientnet=True),
    "S20": partial(
        _on_front, "zcu102-dpu", "googlenet_v1", "resnet50", efficientnet=False,
        why="without the EfficientNets, which were added later and push ResNet-50 off the front",
    ),
    "S21": _square_of_pruning,
}  # fmt: skip
