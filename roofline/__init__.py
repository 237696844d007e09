"""How fast a neural network can run on a machine, and how far a real run is from that.

Example:
    >>> import roofline as rl
    >>> rl.load("mlp").parameters > 0
    True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roofline._load import load
    from roofline._sweep import Sweep, sweep
    from roofline.layer import Layer
    from roofline.model import Bound, LayerPrediction, Prediction, attainable, predict
    from roofline.spec import Platform, platform
    from roofline.validate.analysis.compare import Comparison
    from roofline.validate.api import Comparisons, compare, measure
    from roofline.validate.records.record import Measurement
    from roofline.workload import Workload

# Where each public name lives; it is imported when it is first used, so that `import roofline` is instant.
_HOMES = {
    "Bound": "roofline.model",
    "Comparison": "roofline.validate.analysis.compare",
    "Comparisons": "roofline.validate.api",
    "Layer": "roofline.layer",
    "LayerPrediction": "roofline.model",
    "Measurement": "roofline.validate.records.record",
    "Platform": "roofline.spec",
    "Prediction": "roofline.model",
    "Sweep": "roofline._sweep",
    "Workload": "roofline.workload",
    "attainable": "roofline.model",
    "compare": "roofline.validate.api",
    "load": "roofline._load",
    "measure": "roofline.validate.api",
    "platform": "roofline.spec",
    "predict": "roofline.model",
    "sweep": "roofline._sweep",
}

__all__ = [
    "Bound",
    "Comparison",
    "Comparisons",
    "Layer",
    "LayerPrediction",
    "Measurement",
    "Platform",
    "Prediction",
    "Sweep",
    "Workload",
    "attainable",
    "compare",
    "load",
    "measure",
    "platform",
    "predict",
    "sweep",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
