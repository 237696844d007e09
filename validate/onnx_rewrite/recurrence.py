"""What one direction of a recurrent layer computes: the operator that stands for all its steps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from roofline.node import Attributes
from roofline.validate.measuring.backend import UnsupportedModelError

DOMAIN = "roofline"
STEPS = "RecurrentSteps"
"""The operator, in this program's domain: rows of what the inputs add to every gate, recurrent weights, their scales
and zero points, the candidate's recurrent bias, peepholes, first state and cell. It gives all states, the last state
and the last cell."""

GATES: Mapping[str, int] = MappingProxyType({"LSTM": 4, "GRU": 3, "RNN": 1})
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}

_PARAMETERS: Mapping[str, tuple[float | None, float | None]] = {
    "Sigmoid": (None, None), "Tanh": (None, None), "Relu": (None, None), "Softsign": (None, None),
    "Softplus": (None, None), "LeakyRelu": (0.01, None), "Elu": (1.0, None), "HardSigmoid": (0.2, 0.5),
    "Affine": (1.0, 0.0), "ThresholdedRelu": (1.0, None), "ScaledTanh": (1.0, 1.0),
}  # fmt: skip
"""Alpha and beta of every activation where the call gives none; None for those without."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of gates or states."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0


@dataclass(frozen=True, slots=True)
class Recurrence:
    """One direction of a recurrent layer."""

    kind: str
    """``LSTM``, ``GRU`` or ``RNN``."""
    steps: int
    batch: int
    hidden: int
    activations: tuple[Activation, ...]
    dtype: str
    backwards: bool = False
    """Whether it begins at the last step."""
    resets_late: bool = False
    """Of a GRU, whether the reset gate scales the candidate's product instead of the state in it."""
    coupled: bool = False
    """Of an LSTM, whether what enters replaces what is forgotten."""
    peepholes: bool = False
    clip: float | None = None
    quantized: bool = False
    """Whether the recurrent weights are 8-bit integers, and states are quantized just before their product."""
    off_centre: bool = False
    """Whether these weights have zero points other than 0."""

    @property
    def width(self) -> int:
        """Outputs of the products: gates times hidden size."""
        return GATES[self.kind] * self.hidden

    def to_text(self) -> str:
        """Return everything as one attribute of the operator."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Recurrence:
        """Return the direction of `to_text`."""
        fields: dict[str, Any] = json.loads(text)
        fields["activations"] = tuple(Activation(**entry) for entry in fields["activations"])
        return cls(**fields)


def activations(
    kind: str, directions: int, attributes: Attributes
) -> list[tuple[Activation, ...]]:
    """Return the activations of every direction as the call names them.

    Args:
        kind: ``LSTM``, ``GRU`` or ``RNN``.
        directions: How many directions it has.
        attributes: Of the call; parameters are taken in order by the activations that have them.

    Raises:
        UnsupportedModelError: An activation is none that ONNX names.
    """
    known = {name.lower(): name for name in _PARAMETERS}
    named = attributes.get("activations") or _DEFAULTS[kind] * directions
    alphas = iter(attributes.get("activation_alpha", ()))
    betas = iter(attributes.get("activation_beta", ()))
    found: list[Activation] = []
    for text in named:
        name = known.get(text.lower())
        if name is None:
            raise UnsupportedModelError(f"a recurrent layer has the activation {text}")
        alpha, beta = _PARAMETERS[name]
        found.append(Activation(name, _next(alphas, alpha), _next(betas, beta)))
    each = len(_DEFAULTS[kind])
    return [tuple(found[start : start + each]) for start in range(0, len(found), each)]


def _next(given: Iterator[float], default: float | None) -> float:
    return 0.0 if default is None else float(next(given, default))
