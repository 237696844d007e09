"""The rows of a part of a sweep as Arrow tables: what `predict` says of each, computed for many batches at once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from roofline.errors import DatatypeError, NoBasisError
from roofline.model import models
from roofline.model._case import Case
from roofline.model._core import Floats
from roofline.model._outcomes import BOUNDS, Law, Outcomes
from roofline.model._power import rate_ends, watts
from roofline.model._request import case_of, no_basis, own_precision
from roofline.parquet import arrow
from roofline.sweeping.grid import Grid, Point

_T = TypeVar("_T", bound=np.generic)

GROUP_ROWS = 1 << 16
"""Rows of a row group of a Parquet file."""
_BLOCK_VALUES, _FEWEST = 1 << 19, 256
"""Layers × batches that are computed at once, so that arrays stay in the caches, and the fewest batches."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One combination without its batch: the law of what is predicted, or the reason why nothing is."""

    point: Point
    datatype: str
    model: str
    case: Case | None = None
    law: Law | None = None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One combination at some batches."""

    combination: Combination
    batches: NDArray[np.int64]
    outcomes: Outcomes | None

    @property
    def case(self) -> Case | None:
        """What was asked; None where nothing can be predicted."""
        return self.combination.case


def combination(grid: Grid, point: Point) -> Combination:
    """Return what the grid's model is asked of a combination."""
    workload, platform = point.workload, point.platform
    model = models.get(grid.assumed.model)
    try:
        name = own_precision(workload, platform).name if point.datatype is None else point.datatype
        case = case_of(model, workload, platform, grid.choices(name), 1)
        law = model.law_of(case)
        if law is None:
            raise no_basis(model, workload, platform)
    except (DatatypeError, NoBasisError) as error:
        named = point.datatype or str(workload.precision or "")
        return Combination(point, named, grid.assumed.model, skipped=error.message)
    return Combination(point, case.datatype, grid.assumed.model, case, law)


def block(chosen: Combination, batches: NDArray[np.int64]) -> Block:
    """Return what was asked at some batches."""
    found = None if chosen.law is None else chosen.law.at(batches.astype(np.float64))
    return Block(chosen, batches, found)


def blocks(grid: Grid, part: int) -> Iterator[Block]:
    """Yield a part of a grid, block by block, in the order of its rows."""
    for index, first, last in grid.stretches(part):
        chosen = combination(grid, grid.point(index))
        width = 1 if chosen.law is None else chosen.law.width
        step = max(_FEWEST, min(GROUP_ROWS, _BLOCK_VALUES // width))
        for start in range(first, last, step):
            yield block(chosen, grid.items(start, min(start + step, last)))


def tables(grid: Grid, part: int) -> Iterator[Any]:
    """Yield a part of a grid as Arrow tables of about `GROUP_ROWS` rows."""
    waiting: list[Block] = []
    rows = 0
    for found in blocks(grid, part):
        waiting.append(found)
        rows += len(found.batches)
        if rows >= GROUP_ROWS:
            yield table(waiting)
            waiting, rows = [], 0
    if waiting:
        yield table(waiting)


def parquet(grid: Grid, part: int) -> bytes:
    """Return a part of a grid as a Parquet file: a pure function, whoever runs it, wherever and however often."""
    return parquet_bytes(tables(grid, part))


def parquet_bytes(parts: Iterator[Any]) -> bytes:
    """Return Arrow tables as one Parquet file, each a row group."""
    pq = arrow("pyarrow.parquet")
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink, schema(), compression="zstd", use_dictionary=list(_TEXTS)
    ) as writer:
        for each in parts:
            writer.write_table(each)
    return sink.getvalue()


_TEXTS = (
    "network", "platform", "datatype", "pruning", "model", "bound", "unit", "traffic", "operations",
    "weights_read", "skipped",
)  # fmt: skip
_FLAGS = ("fits", "upper_bound")
_ORDER = (
    "network", "platform", "datatype", "batch", "pruning", "model", "throughput_fps", "latency_ms", "bound",
    "intensity", "utilization", "fits", "energy_mj", "fps_per_w", "interval_fps_low", "interval_fps_high",
    "interval_latency_ms_low", "interval_latency_ms_high", "interval_fps_per_w_low", "interval_fps_per_w_high",
    "upper_bound", "skipped", "peak_fps", "ridge_point",
    "unit", "ops", "bytes", "performance_op_s", "peak_op_s", "bandwidth_b_s", "traffic", "operations",
    "weights_read", "required_bytes", "tdp_w",
)  # fmt: skip
"""The columns of `Prediction.record`, an interval as two of them; its notes and bases are left to `predict`."""


def schema() -> Any:
    """Return the columns of a sweep's files and their types."""
    pa = arrow()

    def kind(name: str) -> Any:
        if name in _TEXTS:
            return pa.dictionary(pa.int32(), pa.string())
        if name == "batch":
            return pa.int64()
        return pa.bool_() if name in _FLAGS else pa.float64()

    return pa.schema([(name, kind(name)) for name in _ORDER])


def table(found: Sequence[Block]) -> Any:
    """Return blocks as one Arrow table."""
    pa = arrow()
    counts = [len(each.batches) for each in found]
    numbers = _numbers(found, counts)
    made: dict[str, object] = {
        name: pa.array(values, mask=np.isnan(values)) for name, values in numbers.items()
    }
    made["batch"] = pa.array(np.concatenate([each.batches for each in found]))
    for name, texts in _texts(found).items():
        made[name] = _repeat(texts, counts)
    gone = np.repeat(np.asarray([each.outcomes is None for each in found], np.bool_), counts)
    bounds: NDArray[np.int8] = _join(found, lambda outcomes: outcomes.bound, np.int8(-1))
    upper: NDArray[np.bool_] = _join(found, lambda outcomes: outcomes.upper_bound, np.bool_(False))
    unknown = np.isnan(numbers["throughput_fps"]) & np.isnan(numbers["latency_ms"])
    made["bound"] = pa.DictionaryArray.from_arrays(
        pa.array(bounds.astype(np.int32), mask=unknown), pa.array([str(bound) for bound in BOUNDS])
    )
    made["upper_bound"] = pa.array(upper, mask=gone | unknown)
    needed = numbers["required_bytes"]
    capacity = _constant(found, counts, lambda case: case.platform.capacity)
    made["fits"] = pa.array(needed <= capacity, mask=np.isnan(needed) | np.isnan(capacity))
    return pa.table([made[name] for name in _ORDER], schema=schema())


def _numbers(found: Sequence[Block], counts: Sequence[int]) -> dict[str, Floats]:
    """Return the columns of numbers; NaN where there is none."""

    def join(get: Callable[[Outcomes], Floats | None]) -> Floats:
        return _join(found, get, np.float64(np.nan))

    fps = join(lambda outcomes: outcomes.throughput_fps)
    ops, moved = join(lambda outcomes: outcomes.ops), join(lambda outcomes: outcomes.bytes)
    batches = np.concatenate([each.batches for each in found]).astype(np.float64)
    peak = _constant(found, counts, lambda case: case.platform.peak(case.unit))
    bandwidth = _constant(found, counts, lambda case: case.platform.bandwidth)
    tdp = _constant(found, counts, lambda case: case.platform.tdp or None)
    idle = _constant(found, counts, lambda case: case.platform.idle_power)
    full = _constant(found, counts, lambda case: case.platform.full_power)
    performance = ops * fps / batches
    ends = [join(lambda outcomes, end=end: _end(outcomes.interval_fps, end)) for end in (0, 1)]
    power = watts(performance / peak, tdp, idle, full)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = rate_ends(performance / peak, ends[0] / fps, ends[1] / fps, tdp, idle, full)
        return {
            "throughput_fps": fps,
            "latency_ms": 1e3 * join(lambda outcomes: outcomes.latency_s),
            # Nothing that crosses the outermost memory is an infinite intensity, also of no operations.
            "intensity": np.where(moved == 0, np.inf, ops / moved),
            "utilization": performance / peak,
            "energy_mj": 1e3 * power / fps,
            "fps_per_w": fps / power,
            "interval_fps_low": ends[0],
            "interval_fps_high": ends[1],
            "interval_fps_per_w_low": low * fps / power,
            "interval_fps_per_w_high": high * fps / power,
            "interval_latency_ms_low": 1e3
            * join(lambda outcomes: _end(outcomes.interval_latency_s, 0)),
            "interval_latency_ms_high": 1e3
            * join(lambda outcomes: _end(outcomes.interval_latency_s, 1)),
            "peak_fps": np.where(ops == 0, np.inf, batches * peak / ops),
            "ridge_point": peak / bandwidth,
            "ops": ops,
            "bytes": moved,
            "performance_op_s": performance,
            "peak_op_s": peak,
            "bandwidth_b_s": bandwidth,
            "required_bytes": join(lambda outcomes: outcomes.required_bytes),
            "tdp_w": tdp,
        }


def _end(pair: tuple[Floats, Floats] | None, place: int) -> Floats | None:
    return None if pair is None else pair[place]


def _texts(found: Sequence[Block]) -> dict[str, list[str | None]]:
    cases = [each.case for each in found]
    return {
        "network": [each.combination.point.workload.name for each in found],
        "platform": [each.combination.point.platform.key for each in found],
        "datatype": [each.combination.datatype for each in found],
        "pruning": [each.combination.point.workload.variant for each in found],
        "model": [each.combination.model for each in found],
        "unit": [None if case is None else case.unit for case in cases],
        "traffic": [None if case is None else case.traffic for case in cases],
        # As `conclude` has it: a network without multiply-accumulates is asked for its other arithmetic.
        "operations": [
            None if case is None else case.operations if case.workload.macs else "all" for case in cases
        ],
        "weights_read": [None if case is None else case.weights_read for case in cases],
        "skipped": [each.combination.skipped for each in found],
    }  # fmt: skip


def _constant(
    found: Sequence[Block], counts: Sequence[int], get: Callable[[Case], float | None]
) -> Floats:
    """Return one array of a number that does not depend on the batch; NaN where it is not known."""
    values = [None if each.case is None else get(each.case) for each in found]
    known = np.asarray([np.nan if value is None else value for value in values], np.float64)
    return np.repeat(known, counts)


def _join(
    found: Sequence[Block], get: Callable[[Outcomes], NDArray[_T] | None], empty: _T
) -> NDArray[_T]:
    """Return one array of what each block has at its batches."""
    parts: list[NDArray[_T]] = []
    for each in found:
        own = None if each.outcomes is None else get(each.outcomes)
        parts.append(np.full(len(each.batches), empty, empty.dtype) if own is None else own)
    return np.concatenate(parts)


def _repeat(texts: Sequence[str | None], counts: Sequence[int]) -> Any:
    pa = arrow()
    known = list(dict.fromkeys(text for text in texts if text is not None))
    places = {text: place for place, text in enumerate(known)}
    each = [-1 if text is None else places[text] for text in texts]
    codes = np.repeat(np.asarray(each, np.int32), counts)
    return pa.DictionaryArray.from_arrays(
        pa.array(codes, mask=codes < 0), pa.array(known, pa.string())
    )
