"""How fast a network can run on a machine: Equation 1 and its refinements, each by name."""

from roofline.model._advice import Advice, Wish, advise
from roofline.model._case import Case, choose_unit
from roofline.model._core import attainable, layers_time, ridge, roof_times, whole_network_time
from roofline.model._grid import Grid, predict_grid
from roofline.model._prediction import Bound, LayerPrediction, Prediction
from roofline.model._registry import Model, models
from roofline.model._request import Choices, at_precision, predict
from roofline.model._requirement import (
    OPERATIONS,
    TRAFFIC,
    WEIGHTS_READ,
    Requirement,
    effective_ops,
    requirement,
)
from roofline.model.per_layer import layerwise
from roofline.model.whole_network import equation1

__all__ = [
    "OPERATIONS",
    "TRAFFIC",
    "WEIGHTS_READ",
    "Advice",
    "Bound",
    "Case",
    "Choices",
    "Grid",
    "LayerPrediction",
    "Model",
    "Prediction",
    "Requirement",
    "Wish",
    "advise",
    "at_precision",
    "attainable",
    "choose_unit",
    "effective_ops",
    "equation1",
    "layers_time",
    "layerwise",
    "models",
    "predict",
    "predict_grid",
    "requirement",
    "ridge",
    "roof_times",
    "whole_network_time",
]
