"""The features of runs that coefficients of the time law are multiplied with."""

from __future__ import annotations

import numpy as np

from roofline.model._composition import beyond_counts
from roofline.model._core import Floats
from roofline.model._run_facts import Facts

FEATURES = (
    "one", "depthwise", "grouped", "attention", "work", "int8", "w8a16", "activations_per_mac", "parameters_per_mac",
    "batch", "cores", "throughput", "class_peak", "class_bandwidth", "peak", "bandwidth", "on_chip", "unfed", "half",
    "phone", "mobile_year", "products", "windows", "launches", "eager",
)  # fmt: skip
"""What a coefficient can be multiplied with; `features` has the formulas."""

BALANCED = 100.0
"""OP/B of peak to bandwidth beyond which the arithmetic of a machine is seldom fed."""

YEAR = 2020.0
"""The year of a machine where it is not known, and the one that slopes over years start from."""

EAGER = frozenset({"pt-eager", "pt-mps", "pt-opencl", "torchscript", "tensorflow"})
"""Runtimes that run one operator after another, each from memory to memory; others write few activations between the
layers that they run as one."""

HELD_ON_CHIP = 1500.0
"""OP/B of peak to link beyond which a machine has to keep activations on chip to be of use."""


def of_batch(batches: Floats) -> Floats:
    """Return the feature of a batch."""
    return np.log(batches) / 3


def features(facts: Facts, centre: Floats) -> dict[str, Floats]:
    """Return each feature of each run, by name.

    Args:
        facts: The runs.
        centre: Median log peak and log bandwidth of each run's class; (runs, 2).
    """
    n = facts.numbers
    products, windows, calls = beyond_counts(facts.layers, n).T
    peak, bandwidth, giga_macs = np.log(n["peak"]), np.log(n["bandwidth"]), n["macs"] / 1e9
    return {
        "one": np.ones(len(facts)),
        "depthwise": n["depthwise"],
        "grouped": n["grouped"],
        "attention": n["attention"],
        "work": np.log(giga_macs / 2).clip(-5, 6),
        "int8": (facts.datatype == "int8").astype(float),
        "w8a16": (facts.datatype == "w8a16").astype(float),
        "fp16": (facts.datatype == "fp16").astype(float),
        "activations_per_mac": np.log(n["activations"] / n["macs"] * 1e3 / 4).clip(-3, 3),
        "parameters_per_mac": np.log(n["parameters"] / n["macs"] * 1e3 / 5).clip(-4, 4),
        "batch": of_batch(n["batch"]),
        "cores": np.log(n["cores"]),
        "throughput": n["throughput"],
        "class_peak": peak - centre[:, 0],
        "class_bandwidth": bandwidth - centre[:, 1],
        "peak": peak - np.log(2.7e12),
        "bandwidth": bandwidth - np.log(3e10),
        "on_chip": np.maximum(0, peak - bandwidth - np.log(HELD_ON_CHIP)),
        "unfed": np.maximum(0, peak - bandwidth - np.log(BALANCED)),
        "half": n["half"],
        "phone": n["phone"],
        "mobile_year": np.where(facts.machine_class == "cpu_mobile", (n["year"] - YEAR) / 3, 0),
        "products": products,
        "windows": windows,
        "eager": np.isin(facts.runtime, list(EAGER)).astype(float),
        # A host launches each call of a graphics card; several runs in flight hide that.
        "launches": calls * (facts.labels("family") == "gpu") * (1 - n["throughput"]),
    }
