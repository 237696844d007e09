"""Rules that every kind of chart keeps, and the closed forms behind some of them."""

from __future__ import annotations

import csv
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.text import Text

from roofline.chart import FORMATS, Chart, Options, charts, read_rows, save
from roofline.chart._axes import new_axes
from roofline.chart._labels import place_labels, spread_positions
from roofline.chart._style import colours, markers, shorten
from roofline.chart.boxes import Box
from roofline.chart.boxes import compute as boxes
from roofline.chart.efficiency import compute as efficiency
from roofline.chart.heatmap import compute as heatmap
from roofline.chart.latency import compute as latency
from roofline.chart.layer_times import compute as layer_times
from roofline.chart.orthogonality import compute as orthogonality
from roofline.chart.pareto import compute as pareto
from roofline.chart.precision_arrows import compute as precision
from roofline.chart.pruning import compute as pruning
from roofline.chart.rooflines import Roof
from roofline.chart.rooflines import compute as roofline
from roofline.chart.speedup import compute as speedup
from roofline.errors import OptionError, TableError

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def drawn(kind: str, rows, layers) -> Chart:
    return charts.get(kind).compute(
        layers if kind == "layers" else rows, Options(title=f"A {kind}")
    )


@pytest.mark.parametrize("kind", list(charts))
def test_no_print_is_small_on_a_page(kind: str, rows, layers) -> None:
    figure = drawn(kind, rows, layers).figure()
    pixels_per_point = 800 / figure.get_size_inches()[0] / 72
    small = {
        text.get_text(): text.get_fontsize() * pixels_per_point
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip()
    }
    assert {name: size for name, size in small.items() if size < 8} == {}


def texts_of(chart: Chart):
    """Return the texts of a drawn chart with the boxes they take, ticks and legend included."""
    figure = chart.figure()
    (axes,) = figure.axes
    texts = [
        *axes.texts,
        *axes.get_xticklabels(),
        *axes.get_yticklabels(),
        axes.title,
        axes.xaxis.label,
    ]
    if axes.get_legend() is not None:
        texts += axes.get_legend().get_texts()
    return figure, shown(figure, axes, texts)


def shown(figure, axes, texts):
    """Return the texts that are seen, each with its box; an arrow is no part of its text."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    frame = axes.get_window_extent()
    ticks = {*axes.get_xticklabels(), *axes.get_yticklabels()}
    found = []
    for text in texts:
        box = Text.get_window_extent(text, renderer)
        # Labels of ticks beyond the limits exist but are never drawn.
        middle = (box.y0 + box.y1) / 2
        beyond = (
            text in ticks and text.get_position()[0] == 0 and not frame.y0 <= middle <= frame.y1
        )
        if text.get_visible() and text.get_text().strip() and not beyond:
            found.append((text, box))
    return found


def overlaps(found) -> list[tuple[str, str]]:
    return [
        (one.get_text(), other.get_text())
        for (one, a), (other, b) in combinations(found, 2)
        if a.x0 < b.x1 - 1 and b.x0 < a.x1 - 1 and a.y0 < b.y1 - 1 and b.y0 < a.y1 - 1
    ]


# --- Every kind ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(charts))
def test_every_kind_draws_in_every_format(kind, rows, layers, tmp_path):
    chart = drawn(kind, rows[:24], layers)
    assert chart.records()
    figure = chart.figure()
    for suffix in FORMATS:
        path = tmp_path / f"{kind}{suffix}"
        save(figure, path)
        assert path.read_bytes().startswith(MAGIC[suffix])
        assert path.stat().st_size > 3000
    assert sorted(tmp_path.iterdir()) == sorted(tmp_path / f"{kind}{suffix}" for suffix in FORMATS)


@pytest.mark.parametrize("kind", sorted(charts))
def test_every_kind_writes_names_and_numbers_without_formulas(kind, rows, layers):
    odd = r"$x_{1}\frac{$ 5 $"
    named = [
        {**row, **{name: odd for name in ("network", "title") if name in row}} for row in rows[:24]
    ]
    figure = drawn(kind, named, layers).figure()
    figure.draw_without_rendering()
    texts = [text.get_text() for text in figure.findobj(Text) if text.get_visible()]
    assert not any("mathdefault" in text for text in texts)


def test_a_rate_beside_next_to_none_is_drawn(rows):
    few = [
        {**rows[0], "throughput_fps": 1e-300},
        {**rows[1], "throughput_fps": 100.0, "platform": "other"},
    ]
    charts.get("heatmap").compute(few, Options()).figure().draw_without_rendering()


@pytest.mark.parametrize("kind", sorted(charts))
def test_every_kind_says_when_there_is_no_data(kind):
    chart = charts.get(kind).compute([], Options())
    assert chart.records() == []
    (axes,) = chart.figure().axes
    assert [text.get_text() for text in axes.texts] == ["no data"]


@pytest.mark.parametrize("kind", sorted(charts))
def test_every_kind_refuses_a_table_without_its_columns(kind):
    entry = charts.get(kind)
    needed = [column.name for column in entry.columns if column.required]
    with pytest.raises(TableError, match=f"chart '{kind}' has no column") as caught:
        entry.compute([{"colour": "red"}], Options())
    assert any(name in str(caught.value) for name in needed)
    assert "colour" in caught.value.repair


@pytest.mark.parametrize("kind", sorted(charts))
def test_every_kind_draws_into_axes_it_is_given_and_gives_a_table(kind, rows, layers):
    from matplotlib.figure import Figure

    chart = drawn(kind, rows[:8], layers)
    axes = Figure().add_subplot()
    assert chart.plot(axes) is axes
    assert len(pytest.importorskip("pandas").DataFrame(chart.records())) == len(chart.to_frame())


def test_drawing_leaves_no_settings_and_no_figure_behind(rows):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    efficiency(rows).figure()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_values_give_the_same_bytes(suffix, rows, tmp_path):
    for name in ("one", "two"):
        save(roofline(rows).figure(), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_a_picture_of_few_bytes_has_the_colours_of_the_chart(rows, tmp_path):
    import io

    import numpy as np
    from PIL import Image

    figure = roofline(rows).figure()
    full = io.BytesIO()
    figure.savefig(full, format="png", dpi=160)
    save(figure, tmp_path / "small.png")
    assert (tmp_path / "small.png").stat().st_size < 0.6 * len(full.getvalue())
    with Image.open(tmp_path / "small.png") as small:
        assert small.mode == "P"
        assert round(small.info["dpi"][0]) == 160
        got = np.asarray(small.convert("RGB")).astype(int)
    wanted = np.asarray(Image.open(full).convert("RGB")).astype(int)
    assert (np.abs(got - wanted).max(axis=2) > 16).mean() < 0.005


def test_saving_refuses_other_formats_and_folders_that_are_not_there(rows, tmp_path):
    figure = heatmap(rows).figure()
    with pytest.raises(OptionError, match=r"\.png, \.svg, \.pdf"):
        save(figure, tmp_path / "chart.gif")
    with pytest.raises(OptionError, match="cannot write"):
        save(figure, tmp_path / "nowhere" / "chart.png")


# --- Legible ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 9, 26])
def test_efficiency_bars_are_legible(count, rows):
    figure, found = texts_of(efficiency(rows[:count], Options(title="Efficiency")))
    upright = [(text, box) for text, box in found if text.get_rotation() in {0.0, 90.0}]
    assert sum("%" in text.get_text() for text, _ in found) == count
    assert overlaps(upright) == []
    width, height = figure.canvas.get_width_height()
    assert all(
        box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1
        for _, box in found
    )


@pytest.mark.parametrize(
    "kind", ["heatmap", "requirements", "peaks", "boxes", "speedup", "layers"]
)
def test_labels_do_not_cover_one_another(kind, rows, layers):
    _, found = texts_of_first_axes(drawn(kind, rows[:40], layers))
    upright = [(text, box) for text, box in found if text.get_rotation() in {0.0, 90.0}]
    assert overlaps(upright) == []


def texts_of_first_axes(chart: Chart):
    figure = chart.figure()
    axes = figure.axes[0]
    texts = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.title]
    return figure, shown(figure, axes, texts)


def test_names_of_roofs_do_not_cover_one_another():
    rows = [
        {"platform": f"board-{number}", "datatype": "int8", "peak_op_s": 1e12 * (1 + number / 50),
         "bandwidth_b_s": 1e10}
        for number in range(12)
    ]  # fmt: skip
    _, found = texts_of(roofline(rows))
    names = [(text, box) for text, box in found if "board" in text.get_text()]
    assert len(names) == 12
    assert overlaps(names) == []


def test_placed_labels_keep_apart_and_say_how_many_found_no_place():
    from roofline.chart._axes import new_axes

    axes = new_axes((5, 4))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    points = [(0.5 + 0.01 * number, 0.5) for number in range(10)]
    names = [f"network {number}" for number in range(10)]
    left_out = place_labels(axes, points, names, colours=["black"] * 10)
    found = shown(axes.figure, axes, axes.texts)
    assert len(found) + left_out == 10
    assert overlaps(found) == []


def test_apart_moves_as_little_as_it_must():
    assert spread_positions([0.0, 10.0, 20.0], 5.0) == [0.0, 10.0, 20.0]
    assert spread_positions([1.0, 1.0], 4.0) == [-1.0, 3.0]  # both give way alike
    placed = spread_positions([0.0, 0.1, 0.2, 50.0], 3.0)
    assert np.diff(placed).min() >= 3.0 - 1e-9
    assert placed[-1] == 50.0


# --- Values -------------------------------------------------------------------------------------


def test_the_knee_is_peak_over_bandwidth():
    assert Roof("tx2", "fp16", 1.33e12, 59.7e9).knee == (1.33e12 / 59.7e9, 1.33e12)


def test_roof_lines_bend_exactly_at_the_knee(rows):
    chart = roofline(rows)
    lines = [line for line in chart.plot().get_lines() if len(line.get_xdata()) == 3]
    assert len(lines) == len(chart.roofs)
    for line, roof in zip(lines, chart.roofs, strict=True):
        x, y = line.get_xdata(), line.get_ydata()
        assert x[1] == roof.peak / roof.bandwidth
        assert y[1] == y[2] == roof.peak
        assert y[0] == pytest.approx(roof.bandwidth * x[0])


def test_efficiency_is_measured_over_predicted():
    (bar,) = efficiency(
        [
            {
                "network": "a",
                "platform": "b",
                "predicted_fps": "200",
                "measured_fps": 50,
                "peak_fps": 400,
            }
        ]
    ).bars
    assert bar.efficiency == 0.25


def test_an_unmeasured_or_unpredicted_row_keeps_its_place():
    chart = efficiency(
        [
            {"network": "a", "platform": "b", "predicted_fps": 200, "measured_fps": ""},
            {"network": "c", "platform": "b", "predicted_fps": 0, "measured_fps": 3},
        ]
    )
    assert [bar.efficiency for bar in chart.bars] == [None, None]
    assert [bar.predicted for bar in chart.bars] == [200, None]  # tables write 0 for "no value"
    chart.figure()


def test_a_frontier_holds_what_nothing_beats():
    rows = [
        {"network": name, "platform": "m", "accuracy": accuracy, "measured_fps": fps}
        for name, accuracy, fps in (
            ("slow", 80, 1),
            ("middle", 70, 10),
            ("beaten", 65, 9),
            ("fast", 60, 100),
        )
    ]
    chart = pareto(rows)
    assert [entry.label for entry in chart.frontier("measured")] == ["fast", "middle", "slow"]
    assert chart.frontier("theoretical") == []
    by_latency = pareto(
        [row | {"latency_ms": 1e3 / row["measured_fps"]} for row in rows],
        Options(value="latency_ms"),
    )
    assert [entry.label for entry in by_latency.frontier("measured")] == ["fast", "middle", "slow"]
    with pytest.raises(OptionError, match="fps or latency_ms"):
        pareto(rows, Options(value="accuracy"))


def test_frontiers_are_of_one_task_each():
    rows = [
        {"network": "mlp", "platform": "m", "task": "MNIST", "accuracy": 98, "measured_fps": 1e6},
        {
            "network": "resnet50",
            "platform": "m",
            "task": "ImageNet",
            "accuracy": 75,
            "measured_fps": 100,
        },
    ]
    assert {entry.label for entry in pareto(rows).frontier("measured")} == {"mlp", "resnet50"}


def test_quartiles_and_mean():
    box = Box("g", "dense", (1.0, 2.0, 3.0, 4.0, 100.0))
    assert box.quartiles == (2.0, 3.0, 4.0)
    assert box.mean == 22.0


def test_boxes_come_from_what_keeps_most_to_what_keeps_least():
    rows = [{"platform": "m", "pruning": p, "measured_fps": 1} for p in ("12.5%", "dense", "50%")]
    assert [box.pruning for box in boxes(rows).boxes] == ["dense", "50%", "12.5%"]


def test_boxes_derive_frames_per_watt():
    (box,) = boxes(
        [{"platform": "m", "measured_fps": 300, "power_w": 15}], Options(value="fps_per_w")
    ).boxes
    assert box.values == (300 / 15,)


def test_orthogonality_is_ad_over_bc():
    values = {
        ("fp32", "dense"): 10,
        ("fp16", "dense"): 20,
        ("fp32", "50%"): 30,
        ("fp16", "50%"): 45,
    }
    rows = [
        {"network": "cnv", "platform": "tx2", "datatype": d, "pruning": p, "measured_fps": fps}
        for (d, p), fps in values.items()
    ]
    (square,) = orthogonality(rows).squares
    assert (square.wide, square.narrow) == ("fp32", "fp16")
    assert square.gains == {"p1": 30 / 10, "p2": 45 / 20, "q1": 20 / 10, "q2": 45 / 30}
    assert square.orthogonality == 10 * 45 / (20 * 30)
    assert orthogonality(rows[:3]).squares == ()  # a corner is missing


def test_precision_paths_go_from_wide_to_narrow():
    rows = [
        {"network": "n", "platform": "m", "datatype": d, "peak_op_s": peak, "bandwidth_b_s": 1e9,
         "intensity": intensity}
        for d, peak, intensity in (("int8", 4e12, 1e6), ("int4", 16e12, 2e6), ("fp16", 1e12, 5e5))
    ]  # fmt: skip
    (path,) = precision(rows).paths
    assert [step[0] for step in path.steps] == ["fp16", "int8", "int4"]
    assert path.gain == 16.0


def test_pruning_is_relative_to_the_whole_network():
    rows = [
        {
            "network": "mlp",
            "keep_channels": keep,
            "ops": 2e6 * keep**2,
            "parameters": 1e6 * keep**2,
        }
        for keep in (0.25, 1.0, 0.5)
    ]
    (entry,) = pruning(rows).networks
    assert entry.relative() == [
        (1.0, 1.0, 1.0, 1.0),
        (0.5, 0.25, 0.25, 1.0),
        (0.25, 0.0625, 0.0625, 1.0),
    ]


def test_the_share_of_a_speed_up():
    (bar,) = speedup(
        [
            {
                "network": "vgg",
                "technique": "weights",
                "expected_speedup": 20,
                "achieved_speedup": 2.6,
            }
        ]
    ).bars
    assert bar.share == 0.13
    assert bar.predicted is None


def test_a_predicted_speed_up_is_a_line_across_its_bar():
    row = {"network": "vgg", "technique": "weights", "expected_speedup": 20, "achieved_speedup": 2}
    lines = [
        [list(line.get_ydata()) for line in speedup(rows).plot().lines]
        for rows in ([row], [{**row, "predicted_speedup": 5}])
    ]
    assert [5, 5] not in lines[0]
    assert [5, 5] in lines[1]


def test_layers_of_two_networks_are_refused(layers):
    with pytest.raises(TableError, match="several predictions"):
        layer_times([*layers, {**layers[0], "network": "vgg16"}])


def test_latency_lines_follow_the_batch(rows):
    chart = latency(rows)
    assert all(list(line.points) == sorted(line.points) for line in chart.lines)


def test_the_greatest_value_of_a_cell_is_shown():
    rows = [{"network": "a", "platform": "m", "throughput_fps": fps} for fps in (3, 9, 5)]
    assert heatmap(rows).cells == (("m", "a", 9.0),)


# --- Tables and style ---------------------------------------------------------------------------


def test_cells_that_are_no_numbers_are_named():
    with pytest.raises(TableError, match=r"row 2: predicted_fps is 'fast', not a number"):
        heatmap(
            [
                {"network": "a", "platform": "b", "predicted_fps": 1},
                {"network": "a", "platform": "b", "predicted_fps": "fast"},
            ]
        )
    with pytest.raises(TableError, match="below zero"):
        heatmap([{"network": "a", "platform": "b", "predicted_fps": -1}])


def test_csv_and_json_give_the_same_chart(rows, tmp_path):
    table = [
        {name: row[name] for name in ("network", "platform", "predicted_fps")} for row in rows
    ]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    (tmp_path / "rows.json").write_text(json.dumps({"schema_version": 1, "predictions": table}))
    assert heatmap(read_rows(tmp_path / "rows.csv")) == heatmap(read_rows(tmp_path / "rows.json"))


def test_layers_in_json_carry_their_predictions_fields(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(
        json.dumps(
            {
                "predictions": [
                    {"network": "n", "batch": 2, "layers": [{"layer": "a"}, {"layer": "b"}]}
                ]
            }
        )
    )
    assert read_rows(path) == [
        {"network": "n", "batch": 2, "layer": "a"}, {"network": "n", "batch": 2, "layer": "b"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "not valid JSON"),
        ("a.json", "3", "no list of rows"),
        ("a.json", '{"rows": [1]}', "no list of rows"),
        ("a.csv", "", "empty"),
        ("a.csv", "a,b\n1\n", "line 2"),
    ],
)
def test_broken_tables_are_refused(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(TableError, match=message):
        read_rows(tmp_path / name)


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(TableError, match="does not exist"):
        read_rows(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(TableError, match="line 1 is not UTF-8 text"):
        read_rows(tmp_path / "b.csv")


def test_colours_differ_and_do_not_depend_on_the_order():
    names = [f"machine-{number}" for number in range(20)]
    assert len(set(colours(names).values())) == 20
    assert colours(names) == colours(reversed(names))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.05, "0.05"), (999.6, "1k"), (306.7, "307"), (1e6, "1M"), (2.5e15, "2.5P")],
)
def test_short_numbers(value, text):
    assert shorten(value) == text


def test_the_page_on_charts_names_every_kind_and_its_example_runs(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "charts.md").read_text()
    assert [kind for kind in charts if f"| `{kind}` |" not in page] == []
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    exec(page.split("```python\n")[1].split("```")[0], {})
    assert (tmp_path / "rooflines.png").exists()


def test_the_efficiency_of_a_layer_is_predicted_over_measured_time():
    chart = layer_times(
        [{"layer": "a", "time_ms": 1.0, "measured_ms": 4.0}, {"layer": "b", "time_ms": 1.0}]
    )
    assert [row["efficiency"] for row in chart.records()] == [0.25, None]


def test_lines_of_pruning_are_drawn_at_the_shares_of_the_table():
    rows = [
        {"network": "n", "keep_channels": 1.0, "ops": 80, "parameters": 40},
        {"network": "n", "keep_channels": 0.5, "ops": 20, "parameters": 20},
    ]
    lines = pruning(rows).plot().get_lines()
    found = [[list(line.get_xdata()), list(line.get_ydata())] for line in lines]
    # Operations fall to a quarter, weights to a half, operations per weight to a half; then the square of the share.
    assert found == [
        [[1.0, 0.5], [1.0, 0.25]], [[1.0, 0.5], [1.0, 0.5]], [[1.0, 0.5], [1.0, 0.5]], [[0.5, 1.0], [0.25, 1.0]],
    ]  # fmt: skip


def test_fifteen_networks_have_marks_of_their_own() -> None:
    marks = markers(f"network {number:02}" for number in range(15))
    assert len(set(marks.values())) == 15
    for mark in marks.values():
        new_axes((2, 2)).plot([1], [1], mark)
