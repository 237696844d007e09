"""A small report with two tasks, sweeps over batch, a doubtful row and a name that must be escaped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roofline.report import ReportData
from roofline.report.data import check_rows

NASTY = "net</script><script>document.title='broken'</script>"


@pytest.fixture(scope="session")
def report_data() -> ReportData:
    rows = [
        {
            "platform": platform,
            "network": network,
            "task": task,
            "datatype": "int8",
            "pruning": pruning,
            "batch": batch,
            "predicted_fps": 1000.0 * scale,
            "predicted_low_fps": 200.0 * scale if platform == "alpha" else None,
            "predicted_high_fps": 600.0 * scale if platform == "alpha" else None,
            "measured_fps": 300.0 * scale * batch / (batch + 1),
            "peak_fps": 2000.0 * scale,
            "latency_ms": 1e3 * (batch + 1) / (300.0 * scale),
            "power_w": 5.0 + scale,
            "accuracy": accuracy,
            "intensity": 100.0,
        }
        for platform, scale in (("alpha", 1.0), ("beta:fast", 3.0))
        for network, task, accuracy in (("one", "MNIST", 98.0), (NASTY, "ImageNet", 71.0))
        for pruning in ("dense", "keep 0.5")
        for batch in (1, 2, 4)
    ]
    roofs = (
        {
            "platform": "alpha",
            "datatype": "int8",
            "peak_op_s": 1e12,
            "bandwidth_b_s": 1e10,
            "on_chip": "SRAM",
            "on_chip_capacity_b": 8e6,
            "on_chip_bandwidth_b_s": None,
        },
        {"platform": "beta:fast", "datatype": "int8", "peak_op_s": 3e12, "bandwidth_b_s": 1e10},
    )
    requirements = (
        {
            "network": "one",
            "datatype": "int8",
            "ops": 1e9,
            "weight_bytes": 5e6,
            "intensity": 100.0,
        },
    )
    return ReportData("A test", check_rows(rows, "rows"), roofs, requirements)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Return headless Chromium."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="the browser tests drive Chromium with selenium"
    )
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1400,1000",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield driver
    driver.quit()
