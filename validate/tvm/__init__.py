"""What the TVM backend does to a model between ONNX and machine code."""
