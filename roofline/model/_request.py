"""From what a caller asks to a prediction: every choice is made and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from roofline.arguments import check_items, check_kind, check_name
from roofline.conventions import Operations, Traffic, WeightsRead, choice
from roofline.errors import DatatypeError, NoBasisError
from roofline.model._case import Case, check_batch, most_held
from roofline.model._law_estimates import Effect
from roofline.model._prediction import Prediction
from roofline.model._registry import Model, Need, best_estimates, models
from roofline.model._units import choose_unit, main_datatype
from roofline.precision import Precision, precision
from roofline.spec import Platform
from roofline.surfaces import DATATYPE, MODEL, OPERATIONS, TRAFFIC, WEIGHTS_READ
from roofline.workload import Workload


class CommonChoices(TypedDict, total=False):
    """What can be chosen about predictions at many datatypes and batches; what is left out is the model's default."""

    traffic: Traffic | str | None
    operations: Operations | str | None
    weights_read: WeightsRead | str
    runtime: str | None
    """The runtime of an estimate from published runs; None is the fastest of the machine's class."""
    effects: Mapping[str, Effect] | None
    """What figures of single machines say of them, by key; for estimates from published runs."""
    emulate: bool
    """Whether the next wider unit may stand in for one that the machine lacks."""


class Choices(CommonChoices, total=False):
    """What can be chosen about a prediction."""

    datatype: Precision | str | None
    """The precision it runs at; None is the workload's own. Layers that a mixed-precision graph computes in another
    datatype run on that unit where the machine has it and the model looks at layers."""
    batch: int | None
    """Items per batch; None is the workload's."""


def run(model: Model, workload: Workload, platform: Platform, choices: Choices) -> Prediction:
    """Predict a workload whose bytes are already those of the precision it runs at.

    Raises:
        NoBasisError: The model is an estimate and has no basis here.
        DatatypeError: The machine has no unit for the datatype, or none was named and the workload has none.
        OptionError: A name or the batch is not allowed.
    """
    batch = choices.get("batch")
    items = check_batch(workload.batch if batch is None else batch)
    found = model.run(case_of(model, workload, platform, choices, items))
    if found is None:
        raise no_basis(model, workload, platform)
    return found


def no_basis(model: Model, workload: Workload, platform: Platform) -> NoBasisError:
    """Return the error of an estimate that has nothing to rest on."""
    # A peak that is missing is an error of its own.
    needs = ", ".join(sorted(need.value for need in model.needs if need is not Need.PEAK))
    return NoBasisError(
        f"{model.name} has no basis for {workload.name} on {platform.key}; it needs: {needs}",
        repair=f"Ask for a bound: {MODEL.at('equation1')}",
    )


def case_of(
    model: Model, workload: Workload, platform: Platform, choices: Choices, batch: int
) -> Case:
    """Return a case with every choice made and checked; what is left out is the model's own.

    Raises:
        DatatypeError: The machine has no unit for the datatype, or none was named and the workload has none.
        OptionError: A name is not allowed.
    """
    traffic, operations, reads = _conventions(model, choices)
    named = choices.get("datatype")
    asked = own_precision(workload, platform) if named is None else precision(named)
    unit, notes = choose_unit(platform, asked, emulate=choices.get("emulate", False))
    foreign = format_of_decoders(workload, asked)
    notes += (foreign,) if foreign else ()
    holder = platform.weight_memory
    holds = choices.get("traffic") is None and holder is not None
    if holds and holder is not None and holder.capacity is not None:
        over = workload.weight_bytes - holder.capacity.base
        is_estimate = over > 0 and holder.capacity.kind == "estimated"
        if is_estimate and workload.weight_bytes > most_held(holder.capacity):
            over, is_estimate = workload.weight_bytes - most_held(holder.capacity), False
        where = f"{holder.name} of {platform.key}"
        rest = platform.weight_bandwidth or platform.bandwidth
        crossed = f"{over / 1e6:.3g} MB of weights do not fit in {where}: runs read them at {rest / 1e9:.3g} GB/s"
        if holder.excess_from == "host_link":
            knee = platform.peak(unit) / rest
            crossed = (
                f"{over / 1e6:.3g} MB of weights do not fit in {where}: what a run reads of them crosses its "
                f"host link at {rest / 1e9:.3g} GB/s, whose ridge is {knee:,.0f} OP/B"
            )
        stay = f"weights stay in {where}"
        free = f"how many weights {where} holds is not published: the bound charges none"
        notes += (free if is_estimate else stay if over <= 0 else crossed,)
    return Case(
        workload, platform, asked, unit, batch, traffic, operations, reads, notes, holds,
        choices.get("runtime"), choices.get("effects"),
    )  # fmt: skip


def format_of_decoders(workload: Workload, asked: Precision) -> str:
    """Return what is to be said of a decoders' format that is asked for another network; empty where nothing is."""
    if not asked.mix or workload.has_cache:
        return ""
    return (
        f"{asked.name} is a format of decoders, and no runtime stores {workload.name} in it: its weights are taken at "
        f"{float(asked.weight_bits):.3g} bits on average"
    )


def _conventions(model: Model, choices: Choices) -> tuple[Traffic, Operations, WeightsRead]:
    traffic = choices.get("traffic") or model.traffic
    operations = choices.get("operations") or model.operations
    reads = choices.get("weights_read", WeightsRead.PER_BATCH)
    return (
        choice(Traffic, traffic, "traffic assumption", TRAFFIC),
        choice(Operations, operations, "choice of operations", OPERATIONS),
        choice(WeightsRead, reads, "choice of weight reads", WEIGHTS_READ),
    )


def predictions_at(
    workload: Workload,
    platform: Platform,
    batches: Sequence[int],
    model: str | None,
    choices: Choices,
) -> tuple[Prediction, ...]:
    """Return what a model says of a workload at each batch, its bytes being those of the precision it runs at.

    Args:
        workload: The network.
        platform: The machine.
        batches: Items per batch.
        model: Name of a model; None for the bound of Equation 1 and, behind it, the best-founded estimate there is.
        choices: Everything else; the batch among them is not looked at.

    Raises:
        DatatypeError: The machine has no unit for the datatype, or none was named and the workload has none.
        OptionError: A name or a batch is not allowed.
        NoBasisError: The model is an estimate and has no basis at any of the batches.
    """
    asked = tuple(map(check_batch, batches))
    entry = models.get(model or "equation1")
    first = case_of(entry, workload, platform, choices, asked[0])
    found = entry.at(first, asked)
    if not found:
        raise no_basis(entry, workload, platform)
    if model is not None:
        return found

    def ask(other: Model, left: tuple[int, ...]) -> tuple[Prediction, ...]:
        return other.at(case_of(other, workload, platform, choices, left[0]), left)

    estimates = best_estimates(ask, asked)
    return tuple(
        entry
        for bound in found
        for entry in (bound, estimates.get(bound.batch))
        if entry is not None
    )


def own_precision(workload: Workload, platform: Platform) -> Precision:
    """Return the precision a workload runs at when nothing is asked: its own, else the machine's only one.

    Raises:
        DatatypeError: The workload names none, and the machine has several.
    """
    if workload.precision is not None:
        return workload.precision
    own = main_datatype(workload)
    if own is not None:
        return precision(own)
    if len(platform.datatypes) == 1:
        return precision(platform.datatypes[0])
    raise DatatypeError(
        f"{workload.name} names no datatype of its own, and {platform.key} has several: "
        f"{', '.join(platform.datatypes)}",
        repair=f"Choose one with {DATATYPE}",
    )


def at_precision(workload: Workload, asked: Precision | str) -> Workload:
    """Return the workload with the bytes of a precision; one that is at it already is returned as it is."""
    wanted = precision(asked)
    if _is_at(workload, wanted):
        return workload
    return workload.once(("at precision", wanted), lambda: workload.under(precision=wanted))


def _is_at(workload: Workload, wanted: Precision) -> bool:
    own = {layer.datatype for layer in workload.layers if layer.cost.macs}
    return wanted == workload.precision or (workload.precision is None and own == {wanted.name})


@dataclass(frozen=True, slots=True)
class ByWidths:
    """Brings workloads to the bytes of precisions, for models that see a network as a whole and look at bytes alone.

    Precisions of the same widths share one counting: int8 stands for fp8, and the layers name the first that was asked
    for.
    """

    _known: dict[tuple[object, ...], tuple[Workload, Workload]] = field(
        default_factory=dict[tuple[object, ...], tuple[Workload, Workload]]
    )
    """By identity and widths: what was brought, which stays alive with its identity, and what it became."""

    def __call__(self, workload: Workload, asked: Precision | str | None) -> Workload:
        """Return the workload with the bytes of a precision; None for its own."""
        if asked is None:
            return workload
        wanted = precision(asked)
        if _is_at(workload, wanted):
            return workload
        widths = (wanted.weight_bits, wanted.activation_bits, wanted.cache_bits, wanted.mix)
        key = (id(workload), *widths)
        if key not in self._known:
            self._known[key] = (workload, workload.under(precision=wanted))
        return self._known[key][1]


def predict(
    workload: Workload,
    platform: Platform,
    *,
    datatype: Precision | str | None = None,
    batch: int | None = None,
    model: str = "equation1",
    traffic: Traffic | str | None = None,
    operations: Operations | str | None = None,
    weights_read: WeightsRead | str = WeightsRead.PER_BATCH,
    emulate: bool = False,
    runtime: str | None = None,
    effects: Mapping[str, Effect] | None = None,
) -> Prediction:
    """Predict how fast a network runs on a machine.

    The workload is brought to the datatype first: its weights and activations take that datatype's bytes. Counts
    scale with the batch: operations and activations grow with it, weights do not.

    Args:
        workload: The network.
        platform: The machine.
        datatype: The precision it runs at; by default the workload's own.
        batch: Items per batch; by default the workload's.
        model: Name of a prediction model.
        traffic: Which bytes cross the memory; by default the model's own.
        operations: ``macs`` or ``all``; by default the model's own.
        weights_read: ``per-batch``, or ``per-item`` for the papers' batch-1 intensity at any batch.
        emulate: Whether the next wider unit may stand in for one that the machine lacks.
        runtime: The runtime of an estimate from published runs; by default the fastest of the machine's class.
        effects: What figures of single machines say of them, by key; for estimates from published runs.

    Raises:
        DatatypeError: The machine has no unit for the datatype.
        OptionError: A name or the batch is not allowed.
    """
    check_kind(workload, Workload, "workload", "Load it: rl.load('resnet50')")
    check_kind(platform, Platform, "platform", "Find it: rl.platform('h100-sxm')")
    if datatype is not None:
        check_kind(datatype, (str, Precision), "datatype", "Give its name: 'int8'")
    for name, value in (("traffic", traffic), ("operations", operations)):
        check_name(value, name)
    check_kind(weights_read, str, "weights_read", "Use 'per-batch' or 'per-item'")
    check_items(batch)
    entry = models.get(model)
    asked = own_precision(workload, platform) if datatype is None else precision(datatype)
    # The machine is asked before the workload is changed, so that a missing unit is reported first.
    choose_unit(platform, asked, emulate=emulate)
    ready = workload if datatype is None else at_precision(workload, asked)
    choices: Choices = {
        "datatype": asked, "batch": batch, "traffic": traffic, "operations": operations,
        "weights_read": weights_read, "emulate": emulate, "runtime": runtime, "effects": effects,
    }  # fmt: skip
    return run(entry, ready, platform, choices)
