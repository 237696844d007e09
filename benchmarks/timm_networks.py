"""Write networks of timm as ONNX: architectures drawn by lot, with weights that any machine makes alike.

Usage:
    python benchmarks/timm_networks.py draw SEED COUNT
    python benchmarks/timm_networks.py write FOLDER [ARCHITECTURE...]

Needs timm, torch, onnx and onnxscript, of the versions that `benchmarks/networks/drawn.csv` states; nothing else of
this project does. `draw` shuffles timm's modules, a module being a family of architectures, and takes of each in turn
one that has at most 30 million parameters, until there are enough. `write` exports them with PyTorch's default
exporter, one picture of the size that the architecture is made for; weights are random, since time does not go with
them.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

DRAWN = Path(__file__).parent / "networks" / "drawn.csv"
MOST_PARAMETERS = 30_000_000


def import_timm() -> Any:
    """Return timm; torchvision, which it needs, names kernels that a build of PyTorch for processors alone lacks."""
    kept = torch.library.register_fake
    torch.library.register_fake = lambda *_, **__: lambda function: function  # type: ignore[assignment]
    try:
        import torchvision  # noqa: F401
    finally:
        torch.library.register_fake = kept
    import timm

    return timm


def parameters_of(timm: Any, name: str) -> float:
    """Return the number of parameters of an architecture; infinity for one that cannot be made without its weights."""
    try:
        with torch.device("meta"):
            return sum(entry.numel() for entry in timm.create_model(name).parameters())
    except Exception:  # Whatever an architecture says, it is not one that can be drawn.
        return float("inf")


def draw(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Yield modules of timm in an order by lot, and an architecture of each that is small enough."""
    timm = import_timm()
    from timm.models._registry import _model_to_module  # pyright: ignore[reportPrivateUsage]

    modules: dict[str, list[str]] = defaultdict(list)
    for name in timm.list_models():
        modules[_model_to_module[name]].append(name)
    lot, order = random.Random(seed), sorted(modules)
    lot.shuffle(order)
    for module in order:
        if not count:
            return
        small = [
            name
            for name in sorted(modules[module])
            if parameters_of(timm, name) <= MOST_PARAMETERS
        ]
        if small:
            count -= 1
            yield module, lot.choice(small)


def write(name: str, folder: Path) -> Path:
    """Write an architecture as ONNX and return where."""
    model = import_timm().create_model(name).eval()
    random_weights = np.random.default_rng(0)
    with torch.no_grad():
        for _, entry in sorted(model.named_parameters()):
            drawn = random_weights.standard_normal(tuple(entry.shape), dtype=np.float32)
            entry.copy_(torch.from_numpy(np.asarray(drawn * np.float32(0.02))))
    size = model.default_cfg["input_size"]
    path = folder / "timm" / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(model, (torch.zeros(1, *size),), path, external_data=False, verbose=False)
    return path


def listed() -> list[str]:
    """Return the architectures of the list."""
    with DRAWN.open(encoding="utf-8", newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    drawing = verbs.add_parser("draw")
    drawing.add_argument("seed", type=int)
    drawing.add_argument("count", type=int)
    writing = verbs.add_parser("write")
    writing.add_argument("folder", type=Path)
    writing.add_argument("architecture", nargs="*")
    options = parser.parse_args(arguments)
    if options.verb == "draw":
        for module, name in draw(options.seed, options.count):
            print(f"{module},{name}", flush=True)
        return
    for name in options.architecture or listed():
        print(write(name, options.folder), file=sys.stderr)


if __name__ == "__main__":
    main()
