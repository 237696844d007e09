"""Power, overview, agreement, panels, on-chip roofs, intervals and normalised boxes."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex
from matplotlib.text import Text

from roofline.chart import Options, charts, facets
from roofline.chart._style import machine_colour, technique_colour
from roofline.chart.agreement import compute as agreement
from roofline.chart.boxes import THEORY
from roofline.chart.boxes import compute as boxes
from roofline.chart.curves import compute as curves
from roofline.chart.efficiency import compute as efficiency
from roofline.chart.latency import compute as latency
from roofline.chart.overview import compute as overview
from roofline.chart.pareto import compute as pareto
from roofline.chart.power import compute as power
from roofline.chart.power_over_time import compute as power_over_time
from roofline.chart.rooflines import compute as roofline
from roofline.errors import OptionError, TableError
from roofline.spec import platform

SERIES = [{"series": "net", "time_s": t, "power_w": 1.5} for t in range(40)]


def overlapping(figure) -> list[tuple[str, str]]:
    """Return pairs of texts that cover one another, in all panels of a figure."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = []
    for axes in figure.axes:
        if axes.axison:
            texts = [*axes.texts, *axes.get_xticklabels(), axes.title]
            found += [
                (t, Text.get_window_extent(t, renderer)) for t in texts if t.get_text().strip()
            ]
    return [
        (one.get_text(), other.get_text())
        for (one, a), (other, b) in combinations(found, 2)
        if a.x0 < b.x1 - 1 and b.x0 < a.x1 - 1 and a.y0 < b.y1 - 1 and b.y0 < a.y1 - 1
    ]


# --- Power --------------------------------------------------------------------------------------


def test_the_parts_of_power_add_up():
    row = {
        "platform": "m",
        "network": "n",
        "power_w": 8,
        "board_power_w": 2.5,
        "idle_power_w": 6.75,
    }
    (load,) = power([row]).loads
    assert load.stack() == (2.5, 6.75 - 2.5, 8 - 6.75, 0)


def test_power_above_the_board_is_not_divided_without_the_power_at_rest():
    (load,) = power([{"platform": "m", "network": "n", "power_w": 8, "board_power_w": 2.5}]).loads
    assert load.stack() == (2.5, 0, 0, 5.5)


def test_frames_per_watt_are_frames_per_watt_and_energy_its_inverse():
    row = {"platform": "m", "network": "n", "power_w": 8, "measured_fps": 400}
    (load,) = power([row], Options(value="fps_per_w")).loads
    assert load.value("fps_per_w") == 400 / 8
    assert load.value("energy_mj") == 1000 * 8 / 400
    with pytest.raises(OptionError, match="cannot show 'latency_ms'"):
        power([row], Options(value="latency_ms"))


def test_several_batches_show_their_mean_power():
    rows = [{"platform": "m", "network": "n", "batch": b, "power_w": 4 + b} for b in (1, 2, 6)]
    (load,) = power(rows).loads
    assert load.power == 4 + (1 + 2 + 6) / 3


def test_each_machine_and_datatype_has_a_panel_and_labels_keep_apart(rows):
    chart = power(rows[:48])
    figure = chart.figure()
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.axison]
    assert titles == chart.machines
    assert len(titles) == len({(r["platform"], r["datatype"]) for r in rows[:48]})
    assert overlapping(figure) == []


def test_glitches_are_dropped_and_counted():
    spikes = [
        {"series": "net", "time_s": 40, "power_w": 9.3},
        {"series": "net", "time_s": 41, "power_w": 0.01},
    ]
    chart = power_over_time([*SERIES, *spikes])
    (series,) = chart.series
    assert [watts for _, watts in series.dropped] == [9.3, 0.01]
    assert series.median == 1.5
    assert sum(row["dropped"] for row in chart.records()) == 2
    (axes,) = chart.figure().axes
    assert "2 of 42 samples dropped" in axes.get_title(loc="left")


def test_plateaus_are_no_glitches():
    """A machine that waits half of the time at half of the power keeps every sample."""
    rows = [{"series": "n", "time_s": t, "power_w": 0.78 if t % 2 else 1.6} for t in range(60)]
    assert power_over_time(rows).series[0].dropped == ()


def test_power_is_voltage_times_current_and_time_counts_seconds():
    rows = [{"voltage_v": "5", "current_a": "0.3", "series": "s"}] * 3
    assert power_over_time(rows).series[0].samples == ((0.0, 1.5), (1.0, 1.5), (2.0, 1.5))
    with pytest.raises(TableError, match="not both numbers"):
        power_over_time([{"voltage_v": "5 V", "current_a": "0.3"}])


# --- Overview and agreement ---------------------------------------------------------------------


def test_a_cell_of_the_overview_groups_datatypes_with_the_same_prunings():
    rows = [
        {"platform": "m", "network": "n", "datatype": d, "pruning": p, "batch": b}
        for d, prunings in (("int2", ("dense", "keep-channels=0.5")), ("int4", ("dense", "keep-channels=0.5")),
                            ("int8", ("dense",)))
        for p in prunings
        for b in (1, 128)
    ]  # fmt: skip
    (entry,) = overview(rows).entries
    assert entry.lines() == ["[INT2, INT4]*[100%, 50%]", "[INT8]*[100%]", "batch 1–128"]


def test_a_network_that_was_not_run_says_so():
    chart = overview([{"platform": "a", "network": "x"}, {"platform": "b", "network": "y"}])
    (axes,) = chart.figure().axes
    assert [text.get_text() for text in axes.texts].count("na") == 2
    assert overlapping(chart.figure()) == []


def test_agreement_counts_cells_and_takes_ratios_of_numbers_only():
    rows = [
        {"table": "t", "cell": "a", "published": 4, "ours": 5, "agrees": "False"},
        {"table": "t", "cell": "b", "published": "observed", "ours": "reproduced", "agrees": "True"},
        {"table": "t", "cell": "c", "published": 0, "ours": 5, "agrees": "False"},
    ]  # fmt: skip
    (strip,) = agreement(rows).strips
    assert strip.cells == ((False, 5 / 4), (True, None), (False, None))
    assert strip.agree == 1


# --- Panels -------------------------------------------------------------------------------------


def test_any_kind_is_drawn_once_for_each_value_of_a_column(rows):
    split = [row | {"task": "MNIST" if row["network"] == "mlp" else "ImageNet"} for row in rows]
    chart = facets(charts.get("heatmap"), split, Options(title="All"), "task")
    assert [name for name, _ in chart.parts] == ["ImageNet", "MNIST"]
    assert {row["task"] for row in chart.records()} == {"ImageNet", "MNIST"}
    visible = [axes for axes in chart.figure().axes if axes.axison]
    assert len(visible) == 4  # two maps, each with its colours
    with pytest.raises(TableError, match=r"no column 'taks' to divide by. Did you mean 'task'"):
        facets(charts.get("heatmap"), split, Options(), "taks")
    assert facets(charts.get("heatmap"), [], Options(), "task").records() == []


def test_many_efficiency_bars_are_divided_where_the_machine_changes(rows):
    chart = efficiency(rows)
    panels = chart.panels()
    assert sum(len(panel.bars) for panel in panels) == len(rows) == 96
    assert all(len(panel.bars) <= 26 for panel in panels)
    machines = [{bar.machine for bar in panel.bars} for panel in panels]
    assert all(len(own) == 1 for own in machines)
    assert len({panel.limits for panel in panels}) == 1


def test_panels_fit_into_axes_of_another_figure(rows):
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = figure.subplots(1, 2)
    chart = power(rows[:24])
    chart.plot(right)
    drawn = [axes for axes in figure.axes if axes not in {left, right}]
    assert len(drawn) == len(chart.machines)
    assert all(
        axes.get_subplotspec().get_topmost_subplotspec() == right.get_subplotspec()
        for axes in drawn
    )


# --- On the chip --------------------------------------------------------------------------------


def finn(needed: float) -> dict:
    return {"platform": "zcu104-finn", "datatype": "int2", "peak_op_s": 30.7e12, "bandwidth_b_s": 19.2e9,
            "network": "n", "intensity": 8, "required_bytes": needed}  # fmt: skip


def test_networks_that_fit_the_chip_are_marked_and_their_roof_is_drawn():
    capacity = platform("zcu104-finn").on_chip_capacity
    rows = [finn(capacity), {**finn(capacity * 1.01), "network": "big"}]
    chart = roofline(rows, Options(on_chip=True))
    assert [bool(point.resident) for point in chart.points] == [True, False]
    # The file does not say how fast that memory is, so the compute roof is what remains.
    assert chart.points[0].reach == 30.7e12
    (inner,) = [roof for roof in chart.roofs if roof.on_chip]
    assert inner.bandwidth == math.inf
    dashed = [
        line
        for line in chart.plot().get_lines()
        if line.get_linestyle() == "--" and len(line.get_xdata()) == 2
    ]
    assert any(line.get_xdata()[1] == 30.7e12 / 19.2e9 for line in dashed)
    assert not any(roof.on_chip for roof in roofline(rows).roofs)


def test_an_on_chip_slope_is_that_of_the_file():
    row = finn(1) | {
        "platform": "mi300x",
        "datatype": "fp16",
        "peak_op_s": 1307e12,
        "bandwidth_b_s": 5.3e12,
    }
    inner = [roof for roof in roofline([row], Options(on_chip=True)).roofs if roof.on_chip]
    assert [(roof.memory, roof.bandwidth) for roof in inner] == [("Infinity Cache", 17e12)]


# --- Intervals ----------------------------------------------------------------------------------

EXPECTED = {
    "network": "n",
    "platform": "m",
    "throughput_fps": 100,
    "interval_fps": [20, 60],
    "accuracy": 70,
}


def test_intervals_are_read_from_json_and_from_columns():
    columns = {
        **EXPECTED,
        "interval_fps": None,
        "predicted_low_fps": "20",
        "predicted_high_fps": "60",
    }
    for row in (EXPECTED, columns):
        assert efficiency([row]).bars[0].interval == (20, 60)
        assert pareto([row]).candidates[0].interval == (20, 60)
    (axes,) = efficiency([EXPECTED]).figure().axes
    (whisker,) = [c for c in axes.collections if len(c.get_paths()) == 1]
    assert whisker.get_paths()[0].vertices[:, 1].tolist() == [20, 60]


def test_a_row_without_an_interval_has_no_whisker():
    assert efficiency([{**EXPECTED, "interval_fps": None}]).bars[0].interval is None


def test_curves_have_a_band_where_the_rows_know_one():
    rows = [{"threads": t, "median_ms": 9 / t, "p5_ms": 8 / t, "p95_ms": 12 / t} for t in (1, 2)]
    (curve,) = curves(rows, Options(y="median_ms")).curves
    assert curve.band == ((1, 8, 12), (2, 4, 6))


# --- Boxes --------------------------------------------------------------------------------------


def test_normalised_boxes_are_shares_of_each_machines_greatest_with_theory_first():
    ops = {"dense": 8e9, "50%": 2e9}
    rows = [
        {
            "platform": m,
            "pruning": p,
            "measured_fps": speed * fps,
            "latency_ms": 1 / fps,
            "ops": ops[p],
        }
        for m, speed in (("slow", 1), ("fast", 1000))
        for p, fps in (("dense", 10), ("50%", 30))
    ]
    chart = boxes(rows, Options(normalise=True))
    shares = {(box.group, box.pruning): box.values for box in chart.boxes}
    assert next(iter(shares)) == (THEORY, "dense")
    assert shares[THEORY, "dense"] == (2e9 / 8e9,)  # throughput is inverse to the operations
    assert shares["slow", "dense"] == shares["fast", "dense"] == (10 / 30,)
    by_latency = boxes(rows, Options(normalise=True, value="latency_ms"))
    assert by_latency.boxes[1].values == (2e9 / 8e9,)  # latency is proportional to them
    assert boxes(rows).boxes[0].group == "slow"


def test_theory_is_left_out_where_networks_of_several_sizes_are_mixed():
    rows = [{"platform": "m", "measured_fps": 1, "ops": ops} for ops in (1e9, 2e9)]
    assert [box.group for box in boxes(rows, Options(normalise=True)).boxes] == ["m"]


# --- Bad input ----------------------------------------------------------------------------------


def test_a_latency_that_contradicts_throughput_and_batch_is_doubtful():
    rows = [
        {
            "network": "n",
            "platform": "m",
            "batch": batch,
            "latency_ms": 10 * batch,
            "measured_fps": fps,
        }
        for batch, fps in ((1, 100), (2, 100), (4, 250))
    ]
    (line,) = latency(rows).lines
    assert line.doubtful == {4}  # 4 items in 40 ms are 100 a second, not 250
    assert latency([row | {"sweep": "thread"} for row in rows]).lines[0].doubtful == set()


@pytest.mark.parametrize("accuracy", [-1, 100.5, 9000])
def test_accuracy_outside_0_to_100_is_refused(accuracy):
    with pytest.raises(TableError, match=r"row 1: accuracy .* is not within 0–100"):
        pareto([{**EXPECTED, "accuracy": accuracy}])


def test_a_unit_in_a_cell_is_named():
    with pytest.raises(
        TableError,
        match=r"latency_ms is '12 ms', a number with a unit. Give a bare number: .*milliseconds",
    ):
        latency(
            [
                {
                    "network": "n",
                    "platform": "m",
                    "batch": 1,
                    "latency_ms": "12 ms",
                    "measured_fps": 3,
                }
            ]
        )


def lab(colour: str) -> np.ndarray:
    """Return a colour in CIELAB (D65), as CIE 15 has it."""
    linear = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(matrix @ linear / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_machines_that_are_often_compared_have_colours_far_apart():
    often = ["h100-sxm", "b200-sxm", "h200-sxm", "a100-sxm-80gb", "l4", "t4", "rtx-4090", "rtx-5090", "mi300x",
             "gb200", "hailo-8", "rpi5", "tpu-v5e", "rk3588-npu", "dgx-spark"]  # fmt: skip
    places = [lab(machine_colour(name)) for name in often]
    near = min(np.linalg.norm(a - b) for a, b in combinations(places, 2))
    assert near > 20


def test_a_machine_keeps_its_colour_from_chart_to_chart():
    published = ["tx2:maxn", "tx2:maxp", "ncs", "zcu104-finn", "edgetpu:fast", "ultra96-dpu"]
    assert len({machine_colour(name) for name in published}) == len(published)
    for name in (*published, "t4", "h100-sxm"):
        assert machine_colour(f"{name} fp16") == machine_colour(name)
    row = {"datatype": "int8", "peak_op_s": 1e12, "bandwidth_b_s": 1e10, "intensity": 5.0, "network": "n",
           "batch": 1, "latency_ms": 2.0, "measured_fps": 500.0}  # fmt: skip
    for others in (["a", "b", "c"], ["x"]):
        shown = [{"platform": name, **row} for name in (*others, "t4")]
        for kind in ("roofline", "latency"):
            axes = charts.get(kind).compute(shown, Options()).plot()
            assert machine_colour("t4") in {line.get_color() for line in axes.get_lines()}


def test_a_notebook_shows_a_picture_and_not_the_values(rows):
    import base64

    bundle = efficiency(rows[:3])._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "EfficiencyChart of 3 rows"


def words_of(chart) -> list[str]:
    figure = chart.figure()
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_boxes_never_mix_networks_and_say_of_how_many_points_they_are():
    rows = [
        {"platform": "m", "datatype": "int8", "network": name, "batch": batch, "measured_fps": 10.0 * batch}
        for name, batches in (("one", (1, 2, 4)), ("two", (1, 2)))
        for batch in batches
    ]  # fmt: skip
    chart = boxes(rows)
    assert {box.group: len(box.values) for box in chart.boxes} == {
        "m int8 one": 3,
        "m int8 two": 2,
    }
    assert {"3", "2"} <= set(words_of(chart))


def test_many_boxes_are_divided_into_panels_with_one_axis():
    rows = [
        {"platform": f"m{i}", "pruning": name, "measured_fps": 10.0 + i}
        for i in range(15)
        for name in ("dense", "50%", "25%")
    ]
    chart = boxes(rows)
    panels = chart.panels()
    assert sum(len(panel.boxes) for panel in panels) == 45
    assert len({panel.limits for panel in panels}) == 1
    assert chart.size()[0] < 11
    assert len([axes for axes in chart.figure().axes if axes.axison]) == len(panels)


def test_a_flat_box_shows_its_colour_and_names_stand_upright_only_without_room():
    rows = [
        {"platform": name, "datatype": "int8", "pruning": pruning, "measured_fps": fps * kept}
        for name in ("m", "a-machine-of-a-long-name")
        for pruning, kept in (("dense", 1), ("50%", 100))
        for fps in (100.0, 100.1, 100.2)
    ]
    axes = boxes(rows).plot()
    # Four boxes without height, each as wide as the others and in the colour of its pruning.
    flat = [line for line in axes.get_lines() if line.get_linewidth() == 5]
    assert [line.get_color() for line in flat[:2]] == [line.get_color() for line in flat[2:]]
    assert len({line.get_color() for line in flat}) == 2
    assert [text.get_text() for text in axes.get_xticklabels()] == [
        "m\nint8", "a-machine-of-a-long-name\nint8",
    ]  # fmt: skip
    assert "quartiles" in axes.get_xlabel()
    many = [
        {**row, "platform": f"{row['platform']}-{number}", "pruning": "dense"}
        for row in rows
        for number in range(6)
    ]
    assert boxes(many).plot().get_xticklabels()[0].get_rotation() == 90


def test_a_long_name_on_the_frontier_has_two_lines_and_room():
    rows = [
        {"network": f"a_network_of_a_very_long_name_{i}", "platform": f"machine-{i}", "datatype": "int8",
         "accuracy": 80 - i, "predicted_fps": 100.0 * (1 + i)}
        for i in range(3)
    ]  # fmt: skip
    shown = [text.get_text() for text in pareto(rows).plot().texts]
    assert len(shown) == 3
    assert all(text.count("\n") == 1 for text in shown)


def test_what_is_expected_of_a_run_is_hollow_under_the_roof_and_the_legend_covers_nothing():
    roof = {"platform": "m", "datatype": "int8", "peak_op_s": 1e12, "bandwidth_b_s": 1e10}
    rows = [
        {**roof, "network": f"n{number}", "intensity": 10.0 * 2**number, "model": model,
         "performance_op_s": share * min(1e12, 1e11 * 2**number)}
        for number in range(9)
        for model, share in (("equation1", 1.0), ("expected", 0.05))
    ]  # fmt: skip
    axes = roofline(rows).plot()
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 9
    legend = axes.get_legend()
    assert "hollow: expected of a run" in [text.get_text() for text in legend.get_texts()]
    axes.get_figure().draw_without_rendering()
    box = legend.get_window_extent()
    places = [axes.transData.transform(line.get_xydata()[0]) for line in hollow]
    assert not any(box.contains(*place) for place in places)


def test_many_layers_have_rows_that_share_an_axis_and_name_each_layer():
    rows = [{"layer": f"layer{i}", "time_ms": 1.0 + i, "network": "n"} for i in range(50)]
    chart = charts.get("layers").compute(rows)
    shown = [axes for axes in chart.figure().axes if axes.axison]
    assert [len(axes.get_xticklabels()) for axes in shown] == [25, 25]
    # Half of the least to 1.6 times the greatest.
    assert {axes.get_ylim() for axes in shown} == {(0.5, 80.0)}
    assert chart.title == "n"


def test_pareto_has_legends_of_tasks_and_machines_in_the_machines_colours():
    rows = [
        {"network": "n", "platform": name, "task": task, "accuracy": 70.0 + i, "measured_fps": 10.0 * (i + 1)}
        for i, (name, task) in enumerate([("t4", "ImageNet"), ("ncs", "MNIST")])
    ]  # fmt: skip
    legend = pareto(rows).figure().axes[0].get_legend()
    looks = {
        text.get_text(): handle.get_color()
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    assert {"ImageNet", "MNIST", "t4", "ncs"} <= set(looks)
    assert looks["t4"] == machine_colour("t4")


def test_tables_without_ratios_have_no_empty_line():
    rows = [
        {"table": "numbers", "cell": "a", "agrees": "True", "published": "2", "ours": "2.0"},
        {"table": "verdicts", "cell": "b", "agrees": "False", "published": "yes", "ours": "no"},
    ]
    (axes,) = agreement(rows).figure().axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["numbers"]
    assert "verdicts: 0 / 1 agree" in axes.get_xlabel()


def test_the_overview_shows_what_was_planned_beside_what_was_run():
    rows = [
        {"platform": "m", "network": "n", "datatype": "int8", "batch": batch, "stage": stage}
        for batch, stage in (("1 8", "planned"), ("1", "run"))
    ]
    assert "planned:\n[INT8]*[100%]\nbatch 1–8\nrun:\n[INT8]*[100%]\nbatch 1" in words_of(
        overview(rows)
    )


def test_roofs_that_coincide_share_their_line():
    row = {"datatype": "int8", "peak_op_s": 1e12, "bandwidth_b_s": 1e10}
    axes = (
        charts.get("roofline")
        .compute([{"platform": name, **row} for name in "ab"], Options())
        .plot()
    )
    styles = [line.get_linestyle() for line in axes.get_lines() if len(line.get_xdata()) == 3]
    assert styles == ["--", "--"]  # dashes of their own, one behind the other


# --- What is the same is drawn so ----------------------------------------------------------------


def test_points_of_machines_that_coincide_are_rings_around_one_another():
    rows = [
        {"network": "n", "platform": name, "task": "t", "accuracy": 90, "predicted_fps": 100}
        for name in ("zcu104-finn", "zcu104-bismo")
    ]
    (axes,) = pareto(rows).figure().axes
    marks = [line for line in axes.get_lines() if line.get_marker() == "o"]
    sizes = {line.get_markeredgecolor(): line.get_markersize() for line in marks}
    assert set(sizes) == {machine_colour("zcu104-finn"), machine_colour("zcu104-bismo")}
    assert sizes[machine_colour("zcu104-bismo")] >= sizes[machine_colour("zcu104-finn")] + 3


def test_bars_of_a_panel_leave_out_what_its_title_says():
    rows = [
        {
            "network": f"n{number}", "platform": name, "datatype": "int8", "batch": batch, "predicted_fps": 9,
            "measured_fps": 3,
        }
        for name, batch in (("a", 1), ("b", 64))
        for number in range(14)
    ]  # fmt: skip
    chart = efficiency(rows)
    assert [part.title for part in chart.panels()] == ["a, batch 1", "b, batch 64"]
    assert [bar.label for bar in chart.panels()[1].bars] == [f"n{number}" for number in range(14)]
    # The table of the chart has the whole names.
    assert chart.records()[0]["label"] == "n0 a batch 1"


def test_a_kind_of_compression_has_one_colour_whatever_else_is_shown():
    rows = [
        {"network": "n", "technique": kind, "expected_speedup": 4, "achieved_speedup": 2}
        for kind in ("channel pruning", "int8", "weight pruning")
    ]
    for shown in (rows, rows[1:], rows[:2]):
        axes = charts.get("speedup").compute(shown).figure().axes[0]
        named = {
            handle.get_label(): handle.get_facecolor()
            for handle in axes.get_legend().get_patches()
        }
        assert to_hex(named["int8"]) == technique_colour("int8").lower()
    # How it ran changes nothing, what else was done does.
    assert technique_colour("fp16 (emulated)") == technique_colour("fp16")
    both = technique_colour("channel pruning and quantization")
    assert len({both, technique_colour("channel pruning"), technique_colour("quantization")}) == 3


def test_lines_of_one_machine_have_its_colour_and_differ_by_dashes():
    rows = [
        {
            "network": "n", "platform": "tx2:maxn", "datatype": datatype, "batch": batch, "latency_ms": 10 * batch,
            "measured_fps": 100,
        }
        for datatype in ("fp16", "fp32")
        for batch in (1, 2)
    ]  # fmt: skip
    (axes,) = latency(rows).figure().axes
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
    assert {line.get_color() for line in lines} == {machine_colour("tx2:maxn")}
    assert len({line.get_linestyle() for line in lines}) == 2


# --- Tables too large to be read ------------------------------------------------------------------


def machines_by_networks(machines: int, networks: int):
    return [
        {"network": f"net-{n}", "platform": f"machine-{m}", "predicted_fps": 1.0 + m + n}
        for m in range(machines)
        for n in range(networks)
    ]


def test_a_large_heatmap_has_colours_alone_and_every_name_beside_them() -> None:
    chart = charts.get("heatmap").compute(machines_by_networks(40, 30))
    figure = chart.figure()
    assert list(figure.axes[0].texts) == []
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [f"machine-{m}" for m in range(40)]
    (cells,) = [one for one in figure.axes[0].collections if one.get_array() is not None]
    # The cell of machine 3 and network 5 holds 1 + 3 + 5.
    assert cells.get_array().reshape(40, 30)[3, 5] == 9


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("heatmap", machines_by_networks(1964, 4)),
        (
            "requirements",
            [{"network": f"n{n}", "ops": 1e9, "parameters": 1e6} for n in range(300)],
        ),
        (
            "latency",
            [
                {"network": "n", "platform": "m", "batch": b, "latency_ms": b, "predicted_fps": b}
                for b in range(1, 3000)
            ],
        ),
    ],
)
def test_a_figure_that_nobody_could_read_is_refused(kind: str, rows) -> None:
    chart = charts.get(kind).compute(rows)
    with pytest.raises(TableError, match=r"cannot be read.*Keep fewer rows"):
        chart.figure()


def test_panels_that_nobody_could_read_are_refused() -> None:
    rows = machines_by_networks(2, 2)
    many = [row | {"batch": batch} for batch in range(500) for row in rows]
    with pytest.raises(TableError, match="cannot be read"):
        facets(charts.get("heatmap"), many, Options(), "batch").figure()


# --- Leaders --------------------------------------------------------------------------------------


def crossed(figure) -> list[tuple[str, str]]:
    """Return the labels whose leader crosses another text, each with that text."""
    figure.draw_without_rendering()
    texts = [text for text in figure.axes[0].texts if text.get_text().strip()]
    return [
        (label.get_text(), other.get_text())
        for label in texts
        if getattr(label, "arrow_patch", None) is not None
        for other in texts
        if other is not label
        and label.arrow_patch.get_path()
        .transformed(label.arrow_patch.get_transform())
        .intersects_bbox(Text.get_window_extent(other), filled=False)
    ]


@pytest.mark.parametrize("apart", [1.05, 1.1, 1.2])
@pytest.mark.parametrize("count", [2, 4, 6])
def test_no_leader_crosses_a_label_under_a_roof(apart: float, count: int) -> None:
    """The networks of the demo lie side by side under the flat roof: their names lead away over one another."""
    names = ["mobilenet_v1", "light_resnet50", "efficientnet_b0", "tiny_yolo", "vgg16", "cnv_12_5"]
    places = [67 * apart**place for place in range(count)]
    rows = [
        {
            "platform": "this-machine", "datatype": "fp32", "peak_op_s": 3.56e11, "bandwidth_b_s": 3.01e10,
            "network": name, "intensity": place, "performance_op_s": 3.56e11, "ops": 1e9, "measured_fps": 280,
        }
        for place, name in zip([0.5, 19.3, *places], ["mlp", "cnv", *names], strict=False)
    ]  # fmt: skip
    figure = roofline(rows).figure()
    drawn = {text.get_text().replace("\n", " ") for text in figure.axes[0].texts}
    assert len(drawn & set(names)) >= min(count, 4)
    assert crossed(figure) == []
    assert overlapping(figure) == []


@pytest.mark.parametrize("apart", [1.05, 1.2, 1.5, 2.0])
def test_no_line_to_a_measured_run_crosses_a_label(apart: float) -> None:
    rows = [
        {
            "platform": "this-machine", "datatype": "fp32", "peak_op_s": 3.56e11, "bandwidth_b_s": 3.01e10,
            "network": f"a long name {number}", "intensity": 12 * apart**number, "performance_op_s": 3.56e11,
            "ops": 1e9, "measured_op_s": (30 + 40 * number) * 1e9,
        }
        for number in range(6)
    ]  # fmt: skip
    figure = roofline(rows).figure()
    figure.draw_without_rendering()
    axes = figure.axes[0]
    lines = [line for line in axes.get_lines() if line.get_linestyle() == ":"]
    assert len(lines) == len(rows)
    labels = [text for text in axes.texts if "long" in text.get_text()]
    assert labels
    for line in lines:
        path = line.get_transform().transform_path(line.get_path())
        for text in labels:
            assert not path.intersects_bbox(Text.get_window_extent(text), filled=False)


def test_early_runs_have_a_panel_of_their_own() -> None:
    run = {"predicted_fps": 10.0, "fps": 5.0, "machine_class": "gpu"}
    rows = [{**run, "early": "False"}, {**run, "early": "True"}, run]
    found = charts.get("scatter").compute(rows).records()
    assert [(row["class"], row["n"]) for row in found] == [("gpu", 2), ("gpu, early", 1)]
