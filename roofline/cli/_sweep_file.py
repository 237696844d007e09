"""The file that ``roofline sweep`` takes: which networks, variants, machines, datatypes and batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import Discriminator, Field, PrivateAttr, Tag, model_validator

from roofline.cli._decoding import NEW_TOKENS
from roofline.compression_flags import request
from roofline.conventions import Operations, Traffic, WeightsRead, choice
from roofline.decoding.request import CONTEXT, Phase, Request
from roofline.errors import OptionError, RooflineError, word_repairs_for
from roofline.number_format import plural
from roofline.precision import precision
from roofline.reading import MAX_INTEGER, exists, is_file
from roofline.spec import platform
from roofline.spec._frozen import Strict, broken_rule
from roofline.spec.checking import read_checked
from roofline.spec.problem import Problem
from roofline.surfaces import OPERATIONS, TRAFFIC, WEIGHTS_READ, Surface
from roofline.sweeping.grid import Assumptions, Variant

SCHEMA_VERSION = 1
"""Version of the file's format."""
MAX_BYTES = 1 << 20
"""The largest sweep file that is read."""
MAX_VALUES = 100_000
"""The most keys and values in one file."""
MAX_PREDICTIONS = 1_000_000
"""The most predictions of one sweep that is not written into a folder: all of them are held in memory."""

EXAMPLE = """\
schema_version: 1
networks: [resnet50, mobilenet_v1]   # shipped networks, or .onnx files beside this one
platforms: [tx2:maxn, h100-sxm]      # keys, or .yaml files beside this one
variants:                            # optional: how the networks are compressed
  - {}
  - {keep_channels: 0.5}
  - {sparsity: 0.9, sparse_format: csr}
datatypes: [fp16, int8]              # optional: the networks' own
batches: [1, 8, 64]                  # optional: 1; or a range: {from: 1, to: 4096, step: 1}
model: equation1                     # optional, like traffic, operations, weights_read, emulate, runtime
# context: [512, 4096]               # of decoders: positions of the prompt; new_tokens and phase as predict has them
"""
"""A file with everything in it."""


def _batches_tag(given: Any) -> str:
    return "tagged-range" if isinstance(given, Mapping) else "tagged-list"


Names = Annotated[tuple[str, ...], Field(min_length=1)]
Whole = Annotated[int, Field(strict=True, ge=1, le=MAX_INTEGER)]


class BatchRange(Strict):
    """Batches from one to another, both included."""

    first: Whole = Field(alias="from")
    last: Whole = Field(alias="to")
    step: Whole = 1

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.last < self.first:
            raise broken_rule(
                f"goes from {self.first} to {self.last}, which is none", "Let them grow"
            )
        return self


Batches = Annotated[
    Annotated[tuple[Whole, ...], Field(min_length=1), Tag("tagged-list")]
    | Annotated[BatchRange, Tag("tagged-range")],
    Discriminator(_batches_tag),
]


class SweepFile(Assumptions):
    """What a sweep file asks for."""

    networks: Names
    platforms: Names
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = (Variant(),)
    datatypes: Names | None = None
    batches: Batches = (1,)
    context: Annotated[tuple[Whole, ...], Field(min_length=1)] | None = None
    new_tokens: Whole | None = None
    phase: Phase | None = None
    _folder: Path = PrivateAttr(default_factory=Path)

    @property
    def assumed(self) -> Assumptions:
        """What all of its predictions have in common."""
        return Assumptions(**{name: getattr(self, name) for name in Assumptions.model_fields})

    @property
    def requests(self) -> list[Request]:
        """What is asked of decoders, one for each length of the prompt."""
        asked = {"context": self.context, "new_tokens": self.new_tokens}
        defaults = frozenset(name for name, value in asked.items() if value is None)
        return [
            Request(
                context, self.new_tokens or NEW_TOKENS, self.phase or Phase.BOTH, defaults=defaults
            )
            for context in self.context or (CONTEXT,)
        ]

    @property
    def items(self) -> Sequence[int]:
        """The batches; a range stands for as many as it has."""
        given = self.batches
        if isinstance(given, BatchRange):
            return range(given.first, given.last + 1, given.step)
        return given

    @property
    def size(self) -> int:
        """How many predictions it asks for."""
        lists = (self.networks, self.variants, self.platforms, self.items)
        found = prod(len(entries) for entries in lists) * len(self.datatypes or (None,))
        return found * len(self.context or (None,))

    def without_repeats(self) -> tuple[SweepFile, list[str]]:
        """Return it without what it lists more than once, in whatever spelling, and the words for what that was.

        Raises:
            RooflineError: A name is not known.
        """
        from roofline.cli._options import own_name

        def network(name: str) -> str:
            return os.path.realpath(own_name(self.locate(name)))

        def machine(name: str) -> Hashable:
            path = Path(self.locate(name))
            return path.resolve() if is_file(path) else platform(name).key

        identities: dict[str, Callable[[Any], Hashable]] = {
            "networks": network, "platforms": machine, "variants": lambda each: each,
            "datatypes": lambda name: precision(name).name, "batches": int, "context": int,
        }  # fmt: skip
        left: dict[str, tuple[Any, ...]] = {}
        repeated: list[str] = []
        for name, identity in identities.items():
            given = getattr(self, name)
            if not isinstance(given, tuple):
                continue
            entries = cast("tuple[Any, ...]", given)
            first: dict[Hashable, Any] = {}
            for entry in entries:
                first.setdefault(identity(entry), entry)
            if len(first) < len(entries):
                left[name] = tuple(first.values())
                more = len(entries) - len(first)
                repeated.append(f"{plural(more, 'entry', 'entries')} of {name}")
        return self.model_copy(update=left), repeated

    def beside(self, path: Path) -> SweepFile:
        """Return it with the folder of the file it was read from, beside which names are looked for."""
        self._folder = path.parent
        return self

    def locate(self, name: str) -> str:
        """Return a name, or the path of the file of that name beside the sweep file."""
        path = self._folder / name
        return str(path) if Path(name).suffix and exists(path) else name


def read_sweep(path: Path) -> SweepFile:
    """Read a sweep file.

    Raises:
        OptionError: The file cannot be read, breaks a rule of the format, or asks for more than a process holds.
    """
    found, document = read_checked(
        SweepFile, path, "sweep file", version=SCHEMA_VERSION, example="roofline sweep", most_bytes=MAX_BYTES,
        most_values=MAX_VALUES,
    )  # fmt: skip
    asked = found.beside(path)
    for place, check in _checks(asked):
        try:
            with word_repairs_for(Surface.SWEEP_FILE):
                check()
        except RooflineError as error:
            wrong = Problem(place, error.message, error.repair, document.line(place))
            raise OptionError(f"{path}: {wrong.sentence}", repair=wrong.repair) from error
    return asked


def _checks(asked: SweepFile) -> Iterator[tuple[tuple[str | int, ...], Callable[[], object]]]:
    """Yield what may be wrong with a file's names and shares: each place in it, and what raises where that is wrong."""
    from roofline.cli._options import own_name
    from roofline.model import models
    from roofline.model.deployment import runtime_for

    for place, name in enumerate(asked.networks):
        yield ("networks", place), partial(own_name, asked.locate(name))
    for place, name in enumerate(asked.platforms):
        yield ("platforms", place), partial(platform, asked.locate(name))
    for place, name in enumerate(asked.datatypes or ()):
        yield ("datatypes", place), partial(precision, name)
    for place, variant in enumerate(asked.variants):
        at = ("variants", place)
        if variant.keep_channels:
            yield (*at, "keep_channels"), partial(request, variant.keep_channels)
        if variant.sparsity or variant.sparse_format != "dense":
            key = "sparsity" if variant.sparsity else "sparse_format"
            yield (*at, key), partial(request, None, variant.sparsity, variant.sparse_format)
    yield ("model",), partial(models.get, asked.model)
    for named, given_by, kind, noun in (
        (asked.traffic, TRAFFIC, Traffic, "traffic assumption"),
        (asked.operations, OPERATIONS, Operations, "choice of operations"),
        (asked.weights_read, WEIGHTS_READ, WeightsRead, "choice of weight reads"),
    ):
        if named is not None:
            yield (given_by.name,), partial(choice, kind, named, noun, given_by)
    if asked.runtime is not None:
        yield ("runtime",), partial(runtime_for, "", asked.runtime)


def check_size(asked: SweepFile, path: Path) -> None:
    """Refuse a sweep of which not all predictions can be held in memory.

    Raises:
        OptionError: There are too many.
    """
    if asked.size > MAX_PREDICTIONS:
        raise OptionError(
            f"{path} asks for {plural(asked.size, 'prediction')}; one file holds at most {MAX_PREDICTIONS:,}",
            repair="Write a folder of Parquet files, which has no limit: -o FOLDER",
        )
