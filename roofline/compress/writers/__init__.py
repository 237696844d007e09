"""Writing a quantized network as an ONNX file that runs: one writer per family of datatypes."""
