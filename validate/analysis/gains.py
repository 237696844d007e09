"""What compression gains beside what it was predicted to gain, and whether pruning and quantization add up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from roofline.errors import OptionError, RooflineError
from roofline.precision import width_of
from roofline.speedup import Orthogonality, orthogonality
from roofline.tables import Record
from roofline.validate.analysis.configurations import Configuration
from roofline.validate.records.record import Measurement

if TYPE_CHECKING:
    from roofline.spec import Platform


def predicted_speedup(
    base: Configuration, compressed: Configuration, machine: Platform, model: str = "equation1"
) -> float | None:
    """Return the speed-up of one configuration over another that a model predicts.

    Args:
        base: The dense configuration.
        compressed: The compressed one.
        machine: What both ran on.
        model: The prediction model.

    Returns:
        The speed-up, or None where the network cannot be counted or the machine has no unit for the datatype.
    """
    from roofline.model import predict

    try:
        before, after = (
            predict(entry.workload(), machine, batch=entry.batch, model=model).latency_s
            for entry in (base, compressed)
        )
    except RooflineError:
        return None
    return None if before is None or after is None else before / after


def squares(found: Iterable[Configuration]) -> list[Record]:
    """Return what pruning and quantization gain alone and together, for every four configurations that tell.

    Returns:
        Rows with the throughputs A (wide, dense), B (narrow, dense), C (wide, pruned) and D (narrow, pruned) in frames
        per second, the gains p1, p2, q1, q2, and ``orthogonality``, AD/BC (Blott et al. 2021, Table 8).
    """
    groups: dict[tuple[Any, ...], dict[tuple[str, str], Configuration]] = {}
    for entry in found:
        place = entry.beside("technique", "removed", "variant", "datatype")
        groups.setdefault(place, {})[entry.variant, entry.datatype] = entry
    rows: list[Record] = []
    for group in groups.values():
        datatypes = sorted({datatype for _, datatype in group}, key=width_of, reverse=True)
        variants = [name for name in dict.fromkeys(name for name, _ in group) if name != "dense"]
        for narrow in datatypes[1:]:
            for pruned in variants:
                corners = [("dense", datatypes[0]), ("dense", narrow), (pruned, datatypes[0]),
                           (pruned, narrow)]  # fmt: skip
                if all(corner in group for corner in corners):
                    rows.append(_square([group[corner] for corner in corners]))
    return rows


def orthogonality_of(
    a: Measurement, b: Measurement, c: Measurement, d: Measurement
) -> Orthogonality:
    """Return the gains between four records of one network on one machine.

    Args:
        a: Wide and dense.
        b: Narrow and dense.
        c: Wide and pruned.
        d: Narrow and pruned.

    Raises:
        OptionError: The records are not such a square, or one has no throughput.
    """
    records = (a, b, c, d)
    for what, differ in (
        ("network", len({record.job.network for record in records}) > 1),
        ("machine", len({record.machine or record.environment.host for record in records}) > 1),
        ("backend", len({record.job.backend for record in records}) > 1),
        ("batch", len({record.job.batch for record in records}) > 1),
        ("threads", len({record.job.threads for record in records}) > 1),
        (
            "pruning",
            a.job.compression.label != b.job.compression.label
            or c.job.compression.label != d.job.compression.label,
        ),
        ("datatype", a.job.datatype != c.job.datatype or b.job.datatype != d.job.datatype),
    ):
        if differ:
            raise OptionError(
                f"the four records differ in {what} where they must not",
                repair="Give wide and dense, narrow and dense, wide and pruned, narrow and pruned",
            )
    rates = [record.throughput_fps for record in records]
    if None in rates:
        raise OptionError("one of the four records has no throughput: its run did not end well")
    return orthogonality(*(rate for rate in rates if rate is not None))


def _square(corners: list[Configuration]) -> Record:
    a, b, c, d = (entry.batch / entry.seconds for entry in corners)
    gains = orthogonality(a, b, c, d)
    shown = corners[3].row()
    del shown["technique"], shown["datatype"]
    return {
        **shown, "wide": corners[0].datatype, "narrow": corners[3].datatype, "A": a, "B": b, "C": c, "D": d,
        "p1": gains.p1, "p2": gains.p2, "q1": gains.q1, "q2": gains.q2, "orthogonality": gains.ratio,
    }  # fmt: skip
