"""The look that every figure shares: colours, fonts, sizes, number formats."""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

# Okabe and Ito's colours, which the colour-blind tell apart; their yellow is darkened to be legible on white.
_FEW = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#222222", "#A89B00")
# Paul Tol's muted scheme and some more, for charts with many names.
_MANY = (
    *_FEW, "#332288", "#117733", "#882255", "#8C564B", "#999933", "#AA4499", "#6699CC", "#CC6677", "#7A5195",
    "#44AA99", "#666666", "#5E8C31",
)  # fmt: skip
# Machines of the papers, each with the colour at its place.
_OWN = (
    "zcu104-finn", "tx2:maxn", "ncs", "edgetpu:fast", "ultra96-dpu", "zcu104-bismo", "ultra96-a53", "zcu104-dpu",
    "tx2:maxp", "tx2:maxq", "edgetpu:slow", "zcu102-dpu",
)  # fmt: skip
# Machines that are most often compared, each with a colour at least 27 CIELAB units from any other's.
_ASKED = MappingProxyType(
    {
        "h100-sxm": "#0573BD", "b200-sxm": "#05BD05", "a100-sxm-80gb": "#F91A1A", "h200-sxm": "#F91AF9",
        "l4": "#BD9805", "rtx-4090": "#41AA8A", "rtx-5090": "#A51D61", "mi300x": "#052ABD", "t4": "#823717",
        "l40s": "#4D8217", "a10": "#9F55BE", "rtx-3090": "#E57506", "gb200": "#8A1AF9", "v100-sxm2-32gb": "#F91A5D",
        "tpu-v5e": "#23A7C7", "tpu-v6e": "#F91AB6", "rpi5": "#6F612A", "hailo-8": "#1A73F9", "hailo-8l": "#05BD61",
        "rk3588-npu": "#35358D", "apple-m4-max": "#2A5A6F", "dgx-spark": "#9805BD", "mi325x": "#6F2A38",
        "a100-pcie-80gb": "#BE7F55",
    }
)  # fmt: skip
_TECHNIQUES = MappingProxyType(
    {
        "channel pruning": "#0072B2", "int8": "#D55E00", "weight pruning": "#009E73", "fp16": "#CC79A7",
        "int4": "#56B4E9", "quantization": "#E69F00", "channel pruning and quantization": "#7A5195",
    }
)  # fmt: skip
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p", "d", "8", "H")
_LARGER = MappingProxyType({"P": 1.2, "X": 1.2, "*": 1.5})
_DASHES = ("-", "--", "-.", ":")
DASHES = len(_DASHES)
"""How many lines of one colour can be told apart."""

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
        # Labels between decades stand in one line with those at decades.
        "xtick.minor.pad": 5.0,
        # Names are written as they are: a dollar sign in one is no formula.
        "text.parse_math": False,
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


def machine_colour(machine: str) -> str:
    """Return the colour of a machine: the same in every figure and page, whatever else is shown.

    The papers' machines have one each that no other of them has, those that are compared most often likewise; any other
    has one that its name decides.

    Args:
        machine: A machine's name; what follows its first blank (a datatype, a runtime) changes nothing.

    Example:
        >>> machine_colour("ncs") == machine_colour("ncs fp16")
        True
    """
    name = machine.split(" ", 1)[0]
    if name in _OWN:
        return _MANY[_OWN.index(name)]
    if name in _ASKED:
        return _ASKED[name]
    place = zlib.crc32(name.encode())
    # All hues, none of them too light to be read on white or too dark to be told from black.
    shade = colorsys.hls_to_rgb(place % 3600 / 3600, (0.33, 0.42, 0.5)[place // 3600 % 3], 0.75)
    return "#" + "".join(f"{round(255 * part):02x}" for part in shade)


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name of things that are no machines, in alphabetical order."""
    return _deal(names, _MANY)


def technique_colour(technique: str) -> str:
    """Return the colour of a kind of compression: the same in every figure, whatever else is shown."""
    # What follows in brackets says how it ran.
    known = _TECHNIQUES.get(technique.split(" (", maxsplit=1)[0])
    return known or machine_colour(technique.replace(" ", "_"))


def markers(names: Iterable[str]) -> dict[str, str]:
    """Return a marker for each name, in alphabetical order."""
    return _deal(names, _MARKERS)


def size(marker: str, usual: float) -> float:
    """Return the size at which a marker looks as large as others; crosses and stars are thin.

    Args:
        marker: The marker.
        usual: The size of the others, in points.
    """
    return _LARGER.get(marker, 1.0) * usual


def dashes(names: Iterable[str]) -> dict[str, str]:
    """Return a line style for each name, in alphabetical order."""
    return _deal(names, _DASHES)


def _deal(names: Iterable[str], choices: Sequence[str]) -> dict[str, str]:
    return {name: choices[i % len(choices)] for i, name in enumerate(sorted(set(names)))}


def shades(count: int, first: float, last: float) -> list[str]:
    """Return colours from dark blue to yellow, as far apart as they can be.

    Args:
        count: How many.
        first: Place of the first on the scale, from 0 to 1.
        last: Place of the last.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    steps = max(1, count - 1)
    return [
        to_hex(colormaps["viridis"](first + (last - first) * place / steps))
        for place in range(count)
    ]


def shorten(value: float) -> str:
    """Return a number in at most five characters, with a prefix for thousands.

    Example:
        >>> shorten(0.05), shorten(306.7), shorten(49331), shorten(3.85e6), shorten(9996)
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
    text = shorten(value)
    return f"{text[:-1]} {text[-1]}{unit}" if text[-1].isalpha() else f"{text} {unit}"
