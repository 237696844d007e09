"""Predicts runs by models that need a graph and a platform file: every registered one."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np
from numpy.typing import NDArray

from roofline import load, networks
from roofline.errors import RooflineError
from roofline.model import Prediction, predict
from roofline.model._expected_data import shipped_parameters
from roofline.model._request import at_precision
from roofline.spec import find_alias, platform
from roofline.validate.evidence.evidence import Evidence, RunContext
from roofline.workload import Workload
from roofline.workloads import decoders

ALIKE = 0.04
"""How far, in logarithms, the multiply-accumulates and the parameters of a run may be from a graph's."""


def predictions(evidence: Evidence, model: str) -> list[Prediction | None]:
    """Return what a model says of each run; None where it has no graph, no platform, or the model no basis.

    Args:
        evidence: Records, or a table of counts: there the graph is the shipped one with the same counts.
        model: Name of a registered model.
    """
    found: list[Prediction | None] = []
    known: dict[tuple[object, ...], Prediction | None] = {}
    runtimes = published_runtimes()
    for i, where in enumerate(evidence.placed or place_runs(evidence)):
        datatype, batch = evidence.rows[i]["datatype"], int(float(evidence.rows[i]["batch"]))
        if where is None:
            found.append(None)
            continue
        ran = evidence.facts.runtime[i]
        runtime = ran if model == "expected" and ran in runtimes else None
        key = (id(where.workload), id(where.platform), datatype, batch, runtime)
        if key not in known:
            known[key] = _predict(where, datatype, batch, model, runtime)
        found.append(known[key])
    return found


def published_runtimes() -> frozenset[str]:
    """Return the runtimes that `expected` can be asked for; one that nobody published is taken as the usual one."""
    return frozenset(name for found in shipped_parameters().usage.values() for name in found)


def _predict(
    where: RunContext, datatype: str, batch: int, model: str, runtime: str | None
) -> Prediction | None:
    try:
        return predict(
            where.workload, where.platform, datatype=datatype, batch=batch, model=model, runtime=runtime
        )  # fmt: skip
    except RooflineError:
        return None


def rate_alone(prediction: Prediction) -> tuple[float, tuple[float, float]] | None:
    """Return the items per second of runs one after the other and their interval; None where none is expected.

    An estimate of throughput can be one of several runs in flight; the latency beside it is of one run alone.
    """
    ends, items = prediction.intervals.get("latency_ms"), prediction.batch
    if prediction.latency_s is not None and ends is not None:
        return items / prediction.latency_s, (1e3 * items / ends[1], 1e3 * items / ends[0])
    return together(prediction)


def together(prediction: Prediction) -> tuple[float, tuple[float, float]] | None:
    """Return the items per second of as many runs as a machine has in flight, and the interval; None for none."""
    if prediction.throughput_fps is None or prediction.interval_fps is None:
        return None
    return prediction.throughput_fps, prediction.interval_fps


def place_runs(evidence: Evidence) -> list[RunContext | None]:
    """Return the shipped graph and the platform of each run of a table; None where one is not there.

    A run of fewer of a machine's cores than others have is left aside: the platform file is of the whole machine.

    Args:
        evidence: A table of counts.
    """
    facts, most = evidence.facts, defaultdict[tuple[str, str], float](float)
    peaks = facts.numbers["peak"]
    for machine, datatype, peak in zip(facts.machine, facts.datatype, peaks, strict=True):
        most[machine, datatype] = max(most[machine, datatype], peak)
    names, counts = _counts()
    own = np.log(np.stack([facts.numbers["macs"], facts.numbers["parameters"]], 1))
    found: list[RunContext | None] = []
    for i, (machine, datatype) in enumerate(zip(facts.machine, facts.datatype, strict=True)):
        far: NDArray[np.float64] = np.abs(counts - own[i]).max(axis=1)
        near = [name for name, apart in zip(names, far.tolist(), strict=True) if apart < ALIKE]
        if not near or find_alias(machine) is None or peaks[i] < most[machine, datatype]:
            found.append(None)
            continue
        try:
            graph = _at(near[0], datatype)
        except RooflineError:
            found.append(None)
            continue
        found.append(RunContext(graph, _platform(machine)))
    return found


@cache
def _counts() -> tuple[list[str], np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Return the shipped networks that run once for an answer, and the logarithms of their counts."""
    names: list[str] = []
    counts: list[tuple[float, float]] = []
    for name in networks():
        graph = load(name)
        if graph.parameters and graph.macs and name not in decoders:
            names.append(name)
            counts.append((graph.macs / graph.batch, graph.parameters))
    return names, np.log(np.asarray(counts))


@cache
def _at(name: str, datatype: str) -> Workload:
    return at_precision(load(name), datatype)


_platform = cache(platform)
