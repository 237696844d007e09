"""Finds the best tile of every kernel on blocks by timing a few, and keeps what was found.

What is best depends on the processor's vectors and caches, hardly on anything else: findings are kept per processor,
for every network that has a kernel of the same shape. Where seconds are counted, every kernel gets its best of a few
tiles, among them what is best on another processor with vectors of the same width, before any kernel gets them all.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from roofline.number_format import plural
from roofline.progress import Report
from roofline.validate.measuring.runnable_model import write_whole
from roofline.validate.tvm.blocked.plain_schedules import plain_schedule
from roofline.validate.tvm.blocked.schedules import (
    kernel_products,
    recognize,
    schedule_kernel,
)
from roofline.validate.tvm.blocked.tile_timing import seconds_of, time_tiles
from roofline.validate.tvm.blocked.tiles import Kernel, Tile, neighbours, tiles
from roofline.validate.tvm.calls import is_scheduled, kernel_functions

_FEW = 3
"""Tiles of a kernel that are timed in a hurry."""

_TOGETHER = 8
"""Kernels whose first tiles are built side by side: processes are started once for all of them."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search came to."""

    seconds: float
    kernels: int
    finished: bool
    tried: int


class Finding(TypedDict):
    """The best tile of one kernel, as files keep it."""

    tile: list[int]
    """As `Tile.to_list` gives it."""
    ms: float
    """Its time in milliseconds."""
    tried: int
    """Tiles that were timed."""
    hurried: NotRequired[bool]
    """Whether these were a few of those that are worth trying."""


class Findings:
    """The best tile of each kernel, kept in a file, over those that ship."""

    def __init__(
        self,
        path: Path,
        shipped: Mapping[str, Finding] | None = None,
        elsewhere: Iterable[Mapping[str, Finding]] = (),
    ) -> None:
        self._path = path
        self._known: dict[str, Finding] = dict(shipped or {})
        self._elsewhere = tuple(elsewhere)
        self._found = self._read_kept()

    def tile(self, kernel: Kernel) -> Tile | None:
        """Return the tile that was found best, or None when none was sought."""
        entry = self._entry(kernel)
        return None if entry is None else Tile.from_list(entry["tile"])

    def best_known(self, kernel: Kernel) -> Tile | None:
        """Return the tile that was found best, or where none was sought that of another processor with such vectors."""
        return next(iter(self.likely_tiles(kernel)), None)

    def is_settled(self, kernel: Kernel) -> bool:
        """Tell whether a kernel's tile is the best of all that are worth trying, not of a few."""
        entry = self._entry(kernel)
        return entry is not None and not entry.get("hurried", False)

    def likely_tiles(self, kernel: Kernel) -> list[Tile]:
        """Return the tiles that were best in a hurry, or on other processors."""
        entries = [self._entry(kernel), *(table.get(kernel.key) for table in self._elsewhere)]
        found = [Tile.from_list(entry["tile"]) for entry in entries if entry is not None]
        return list(dict.fromkeys(found))

    def add(
        self, kernel: Kernel, tile: Tile, seconds: float, tried: int, *, hurried: bool = False
    ) -> None:
        """Keep a finding, on disk at once."""
        # Another program on this machine may have added some meanwhile.
        self._found |= self._read_kept()
        finding = Finding(tile=tile.to_list(), ms=round(seconds * 1e3, 5), tried=tried)
        if hurried:
            finding["hurried"] = True
        self._found[kernel.key] = finding
        self._path.parent.mkdir(parents=True, exist_ok=True)
        document = json.dumps(self._found, indent=1, sort_keys=True)
        write_whole(self._path, document.encode())

    def _read_kept(self) -> dict[str, Finding]:
        if not self._path.exists():
            return {}
        kept: dict[str, Finding] = json.loads(self._path.read_text(encoding="utf-8"))
        return kept

    def _entry(self, kernel: Kernel) -> Finding | None:
        return self._found.get(kernel.key) or self._known.get(kernel.key)


def findings_for(folder: Path, cpu: str, lanes: int, *, fresh: bool) -> Findings:
    """Return what is known for a processor: found here before, or shipped; and what is best on others.

    Args:
        folder: Where findings of this machine are kept.
        cpu: The processor as LLVM names it.
        lanes: Elements of one vector.
        fresh: Whether what ships is left aside.
    """
    kept = folder / f"tiles-{cpu}-{lanes}.json"
    if fresh:
        return Findings(kept)
    shipped: dict[str, Finding] = {}
    elsewhere: list[Mapping[str, Finding]] = []
    tables = files("roofline.validate.tvm.blocked").joinpath("tiles_by_processor")
    for table in sorted(tables.iterdir(), key=lambda entry: entry.name):
        if not table.name.endswith(".json"):
            continue
        entries = json.loads(table.read_text(encoding="utf-8")).get(str(lanes), {})
        if table.name == f"{cpu}.json":
            shipped = entries
        else:
            elsewhere.append(entries)
    return Findings(kept, shipped, elsewhere)


def search(
    module: Any,
    target: Any,
    findings: Findings,
    *,
    budget_s: float,
    workers: int,
    report: Report,
    again: bool = False,
    few: bool = False,
) -> SearchResult:
    """Time tiles of every kernel on blocks for which none is known yet, the longest first.

    With a budget every kernel first gets the best of a few tiles.

    Args:
        module: A Relax module with fused kernels.
        target: The TVM target.
        findings: Where the best are kept.
        budget_s: Seconds it may take; 0 is no limit.
        workers: Processes that build at the same time.
        report: Told of every kernel and its best rate.
        again: Whether what is known is sought again.
        few: Whether the best of a few tiles is enough.
    """
    start = time.monotonic()
    found: dict[str, tuple[Kernel, Any]] = {}
    for _, kernel, function in kernels_on_blocks(module):
        found.setdefault(kernel.key, (kernel, function))
    open_kernels = [
        (kernel, function)
        for kernel, function in sorted(found.values(), key=lambda entry: -entry[0].products)
        if again or not findings.is_settled(kernel)
    ]
    unknown = [entry for entry in open_kernels if again or findings.tile(entry[0]) is None]
    hurried = unknown if budget_s or few else []
    if few:
        open_kernels = []
    groups = [hurried[first : first + _TOGETHER] for first in range(0, len(hurried), _TOGETHER)]
    steps = len(groups) + len(open_kernels)
    tried = 0

    def late() -> bool:
        return bool(budget_s) and time.monotonic() - start > budget_s

    def result(*, finished: bool) -> SearchResult:
        return SearchResult(time.monotonic() - start, len(found), finished=finished, tried=tried)

    for place, group in enumerate(groups):
        if late():
            return result(finished=False)
        tried += _hurry(group, findings, target, workers)
        report(f"first tiles of {plural(len(group), 'kernel')}", place + 1, steps)
    for place, (kernel, function) in enumerate(open_kernels, start=len(groups)):
        if late():
            return result(finished=False)
        best, seconds, count = _best_tile(
            kernel, function, target, workers, findings.likely_tiles(kernel)
        )
        tried += count
        if best is not None:
            findings.add(kernel, best, seconds, count)
            report(f"tiling {kernel.kind}: {seconds * 1e3:.3g} ms", place + 1, steps)
    return result(finished=True)


def first_guess(kernel: Kernel) -> Tile:
    """Return the tile that a kernel gets when none was sought."""
    return tiles(kernel)[0]


def guessed_tiles(module: Any, find: Callable[[Kernel], Tile | None] | None) -> tuple[str, ...]:
    """Return the names of the kernels on blocks whose tile is a guess, because none was sought or none ran.

    Args:
        module: A Relax module with fused kernels that have no schedule yet.
        find: Returns a kernel's tile, or None where none is known; None knows no tile.
    """
    return tuple(
        sorted(
            name
            for name, kernel, _ in kernels_on_blocks(module)
            if find is None or find(kernel) is None
        )
    )


def kernels_on_blocks(module: Any) -> list[tuple[str, Kernel, Any]]:
    """Return the name, the form and the function of every kernel on blocks that has no schedule yet."""
    found = [
        (str(variable.name_hint), recognize(function), function)
        for variable, function in kernel_functions(module)
        if not is_scheduled(function)
    ]
    return [(name, kernel, function) for name, kernel, function in found if kernel is not None]


def schedule_blocks(
    module: Any,
    lanes: int,
    find: Callable[[Kernel], Tile | None],
    *,
    tune_products: bool = False,
) -> Any:
    """Give every kernel on blocks, and the elementwise work between them, its schedule.

    Args:
        module: A Relax module with fused kernels.
        lanes: Elements of one vector.
        find: Returns a kernel's tile, or None for the first guess.
        tune_products: Whether convolutions and matrix products without a form in blocks are left to be tuned; else
            they are vectorized as they stand where that can be done.
    """
    products = kernel_products(module) if tune_products else {}
    for variable, function in kernel_functions(module):
        if is_scheduled(function):
            continue
        kernel = recognize(function)
        if kernel is not None:
            module.update_func(
                variable, schedule_kernel(function, find(kernel) or first_guess(kernel))
            )
            continue
        if products.get(str(variable.name_hint)):
            continue
        plain = plain_schedule(function, lanes)
        if plain is not None:
            module.update_func(variable, plain)
    return module


def _hurry(group: list[tuple[Kernel, Any]], findings: Findings, target: Any, workers: int) -> int:
    """Keep the best of a few tiles of each kernel, and return how many were tried: all are built side by side."""
    candidates = [
        (kernel, function, tile)
        for kernel, function in group
        for tile in dict.fromkeys(
            [
                *findings.likely_tiles(kernel),
                *tiles(kernel)[: max(1, _FEW - len(findings.likely_tiles(kernel)))],
            ]
        )
    ]
    times = time_tiles([(function, tile) for _, function, tile in candidates], target, workers)
    for kernel, _ in group:
        ran = [
            (seconds, tile)
            for (one, _, tile), seconds in zip(candidates, times, strict=True)
            if one is kernel and seconds is not None
        ]
        if ran:
            seconds, tile = min(ran, key=lambda entry: entry[0])
            findings.add(kernel, tile, seconds, len(ran), hurried=True)
    return len(candidates)


def _best_tile(
    kernel: Kernel, function: Any, target: Any, workers: int, likely: list[Tile]
) -> tuple[Tile | None, float, int]:
    """Return the fastest tile, its time, and how many were tried."""
    found = _search_guided(kernel, function, target, workers, likely)
    best, seconds = min(found.items(), key=lambda entry: entry[1])
    return (None, 0.0, len(found)) if math.isinf(seconds) else (best, seconds, len(found))


def _search_guided(
    kernel: Kernel, function: Any, target: Any, workers: int, likely: list[Tile]
) -> dict[Tile, float]:
    """Return seconds of the search's own tiles in the order they were tried; infinite where one does not run.

    Args:
        kernel: What the kernel computes.
        function: The kernel.
        target: The TVM target.
        workers: Processes that build at the same time.
        likely: Tiles that are tried whatever is guessed.
    """
    return _search_variants(
        kernel, likely, lambda candidates: seconds_of(function, candidates, target, workers)
    )


def _search_variants(
    kernel: Kernel, likely: list[Tile], time_all: Callable[[list[Tile]], dict[Tile, float]]
) -> dict[Tile, float]:
    """Time first tiles, then variants of the two best."""
    first = time_all([*likely, *tiles(kernel)])
    leaders = sorted(first, key=lambda tile: first[tile])[:2]
    ran = [tile for tile in leaders if math.isfinite(first[tile])]
    more = [variant for tile in ran for variant in neighbours(kernel, tile)]
    return first | time_all([tile for tile in more if tile not in first])


def beyond(
    kernel: Kernel,
    function: Any,
    target: Any,
    *,
    trials: int,
    seed: int,
    workers: int,
    own: Mapping[Tile, float] | None = None,
) -> dict[Tile, float]:
    """Time more tiles than `search` does: its own, then others drawn at random from all that fit the registers.

    Args:
        kernel: What the kernel computes.
        function: The kernel.
        target: The TVM target.
        trials: Tiles to try in all; fewer where there are no more.
        seed: Of the draw.
        workers: Processes that build at the same time.
        own: The search's own tiles with their seconds, where they were timed before: they are the same for every seed.

    Returns:
        Seconds of every tile in the order they were tried; infinite where one cannot be built or run.
    """
    first = dict(own or _search_guided(kernel, function, target, workers, []))
    wide = tiles(kernel, every=True)
    space = dict.fromkeys([*wide, *(near for tile in wide for near in neighbours(kernel, tile))])
    others = [tile for tile in space if tile not in first]
    left = min(max(0, trials - len(first)), len(others))
    drawn = random.Random(seed).sample(others, left)
    return first | seconds_of(function, drawn, target, workers)


def own_tiles(kernel: Kernel, seconds: Sequence[float]) -> dict[Tile, float]:
    """Return the search's own tiles of what `beyond` gave, with their seconds.

    Args:
        kernel: What the kernel computes.
        seconds: Of the tiles in the order they were tried, the search's own first.
    """
    given = iter(seconds)
    return _search_variants(
        kernel, [], lambda candidates: {tile: next(given) for tile in dict.fromkeys(candidates)}
    )
