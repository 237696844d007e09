"""The published tables: whole, sourced, in range, and the same as the figures they were taken from."""

import csv
import os
from pathlib import Path

import pytest

from roofline.errors import TableError
from roofline.workloads import networks
from roofline.workloads.published import TABLES, table

FACTS = (
    Path(os.environ.get("ROOFLINE_FACTS", Path(__file__).parents[2] / "../shared/facts"))
    / "qutibench"
)


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_source_and_the_table_is_not_empty(name):
    rows = table(name)
    assert rows
    assert all(row["source"] for row in rows)


def test_every_file_is_listed():
    folder = Path(__file__).parents[2] / "workloads" / "tables"
    assert {path.stem for path in folder.glob("*.csv")} == set(TABLES)


@pytest.mark.parametrize("name", [n for n in TABLES if n.startswith(("qutibench", "turner"))])
def test_networks_are_shipped_ones(name):
    for row in table(name):
        for column in ("network", "graph"):
            assert not row.get(column) or row[column] in networks, row


def test_sizes_are_the_papers():
    assert len(table("qutibench_predictions")) == 165
    assert len(table("qutibench_measured")) == 131
    assert len(table("qutibench_requirements")) == 17
    assert len(table("qutibench_statements")) == 21
    assert len(table("dlas_observations")) == 13


def test_one_prediction_is_flagged_as_a_misprint():
    (flagged,) = [row for row in table("qutibench_predictions") if row["flag"]]
    assert (flagged["platform"], flagged["graph"], flagged["datatype"]) == (
        "zcu104-finn",
        "mlp_25",
        "int2",
    )


@pytest.mark.parametrize(
    "row",
    table("qutibench_measured"),
    ids=lambda r: "-".join((r["platform"], r["graph"], r["datatype"])),
)
def test_unflagged_throughput_and_latency_agree(row):
    """Throughput is batch over latency within 10 % where no flag says otherwise."""
    agree = abs(row["throughput_fps"] * row["latency_ms"] / 1e3 / row["batch"] - 1) <= 0.1
    assert agree or row["flag"]
    assert row["top1_percent"] is None or 0 < row["top1_percent"] < 100
    assert row["idle_power_w"] is None or row["idle_power_w"] < row["power_w"]


@pytest.mark.skipif(
    not FACTS.is_dir(), reason="the collected data of the portal is not beside this checkout"
)
def test_measured_rows_are_the_best_of_the_portals_rows():
    with (FACTS / "measurements_clean.csv").open(encoding="utf-8") as file:
        portal = list(csv.DictReader(file))
    best = {}
    for row in portal:
        if row["fps_comp"]:
            key = (row["platform"], row["mode"], row["network"], row["dtype"], row["prune_pct"])
            best[key] = max(best.get(key, 0.0), float(row["fps_comp"]))
    ours = sorted(row["throughput_fps"] for row in table("qutibench_measured"))
    assert ours == pytest.approx(sorted(best.values()), rel=1e-5)


def test_unknown_table_is_one_error():
    with pytest.raises(TableError, match="Did you mean 'turner_memory'"):
        table("turner_memroy")
