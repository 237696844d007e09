"""The demo's page in a real browser, at both widths, and its document beside the published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import roofline as rl
from roofline.cli.documents import schema
from roofline.spec import platform
from roofline.validate.analysis.compare import compare
from roofline.validate.calibration.calibrate import Roofs
from roofline.validate.demo.page import write_demo
from roofline.validate.demo.run import Demo
from roofline.validate.records.record import Measurement, Status
from roofline.validate.records.request import RunRequest

pytest.importorskip("matplotlib", reason="the page shows charts")

NETWORKS = ("mlp_12_5", "cnv", "mobilenet_v1")
HERE, ELSEWHERE = "i7-3820", ("tx2:maxn", "h100-sxm")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of a demo whose runs reach 40 % of their bounds, with one that failed."""
    here = platform(HERE)
    workloads = tuple(map(rl.load, NETWORKS))
    mine = [rl.predict(work, here, datatype="fp32") for work in workloads]
    others = [
        rl.predict(work, platform(key), datatype="fp16") for work in workloads for key in ELSEWHERE
    ]
    runs = [
        Measurement(
            RunRequest(entry.network, "onnxruntime", batch=1, datatype="fp32", threads=8), Status.OK, None,
            samples_s=(0.9 * time, time, 1.1 * time), machine=HERE,
        )
        for entry in mine
        if entry.latency_s is not None
        for time in [entry.latency_s / 0.4]
    ]  # fmt: skip
    demo = Demo(
        workloads, (*mine, *others), (Roofs(8, {"fp32": 4e11}, {"fp32": "library"}, 5e10, None),),
        {"key": "here", "name": "A machine <of> tests"}, here, tuple(runs),
        compare(mine, runs), ("a note with <b>marks</b>",), 123.0,
    )  # fmt: skip
    return write_demo(demo, tmp_path_factory.mktemp("demo"))[0]


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 500])
def test_the_page_shows_tables_and_charts_and_nothing_hangs_over(
    page: Path, width: int, browser: Any
) -> None:
    browser.set_window_size(width, 1000)
    browser.get(page.as_uri())
    assert browser.title == "roofline demo"
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    loaded = "return [...document.images].map(image => image.complete && image.naturalWidth > 0)"
    assert browser.execute_script(loaded) == [True, True]
    measured, elsewhere, required = browser.find_elements("tag name", "table")
    for table, words in ((measured, NETWORKS), (elsewhere, ELSEWHERE), (required, NETWORKS)):
        for word in words:
            assert word in table.text
    assert "40%" in measured.text
    # What a file or a machine is called is text, and no markup.
    assert "A machine <of> tests" in browser.find_element("tag name", "body").text
    assert browser.find_elements("tag name", "b") == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_its_document_follows_the_published_schema(page: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = json.loads((page.parent / "validate.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema("demo")).validate(document)
    assert len(document["comparisons"]) == len(NETWORKS)
