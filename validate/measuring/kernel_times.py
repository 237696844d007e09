"""Times of single kernels, mapped back to the layers of the ONNX graph that they compute.

A compiler fuses layers and forgets their names. What stays is the order of the calls and the number of
multiply-accumulates of each: a kernel is taken for the next layer that has as many. What finds no partner is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from roofline.tables import Record
from roofline.validate.records.record import KernelTime, Measurement

if TYPE_CHECKING:
    from roofline.model import Prediction
    from roofline.workload import Workload

PER_LAYER = "per_layer"
"""Name of the job's option that asks a backend for the times of its kernels."""

# Kernels on blocks compute channels that fill up the last block too: up to this many times the layer's own products.
_FILLED = 2.7


def map_to_layers(times: Sequence[KernelTime], workload: Workload) -> tuple[KernelTime, ...]:
    """Return the kernels with the names of the layers they compute.

    Args:
        times: Kernels in the order of their calls.
        workload: The network, its layers in execution order.
    """
    layers = [layer for layer in workload.fused_layers or workload.layers if layer.cost.macs]
    with_products = [time for time in times if time.macs]
    alike = len(layers) == len(with_products)
    place = 0
    found: list[KernelTime] = []
    for time in times:
        if not time.macs:
            found.append(time)
            continue
        candidates = range(place, place + 1) if alike else range(place, len(layers))
        partner = next(
            (at for at in candidates if alike or _is_same_size(time.macs, layers[at].cost.macs)),
            None,
        )
        if partner is None:
            found.append(time)
            continue
        place = partner + 1
        layer = layers[partner]
        found.append(KernelTime(time.kernel, time.seconds, time.macs, layer.name))
    return tuple(found)


def _is_same_size(counted: int, layer: int) -> bool:
    return layer <= counted <= _FILLED * layer


def layer_rows(measurement: Measurement, prediction: Prediction) -> list[Record]:
    """Return predicted and measured time of every layer that was found again: the table of the chart ``layers``.

    Args:
        measurement: A run with the times of its kernels.
        prediction: Of the same network, by layers (``layerwise``).
    """
    measured = {time.layer: time.seconds for time in measurement.kernel_times if time.layer}
    return [
        {
            "network": prediction.network,
            "platform": prediction.platform,
            "datatype": prediction.datatype,
            "batch": prediction.batch,
            "layer": layer.name,
            "op_type": layer.op_type,
            "time_ms": 1e3 * layer.time_s,
            "measured_ms": 1e3 * measured[layer.name],
            "efficiency": layer.time_s / measured[layer.name],
            "bound": layer.bound.value,
        }
        for layer in prediction.layers
        if measured.get(layer.name)
    ]
