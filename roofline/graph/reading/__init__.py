"""ONNX files as messages without their weights, their order checked and their inputs given sizes."""
