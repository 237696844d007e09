"""Fourier transforms of frames and of lines."""

from __future__ import annotations

import numpy as np

from roofline.validate.calibration.probes.graph import Graph, Probe, Step, branches


def transforms() -> list[Probe]:
    """Return the probes of Fourier transforms."""
    of_frames = [
        Probe(
            f"STFT {frames} frames of {points}",
            branches((1, points + (frames - 1) * _STEP), _short_time(points), kept=True),
            copies,
            "STFT",
        )
        for points, frames, copies in (
            (512, 200, 1), (512, 20, 4), (256, 64, 2), (1024, 100, 1), (2048, 20, 1), (400, 100, 1), (400, 20, 2),
            (320, 50, 1),
        )
    ]  # fmt: skip
    of_lines = [
        Probe(f"DFT {lines} lines of {points}", branches((lines, points, 1), _along_lines), copies, "DFT")
        for points, lines, copies in ((512, 64, 2), (128, 256, 2), (1024, 1, 6), (480, 50, 1))
    ]  # fmt: skip
    return [*of_frames, *of_lines]


_STEP = 160
"""Values from where one frame begins to where the next one does."""


def _short_time(points: int) -> Step:
    def step(graph: Graph, value: str) -> str:
        window = graph.weight(points, scale=1.0)
        return graph.call("STFT", value, graph.store(np.array(_STEP, np.int64)), window)

    return step


def _along_lines(graph: Graph, value: str) -> str:
    return graph.call("DFT", value, axis=1, onesided=1)
