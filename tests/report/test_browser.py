"""The page in a real browser: no error, no request, filters and links work, an empty selection says so."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from roofline.report import ReportData, render

pytestmark = pytest.mark.browser
pytest.importorskip(
    "selenium.webdriver.support.wait", reason="the browser tests drive Chromium with selenium"
)
webdriver = pytest.importorskip(
    "selenium.webdriver", reason="the browser tests drive Chromium with selenium"
)


@pytest.fixture
def url(report_data: ReportData, tmp_path: Path) -> str:
    path = tmp_path / "report.html"
    path.write_text(render(report_data), encoding="utf-8")
    return path.as_uri()


def shown(browser: Any) -> str:
    return browser.find_element("id", "summary").text


def points(browser: Any, chart: str) -> int:
    return browser.execute_script(
        "return (document.getElementById(arguments[0]).data ?? [])"
        ".reduce((sum, trace) => sum + (trace.customdata ?? []).length, 0)",
        f"chart-{chart}",
    )


def click(browser: Any, css: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).click()", css)


def test_page_draws_every_chart_without_error_or_request(browser: Any, url: str) -> None:
    browser.get(url)
    assert shown(browser) == "24 of 24 rows shown"
    assert browser.title == "A test"
    for chart in ("roofline", "efficiency", "heatmap", "pareto", "lines", "boxes", "power"):
        assert points(browser, chart) > 0, chart
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    requests = [
        entry["message"]
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
        # The browser's own pages make requests too; only those of this document count.
        and f'"documentURL":"{url}' in entry["message"]
        and not any(
            f'"url":"{scheme}' in entry["message"] for scheme in ("file:", "data:", "blob:")
        )
    ]
    assert requests == []


@pytest.mark.parametrize("width", [1400, 800])
def test_every_filter_works_at_both_widths_without_an_error_or_an_empty_chart(
    browser: Any, url: str, width: int
) -> None:
    browser.set_window_size(width, 1000)
    browser.get(url)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('#filters input')].map(box => [box.name, box.value])"
    )
    assert len(boxes) >= 8
    for name, value in boxes:
        css = f"input[name={json.dumps(name)}][value={json.dumps(value)}]"
        click(browser, css)
        # One of several values is always left, so no chart may be empty.
        assert shown(browser) != "24 of 24 rows shown", (name, value)
        for chart in ("roofline", "efficiency", "heatmap", "lines", "boxes", "power"):
            traces = "return (document.getElementById(arguments[0]).data ?? []).length"
            assert browser.execute_script(traces, f"chart-{chart}") > 0, (chart, name, value)
        click(browser, css)
        assert shown(browser) == "24 of 24 rows shown"
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_no_button_sends_a_chart_away(browser: Any, url: str) -> None:
    browser.get(url)
    titles = {
        button.get_attribute("data-title")
        for button in browser.find_elements("css selector", ".modebar-btn")
    }
    assert titles == {
        "Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Autoscale", "Reset axes",
    }  # fmt: skip


def test_a_filter_changes_charts_table_and_link(browser: Any, url: str) -> None:
    browser.get(url)
    before = points(browser, "lines")
    click(browser, 'input[name="platform"][value="alpha"]')
    assert shown(browser) == "12 of 24 rows shown"
    assert points(browser, "lines") == before // 2
    assert len(browser.find_elements("css selector", "#table-rows tbody tr")) == 12
    assert "platform=beta%3Afast" in browser.current_url


def test_a_deep_link_restores_the_selection(browser: Any, url: str) -> None:
    browser.get(f"{url}#platform=alpha&batch=1|2&theme=dark")
    assert shown(browser) == "8 of 24 rows shown"
    assert browser.execute_script("return document.documentElement.dataset.theme") == "dark"


def test_an_empty_selection_says_so(browser: Any, url: str) -> None:
    browser.get(f"{url}#network=none-of-them")
    assert shown(browser) == "0 of 24 rows shown"
    assert browser.find_element("id", "chart-efficiency").text == "no data in this selection"


def test_sorting_and_linked_hover(browser: Any, url: str) -> None:
    browser.get(url)
    for _ in range(2):
        browser.execute_script(
            "[...document.querySelectorAll('#table-rows th button')]"
            ".find(button => button.textContent.startsWith('measured_fps')).click()"
        )
    values = browser.execute_script(
        "const names = [...document.querySelectorAll('#table-rows th')].map(h => h.textContent.split(' ')[0]);"
        "const cell = row => row.children[names.indexOf('measured_fps')].textContent.replaceAll(',', '');"
        "return [...document.querySelectorAll('#table-rows tbody tr')].map(row => +cell(row))"
    )
    assert values == sorted(values, reverse=True)
    point = browser.find_element("css selector", "#chart-lines .points path")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    webdriver.ActionChains(browser).move_to_element(point).perform()
    # Plotly throttles hovering, so the row lights up a moment later.
    webdriver.support.wait.WebDriverWait(browser, 5).until(
        lambda page: len(page.find_elements("css selector", "tr.linked")) == 1
    )


def test_on_chip_roofs_are_shown_when_asked_for_and_in_the_link(browser: Any, url: str) -> None:
    browser.get(url)
    names = "return document.getElementById('chart-roofline').data.map(trace => trace.name)"
    assert "alpha int8 SRAM" not in browser.execute_script(names)
    click(browser, "#on-chip")
    shown_traces = browser.execute_script(names)
    assert "alpha int8 SRAM" in shown_traces
    # 5 MB of weights fit into 8 MB.
    assert shown_traces.count("fits on the chip") == 1
    assert "on-chip=yes" in browser.current_url


def test_expected_intervals_are_whiskers(browser: Any, url: str) -> None:
    browser.get(url)
    ends = browser.execute_script(
        "const trace = document.getElementById('chart-efficiency').data.find(t => t.name === 'expected of a run');"
        "return trace.y.map((y, i) => [y - trace.error_y.arrayminus[i], y + trace.error_y.array[i]])"
    )
    # Four configurations of the one machine whose rows know an interval.
    assert ends == [pytest.approx([200, 600])] * 4


def test_the_overview_says_what_was_run(browser: Any, url: str) -> None:
    browser.get(f"{url}#network=one&pruning=dense")
    cells = browser.find_elements("css selector", "#table-overview tbody tr:first-child > *")
    assert [cell.text for cell in cells] == ["alpha", "[INT8]*[100%]\nbatch 1–4"]


def test_machines_have_the_figures_colours(browser: Any, url: str) -> None:
    from roofline.chart._style import machine_colour

    browser.get(url)
    line = browser.execute_script(
        "return document.getElementById('chart-roofline').data.find(t => t.name === 'alpha int8').line.color"
    )
    assert line == machine_colour("alpha")


def test_everything_is_reached_with_the_keyboard_and_the_focus_is_seen(
    browser: Any, url: str
) -> None:
    browser.get(url)
    keys = webdriver.common.keys.Keys
    reached: list[str] = []
    # Plotly's own buttons are on the way too.
    for _ in range(150):
        webdriver.ActionChains(browser).send_keys(keys.TAB).perform()
        name, outline = browser.execute_script(
            "const e = document.activeElement;"
            "return [e.id || e.name || e.className || e.tagName, getComputedStyle(e).outlineStyle]"
        )
        reached.append(name)
        # The skip link appears in its place; everything else is outlined.
        assert outline in {"solid", "auto"} or name in {"skip", "BODY"}, name
        if name == "metric":
            break
    order = [
        name
        for name in reached
        if name in {"skip", "reset", "theme", "platform", "chart-roofline", "metric"}
    ]
    assert list(dict.fromkeys(order)) == [
        "skip",
        "reset",
        "theme",
        "platform",
        "chart-roofline",
        "metric",
    ]
    browser.find_element("css selector", 'input[name="platform"][value="alpha"]').send_keys(
        keys.SPACE
    )
    assert shown(browser) == "12 of 24 rows shown"


def test_it_prints_in_the_light_theme_on_a_page_s_width(browser: Any, url: str) -> None:
    browser.get(f"{url}#theme=dark")
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    state = (
        "return [document.documentElement.dataset.theme, ...[...document.querySelectorAll('.chart')]"
        ".map(c => (c.querySelector('.main-svg')?.getBoundingClientRect().width ?? 0))]"
    )
    theme, *widths = browser.execute_script(state)
    assert theme == "light"
    assert max(widths) <= 701
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    theme, *widths = browser.execute_script(state)
    assert theme == "dark"
    assert max(widths) > 900
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert pdf.startswith("JVBER")  # "%PDF" in base64


def test_machines_are_listed_in_engineering_units(browser: Any, url: str) -> None:
    browser.get(url)
    head = [cell.text for cell in browser.find_elements("css selector", "#table-roofs th")]
    first = [
        cell.text
        for cell in browser.find_elements("css selector", "#table-roofs tbody tr:first-child td")
    ]
    assert dict(zip(head, first, strict=True))["peak, TOP/s"] == "1"
    assert dict(zip(head, first, strict=True))["bandwidth, GB/s"] == "10"


def test_pruning_filters_go_from_what_keeps_most_to_what_keeps_least(
    browser: Any, url: str
) -> None:
    browser.get(url)
    names = ["50%", "dense", "12.5%", "sparsity=0.9", "80%", "sparsity=0.5", "keep-channels=0.5"]
    ordered = browser.execute_script("return arguments[0].sort(Charts.byKept)", names[:5])
    assert ordered == ["dense", "80%", "50%", "12.5%", "sparsity=0.9"]
    assert browser.execute_script("return arguments[0].sort(Charts.byKept)", names[3:6:2]) == [
        "sparsity=0.5", "sparsity=0.9",
    ]  # fmt: skip


def test_logarithmic_axes_have_plain_numbers_that_stand_apart(browser: Any, url: str) -> None:
    browser.set_window_size(800, 1000)
    for selection in ("", "#platform=alpha&network=one&batch=1|2"):
        browser.get("about:blank")
        browser.get(f"{url}{selection}")
        for chart in ("roofline", "efficiency", "lines", "boxes"):
            for axis in ("x", "y"):
                ticks = browser.execute_script(
                    "return [...document.querySelectorAll(`#chart-${arguments[0]} .${arguments[1]}tick text`)].map("
                    "text => [text.textContent, text.getBoundingClientRect().toJSON()])",
                    chart, axis,
                )  # fmt: skip
                ends = sorted(
                    (box["left"], box["right"]) if axis == "x" else (box["top"], box["bottom"])
                    for _, box in ticks
                )
                assert not any("10−" in text for text, _ in ticks), (chart, axis)
                upright = chart in {"efficiency", "boxes"} and axis == "x"
                assert upright or all(a[1] <= b[0] + 1 for a, b in pairwise(ends)), (chart, ticks)


def test_a_legend_of_many_lines_names_machines_and_datatypes(
    browser: Any, report_data: ReportData, tmp_path: Path
) -> None:
    rows = [
        {**row, "network": f"{row['network']}{copy}", "id": None}
        for copy in range(7)
        for row in report_data.rows
        if row["network"] == "one"
    ]
    path = tmp_path / "many.html"
    path.write_text(render(replace(report_data, rows=tuple(rows))), encoding="utf-8")
    browser.get(path.as_uri())
    click(browser, "#reset")
    named = browser.execute_script(
        "return document.getElementById('chart-lines').data.filter(line => line.showlegend !== false)"
        ".map(line => line.name)"
    )
    assert named == ["alpha", "beta:fast", "int8"]
