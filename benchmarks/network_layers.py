"""The layers of networks that published tables name, for `validate/evidence/named_layers.py`.

    python benchmarks/network_layers.py --evidence evidence.csv [--kept layers.jsonl]

goes on where it stopped. Needs torch, torchvision and timm, and ultralytics, yolox and effdet for
their detectors. A network of timm is built on torch's device without storage, at the input size
that most of its runs have; of the others the operators are run, on zeros. Nothing is timed.
What each calls is written down: per kind of layer and shape the multiply-accumulates, elements
read and written, weights and the narrower of its channels. Batch normalizations are left out,
which runtimes and exporters fold.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from math import prod, sqrt
from pathlib import Path
from typing import Any

import plain_detectors
import plain_layers
import plain_networks

from roofline.model._layer_groups import OTHER, WIDE, LayerCounts, gather_alike
from roofline.validate.evidence.named_layers import HEADER, TABLE
from roofline.validate.evidence.published import read_published

ROOT = Path(__file__).parents[1]

VIEWS = frozenset({
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "unsqueeze",
    "squeeze", "slice", "select", "split", "split_with_sizes", "unbind", "alias", "detach",
    "as_strided", "_reshape_alias", "empty", "zeros", "ones", "arange", "scalar_tensor",
    "zeros_like", "empty_like", "new_empty",
})  # fmt: skip
"""Calls that move no data."""

DETECTORS = (
    "yolov3-tiny", "yolov3",
    *(f"yolov5{size}" for size in "nsm"), *(f"yolov6{size}" for size in "nsm"),
    *(f"yolov8{size}" for size in "nsmlx"), *(f"yolov9{size}" for size in "tsmc"),
    *(f"yolov10{size}" for size in "nsmlx"), *(f"yolo11{size}" for size in "nsmlx"),
    *(f"yolo12{size}" for size in "smlx"), *(f"yolo26{size}" for size in "nsmlx"),
)  # fmt: skip
"""Definitions of ultralytics, at 640 pixels, as they are deployed.

What is of training alone is folded or left out.
"""

MASKED = ("yolov8n", "yolov8s", "yolo11s", "yolo26s")
"""Of those definitions the ones that find masks besides boxes."""

JOINTED = ("yolov8n", "yolov8s", "yolov8m")
"""The ones that find the joints of persons besides boxes."""

MASKS = 32
"""What a mask of ultralytics is a weighted sum of."""

ANCHORED = {
    **{f"yolov5{size}_v6": (f"yolov5{size}", 0) for size in "nsmlx"},
    **{f"yolov5{size}_seg": (f"yolov5{size}", MASKS) for size in "ns"},
}
"""YOLOv5 of releases 6 and 7, whose heads have anchors.

What ultralytics calls the rest of it, and the numbers of a box that weigh masks.
"""

ANCHOR_FREE = {
    "yolox_nano": (0.33, 0.25), "yolox_tiny": (0.33, 0.375), "yolox_s": (0.33, 0.5),
    "yolox_m": (0.67, 0.75), "yolox_l": (1.0, 1.0), "yolox_x": (1.33, 1.25),
}  # fmt: skip
"""Depth and width of the networks of yolox, at 640 pixels."""

CLASSIFIERS = {
    "squeezenet1_0": 224, "squeezenet1_1": 224, "alexnet": 224, "googlenet": 224,
    "shufflenet_v2_x1_0": 224, "mnasnet1_0": 224, "mnasnet0_5": 224,
}  # fmt: skip
"""Networks of torchvision that timm does not have, and their input sizes."""

HEADED = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320, "retinanet_resnet50_fpn": 800}
"""Detectors of torchvision, of which backbone and heads count."""


def elements(value: Any) -> int:
    """Return how many elements a tensor, or the tensors of a list, have."""
    if isinstance(value, (list, tuple)):
        return sum(map(elements, value))
    return value.numel() if hasattr(value, "numel") else 0


def layer(name: str, args: tuple[Any, ...], out: Any) -> LayerCounts:
    """Return what a call of torch requires."""
    written = elements(out)
    if name == "convolution":
        data, weight, transposed, groups = args[0], args[1], args[6], args[8]
        kernel = prod(weight.shape[2:])
        macs = (data if transposed else out).numel() * weight.shape[1] * kernel
        narrow = min(weight.shape[1], weight.shape[0] // groups)
        wide = groups == 1 and ("conv1" if kernel == 1 else "conv")
        kind = wide or ("depthwise" if weight.shape[1] == 1 else "grouped")
        return LayerCounts(kind, macs, data.numel() + written, written, weight.numel(), narrow, 1)
    if name in ("mm", "addmm"):
        left, right = args[-2:] if name == "mm" else args[1:3]
        macs = left.shape[0] * prod(right.shape)
        moved = left.numel() + written
        return LayerCounts("product", macs, moved, written, right.numel(), min(right.shape), 1)
    if name in ("bmm", "baddbmm"):
        left, right = args[:2] if name == "bmm" else args[1:3]
        moved = left.numel() + right.numel() + written
        macs = left.numel() * right.shape[2]
        return LayerCounts("batched", macs, moved, written, 0, min(right.shape[1:]), 1)
    if "scaled_dot_product" in name:
        query, key, value = args[:3]
        written = prod(query.shape[:3]) * value.shape[3]
        macs = prod(query.shape[:3]) * key.shape[2] * (query.shape[3] + value.shape[3])
        moved = elements(args[:3]) + written
        return LayerCounts("attention", macs, moved, written, 0, query.shape[3], 1)
    written = elements(out[0]) if "norm" in name and isinstance(out, (list, tuple)) else written
    return LayerCounts(OTHER, 0, 2 * written, written, 0, WIDE, 1)


def count_layers(network: Any, data: Any) -> Iterator[LayerCounts]:
    """Yield each layer of a network for one image, like ones as one."""
    torch: Any = importlib.import_module("torch")
    modes: Any = importlib.import_module("torch.utils._python_dispatch")
    seen: Counter[LayerCounts] = Counter()

    class Watching(modes.TorchDispatchMode):
        def __torch_dispatch__(
            self, call: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = call(*args, **(kwargs or {}))
            name = call.overloadpacket.__name__
            if name not in VIEWS and "batch_norm" not in name:
                seen[layer(name, args, out)] += 1
            return out

    with torch.no_grad(), Watching():
        network.eval()(data)
    for each, times in seen.items():
        if each.written:
            yield each._replace(times=times)


Build = Callable[[], tuple[Any, Any]]
"""Returns a network and what it is given."""


def without_storage(name: str, size: int) -> tuple[Any, Any]:
    """Return a network of timm and an image, on the device without storage."""
    torch, timm = (importlib.import_module(module) for module in ("torch", "timm"))
    with torch.device("meta"):
        try:
            network = timm.create_model(name, img_size=size)
        except TypeError:  # most networks take any size and have no such argument
            network = timm.create_model(name)
    return network, torch.empty(1, 3, size, size, device="meta")


def of_zeros(make: Callable[[], Any], height: int, width: int | None = None) -> tuple[Any, Any]:
    """Return a network and an image of zeros, square unless a width is given."""
    torch: Any = importlib.import_module("torch")
    return make(), torch.zeros(1, 3, height, height if width is None else width)


def as_network(function: Callable[[Any], Any]) -> Any:
    """Return a function of an image as a network."""
    torch: Any = importlib.import_module("torch")

    class Called(torch.nn.Module):
        def forward(self, data: Any) -> Any:
            return function(data)

    return Called()


def torchvision_detector(name: str) -> Any:
    """Return a detector of torchvision without what sorts its boxes."""
    detection: Any = importlib.import_module("torchvision.models.detection")
    whole = getattr(detection, name)(weights=None, weights_backbone=None).eval()
    return as_network(lambda data: whole.head(list(whole.backbone(data).values())))


def detector(name: str, kind: str = "DetectionModel") -> Any:
    """Return a network of ultralytics as it is deployed."""
    tasks: Any = importlib.import_module("ultralytics.nn.tasks")
    return getattr(tasks, kind)(f"{name}.yaml", verbose=False).eval().fuse(verbose=False)


def anchored(name: str) -> Any:
    """Return YOLOv5 with the heads of its own releases, which ultralytics does not define.

    They are a convolution of each scale, and with masks the images that those are sums of.
    """
    modules: Any = importlib.import_module("ultralytics.nn.modules")
    definition, masks = ANCHORED[name]
    network = detector(definition)
    last = network.model[-1]
    width = last.cv2[0][0].conv.in_channels
    images = modules.Proto(width, width, masks).eval() if masks else None
    outputs = plain_detectors.ANCHORS * (plain_detectors.OUTPUTS + masks)

    def find(scales: list[Any]) -> list[Any]:
        boxes = [plain_layers.conv(scale, outputs, act=None) for scale in scales]
        return boxes if images is None else [*boxes, images(scales[0])]

    heads = as_network(find)
    heads.i, heads.f = last.i, last.f  # its place in the network, and what it is given
    network.model[-1] = heads
    return as_network(network._predict_once)


def efficientdet() -> Any:
    """Return EfficientDet-D0 as TensorFlow pads it, without what sorts its boxes."""
    effdet: Any = importlib.import_module("effdet")
    return effdet.EfficientDet(
        effdet.get_efficientdet_config("tf_efficientdet_d0"), pretrained_backbone=False
    )


def anchor_free(name: str) -> Any:
    """Return a network of yolox, without what decodes its boxes."""
    models: Any = importlib.import_module("yolox.models")
    depth, width = ANCHOR_FREE[name]
    separable = name == "yolox_nano"
    head = models.YOLOXHead(80, width, depthwise=separable)
    head.decode_in_inference = False
    return models.YOLOX(models.YOLOPAFPN(depth, width, depthwise=separable), head)


def of_timm(evidence: Path) -> Iterator[tuple[str, int, Build]]:
    """Yield the networks of timm that a table has runs of, at the size that most have."""
    sizes: dict[str, Counter[int]] = defaultdict(Counter)
    for row in read_published(evidence).rows:
        if row["source"] == "timm":
            sizes[row["network"]][int(row["input_size"])] += 1
    for name in sorted(sizes):
        size = sizes[name].most_common(1)[0][0]
        yield name, size, partial(without_storage, name, size)


def of_packages() -> Iterator[tuple[str, int, Callable[[], Any]]]:
    """Yield what other packages define: name, input size, and what returns the network."""
    models: Any = importlib.import_module("torchvision.models")
    for name, size in CLASSIFIERS.items():
        yield name, size, partial(getattr(models, name), weights=None)
    for name, size in HEADED.items():
        yield name, size, partial(torchvision_detector, name)
    for name in DETECTORS:
        yield name, 640, partial(detector, name)
    for name in MASKED:
        yield f"{name}_seg", 640, partial(detector, f"{name}-seg", "SegmentationModel")
    for name in JOINTED:
        yield f"{name}_pose", 640, partial(detector, f"{name}-pose", "PoseModel")
    for name in ANCHORED:
        yield name, 640, partial(anchored, name)
    for name in ANCHOR_FREE:
        yield name, 640, partial(anchor_free, name)
    yield "efficientdet_d0", 512, efficientdet


def builders(evidence: Path) -> Iterator[tuple[str, int, Build]]:
    """Yield the name and the input size of each network, and what builds it.

    The size of an image that is not square is the side of a square of as many pixels.
    """
    yield from of_timm(evidence)
    for name, size, make in of_packages():
        yield name, size, partial(of_zeros, make, size)
    for name, (size, network) in (plain_detectors.NETWORKS | plain_networks.NETWORKS).items():
        sides = size if isinstance(size, tuple) else (size, size)
        side = round(sqrt(prod(sides)))
        yield name, side, partial(of_zeros, partial(as_network, network), *sides)


def kept_lines(kept: Path) -> dict[str, dict[str, Any]]:
    """Return what was counted before, by network."""
    if not kept.exists():
        return {}
    lines = [json.loads(line) for line in kept.open(encoding="utf-8")]
    return {line["network"]: line for line in lines}


def short(value: float) -> str:
    """Return a number to three digits: ``1230000`` is ``1.23e6``."""
    return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")


def write(lines: dict[str, dict[str, Any]], path: Path) -> None:
    """Write the table: groups of like layers, to three digits."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for name, line in sorted(lines.items()):
            for each in gather_alike(LayerCounts(*found) for found in line.get("layers", ())):
                sums = (each.macs, each.elements, each.written, each.weights)
                figures = (short(x) for x in (each.times, *sums, each.narrow))
                writer.writerow([name, line["input_size"], each.kind, *figures])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--kept", type=Path, default=Path("layers.jsonl"))
    arguments = parser.parse_args()
    lines = kept_lines(arguments.kept)
    with arguments.kept.open("a", encoding="utf-8") as kept:
        for name, size, build in builders(arguments.evidence):
            if name in lines:
                continue
            line: dict[str, Any] = {"network": name, "input_size": size}
            try:
                line["layers"] = [list(each) for each in count_layers(*build())]
            except Exception as error:  # whatever building it raises is said of it
                line["error"] = f"{type(error).__name__}: {error}"[:200]
                print(f"{name}: {line['error']}")
            lines[name] = line
            kept.write(json.dumps(line) + "\n")
            kept.flush()
    write(lines, ROOT / "validate" / "evidence" / TABLE)


if __name__ == "__main__":
    main()
