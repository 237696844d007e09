"""ONNX files read without their weights, and resolved to typed, executed calls."""

from roofline.graph.reading.read import read
from roofline.graph.walking.resolve import resolve
from roofline.graph.walking.resolved import ResolvedGraph, ResolvedNode

__all__ = ["ResolvedGraph", "ResolvedNode", "read", "resolve"]
