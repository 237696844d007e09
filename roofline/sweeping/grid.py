"""What a sweep goes through: networks × variants × machines × datatypes × batches, in this order, every one a row."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from roofline.compression_flags import compress_by_flags
from roofline.model import Choices, models
from roofline.spec import Platform
from roofline.spec._frozen import Strict
from roofline.workload import Workload

PART_ROWS = 1 << 18
"""Rows of one part of a sweep: what is done at once, written at once, and done again if it is lost."""


def _texts(given: Any) -> Any:
    """Return one share, or several of layers, as the flags of the command line have them."""
    several = isinstance(given, list | tuple)
    entries = cast("Sequence[Any]", given if several else [given])
    return tuple(str(each) if isinstance(each, str | int | float) else each for each in entries)


Shares = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class Variant(Strict):
    """How a network is compressed, in the words of the command line's flags."""

    keep_channels: Shares = ()
    sparsity: Shares = ()
    sparse_format: str = "dense"


class Assumptions(Strict):
    """What all predictions of a sweep have in common, by the names that one prediction has for it."""

    model: str = "equation1"
    traffic: str | None = None
    operations: str | None = None
    weights_read: str = "per-batch"
    emulate: Annotated[bool, Field(strict=True)] = False
    runtime: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One network at one variant and datatype on one machine; all batches of it are rows."""

    workload: Workload
    """At its variant and datatype."""
    platform: Platform
    datatype: str | None
    """None for the network's own."""


@dataclass(frozen=True)
class Grid:
    """Every combination of what it lists, and the choices that all have in common."""

    networks: tuple[Workload, ...]
    digests: tuple[str, ...]
    """Of what each network was counted from; two sweeps of other networks are never taken for one another."""
    platforms: tuple[Platform, ...]
    variants: tuple[Variant, ...] = (Variant(),)
    datatypes: tuple[str | None, ...] = (None,)
    batches: Sequence[int] = (1,)
    """A range stands for as many batches as it has."""
    assumed: Assumptions = field(default_factory=Assumptions)
    part_rows: int = PART_ROWS
    _ready: dict[tuple[int, int, int], Workload] = field(
        default_factory=dict[tuple[int, int, int], Workload], init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        models.get(self.assumed.model)

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """How many networks, variants, machines, datatypes and batches there are."""
        axes = (self.networks, self.variants, self.platforms, self.datatypes, self.batches)
        return (len(axes[0]), len(axes[1]), len(axes[2]), len(axes[3]), len(axes[4]))

    @property
    def points(self) -> int:
        """How many combinations there are without the batches."""
        return math.prod(self.sizes[:4])

    @property
    def rows(self) -> int:
        """How many predictions are asked for."""
        return self.points * len(self.batches)

    @property
    def parts(self) -> int:
        """How many parts it is done in."""
        return math.ceil(self.rows / self.part_rows)

    def items(self, first: int, last: int) -> NDArray[np.int64]:
        """Return some of the batches as an array; a range of millions is never one as a whole."""
        return np.asarray(self.batches[first:last], np.int64)

    def point(self, index: int) -> Point:
        """Return a combination by its place."""
        _, variants, platforms, datatypes, _ = self.sizes
        index, datatype = divmod(index, datatypes)
        index, platform = divmod(index, platforms)
        network, variant = divmod(index, variants)
        return Point(
            self._workload(network, variant, datatype),
            self.platforms[platform],
            self.datatypes[datatype],
        )

    def stretches(self, part: int) -> Iterator[tuple[int, int, int]]:
        """Yield what a part consists of: combinations, each with the first and behind the last of its batches."""
        batches = len(self.batches)
        at, end = part * self.part_rows, min(self.rows, (part + 1) * self.part_rows)
        while at < end:
            point, first = divmod(at, batches)
            last = min(batches, first + end - at)
            yield point, first, last
            at += last - first

    def choices(self, datatype: str | None) -> Choices:
        """Return what all rows of a datatype have in common."""
        common = self.assumed
        return {
            "datatype": datatype, "traffic": common.traffic, "operations": common.operations,
            "weights_read": common.weights_read, "emulate": common.emulate, "runtime": common.runtime,
        }  # fmt: skip

    @cached_property
    def identity(self) -> dict[str, object]:
        """What makes this sweep another than any other, as plain data."""
        at = self.batches
        batches: Any = (
            {"from": at.start, "to": at[-1], "step": at.step}
            if isinstance(at, range)
            else list(at)
        )
        machines = [platform.specification.model_dump_json() for platform in self.platforms]
        return {
            "networks": [
                {"network": network.name, "digest": digest}
                for network, digest in zip(self.networks, self.digests, strict=True)
            ],
            "platforms": [
                {"platform": platform.key, "digest": _digest(text.encode())}
                for platform, text in zip(self.platforms, machines, strict=True)
            ],
            "variants": [variant.model_dump() for variant in self.variants],
            "datatypes": list(self.datatypes), "batches": batches, **self.assumed.model_dump(),
            "rows": self.rows, "part_rows": self.part_rows,
        }  # fmt: skip

    @property
    def digest(self) -> str:
        """A digest of the identity."""
        return _digest(json.dumps(self.identity, sort_keys=True).encode())

    def _workload(self, network: int, variant: int, datatype: int) -> Workload:
        place = (network, variant, datatype)
        found = self._ready.get(place)
        if found is None:
            # Rows are in the order of networks, so that no other is needed again.
            for old in [key for key in self._ready if key[:2] != place[:2]]:
                del self._ready[old]
            asked, name = self.variants[variant], self.datatypes[datatype]
            found = self._ready[place] = compress_by_flags(
                self.networks[network], asked.keep_channels, asked.sparsity, asked.sparse_format,
                [] if name is None else [name],
            )  # fmt: skip
        return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
