"""The measurements of the QuTiBench portal (Blott et al. 2021), one row per configuration and batch.

Takes the table with cleaned names (platform, mode, network, dtype, prune_pct, batch, lat_comp_ms, fps_comp, …); its
names are mapped onto this project's: ``TX2`` in mode ``maxn`` is ``tx2:maxn``, a network at 50 % of its channels is the
network with the variant ``keep-channels=0.5``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from roofline.errors import TableError
from roofline.reading import csv_header, read_csv, real_number
from roofline.tables import with_columns
from roofline.validate.records.importers._registry import Facts, ImportedFile, importer
from roofline.validate.records.importers._table import read_rows

_NEEDED = (
    "platform", "mode", "network", "dtype", "prune_pct", "sweep_kind", "batch", "lat_comp_ms", "fps_comp",
    "top1_pct", "full_w",
)  # fmt: skip

_PLATFORMS = {
    "edgetpu": "edgetpu", "ncs": "ncs", "tx2": "tx2", "u96-quadcore-a53": "ultra96-a53", "ultra96-dpu": "ultra96-dpu",
    "zcu102-dpu": "zcu102-dpu", "zcu104-dpu": "zcu104-dpu", "zcu104-finn": "zcu104-finn",
    "zcu104-bismo": "zcu104-bismo",
}  # fmt: skip
_NETWORKS = {
    "cnv": "cnv", "mlp": "mlp", "resnet-50": "resnet50", "resnet-50v1.5": "resnet50_v15", "googlenetv1": "googlenet_v1",
    "mobilenetv1": "mobilenet_v1", "efficientnet-s": "efficientnet_edgetpu_s",
    "efficientnet-m": "efficientnet_edgetpu_m",
    "efficientnet-l": "efficientnet_edgetpu_l",
}  # fmt: skip

_FLAGS = {
    "fps_lat_inconsistent": "throughput and latency contradict each other",
    "above_peak_compute": "more operations per second than the published peak",
    "nn_ops_wrong": "the published operation count of this row is a placeholder",
    "power_copied_from_ZCU104": "power figures are those of another board",
    "power_suspect_low": "power below the same device's own time series",
    "tp_zero": "published throughput in operations is zero",
    "fps_missing_filled_from_lat": "throughput missing, taken from the latency",
    "platform_suspect_U96": "measured on another board, it seems",
}
"""Defects of the published rows, by the mark they carry."""


def _recognizes(path: Path, head: str) -> bool:
    header = csv_header(head)
    return path.suffix == ".csv" and all(name in header for name in _NEEDED)


@importer("qutibench", "measurements of the QuTiBench portal", _recognizes)
def _read(path: Path, text: str, facts: Facts) -> ImportedFile:
    table = with_columns(
        read_csv(text, str(path)), str(path), "table of the portal", _NEEDED,
        repair="Import it as plain CSV with --from csv --map",
    )  # fmt: skip
    renamed = [_row(row, f"{path} row {number}") for number, row in enumerate(table.rows, 1)]
    return read_rows(path, renamed, {name: name for name in renamed[0]} if renamed else {}, facts)


def _row(row: Mapping[str, str], where: str) -> dict[str, str]:
    platform = _PLATFORMS.get(row["platform"].lower(), row["platform"].lower())
    network = _NETWORKS.get(row["network"].lower(), row["network"].lower())
    share = real_number(
        row["prune_pct"].rstrip("%"), f"{where}: prune_pct", least=0, most=100, error=TableError
    )
    sweep = row["sweep_kind"]
    flags = [_FLAGS.get(mark, mark) for mark in row.get("flag", "").split(";") if mark]
    return {
        "platform": f"{platform}:{row['mode']}" if row["mode"] else platform,
        "network": network,
        "datatype": row["dtype"].lower(),
        "pruning": "dense" if share == 100 else f"keep-channels={share / 100:g}",
        # Threads of a DPU each work on their own image; a stream of a dataflow engine is one long batch.
        "batch": "1" if sweep == "thread" else row["batch"],
        "concurrency": row["batch"] if sweep == "thread" else "1",
        "measured_fps": row["fps_comp"],
        "latency_ms": row["lat_comp_ms"],
        "power_w": row["full_w"],
        "accuracy_percent": row["top1_pct"],
        "flag": "; ".join(flags),
    }
