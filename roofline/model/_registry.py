"""The registry of prediction models: each is one module of this package, or a third party's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from roofline.errors import OptionError
from roofline.model._case import Case
from roofline.model._prediction import Prediction
from roofline.registry import Registry


@dataclass(frozen=True, slots=True)
class Model:
    """A named way to predict."""

    name: str
    summary: str
    """One line for help and for the conventions of an output."""
    upper_bound: bool
    """Whether its throughput is a bound from above."""
    traffic: str
    """The traffic assumption it takes when none is asked for."""
    operations: str
    """Which arithmetic it counts when nothing is asked for."""
    run: Callable[[Case], Prediction]


models: Registry[Model] = Registry(
    "prediction model", "roofline.model", "roofline.models", OptionError
)
"""Every prediction model, by name."""
