"""Training an ONNX graph where it stands: its stored tensors are the parameters, and the result is the same graph."""

# torch is optional and its stubs are partial; everything in this module is a torch call.
# pyright: basic

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.compress.sparsity import multiplying_weights
from roofline.compress.tensors import replace_data, stored_tensors, to_array
from roofline.errors import MissingPackageError
from roofline.graph.reading.graphs import copy_of
from roofline.temporary import temporary_folder

if TYPE_CHECKING:
    import onnx

TERNARY_THRESHOLD = 0.7
"""Weights below this share of the mean magnitude become zero (Li et al. 2016, https://arxiv.org/abs/1605.04711)."""


REMNANT = 1e-20
"""Weights below this are written as zero. Decay leaves such behind inputs that are zero in every image: they change no
sum, but as subnormal numbers, or in products that are, they take some processors a hundred times as long."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a network is trained; Adam with a rate that falls to zero along a half cosine."""

    epochs: int = 60
    rate: float = 2e-3
    batch: int = 32
    weight_decay: float = 1e-4
    seed: int = 0
    """Of the order of the images."""


def train(
    model: onnx.ModelProto,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    schedule: Schedule,
    *,
    keep_zeros: bool = False,
    ternary: bool = False,
) -> onnx.ModelProto:
    """Return the model with weights that classify the images; the given model is unchanged.

    Args:
        model: One image input with a leading batch dimension, one output of scores, all weights stored.
        images: Items along the first axis.
        labels: Their classes.
        schedule: Length, rate and seed.
        keep_zeros: Whether weights that are zero stay zero, as after weight pruning.
        ternary: Whether multiplying weights take part as minus, zero or plus one scale per tensor, with gradients
            passed straight through (Li et al. 2016); such values are what is written.

    Raises:
        MissingPackageError: torch is not installed.
    """
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError as error:
        raise MissingPackageError("torch", "experiments", "training") from error
    functional_call: Any = importlib.import_module("torch.func").functional_call
    threads = torch.get_num_threads()
    # On one thread sums have one order, so that the same torch gives the same weights on any number of cores.
    torch.set_num_threads(1)
    try:
        return _train(torch, functional_call, model, images, labels, schedule, keep_zeros, ternary)
    finally:
        torch.set_num_threads(threads)


def _train(
    torch: Any,
    functional_call: Any,
    model: onnx.ModelProto,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    schedule: Schedule,
    keep_zeros: bool,
    ternary: bool,
) -> onnx.ModelProto:
    module = _module(model)
    names = module.buffer_names
    multiplying = set(multiplying_weights(model))
    held = {name: getattr(module, names[name]).clone().requires_grad_() for name in names}
    masks = {
        name: (tensor != 0).float() for name, tensor in held.items() if keep_zeros and name in multiplying
    }  # fmt: skip

    def ternarize_in_use(name: str) -> Any:
        tensor = held[name]
        if ternary and name in multiplying:
            return tensor + (ternarize(torch, tensor) - tensor).detach()
        return tensor

    inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(
        held.values(), lr=schedule.rate, weight_decay=schedule.weight_decay
    )
    steps = schedule.epochs * -(-len(images) // schedule.batch)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = torch.Generator().manual_seed(schedule.seed)
    for _ in range(schedule.epochs):
        for chosen in torch.randperm(len(images), generator=order).split(schedule.batch):
            buffers = {names[name]: ternarize_in_use(name) for name in held}
            (scores,) = functional_call(module, buffers, (inputs[chosen],))
            loss = torch.nn.functional.cross_entropy(scores, targets[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            slower.step()
            with torch.no_grad():
                for name, mask in masks.items():
                    held[name].mul_(mask)
    with torch.no_grad():
        final = {name: without_remnants(ternarize_in_use(name).numpy()) for name in held}
    return _with_weights(model, final)


def without_remnants(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return weights with what decay left of some as zero."""
    return np.where(np.abs(weights) < REMNANT, np.float32(0), weights)


def ternarize(torch: Any, tensor: Any) -> Any:
    """Return a tensor whose elements are minus, zero or plus the mean of those above the threshold."""
    size = tensor.abs()
    large = size > TERNARY_THRESHOLD * size.mean()
    scale = size[large].mean()
    return torch.where(large, tensor.sign() * scale, torch.zeros_like(tensor))


def _module(model: onnx.ModelProto) -> Any:
    from roofline.validate.torch_runtime.graph import build_module

    whole = copy_of(model)
    for entry in whole.graph.input:
        entry.type.tensor_type.shape.dim[0].dim_value = 1
    with temporary_folder() as folder:
        path = folder / "model.onnx"
        path.write_bytes(whole.SerializeToString())
        return build_module(path)


def _with_weights(
    model: onnx.ModelProto, weights: Mapping[str, NDArray[np.float32]]
) -> onnx.ModelProto:
    trained = copy_of(model)
    stored = stored_tensors(trained)
    for name, array in weights.items():
        if to_array(stored[name]) is not None:
            replace_data(stored[name], array)
    return trained
