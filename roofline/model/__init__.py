"""How fast a network can run on a machine: Equation 1 and its refinements, each by name."""

from roofline.model._case import Case
from roofline.model._core import attainable, ridge
from roofline.model._prediction import Basis, Bound, LayerPrediction, Prediction, Term
from roofline.model._registry import Gives, Model, Need, best_estimates, models
from roofline.model._request import Choices, at_precision, predict
from roofline.model._requirement import Requirement, effective_ops, requirement
from roofline.model._units import choose_unit
from roofline.model.equation1 import equation1
from roofline.model.layerwise import layerwise

__all__ = [
    "Basis",
    "Bound",
    "Case",
    "Choices",
    "Gives",
    "LayerPrediction",
    "Model",
    "Need",
    "Prediction",
    "Requirement",
    "Term",
    "at_precision",
    "attainable",
    "best_estimates",
    "choose_unit",
    "effective_ops",
    "equation1",
    "layerwise",
    "models",
    "predict",
    "requirement",
    "ridge",
]
