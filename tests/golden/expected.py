"""200 fixed rows of `expected`: ``python -P tests/golden/expected.py`` records them again, under a new version.

A number that moves needs a new version of the model and a line in CHANGELOG.md.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from roofline.model._expected_data import shipped_parameters
from roofline.model._run_facts import NUMBERS, Facts

FILE = Path(__file__).parent / "expected.csv"

# (class, runtime, datatype, bytes per element, peak OP/s, bandwidth B/s, cores, in flight, bytes of weights held)
MACHINES = (
    ("cpu", "openvino", "int8", 1, 8e12, 60e9, 4, 1, 0), ("cpu", "openvino", "fp32", 4, 2e12, 60e9, 4, 1, 0),
    ("cpu", "pt-compile", "fp32", 4, 2e12, 90e9, 1, 0, 0), ("cpu_mobile", "ncnn", "fp32", 4, 1e11, 10e9, 4, 0, 0),
    ("cpu_mobile", "ncnn", "int8", 1, 2e11, 10e9, 4, 0, 0), ("gpu_dc", "trt", "int8", 1, 8e14, 2e12, 1, 1, 0),
    ("gpu_dc", "trt", "int8", 1, 3e14, 4e11, 1, 0, 0), ("gpu_consumer", "pt-compile", "fp16", 2, 2e14, 1.5e12, 1, 0, 0),
    ("gpu_consumer", "pt-eager", "fp16", 2, 1e14, 9e11, 1, 0, 0),
    ("gpu_embedded", "trt", "int8", 1, 5e13, 1e11, 1, 0, 0),
    ("npu", "hailo", "int8", 1, 4e13, 4e9, 1, 0, 20e6), ("npu", "htp-qnn_dlc", "int8", 1, 3e13, 6e10, 1, 0, 0),
    ("npu", "htp-tflite", "fp16", 2, 2e13, 8e10, 1, 0, 0), ("npu", "rknn", "int8", 1, 3e12, 2e10, 1, 0, 0),
    ("fpga_dpu", "dpu", "int8", 1, 1.2e12, 19e9, 1, 1, 0), ("fpga_dpu", "dpu", "int8", 1, 5e13, 1e11, 6, 1, 0),
    ("npu", "trt", "int8", 1, 3e13, 6e10, 1, 0, 0), ("cpu", "ncnn", "fp32", 4, 5e11, 30e9, 4, 0, 0),
    ("gpu_dc", "pt-compile", "fp16", 2, 4e14, 2e12, 1, 0, 0), ("gpu_embedded", "trt", "fp16", 2, 2e13, 6e10, 1, 0, 0),
)  # fmt: skip

# (1e9 multiply-accumulates, 1e6 parameters, 1e6 activations, depthwise, grouped, attention)
NETWORKS = (
    (4.1, 25.6, 11.1, 0, 0, 0), (0.3, 3.5, 6.7, 1, 0, 0), (17.6, 86.6, 23.9, 0, 0, 1), (15.5, 138, 13.6, 0, 0, 0),
    (0.05, 1.4, 0.8, 1, 0, 0),
)  # fmt: skip
BATCHES = (1, 16)


def rows() -> list[dict[str, str]]:
    """Return the estimate of every machine, network and batch now."""
    known = shipped_parameters()
    cases = [(m, n, b) for m in MACHINES for n in NETWORKS for b in BATCHES]
    columns = [
        (m[4], m[5], m[6], b, 1e9 * n[0], 1e6 * n[1], 1e6 * n[2], n[3], n[4], n[5], m[3], m[3], m[7], m[8], 0, 0, 2020)
        for m, n, b in cases
    ]  # fmt: skip
    words = [np.asarray([m[i] for m, _, _ in cases], object) for i in range(3)]
    machine = np.asarray(["another"] * len(cases), object)
    numbers = {
        name: np.asarray(column, float)
        for name, column in zip(NUMBERS, zip(*columns, strict=True), strict=True)
    }
    facts = Facts(machine, *words, numbers)
    found = known.law.estimate(facts)
    low, high = known.quantiles.interval(found, facts.machine_class)
    return [
        {
            "version": known.version, "class": m[0], "runtime": m[1], "datatype": m[2], "peak_op_s": f"{m[4]:g}",
            "gmacs": f"{n[0]:g}", "batch": str(b), "fps": f"{b / np.exp(t):.6g}", "low_fps": f"{b / np.exp(h):.6g}",
            "high_fps": f"{b / np.exp(s):.6g}",
        }
        for (m, n, b), t, s, h in zip(cases, found.log_time, low, high, strict=True)
    ]  # fmt: skip


def recorded() -> list[dict[str, str]]:
    """Return the rows of the file."""
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    now = rows()
    with FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(now[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(now)
