"""What the time law is told of runs, real ones and those that are estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats
from roofline.model._layer_groups import LayerGroups, joined_groups, no_layers

FAMILIES = {
    "cpu": "cpu",
    "cpu_mobile": "cpu",
    "gpu_dc": "gpu",
    "gpu_consumer": "gpu",
    "gpu_embedded": "gpu",
    "npu": "accelerator",
    "fpga_dpu": "accelerator",
    "accelerator": "accelerator",
    "dla": "accelerator",
    "dsp": "accelerator",
    "fpga": "accelerator",
    "gpu": "gpu",
    "tpu": "accelerator",
    "vpu": "accelerator",
}
"""The family of each class of machines; behind those that published runs are of, others that tables name."""

LEVELS = ("all", "family", "runtime", "class", "class/runtime")
"""What coefficients belong to, parents first."""

NUMBERS = (
    "peak", "bandwidth", "cores", "batch", "macs", "parameters", "activations", "depthwise", "grouped",
    "attention", "weight_bytes", "activation_bytes", "throughput", "held", "half", "phone", "year",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What the law is told of each run; arrays with one entry per run, in base units."""

    machine: NDArray[np.object_]
    """The machine's key; a known one brings what was measured on it."""
    machine_class: NDArray[np.object_]
    runtime: NDArray[np.object_]
    datatype: NDArray[np.object_]
    numbers: Mapping[str, Floats]
    """One array for each of `NUMBERS`: peak in OP/s at the datatype, bandwidth in B/s, cores that share the peak, items
    per batch, multiply-accumulates, parameters and activation elements per item, shares of multiply-accumulates that
    are depthwise, grouped or attention, bytes per element, 1 where several runs are in flight, the bytes of weights
    that stay on the chip (0 where none do), 1 where a mobile processor has arithmetic of half precision, which runtimes
    use for networks in single precision, 1 where an accelerator is of a phone, and the year of the machine."""
    layers: LayerGroups | None = None
    """The layers of each run's network; None where those of no run are known."""

    def __len__(self) -> int:
        return len(self.machine)

    def take(self, rows: NDArray[Any]) -> Facts:
        """Return the facts of some rows."""
        return Facts(
            self.machine[rows],
            self.machine_class[rows],
            self.runtime[rows],
            self.datatype[rows],
            {name: values[rows] for name, values in self.numbers.items()},
            None if self.layers is None else self.layers.take(rows),
        )

    @property
    def layered(self) -> NDArray[np.bool_]:
        """Which runs' layers are known."""
        return np.zeros(len(self), np.bool_) if self.layers is None else self.layers.known

    @property
    def pipelined(self) -> NDArray[np.bool_]:
        """Which runs are on a chip that holds all weights: layers work side by side, not one after the other."""
        n = self.numbers
        return n["parameters"] * n["weight_bytes"] <= n["held"]

    def at(self, batches: Floats) -> Facts:
        """Return the facts at other batches; of a single run, numbers that the batch does not change stay one."""
        return replace(self, numbers={**self.numbers, "batch": batches})

    @property
    def where(self) -> NDArray[np.object_]:
        """Class and runtime of each run, ``cpu/openvino``."""
        return self.machine_class + np.asarray(["/"], object) + self.runtime

    @property
    def own(self) -> NDArray[np.object_]:
        """Machine and runtime of each run, ``i5-8500/openvino``."""
        return self.machine + np.asarray(["/"], object) + self.runtime

    @property
    def setting(self) -> NDArray[np.object_]:
        """Runtime and datatype of each run, ``openvino/int8``."""
        return self.runtime + np.asarray(["/"], object) + self.datatype

    @property
    def way(self) -> NDArray[np.object_]:
        """Runtime and datatype of each run, and whether several are in flight, ``openvino/int8/several``."""
        several = np.where(self.numbers["throughput"] > 0, "/several", "/single")
        return self.setting + several.astype(object)

    @property
    def own_at(self) -> NDArray[np.object_]:
        """Machine, runtime and datatype of each run, ``i5-8500/openvino/int8``."""
        return self.own + np.asarray(["/"], object) + self.datatype

    @property
    def terms(self) -> tuple[Floats, Floats, Floats]:
        """C, W and A in seconds per batch."""
        n = self.numbers
        excess = np.maximum(0, n["parameters"] * n["weight_bytes"] - n["held"])
        return (
            2 * n["macs"] * n["batch"] / n["peak"],
            excess / n["bandwidth"],
            # What holds all weights is a pipeline: activations go from layer to layer on the chip.
            np.where(excess > 0, 2 * n["activations"] * n["activation_bytes"] * n["batch"], 0)
            / n["bandwidth"],
        )

    def labels(self, level: str) -> NDArray[np.object_]:
        """Return what each run belongs to at a level.

        A runtime is of a family of classes: what it compiles for a card has nothing of what it does for a processor.
        """
        family = np.asarray([FAMILIES.get(name, "") for name in self.machine_class], object)
        if level == "family":
            return family
        if level == "runtime":
            return family + np.asarray(["/"], object) + self.runtime
        return self.machine_class if level == "class" else self.where


def join_facts(parts: Sequence[Facts]) -> Facts:
    """Return the facts of several sets of runs as one, in order."""
    layers = [part.layers or no_layers(len(part)) for part in parts]
    return Facts(
        np.concatenate([part.machine for part in parts]),
        np.concatenate([part.machine_class for part in parts]),
        np.concatenate([part.runtime for part in parts]),
        np.concatenate([part.datatype for part in parts]),
        {name: np.concatenate([part.numbers[name] for part in parts]) for name in NUMBERS},
        joined_groups(layers),
    )
