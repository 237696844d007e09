"""What a published table states and what else is known of it: runs that are miscounted, peaks of processors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from roofline.validate.evidence.cells import optional_number

if TYPE_CHECKING:
    from roofline.spec import Platform

MISCOUNTED = frozenset({("openvino", "bert-base-cased124"), ("openvino", "bert-base-cased[124]")})
"""Source and network of runs whose counts are not those of what ran: later tables of the source run BERT base 2.8 to
3.8 times as fast on the same seven machines, and BERT large as fast: more tokens were run than the name says."""

MOST_OF_PEAK: Mapping[str, float] = {"npu": 2.0, "fpga_dpu": 2.0}
"""Rate of arithmetic over the stated peak, by class, from which a row's counts are another network's: accelerators of
fixed clocks that compute in integers have no way past their peak."""

OF_CORES = "cpu_mobile"
"""The class whose tables state peaks of some cores, of which its platform files know better what they do."""


def is_miscounted(row: Mapping[str, str]) -> bool:
    """Return whether the counts that a row states are known to be another network's, or cannot be its own."""
    if (row.get("source", ""), row["network"]) in MISCOUNTED:
        return True
    most = MOST_OF_PEAK.get(row.get("machine_class", ""))
    giga, fps, peak = (optional_number(row, name) for name in ("gmacs", "fps", "peak_op_s"))
    return most is not None and 2e9 * giga * fps > most * peak


def scale_peaks(
    rows: Sequence[Mapping[str, str]], machines: Sequence[Platform | None], peaks: Sequence[float]
) -> list[float]:
    """Return the peaks of runs, those of processors of boards at the clocks and cores that their platform files have.

    A table states the peak of the cores that a run had, and the file that of all. Where a machine has runs on several
    cores, its peaks are scaled until the highest in single precision is the file's.

    Args:
        rows: The rows of a table.
        machines: The platform of each; None where there is no file.
        peaks: The peak that each states, in OP/s.
    """
    places: dict[str, list[int]] = defaultdict(list)
    known: dict[str, Platform] = {}
    for place, (row, machine) in enumerate(zip(rows, machines, strict=True)):
        if machine is not None and row["machine_class"] == OF_CORES:
            known[machine.key] = machine
            places[machine.key].append(place)
    found = list(peaks)
    for key, own in places.items():
        whole = [
            peaks[place]
            for place in own
            if rows[place]["datatype"] == "fp32" and float(rows[place].get("cores") or 1) > 1
        ]
        scale = known[key].peak("fp32") / max(whole) if whole else 1.0
        for place in own:
            found[place] = peaks[place] * scale
    return found
