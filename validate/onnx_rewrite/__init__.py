"""Equivalent ONNX graphs of what a runtime cannot import: loops, branches, recurrent and quantized operators."""
