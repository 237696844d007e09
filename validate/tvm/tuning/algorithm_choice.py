"""Chooses the fastest algorithm for every convolution by timing each alone, tuned as it will run.

A convolution stands with its bias and a Relu, as in most networks, so that the tiles and schedules found here serve the
network too. Between kernels on blocks of channels every other algorithm has to unpack its image and pack its result:
these copies are counted with it. Times are CPU time on one thread, as for tiles.
"""

from __future__ import annotations

import importlib
import json
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from roofline.progress import Report
from roofline.temporary import temporary_folder
from roofline.validate.tvm.algorithms import ALGORITHMS
from roofline.validate.tvm.blocked import tile_search as tiling
from roofline.validate.tvm.blocked.tile_timing import kernel_timer
from roofline.validate.tvm.calls import kernel_functions
from roofline.validate.tvm.convolution import Convolution
from roofline.validate.tvm.plan import BEST, BLOCKED, Computation
from roofline.validate.tvm.setup import lanes
from roofline.validate.tvm.tuning import forked_timing as _fork
from roofline.validate.tvm.tuning.kernel_records import KernelRecords
from roofline.writing import write_whole

_FIRST_TRIALS = 4
"""Schedules tried before the algorithms that are far behind are given up."""

_FAR = 3.0
"""How many times slower than the fastest an algorithm is given up."""

_COPIES = ("pack", "unpack")
"""Kernels that only change an image's layout to blocks and back."""


class ChosenAlgorithm(TypedDict):
    """What was found of a convolution."""

    algorithm: str
    """The fastest."""
    ms: dict[str, float]
    """Milliseconds of each that was tried."""


class Choices:
    """The algorithm of each convolution, with the time of all that were tried, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, ChosenAlgorithm] = {}
        if path.exists():
            self._found = json.loads(path.read_text(encoding="utf-8"))

    def __call__(self, conv: Convolution) -> str:
        """Return a convolution's algorithm: ``blocked`` where none was chosen."""
        entry = self._found.get(key(conv))
        return BLOCKED if entry is None else str(entry["algorithm"])

    def knows(self, conv: Convolution) -> bool:
        """Tell whether a convolution's algorithm was chosen."""
        return key(conv) in self._found

    def forget(self, convs: Iterable[Convolution]) -> None:
        """Drop what was chosen for some convolutions, so that it is sought again."""
        for conv in convs:
            self._found.pop(key(conv), None)

    def add(self, conv: Convolution, seconds: dict[str, float]) -> str:
        """Keep the fastest algorithm of a convolution, on disk at once, and return it."""
        fastest = min(seconds, key=lambda name: seconds[name])
        times = {name: round(took * 1e3, 5) for name, took in seconds.items()}
        self._found[key(conv)] = {"algorithm": fastest, "ms": times}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, json.dumps(self._found, indent=1, sort_keys=True).encode())
        return fastest


@dataclass(frozen=True, slots=True)
class Choice:
    """What choosing came to."""

    seconds: float
    finished: bool
    left: int
    """Convolutions without a choice when the budget ended."""
    failed: int = 0
    """Convolutions of which no algorithm could be timed."""


def key(conv: Convolution) -> str:
    """Return a text that is the same for convolutions of the same numbers."""
    sides = (
        "x".join(map(str, side))
        for side in (conv.kernel, conv.strides, conv.padding, conv.dilation)
    )
    kernel, strides, padding, dilation = sides
    return (
        f"{conv.batch}x{conv.channels}x{conv.height}x{conv.width} {conv.filters}x{kernel} s{strides} p{padding} "
        f"d{dilation} g{conv.groups} {conv.dtype}"
    )  # fmt: skip


def candidates(conv: Convolution) -> tuple[str, ...]:
    """Return the algorithms that apply to a convolution; integers and halves have none but the blocks'."""
    if conv.dtype != "float32":
        return (BLOCKED,)
    return (BLOCKED, *(entry.name for entry in ALGORITHMS.values() if entry.applies(conv)))


def convolutions(model: Path, target: Any, how: Computation) -> tuple[Convolution, ...]:
    """Return the distinct convolutions of a model, those with most products first.

    Args:
        model: An ONNX file with weights and fixed shapes.
        target: The TVM target.
        how: How its layers are computed; what is sparse has no choice.
    """
    from roofline.validate.tvm.importing import import_model

    found: dict[Convolution, None] = {}

    def record(conv: Convolution) -> str:
        found[conv] = None
        return BLOCKED

    import_model(model, target, Computation(BEST, how.sparse_format), record)
    return tuple(sorted(found, key=_products, reverse=True))


def choose(
    convs: Iterable[Convolution],
    choices: Choices,
    target: Any,
    findings: tiling.Findings,
    database: Path,
    *,
    trials: int,
    budget_s: float,
    threads: int,
    report: Report,
    shared: KernelRecords | None = None,
) -> Choice:
    """Choose an algorithm for every convolution that has none yet.

    Args:
        convs: The convolutions, the most important first.
        choices: Where the choices are kept.
        target: The TVM target.
        findings: The tiles of kernels on blocks.
        database: Folder of MetaSchedule's schedules.
        trials: Schedules tried for each kernel without a form in blocks; 0 times them untuned.
        budget_s: Seconds it may take; 0 is no limit.
        threads: Cores to build on.
        report: Told of every choice.
        shared: What programs tried of the same kernels.
    """
    start = time.monotonic()
    open_ones = [conv for conv in convs if not choices.knows(conv)]
    failed = 0
    for place, conv in enumerate(open_ones):
        spent = time.monotonic() - start
        if budget_s and spent > budget_s:
            return Choice(spent, finished=False, left=len(open_ones) - place, failed=failed)
        timer = _Timer(conv, target, findings, database, threads, report, shared)
        seconds = _race(timer, candidates(conv), trials)
        failed += not seconds
        if seconds:
            name = choices.add(conv, seconds)
            report(f"{name} is best: {seconds[name] * 1e3:.3g} ms", place + 1, len(open_ones))
    return Choice(time.monotonic() - start, finished=True, left=0, failed=failed)


def _race(timer: _Timer, names: tuple[str, ...], trials: int) -> dict[str, float]:
    """Return seconds of every algorithm, copies included; those far behind after a few trials are tuned no more."""
    if len(names) == 1:
        return {names[0]: 0.0}
    copies = 0.0
    seconds: dict[str, float] = {}
    first = min(trials, _FIRST_TRIALS)
    for name in names:
        computing, copying = timer.time(name, first)
        # The kernels on blocks come first: theirs are the copies that all others need.
        copies = copying if name == BLOCKED else copies
        if math.isfinite(computing):
            seconds[name] = computing + (0.0 if name == BLOCKED else copies)
    best = min(seconds.values(), default=0.0)
    for name, took in list(seconds.items()):
        if trials > first and name != BLOCKED and took <= _FAR * best:
            seconds[name] = min(took, timer.time(name, trials)[0] + copies)
    return seconds


@dataclass(frozen=True, slots=True)
class _Timer:
    """Times one convolution by any algorithm."""

    conv: Convolution
    target: Any
    findings: tiling.Findings
    database: Path
    threads: int
    report: Report
    shared: KernelRecords | None

    def time(self, name: str, trials: int) -> tuple[float, float]:
        """Return seconds of its kernels (infinite: one does not run), and of copies to and from blocks."""
        module = self._module(name, trials)
        kernels = _kernels(module)
        outcomes = _fork.race(
            [function for _, function in kernels],
            lambda function: kernel_timer(function, self.target),
            workers=1,
            build_limit_s=60.0,
            run_limit_s=60.0,
        )
        computing = copying = 0.0
        for (kernel, _), outcome in zip(kernels, outcomes, strict=True):
            took = math.inf if outcome.seconds is None else outcome.seconds
            if name == BLOCKED and kernel.removeprefix("fused_").startswith(_COPIES):
                copying += took
            else:
                computing += took
        return computing, copying

    def _module(self, name: str, trials: int) -> Any:
        """Return the convolution with its schedules, as it will stand in the network."""
        from roofline.validate.tvm.importing import import_model
        from roofline.validate.tvm.tuning import metaschedule as _tvm_tune

        target, threads = self.target, self.threads
        with temporary_folder() as folder:
            path = folder / "convolution.onnx"
            path.write_bytes(one_convolution(self.conv))
            module = import_model(path, target, Computation(name)).module
        if not trials:
            return tiling.schedule_blocks(module, lanes(target), tiling.first_guess)
        tiling.search(
            module, target, self.findings, budget_s=0.0, workers=threads, report=self.report
        )
        find = self.findings.tile
        module = tiling.schedule_blocks(module, lanes(target), find, tune_products=True)
        _tvm_tune.tune(
            module, target, self.database,
            trials=trials, budget_s=0.0, threads=threads, report=self.report,
            shared=self.shared,
        )  # fmt: skip
        return _tvm_tune.apply(module, target, self.database)[0]


def one_convolution(conv: Convolution) -> bytes:
    """Return an ONNX model of one convolution with random weights, its bias, and a Relu."""
    onnx: Any = importlib.import_module("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    dice = np.random.default_rng(0)
    weights = dice.standard_normal(
        (conv.filters, conv.channels // conv.groups, *conv.kernel), dtype=np.float32
    )
    node = helper.make_node(
        "Conv", ["x", "w", "b"], ["c"], strides=conv.strides, pads=conv.padding,
        dilations=conv.dilation, group=conv.groups,
    )  # fmt: skip
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node, helper.make_node("Relu", ["c"], ["y"])],
        "convolution",
        [value("x", 1, [conv.batch, conv.channels, conv.height, conv.width])],
        [value("y", 1, [conv.batch, conv.filters, *conv.output])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(dice.standard_normal(conv.filters, dtype=np.float32), "b"),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def _kernels(module: Any) -> list[tuple[str, Any]]:
    return [
        (str(variable.name_hint), kernel)
        for variable, kernel in kernel_functions(module)
        if "reshape" not in str(variable.name_hint)[:7]
    ]


def _products(conv: Convolution) -> int:
    taps = conv.channels // conv.groups * math.prod(conv.kernel)
    return conv.batch * conv.filters * math.prod(conv.output) * taps
