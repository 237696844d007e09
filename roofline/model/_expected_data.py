"""The parameters of `expected` that are shipped: the law, its quantiles, and what they were fitted to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypedDict

from roofline.model import _law_document, _quantiles
from roofline.model._law_document import LawDocument
from roofline.model._law_estimates import KNOWN
from roofline.model._machine_roofs import Roofs
from roofline.model._quantiles import Quantiles, QuantilesDocument
from roofline.model._time_law import TimeLaw

NAME = "expected.json"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the evidence has of a runtime on a class of machines."""

    runs: int
    machines: int
    latency: bool
    """Whether some of it are single runs, one after the other, whose time is a latency."""
    throughput: bool
    """Whether some of it has several runs in flight."""
    speed: float
    """Logarithm of the rate of one network on a machine in the middle of the class, to tell the fastest runtime."""
    cores: float
    """Median over machines of the cores that their fastest runs use."""


@dataclass(frozen=True, slots=True)
class MachineRuns:
    """How a machine of the evidence was run."""

    machine_class: str
    speeds: Mapping[str, float]
    """Per runtime the logarithm of the rate of one network."""
    cores: float
    """Cores that its fastest runs use."""
    ways: Mapping[str, int]
    """How many runs it has in each way, `Facts.way`."""
    roofs: Roofs | None = None
    """None where it has no platform file."""

    @property
    def runs(self) -> Mapping[str, int]:
        """How many runs it has, per runtime."""
        found = Counter[str]()
        for way, count in self.ways.items():
            found[way.partition("/")[0]] += count
        return found

    @property
    def maker(self) -> str | None:
        """Who made it; None where that is not known."""
        return None if self.roofs is None else self.roofs.vendor

    def find_fastest(self, among: Container[str]) -> str | None:
        """Return the fastest runtime of some, of those with a tenth of the runs of the most run; None for none."""
        known = [name for name in self.speeds if name in among]
        most = max((self.runs[name] for name in known), default=0)
        often = [name for name in known if OFTEN * self.runs[name] >= most]
        return max(often, key=lambda name: self.speeds[name], default=None)


OFTEN = 10
"""How many times fewer runs than another a machine's runtime may have, or machines a class's, and still be taken."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """A version of the model."""

    version: str
    law: TimeLaw
    quantiles: Quantiles
    usage: Mapping[str, Mapping[str, Usage]]
    """Per class of machines and runtime."""
    machines: Mapping[str, MachineRuns]
    """The machines of the evidence, by key."""
    provenance: Mapping[str, object]
    """Digest, runs, machines and sources of the evidence."""


class ParametersDocument(TypedDict):
    """A version of the model as files hold it."""

    version: str
    provenance: Mapping[str, object]
    usage: Mapping[str, Mapping[str, Sequence[Any]]]
    """The fields of each `Usage` in order."""
    machines: Mapping[str, Sequence[Any]]
    """Those of each `MachineRuns`."""
    quantiles: Mapping[str, QuantilesDocument]
    law: LawDocument


@cache
def shipped_parameters() -> Parameters:
    """Return the parameters that come with the program."""
    text = files("roofline.model").joinpath(NAME).read_text(encoding="utf-8")
    return from_document(json.loads(text))


def to_document(parameters: Parameters) -> ParametersDocument:
    """Return parameters as plain data."""
    return {
        "version": parameters.version,
        "provenance": dict(parameters.provenance),
        "usage": {
            name: {runtime: _usage_to_document(u) for runtime, u in found.items()}
            for name, found in parameters.usage.items()
        },
        "machines": {
            name: [
                ran.machine_class,
                {k: round(v, 4) for k, v in ran.speeds.items()},
                ran.cores,
                dict(ran.ways),
                None if ran.roofs is None else _roofs_to_document(ran.roofs),
            ]
            for name, ran in parameters.machines.items()
        },
        "quantiles": {
            name: _quantiles.to_document(parameters.quantiles.tables[name]) for name in KNOWN
        },
        "law": _law_document.to_document(parameters.law),
    }


def _usage_to_document(u: Usage) -> list[Any]:
    """Return what the evidence has of a runtime as plain data: the fields in order."""
    speed = round(u.speed, 4)
    return [u.runs, u.machines, u.latency, u.throughput, speed, u.cores]


def _roofs_to_document(roofs: Roofs) -> list[Any]:
    """Return roofs as plain data: the fields in order, to five digits."""
    peaks = {name: float(f"{peak:.5g}") for name, peak in roofs.peaks.items()}
    return [roofs.vendor, peaks, float(f"{roofs.bandwidth:.5g}"), float(f"{roofs.held:.5g}")]


def from_document(document: ParametersDocument) -> Parameters:
    """Return the parameters that plain data describe."""
    return Parameters(
        document["version"],
        _law_document.from_document(document["law"]),
        Quantiles(
            {
                name: _quantiles.from_document(table)
                for name, table in document["quantiles"].items()
            }
        ),
        {
            name: {runtime: Usage(*entry) for runtime, entry in found.items()}
            for name, found in document["usage"].items()
        },
        {
            name: MachineRuns(*entry[:4], roofs=None if entry[4] is None else Roofs(*entry[4]))
            for name, entry in document["machines"].items()
        },
        document["provenance"],
    )
