"""Containers: their bodies are counted instead, each as often as it runs.

Spec: https://onnx.ai/onnx/operators/onnx__If.html, https://onnx.ai/onnx/operators/onnx__Loop.html,
https://onnx.ai/onnx/operators/onnx__Scan.html,
https://onnx.ai/onnx/operators/onnx__SequenceMap.html
"""

from __future__ import annotations

from roofline.ops._registry import Kind, define

define("If", kind=Kind.CONTROL, settings=(0,))
define("Loop", kind=Kind.CONTROL, settings=(0, 1))
define("Scan", "SequenceMap", kind=Kind.CONTROL)
