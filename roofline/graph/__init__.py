"""ONNX files read without their weights, and resolved to typed, executed calls."""

from roofline.graph.read import read
from roofline.graph.resolve import resolve
from roofline.graph.resolved import ResolvedGraph, ResolvedNode

__all__ = ["ResolvedGraph", "ResolvedNode", "read", "resolve"]
