"""The page over all machines: what it holds is what ``predict`` says, and it works in a browser."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import roofline as rl
from roofline._load import decoder
from roofline.decoding.request import Phase, Request
from roofline.errors import OptionError
from roofline.report.explore import COLUMNS, MAXIMUM_BYTES, Subject, explore
from roofline.serving import serve

MACHINES = ("t4", "rpi4", "edgetpu:fast", "rtx-4090", "zcu104-finn")
BATCHES = (1, 8)
COST: dict[str, float] = {"years": 3.0, "usd_per_kwh": 0.15}


@pytest.fixture(scope="module")
def page() -> str:
    llama = decoder("llama32_1b")
    assert llama is not None
    subjects = [
        Subject("mobilenet_v1", "MobileNet v1", rl.load("mobilenet_v1")),
        Subject("llama32_1b", "Llama", llama),
    ]
    return explore(subjects, [rl.platform(key) for key in MACHINES], batches=BATCHES, **COST)


@pytest.fixture(scope="module")
def document(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.fixture(scope="module")
def rows(document: dict[str, Any]) -> dict[tuple[str, str, str, int], dict[str, float]]:
    """Unpack the columns as the page says they are packed."""
    count = document["rows"]
    data = np.frombuffer(zlib.decompress(base64.b64decode(document["packed"])), np.uint8)
    planes = data[count:].reshape(len(COLUMNS), 2, count).astype(np.int64)
    codes = planes[:, 0] + 256 * planes[:, 1]
    values = np.where(
        codes > 0, document["least"] * np.exp((codes - 1) * document["step"]), np.nan
    )
    names = [
        (network["name"], machine["key"], document["datatypes"][place], batch)
        for network in document["networks"]
        for machine in document["machines"]
        for place in machine["datatypes"]
        for batch in document["batches"]
    ]
    assert len(names) == count
    return {name: dict(zip(COLUMNS, values[:, i], strict=True)) for i, name in enumerate(names)}


def test_progress_goes_on_within_a_decoder() -> None:
    small = decoder("smollm2_135m")
    assert small is not None
    subjects = [Subject("mlp", "MLP", rl.load("mlp")), Subject("smollm2_135m", "Small", small)]
    told: list[tuple[str, int, int]] = []
    machines = [rl.platform("t4"), rl.platform("rtx-4090")]
    explore(subjects, machines, batches=(1,), report=lambda *step: told.append(step), **COST)
    assert told[0] == ("mlp", 0, len(told))
    assert [done for _, done, _ in told] == list(range(len(told)))
    assert told[1][0].startswith("smollm2_135m in ")
    assert len(told) > 3


def test_every_row_is_what_predict_says(rows: Any) -> None:
    work = rl.load("mobilenet_v1")
    seen = 0
    for (network, machine, datatype, batch), row in rows.items():
        if network != "mobilenet_v1":
            continue
        found = rl.sweep(
            [work], [rl.platform(machine)], datatypes=[datatype], batches=[batch], model=None
        ).predictions
        assert row["bound"] == pytest.approx(found[0].throughput_fps, rel=1e-3)
        if len(found) == 1:
            assert np.isnan(row["expected"])
            continue
        seen += 1
        low, high = found[1].interval_fps or (0, 0)
        assert (row["expected"], row["low"], row["high"]) == pytest.approx(
            (found[1].throughput_fps, low, high), rel=1e-3
        )
        if found[1].latency_s is not None:
            assert row["latency"] == pytest.approx(1e3 * found[1].latency_s, rel=1e-3)
    assert seen > 10


def test_decoders_have_tokens(rows: Any) -> None:
    llama = decoder("llama32_1b")
    assert llama is not None
    found = serve(
        llama,
        Request(phase=Phase.DECODE),
        [rl.platform("rtx-4090")],
        datatypes=["fp16"],
        batches=[1],
    ).predictions
    row = rows["llama32_1b", "rtx-4090", "fp16", 1]
    tokens = [entry.tokens for entry in found]
    assert row["bound"] == pytest.approx(tokens[0].tokens_per_s, rel=1e-3)
    assert row["expected"] == pytest.approx(tokens[1].tokens_per_s, rel=1e-3)


def test_machines_name_their_sources(document: dict[str, Any]) -> None:
    machine = next(entry for entry in document["machines"] if entry["key"] == "t4")
    what = {figure[0] for figure in machine["figures"]}
    assert any("fp16" in name for name in what)
    assert any("bandwidth" in name for name in what)
    assert all(document["sources"][figure[3]]["title"] for figure in machine["figures"])


def test_the_page_is_small_and_loads_nothing(page: str) -> None:
    assert len(page.encode()) < MAXIMUM_BYTES
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_a_page_without_networks_is_refused() -> None:
    with pytest.raises(OptionError, match="no network"):
        explore([], [rl.platform("t4")], **COST)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 800, 500])
def test_it_works_in_a_browser_at_every_width(
    browser: Any, page: str, tmp_path: Path, width: int
) -> None:
    browser.set_window_size(width, 1000)
    path = tmp_path / "explore.html"
    path.write_text(page, encoding="utf-8")
    browser.get(path.as_uri())
    run = browser.execute_script

    def drawn() -> int:
        return int(run("return document.getElementById('chart').dataset.points"))

    wait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait
    wait(browser, 10).until(
        lambda page: run("return document.documentElement.dataset.ready") == "yes"
    )
    assert run("return document.documentElement.scrollWidth <= innerWidth")
    start = drawn()
    assert start > 0
    # Every filter: a box off and on again brings the same selection back.
    boxes = run(
        "return [...document.querySelectorAll('#filters input[type=checkbox]')].map(b => [b.name, b.value])"
    )
    assert {name for name, _ in boxes} == {
        "network",
        "datatype",
        "batch",
        "segment",
        "kind",
        "vendor",
    }
    for name, value in boxes:
        css = f"input[name={json.dumps(name)}][value={json.dumps(value)}]"
        for _ in range(2):
            run("document.querySelector(arguments[0]).click()", css)
        assert drawn() == start, (name, value)
    run("document.querySelector('input[name=kind][value=cpu]').click()")
    assert 0 < drawn() < start
    assert "kind=" in browser.current_url
    # Every axis has points for networks that are asked for items or tokens.
    run(
        "for (const box of document.querySelectorAll('input[name=network]:not(:checked)')) box.click()"
    )
    for axis in run(
        "return [...document.getElementById('choose-y').options].map(option => option.value)"
    ):
        run(
            "const s = document.getElementById('choose-y'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('change'))",
            axis,
        )
        assert drawn() > 0, axis
    # A row of the table shows its machine's roofline and sources; the link brings all of it back.
    run("document.querySelector('#table tbody tr').click()")
    title = run("return document.getElementById('detail-title').textContent")
    assert run("return document.querySelectorAll('#sources tbody tr').length") > 2
    assert int(run("return document.getElementById('roofline').dataset.points")) >= 1
    link = browser.current_url
    browser.get("about:blank")
    browser.get(link)
    wait(browser, 10).until(
        lambda page: run("return document.documentElement.dataset.ready") == "yes"
    )
    assert run("return document.getElementById('detail-title').textContent") == title
    run(
        "URL.createObjectURL = blob => { blob.text().then(text => { window.written = text; }); return '#'; };"
        "document.getElementById('csv').click()"
    )
    text = wait(browser, 5).until(lambda page: run("return window.written"))
    table = list(csv.DictReader(io.StringIO(text)))
    assert {"network", "platform", "bound_per_s", "expected_per_s", "usd_per_million"} <= set(
        table[0]
    )
    assert {row["unit"] for row in table} == {"frames/s", "tokens/s"}
    assert {row["network"] for row in table} == {"mobilenet_v1", "llama32_1b"}
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.browser
def test_the_best_come_first_and_electricity_may_be_free(
    browser: Any, page: str, tmp_path: Path
) -> None:
    path = tmp_path / "explore.html"
    path.write_text(page, encoding="utf-8")
    wait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait
    run = browser.execute_script
    column = (
        "const at = [...document.querySelectorAll('#table th')].map(h => h.textContent).indexOf(arguments[0]);"
        "return [...document.querySelectorAll('#table tbody tr')].map(r => r.children[at].textContent)"
        ".filter(text => text).map(text => +text.replaceAll(',', ''))"
    )
    costs: dict[str, list[float]] = {}
    for price in ("0", "0.15"):
        browser.get("about:blank")
        browser.get(f"{path.as_uri()}#network=mobilenet_v1&y=usd_per_million&kwh={price}")
        wait(browser, 10).until(
            lambda page: run("return document.documentElement.dataset.ready") == "yes"
        )
        costs[price] = run(column, "usd_per_million")
    assert costs["0"] == sorted(costs["0"])
    assert min(costs["0"]) < min(costs["0.15"])
    # Decoders have no frames.
    browser.get("about:blank")
    browser.get(f"{path.as_uri()}#network=llama32_1b&y=fps")
    wait(browser, 10).until(
        lambda page: run("return document.documentElement.dataset.ready") == "yes"
    )
    assert "choose others" in run("return document.getElementById('empty').textContent")
