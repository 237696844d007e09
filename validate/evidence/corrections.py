"""What a published table states and what else is known of it: runs that are miscounted, peaks of processors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from roofline.model._units import choose_unit

if TYPE_CHECKING:
    from roofline.spec import Platform

MISCOUNTED = frozenset({("openvino", "bert-base-cased124"), ("openvino", "bert-base-cased[124]")})
"""Source and network of runs whose counts are not those of what ran: later tables of the source run BERT base 2.8 to
3.8 times as fast on the same seven machines, and BERT large as fast: more tokens were run than the name says."""

OF_CORES = "cpu_mobile"
"""The class whose tables state peaks of some cores, of which its platform files know better what they do."""


def is_miscounted(row: Mapping[str, str]) -> bool:
    """Return whether the counts that a row states are known to be another network's."""
    return (row.get("source", ""), row["network"]) in MISCOUNTED


def scale_peaks(
    rows: Sequence[Mapping[str, str]], machines: Sequence[Platform | None], peaks: Sequence[float]
) -> list[float]:
    """Return the peaks of runs, those of processors of boards as their platform files have them.

    A table states the peak of the cores that a run had. What their instructions do in a cycle stands in the file, with
    which estimates are made: how many times that of single precision a datatype has is the file's, and the peak of all
    cores in single precision where a run had several.

    Args:
        rows: The rows of a table.
        machines: The platform of each; None where there is no file.
        peaks: The peak that each states, in OP/s.
    """
    places: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    known = {}
    for place, (row, machine) in enumerate(zip(rows, machines, strict=True)):
        if machine is not None and row["machine_class"] == OF_CORES:
            known[machine.key] = machine
            places[machine.key][row["datatype"]].append(place)
    found = list(peaks)
    for key, by_datatype in places.items():
        single = by_datatype.get("fp32")
        if single is None:
            continue
        whole = max(peaks[place] for place in single)
        several = any(float(rows[place].get("cores") or 1) > 1 for place in single)
        cores = known[key].peak("fp32") / whole if several else 1.0
        for datatype, own in by_datatype.items():
            times = (
                _times_single(known[key], datatype) * whole / max(peaks[place] for place in own)
            )
            for place in own:
                found[place] = peaks[place] * cores * times
    return found


def _times_single(machine: Platform, datatype: str) -> float:
    """Return how many times its peak in single precision a machine has at a datatype."""
    unit, _ = choose_unit(machine, datatype)
    return machine.peak(unit) / machine.peak("fp32")
