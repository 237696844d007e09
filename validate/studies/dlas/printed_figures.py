"""Figures of what DLAS prints, drawn with the charts that serve any data."""

from __future__ import annotations

from collections.abc import Mapping

from roofline.chart import Chart, Options, charts
from roofline.validate.studies.dlas.published import speedup
from roofline.workloads.published import table


def printed_figures() -> Mapping[str, Chart]:
    """Return expected and achieved speed-ups, drawn."""
    expected = {
        row["technique"]: speedup(row["technique"], row["removed_share"])
        for row in table("dlas_expected")
    }
    rows = [
        {
            "network": row["dataset"], "platform": row["platform"],
            "backend": "tuned" if row["tuned"] == "yes" else "untuned", "technique": row["technique"],
            "expected_speedup": expected[row["technique"]], "achieved_percent": row["achieved_percent"],
            "achieved_speedup": expected[row["technique"]] * row["achieved_percent"] / 100,
            "device": row["device"],
        }
        for row in table("dlas_achieved")
        if row["achieved_percent"]
    ]  # fmt: skip
    shares = [
        {
            "platform": f"{row['network']} {row['platform']} {row['backend']}", "network": row["technique"],
            "achieved_percent": row["achieved_percent"],
        }
        for row in rows
    ]  # fmt: skip
    options = Options(title="Achieved percent of the expected speed-up", value="achieved_percent")
    found: dict[str, Chart] = {"achieved_percent": charts.get("heatmap").compute(shares, options)}
    for device in ("cpu", "gpu"):
        # Networks were pruned to different shares of their channels, so their mean percentage is of no one speed-up.
        own = [r for r in rows if r["device"] == device and r["technique"] != "channel pruning"]
        options = Options(title=f"Expected and achieved speed-up, {device.upper()}")
        found[f"speedup_{device}"] = charts.get("speedup").compute(own, options)
    return found
