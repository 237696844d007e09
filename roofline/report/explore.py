"""The page over all machines: networks × machines × datatypes × batches, bound and estimate, packed into one file.

Rows lie in the order networks, machines, the machine's datatypes, batches; a combination that cannot be leaves its
place empty. Every quantity is kept as the logarithm in 16 bits, to 0.05 %, and all of them are deflated together.
"""

from __future__ import annotations

import base64
import gc
import zlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.chart._style import machine_colour
from roofline.decoding.phases import Decoding
from roofline.decoding.request import Phase, Request
from roofline.errors import OptionError
from roofline.model import models
from roofline.model._outcomes import BOUNDS
from roofline.model._request import ByWidths, case_of
from roofline.model.equation1 import law
from roofline.model.expected import beside
from roofline.number_format import plural
from roofline.precision import COMPUTE_DATATYPES
from roofline.progress import Report, tell_nobody
from roofline.report.explored_rows import (
    COLUMNS,
    Rows,
    bounds_with_estimates,
    item_rows,
    token_rows,
)
from roofline.report.page import Page, asset, fill_page
from roofline.serving import serve
from roofline.spec.consistency import quantities
from roofline.spec.names import without_mode

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload

BATCHES = (1, 8, 64)
"""Items, or requests, at a time."""

DATATYPES = tuple(name for name in COMPUTE_DATATYPES if name not in {"fp64", "int32", "int16"})
"""What networks run in; wider ones are nobody's choice for inference."""

REQUEST = Request(phase=Phase.DECODE, defaults=frozenset({"context"}))
"""What is asked of decoders: tokens behind a context of 4,096."""

MAXIMUM_BYTES = 5_000_000
"""A page stays below this size."""

_LEAST, _STEP = 1e-9, 0.00085
"""The smallest number that is kept, and the step of its logarithm: 16 bits reach beyond 1e15."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network of the page."""

    name: str
    title: str
    network: Workload | Decoding
    """A decoder is asked for tokens, any other network for items."""


def explore(
    subjects: Sequence[Subject],
    platforms: Sequence[Platform],
    *,
    batches: Sequence[int] = BATCHES,
    first: Sequence[str] = (),
    title: str = "",
    years: float,
    usd_per_kwh: float,
    report: Report = tell_nobody,
) -> str:
    """Return the page as HTML; it loads nothing from anywhere.

    Args:
        subjects: The networks.
        platforms: The machines.
        batches: Items, or requests, at a time.
        first: Names of the networks that are shown first; by default the first of all.
        title: The page's; by default how much is on it.
        years: Lifetime over which a price is spread, until the reader chooses another.
        usd_per_kwh: Price of electricity, likewise.
        report: Is told of each network, and of each datatype of a decoder.

    Raises:
        OptionError: There is no network, or the page would exceed `MAXIMUM_BYTES`.
    """
    if not subjects:
        raise OptionError("the page has no network", repair="Name at least one")
    table = _Table(platforms, batches)
    steps = [table.steps(subject) for subject in subjects]
    total = sum(steps)
    with _defer_collection():
        for place, subject in enumerate(subjects):

            def tell(what: str, done: int, before: int = sum(steps[:place])) -> None:
                report(what, before + done, total)

            table.add(subject, tell)
    sources: dict[tuple[str, str | None], int] = {}
    machines = [
        _machine(platform, table.datatypes[platform.key], sources) for platform in platforms
    ]
    document: dict[str, object] = {
        "rows": table.rows * len(subjects), "columns": COLUMNS, "least": _LEAST, "step": _STEP,
        "limits": ["", *BOUNDS], "datatypes": DATATYPES, "batches": list(batches),
        "networks": table.networks, "machines": machines,
        "sources": [{"title": title, "url": url} for title, url in sources],
        "first": list(first) or [subjects[0].name], "years": years, "kwh": usd_per_kwh,
        "colours": {platform.key: machine_colour(platform.key) for platform in platforms}, "packed": table.pack(),
    }  # fmt: skip
    page = _page(title or _extent(platforms, subjects), document)
    size = len(page.encode())
    if size > MAXIMUM_BYTES:
        raise OptionError(
            f"the page would have {size / 1e6:.1f} MB, more than {MAXIMUM_BYTES / 1e6:.0f} MB",
            repair="Name fewer networks",
        )
    return page


def _extent(platforms: Sequence[Platform], subjects: Sequence[Subject]) -> str:
    """Return how much is on the page; a machine may have several modes, each a platform of its own."""
    kinds = len({without_mode(machine.key) for machine in platforms})
    modes = f" ({len(platforms)} with their modes)" * (len(platforms) > kinds)
    return f"{plural(kinds, 'machine')}{modes}, {plural(len(subjects), 'network')}"


@contextmanager
def _defer_collection() -> Generator[None]:
    """Have no search for cycles among the millions of small objects that counting makes, of which none is in one.

    It would go through all of them again and again, for a quarter of the time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _page(title: str, document: Mapping[str, object]) -> str:
    return fill_page(
        Page(
            title=title,
            conventions=_CONVENTIONS,
            main=asset("explore.html"),
            main_id="main",
            drawn="chart",
            shown="chart and the table",
            reset="Start again",
            summary="Unpacking…",
            css=asset("page.css") + asset("explore.css"),
            data=document,
            scripts=(asset("plot.js"), asset("explore.js")),
        )
    )


_CONVENTIONS = (
    "One multiply-accumulate is two operations. Bounds are those of Equation 1 with the traffic assumption 'weights': "
    "weights once per batch; no run is faster. Estimates come from published runs, with an 80 % interval. Decoders: "
    f"tokens behind a context of {REQUEST.context:,} (or the last position of models that have fewer), one device."
)


class _Table:
    """The rows of the page, filled network by network."""

    def __init__(self, platforms: Sequence[Platform], batches: Sequence[int]) -> None:
        self.datatypes = {
            platform.key: [name for name in DATATYPES if platform.has(name)]
            for platform in platforms
        }
        self.networks: list[dict[str, object]] = []
        self._platforms = platforms
        self._batches = batches
        self._place = {
            key: place
            for place, key in enumerate(
                (platform.key, datatype, batch)
                for platform in platforms
                for datatype, batch in product(self.datatypes[platform.key], batches)
            )
        }
        # Those that a machine has.
        self._shared = [
            name for name in DATATYPES if any(name in own for own in self.datatypes.values())
        ]
        self._values: list[NDArray[np.float64]] = []
        self._flags: list[NDArray[np.uint8]] = []

    @property
    def rows(self) -> int:
        """Places of each network."""
        return len(self._place)

    def steps(self, subject: Subject) -> int:
        """Return in how many steps a network is predicted, each of which is told."""
        return len(self._shared) if isinstance(subject.network, Decoding) else 1

    def add(self, subject: Subject, tell: Callable[[str, int], None]) -> None:
        """Predict a network on every machine.

        Args:
            subject: The network.
            tell: Is told what is done next, and how many of its steps are done.
        """
        values = np.zeros((len(COLUMNS), self.rows))
        flags = np.zeros(self.rows, np.uint8)
        network = subject.network
        tokens = isinstance(network, Decoding)
        entry: dict[str, object] = {"name": subject.name, "title": subject.title, "tokens": tokens}
        if isinstance(network, Decoding):
            rows = self._decode(network, tell)
        else:
            tell(network.name, 0)
            rows = self._laws(network)
        for row in rows:
            place = self._place[row.platform, row.datatype, row.batches[0]]
            at = slice(place, place + len(row.batches))
            # The same of every row: operations of one item or token.
            entry["ops"] = float(row.ops[0])
            values[:, at] = row.values
            flags[at] = row.flags
        self.networks.append(entry)
        self._values.append(values)
        self._flags.append(flags)

    def pack(self) -> str:
        """Return flags and columns, low bytes before high ones, deflated, in base64."""
        values = np.concatenate(self._values, axis=1)
        # What is not known is no number, and has no code.
        with np.errstate(divide="ignore", invalid="ignore"):
            codes = np.rint(np.log(values / _LEAST) / _STEP) + 1
            codes = np.where(values > 0, np.clip(codes, 1, 65535), 0).astype(np.uint16)
        planes = [np.concatenate(self._flags).tobytes()]
        for column in codes:
            planes += [
                (column & 255).astype(np.uint8).tobytes(),
                (column >> 8).astype(np.uint8).tobytes(),
            ]
        return base64.b64encode(zlib.compress(b"".join(planes), 9)).decode()

    def _laws(self, network: Workload) -> Iterable[Rows]:
        equation = models.get("equation1")
        items = np.asarray(self._batches, np.float64)
        brought = ByWidths()
        cases = [
            case_of(equation, brought(network, datatype), platform, {"datatype": datatype}, 1)
            for datatype in self._shared
            for platform in self._platforms
            if platform.has(datatype)
        ]
        bounds = [law(case).at(items) for case in cases]
        for case, bound, found in zip(cases, bounds, beside(cases, bounds, items), strict=True):
            yield item_rows(case, self._batches, bound, found)

    def _decode(self, network: Decoding, tell: Callable[[str, int], None]) -> Iterable[Rows]:
        # A copy of its own forgets what it counted when it is done: all decoders together take many times a page.
        # Equation 1 sees a network as a whole.
        own, brought = replace(network, fused=False), ByWidths()
        for place, datatype in enumerate(self._shared):
            tell(f"{network.name} in {datatype}", place)
            having = [platform for platform in self._platforms if platform.has(datatype)]
            found = serve(
                own, REQUEST, having, datatypes=[datatype], batches=self._batches, prepare=brought, unheld=True
            )  # fmt: skip
            for bound, estimate in bounds_with_estimates(found.predictions):
                yield token_rows(bound, estimate)


def _machine(
    platform: Platform, datatypes: Sequence[str], sources: dict[tuple[str, str | None], int]
) -> dict[str, object]:
    """Return what the page says of a machine, and enter its sources into those of the page."""
    spec = platform.specification
    figures: list[list[Any]] = []
    for path, quantity in quantities(spec):
        if path[0] in {"profiles", "modes"}:
            continue
        source = spec.sources[quantity.source]
        number = sources.setdefault((source.title, source.url), len(sources))
        figures.append(
            [_name_path(path, spec), f"{quantity.value:g} {quantity.unit}", quantity.kind, number, quantity.note or ""]
        )  # fmt: skip
    return {
        "key": platform.key, "name": platform.name, "vendor": platform.vendor, "kind": platform.kind,
        "segment": platform.segment or "not stated", "year": platform.year, "price": platform.price,
        "watts": platform.tdp, "priced_w": platform.priced_power, "bandwidth": platform.bandwidth,
        "datatypes": [DATATYPES.index(name) for name in datatypes],
        "peaks": [platform.peak(name) for name in datatypes], "figures": figures,
    }  # fmt: skip


def _name_path(path: tuple[str | int, ...], spec: Any) -> str:
    """Return a quantity's path in words: ``memories 0 bandwidth`` is that of the memory's name."""
    parts = [
        spec.memories[part].name if before == "memories" and isinstance(part, int) else str(part)
        for before, part in zip(("", *path), path, strict=False)
        if part != "memories"
    ]
    return " ".join(parts).replace("_", " ")
