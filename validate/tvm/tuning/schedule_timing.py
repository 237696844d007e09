"""Builds schedules of a kernel and times them, each in a process of its own, as MetaSchedule asks for it."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from roofline.validate.tvm.tuning import forked_timing

_BUILD_LIMIT_S = 30.0
_RUN_LIMIT_S = 10.0


def builder_and_runner(ms: Any, target: Any, workers: int) -> tuple[Any, Any]:
    """Return a builder and a runner for MetaSchedule, which build and time schedules in forked processes.

    Args:
        ms: The module of MetaSchedule.
        target: The TVM target.
        workers: How many schedules are built side by side, and on how many threads each is timed.
    """
    utils: Any = importlib.import_module("tvm.ir.utils")
    modules: dict[str, object] = {}

    class Keeper(ms.builder.PyBuilder):
        """Keeps the modules: they are built in the child that times them."""

        def build(self, build_inputs: list[Any]) -> list[Any]:
            results: list[Any] = []
            for entry in build_inputs:
                name = str(len(modules))
                modules[name] = entry.mod
                results.append(ms.builder.BuilderResult(name, None))
            return results

    class Racer(ms.runner.PyRunner):
        """Builds and times the kept modules in forked children."""

        def run(self, runner_inputs: list[Any]) -> list[Any]:
            candidates = [
                (modules.pop(str(entry.artifact_path)), [a.as_json() for a in entry.args_info])
                for entry in runner_inputs
            ]
            outcomes = forked_timing.race(
                candidates,
                lambda candidate: build_timer(candidate[0], candidate[1], target, workers),
                workers=workers,
                build_limit_s=_BUILD_LIMIT_S,
                run_limit_s=_RUN_LIMIT_S,
            )
            return [_future(ms, outcome) for outcome in outcomes]

    return utils.derived_object(Keeper)(), utils.derived_object(Racer)()


def _future(ms: Any, outcome: forked_timing.Outcome) -> Any:
    if outcome.seconds is None:
        result = ms.runner.RunnerResult(None, outcome.error or "failed")
    else:
        result = ms.runner.RunnerResult([outcome.seconds], None)
    return ms.runner.RunnerFuture(lambda: True, lambda: result)


def build_timer(
    module: Any, arguments: list[Any], target: Any, threads: int = 1
) -> Callable[[float], float]:
    """Compile one scheduled kernel in this process and return its timer.

    Args:
        module: A module with one kernel, ``main``.
        arguments: Its arguments as MetaSchedule describes them: kind, element type, shape.
        target: The TVM target.
        threads: Threads that the kernel runs on. One is timed by its CPU time, several by the clock.

    Returns:
        A function that is told the best time so far and returns seconds per run. A kernel three times
        slower than the best is soon given up.
    """
    tvm: Any = importlib.import_module("tvm")
    passes: Any = importlib.import_module("tvm.s_tir.transform")
    plain = passes.RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(module)
    library = tvm.tirx.build(plain, target=target)
    device = tvm.cpu()

    def seconds(best: float) -> float:
        fill = tvm.get_global_func("tvm.contrib.random.random_fill_for_measure")
        tensors: list[Any] = []
        for _, dtype, shape in arguments:
            tensor = tvm.runtime.empty(shape=shape, dtype=dtype, device=device)
            fill(tensor)
            tensors.append(tensor)
        function = library["main"]
        if threads == 1:
            return forked_timing.shortest_cpu_time(lambda: function(*tensors), best)
        quick = min(_time_once(function, tensors), _time_once(function, tensors))
        if quick > 3 * best:
            return quick
        number = max(1, min(1000, int(0.01 / max(quick, 1e-7))))
        evaluator = library.time_evaluator("main", device, number=number, repeat=3)
        return float(min(evaluator(*tensors).results))

    return seconds


def _time_once(function: Callable[..., Any], tensors: list[Any]) -> float:
    start = time.perf_counter()
    function(*tensors)
    return time.perf_counter() - start
