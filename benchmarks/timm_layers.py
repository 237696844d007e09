"""The layers of the networks that timm publishes rates of, for `expected_layers.py`; nothing is run.

    python benchmarks/timm_layers.py --evidence evidence.csv --into layers.jsonl     # goes on where it stopped

Needs torch and timm. Each network is built on torch's device without storage, at the input size that most of its runs
have, and what it calls is written down: per kind of layer and shape the multiply-accumulates, elements read and
written, weights and the narrower of its channels. A network that cannot be built gets a line that says why.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from roofline.validate.evidence.published import read_published

VIEWS = frozenset({
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "unsqueeze", "squeeze", "slice", "select",
    "split", "split_with_sizes", "unbind", "alias", "detach", "as_strided", "_reshape_alias", "empty", "zeros", "ones",
    "arange", "scalar_tensor", "zeros_like", "empty_like", "new_empty",
})  # fmt: skip
"""Calls that move no data."""

Layer = tuple[str, int, int, int, int]
"""Kind, multiply-accumulates, elements read and written, weights, and the narrower of its channels (0 for none)."""


def elements(value: Any) -> int:
    """Return how many elements a tensor, or the tensors of a list, have."""
    if isinstance(value, (list, tuple)):
        return sum(map(elements, value))
    return value.numel() if hasattr(value, "numel") else 0


def layer(name: str, args: tuple[Any, ...], out: Any) -> Layer:
    """Return what a call of torch requires."""
    if name == "convolution":
        data, weight, transposed, groups = args[0], args[1], args[6], args[8]
        kernel = prod(weight.shape[2:])
        macs = (data if transposed else out).numel() * weight.shape[1] * kernel
        wide = groups == 1 and ("conv1" if kernel == 1 else "conv")
        kind = wide or ("depthwise" if weight.shape[1] == 1 else "grouped")
        narrow = min(weight.shape[1], weight.shape[0] // groups)
        return kind, macs, data.numel() + out.numel(), weight.numel(), narrow
    if name in ("mm", "addmm"):
        left, right = args[-2:] if name == "mm" else args[1:3]
        return (
            "product", left.shape[0] * prod(right.shape), left.numel() + out.numel(), right.numel(), min(right.shape),
        )  # fmt: skip
    if name in ("bmm", "baddbmm"):
        left, right = args[:2] if name == "bmm" else args[1:3]
        moved = left.numel() + right.numel() + out.numel()
        return "batched", left.numel() * right.shape[2], moved, 0, min(right.shape[1:])
    if "scaled_dot_product" in name:
        query, key, value = args[:3]
        pairs = prod(query.shape[:3]) * key.shape[2]
        moved = elements(args[:3]) + prod(query.shape[:3]) * value.shape[3]
        return "attention", pairs * (query.shape[3] + value.shape[3]), moved, 0, query.shape[3]
    return "other", 0, elements(args) + elements(out), 0, 0


def layers(timm: Any, name: str, size: int) -> Iterator[tuple[Layer, int]]:
    """Yield each layer of a network for one image, and how often it has it."""
    torch: Any = importlib.import_module("torch")
    modes: Any = importlib.import_module("torch.utils._python_dispatch")
    seen: Counter[Layer] = Counter()

    class Watching(modes.TorchDispatchMode):
        def __torch_dispatch__(
            self, call: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = call(*args, **(kwargs or {}))
            called = call.overloadpacket.__name__
            if called not in VIEWS:
                seen[layer(called, args, out)] += 1
            return out

    with torch.device("meta"):
        try:
            network = timm.create_model(name, img_size=size)
        except TypeError:  # most networks take any size and have no such argument
            network = timm.create_model(name)
    with torch.no_grad(), Watching():
        network.eval()(torch.empty(1, 3, size, size, device="meta"))
    yield from seen.items()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    arguments = parser.parse_args()
    timm: Any = importlib.import_module("timm")
    sizes: dict[str, Counter[int]] = defaultdict(Counter)
    for row in read_published(arguments.evidence).rows:
        if row["source"] == "timm":
            sizes[row["network"]][int(row["input_size"])] += 1
    known: set[str] = set()
    if arguments.into.exists():
        known = {json.loads(line)["network"] for line in arguments.into.open(encoding="utf-8")}
    with arguments.into.open("a", encoding="utf-8") as into:
        for name in sorted(sizes.keys() - known):
            size = sizes[name].most_common(1)[0][0]
            line: dict[str, Any] = {"network": name, "input_size": size}
            try:
                line["layers"] = [[*each, times] for each, times in layers(timm, name, size)]
            except (
                Exception
            ) as error:  # whatever building it raises is said of it, and the next is tried
                line["error"] = f"{type(error).__name__}: {error}"[:200]
            into.write(json.dumps(line) + "\n")
            into.flush()


if __name__ == "__main__":
    main()
