"""The papers' figures are drawn from the published tables, by the command."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from roofline.cli import main
from roofline.errors import OptionError
from roofline.validate.studies import studies
from roofline.validate.studies.figures import draw_figures, figures
from roofline.validate.studies.qutibench.rows import measured_rows, points, portal_rows, roofs
from roofline.workloads.published import table

PORTAL = (
    Path(os.environ.get("ROOFLINE_FACTS", Path(__file__).parents[2] / "../shared/facts"))
    / "qutibench/measurements_clean.csv"
)


@pytest.fixture(scope="module")
def qutibench():
    return {figure.name: figure.chart for figure in figures("qutibench")}


@pytest.mark.parametrize("paper", studies)
def test_every_figure_has_data_and_a_name_of_its_own(paper):
    drawn = figures(paper)
    assert len({figure.name for figure in drawn}) == len(drawn)
    assert [figure.name for figure in drawn if not figure.chart.records()] == []


def test_every_data_figure_of_the_paper_is_there(qutibench):
    """Figures 1, 2 and 4 are schematics."""
    numbers = {int(name[3:5]) for name in qutibench if name.startswith("fig")}
    assert numbers == set(range(1, 24)) - {1, 2, 4}


def test_heatmaps_show_every_published_prediction(qutibench):
    shown = [row["predicted_fps"] for row in qutibench["portal_heatmaps"].records()]
    assert sorted(shown) == sorted(row["throughput_fps"] for row in table("qutibench_predictions"))


def test_predictions_lie_on_their_roofs():
    """Every published prediction but the misprint is the roof at the network's intensity, over its operations."""
    off = [
        row for row in points()
        if min(row["peak_op_s"], row["bandwidth_b_s"] * row["intensity"]) / row["ops"]
        != pytest.approx(row["predicted_fps"], rel=1e-3)
    ]  # fmt: skip
    # The A53 computes INT2 and INT4 on its INT8 units, and keeps its weights at INT8 or not, as the authors chose.
    assert {(row["platform"], row["network"], row["pruning"]) for row in off} == {
        ("zcu104-finn", "mlp", "25%")
    }


def test_no_machine_of_the_paper_is_lost_by_its_name(qutibench):
    named = {row["platform"] for row in table("qutibench_platforms")}
    assert {row["platform"] for row in roofs()} == named
    for name in ("portal_efficiency", "portal_power"):
        text = " ".join(row["label"] + row.get("machine", "") for row in qutibench[name].records())
        assert [machine for machine in named if machine not in text] == []


def test_efficiency_panels_together_hold_all_bars_once(qutibench):
    parts = [
        row["label"]
        for group in ("usb_a53", "fpga", "tx2")
        for row in qutibench[f"portal_efficiency_{group}"].records()
    ]
    assert len(parts) == len(qutibench["portal_efficiency"].records()) == 129
    assert all(one != other for one, other in combinations(parts, 2))


def test_shipped_runs_have_up_to_three_batches_of_each_configuration():
    held = {}
    for row in measured_rows():
        place = row["platform"], row["network"], row["pruning"], row["datatype"]
        held.setdefault(place, set()).add(row["batch"])
    assert len(held) == 131
    assert {len(batches) for batches in held.values()} <= {1, 2, 3}


@pytest.mark.skipif(not PORTAL.is_file(), reason="the portal's table of runs is not at hand")
def test_the_portals_own_table_gives_every_batch():
    rows = portal_rows(PORTAL)
    # Of 974 rows two give a configuration and batch a second time.
    assert len(rows) == 972
    # The shipped rows are among them.
    best = max(row["measured_fps"] for row in rows if row["platform"] == "zcu104-finn")
    assert best == pytest.approx(
        max(row["measured_fps"] for row in measured_rows() if row["platform"] == "zcu104-finn"),
        rel=1e-5,
    )


def test_figures_are_written_as_png_and_svg(tmp_path):
    told = []
    paths = draw_figures("turner", tmp_path / "new", report=lambda what, *_: told.append(what))
    assert sorted(path.name for path in paths) == [
        "requirements.png", "requirements.svg", "scorecard.png", "scorecard.svg",
    ]  # fmt: skip
    assert all(path.stat().st_size > 3000 for path in paths)
    assert told == ["requirements", "scorecard"]


def test_the_command_draws_and_still_prints_the_scorecard(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "turner", "--charts", str(tmp_path)])
    assert ended.value.code == 0
    shown = capsys.readouterr()
    assert "Table IV" in shown.out
    assert f"wrote 2 figures to {tmp_path}" in shown.err


def test_runs_are_for_the_paper_that_has_a_table_of_them(tmp_path):
    with pytest.raises(OptionError, match="turner has no table of measurements"):
        figures("turner", tmp_path / "runs.csv")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="cannot make the folder"):
        draw_figures("turner", tmp_path / "file" / "charts")
