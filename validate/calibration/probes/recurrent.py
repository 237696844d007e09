"""Recurrent layers: gates in floating point and in int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from roofline.validate.calibration.probes.graph import Graph, Probe, Step, branches


def recurrent() -> list[Probe]:
    """Return the probes of recurrent layers: gates in floating point and in int8."""
    found: list[Probe] = []
    for width, hidden, steps, directions, copies in (
        (128, 128, 1, 1, 8), (64, 64, 50, 2, 3), (128, 128, 20, 1, 5), (256, 256, 40, 2, 2),
        (160, 64, 100, 1, 3), (512, 256, 25, 2, 2), (128, 256, 64, 2, 2),
        (64, 128, 10, 1, 6), (256, 512, 20, 2, 1),
    ):  # fmt: skip
        for cell, gates in (("LSTM", 4), ("GRU", 3)):
            step = _cell(cell, gates, width, hidden, directions)
            found.append(
                Probe(
                    f"{cell} {width}-{hidden} x{directions} over {steps}",
                    branches((steps, 1, width), step),
                    copies,
                    cell,
                )
            )
        if hidden > 64 or steps > 1:
            step = _quantized_cell(width, hidden, directions)
            found.append(
                Probe(f"DynamicQuantizeLSTM {width}-{hidden} x{directions} over {steps}",
                    branches((steps, 1, width), step),
                      copies, "DynamicQuantizeLSTM")
            )  # fmt: skip
    # Plain cells, and states of less than two vectors.
    for cell, gates, width, hidden, steps, directions, copies in (
        ("RNN", 1, 64, 64, 50, 2, 3), ("RNN", 1, 256, 24, 100, 1, 3), ("RNN", 1, 128, 128, 20, 1, 5),
        ("RNN", 1, 160, 64, 100, 1, 3), ("RNN", 1, 256, 256, 40, 2, 2),
        ("RNN", 1, 48, 24, 200, 1, 3),
        ("LSTM", 4, 160, 24, 100, 1, 3), ("LSTM", 4, 24, 24, 100, 1, 4),
        ("GRU", 3, 160, 24, 100, 1, 3), ("GRU", 3, 24, 24, 100, 1, 4),
    ):  # fmt: skip
        step = _cell(cell, gates, width, hidden, directions)
        name = f"{cell} {width}-{hidden} x{directions} over {steps}"
        found.append(Probe(name, branches((steps, 1, width), step), copies, cell))
    # Several items at each step.
    for width, hidden, steps, items in ((64, 128, 10, 16), (64, 224, 8, 128)):
        step = _cell("LSTM", 4, width, hidden, 1)
        name = f"LSTM {width}-{hidden} x1 over {steps} of {items}"
        found.append(Probe(name, branches((steps, items, width), step), 1, "LSTM"))
    # States whose weights fit no near cache, in integers either.
    for width, hidden, steps in (
        (256, 768, 20),
        (512, 512, 10),
        (768, 768, 20),
        (40, 768, 20),
        (768, 768, 80),
    ):
        step = _quantized_cell(width, hidden, 1)
        name = f"DynamicQuantizeLSTM {width}-{hidden} x1 over {steps}"
        found.append(Probe(name, branches((steps, 1, width), step), 2, "DynamicQuantizeLSTM"))
    return found


def _cell(cell: str, gates: int, width: int, hidden: int, directions: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        weights = [graph.weight(directions, gates * hidden, size) for size in (width, hidden)]
        bias = graph.weight(directions, 2 * gates * hidden)
        extra: dict[str, Any] = {"linear_before_reset": 1} if cell == "GRU" else {}
        direction = "bidirectional" if directions == 2 else "forward"
        return graph.call(
            cell, value, *weights, bias, hidden_size=hidden, direction=direction, **extra
        )

    return step


def _quantized_cell(width: int, hidden: int, directions: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        weights = [
            graph.weight(directions, size, 4 * hidden, dtype="int8") for size in (width, hidden)
        ]
        bias = graph.weight(directions, 8 * hidden)
        scales = [graph.store(np.full((directions,), 0.003, np.float32)) for _ in range(2)]
        zeros = [graph.store(np.zeros((directions,), np.int8)) for _ in range(2)]
        direction = "bidirectional" if directions == 2 else "forward"
        return graph.call(
            "DynamicQuantizeLSTM", value, *weights, bias, "", "", "", "", scales[0], zeros[0], scales[1], zeros[1],
            domain="com.microsoft", hidden_size=hidden, direction=direction,
        )  # fmt: skip

    return step
