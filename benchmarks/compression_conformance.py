"""Print whether files written by the compressor count as predicted, over networks and variants.

Run: python benchmarks/compression_conformance.py [NETWORK...]
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from roofline.compress import Pruning, Quantization, Request, Sparsity, compress
from roofline.errors import RooflineError
from roofline.workloads import build, networks

VARIANTS = (
    Request(Pruning(0.8)),
    Request(Pruning(0.5)),
    Request(Pruning(0.3)),
    Request(sparsity=Sparsity(0.9)),
    Request(quantization=Quantization("fp16")),
    Request(quantization=Quantization("bf16")),
    Request(quantization=Quantization("w8a32")),
    Request(quantization=Quantization("w4a16")),
    Request(Pruning(0.5), Sparsity(0.5), Quantization("w4a16")),
)
STATIC_LIMIT = 50_000_000
"""Parameters above which calibrating int8 takes longer than it tells."""


@dataclass
class Tally:
    """How many files agreed."""

    agreed: int = 0
    differed: int = 0
    refused: int = 0


def main(keys: list[str]) -> int:
    """Print one line per file; return 1 when any differs."""
    tally = Tally()
    for key in keys or networks:
        model = build(key, weights="random")
        small = sum(len(t.raw_data) // 4 for t in model.graph.initializer) < STATIC_LIMIT
        int8 = (Request(Pruning(0.5), quantization=Quantization("int8")),) if small else ()
        for request in (*VARIANTS, *int8):
            start = time.perf_counter()
            try:
                done = compress(model, request, name=key)
            except RooflineError as error:
                tally.refused += 1
                print(f"{key:24} {request.label:32} refused: {error}")
                continue
            agrees = done.agrees and done.predicted.effective_macs == (
                done.counted.effective_macs
                if request.quantization is None
                else done.predicted.effective_macs
            )
            tally.agreed += agrees
            tally.differed += not agrees
            took = time.perf_counter() - start
            print(
                f"{key:24} {request.label:32} {'agrees' if agrees else 'DIFFERS'}  "
                f"MACs {done.counted.macs:>14,}  weights {done.counted.weight_bytes:>12,} B "
                f"(predicted {done.stored_bytes:,} + scales {done.scale_bytes:,})  {took:.1f} s",
                flush=True,
            )
    print(f"{tally.agreed} agree, {tally.differed} differ, {tally.refused} refused")
    return 1 if tally.differed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
