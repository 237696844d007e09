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
    from roofline._load import load, networks
    from roofline._sweep import Sweep, sweep
    from roofline.binding import Binding
    from roofline.layer import Layer
    from roofline.model import Bound, LayerPrediction, Prediction, attainable, predict
    from roofline.spec import Platform, platform
    from roofline.spec import platform_keys as platforms
    from roofline.validate.analysis.compare import Comparison
    from roofline.validate.api import Comparisons, compare, measure
    from roofline.validate.records.record import Measurement
    from roofline.workload import Workload

# Where each public name lives; it is imported when it is first used, so that `import roofline` is instant.
_HOMES = {
    "Binding": "roofline.binding",
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
    "networks": "roofline._load",
    "platform": "roofline.spec",
    "platforms": "roofline.platforms",
    "predict": "roofline.model",
    "sweep": "roofline._sweep",
}

__all__ = [
    "Binding",
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
    "networks",
    "platform",
    "platforms",
    "predict",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Reading the installed metadata takes longer than counting most networks.
        from importlib.metadata import version

        return version("roofline")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = importlib.import_module(home)
    # The folder of platform files is called as a function to list them.
    return found if found.__name__ == f"roofline.{name}" else getattr(found, name)


def __dir__() -> list[str]:
    return sorted(__all__)
