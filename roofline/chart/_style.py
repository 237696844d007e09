"""The look that every figure shares: colours, fonts, sizes, number formats."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

# Okabe and Ito's colours, which the colour-blind tell apart; their yellow is darkened to be legible on white.
_FEW = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#222222", "#A89B00")
# Paul Tol's muted scheme and some more, for charts with many names.
_MANY = (
    *_FEW, "#332288", "#117733", "#882255", "#44AA99", "#999933", "#AA4499", "#6699CC", "#CC6677", "#7A5195",
    "#8C564B", "#666666", "#5E8C31",
)  # fmt: skip
# Machines of the papers, each with the colour at its place.
_OWN = (
    "zcu104-finn", "tx2:maxn", "ncs", "edgetpu:fast", "ultra96-dpu", "zcu104-bismo", "ultra96-a53", "zcu104-dpu",
    "tx2:maxp", "tx2:maxq", "edgetpu:slow", "zcu102-dpu",
)  # fmt: skip
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p")
_DASHES = ("-", "--", "-.", ":")

PREDICTED = "#C4312B"
"""Red: what Equation 1 predicts."""
MEASURED = "#F28E1C"
"""Orange: what was measured."""
PEAK = "#2F6DB5"
"""Blue: throughput at the compute peak."""
THEORY = "#F28E1C"
"""Orange: theoretical Pareto points and frontier, as in the QuTiBench portal."""
PRACTICE = "#0066CC"
"""Blue: measured Pareto points and frontier, as in the QuTiBench portal."""
GREY = "#8A8A8A"
INK = "#222222"

BOUND: Mapping[str, str] = MappingProxyType(
    {"compute": "#0072B2", "memory": "#D55E00", "latency": "#8A8A8A"}
)
"""What holds a layer or network back."""

RC: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "axes.edgecolor": "#555555",
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": "#E3E3E3",
        "grid.linewidth": 0.7,
        "xtick.color": "#444444",
        "ytick.color": "#444444",
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "figure.dpi": 110,
        "savefig.dpi": 160,
        "svg.hashsalt": "roofline",
        "pdf.compression": 6,
        "text.usetex": False,
    }
)
"""Matplotlib settings; applied while a figure is drawn and saved, never left behind."""


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name: the same name keeps its colour from chart to chart where it can.

    Each name has a preferred colour, which its first word decides: the papers' machines have one each that no other of
    them has. Where two names prefer the same, the later in the alphabet takes the next free one.

    Example:
        >>> colours(["tx2:maxn", "ncs"]) == colours(["ncs", "tx2:maxn"])
        True
        >>> colours(["ncs"])["ncs"] == colours(["ncs", "t4", "l4"])["ncs"]
        True
    """
    wanted = {name: _preferred(name) for name in sorted(set(names))}
    slots: dict[str, int] = {}
    late: list[str] = []
    for name in sorted(wanted, key=lambda name: (_machine(name) not in _OWN, name)):
        slot = wanted[name]
        if slot in slots.values():
            late.append(name)
        else:
            slots[name] = slot
    for name in late:
        taken = set(slots.values())
        slot = wanted[name]
        while slot in taken and len(taken) < len(_MANY):
            slot = (slot + 1) % len(_MANY)
        slots[name] = slot
    return {name: _MANY[slots[name]] for name in wanted}


def markers(names: Iterable[str]) -> dict[str, str]:
    """Return a marker for each name, in alphabetical order."""
    return {name: _MARKERS[i % len(_MARKERS)] for i, name in enumerate(sorted(set(names)))}


def dashes(names: Iterable[str]) -> dict[str, str]:
    """Return a line style for each name, in alphabetical order."""
    return {name: _DASHES[i % len(_DASHES)] for i, name in enumerate(sorted(set(names)))}


def short(value: float) -> str:
    """Return a number in at most five characters, with a prefix for thousands.

    Example:
        >>> short(0.05), short(306.7), short(49331), short(3.85e6), short(9996)
        ('0.05', '307', '49.3k', '3.85M', '10k')
    """
    for factor, prefix in ((1, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P")):
        scaled = float(f"{value / factor:.3g}")
        if abs(scaled) < 1000:
            return f"{scaled:.3g}{prefix}"
    return f"{value:.1e}"


def rate(value: float, unit: str) -> str:
    """Return a rate with a prefixed unit.

    Example:
        >>> rate(1.33e12, "OP/s"), rate(59.7e9, "B/s")
        ('1.33 TOP/s', '59.7 GB/s')
    """
    text = short(value)
    return f"{text[:-1]} {text[-1]}{unit}" if text[-1].isalpha() else f"{text} {unit}"


def _machine(name: str) -> str:
    return name.split(" ", 1)[0]


def _preferred(name: str) -> int:
    if _machine(name) in _OWN:
        return _OWN.index(_machine(name))
    return zlib.crc32(name.encode()) % len(_FEW)
