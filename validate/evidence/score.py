"""Evidence beside what a model predicts of it: by the shipped parameters, or refit without what is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from roofline import __version__
from roofline.errors import OptionError, check_known
from roofline.model import Prediction, models
from roofline.model._core import Floats
from roofline.model._expected_data import Parameters, shipped_parameters
from roofline.model._quantiles import NOMINAL
from roofline.model._run_facts import FAMILIES
from roofline.number_format import plural
from roofline.spec import find_alias, platform
from roofline.surfaces import MODEL, argument
from roofline.validate.evidence.by_graph import predictions, rate_alone, together
from roofline.validate.evidence.evidence import Evidence, Mask, Names, names
from roofline.validate.evidence.laws_without import LawsWithout
from roofline.validate.evidence.leaving import (
    Holdout,
    in_several_ways,
    intervals,
    leave_family,
    leave_setting,
    leave_silicon,
    leave_unlike,
    with_figures,
)
from roofline.validate.evidence.machine_order import MachineOrder
from roofline.validate.evidence.priors import Options
from roofline.validate.evidence.reported import is_early

LEAVE = argument("leave")
LEAVES = ("silicon", "family", "setting", "class", "runtime", "maker", "none")
NO_BASIS = "no basis"
"""What stands for the basis of an estimate that there is none of."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """Evidence beside predictions; arrays with one entry per run."""

    evidence: Evidence
    model: str
    version: str
    leave: str
    predicted: Floats
    """Items per second."""
    low: Floats
    high: Floats
    coverage: dict[float, Mask]
    """For each nominal share, whether the interval held the run; empty for bounds."""
    basis: Names
    in_sample: Mask
    """Runs on machines that the shipped parameters were fitted to."""
    early: Mask
    """Runs dated earlier than those of the fit: it has none like them, also of its machines."""
    asked: Mask
    """Runs that are judged; those that gave a figure are not."""


def _check_asked(model: str, leave: str, figures: int) -> None:
    for name, allowed, given_by in ((model, tuple(models), MODEL), (leave, LEAVES, LEAVE)):
        check_known(name, allowed, f"there is no {given_by.at(name)}")
    if model != "expected" and (leave != "none" or figures):
        raise OptionError(
            f"{model} is not fitted to runs: nothing can be left out, and no figure corrects it",
            repair=f"Use {LEAVE.at('none')} and no figures, or {MODEL.at('expected')}",
        )
    if figures and leave not in {"silicon", "none"}:
        raise OptionError(
            "figures correct machines that the fit has not seen, one silicon at a time",
            repair=f"Use {LEAVE.at('silicon')} or none",
        )


def score(
    evidence: Evidence,
    *,
    model: str = "expected",
    leave: str = "none",
    figures: int = 0,
    options: Options | None = None,
    parameters: Parameters | None = None,
    holdout: Holdout | None = None,
    progress: Callable[[], None] | None = None,
) -> Scoring:
    """Predict evidence and set it beside what was measured.

    Args:
        evidence: The runs.
        model: A registered model. ``equation1`` and ``expected``, which counts and roofs are enough for, predict
            every run; of the others, which need a graph and a platform file, the runs that have both are judged.
        leave: One of `LEAVES`: ``none`` takes the shipped parameters, the others refit from the evidence without what
            is judged.
        figures: How many runs of each machine correct its estimates; the others are judged.
        options: What is chosen before a fit.
        parameters: Parameters to take in the place of the shipped ones.
        holdout: What was left out before, in the place of fitting again.
        progress: Called after each fit.

    Raises:
        OptionError: A name is not known, or what is asked for needs other choices.
    """
    _check_asked(model, leave, figures)
    if model == "equation1" and not evidence.placed:
        return _bound(evidence)
    if model != "expected":
        return _by_graph(evidence, model)
    if leave == "none" and evidence.placed and not figures and parameters is None:
        return _as_predicted(evidence)
    if leave == "none":
        law = _of_parameters(evidence, parameters or shipped_parameters())
    else:
        law = _of_refit(holdout or refit(evidence, leave, options, progress), leave)
    return _score(evidence, model, leave, law, figures)


@dataclass(frozen=True, slots=True)
class _Estimate:
    """What laws say of evidence, and which laws those are; arrays with one entry per run."""

    holdout: Holdout
    version: str
    basis: Names
    in_sample: Mask


def _of_parameters(evidence: Evidence, known: Parameters) -> _Estimate:
    """Return what one law says of all runs."""
    estimates = MachineOrder(known.machines).limit(
        known.law, evidence.facts, known.law.estimate(evidence.facts)
    )
    group = np.asarray(["0"] * len(evidence), object)
    laws = dict.fromkeys(set(evidence.silicon), known.law)
    holdout = Holdout(estimates, group, {"0": known.quantiles}, laws)
    basis = label_bases(basis_of(evidence, known), BY_COUNTS)
    inside = np.isin(evidence.facts.machine.astype(str), list(known.law.effects))
    return _Estimate(holdout, known.version, basis, inside & ~early_runs(evidence))


def _of_refit(holdout: Holdout, leave: str) -> _Estimate:
    """Return what laws say of runs that they have not seen."""
    number = len(holdout.group)
    basis = np.asarray([f"left out: {leave}"] * number, object)
    return _Estimate(holdout, "refit", basis, np.zeros(number, bool))


def _score(evidence: Evidence, model: str, leave: str, law: _Estimate, figures: int) -> Scoring:
    """Return evidence beside estimates, which some figures of each machine may correct."""
    holdout, basis = law.holdout, law.basis
    estimates = holdout.estimates
    asked = (basis != NO_BASIS) & np.isfinite(estimates.log_time)
    if figures:
        based = asked
        estimates, asked = with_figures(evidence, holdout.laws.__getitem__, figures)
        asked &= based
        basis = names([f"{name}; {plural(figures, 'figure')}" for name in basis])
    held: dict[float, Mask] = {}
    low = high = np.zeros(0)
    batch, y = evidence.facts.numbers["batch"], evidence.log_time
    for nominal in NOMINAL:
        lower, upper = intervals(evidence, estimates, holdout.group, holdout.tables, nominal)
        held[nominal] = (lower <= y) & (y <= upper)
        if nominal == 0.8:
            low, high = batch * np.exp(-upper), batch * np.exp(-lower)
    return Scoring(
        evidence, model, law.version, leave, batch * np.exp(-estimates.log_time), low, high, held, basis,
        law.in_sample, early_runs(evidence), asked,
    )  # fmt: skip


def early_runs(evidence: Evidence) -> Mask:
    """Return which runs are dated earlier than those of the fit."""
    return np.asarray([is_early(row) for row in evidence.rows], np.bool_)


def refit(
    evidence: Evidence,
    leave: str,
    options: Options | None = None,
    progress: Callable[[], None] | None = None,
    without: LawsWithout | None = None,
) -> Holdout:
    """Predict evidence by laws fitted to the rest of it.

    Args:
        evidence: The runs.
        leave: One of `LEAVES` but ``none``.
        options: What is chosen before a fit.
        progress: Called after each fit.
        without: What fits the laws, in the place of one that is made ready for this.

    Raises:
        OptionError: Nothing would be left to fit.
    """
    labels = {
        "silicon": evidence.silicon, "family": evidence.network_family, "class": evidence.facts.machine_class,
        "runtime": evidence.facts.runtime, "maker": makers_of(evidence), "setting": evidence.silicon_settings,
    }  # fmt: skip
    if len(set(labels[leave])) < 2:
        raise OptionError(
            f"all runs of the evidence are of one {_LEFT_WORDS.get(leave, leave)}: nothing is left to fit",
            repair=f"Use {LEAVE.at('none')}, or give a table of several",
        )
    _check_judges(evidence, leave)
    without = without or LawsWithout(evidence, options, progress)
    if leave == "silicon":
        return leave_silicon(without)
    if leave == "family":
        return leave_family(without)
    if leave == "setting":
        return leave_setting(without)
    return leave_unlike(without, labels[leave])


def _check_judges(evidence: Evidence, leave: str) -> None:
    """Check that the runs of each silicon have others whose errors tell how wide an interval has to be."""
    if leave not in {"family", "setting"}:
        return
    several = in_several_ways(evidence) if leave == "setting" else np.ones(len(evidence), np.bool_)
    if len(set(evidence.silicon[several])) < 2:
        kind = "were run with several runtimes or datatypes" if leave == "setting" else "are in it"
        raise OptionError(
            f"intervals of one machine's runs need those of another, and fewer than two kinds of silicon {kind}",
            repair=f"Use {LEAVE.at('none')}, or give a table of several",
        )


_LEFT_WORDS = {
    "family": "family of networks", "class": "class of machines", "setting": "silicon, runtime and datatype",
}  # fmt: skip


def makers_of(evidence: Evidence) -> Names:
    """Return who made the machine of each run, by its platform file; a machine without one stands for itself."""
    known = {
        key: platform(key).vendor if find_alias(key) else key
        for key in sorted(set(evidence.facts.machine))
    }
    return names([known[key] for key in evidence.facts.machine])


def basis_of(evidence: Evidence, known: Parameters) -> Names:
    """Return what the estimate of each run rests on."""
    found: list[str] = []
    for machine, name, runtime in zip(
        evidence.facts.machine, evidence.facts.machine_class, evidence.facts.runtime, strict=True
    ):
        usage = known.usage.get(name, {})
        if machine in known.law.effects:
            found.append("published: this machine")
        elif runtime in usage:
            count = usage[runtime].machines
            found.append(f"published: {plural(count, f'{name} machine')} with {runtime}")
        elif name in known.usage:
            found.append(f"borrowed: {name} with other runtimes")
        elif name in FAMILIES:
            found.append(f"borrowed: other classes of family {FAMILIES[name]}")
        else:
            found.append(NO_BASIS)
    return np.asarray([*found, ""], object)[:-1]


def _by_graph(evidence: Evidence, model: str) -> Scoring:
    outcomes = predictions(evidence, model)
    if not any(outcomes):
        raise OptionError(
            f"{model} says nothing of these runs: it needs their graphs and platform files",
            repair="Give records of shipped networks, or name the files with --network and -p; "
            "an estimate from a profile needs a file that roofline calibrate wrote",
        )
    fps = np.asarray([np.nan if p is None else p.throughput_fps or np.nan for p in outcomes])
    ends = np.asarray(
        [
            (np.nan, np.nan) if p is None or p.interval_fps is None else p.interval_fps
            for p in outcomes
        ]
    )
    held = {0.8: (ends[:, 0] <= evidence.fps) & (evidence.fps <= ends[:, 1])}
    basis = np.asarray([NO_BASIS if p is None else rests_on(p) for p in outcomes] + [""], object)[
        :-1
    ]
    no = np.zeros(len(evidence), bool)
    return Scoring(
        evidence, model, __version__, "none", fps, ends[:, 0], ends[:, 1],
        held if np.isfinite(ends).any() else {}, basis, no, no, np.isfinite(fps),
    )  # fmt: skip


def _as_predicted(evidence: Evidence) -> Scoring:
    """Return records beside what `predict` says of them, by their graphs and the files of their machines."""
    outcomes, known = predictions(evidence, "expected"), shipped_parameters()
    several = evidence.facts.numbers["throughput"] > 0
    rates = [
        None if p is None else together(p) if many else rate_alone(p)
        for p, many in zip(outcomes, several, strict=True)
    ]
    none = (np.nan, (np.nan, np.nan))
    fps = np.asarray([(none if rate is None else rate)[0] for rate in rates])
    low, high = np.asarray([(none if rate is None else rate)[1] for rate in rates]).T
    asked = np.isfinite(fps)
    early = early_runs(evidence)
    inside = np.isin(evidence.facts.machine.astype(str), list(known.law.effects)) & ~early
    basis = label_bases(basis_of(evidence, known), BY_GRAPH)
    basis[~asked] = NO_BASIS
    held = {0.8: (low <= evidence.fps) & (evidence.fps <= high)}
    return Scoring(
        evidence,
        "expected",
        known.version,
        "none",
        fps,
        low,
        high,
        held,
        basis,
        inside,
        early,
        asked,
    )


def label_bases(basis: Names, by: str) -> Names:
    """Return what estimates rest on with what their networks were told by; no basis stays that."""
    return names([name if name == NO_BASIS else f"{name}; {by}" for name in basis])


BY_GRAPH, BY_COUNTS = "by its graph", "by its counts"
"""What a run's network was told by: the file or the shipped definition, or the figures of a table."""


def rests_on(prediction: Prediction) -> str:
    """Return what the time of a prediction rests on, the largest share first: ``measured 80 %, derived 20 %``."""
    shares: dict[str, float] = {}
    for term in prediction.basis:
        shares[term.basis.value] = shares.get(term.basis.value, 0.0) + term.share
    ordered = sorted(shares.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in ordered) or "datasheet"


def _bound(evidence: Evidence) -> Scoring:
    compute, weights, _ = evidence.facts.terms
    fps = evidence.facts.numbers["batch"] / np.maximum(compute, weights)
    nothing = np.full(len(evidence), np.nan)
    basis = np.asarray(["datasheet"] * len(evidence), object)
    no = np.zeros(len(evidence), bool)
    return Scoring(
        evidence, "equation1", "1", "none", fps, nothing, nothing, {}, basis, no, no, ~no
    )
