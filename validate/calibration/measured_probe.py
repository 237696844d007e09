"""A probe beside its times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from roofline.model.kinds import works
from roofline.model.work import Work
from roofline.validate.calibration.microbenchmarks import ProbeTimes
from roofline.validate.calibration.probes import USING_UP, Probe
from roofline.workload import Workload


@dataclass(frozen=True)
class MeasuredProbe:
    """A probe with its times and what its two models ask for."""

    probe: Probe
    times: ProbeTimes

    @cached_property
    def one(self) -> Workload:
        """What the shorter model asks for."""
        return _count(self.probe, 1)

    @cached_property
    def many(self) -> Workload:
        """What the longer model asks for, with all copies."""
        return _count(self.probe, 1 + self.probe.copies)

    @property
    def used_up(self) -> int:
        """How many more layers the longer model has that only use up a result."""
        counts = [
            sum(layer.op_type in USING_UP for layer in workload.layers)
            for workload in (self.many, self.one)
        ]
        return 0 if self.probe.of in USING_UP else counts[0] - counts[1]

    def targets(self, workload: Workload) -> list[Work]:
        """Return the works of the operator that is measured."""
        found = [works(layer) for layer in workload.layers if layer.op_type == self.probe.of]
        return [work for work in found if work is not None]


def _count(probe: Probe, copies: int) -> Workload:
    import onnx

    return Workload.from_onnx(onnx.load_from_string(probe.build(copies)), name=probe.name)
