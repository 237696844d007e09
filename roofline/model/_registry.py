"""The registry of prediction models: each is one module of this package, or a third party's.

A model joins by registering a `Model`: what it needs of a machine, what it gives, and a function from a `Case`, in
which every choice is made and checked, to a `Prediction`. A bound gives a number always. An estimate gives one with an
80 % interval (``interval_fps``, ``intervals``) and says in ``basis`` what each term of its time rests on; where it has
no basis it returns None, and the bound stands alone. Nothing else in the program names a model: `best_estimates`, the
verbs and the sweep find it here. ``rank`` orders the estimates: the first that has a basis is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from roofline.conventions import Operations, Traffic
from roofline.errors import NoBasisError, OptionError
from roofline.model._case import Case
from roofline.model._outcomes import Law, outcomes_of
from roofline.model._prediction import Prediction
from roofline.registry import Registry


class Need(StrEnum):
    """What a model takes beside the network and the machine's bandwidth."""

    PEAK = "peak"
    """The peak of the datatype, from the platform file."""
    PROFILE = "profile"
    """A profile of the machine, from `roofline calibrate`."""
    EVIDENCE = "evidence"
    """Published or measured runs of other networks and machines."""


class Gives(StrEnum):
    """What the figure of a model is."""

    BOUND = "bound"
    """No run is faster, where ``upper_bound`` says so."""
    ESTIMATE = "estimate"
    """What a run is expected to reach, with an 80 % interval."""


@dataclass(frozen=True, slots=True)
class Model:
    """A named way to predict."""

    name: str
    summary: str
    """One line for help and for the conventions of an output."""
    needs: frozenset[Need]
    gives: Gives
    traffic: Traffic
    """The traffic assumption it takes when none is asked for."""
    operations: Operations
    """Which arithmetic it counts when nothing is asked for."""
    at: Callable[[Case, tuple[int, ...]], tuple[Prediction, ...]]
    """Returns what it says at each batch for which it has a basis; `ask_each` makes it of a function of one case."""
    law: Callable[[Case], Law | None] | None = None
    """Returns the same as a function of arrays of batches; None to ask for one batch after another."""
    rank: int = 0
    """Place among the estimates; lower is better founded."""

    @property
    def upper_bound(self) -> bool:
        """Whether its throughput is a bound and not an estimate."""
        return self.gives is Gives.BOUND

    def run(self, case: Case) -> Prediction | None:
        """Return what it says of a case; None where it has no basis."""
        return next(iter(self.at(case, (case.batch,))), None)

    def law_of(self, case: Case) -> Law | None:
        """Return what it says of a case as a function of the batch; None where it has no basis.

        Args:
            case: What is asked; its own batch is not looked at.
        """
        if self.law is not None:
            return self.law(case)
        if self.run(case) is None:
            return None
        return Law(
            lambda batches: outcomes_of(self.at(case, tuple(int(items) for items in batches))), 1
        )


def ask_each(
    run: Callable[[Case], Prediction | None],
) -> Callable[[Case, tuple[int, ...]], tuple[Prediction, ...]]:
    """Return a function of many batches that asks for each of them alone, for models that are not vectorised.

    Args:
        run: Returns what a model says of a case; None where it has no basis.
    """

    def at(case: Case, batches: tuple[int, ...]) -> tuple[Prediction, ...]:
        found = (run(replace(case, batch=batch)) for batch in batches)
        return tuple(prediction for prediction in found if prediction is not None)

    return at


models: Registry[Model] = Registry(
    "prediction model", "roofline.model", "roofline.models", OptionError
)
"""Every prediction model, by name."""


def best_estimates(
    ask: Callable[[Model, tuple[int, ...]], Sequence[Prediction]], batches: Sequence[int]
) -> dict[int, Prediction]:
    """Return the best-founded estimate there is of each batch; batches of which no model has a basis are left out.

    Args:
        ask: Returns what a model says of the case at the batches that it has a basis for.
        batches: Items per batch.
    """
    found: dict[int, Prediction] = {}
    estimates = [model for model in map(models.get, models) if model.gives is Gives.ESTIMATE]
    for model in sorted(estimates, key=lambda model: model.rank):
        left = tuple(batch for batch in dict.fromkeys(batches) if batch not in found)
        # A model that has a basis for other cases says which; here the next one is asked.
        with suppress(NoBasisError):
            if left:
                found |= {entry.batch: entry for entry in ask(model, left)}
    return found
