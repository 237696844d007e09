"""The model ``expected``: an estimate from published runs of other networks on like machines, with an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.conventions import Operations, Traffic
from roofline.model._capping import cap_throughput, raise_latency
from roofline.model._case import Case, conclude, evaluate
from roofline.model._core import Floats
from roofline.model._evidence_runs import NetworkRun, Runs, runs_of
from roofline.model._expected_data import Parameters, shipped_parameters
from roofline.model._forward import PART_NAMES, PARTS
from roofline.model._law_estimates import Effect
from roofline.model._network_facts import common_name
from roofline.model._network_layers import groups_of_workload
from roofline.model._outcomes import Law, Outcomes, codes
from roofline.model._prediction import Basis, Bound, Prediction, Term
from roofline.model._reach import ANYWHERE, Reach, reach_of
from roofline.model._registry import Gives, Model, Need, models
from roofline.model._units import choose_unit
from roofline.model.deployment import ANY, deployment
from roofline.model.equation1 import law, network_requirement
from roofline.number_format import plural

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Workload


@dataclass(frozen=True, slots=True)
class Estimate:
    """What published runs let one expect of a network on a machine."""

    runtime: str
    fps: float
    """Items per second."""
    interval_fps: tuple[float, float]
    """The range that holds eight real runs of ten."""
    latency_s: float | None
    """Seconds of one batch alone; None where the evidence is throughput only."""
    interval_latency_s: tuple[float, float] | None
    shares: Mapping[str, float]
    """Share of the time by term: compute, weights, activations, fixed."""
    basis: str
    """``published`` for a class or machine with runs under that runtime, ``borrowed`` for other runtimes' runs."""
    rests_on: str
    """What was published, in a few words."""
    version: str
    in_flight: bool = False
    """Whether the throughput is of several runs in flight; a latency is always of one alone."""


def estimate(
    workload: Workload, platform: Platform, *, batch: int = 1, **choices: Any
) -> Estimate | None:
    """Estimate a network on a machine at one batch; None where there is no basis.

    Args:
        workload: The network at its precision.
        platform: The machine.
        batch: Items per batch.
        **choices: Everything else that `estimates` takes.
    """
    return next(iter(estimates(workload, platform, batches=(batch,), **choices)), None)


def estimates(
    workload: Workload,
    platform: Platform,
    *,
    datatype: str,
    unit: str | None = None,
    batches: Sequence[int] = (1,),
    runtime: str | None = None,
    effect: Effect | None = None,
    parameters: Parameters | None = None,
) -> tuple[Estimate, ...]:
    """Estimate a network on a machine from published runs at each batch; empty where there is no basis.

    Args:
        workload: The network at its precision.
        platform: The machine.
        datatype: The precision.
        unit: The peak it runs on; by default the datatype's own.
        batches: Items per batch.
        runtime: The runtime; by default the class's fastest.
        effect: What figures of the machine say of it (`machine_effect`).
        parameters: The model's; by default those shipped.

    Raises:
        OptionError: The runtime is not known.
        DatatypeError: The machine has no unit for the datatype.
    """
    known = parameters or shipped_parameters()
    run = deployment(platform, runtime, known, _runtimes_of(effect, datatype))
    if run is None or not workload.macs:
        return ()
    unit = choose_unit(platform, datatype)[0] if unit is None else unit

    asked = NetworkRun(workload, platform, run, datatype, unit)
    effects = None if effect is None else {**known.law.effects, platform.key: effect}
    (runs,) = runs_of([asked], np.asarray(batches, np.float64), effects, known)
    rests_on = _figures(asked, effect, known, _rests_on(asked, known))
    alone, ends = runs.latency_s, runs.interval_latency_s
    return tuple(
        Estimate(
            run.runtime, float(runs.fps[place]),
            (float(runs.interval_fps[0][place]), float(runs.interval_fps[1][place])),
            None if alone is None else float(alone[place]),
            None if ends is None else (float(ends[0][place]), float(ends[1][place])),
            {PART_NAMES[p]: float(x) for p, x in zip(PARTS, runs.shares[place], strict=True)},
            "published" if run.runtime in known.usage[run.machine_class] else "borrowed",
            ", ".join(filter(None, (rests_on, *runs.limits[place : place + 1]))), known.version, asked.several(effects),
        )
        for place in range(len(batches))
    )  # fmt: skip


def _runtimes_of(effect: Effect | None, datatype: str) -> Sequence[str]:
    """Return the runtimes of the figures of a machine, the most usual at a datatype first."""
    figures = None if effect is None else effect.figures
    return () if figures is None else figures.find_runtimes(common_name(datatype))


def _figures(asked: NetworkRun, effect: Effect | None, known: Parameters, runs: str) -> str:
    """Return what an estimate rests on: figures of its machine, and of which, on published runs."""
    if effect is None or effect.figures is None:
        return runs
    (setting,) = asked.facts(in_flight=False).setting
    before = known.law.effects.get(asked.platform.key)
    figures = effect.under(setting).figures or effect.figures
    if setting in figures.settings:
        return f"figures of this machine, on {runs}"
    others = ", ".join(sorted(figures.settings))
    if before is not None and setting in before.settings:
        return f"{runs}, which figures with other runtimes or datatypes ({others}) do not move"
    return f"figures of this machine with other runtimes or datatypes ({others}), on {runs}"


def _rests_on(asked: NetworkRun, known: Parameters) -> str:
    """Return what was published that an estimate rests on."""
    run = asked.deployment
    runtime, name, key = run.runtime, run.machine_class, run.runs_of
    before, usage = known.machines.get(key or ""), known.usage[name].get(runtime)
    it = "this machine" if key == asked.platform.key else f"{key}, a like machine"
    if key is None or before is None or runtime not in before.speeds:
        if usage is None:
            return f"runs of {name} machines with other runtimes"
        others = f"runs of {plural(usage.machines, f'{name} machine')} with {runtime}"
        return others if before is None else f"{others} and of {it} with other runtimes"
    (setting,) = asked.facts(in_flight=False).setting
    layered = (
        known.law.layers.knows(key, runtime) and groups_of_workload(asked.workload) is not None
    )
    way = "" if setting in known.law.effects[key].settings else " at other datatypes"
    detail = ", by the network's layers" if layered else ""
    runs = plural(before.runs[runtime], "run")
    return f"{runs} of {it}{way}{detail}"


def _is_alike(workload: Workload) -> bool:
    """Return whether a network is of the kind that the runs are of: counted, and no step of a decoder.

    Those have a law of their own: `roofline.expected_tokens`.
    """
    return not workload.unknown_layers and not workload.has_cache


def _at(case: Case, batches: tuple[int, ...]) -> tuple[Prediction, ...]:
    if not _is_alike(case.workload):
        return ()
    found = estimates(
        case.workload, case.platform, datatype=case.precision.name, unit=case.unit, batches=batches,
        runtime=case.runtime, effect=(case.effects or {}).get(case.platform.key),
    )  # fmt: skip
    if not found:
        return ()
    times = evaluate(case, network_requirement(case), [case.unit], batches)
    asked = _run_of(case)
    reach = ANYWHERE if asked is None else reach_of(case, asked.deployment)
    return tuple(
        as_prediction(
            conclude(replace(case, batch=batch), times, "expected", place=place),
            found[place],
            reach,
        )
        for place, batch in enumerate(batches)
    )


def within(bound: Prediction, found: Estimate, reach: Reach = ANYWHERE) -> Estimate:
    """Return an estimate that a bound has capped, where the bound holds.

    No run is above a bound that holds: what of the expected distribution lies below it says what to expect, so that an
    estimate is below its bound and never at it.

    Args:
        bound: The bound.
        found: The estimate.
        reach: How far beyond it a run may lie.
    """
    most, least = bound.throughput_fps, bound.latency_s
    if not bound.upper_bound or most is None or least is None:
        return found
    most = min(most * reach.times, reach.most_fps)
    least = max(least / reach.times, bound.batch / reach.most_fps)
    by = "the bound" if reach.times == 1 else f"{reach.times:.2g} times the bound"
    high = found.interval_fps[1]
    fps, low, less = cap_throughput(most, found.fps, *found.interval_fps)
    told = (
        f", capped by {by}"
        if found.fps > most
        else f", interval capped by {by}"
        if high > most
        else ""
    )
    found = replace(
        found,
        fps=float(fps),
        interval_fps=(float(low), float(less)),
        rests_on=found.rests_on + told,
    )
    if found.latency_s is not None and found.interval_latency_s is not None:
        more = raise_latency(least, found.latency_s, *found.interval_latency_s)
        found = replace(
            found, latency_s=float(more[0]), interval_latency_s=(float(more[1]), float(more[2]))
        )
    return found


def as_prediction(bound: Prediction, found: Estimate, reach: Reach = ANYWHERE) -> Prediction:
    """Return an estimate as a prediction, given the bound that it stands beside and never exceeds.

    Args:
        bound: The bound.
        found: The estimate.
        reach: How far beyond it a run may lie.
    """
    found = within(bound, found, reach)
    memory = found.shares["weights"] + found.shares["activations"]
    held = max(
        (found.shares["compute"], Bound.COMPUTE), (memory, Bound.MEMORY),
        (found.shares["fixed"], Bound.LATENCY), key=lambda pair: pair[0],
    )[1]  # fmt: skip
    ends = found.interval_latency_s
    flight = "" if not found.in_flight else ", fps with several runs in flight"
    if found.latency_s is None:
        flight += ", of whose latency nothing is published"
    elif found.in_flight:
        flight += " and latency of one alone"
    runtime = "no runtime in particular" if found.runtime == ANY else found.runtime
    what = (
        f"{runtime}, {found.rests_on}{flight}, 80 % interval, model version {found.version}; "
        "pre- and post-processing excluded; check it with roofline score"
    )
    return replace(
        bound,
        upper_bound=False,
        throughput_fps=found.fps,
        latency_s=found.latency_s,
        bound=held,
        interval_fps=found.interval_fps,
        intervals={} if ends is None else {"latency_ms": (1e3 * ends[0], 1e3 * ends[1])},
        basis=tuple(Term(name, Basis(found.basis), share) for name, share in found.shares.items()),
        estimate_of=what,
        notes=(*bound.notes, f"expected on {bound.platform}: {what}"),
    )


def _law(case: Case) -> Law | None:
    asked = _run_of(case)
    if asked is None:
        return None
    bound_at, known, effects = law(case), shipped_parameters(), _effects([case])
    reach = reach_of(case, asked.deployment)

    def at(batches: Floats) -> Outcomes:
        (runs,) = runs_of([asked], batches, effects, known)
        return _beside(bound_at.at(batches), runs, batches, reach)

    return Law(at, _WIDTH)


def beside(
    cases: Sequence[Case], bounds: Sequence[Outcomes], batches: Floats
) -> list[Outcomes | None]:
    """Return the estimates of many cases at the same batches, all at once; None where there is no basis.

    Args:
        cases: What is asked; their own batches are not looked at.
        bounds: What Equation 1 says of each case at the batches.
        batches: Items per batch.
    """
    asked = [_run_of(case) for case in cases]
    runs = iter(
        runs_of([each for each in asked if each], batches, _effects(cases), shipped_parameters())
    )
    return [
        None
        if each is None
        else _beside(bound, next(runs), batches, reach_of(case, each.deployment))
        for case, each, bound in zip(cases, asked, bounds, strict=True)
    ]


def _run_of(case: Case) -> NetworkRun | None:
    """Return how a case is taken to be run; None where there is no basis."""
    effect = (case.effects or {}).get(case.platform.key)
    run = deployment(case.platform, case.runtime, None, _runtimes_of(effect, case.precision.name))
    if not _is_alike(case.workload) or run is None or not case.workload.macs:
        return None
    return NetworkRun(case.workload, case.platform, run, case.precision.name, case.unit)


def _effects(cases: Sequence[Case]) -> Mapping[str, Effect]:
    """Return what is known of single machines: by the fit, and by figures of their own."""
    known = dict(shipped_parameters().law.effects)
    for case in cases:
        known |= case.effects or {}
    return known


def _beside(bound: Outcomes, runs: Runs, batches: Floats, reach: Reach) -> Outcomes:
    """Return estimates at many batches, given the bound that they stand beside; see `as_prediction`."""
    many = len(bound.ops)
    holds = bound.upper_bound & ~np.isnan(bound.throughput_fps)
    fps, low, high = cap_throughput(
        np.where(holds, np.minimum(reach.times * bound.throughput_fps, reach.most_fps), np.nan),
        runs.fps,
        *runs.interval_fps,
    )
    latency, ends = np.full(many, np.nan), None
    if runs.latency_s is not None and runs.interval_latency_s is not None:
        latency, short, long = raise_latency(
            np.where(
                holds, np.maximum(bound.latency_s / reach.times, batches / reach.most_fps), 0.0
            ),
            runs.latency_s,
            *runs.interval_latency_s,
        )
        ends = (short, long)
    compute, weights, activations, fixed = runs.shares.T
    held = np.stack([compute, weights + activations, fixed]).argmax(axis=0)
    return replace(
        bound, throughput_fps=fps, latency_s=latency, bound=_HELD[held],
        upper_bound=np.zeros(many, np.bool_), interval_fps=(low, high), interval_latency_s=ends,
    )  # fmt: skip


_WIDTH = 32
"""Of each batch the shares and their covariance."""

_HELD = codes(Bound.COMPUTE, Bound.MEMORY, Bound.LATENCY)


models.add(
    "expected",
    Model(
        "expected",
        "what published runs of like machines and networks let one expect: an estimate with an 80 % interval",
        needs=frozenset({Need.PEAK, Need.EVIDENCE}),
        gives=Gives.ESTIMATE,
        traffic=Traffic.WEIGHTS,
        operations=Operations.MACS,
        at=_at,
        law=_law,
        rank=20,
    ),
)
