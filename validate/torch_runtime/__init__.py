"""ONNX graphs run by torch's own operators."""
