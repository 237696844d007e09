"""How near a law of a network's layers comes, where counts of the whole network are all that `expected` is told.

    python benchmarks/timm_layers.py --evidence evidence.csv --into layers.jsonl
    roofline score evidence.csv --leave family --rows rows.csv
    python benchmarks/expected_layers.py --layers layers.jsonl --rows rows.csv [--write]

The time of a batch is the sum over layers of

    t + ((C exp a)^3 + (A exp k + W exp w)^3)^(1/3)

with C a layer's time of arithmetic at the peak, A and W those of its elements and weights at the bandwidth. a is one
number per kind of layer and a slope over channels narrower than 64; t, k (with and without arithmetic) and w one each.
They are fitted for each machine and runtime without the families of networks that are judged (families leave in eight
groups), and stand beside what `expected` says of the same runs without their family.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from roofline.model._core import Floats
from roofline.validate.evidence.summaries import add

ROOT = Path(__file__).parents[1]
KINDS = ("conv", "conv1", "depthwise", "grouped", "product", "batched", "attention", "other")
WIDE = 64
GROUPS = 8
FEWEST_RUNS = 100

ELEMENTWISE, MOVED, WEIGHTS, FIXED, NARROW = range(len(KINDS), len(KINDS) + 5)
"""Places of the parameters behind those of the kinds."""

START = np.asarray([0.5] * len(KINDS) + [0.0, 0.0, 0.0, -12.0, 0.0])
DEVIATION = np.asarray([1.0] * len(KINDS) + [1.0, 1.0, 1.0, 3.0, 0.3])
"""Of the parameters before any run is known."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one machine under one runtime; arrays of layers are those of all runs, one behind the other."""

    run: NDArray[np.int64]
    kind: NDArray[np.int64]
    arithmetic: Floats
    moved: Floats
    weights: Floats
    narrow: Floats
    times: Floats
    log_time: Floats
    """Logarithm of measured seconds a batch; one per run."""
    expected: Floats
    group: NDArray[np.int64]

    def predicted(self, parameters: Floats) -> Floats:
        """Return the logarithm of the seconds of each run."""
        compute = self.arithmetic * np.exp(
            parameters[self.kind] - parameters[NARROW] * self.narrow
        )
        plain = self.kind == KINDS.index("other")
        moved = self.moved * np.exp(np.where(plain, parameters[ELEMENTWISE], parameters[MOVED]))
        memory = moved + self.weights * np.exp(parameters[WEIGHTS])
        layer = np.cbrt(compute**3 + memory**3) + np.exp(parameters[FIXED])
        return np.log(np.bincount(self.run, layer * self.times, minlength=len(self.log_time)))

    def left_out(self) -> Floats:
        """Return the logarithm of the seconds of each run by laws fitted without its group of families."""
        found = np.empty(len(self.log_time))
        for group in set(self.group.tolist()):
            judged = self.group == group

            def wrong(parameters: Floats, fitted: NDArray[np.bool_] = ~judged) -> Floats:
                apart = (self.predicted(parameters) - self.log_time)[fitted] / 0.2
                return np.concatenate([apart, (parameters - START) / DEVIATION])

            law = least_squares(wrong, START, loss="soft_l1", max_nfev=25)
            found[judged] = self.predicted(np.asarray(law.x))[judged]
        return found


def read_layers(path: Path) -> dict[str, tuple[float, Floats]]:
    """Return the input size and the layers of each network: kind's place, MACs, elements, weights, narrow, times."""
    found: dict[str, tuple[float, Floats]] = {}
    for line in path.open(encoding="utf-8"):
        row = json.loads(line)
        if "layers" in row:
            values = [(KINDS.index(kind), *numbers) for kind, *numbers in row["layers"]]
            found[row["network"]] = row["input_size"], np.asarray(values, np.float64)
    return found


def runs(rows: list[dict[str, str]], networks: dict[str, tuple[float, Floats]]) -> Runs:
    """Return rows of `score --rows` with their networks' layers; work grows with the area of the input."""
    parts: list[Floats] = []
    for row in rows:
        size, layers = networks[row["network"]]
        area, batch = (float(row["input_size"]) / size) ** 2, float(row["batch"])
        second = float(row["bandwidth_b_s"])
        part = layers.copy()
        part[:, 1] *= 2 * area * batch / float(row["peak_op_s"])
        part[:, 2] *= area * batch * float(row["activation_bytes_per_element"]) / second
        part[:, 3] *= float(row["weight_bytes_per_element"]) / second
        part[:, 4] = np.where(part[:, 4] > 0, np.log(np.clip(part[:, 4], 1, WIDE) / WIDE), 0)
        parts.append(part)
    every = np.concatenate(parts)

    def logarithm(column: str) -> Floats:
        return np.asarray([np.log(float(row["batch"]) / float(row[column])) for row in rows])

    return Runs(
        np.repeat(np.arange(len(rows)), [len(part) for part in parts]), every[:, 0].astype(np.int64),
        *every[:, 1:].T, log_time=logarithm("fps"), expected=logarithm("predicted_fps"),
        group=np.asarray([crc32(row["family"].encode()) % GROUPS for row in rows]),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="Into the page on expected.")
    arguments = parser.parse_args()
    networks = read_layers(arguments.layers)
    settings: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    with arguments.rows.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["source"] == "timm" and row["network"] in networks and row["predicted_fps"]:
                settings[row["machine"], row["runtime"]].append(row)
    table: list[dict[str, Any]] = []
    for (machine, runtime), rows in sorted(settings.items()):
        if len(rows) < FEWEST_RUNS:
            continue
        found = runs(rows, networks)
        apart = found.left_out() - found.log_time, found.expected - found.log_time
        by_layers, by_counts = (float(np.exp(np.median(np.abs(each)))) for each in apart)
        table.append(
            {
                "machine": machine, "runtime": runtime, "runs": len(rows),
                "networks": len({row["network"] for row in rows}),
                "counts, family left out": by_counts, "layers, family left out": by_layers,
            }
        )  # fmt: skip
        print(
            f"{machine:24} {runtime:12} {len(rows):5}  counts {by_counts:.3f}  layers {by_layers:.3f}"
        )
    if arguments.write:
        add(ROOT, "layers", table)


if __name__ == "__main__":
    main()
