"""Rows that every kind of chart can be drawn from."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest


def configurations(count: int) -> list[dict[str, Any]]:
    """Return distinct configurations with every column that a chart may ask for."""
    machines = {
        "tx2:maxn": (59.7e9, 15.0),
        "edgetpu:fast": (25.6e9, 2.0),
        "zcu104-finn": (19.2e9, 12.0),
    }
    rows = []
    cells = product(
        ("resnet50", "mobilenet_v1", "cnv", "mlp"), machines, (("fp16", 1.33e12), ("int8", 4e12)),
        (("dense", 1.0), ("keep-channels=0.5", 0.25)), (1, 8),
    )  # fmt: skip
    for number, (network, machine, (datatype, peak), (pruning, share), batch) in enumerate(cells):
        if number == count:
            break
        bandwidth, watts = machines[machine]
        ops, weights = 7.7e9 * share / (1 + number % 4), 25e6 * share
        intensity = ops * batch / weights
        performance = min(peak, bandwidth * intensity)
        fps = performance / ops
        rows.append(
            {
                "network": network, "platform": machine, "datatype": datatype, "pruning": pruning,
                "batch": batch, "backend": "tvm", "threads": batch, "task": "ImageNet",
                "peak_op_s": peak, "bandwidth_b_s": bandwidth, "intensity": intensity,
                "performance_op_s": performance, "ops": ops, "parameters": weights,
                "predicted_fps": fps, "measured_fps": fps * (0.2 + 0.01 * (number % 50)),
                "peak_fps": peak / ops, "latency_ms": 1e3 * batch / fps, "power_w": watts,
                "accuracy": 60 + (number * 7) % 20, "bound": "compute" if performance == peak else "memory",
                "keep_channels": share**0.5, "technique": "channel pruning", "expected_speedup": 4.0,
                "achieved_speedup": 1.0 + number % 3, "board_power_w": watts / 4, "idle_power_w": watts / 2,
                "table": f"Table {number % 3}", "cell": f"cell {number}", "published": 10.0,
                "ours": 10.0 if number % 4 else 12.0, "agrees": number % 4 > 0, "time_s": number,
                "context": 4096, "weight_bytes": 16e9, "cache_bytes": 5e8 * batch, "memory_bytes": 24e9,
                "tpot_ms": 5.0 + batch, "tokens_per_s": 1e3 * batch / (5.0 + batch),
                "answer": "yes",
            }
        )  # fmt: skip
    return rows


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return configurations(96)


@pytest.fixture
def layers() -> list[dict[str, Any]]:
    return [
        {
            "layer": f"stage{number // 6}/conv{number % 6}", "network": "resnet50", "platform": "tx2:maxn",
            "datatype": "fp16", "batch": 1, "peak_op_s": 1.33e12, "bandwidth_b_s": 59.7e9,
            "intensity": 2.0 + 9 * number, "time_ms": 0.1 + 0.05 * (number % 7), "measured_ms": 0.9,
            "bound": "memory" if number < 3 else "compute",
            "performance_op_s": min(1.33e12, 59.7e9 * (2.0 + 9 * number)),
        }
        for number in range(24)
    ]  # fmt: skip
