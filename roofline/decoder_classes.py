"""Classes of machines whose public runs of decoders are alike: by them laws have factors and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.spec.names import without_mode

if TYPE_CHECKING:
    from roofline.spec import Platform

STACKED = 1.1e12
"""Bandwidth in B/s from which a data-centre card has stacked memory; below, it is built as a graphics card."""
_VENDORS = {"nvidia": "gpu_nvidia", "amd": "gpu_amd", "intel": "gpu_intel"}
_HOST_MEMORY = ("LPDDR", "DDR")
"""Kinds of memory that processors have, by which a graphics unit shares that of its host."""
_BOARDS = ("edge", "phone")
"""Segments whose processors are small."""
_VECTOR = frozenset({"apple", "unified", "gpu_board", "gpu_dc", *_VENDORS.values()})
"""Classes whose vector units unpack weights at each token; for others a term of it foretold machines no better."""
_SEVERAL = frozenset({"gpu_nvidia", "gpu_amd", "unified", "apple"})
"""Classes of which runs of several requests are known."""


def class_of(platform: Platform) -> str | None:
    """Return the class of machines whose runs are a basis: ``served``, or one of single users; None for others."""
    vendor = platform.vendor.casefold()
    if platform.kind == "gpu":
        if vendor == "apple":
            return "apple"
        if platform.segment == "data centre" and platform.bandwidth >= STACKED:
            return "served" if vendor == "nvidia" else None
        if platform.memories[0].name.startswith(_HOST_MEMORY):
            return "gpu_board" if platform.segment in _BOARDS else "unified"
        return _VENDORS.get(vendor)
    if platform.kind == "cpu":
        return "cpu_arm" if platform.segment in _BOARDS else "cpu"
    return "npu" if platform.kind == "npu" and platform.segment != "data centre" else None


def alone_class(platform: Platform) -> str | None:
    """Return the class of a machine among runs of one user in formats of llama.cpp; None where there are none."""
    kind = class_of(platform)
    return "gpu_dc" if kind == "served" else kind


def several_class(platform: Platform) -> str | None:
    """Return the class of a machine among runs of several requests; None where there are none.

    Runs of NVIDIA's data-centre cards with stacked memory are a law of their own (``served`` of `class_of`). AMD's
    cards are one class, for its software holds back prompts on all of them.
    """
    if platform.segment == "data centre" and platform.bandwidth >= STACKED:
        return {"nvidia": None, "amd": "gpu_amd"}.get(platform.vendor.casefold(), "accelerator")
    kind = class_of(platform)
    # Boards have few such runs: units with the memory of their host are one class.
    kind = "unified" if kind == "gpu_board" else kind
    return kind if kind in _SEVERAL else None


def silicon_of(platform: Platform) -> str:
    """Return what is one machine to its runs, whichever mode it is in."""
    return without_mode(platform.key)


def unpacking_peak(platform: Platform) -> float | None:
    """Return OP/s of the vector units that unpack weights as they are read; None for classes without such a term."""
    units = [unit for unit in ("fp32", "tf32", "bf16", "fp16") if platform.has(unit)]
    if alone_class(platform) not in _VECTOR or not units:
        return None
    return platform.peak(units[0])
