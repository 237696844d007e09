"""Which of a machine's units a network, and each of its layers, runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from roofline.errors import DatatypeError
from roofline.precision import COMPUTE_DATATYPES, DATATYPES, DatatypeKind, Precision, precision
from roofline.surfaces import DATATYPE, EMULATE

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Layer, Workload

_WIDENED = ("fp16", "bf16", "tf32", "fp32")
"""Units that weights narrower than the activations are widened for; of equally fast ones the first."""


def main_datatype(workload: Workload) -> str | None:
    """Return the datatype in which most multiply-accumulates are done; None when the layers name none."""
    macs: dict[str, int] = {}
    for layer in workload.layers:
        if layer.datatype is not None:
            macs[layer.datatype] = macs.get(layer.datatype, 0) + layer.cost.macs
    return max(macs, key=lambda name: macs[name], default=None)


def choose_unit(
    platform: Platform, asked: Precision | str, *, emulate: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Return the unit a datatype runs on, and notes about it.

    Where weights alone are narrow (``q4_k_m``, ``w4a16``) it is the fastest float unit that they can be widened for.

    Args:
        platform: The machine.
        asked: A precision, or its name: ``int8``, ``w4a8``.
        emulate: Whether the next wider unit may stand in for one that the machine lacks.

    Raises:
        DatatypeError: The machine has no such unit, or none wider.
    """
    stored = precision(asked)
    name, wanted = str(asked), stored.peak
    there = [unit for unit in _WIDENED if platform.has(unit)]
    if stored.is_widened and there:
        unit = max(there, key=platform.peak)
        notes = (f"weights in {name} are widened for the {unit} unit of {platform.key}",)
        return unit, () if unit == wanted else notes
    if stored.is_widened:
        raise DatatypeError(
            f"{platform.key} has no unit of floats that {name} could be widened for; it has "
            f"{', '.join(platform.datatypes)}",
            repair=f"Choose one of them with {DATATYPE}, or a form such as w4a8",
        )
    if platform.has(wanted):
        return wanted, ()
    if not emulate:
        repair = f"Choose one of them with {DATATYPE}"
        if _holding_unit(platform, wanted) is not None:
            repair += f", or let {EMULATE} run on the next wider one"
        raise DatatypeError(platform.lack_of(wanted), repair=repair)
    unit = platform.emulation(wanted)
    return unit, (f"{name} is emulated: it runs on the {unit} unit of {platform.key}",)


def layer_units(
    workload: Workload, platform: Platform, unit: str, layers: Sequence[Layer]
) -> list[str]:
    """Return the unit of each layer: its own datatype's where that differs from the network's and the machine has it.

    Args:
        workload: The network the layers are of.
        platform: The machine.
        unit: The unit of the network's main datatype.
        layers: Its layers, in the view that is predicted.
    """
    own = main_datatype(workload)
    named = {layer.datatype for layer in layers if layer.datatype is not None}
    units = {name: precision(name).peak for name in named - {own} if name in COMPUTE_DATATYPES}
    multiplied = {layer.datatype for layer in layers if layer.cost.macs}
    for name, peak in units.items():
        # Products of wider integers than the network's main ones do not fit into that unit.
        if name in multiplied and DATATYPES[name].kind is DatatypeKind.INT:
            units[name] = _holding_unit(platform, peak) or peak
    units = {name: peak for name, peak in units.items() if platform.has(peak)}
    return [units.get(layer.datatype or "", unit) for layer in layers]


def _holding_unit(platform: Platform, peak: str) -> str | None:
    """Return the machine's unit that holds every value of a peak's datatype: its own or the next wider; else None."""
    try:
        return platform.emulation(peak)
    except DatatypeError:
        return None
