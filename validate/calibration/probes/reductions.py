"""Normalizations, softmax, reductions and pooling."""

from __future__ import annotations

import numpy as np

from roofline.validate.calibration.probes.graph import Graph, Probe, branches, chain, pooled, unary


def reductions() -> list[Probe]:
    """Return the probes of normalizations, softmax, reductions and pooling."""
    found: list[Probe] = []
    for rows, width in ((4, 32), (128, 64), (197, 768), (400, 120)):

        def norm(graph: Graph, value: str, width: int = width) -> str:
            return graph.call(
                "LayerNormalization", value, graph.weight(width), graph.weight(width), axis=-1
            )

        found.append(
            Probe(
                f"LayerNormalization {rows}x{width}",
                chain((1, rows, width), norm),
                5,
                "LayerNormalization",
            )
        )
    for rows, width in ((4, 16), (64, 64), (1536, 128), (100, 1000), (40, 6625)):
        found.append(
            Probe(
                f"Softmax {rows}x{width}",
                chain((rows, width), unary("Softmax", axis=-1)),
                4,
                "Softmax",
            )
        )
    found.append(
        Probe(
            "Softmax over channels", chain((1, 2, 64, 64), unary("Softmax", axis=1)), 4, "Softmax"
        )
    )
    for size, channels in ((28, 64), (56, 64)):

        def instance(graph: Graph, value: str, channels: int = channels) -> str:
            return graph.call(
                "InstanceNormalization", value, graph.weight(channels), graph.weight(channels)
            )

        def batch(graph: Graph, value: str, channels: int = channels) -> str:
            ones = [graph.store(np.full(channels, 1.0, np.float32)) for _ in range(4)]
            return graph.call("BatchNormalization", value, *ones)

        shape = (1, channels, size, size)
        found.append(
            Probe(
                f"InstanceNormalization at {size}",
                chain(shape, instance),
                4,
                "InstanceNormalization",
            )
        )
        found.append(
            Probe(f"BatchNormalization at {size}", chain(shape, batch), 4, "BatchNormalization")
        )
        found.append(
            Probe(f"LRN at {size}", chain(shape, unary("LRN", size=5, alpha=1e-4)), 3, "LRN")
        )
    for shape, axes in (
        ((1, 64, 56, 56), [2, 3]),
        ((197, 768), [1]),
        ((8, 16), [1]),
        ((64, 8, 256), [1]),
    ):
        found.append(
            Probe(
                f"ReduceMean {shape} over {axes}",
                branches(shape, unary("ReduceMean", axes=axes)),
                5,
                "ReduceMean",
            )
        )
    found.append(Probe("ArgMax", branches((100, 200), unary("ArgMax", axis=1)), 4, "ArgMax"))
    for channels, size, window, copies in ((64, 56, 3, 5), (64, 112, 2, 4), (256, 14, 3, 8)):
        low, high = (window - 1) // 2, window // 2
        pads = [low, low, high, high]
        for op_type in ("MaxPool", "AveragePool"):
            step = unary(op_type, kernel_shape=[window] * 2, pads=pads)
            blocked = chain((1, channels, size, size), step, pooled)
            found.append(
                Probe(
                    f"{op_type} {window}x{window} of {channels} at {size}",
                    blocked,
                    copies,
                    op_type,
                )
            )
    for channels, size in ((64, 56), (512, 7)):
        found.append(
            Probe(
                f"GlobalAveragePool of {channels} at {size}",
                branches((1, channels, size, size), pooled),
                6,
                "GlobalAveragePool",
            )
        )
    return found
